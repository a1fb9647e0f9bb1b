"""What a packet ring writes of captured packets: the twin of `fill_page`."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

FRAME_MAX = 262144


class Captured(NamedTuple):
    """A packet, and what was decoded of it."""

    ts_ns: int
    link: int
    wirelen: int
    frame: bytes
    hash64: int
    held: bool


class Row(NamedTuple):
    """Of the index."""

    flow: int
    number: int
    ts_ns: int
    off: int
    caplen: int


class Filled(NamedTuple):
    octets: bytes
    rows: list[Row]


def pages(
    packets: Sequence[Captured], link: int, first: int, octets_max: int, rows_max: int
) -> list[Filled]:
    """Pages of the packets of one link type; each frame fits into an empty one."""
    result = [Filled(b"", [])]
    for number, packet in enumerate(packets, first):
        if packet.link != link or len(packet.frame) > FRAME_MAX:
            continue
        size = 16 + len(packet.frame)
        if len(result[-1].rows) == rows_max or len(result[-1].octets) + size > octets_max:
            result.append(Filled(b"", []))
        octets, rows = result[-1]
        seconds, nanoseconds = divmod(packet.ts_ns, 10**9)
        head = struct.pack(
            "<IIII",
            min(max(seconds, 0), 0xFFFFFFFF),
            nanoseconds,
            len(packet.frame),
            packet.wirelen,
        )
        flow = packet.hash64 - packet.hash64 % 4 + (1 if packet.held else 0)
        row = Row(flow, number, packet.ts_ns, len(octets) + 16, len(packet.frame))
        result[-1] = Filled(octets + head + packet.frame, [*rows, row])
    return result
