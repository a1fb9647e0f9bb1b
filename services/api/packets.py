"""A stream as packets of its own making, in a pcapng file (draft-ietf-opsawg-pcapng).

They are for where captured packets are not kept, or no more. They have the same endpoints, octets,
order, times, sequence numbers and holes, and valid checksums; how the octets were cut, and
everything else of the headers, is made up, and a comment in the file says so. A hole is a jump of
the sequence numbers.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from shared import VERSION
from shared.columns import TCP, UDP

NOTE = (
    "synthesised by flowmate from a reassembled stream: endpoints, payload, order and times are the"
    " captured ones, packet boundaries and other header fields are not"
)
SYNTHESISED, CAPTURED = "synthesised", "captured"  # names of interfaces
LINKTYPE_ETHERNET, LINKTYPE_RAW = 1, 101
ETHERTYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}
NO_ADDRESSES = bytes(12)  # of an Ethernet frame that nobody sent
MSS = 1400
DATAGRAM = 65_507 - 20  # what IPv4 and IPv6 both carry
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
FIRST_SEQ = 1001  # of the first octet of both sides, where nobody knows
WINDOW, HOPS = 65535, 64
OPT_END, OPT_COMMENT, OPT_NAME, OPT_APPLICATION, OPT_RESOLUTION = 0, 1, 2, 4, 9
NANOSECONDS = 9


def _block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def file_header(
    note: str = NOTE, interfaces: Sequence[tuple[int, str]] = ((LINKTYPE_RAW, SYNTHESISED),)
) -> bytes:
    """Section header with the note, and interfaces with nanoseconds: link type and name of each."""
    options = _option(OPT_COMMENT, note.encode()) + _option(
        OPT_APPLICATION, f"flowmate {VERSION}".encode()
    )
    section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + options + _option(OPT_END, b"")
    return _block(0x0A0D0D0A, section) + b"".join(_interface(*each) for each in interfaces)


def _interface(link: int, name: str) -> bytes:
    options = _option(OPT_NAME, name.encode()) + _option(OPT_RESOLUTION, bytes([NANOSECONDS]))
    return _block(1, struct.pack("<HHI", link, 0, 0) + options + _option(OPT_END, b""))


def record(packet: bytes, ts_ns: int, interface: int = 0, wirelen: int | None = None) -> bytes:
    """An enhanced packet block."""
    ticks, size = max(0, ts_ns), len(packet)
    head = struct.pack(
        "<IIIII", interface, ticks >> 32 & 0xFFFFFFFF, ticks & 0xFFFFFFFF, size,
        size if wirelen is None else wirelen,
    )  # fmt: skip
    return _block(6, head + packet + bytes(-len(packet) % 4))


def checksum(data: bytes) -> int:
    """RFC 1071. A number is congruent to the sum of its 16-bit digits modulo 2^16 - 1: one
    division of a long integer, 20 times faster than adding words one by one."""
    number = int.from_bytes(data + bytes(len(data) % 2), "big")
    return (0xFFFF - number % 0xFFFF) % 0xFFFF if number else 0xFFFF


@dataclass
class Ends:
    """Who talks. addresses: 4 or 16 octets each; client: the side that is it."""

    proto: int
    addresses: tuple[bytes, bytes]
    ports: tuple[int, int]
    client: int = 0
    status: str = "open"

    def ip(self, side: int, transport: bytes) -> bytes:
        """An IP packet from that side."""
        source, target = self.addresses[side], self.addresses[1 - side]
        if len(source) == 16:
            head = struct.pack("!IHBB", 6 << 28, len(transport), self.proto, HOPS)
            return head + source + target + transport
        head = struct.pack(
            "!BBHHHBBH", 0x45, 0, 20 + len(transport), 0, 0x4000, HOPS, self.proto, 0
        )
        head += source + target
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + transport

    def summed(self, side: int, transport: bytes, at: int) -> bytes:
        """The segment or datagram with its checksum at offset `at`."""
        pseudo = self.addresses[side] + self.addresses[1 - side]
        pseudo += struct.pack("!II", len(transport), self.proto)
        value = checksum(pseudo + transport)
        if self.proto == UDP:
            value = value or 0xFFFF
        return transport[:at] + struct.pack("!H", value) + transport[at + 2 :]


@dataclass
class Synthesis:
    """Turns of a conversation, one after the other, as packets.

    first_seqs: sequence numbers of the first octets, by direction. interface, link: in the file; of
    any link type but Ethernet they are raw IP.
    """

    ends: Ends
    first_seqs: tuple[int, int] = (FIRST_SEQ, FIRST_SEQ)
    interface: int = 0
    link: int = LINKTYPE_RAW
    at: list[int] = field(default_factory=lambda: [0, 0])  # next logical offset, by direction
    after: list[int] = field(default_factory=lambda: [0, 0])  # where the conversation goes on
    last_ns: int = 0
    begun: bool = False

    def begin(self, ts_ns: int) -> Iterator[bytes]:
        """The handshake, at the time of the first turn."""
        self.begun, self.last_ns = True, ts_ns
        if self.ends.proto != TCP:
            return
        client, server = self.ends.client, 1 - self.ends.client
        yield self._segment(client, SYN, before=1, ack=0)
        yield self._segment(server, SYN | ACK, before=1)
        yield self._segment(client, ACK)

    def turn(self, direction: int, start: int, octets: bytes, ts_ns: int) -> Iterator[bytes]:
        """What one side said; whatever is between the last octet and `start` is a hole."""
        if not self.begun:
            yield from self.begin(ts_ns)
        self.last_ns = ts_ns
        self.at[direction] = start
        most = MSS if self.ends.proto == TCP else DATAGRAM
        for cut in range(0, len(octets), most):
            piece = octets[cut : cut + most]
            if self.ends.proto == TCP:
                yield self._segment(direction, PSH | ACK, piece)
            else:
                yield self._datagram(direction, piece)
            self.at[direction] += len(piece)

    def end(self, offsets: tuple[int, int]) -> Iterator[bytes]:
        """How it ended. offsets: of the ends of both directions; a hole may be before them."""
        if not self.begun:
            yield from self.begin(self.last_ns)
        if self.ends.proto != TCP:
            return
        self.at = list(offsets)
        client, server = self.ends.client, 1 - self.ends.client
        if self.ends.status == "closed":
            yield self._segment(client, FIN | ACK)
            self.at[client] += 1
            yield self._segment(server, FIN | ACK)
            self.at[server] += 1
            yield self._segment(client, ACK)
        elif self.ends.status == "reset":
            yield self._segment(server, RST | ACK)
        else:  # both acknowledge what came, holes included
            yield self._segment(client, ACK)
            yield self._segment(server, ACK)

    def _segment(
        self, side: int, flags: int, payload: bytes = b"", before: int = 0, ack: int | None = None
    ) -> bytes:
        """before: numbers that it is before the next octet."""
        seq = self.first_seqs[side] + self.at[side] - before
        ack = self.first_seqs[1 - side] + self.at[1 - side] if ack is None else ack
        head = struct.pack(
            "!HHIIBBHHH", self.ends.ports[side], self.ends.ports[1 - side],
            seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 5 << 4, flags, WINDOW, 0, 0,
        )  # fmt: skip
        segment = self.ends.summed(side, head + payload, 16)
        return self._record(side, segment)

    def _datagram(self, side: int, payload: bytes) -> bytes:
        head = struct.pack(
            "!HHHH", self.ends.ports[side], self.ends.ports[1 - side], 8 + len(payload), 0
        )
        datagram = self.ends.summed(side, head + payload, 6)
        return self._record(side, datagram)

    def _record(self, side: int, transport: bytes) -> bytes:
        packet = self.ends.ip(side, transport)
        if self.link == LINKTYPE_ETHERNET:
            packet = NO_ADDRESSES + ETHERTYPES[packet[0] >> 4] + packet
        return record(packet, self.last_ns, self.interface)
