"""Streams in which TLS begins: the kernels find it where the twin does, and what the twin finds."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.messages import Said, conversation, rows
from tests.property.test_tls_against_twin import assert_same
from tests.reference import tls
from tests.reference.tunnels import Tunnel
from tests.shard_harness import ShardRun
from tests.tls_octets import client_hello, named_hello, record, server_hello

BEFORE = [Said(1, b"220 mx ESMTP\r\n"), Said(0, b"EHLO me\r\n")]
HELLO = named_hello(b"mail.example.org")
TURNS = st.sampled_from(
    (HELLO, HELLO, record(22, server_hello()), record(22, server_hello()), b"STARTTLS\r\n",
     record(22, client_hello(version=b"\3\1")), record(22, server_hello() + b"\x0e\0\0\0"),
     b"\x16", b"\x16\3\1\0\x20\2" + bytes(40), b"\x16\3\5\0\x20\1\0\0\1\3\3", HELLO[:9], HELLO[:40],
     b"DATA\r\n" + HELLO, record(20, b"\1"), record(23, b"secret"), b"\x80\x2e\1\3\1" + bytes(43))
)  # fmt: skip


@st.composite
def conversations(draw: st.DrawFn) -> list[Said]:
    """Turns of both sides, cut anywhere, with holes."""
    said = list(BEFORE)
    for side, whole in draw(st.lists(st.tuples(st.integers(0, 1), TURNS), max_size=8)):
        edges = sorted({0, len(whole), *draw(st.sets(st.integers(1, len(whole)), max_size=3))})
        for low, high in itertools.pairwise(edges):
            lost = draw(st.sampled_from((0,) * 15 + (1, 300)))
            said.append(Said(side, whole[low:high], lost))
    return said


def offsets(said: list[Said]) -> list[int]:
    """Where each piece begins in its direction."""
    ends, found = [0, 0], []
    for one in said:
        found.append(ends[one.side])
        ends[one.side] += len(one.octets) + one.lost
    return found


def octets_of(said: list[Said], side: int) -> list[int | None]:
    mine = (one for one in said if one.side == side)
    return [octet for one in mine for octet in (*one.octets, *[None] * one.lost)]


@pytest.mark.property
@given(conversations(), st.sets(st.integers(1, 40)))
def test_tls_that_begins_late(said: list[Said], cuts: set[int]) -> None:
    run = ShardRun()
    run.take_in_batches(conversation(said, 25), cuts)
    run.finish()
    told, tunnel = rows(run), Tunnel((0, 0))
    for at, one in zip(offsets(said), said, strict=True):
        tunnel.take(one.side, at, one.octets)
    if not tunnel.found:
        assert told == []
        return
    for side in (0, 1):
        first = side == tunnel.side
        start = tunnel.at if first else tunnel.fed[side]
        twin = tls.parse_tls(octets_of(said, side), first, start)
        assert_same([row for row in told if row.side == side], twin)
