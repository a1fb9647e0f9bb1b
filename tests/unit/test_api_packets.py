"""Packets made of a stream: headers, checksums, holes, the file around them."""

import io
from collections.abc import Iterator

import dpkt
import pytest

from services.api.packets import DATAGRAM, MSS, NOTE, Ends, Synthesis, checksum, file_header, record
from shared.columns import TCP, UDP
from tests import builders as b

V4 = b.address("10.0.0.1"), b.address("10.0.0.2")
V6 = b.address("fe80::1"), b.address("fe80::2")


def packets(blocks: Iterator[bytes] | list[bytes]) -> list[tuple[float, bytes]]:
    return list(dpkt.pcapng.Reader(io.BytesIO(file_header() + b"".join(blocks))))


def plain_sum(data: bytes) -> int:
    """RFC 1071, word by word."""
    total = 0
    for at in range(0, len(data) - 1, 2):
        total += data[at] << 8 | data[at + 1]
    if len(data) % 2:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0\0",
        b"\xff\xff",
        b"\xff\xff\xff\xff",
        b"abc",
        bytes(range(256)),
        b"\xff" * 999,
    ],
)
def test_checksums(data: bytes) -> None:
    assert checksum(data) == plain_sum(data)


@pytest.mark.parametrize("addresses", [V4, V6])
@pytest.mark.parametrize("proto", [TCP, UDP])
@pytest.mark.parametrize("size", [1, 7, 1400])
def test_what_is_made_verifies(addresses: tuple[bytes, bytes], proto: int, size: int) -> None:
    made = Synthesis(Ends(proto, addresses, (40000, 80)))
    blocks = [*made.turn(0, 0, b"\xfe" * size, 5_000), *made.turn(1, 0, b"ok", 6_000)]
    for _, octets in packets(blocks):
        version = octets[0] >> 4
        packet = dpkt.ip6.IP6(octets) if version == 6 else dpkt.ip.IP(octets)
        assert version == (6 if len(addresses[0]) == 16 else 4)
        source, target = packet.src, packet.dst
        transport = octets[40 if version == 6 else 20 :]
        pseudo = source + target + len(transport).to_bytes(4, "big") + bytes([0, 0, 0, proto])
        assert plain_sum(pseudo + transport) == 0
        if version == 4:
            assert plain_sum(octets[:20]) == 0


def test_a_conversation_of_tcp() -> None:
    made = Synthesis(Ends(TCP, V4, (40000, 80), client=1, status="closed"))
    blocks = [
        *made.turn(1, 0, b"x" * (MSS + 1), 1_000),
        *made.turn(0, 0, b"answer", 2_000),
        *made.turn(1, MSS + 101, b"behind a hole", 3_000),  # 100 bytes are missing
        *made.end((6, MSS + 114)),
    ]
    found = [dpkt.ip.IP(octets).data for _, octets in packets(blocks)]
    flags = [segment.flags for segment in found]
    assert flags == [0x02, 0x12, 0x10, 0x18, 0x18, 0x18, 0x18, 0x11, 0x11, 0x10]
    assert [segment.sport for segment in found[:3]] == [80, 40000, 80]
    assert [(s.seq - 1001, len(s.data)) for s in found[3:7]] == [
        (0, MSS), (MSS, 1), (0, 6), (MSS + 101, 13),
    ]  # fmt: skip
    assert found[5].ack - 1001 == MSS + 1
    assert [s.ack - 1001 for s in found[7:]] == [6, MSS + 115, 7]


def test_resets_and_streams_that_are_open() -> None:
    for status, flags in (("reset", [0x14]), ("open", [0x10, 0x10])):
        made = Synthesis(Ends(TCP, V4, (1, 2), status=status))
        blocks = [*made.turn(0, 0, b"x", 1), *made.end((1, 0))]
        assert [dpkt.ip.IP(octets).data.flags for _, octets in packets(blocks)][4:] == flags


def test_offsets_beyond_32_bits_wrap() -> None:
    made = Synthesis(Ends(TCP, V4, (1, 2)))
    *_, last = packets([*made.turn(0, (1 << 32) + 5, b"x", 1)])
    assert dpkt.ip.IP(last[1]).data.seq == 1006


def test_long_datagrams() -> None:
    made = Synthesis(Ends(UDP, V4, (1, 2)))
    found = packets([*made.turn(0, 0, b"u" * (DATAGRAM + 9), 1), *made.end((0, 0))])
    assert [len(dpkt.ip.IP(octets).data.data) for _, octets in found] == [DATAGRAM, 9]


def test_the_file_says_what_it_is() -> None:
    assert NOTE.encode() in file_header()
    ((ts, octets),) = packets([record(b"\x45abc", 1_700_000_000_123_456_789)])
    assert octets == b"\x45abc"
    assert float(ts) == pytest.approx(1_700_000_000.123456, abs=1e-5)
