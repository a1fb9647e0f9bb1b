"""Hide rules against a plain predicate: whatever changes, hidden is what a rule or a hand says."""

import ipaddress
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.coordinator import rules as coordinator_rules
from services.coordinator.kernels.inventory import HIDDEN
from shared.columns import CONTENT_KINDS, STATUSES
from tests.team_site import TeamSite, pairs_of

pytestmark = pytest.mark.property
IDS, PATTERNS, TAGS = range(1, 7), (1, 2), ("red", "blue")

streams = st.fixed_dictionaries(
    {
        "id": st.sampled_from(IDS),
        "service": st.sampled_from(("", "http", "dns")),
        "protocol": st.sampled_from(("tcp", "udp")),
        "port_a": st.sampled_from((53, 80, 4000)),
        "port_b": st.sampled_from((53, 80, 4000)),
        "addr_a_lo": st.sampled_from((0x0A000001, 0x0A010001)),
        "addr_b_lo": st.sampled_from((0x0A000001, 0xC0000201)),
        "status": st.integers(0, 2),
        "content_kind": st.integers(0, 3).map(lambda kind: (kind, 0, 0)),
    }
)
rules = st.one_of(
    st.tuples(st.just("stream"), st.sampled_from(IDS).map(lambda i: f"{i:016x}")),
    st.tuples(st.just("service"), st.sampled_from(("http", "dns", "unknown"))),
    st.tuples(st.just("protocol"), st.sampled_from(("tcp", "udp"))),
    st.tuples(st.just("port"), st.sampled_from((53, "80", 9))),
    st.tuples(st.just("addr"), st.sampled_from(("10.0.0.0/16", "192.0.2.1", "::/0"))),
    st.tuples(st.just("status"), st.sampled_from(STATUSES[:3])),
    st.tuples(st.just("content_kind"), st.sampled_from(CONTENT_KINDS)),
    st.tuples(st.just("pattern"), st.sampled_from((*PATTERNS, "2"))),
    st.tuples(st.just("tag"), st.sampled_from(("red", "BLUE "))),
)
ids, patterns = st.sampled_from(IDS), st.sampled_from(PATTERNS)
tags = st.lists(st.sampled_from(TAGS), max_size=2)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("tell"), st.lists(streams, min_size=1, max_size=3)),
        st.tuples(st.just("rule"), rules),
        st.tuples(st.just("match"), ids, patterns, st.integers(0, 2)),
        st.tuples(st.just("tag"), ids, tags),
        st.tuples(st.just("hand"), ids, st.booleans()),
        st.tuples(st.just("switch"), st.integers(0, 5), st.booleans()),
        st.tuples(st.just("remove"), st.integers(0, 5)),
    ),
    max_size=14,
)


class Twin:
    """The same in words of dicts."""

    def __init__(self) -> None:
        self.streams: dict[int, dict[str, Any]] = {}
        self.counts: dict[tuple[int, int], int] = {}
        self.tags: dict[int, list[str]] = {}
        self.by_hand: dict[int, bool] = {}

    def hits(self, stream: dict[str, Any], kind: str, value: str) -> bool:
        if kind == "addr":
            block = ipaddress.ip_network(value)
            ends = (ipaddress.IPv4Address(stream[f"addr_{end}_lo"]) for end in "ab")
            return any(end in block for end in ends)
        of: dict[str, list[str]] = {
            "stream": [f"{stream['id']:016x}"],
            "service": [stream["service"] or "unknown"],
            "protocol": [stream["protocol"]],
            "port": [str(stream["port_a"]), str(stream["port_b"])],
            "status": [STATUSES[stream["status"]]],
            "content_kind": [CONTENT_KINDS[stream["content_kind"][0]]],
            "pattern": [str(p) for p in PATTERNS if self.counts.get((stream["id"], p))],
            "tag": self.tags.get(stream["id"], []),
        }
        return value.strip().lower() in of[kind]

    def why(self, stream: int, active: Sequence[tuple[int, str, str]]) -> str | None:
        """hidden_reason."""
        if stream in self.by_hand:
            return "hidden by hand" if self.by_hand[stream] else None
        for number, kind, value in active:
            if self.hits(self.streams[stream], kind, value):
                return f"rule {number}: {kind} {value}"
        return None


@given(steps)
def test_a_stream_is_hidden_when_a_rule_says_so(told: list[Any]) -> None:
    site, twin = TeamSite(), Twin()
    for pattern in PATTERNS:
        site.look_for(f"pattern {pattern}")
    for step, *values in told:
        act(site, twin, step, values)
        listed = site.team.rules.all.values()
        active = [(rule.id, rule.kind, str(rule.value)) for rule in listed if rule.enabled]
        for stream in twin.streams:
            reason = twin.why(stream, active)
            assert site.extras(stream).get("hidden_reason") == reason
            assert bool(site.marked(stream) & HIDDEN) == (reason is not None)
        hidden = {stream for stream in twin.streams if twin.why(stream, active)}
        assert set(site.shown()) == twin.streams.keys() - hidden
        assert set(site.shown(include_hidden=True)) == twin.streams.keys()


def act(site: TeamSite, twin: Twin, step: str, values: list[Any]) -> None:
    numbers = list(site.team.rules.all)
    if step == "tell":
        twin.streams |= {stream["id"]: stream for stream in values[0]}
        site.tell(*values[0])
    elif step == "rule":
        site.hide(*values[0])
    elif step == "match":
        if values[0] in twin.streams:
            twin.counts[values[0], values[1]] = values[2]
        site.tell(pairs=pairs_of(tuple(values)))
    elif step == "switch" and values[0] < len(numbers):
        site.team.rules.change(numbers[values[0]], values[1])
    elif step == "remove" and values[0] < len(numbers):
        site.team.rules.remove(numbers[values[0]])
    elif step in ("tag", "hand") and values[0] in twin.streams:
        note(site, twin, step, *values)


def note(site: TeamSite, twin: Twin, step: str, stream: int, value: Any) -> None:
    if step == "tag":
        twin.tags[stream] = value
        site.note(stream, tags=value)
        return
    site.note(stream, hidden=value)
    twin.by_hand.pop(stream, None)
    ruled = [(r.id, r.kind, str(r.value)) for r in site.team.rules.all.values() if r.enabled]
    if value or twin.why(stream, ruled):
        twin.by_hand[stream] = value


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator_rules, "BLOCK", 3)
    site = TeamSite()
    site.tell(*({"id": i, "service": "dns" if i % 2 else "http"} for i in range(1, 11)))
    number = site.hide("service", "dns")
    assert site.shown() == [2, 4, 6, 8, 10]
    site.team.rules.change(number, enabled=False)
    assert np.count_nonzero(site.inventory.marks & HIDDEN) == 0


def test_a_rule_of_a_pattern_that_never_was_hides_nothing() -> None:
    site = TeamSite()
    site.tell({"id": 1}, {"id": 2})
    site.look_for("gone"), site.look_for("here")
    site.tell(pairs=pairs_of((1, 1, 1), (2, 2, 1)))
    site.team.patterns.remove(1)  # leaves a place in the table of matches
    for number in (0, 1, (1 << 31) - 1):
        site.hide("pattern", number)
    assert site.shown() == [1, 2]
    site.hide("pattern", 2)
    assert site.shown() == [1]
