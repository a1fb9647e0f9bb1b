"""Timelines and facets against a loop over the rows: any rows, any filter, any buckets."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.coordinator import overview, query
from services.coordinator.kernels import inventory as k
from services.coordinator.kernels import overview as kernels
from services.coordinator.matches import Matches
from services.coordinator.overview import Overviews, even, nice
from services.coordinator.query import Queries
from services.coordinator.team import Team
from services.coordinator.view import Inventory
from shared.columns import CONTENT_KINDS, EVENT, PAIR, PROTOCOLS, SERVICES, STATUSES
from shared.schema import StreamFilter
from shared.team import NewPattern, StreamNotes
from tests.property.test_query import filled as filled_by_rows
from tests.property.test_query import filters, holds, rows
from tests.reference import overview as twin

pytestmark = pytest.mark.property
TAGS = ("seen", "exploit", "checker")
ROW: dict[str, Any] = {
    "family": 4, "addr": ("10.0.0.1", "10.0.0.129"), "port": (80, 1), "proto": 6, "status": 0,
    "service": 1, "content": 1, "bytes": (1, 1), "first": 0, "last": 0, "marks": 0,
    "preview": (b"", b""),
}  # fmt: skip
TIMES_MAX = (1 << 63) // 1000
more_of_a_row = st.tuples(
    st.frozensets(st.integers(0, 2), max_size=3), st.frozensets(st.sampled_from(TAGS), max_size=2)
)


class Whole:
    """An inventory with matches and notes, and the same as rows of the twin."""

    def __init__(self, streams: list[dict[str, Any]], more: list[Any]) -> None:
        self.inventory = inventory = filled_by_rows(streams)
        self.team = Team(inventory)
        self.overviews = Overviews(Queries(inventory, self.team))
        numbers = [
            self.team.patterns.add(NewPattern(kind="substring", value=f"p{i}")).id for i in range(3)
        ]
        self.rows = {}
        ids = inventory.columns["stream_id"]
        pairs: list[tuple[int, int]] = []
        for slot, (row, (patterns, tags)) in enumerate(zip(streams, more, strict=False)):
            stream_id = int(ids[slot])
            pairs += [(stream_id, numbers[each]) for each in patterns]
            marks = inventory.marks[slot]
            if tags:
                self.team.note(slot, stream_id, StreamNotes(tags=sorted(tags)))
                inventory.marks[slot] = marks
            self.rows[slot] = twin.Row(
                row["first"] // 1000,
                sum(row["bytes"]),
                (
                    SERVICES[row["service"]] or "unknown", PROTOCOLS[row["proto"]],
                    STATUSES[row["status"]], CONTENT_KINDS[row["content"]],
                ),
                frozenset(numbers[each] for each in patterns),
                tags,
                bool(row["marks"] & k.FAVORITE),
            )  # fmt: skip
        told = np.zeros(len(pairs), PAIR)
        for pair, (stream_id, number) in zip(told, pairs, strict=True):
            pair["stream_id"], pair["pattern"], pair["count"] = stream_id, number, 1
        inventory.matches.put(told, inventory.find_all(told["stream_id"]))

    def passing(self, streams: list[dict[str, Any]], wanted: StreamFilter) -> list[twin.Row]:
        return [
            self.rows[slot]
            for slot, row in enumerate(streams)
            if holds(row, wanted) and (wanted.include_hidden or not row["marks"] & k.HIDDEN)
        ]


@settings(max_examples=2 * settings().max_examples)
@given(st.lists(st.tuples(rows(), more_of_a_row), max_size=12), filters, st.integers(1, 512))
def test_overviews_agree_with_a_loop_over_the_rows(
    told: list[Any], given_filter: dict[str, Any], most: int
) -> None:
    streams = [row for row, _ in told]
    whole, wanted = Whole(streams, [more for _, more in told]), StreamFilter(**given_filter)
    passing = whole.passing(streams, wanted)

    found = whole.overviews.timeline(wanted, most)
    count = len(found["streams"])
    assert 1 <= count <= most
    began, octets, earlier, matches = twin.timeline(
        passing, found["start_us"], found["bucket_us"], count
    )
    assert (found["streams"], found["bytes"], found["earlier"]) == (began, octets, earlier)
    assert {one["pattern_id"]: one["counts"] for one in found["matches"]} == matches

    facets = whole.overviews.facets(wanted)
    names, patterns, tags = twin.facets(passing)
    for field, counts in zip(
        ("services", "protocols", "statuses", "content_kinds"), names, strict=True
    ):
        assert {one["name"]: one["count"] for one in facets[field]} == counts
        assert [one["count"] for one in facets[field]] == sorted(counts.values(), reverse=True)
    assert {one["pattern_id"]: one["streams"] for one in facets["patterns"]} == patterns
    assert {one["tag"]: one["streams"] for one in facets["tags"]} == tags
    assert facets["total"] == len(passing)
    assert facets["favorites"] == sum(row.favorite for row in passing)
    assert all(len(one["spark"]) == overview.SPARKS for one in facets["services"])
    assert sum(sum(one["spark"]) for one in facets["services"]) + earlier == len(passing)


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = [ROW | {"first": i * 10**9, "status": i % 2} for i in range(30)]
    whole, wanted = Whole(streams, []), StreamFilter(status=STATUSES[1])
    plain = whole.overviews.timeline(wanted, 10)
    monkeypatch.setattr(query, "BLOCK", 7)
    monkeypatch.setattr(overview, "BLOCK", 7)
    assert whole.overviews.timeline(wanted, 10) == plain
    assert (plain["bucket_us"], sum(plain["streams"])) == (5_000_000, 15)


times = st.integers(-TIMES_MAX, TIMES_MAX)


@given(times, times, st.integers(1, 512))
def test_buckets_cover_their_times(one: int, other: int, most: int) -> None:
    first, last = sorted((one, other))
    for scale in (nice(first, last, most), even(first, last, most)):
        assert scale.start_us <= first
        assert last < scale.start_us + scale.buckets * scale.width_us
        assert 1 <= scale.buckets <= most
    round_one = nice(first, last, most)
    assert most == 1 or round_one.start_us % round_one.width_us == 0


@pytest.mark.parametrize(
    ("seconds", "most", "width_s"),
    [(0, 100, 0.001), (1, 100, 0.02), (100, 120, 1), (3600, 120, 60), (86400, 100, 900),
     (10 * 86400, 5, 5 * 86400)],
)  # fmt: skip
def test_widths_are_round(seconds: int, most: int, width_s: float) -> None:
    assert nice(0, seconds * 10**6, most).width_us == width_s * 10**6


# ----------------------------------------------------------------------------------- kernels
codes_and = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.tuples(*[st.integers(0, (1 << 40) - 1)] * 2),
        st.tuples(*[st.integers(0, 255)] * 4),
    ),
    max_size=20,
)


@given(codes_and, st.integers(0, 7))
def test_streams_are_tallied(told: list[Any], width: int) -> None:
    codes = np.array([code for code, _, _ in told], np.uint16)
    inventory = Inventory(32)
    events = np.zeros(len(told), EVENT)
    for i, (event, (_, octets, (proto, status, content, service))) in enumerate(
        zip(events, told, strict=True)
    ):
        event["stream_id"] = event["row"] = i + 1
        event["bytes"], event["proto"], event["status"] = octets, proto, status
        event["content_kind"][0], event["service"] = content, service
    inventory.merge(0, events)

    streams, sums = np.zeros((2, 7), np.uint64)
    kernels.tally_times(codes, inventory.words(k.WIRE_BYTES), streams, sums)
    assert (streams.tolist(), sums.tolist()) == twin.tally_times(
        codes.tolist(), [octets for _, octets, _ in told], 7
    )

    kinds = np.zeros((3, kernels.VALUES), np.uint64)
    services = np.zeros((kernels.VALUES, width), np.uint64)
    total = kernels.tally_kinds(
        codes, width, inventory.words(k.SMALL), kinds[0], kinds[1], kinds[2], services.reshape(-1)
    )
    wanted = twin.tally_kinds(codes.tolist(), width, [kind for _, _, kind in told])
    assert total == sum(wanted[0].values())
    for counts, expected in zip((*kinds, services), wanted, strict=True):
        found = {tuple(at): int(counts[tuple(at)]) for at in np.argwhere(counts).tolist()}
        assert found == expected


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6), st.sampled_from((0, 1, 2)))),
    st.lists(st.integers(0, 4), min_size=6, max_size=6),
    st.integers(1, 5),
    st.lists(st.integers(1, 9), max_size=4, unique=True),
)
def test_pairs_are_tallied(told: list[Any], codes: list[int], width: int, asked: list[int]) -> None:
    matches = Matches(6, 64, np.zeros(6, np.uint8))
    pairs: dict[tuple[int, int], int] = {}
    for slot, pattern, count in told:  # a count of 0 leaves a free pair behind
        row = np.zeros(1, PAIR)
        row["pattern"], row["count"] = pattern, count
        matches.put(row, np.array([slot]))
        pairs[slot, pattern] = count
    found = matches.tally(asked, np.array(codes, np.uint16), width)
    there = [pair for pair, count in pairs.items() if count]
    wanted = twin.tally_pairs(there, dict(enumerate(codes)), width)
    for pattern, row in zip(asked, found.tolist(), strict=True):
        assert row == [wanted[pattern, code] for code in range(width)]


def test_most_matched_patterns_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "PATTERNS_SHOWN", 2)
    monkeypatch.setattr(overview, "TAGS_SHOWN", 1)
    more = [({2}, {"seen"}), ({0, 2}, {"seen"}), ({0, 1, 2}, {"exploit"}), ({0}, set())]
    whole = Whole([ROW] * 4, more)
    first, _, third = whole.team.patterns.all
    shown = whole.overviews.timeline(StreamFilter(), 5)["matches"]
    assert shown == [{"pattern_id": first, "counts": [3]}, {"pattern_id": third, "counts": [3]}]
    assert whole.overviews.facets(StreamFilter())["tags"] == [{"tag": "seen", "streams": 2}]
