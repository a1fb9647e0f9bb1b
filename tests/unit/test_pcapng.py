"""pcapng files: sections, interfaces, their times, every packet block, and damage of each kind."""

import struct

import pytest

from services.capture.pcapng import INTERFACES_MAX, read_interface
from services.capture.source import PROBLEMS_KEPT
from tests.builders import (
    pcapng_block,
    pcapng_interface,
    pcapng_packet,
    pcapng_section,
    pcapng_simple_packet,
)
from tests.captures import read_all

SECTION, INTERFACE = pcapng_section(), pcapng_interface()
START = SECTION + INTERFACE
TIME_MAX_NS = 9_200_000_000_000_000_000
OLD_PACKET, NAMES, STATISTICS, SECRETS, CUSTOM = 2, 4, 5, 10, 0x0BAD


def options(*given: tuple[int, bytes]) -> bytes:
    return b"".join(
        struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
        for code, value in given
    )


def interface(*given: tuple[int, bytes], link: int = 1, snaplen: int = 0) -> bytes:
    return pcapng_block(1, struct.pack("<HHI", link, 0, snaplen) + options(*given))


def one_time(resolution: int, units: int, offset_s: int = 0) -> int:
    described = interface((9, bytes([resolution])), (14, struct.pack("<q", offset_s)))
    return read_all(SECTION + described + pcapng_packet(units, b"x")).packets[0].ts_ns


@pytest.mark.parametrize(
    ("resolution", "units", "ns"),
    [
        (0, 3, 3_000_000_000),
        (3, 3, 3_000_000),
        (6, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        (9, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        (12, 1_700_000_000_123_456_789, 1_700_000_000_123_456),
        (28, 2**64 - 1, 1),
        (29, 2**64 - 1, 0),
        (127, 2**64 - 1, 0),
        (0x80, 3, 3_000_000_000),
        (0x8A, 1025, 1_000_976_562),
        (0xA0, 3 << 31, 1_500_000_000),
        (0xBF, 2**64 - 1, 1_999_999_999),
        (0xC0, 2**63, 500_000_000),
        (0xFF, 2**64 - 1, 0),
        (6, 2**64 - 1, TIME_MAX_NS),
        (0, 2**64 - 1, TIME_MAX_NS),
        (0x80, 2**64 - 1, TIME_MAX_NS),
        (0x8A, 2**64 - 1, TIME_MAX_NS),
    ],
)
def test_time_resolutions(resolution: int, units: int, ns: int) -> None:
    assert one_time(resolution, units) == ns


@pytest.mark.parametrize(
    ("offset_s", "ns"),
    [
        (1_600_000_000, 1_600_000_005_000_000_000),
        (-3, 2_000_000_000),
        (-6, 0),
        (2**63 - 1, TIME_MAX_NS),
        (-(2**63), 0),
    ],
)
def test_time_offsets(offset_s: int, ns: int) -> None:
    assert one_time(9, 5_000_000_000, offset_s) == ns


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_packet_block_in_both_byte_orders(order: str) -> None:
    old = struct.pack(order + "HHIIII", 0, 0xFFFF, 0, 2_000_000, 3, 9) + b"old\0"
    data = (
        pcapng_section(order)
        + pcapng_interface(113, order)
        + pcapng_packet(1_000_000, b"enhanced", 77, byte_order=order)
        + pcapng_block(OLD_PACKET, old, order)
        + pcapng_simple_packet(b"simple", order)
    )
    found = read_all(data)
    assert [(p.ts_ns, p.wirelen, p.data) for p in found.packets] == [
        (1_000_000_000, 77, b"enhanced"),
        (2_000_000_000, 9, b"old"),
        (2_000_000_000, 6, b"simple"),  # it has no time: that of the packet before
    ]
    assert {packet.link for packet in found.packets} == {113}
    assert (found.state.status, found.state.format, found.state.damaged) == ("done", "pcapng", 0)


def test_a_simple_packet_is_cut_at_the_interfaces_snapshot_length() -> None:
    body = struct.pack("<I", 100) + b"abcdefgh"
    for snaplen, frame in ((0, b"abcdefgh"), (5, b"abcde"), (65535, b"abcdefgh")):
        [packet] = read_all(
            SECTION + pcapng_interface(snaplen=snaplen) + pcapng_block(3, body)
        ).packets
        assert (packet.data, packet.wirelen) == (frame, 100)


def test_sections_have_their_own_interfaces_and_byte_order() -> None:
    data = START + pcapng_interface(101) + pcapng_packet(1, b"a", interface=1)
    data += (
        pcapng_section(">") + pcapng_interface(228, ">") + pcapng_packet(1, b"b", byte_order=">")
    )
    data += pcapng_packet(1, b"c", interface=1, byte_order=">")
    found = read_all(data)
    assert [(p.link, p.data) for p in found.packets] == [(101, b"a"), (228, b"b")]
    assert found.state.link_types == {1, 101, 228}
    assert found.state.problems[0].reason == "a packet of an interface that was not described"


def test_other_blocks_are_passed_over() -> None:
    others = [
        pcapng_block(kind, b"whatever it is") for kind in (NAMES, STATISTICS, SECRETS, CUSTOM)
    ]
    data = START + others[0] + others[1] + pcapng_packet(0, b"x") + others[2] + others[3]
    found = read_all(data, [5], batch_bytes=10)
    assert [packet.data for packet in found.packets] == [b"x"]
    assert found.state.damaged == 0


def test_a_batchs_worth_of_other_blocks() -> None:
    noise = pcapng_block(CUSTOM, bytes(100)) * 50
    found = read_all(START + noise + pcapng_packet(0, b"x") + noise, [1000], batch_bytes=300)
    assert [packet.data for packet in found.packets] == [b"x"]
    assert found.state.damaged == 0


def test_a_block_too_long_for_memory_is_thrown_away_as_it_comes() -> None:
    size = (64 << 20) + 12 + 4
    big = struct.pack("<II", CUSTOM, size) + bytes(size - 12) + struct.pack("<I", size)
    data = START + pcapng_packet(0, b"x") + big
    found = read_all(data + pcapng_packet(0, b"y"), [1 << 16])
    assert [packet.data for packet in found.packets] == [b"x", b"y"]
    assert found.state.damaged == 0
    short = read_all(data[:-1], [1 << 16])
    assert [(p.offset, p.reason) for p in short.state.problems] == [
        (len(START) + 36, "ends inside a block")
    ]


GOOD, AT = pcapng_packet(0, b"good"), len(START)


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (pcapng_packet(0, b"x", interface=1), "not described"),
        (pcapng_packet(0, b"x", interface=2**32 - 1), "not described"),
        (pcapng_block(6, bytes(16)), "too short"),
        (pcapng_block(3, b""), "too short"),
        (pcapng_block(2, bytes(16)), "too short"),
        (pcapng_block(6, struct.pack("<IIIII", 0, 0, 0, 5, 5) + b"1234"), "longer than its block"),
    ],
)
def test_a_wrong_packet_block_is_passed_over(block: bytes, reason: str) -> None:
    found = read_all(START + block + GOOD)
    assert [packet.data for packet in found.packets] == [b"good"]
    assert (found.state.status, found.state.damaged) == ("done", 1)
    assert found.state.problems[0].offset == AT
    assert reason in found.state.problems[0].reason


@pytest.mark.parametrize("which", ["section", "interface", "packet", "other"])
def test_lengths_that_differ_are_told_and_the_block_is_read(which: str) -> None:
    parts = {
        "section": SECTION,
        "interface": INTERFACE,
        "packet": GOOD,
        "other": pcapng_block(CUSTOM, b"1234"),
    }
    at = sum(
        len(part)
        for name, part in parts.items()
        if list(parts).index(name) < list(parts).index(which)
    )
    parts[which] = parts[which][:-4] + b"\x08\0\0\0"
    found = read_all(b"".join(parts.values()) + GOOD)
    assert [packet.data for packet in found.packets] == [b"good", b"good"]
    assert [(p.offset, p.reason) for p in found.state.problems] == [
        (at, "a block whose two lengths differ")
    ]


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (struct.pack("<III", CUSTOM, 8, 8), "length that cannot be"),
        (struct.pack("<III", CUSTOM, 0, 0), "length that cannot be"),
        (struct.pack("<IIII", CUSTOM, 15, 0, 15), "length that cannot be"),
        (pcapng_block(1, bytes(4)), "length that cannot be"),
        (struct.pack("<III", 6, 65 << 20, 0), "longer than 64 MiB"),
        (struct.pack("<III", 0x0A0D0D0A, 28, 0x01020304) + bytes(16), "byte-order magic"),
        (struct.pack("<III", 0x0A0D0D0A, 24, 0x1A2B3C4D) + bytes(12), "length that cannot be"),
        (struct.pack("<III", 0x0A0D0D0A, 65 << 20, 0x1A2B3C4D) + bytes(16), "longer than 64 MiB"),
        (pcapng_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 2, 0, -1)), "version 2.0"),
    ],
)
def test_what_cannot_be_followed_ends_the_file(block: bytes, reason: str) -> None:
    found = read_all(START + GOOD + block + START + GOOD)
    assert [packet.data for packet in found.packets] == [b"good"]
    assert (found.state.status, found.state.damaged) == ("done", 1)
    assert found.state.problems[0].offset == AT + len(GOOD)
    assert reason in found.state.problems[0].reason
    assert read_all(SECTION + block).state.status == "failed"


def test_cut_at_every_byte() -> None:
    data = START + GOOD + pcapng_simple_packet(b"simple")
    ends = [len(SECTION), len(START), len(START) + len(GOOD), len(data)]
    for size in range(8, len(data)):
        found = read_all(data[:size])
        assert len(found.packets) == (size >= ends[2])
        whole = max([0, *(end for end in ends if end <= size)])
        assert [p.offset for p in found.state.problems] == ([] if size in ends else [whole])


def test_thousands_of_wrong_blocks_are_counted_and_few_kept() -> None:
    found = read_all(START + pcapng_packet(0, b"x", interface=9) * 5000 + GOOD)
    assert found.state.damaged == 5000
    assert len(found.state.problems) == PROBLEMS_KEPT
    assert found.state.problems[1].offset == AT + 36
    assert len(found.packets) == 1


def test_many_interfaces() -> None:
    last = INTERFACES_MAX - 1
    data = (
        SECTION + INTERFACE * last + pcapng_interface(101) + pcapng_packet(0, b"x", interface=last)
    )
    found = read_all(data)
    assert [packet.link for packet in found.packets] == [101]
    found = read_all(data + INTERFACE + GOOD)
    assert len(found.packets) == 1
    assert found.state.problems[0].reason.startswith("more than 65536 interfaces")


@pytest.mark.parametrize(
    "given",
    [
        options((9, b"\x09\x09")),  # if_tsresol is one byte
        options((14, b"1234")),  # if_tsoffset is eight
        struct.pack("<HH", 9, 65535),  # runs past the block
        options((0, b""), (9, b"\x09")),  # behind the end of options
        options((2, b"eth0"), (1, b"comment")),
        b"\0\0",
    ],
)
def test_options_that_say_nothing_of_use(given: bytes) -> None:
    block = struct.pack("<IIHHI", 1, 20 + len(given), 1, 0, 0) + given + bytes(4)
    assert read_interface(block, "<") == read_interface(INTERFACE, "<")
