"""`parse_tls` and its twin agree on any octets, however they are cut, with gaps between them."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.columns import SERVICES
from tests.messages import TCP, Row, Said, conversation, rows
from tests.reference import tls
from tests.shard_harness import ShardRun, small
from tests.tls_octets import record, vector

VERSIONS = st.sampled_from((0x0304, 0x0303, 0x0300, 0x7F17, 0x7F00, 0x7A7A, 0x0A0A, 0x0203, 0))
NUMBERS = VERSIONS.map(lambda version: version.to_bytes(2, "big"))
HOSTS = st.sampled_from((b"example.com", b"A.Example", b"", b"\xff\\x \0", b"h" * 300))
SERVER_NAMES = st.builds(
    lambda kind, host: vector(2, bytes([kind]) + vector(2, host)), st.sampled_from((0, 0, 1)), HOSTS
)


@st.composite
def extensions(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from((0, 0, 43, 43, 16, 65281)))
    lists = st.lists(NUMBERS, max_size=5).map(lambda them: vector(1, b"".join(them)))
    data = draw({0: SERVER_NAMES, 43: lists | NUMBERS}.get(kind, st.binary(max_size=5)))
    if draw(st.integers(0, 9)) == 0:
        data = draw(st.binary(max_size=6))
    return kind.to_bytes(2, "big") + vector(2, data)


@st.composite
def hellos(draw: st.DrawFn) -> bytes:
    """A ClientHello or ServerHello, with its header."""
    kind = draw(st.sampled_from((1, 2)))
    random = draw(st.sampled_from((bytes(32), tls.RETRY)))
    body = draw(st.sampled_from((b"\3\3", b"\3\1", b"\x7f\x12"))) + random
    if kind == 1:
        body += (
            vector(1, b"s" * draw(st.sampled_from((0, 32))))
            + vector(2, b"\x13\1")
            + vector(1, b"\0")
        )
    else:
        body += b"\x13\2" if body[0] == 0x7F else vector(1, b"") + b"\x13\2\0"
    listed = b"".join(draw(st.lists(extensions(), max_size=4)))
    body += draw(
        st.sampled_from((vector(2, listed), vector(2, listed), b"", vector(2, listed) + b"x"))
    )
    if draw(st.integers(0, 9)) == 0:
        body = body[: draw(st.integers(0, len(body)))]
    return bytes([kind]) + vector(3, body)


@st.composite
def handshakes(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from((11, 11, 14, 0, 20, 67, 99, 32)))
    octets = bytes([kind]) + vector(3, draw(st.binary(max_size=60)))
    return octets[:3] + b"\x7f" + octets[4:] if draw(st.integers(0, 15)) == 0 else octets


@st.composite
def in_records(draw: st.DrawFn) -> bytes:
    """Handshake messages, cut into records."""
    octets = b"".join(draw(st.lists(hellos() | handshakes(), min_size=1, max_size=4)))
    edges = sorted({0, len(octets), *draw(st.sets(st.integers(0, len(octets)), max_size=3))})
    version = draw(st.sampled_from((b"\3\1", b"\3\3")))
    return b"".join(
        record(22, octets[low:high], version) for low, high in itertools.pairwise(edges)
    )


ALERTS = st.builds(
    lambda level, about, more: record(21, bytes([level, about]) + more),
    st.sampled_from((1, 2, 2, 9)), st.sampled_from((0, 40, 48, 255)),
    st.sampled_from((b"", b"", b"", b"\0" * 24)),
)  # fmt: skip
SSL2 = st.builds(
    lambda version, size: (0x8000 | size).to_bytes(2, "big") + b"\1" + version + bytes(size - 3),
    st.sampled_from((b"\3\1", b"\0\2", b"\5\5")), st.sampled_from((9, 40, 8)),
)  # fmt: skip
OTHERS = st.sampled_from(
    (record(20, b"\1"), record(20, b"\1"), record(24, b"beat"), record(23, b"secret"),
     record(20, b""), record(20, b"12"), record(22, b""), record(25, b"x"),
     record(22, b"\1", b"\4\0"), b"\x16\3\3\xff\xff", b"GET / HTTP/1.1\r\n", record(23, b""),
     record(22, b"\x20" * 40))
)  # fmt: skip


@st.composite
def directions(draw: st.DrawFn) -> list[Said]:
    """Both sides' records, cut anywhere, with holes."""
    said = []
    for side in draw(st.lists(st.integers(0, 1), max_size=8)):
        whole = draw(in_records() | in_records() | ALERTS | OTHERS | SSL2)
        edges = sorted({0, len(whole), *draw(st.sets(st.integers(0, len(whole)), max_size=4))})
        for low, high in itertools.pairwise(edges):
            lost = draw(st.sampled_from((0,) * 12 + (1, 7, 300)))
            instead = draw(st.booleans())  # the gap takes the place of octets, or comes between
            octets = whole[low : max(low, high - lost)] if instead else whole[low:high]
            lost = min(lost, high - low) if instead else lost
            if octets or lost:
                said.append(Said(side, octets, lost))
    return said


def assert_same(told: Sequence[Row], twin: Sequence[tls.Found]) -> None:
    for row, found in zip(told, twin, strict=True):
        ended = found.note == "end_of_stream"
        assert row.protocol == "tls"
        assert (
            row.start, row.end, row.kind, row.code, row.value, row.status, row.note, row.gap,
            row.summary, row.name,
        ) == (
            found.start, found.end, found.kind, found.code, found.value, found.status, found.note,
            found.gap, found.summary, found.name,
        )  # fmt: skip
        assert ended or row.header_end == row.end


@pytest.mark.property
@given(
    directions() | st.lists(st.builds(Said, st.integers(0, 1), st.binary(min_size=1)), max_size=5),
    st.sets(st.integers(1, 40)),
    st.booleans(),
)
def test_tls(said: list[Said], cuts: set[int], opened: bool) -> None:
    run = ShardRun(small(max_parser_messages_per_chunk=10_000))
    packets = conversation(said, 443, TCP, opened)
    run.take_in_batches(packets, cuts)
    if SERVICES[run.tables.flows[0]["service"]] != "https":
        return  # the octets told of another service
    run.finish()
    told = rows(run)
    for side in (0, 1):
        octets: list[int | None] = []
        for one in said:
            if one.side == side:
                octets += [*one.octets, *[None] * one.lost]
        assert_same([row for row in told if row.side == side], tls.parse_tls(octets, opened))
