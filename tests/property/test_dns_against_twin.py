"""`parse_dns` and its twin agree on any octets, however they are cut, with gaps between them."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.columns import SERVICES
from tests.messages import TCP, UDP, Row, Said, conversation, parsed, rows
from tests.reference import dns
from tests.shard_harness import ShardRun, small

LABELS = (b"\x07example", b"\x03com", b"\x01a", b"\x04A.b\\", b"\x02\xff\x00", b"\x3f" + b"x" * 63)
NAMES = st.lists(st.sampled_from(LABELS), max_size=6).map(lambda labels: b"".join(labels) + b"\0")
POINTERS: st.SearchStrategy[bytes] = st.sampled_from(
    (b"\xc0\x0c", b"\xc0\x0d", b"\xc0\xff", b"\xff\xff", b"\xc0\x00", b"\xc0")
)


@st.composite
def questions(draw: st.DrawFn) -> bytes:
    name = draw(NAMES | st.tuples(NAMES, POINTERS).map(lambda both: both[0][:-1] + both[1]))
    kind = draw(st.sampled_from((1, 28, 12, 41, 65, 257, 258, 300, 65535, 0)))
    return bytes(name) + kind.to_bytes(2, "big") + b"\0\1"


@st.composite
def records(draw: st.DrawFn) -> bytes:
    data = draw(st.binary(max_size=12))
    length = len(data) + draw(st.sampled_from((0,) * 8 + (1, 60000)))
    owner: bytes = draw(questions())
    return bytes(owner + bytes(4) + length.to_bytes(2, "big") + data)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Nearly a message: its counts may be wrong, its end may be missing, octets may be others."""
    asked, told = draw(st.lists(questions(), max_size=2)), draw(st.lists(records(), max_size=3))
    flags = draw(st.sampled_from((0x0100, 0x8180, 0x8183, 0x2800, 0xA805, 0x2000, 0x3000))
                 | st.integers(0, 65535))  # fmt: skip
    counts = [len(asked), len(told), 0, 0]
    if draw(st.integers(0, 5)) == 0:
        counts[draw(st.integers(0, 3))] = draw(st.sampled_from((0, 1, 5, 300, 65535)))
    identity = draw(st.sampled_from((0, 1, 2, 65535)))
    octets = b"".join(number.to_bytes(2, "big") for number in (identity, flags, *counts))
    octets += b"".join(asked + told)
    return octets[: draw(st.integers(0, len(octets)))] if draw(st.integers(0, 5)) == 0 else octets


def same(row: Row, found: dns.Found) -> bool:
    return row.protocol == "dns" and (
        row.start, row.end, row.header_end, row.kind, row.code, row.value, row.status, row.note,
        row.gap, row.summary, row.name,
    ) == (
        found.start, found.end, found.end if found.note != "end_of_stream" else row.header_end,
        found.kind, found.code, found.value, found.status, found.note, found.gap,
        found.summary, found.name,
    )  # fmt: skip


def assert_same(told: Sequence[Row], twin: Sequence[dns.Found]) -> None:
    for row, found in zip(told, twin, strict=True):
        assert same(row, found), (row, found)


def assert_pairs(told: Sequence[Row], twins: dict[tuple[int, int], dns.Found]) -> None:
    """Each response's pair; a request was perhaps told before its answer came."""
    said = [(row.side, twins[row.side, row.start]) for row in told]
    for row, pair in zip(told, dns.parse_dns(said), strict=True):
        assert row.pair == pair or (row.pair is None and row.kind == "request"), row


@pytest.mark.property
@given(
    st.lists(
        st.tuples(st.integers(0, 1), messages() | st.binary(min_size=1, max_size=40)), max_size=9
    ),
    st.sets(st.integers(1, 9)),
    st.sampled_from((53, 5353, 5355)),
)
def test_datagrams(pieces: list[tuple[int, bytes]], cuts: set[int], port: int) -> None:
    said = [Said(side, octets) for side, octets in pieces if octets]
    run = ShardRun()
    told = parsed(conversation(said, port, UDP), cuts, run)
    if run.final() and next(iter(run.final().values()))["service"] not in ("dns", "mdns"):
        return  # the octets told of another service
    at, starts = [0, 0], []
    for one in said:
        starts.append((one.side, at[one.side], one.octets))
        at[one.side] += len(one.octets)
    twin = dns.datagrams([(start, octets) for _, start, octets in starts])
    assert_same(told, twin)
    by_start = {(side, start): dns.datagram(start, octets) for side, start, octets in starts}
    assert_pairs(told, by_start)


@st.composite
def directions(draw: st.DrawFn) -> list[Said]:
    """Both sides' messages with their lengths, cut anywhere, with holes."""
    said = []
    for side in draw(st.lists(st.integers(0, 1), max_size=8)):
        body = draw(messages())
        length = len(body) + draw(st.sampled_from((0,) * 12 + (-1, 1, 40)))
        whole = max(0, length).to_bytes(2, "big") + body
        edges = sorted({0, len(whole), *draw(st.sets(st.integers(0, len(whole)), max_size=3))})
        for low, high in itertools.pairwise(edges):
            lost = draw(st.sampled_from((0,) * 8 + (1, 7, 300)))
            said.append(Said(side, whole[low:high], lost))
    return said


@pytest.mark.property
@given(
    directions() | st.lists(st.builds(Said, st.integers(0, 1), st.binary(min_size=1)), max_size=5),
    st.sets(st.integers(1, 40)),
    st.booleans(),
)
def test_tcp(said: list[Said], cuts: set[int], opened: bool) -> None:
    run = ShardRun(small(max_parser_messages_per_chunk=10_000))
    run.take_in_batches(conversation(said, 53, TCP, opened), cuts)
    if SERVICES[run.tables.flows[0]["service"]] != "dns":
        return  # the octets told of another service
    run.finish()
    told = rows(run)
    twins: dict[tuple[int, int], dns.Found] = {}
    for side in (0, 1):
        octets: list[int | None] = []
        for one in said:
            if one.side == side:
                octets += [*one.octets, *[None] * one.lost]
        mine = [row for row in told if row.side == side]
        twin = dns.direction(octets, opened)
        twins |= {(side, found.start): found for found in twin}
        if any(not row.kind for row in told if row.side != side):
            twin = [found for found in twin if found.kind or not any(not row.kind for row in told
                    if row.side != side)]  # fmt: skip
            mine = [row for row in mine if row.kind]
        assert_same(mine, twin)
    assert_pairs(told, twins)
