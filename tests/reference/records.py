"""Capture files read whole, in the plainest Python there is: every packet, every damaged place.

The twin of `walk_pcap` and `walk_pcapng`, and of the readers around them.
"""

import struct
from typing import NamedTuple

LIMIT = 64 << 20
TIME_MAX_NS = 9_200_000_000_000_000_000

PCAP_MAGICS = {  # byte order, nanoseconds in a unit, bytes of a record header
    0xA1B2C3D4: (1000, 16),
    0xA1B23C4D: (1, 16),
    0xA1B2CD34: (1000, 24),
}
SHB, IDB, PB, SPB, EPB = 0x0A0D0D0A, 1, 2, 3, 6


class Packet(NamedTuple):
    ts_ns: int
    link: int
    wirelen: int
    data: bytes


class Capture(NamedTuple):
    packets: list[Packet]
    damaged: list[int]  # offsets


class Interface(NamedTuple):
    link: int
    snaplen: int
    resolution: int
    offset_s: int


def read_capture(data: bytes) -> Capture:
    """What can be read of a pcap or pcapng file, and where it cannot."""
    packets: list[Packet] = []
    damaged: list[int] = []
    for order in "<>":
        if len(data) >= 4 and struct.unpack_from(order + "I", data)[0] in PCAP_MAGICS:
            read_pcap(data, order, packets, damaged)
            return Capture(packets, damaged)
    if data[:4] == b"\n\r\r\n":
        read_pcapng(data, packets, damaged)
    else:
        damaged.append(0)
    return Capture(packets, damaged)


def read_pcap(data: bytes, order: str, packets: list[Packet], damaged: list[int]) -> None:
    if len(data) < 24:
        damaged.append(0)
        return
    magic, major, _, _, _, snaplen, link = struct.unpack_from(order + "IHHiIII", data)
    if major != 2:
        damaged.append(0)
        return
    tick, header = PCAP_MAGICS[magic]
    limit = max(262144, min(snaplen, LIMIT - header) if snaplen < 1 << 31 else 0)
    at = 24
    while at < len(data):
        if at + header > len(data):
            damaged.append(at)
            return
        seconds, fraction, caplen, wirelen = struct.unpack_from(order + "IIII", data, at)
        if caplen > limit or at + header + caplen > len(data):
            damaged.append(at)
            return
        frame = data[at + header : at + header + caplen]
        ts_ns = seconds * 10**9 + fraction * tick
        packets.append(Packet(ts_ns, link & 0xFFFF, max(wirelen, caplen), frame))
        at += header + caplen


def read_pcapng(data: bytes, packets: list[Packet], damaged: list[int]) -> None:
    at, order, last_ns = 0, "<", 0
    interfaces: list[Interface] = []
    while at < len(data):
        if at + 8 > len(data):
            damaged.append(at)
            return
        section = data[at : at + 4] == b"\n\r\r\n"
        if section:
            if at + 12 > len(data):
                damaged.append(at)
                return
            orders = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
            if data[at + 8 : at + 12] not in orders:
                damaged.append(at)
                return
            order = orders[data[at + 8 : at + 12]]
        kind, total = struct.unpack_from(order + "II", data, at)
        smallest = {SHB: 28, IDB: 20}.get(kind, 12)
        if total < smallest or total % 4 or (total > LIMIT and kind in (SHB, IDB, PB, SPB, EPB)):
            damaged.append(at)
            return
        if at + total > len(data):
            damaged.append(at)
            return
        block = data[at : at + total]
        if total <= LIMIT and struct.unpack(order + "I", block[-4:]) != (total,):
            damaged.append(at)
        if kind == SHB:
            interfaces = []
            if struct.unpack_from(order + "H", block, 12) != (1,):
                damaged.append(at)
                return
        elif kind == IDB:
            interfaces.append(interface_of(block, order))
        elif kind in (EPB, PB, SPB):
            packet = packet_of(block, kind, order, interfaces, last_ns)
            if packet is None:
                damaged.append(at)
            else:
                packets.append(packet)
                last_ns = packet.ts_ns
        at += total


def interface_of(block: bytes, order: str) -> Interface:
    link, _, snaplen = struct.unpack_from(order + "HHI", block, 8)
    resolution, offset_s = 6, 0
    options = block[16:-4]
    while len(options) >= 4:
        code, length = struct.unpack_from(order + "HH", options)
        value = options[4 : 4 + length]
        if code == 0:
            break
        if code == 9 and length == len(value) == 1:
            resolution = value[0]
        if code == 14 and length == len(value) == 8:
            offset_s = struct.unpack(order + "q", value)[0]
        options = options[4 + (length + 3) // 4 * 4 :]
    return Interface(link, snaplen, resolution, offset_s)


def packet_of(
    block: bytes, kind: int, order: str, interfaces: list[Interface], last_ns: int
) -> Packet | None:
    if len(block) < (16 if kind == SPB else 32):
        return None
    if kind == SPB:
        if not interfaces:
            return None
        (wirelen,) = struct.unpack_from(order + "I", block, 8)
        frame = block[12:-4][:wirelen][: interfaces[0].snaplen or None]
        return Packet(last_ns, interfaces[0].link, max(wirelen, len(frame)), frame)
    number, high, low, caplen, wirelen = struct.unpack_from(order + "IIIII", block, 8)
    if kind == PB:
        (number,) = struct.unpack_from(order + "H", block, 8)
    if number >= len(interfaces) or caplen > len(block) - 32:
        return None
    ts_ns = time_ns(high << 32 | low, interfaces[number])
    frame = block[28 : 28 + caplen]
    return Packet(ts_ns, interfaces[number].link, max(wirelen, caplen), frame)


def time_ns(units: int, interface: Interface) -> int:
    exponent = interface.resolution & 0x7F
    unit_parts: int = 2**exponent if interface.resolution & 0x80 else 10**exponent
    base = min(units * 10**9 // unit_parts, TIME_MAX_NS)
    offset = max(-TIME_MAX_NS, min(interface.offset_s * 10**9, TIME_MAX_NS))
    return max(0, min(base + offset, TIME_MAX_NS))
