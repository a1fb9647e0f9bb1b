"""IP reassembly: any order, duplicates, overlaps, bounds; and a batch whose datagrams complete."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.capture.fragments import (
    DATAGRAM_MAX,
    PIECE_OVERHEAD,
    Completed,
    FragmentCounters,
    Reassembler,
    reassemble,
)
from shared.columns import DECODE_STATUSES, FRAGMENT_HELD, PACKET, PARSED, RECORD
from shared.kernels.headers import decode
from tests import builders as b

A4, B4, A6, B6 = "10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"
SECOND = 10**9
PAYLOAD = bytes(range(250)) * 4
DATAGRAM = b.udp(5000, 53, PAYLOAD)
WHOLE4 = b.ip4(A4, B4, 17, DATAGRAM, ident=1)
PIECES4 = b.fragments4(A4, B4, 17, DATAGRAM, 256)
PIECES6 = b.fragments6(A6, B6, 17, DATAGRAM, 256)


@pytest.fixture(autouse=True)
def _hash_wraps() -> Iterator[None]:
    """Uncompiled, numpy warns that the hash overflows; that is what it is meant to do."""
    with np.errstate(over="ignore"):
        yield


def fed(reassembler: Reassembler, packets: list[bytes], ts_ns: int = 0) -> list[Completed]:
    done = (reassembler.add(packet, ts_ns, len(packet) + 14) for packet in packets)
    return [completed for completed in done if completed is not None]


def piece(start: int, payload: bytes, more: bool = True, ident: int = 1) -> bytes:
    return b.ip4(A4, B4, 17, payload, ident=ident, offset=start, more=more)


# ---------------------------------------------------------------------------------- reassembler


@pytest.mark.parametrize("order", ["forward", "backward", "first last", "shuffled"])
def test_any_order_gives_the_whole_packet(order: str) -> None:
    pieces = list(PIECES4)
    if order == "backward":
        pieces.reverse()
    elif order == "first last":
        pieces = pieces[1:] + pieces[:1]
    elif order == "shuffled":
        random.Random(1).shuffle(pieces)
    reassembler = Reassembler()
    (done,) = fed(reassembler, pieces)
    assert done.packet == WHOLE4
    assert done.wirelen == sum(len(packet) + 14 for packet in pieces)
    assert reassembler.counters == FragmentCounters(fragments=4, completed=1)
    assert (len(reassembler), reassembler.held_bytes) == (0, 0)


def test_ipv6() -> None:
    (done,) = fed(Reassembler(), PIECES6[::-1])
    assert done.packet == b.ip6(A6, B6, 17, DATAGRAM)


def test_ipv6_keeps_the_extensions_before_the_fragment_header() -> None:
    pieces = []
    for at in (0, 512):
        fragment = b.fragment_header(17, DATAGRAM[at : at + 512], at, more=at == 0)
        pieces.append(b.ip6(A6, B6, 0, b.extension(51, b.authentication(44, fragment))))
    (done,) = fed(Reassembler(), pieces)
    assert done.packet == b.ip6(A6, B6, 0, b.extension(51, b.authentication(17, DATAGRAM)))


def test_options_of_the_first_fragment_stay_and_dont_fragment_too() -> None:
    first = bytearray(b.ip4(A4, B4, 17, DATAGRAM[:512], ident=1, more=True, options=bytes(8)))
    first[6] |= 0x40
    (done,) = fed(Reassembler(), [piece(512, DATAGRAM[512:], more=False), bytes(first)])
    whole = bytearray(b.ip4(A4, B4, 17, DATAGRAM, ident=1, options=bytes(8)))
    whole[6] |= 0x40
    assert done.packet == bytes(whole)


def test_padding_behind_a_fragment_is_not_data() -> None:
    (done,) = fed(Reassembler(), [packet + b"padding" for packet in PIECES4])
    assert done.packet == WHOLE4


def test_datagrams_do_not_mix() -> None:
    other = b.fragments4(A4, B4, 17, DATAGRAM[::-1], 256, ident=2)
    reversed_way = b.fragments4(B4, A4, 17, DATAGRAM, 256)
    mixed = [packet for group in zip(PIECES4, other, reversed_way, strict=True) for packet in group]
    assert [done.packet[20:] for done in fed(Reassembler(), mixed)] == [
        DATAGRAM,
        DATAGRAM[::-1],
        DATAGRAM,
    ]


def test_duplicates_are_counted_and_change_nothing() -> None:
    reassembler = Reassembler()
    (done,) = fed(reassembler, [PIECES4[0], *PIECES4[:2], PIECES4[1], *PIECES4[2:]])
    assert done.packet == WHOLE4
    assert reassembler.counters.overlaps == 2


def test_overlap_the_bytes_that_came_first_win() -> None:
    reassembler = Reassembler()
    pieces = [piece(8, b"B" * 16), piece(40, b"D" * 8), piece(0, b"x" * 48)]
    (done,) = fed(reassembler, [*pieces, piece(40, b"y" * 16, more=False)])
    assert done.packet[20:] == b"x" * 8 + b"B" * 16 + b"x" * 16 + b"D" * 8 + b"y" * 8
    assert reassembler.counters.overlaps == 2


def test_tiny_fragments() -> None:
    pieces = b.fragments4(A4, B4, 17, DATAGRAM, 8)
    random.Random(2).shuffle(pieces)
    (done,) = fed(Reassembler(), pieces)
    assert done.packet == WHOLE4


def test_what_lies_beyond_the_end_is_cut_off() -> None:
    reassembler = Reassembler()
    pieces = [piece(16, b"B" * 32), piece(16, b"C" * 8, more=False), piece(0, b"A" * 16)]
    (done,) = fed(reassembler, pieces)
    assert done.packet[20:] == b"A" * 16 + b"B" * 8
    assert reassembler.counters.contradictions == 1
    pieces = [piece(8, b"E", more=False), piece(8, b"F" * 9, more=False), piece(0, b"G" * 64)]
    (done,) = fed(reassembler, pieces)
    assert done.packet[20:] == b"G" * 8 + b"E"
    assert reassembler.counters.contradictions == 3
    assert reassembler.held_bytes == 0


def test_a_datagram_beyond_65535_has_length_0() -> None:
    data = bytes(65528)
    (done,) = fed(Reassembler(), b.fragments4(A4, B4, 17, data, 1480))
    assert done.packet[2:4] == b"\0\0"
    assert len(done.packet) == 20 + len(data)
    extended = [
        b.ip6(A6, B6, 0, b.extension(44, b.fragment_header(17, data[:1024], at, at < 64512)))
        for at in range(0, 65536, 1024)
    ]
    reassembler = Reassembler()
    assert fed(reassembler, extended) == []  # 65536 bytes: the last is impossible
    assert reassembler.counters.malformed == 1


@pytest.mark.parametrize(
    "packet",
    [
        piece(65528, bytes(16), more=False),
        piece(8, b""),
        b"",
        b"\x45",
        b"\x60" + bytes(50),
        b.ip6(A6, B6, 17, bytes(40)),
        b"\x60" + bytes(5) + b"\0" + bytes(33),
    ],
)
def test_impossible_fragments_are_counted(packet: bytes) -> None:
    reassembler = Reassembler()
    assert reassembler.add(packet, 0, 60) is None
    assert reassembler.counters.malformed + reassembler.counters.cut == 1
    assert len(reassembler) == 0


def test_a_fragment_cut_by_the_capture_is_counted() -> None:
    reassembler = Reassembler()
    assert fed(reassembler, [PIECES4[0][:100], PIECES6[0][:100], *PIECES4[1:]]) == []
    assert reassembler.counters.cut == 2


def test_a_datagram_is_given_up_after_its_time() -> None:
    reassembler = Reassembler()
    fed(reassembler, PIECES4[:2])
    fed(reassembler, PIECES4[2:3], 29 * SECOND)
    assert fed(reassembler, PIECES4[3:], 31 * SECOND) == []
    assert (reassembler.counters.expired, len(reassembler)) == (1, 1)


def test_the_oldest_goes_when_there_are_too_many() -> None:
    reassembler = Reassembler(max_datagrams=3)
    fed(reassembler, [piece(0, bytes(8), ident=i) for i in range(4)])
    assert (len(reassembler), reassembler.counters.evicted) == (3, 1)
    assert fed(reassembler, [piece(8, bytes(8), more=False, ident=0)]) == []
    assert len(fed(reassembler, [piece(8, bytes(8), more=False, ident=3)])) == 1


def test_bytes_are_bounded_overhead_included() -> None:
    bound = 100_000
    reassembler = Reassembler(max_bytes=bound)
    rng = random.Random(3)
    for _ in range(5000):
        start, size = 8 * rng.randrange(8000), rng.choice((8, 8, 1024))
        reassembler.add(piece(start, bytes(size), ident=rng.randrange(50)), 0, 60)
        assert 0 <= reassembler.held_bytes <= bound
    assert reassembler.counters.evicted > 0
    reassembler.add(piece(0, bytes(8), ident=999), 40 * SECOND, 60)
    assert reassembler.held_bytes == 2 * PIECE_OVERHEAD + 20 + 8


# ------------------------------------------------------------------ against a bytearray with holes

PIECE = st.tuples(st.integers(0, 12), st.integers(1, 60), st.booleans())


@pytest.mark.property
@settings(deadline=None)
@given(st.lists(PIECE, max_size=30))
def test_agrees_with_a_byte_by_byte_model(shapes: list[tuple[int, int, bool]]) -> None:
    reassembler = Reassembler()
    seen: dict[int, int] = {}
    end: int | None = None
    for number, (start8, size, more) in enumerate(shapes):
        start = start8 * 8
        done = reassembler.add(piece(start, bytes([number]) * size, more), 0, 60)
        if not more and end is None:
            end = start + size
        for at in range(start, start + size):
            seen.setdefault(at, number)
        if end is not None:
            seen = {at: value for at, value in seen.items() if at < end}
        whole = end is not None and len(seen) == end
        assert (done is not None) == whole
        if done is not None:
            assert done.packet[20:] == bytes(seen[at] for at in range(len(seen)))
            seen, end = {}, None
        assert reassembler.held_bytes >= len(seen)


@pytest.mark.property
@settings(deadline=None)
@given(st.lists(st.binary(max_size=100), max_size=20))
def test_any_bytes(packets: list[bytes]) -> None:
    reassembler = Reassembler()
    for packet in packets:
        reassembler.add(packet, 0, len(packet))
    assert reassembler.counters.fragments == len(packets)


# --------------------------------------------------------------------------------------- batches


class DecodedBatch:
    """Frames decoded, and their fragments put together."""

    def __init__(
        self,
        frames: list[bytes],
        room: int = 0,
        reassembler: Reassembler | None = None,
        wirelen: int | None = None,
    ):
        self.records = np.zeros(len(frames), RECORD)
        self.records["caplen"] = [len(frame) for frame in frames]
        self.records["wirelen"] = self.records["caplen"] if wirelen is None else wirelen
        self.records["off"] = np.cumsum(self.records["caplen"]) - self.records["caplen"]
        self.records["ts_ns"] = 1000 + np.arange(len(frames))
        self.records["link"], self.records["source"] = 1, 4
        self.used = sum(map(len, frames))
        self.data = np.zeros(self.used + room, np.uint8)
        self.data[: self.used] = np.frombuffer(b"".join(frames), np.uint8)
        self.packets = np.zeros(len(frames), PACKET)
        self.counts = np.zeros(len(DECODE_STATUSES), np.uint64)
        decode(self.data, self.records, self.packets, self.counts)
        self.reassembler = reassembler or Reassembler()
        self.before = self.data
        self.data, self.used = reassemble(
            self.data, self.used, self.records, self.packets, self.reassembler, self.counts
        )

    def payload(self, row: NDArray[np.void]) -> bytes:
        start, size = int(row["payload_off"]), int(row["payload_len"])
        return self.data[start : start + size].tobytes()


@pytest.mark.parametrize("room", [0, 5000])
def test_the_completing_packet_becomes_the_datagram(room: int) -> None:
    frames = [b.ethernet(packet) for packet in PIECES4]
    batch = DecodedBatch([*frames[:2], b.tcp4(A4, 1, B4, 2, b"between"), *frames[2:]], room)
    assert batch.packets["status"].tolist() == [2, 2, 0, 2, 0]
    assert batch.counts[PARSED] == 2
    assert batch.counts[FRAGMENT_HELD] == 3
    assert batch.counts.sum() == 5
    row = batch.packets[4]
    assert batch.payload(row) == PAYLOAD
    assert (row["port_a"], row["port_b"], row["proto"], row["source"]) == (5000, 53, 17, 4)
    assert (row["ts_ns"], row["wirelen"]) == (1004, sum(map(len, frames)))
    assert batch.payload(batch.packets[2]) == b"between"
    assert (batch.data is batch.before) == bool(room)


def test_without_fragments_nothing_happens() -> None:
    batch = DecodedBatch([b.tcp4(A4, 1, B4, 2)])
    assert batch.data is batch.before
    assert batch.reassembler.counters == FragmentCounters()


def test_fragments_continue_in_the_next_batch() -> None:
    frames = [b.ethernet(packet, b.IPV6) for packet in PIECES6]
    first = DecodedBatch(frames[:2])
    second = DecodedBatch(frames[2:], reassembler=first.reassembler)
    assert first.counts[FRAGMENT_HELD] == 2
    assert second.payload(second.packets[1]) == PAYLOAD
    assert second.packets["family"].tolist() == [6, 6]


def test_fragments_of_fragments_in_a_tunnel() -> None:
    frames: list[bytes] = []
    for number, inner in enumerate(b.fragments4(A4, B4, 17, DATAGRAM, 512)):
        tunnel = b.gre(inner)
        outer = b.fragments4("1.1.1.1", "2.2.2.2", 47, tunnel, 200, ident=100 + number)
        frames += map(b.ethernet, outer)
    batch = DecodedBatch(frames)
    row = batch.packets[-1]
    assert (row["status"], row["tunnels"], row["wirelen"]) == (PARSED, 1, sum(map(len, frames)))
    assert batch.payload(row) == PAYLOAD
    assert batch.counts[FRAGMENT_HELD] == len(frames) - 1
    assert batch.counts.sum() == len(frames)


def test_a_datagram_can_be_anything() -> None:
    batch = DecodedBatch([b.ethernet(p) for p in b.fragments4(A4, B4, 132, bytes(64), 32)])
    assert batch.packets["status"].tolist() == [FRAGMENT_HELD, 3]
    batch = DecodedBatch([b.ethernet(p) for p in b.fragments4(A4, B4, 6, bytes(64), 32)])
    assert DECODE_STATUSES[batch.packets["status"][1]] == "malformed"


def test_wire_lengths_that_add_up_to_more_than_a_row_holds() -> None:
    batch = DecodedBatch([b.ethernet(packet) for packet in PIECES4], wirelen=0xFFFFFFF0)
    assert int(batch.packets["wirelen"][-1]) == 0xFFFFFFFF
    assert batch.payload(batch.packets[-1]) == PAYLOAD


def test_read_only_bytes_are_copied() -> None:
    frames = [b.ethernet(packet) for packet in PIECES4]
    batch = DecodedBatch(frames, room=5000)
    data = np.frombuffer(batch.data.tobytes(), np.uint8)
    packets, counts = np.zeros(4, PACKET), np.zeros(7, np.uint64)
    decode(data, batch.records, packets, counts)
    used = sum(map(len, frames))
    larger, end = reassemble(data, used, batch.records, packets, Reassembler(), counts)
    assert larger.flags.writeable
    assert end == used + len(WHOLE4)
    assert larger[used:end].tobytes() == WHOLE4
    assert DATAGRAM_MAX == 65535
