"""Any filter gives what a loop over the rows gives; pages join to the whole in both orders."""

import ipaddress
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from services.coordinator import query, text, view
from services.coordinator.conditions import BadValueError
from services.coordinator.kernels import inventory as k
from services.coordinator.query import Queries
from services.coordinator.team import Team
from services.coordinator.view import Inventory
from shared.columns import CONTENT_KINDS, EVENT, PREVIEW, PROTOCOLS, SERVICES, STATUSES
from shared.schema import StreamFilter, StreamsQuery
from tests.reference import jsonl_lines, text_search

pytestmark = pytest.mark.property
ADDRESSES = ("10.0.0.1", "10.0.0.129", "10.1.0.1", "192.0.2.1", "::1", "fe80::1", "2001:db8::5")
TEXTS = (
    b"",
    b"GET /flag HTTP/1.1",
    b"POST /Login",
    b"\x16\x03\x01\0",
    b"flag{x}",
    b"exam\0ple\xff",
)
SECOND = 10**9


PIECES = ("", "flag", "LOGIN", "get /", "\x16", "mple", "no", "exam.ple", "sam.ple", ".")


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    family = draw(st.sampled_from((4, 6)))
    ends = [text for text in ADDRESSES if ipaddress.ip_address(text).version == family]
    first = draw(st.integers(0, 50)) * SECOND
    return {
        "family": family,
        "addr": draw(st.tuples(st.sampled_from(ends), st.sampled_from(ends))),
        "port": draw(st.tuples(st.sampled_from((80, 53, 4444)), st.integers(1, 3))),
        "proto": draw(st.sampled_from(list(PROTOCOLS))),
        "status": draw(st.integers(0, len(STATUSES) - 1)),
        "service": draw(st.integers(0, 6)),
        "content": draw(st.integers(0, 3)),
        "bytes": draw(st.tuples(st.integers(0, 900), st.integers(0, 900))),
        "first": first,
        "last": first + draw(st.integers(0, 20)) * SECOND,
        "preview": draw(st.tuples(st.sampled_from(TEXTS), st.sampled_from(TEXTS))),
        "marks": draw(st.sampled_from((0, 0, 0, k.FAVORITE, k.HIDDEN, k.FAVORITE | k.HIDDEN))),
    }


def queries(inventory: Inventory) -> Queries:
    return Queries(inventory, Team(inventory))


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


filters = st.fixed_dictionaries(
    {},
    optional={
        "only_favorites": st.booleans(),
        "only_matched": st.just(False),
        "include_hidden": st.booleans(),
        "protocol": optional(st.sampled_from(list(PROTOCOLS.values()))),
        "service": optional(st.sampled_from([name or "unknown" for name in SERVICES[:7]])),
        "port": optional(st.sampled_from((80, 53, 4444, 1, 9))),
        "addr": optional(
            st.sampled_from(
                ("10.0.0.0/24", "10.0.0.128/25", "10.0.0.1", "0.0.0.0/0", "::/0", "fe80::/10",
                 "2001:db8::/96", "::1", "10.0.0.1/8")
            )
        ),
        "content_kind": optional(st.sampled_from(CONTENT_KINDS)),
        "status": optional(st.sampled_from(STATUSES)),
        "min_bytes": optional(st.integers(0, 2000)),
        "max_bytes": optional(st.integers(0, 2000)),
        "since_us": optional(st.integers(-5, 60).map(lambda s: s * 10**6)),
        "until_us": optional(st.integers(-5, 60).map(lambda s: s * 10**6)),
        "text": optional(st.sampled_from(PIECES)),
    },
)  # fmt: skip


def filled(streams: list[dict[str, Any]], capacity: int = 32) -> Inventory:
    inventory = Inventory(capacity)
    for number, row in enumerate(streams, 1):
        enter(inventory, number, row)
    return inventory


def enter(inventory: Inventory, number: int, row: dict[str, Any]) -> None:
    event = np.zeros(1, EVENT)
    event["stream_id"], event["row"] = number * 0x9E3779B97F4A7C15 % (1 << 64), number
    for name in ("family", "proto", "status", "service", "bytes"):
        event[name] = row[name]
    event["content_kind"] = [[row["content"], 0, 0]]
    event["first_ns"], event["last_ns"] = row["first"], row["last"]
    for end, addr, port in zip("ab", row["addr"], row["port"], strict=True):
        ip = int(ipaddress.ip_address(addr))
        event[f"addr_{end}_hi"], event[f"addr_{end}_lo"] = ip >> 64, ip & (1 << 64) - 1
        event[f"port_{end}"] = port
    pieces = np.zeros(2, PREVIEW)
    a, b = row["preview"]
    pieces["row"], pieces["dir"] = number, (0, 1)
    pieces["off"], pieces["len"] = (0, len(a)), (len(a), len(b))
    inventory.merge(0, event, pieces, np.frombuffer(a + b, np.uint8))
    inventory.marks[inventory.find(int(event["stream_id"][0]))] |= np.uint8(row["marks"])


def holds(row: dict[str, Any], wanted: StreamFilter) -> bool:
    """What a filter says of one row, in words of the row."""
    size = sum(row["bytes"])
    checks: list[tuple[Any, Any]] = [
        (wanted.only_favorites or None, bool(row["marks"] & k.FAVORITE)),
        (wanted.only_matched or None, False),
        (wanted.protocol, PROTOCOLS[row["proto"]] == wanted.protocol),
        (wanted.service, (SERVICES[row["service"]] or "unknown") == wanted.service),
        (wanted.port, wanted.port in row["port"]),
        (wanted.content_kind, CONTENT_KINDS[row["content"]] == wanted.content_kind),
        (wanted.status, STATUSES[row["status"]] == wanted.status),
        (wanted.min_bytes, size >= (wanted.min_bytes or 0)),
        (wanted.max_bytes, size <= (wanted.max_bytes or 0)),
        (wanted.since_us, row["last"] // 1000 >= (wanted.since_us or 0)),
        (wanted.until_us, row["first"] // 1000 <= (wanted.until_us or 0)),
    ]
    if wanted.addr is not None:
        block = ipaddress.ip_network(wanted.addr, strict=False)
        inside = any(ipaddress.ip_address(addr) in block for addr in row["addr"])
        checks.append((wanted.addr, inside))
    if wanted.text:
        texts = [wanted.text]
        if SERVICES[row["service"]] == "dns":  # whose names have no dots as they are sent
            texts.append(wanted.text.replace(".", ""))
        found = [text_search.search_text([row["preview"]], each.encode())[0] for each in texts]
        checks.append((1, any(found)))
    return all(held for given, held in checks if given is not None)


def numbers(inventory: Inventory, wanted: StreamFilter, order: str, limit: int) -> list[int]:
    """All pages, one after the other."""
    result: list[int] = []
    cursor = None
    while True:
        found = queries(inventory).page(
            StreamsQuery(filter=wanted, order=order, limit=limit, cursor=cursor),  # type: ignore[arg-type]
        )
        result += inventory.number[found.slots].tolist()
        cursor = found.next_cursor
        if cursor is None:
            return result
        assert found.slots.size == limit


@settings(max_examples=2 * settings().max_examples)
@given(st.lists(rows(), max_size=12), filters, st.integers(1, 5))
def test_a_filter_gives_what_a_loop_over_the_rows_gives(
    streams: list[dict[str, Any]], given_filter: dict[str, Any], limit: int
) -> None:
    inventory, wanted = filled(streams), StreamFilter(**given_filter)
    matching = {i: row for i, row in enumerate(streams, 1) if holds(row, wanted)}
    hidden = [i for i, row in matching.items() if row["marks"] & k.HIDDEN]
    hidden = [] if wanted.include_hidden else hidden
    shown = [i for i in matching if i not in hidden]
    first = queries(inventory).page(StreamsQuery(filter=wanted, limit=limit))
    assert (first.total, first.hidden) == (len(shown), len(hidden))
    assert numbers(inventory, wanted, "oldest", limit) == shown
    assert numbers(inventory, wanted, "newest", limit) == shown[::-1]


@settings(deadline=None)
@given(
    st.lists(rows(), max_size=9),
    filters,
    st.sampled_from(("newest", "oldest")),
    optional(st.integers(0, 11)),
    st.integers(0, 11),
    st.integers(1, 4),
)
def test_a_page_can_begin_anywhere(
    streams: list[dict[str, Any]],
    given_filter: dict[str, Any],
    order: Any,
    cursor: int | None,
    offset: int,
    limit: int,
) -> None:
    inventory, wanted = filled(streams), StreamFilter(**given_filter)
    shown = numbers(inventory, wanted, order, 512)
    page = queries(inventory).page(
        StreamsQuery(filter=wanted, order=order, limit=limit, cursor=cursor, offset=offset)
    )
    passed = [
        cursor is not None and (number >= cursor if order == "newest" else number <= cursor)
        for number in shown
    ]
    begin = min(sum(passed) + offset, len(shown))
    assert inventory.number[page.slots].tolist() == shown[begin : begin + limit]
    assert page.before == begin
    assert (page.next_cursor is None) == (begin + limit >= len(shown))


@given(
    st.lists(rows(), max_size=9),
    st.lists(st.one_of(st.integers(1, 9), st.integers(0, 2**64 - 1)), max_size=12),
    optional(st.sampled_from(list(PROTOCOLS.values()))),
)
def test_streams_that_are_named(
    streams: list[dict[str, Any]], named: list[int], protocol: str | None
) -> None:
    inventory = filled(streams)
    ids = inventory.columns["stream_id"][: inventory.used].tolist()
    wanted_ids = [ids[at - 1] if 1 <= at <= len(ids) else at for at in named]
    among = np.array(wanted_ids, "<u8").tobytes()
    wanted = StreamFilter(among=among, protocol=protocol, include_hidden=True)
    expected = [
        i
        for i, row in enumerate(streams, 1)
        if ids[i - 1] in wanted_ids and protocol in (None, PROTOCOLS[row["proto"]])
    ]
    assert numbers(inventory, wanted, "oldest", 4) == expected


@settings(deadline=None)
@given(st.lists(rows(), min_size=2, max_size=8), rows(), st.integers(1, 4))
def test_a_page_stays_where_it_is_when_streams_come_in(
    streams: list[dict[str, Any]], late: dict[str, Any], limit: int
) -> None:
    inventory, wanted = filled(streams), StreamFilter(include_hidden=True)
    first = queries(inventory).page(StreamsQuery(filter=wanted, limit=limit))
    enter(inventory, len(streams) + 1, late)
    if first.next_cursor is not None:
        rest = queries(inventory).page(
            StreamsQuery(filter=wanted, limit=512, cursor=first.next_cursor)
        )
        seen = inventory.number[np.concatenate([first.slots, rest.slots])].tolist()
        assert seen == list(range(len(streams), 0, -1))


@settings(deadline=None)
@given(st.lists(rows(), min_size=1, max_size=20), st.integers(1, 8), st.integers(1, 3))
def test_order_holds_when_the_oldest_had_to_go_and_favourites_stayed(
    streams: list[dict[str, Any]], capacity: int, limit: int
) -> None:
    inventory = filled(streams, capacity)
    wanted = StreamFilter(include_hidden=True)
    newest = numbers(inventory, wanted, "newest", limit)
    assert newest == sorted(newest, reverse=True)
    assert newest[::-1] == numbers(inventory, wanted, "oldest", limit)
    assert len(newest) == min(capacity, len(streams))


def test_blocks_and_threads_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    row: dict[str, Any] = {
        "family": 4, "addr": ("10.0.0.1", "10.0.0.129"), "port": (80, 1), "proto": 6, "status": 0,
        "service": 1, "content": 1, "bytes": (1, 1), "first": 0, "last": 0, "marks": 0,
        "preview": (b"needle", b""),
    }  # fmt: skip
    streams = [row | {"preview": (b"hay" if i % 3 else b"needle", b"")} for i in range(40)]
    inventory, wanted = filled(streams, 40), StreamFilter(text="needle", protocol="tcp")
    plain = queries(inventory).matching(wanted)
    monkeypatch.setattr(query, "BLOCK", 7)
    monkeypatch.setattr(text, "SHARE_FROM", 1)
    monkeypatch.setattr(text, "SEARCH_THREADS", 2)
    text.searchers.cache_clear()
    assert queries(inventory).matching(wanted).tolist() == plain.tolist()
    text.searchers().shutdown()
    text.searchers.cache_clear()
    assert plain.sum() == 14


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(rows(), min_size=1, max_size=20),
    st.integers(1, 20),
    st.integers(0, 22),
    st.integers(0, 22),
    st.booleans(),
    st.integers(1, 5),
)
def test_a_window_is_a_piece_of_the_whole_order(
    monkeypatch: pytest.MonkeyPatch,
    streams: list[dict[str, Any]],
    capacity: int,
    skip: int,
    most: int,
    newest: bool,
    block: int,
) -> None:
    monkeypatch.setattr(view, "BLOCK", block)
    inventory = filled(streams, capacity)
    mask = inventory.columns["status"][: inventory.used] < 3
    whole = inventory.in_order(mask)[:: -1 if newest else 1]
    assert inventory.window(mask, skip, most, newest).tolist() == whole[skip : skip + most].tolist()


@pytest.mark.parametrize(
    ("field", "value", "hint"),
    [("protocol", "sctp", "tcp"), ("service", "gopher", "http"), ("status", "gone", "open"),
     ("content_kind", "music", "text"), ("addr", "10.0.0.0/99", "10.0.0.0/8"),
     ("addr", "example.com", "fe80::/10"), ("addr", "", "10.1.2.3")],
)  # fmt: skip
def test_a_value_that_means_nothing_is_told_with_a_hint(field: str, value: str, hint: str) -> None:
    with pytest.raises(BadValueError) as caught:
        queries(Inventory(4)).page(StreamsQuery(filter=StreamFilter(**{field: value})))  # type: ignore[arg-type]
    assert hint in caught.value.hint


@settings(deadline=None)
@given(
    st.integers(1, 6),
    st.lists(
        st.tuples(
            rows(),
            st.sampled_from(("f", "fl", "flag", "LOGIN", "get", "g", "x}", "mpl")),
            optional(st.sampled_from(("tcp", "udp"))),
        ),
        min_size=1,
        max_size=14,
    ),
)
def test_what_is_remembered_of_a_text_is_what_is_there(
    capacity: int, steps: list[tuple[dict[str, Any], str, str | None]]
) -> None:
    inventory = Inventory(capacity)
    remembering = queries(inventory)
    for number, (row, wanted, protocol) in enumerate(steps):
        enter(inventory, number // 2, row)  # every second step changes a stream that is there
        given_filter = StreamFilter(text=wanted, protocol=protocol)
        before = inventory.marks.copy()
        found = remembering.matching(given_filter)
        inventory.marks[:] = before
        fresh = queries(inventory).matching(given_filter)
        remembering.matching(given_filter)
        assert found.tolist() == fresh.tolist()


any_value = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text())


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(list(StreamFilter.model_fields)), any_value), any_value)
def test_no_value_is_a_fault(values: dict[str, Any], cursor: Any) -> None:
    inventory: Inventory = filled([])
    try:
        found = queries(inventory).page(
            StreamsQuery.model_validate({"filter": values, "cursor": cursor})
        )
    except (BadValueError, ValidationError):
        return
    assert found.total == 0
    assert isinstance(found.slots, np.ndarray)


def test_rows_are_whole() -> None:
    """What goes in as EVENT comes out as EVENT."""
    event: NDArray[np.void] = np.frombuffer(bytes(range(1, 185)), EVENT).copy()
    event["row"], event["shard"], event["pad"], event["kind"] = 3, 0, 0, 1
    inventory = Inventory(4)
    inventory.merge(0, event)
    kept, _, _ = inventory.rows(np.array([0]))
    assert jsonl_lines.line(kept[0]) == jsonl_lines.line(event[0])
