"""Ethernet frames from their parts, with right lengths and checksums, and whole TCP conversations.

Plain Python, a packet at a time: for sample captures and tests, never for traffic. Addresses are
text, times are microseconds since the epoch. RFC 791, 8200 (IP), 9293 (TCP), 768 (UDP), 1071.
"""

import ipaddress
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

ETHERNET = 1  # link type
IPV4, IPV6 = 0x0800, 0x86DD
ICMP, TCP, UDP = 1, 6, 17
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
SEGMENT_BYTES = 1448  # payload of a full segment with timestamps, on a 1500-byte link
PCAP_MAGIC_US, SNAPLEN = 0xA1B2C3D4, 262144

Address = tuple[str, int]


def checksum(data: bytes) -> int:
    """The Internet checksum, RFC 1071."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip_frame(src: str, dst: str, proto: int, transport: bytes, number: int = 0) -> bytes:
    """An Ethernet frame around one IP packet; IPv4 or IPv6, as the addresses are."""
    source, target = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    if source.version == 6:
        header = struct.pack("!IHBB", 6 << 28, len(transport), proto, 64)
        return ethernet(src, dst, IPV6) + header + source.packed + target.packed + transport
    length = 20 + len(transport)
    parts = [0x45, 0, length, number & 0xFFFF, 0x4000, 64, proto, 0, source.packed, target.packed]
    parts[7] = checksum(struct.pack("!BBHHHBBH4s4s", *parts))
    return ethernet(src, dst, IPV4) + struct.pack("!BBHHHBBH4s4s", *parts) + transport


def ethernet(src: str, dst: str, kind: int) -> bytes:
    """A header whose locally administered addresses follow the IP addresses."""
    ends = [b"\x02\0" + ipaddress.ip_address(end).packed[-4:] for end in (dst, src)]
    return b"".join(ends) + struct.pack("!H", kind)


def sealed(src: str, dst: str, proto: int, segment: bytes, at: int) -> bytes:
    """`segment` with its checksum over the pseudo header written at offset `at`."""
    ends = ipaddress.ip_address(src).packed + ipaddress.ip_address(dst).packed
    value = checksum(ends + struct.pack("!II", len(segment), proto) + segment)
    return segment[:at] + struct.pack("!H", value or 0xFFFF) + segment[at + 2 :]


def udp(src: Address, dst: Address, payload: bytes) -> bytes:
    """One datagram in a frame."""
    head = struct.pack("!HHHH", src[1], dst[1], 8 + len(payload), 0)
    return ip_frame(src[0], dst[0], UDP, sealed(src[0], dst[0], UDP, head + payload, 6))


def tcp(src: Address, dst: Address, seq: int, ack: int, flags: int, payload: bytes = b"") -> bytes:
    """One segment in a frame, without options."""
    window = 0 if flags & RST else 64240
    parts = (src[1], dst[1], seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 5 << 4, flags, window, 0, 0)
    segment = struct.pack("!HHIIBBHHH", *parts) + payload
    return ip_frame(src[0], dst[0], TCP, sealed(src[0], dst[0], TCP, segment, 16), seq)


def icmp_echo(src: str, dst: str, reply: bool, ident: int, seq: int, payload: bytes) -> bytes:
    """An echo request or reply, RFC 792."""
    message = struct.pack("!BBHHH", 0 if reply else 8, 0, 0, ident, seq) + payload
    value = struct.pack("!H", checksum(message))
    return ip_frame(src, dst, ICMP, message[:2] + value + message[4:])


@dataclass
class Recording:
    """Frames with their times, to be written as one capture."""

    frames: list[tuple[int, bytes]] = field(default_factory=list)

    def add(self, ts_us: int, frame: bytes) -> None:
        self.frames.append((ts_us, frame))

    def write(self, file: BinaryIO) -> None:
        """As pcap with microseconds, in the order of time."""
        file.write(struct.pack("<IHHiIII", PCAP_MAGIC_US, 2, 4, 0, 0, SNAPLEN, ETHERNET))
        for ts_us, frame in sorted(self.frames, key=lambda item: item[0]):
            head = (ts_us // 1_000_000, ts_us % 1_000_000, len(frame), len(frame))
            file.write(struct.pack("<IIII", *head) + frame)


class Conversation:
    """One TCP connection, written into a recording as both ends would send it.

    client, server: (address, port). now_us: when it starts; it moves on with each packet.
    """

    def __init__(
        self,
        recording: Recording,
        client: Address,
        server: Address,
        now_us: int,
        step_us: int = 180,
    ) -> None:
        self.recording, self.now_us, self.step_us = recording, now_us, step_us
        self.ends = (client, server)
        self.seq = [hash32(client), hash32(server)]  # initial sequence numbers

    def open(self) -> None:
        """The three-way handshake."""
        self.packet(0, SYN)
        self.packet(1, SYN | ACK)
        self.packet(0, ACK)

    def packet(self, sender: int, flags: int, payload: bytes = b"", lost: bool = False) -> None:
        """One segment from end 0 (client) or 1 (server). A lost one is sent but not captured."""
        src, dst = self.ends[sender], self.ends[1 - sender]
        ack = self.seq[1 - sender] if flags & ACK else 0
        if not lost:
            self.recording.add(self.now_us, tcp(src, dst, self.seq[sender], ack, flags, payload))
        self.seq[sender] += len(payload) + bool(flags & (SYN | FIN))
        self.now_us += self.step_us

    def send(self, sender: int, data: bytes) -> None:
        """Data in full segments, acknowledged by the other end."""
        for at in range(0, len(data), SEGMENT_BYTES):
            last = at + SEGMENT_BYTES >= len(data)
            self.packet(sender, ACK | PSH * last, data[at : at + SEGMENT_BYTES])
        self.packet(1 - sender, ACK)

    def pause(self, us: int) -> None:
        self.now_us += us

    def close(self) -> None:
        """FIN from the client, FIN from the server, the last ACK."""
        self.packet(0, FIN | ACK)
        self.packet(1, FIN | ACK)
        self.packet(0, ACK)


def hash32(address: Address) -> int:
    """A number that looks random and is always the same."""
    value = 2166136261
    for byte in f"{address[0]} {address[1]}".encode():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value
