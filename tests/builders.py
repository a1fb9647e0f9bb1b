"""Packets and capture files by hand, for tests: each function puts one header before a payload.

Addresses are text, checksums are left zero (nothing verifies them), lengths are right unless given.
"""

import ipaddress
import struct
from collections.abc import Iterable, Sequence

MAC_A, MAC_B = b"\x02\x00\x00\x00\x00\x0a", b"\x02\x00\x00\x00\x00\x0b"
IPV4, IPV6, ARP, VLAN, QINQ = 0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8
MPLS, PPPOE_SESSION, TRANSPARENT_ETHERNET, PPP = 0x8847, 0x8864, 0x6558, 0x880B
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, NO_NEXT, DESTINATION = 0, 43, 44, 51, 59, 60


def address(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


# -------------------------------------------------------------------------------- link layers


def ethernet(payload: bytes, kind: int = IPV4, src: bytes = MAC_A, dst: bytes = MAC_B) -> bytes:
    return dst + src + struct.pack("!H", kind) + payload


def vlan(payload: bytes, kind: int = IPV4, vid: int = 1) -> bytes:
    """What follows EtherType 0x8100 (or 0x88a8, 0x9100): IEEE 802.1Q tag and inner EtherType."""
    return struct.pack("!HH", vid, kind) + payload


def snap(payload: bytes, kind: int = IPV4) -> bytes:
    """IEEE 802.2 LLC and SNAP; goes into an Ethernet frame whose type is the length."""
    return b"\xaa\xaa\x03\0\0\0" + struct.pack("!H", kind) + payload


def mpls(payload: bytes, labels: Sequence[int] = (16,)) -> bytes:
    """A label stack (RFC 3032 §2.1); the last label carries the bottom-of-stack bit."""
    last = len(labels) - 1
    stack = (label << 12 | (i == last) << 8 | 64 for i, label in enumerate(labels))
    return b"".join(struct.pack("!I", entry) for entry in stack) + payload


def ppp(payload: bytes, protocol: int = 0x21, framed: bool = True, short: bool = False) -> bytes:
    """RFC 1661 §2: with the address and control bytes or not, protocol in one byte or two."""
    field = struct.pack("!B" if short else "!H", protocol)
    return (b"\xff\x03" if framed else b"") + field + payload


def pppoe(payload: bytes, protocol: int = 0x21, session: int = 1) -> bytes:
    """RFC 2516 §4, session stage."""
    return struct.pack("!BBHHH", 0x11, 0, session, len(payload) + 2, protocol) + payload


def sll(payload: bytes, kind: int = IPV4) -> bytes:
    """LINKTYPE_LINUX_SLL."""
    return struct.pack("!HHH8sH", 0, 1, 6, MAC_A, kind) + payload


def sll2(payload: bytes, kind: int = IPV4) -> bytes:
    """LINKTYPE_LINUX_SLL2."""
    return struct.pack("!HHIHBB8s", kind, 0, 2, 1, 0, 6, MAC_A) + payload


def null(payload: bytes, family: int = 2, byte_order: str = "<") -> bytes:
    """LINKTYPE_NULL in either byte order; LINKTYPE_LOOP is the big-endian one."""
    return struct.pack(byte_order + "I", family) + payload


def cisco_hdlc(payload: bytes, kind: int = IPV4) -> bytes:
    return struct.pack("!BBH", 0x0F, 0, kind) + payload


def nflog(payload: bytes, byte_order: str = "<") -> bytes:
    """LINKTYPE_NFLOG: a prefix attribute, then the packet in attribute 9."""

    def attribute(kind: int, value: bytes) -> bytes:
        head = struct.pack(byte_order + "HH", len(value) + 4, kind)
        return head + value + bytes(-len(value) % 4)

    return b"\x02\0\0\0" + attribute(10, b"in\0") + attribute(9, payload)


# ------------------------------------------------------------------------------------------ IP


def ip4(
    src: str,
    dst: str,
    protocol: int,
    payload: bytes,
    *,
    ident: int = 0,
    more: bool = False,
    offset: int = 0,
    options: bytes = b"",
    total: int | None = None,
) -> bytes:
    """RFC 791 §3.1. `offset` in bytes, a multiple of 8; `options` padded to 4 by the caller."""
    header_bytes = 20 + len(options)
    return (
        struct.pack(
            "!BBHHHBBH4s4s",
            0x40 | header_bytes // 4,
            0,
            header_bytes + len(payload) if total is None else total,
            ident,
            more << 13 | offset // 8,
            64,
            protocol,
            0,
            address(src),
            address(dst),
        )
        + options
        + payload
    )


def ip6(src: str, dst: str, protocol: int, payload: bytes, length: int | None = None) -> bytes:
    """RFC 8200 §3."""
    size = len(payload) if length is None else length
    return struct.pack("!IHBB", 6 << 28, size, protocol, 64) + address(src) + address(dst) + payload


def extension(protocol: int, payload: bytes, words: int = 0) -> bytes:
    """An RFC 8200 §4 extension header of 8 * (words + 1) bytes before `payload`."""
    return bytes([protocol, words]) + bytes(6 + 8 * words) + payload


def authentication(protocol: int, payload: bytes, digest: bytes = bytes(12)) -> bytes:
    """RFC 4302 §2."""
    head = struct.pack("!BBHII", protocol, (12 + len(digest)) // 4 - 2, 0, 1, 1)
    return head + digest + payload


def fragment_header(
    protocol: int, payload: bytes, offset: int = 0, more: bool = False, ident: int = 1
) -> bytes:
    """RFC 8200 §4.5."""
    return struct.pack("!BBHI", protocol, 0, offset | more, ident) + payload


def fragments4(
    src: str, dst: str, protocol: int, payload: bytes, size: int, ident: int = 1
) -> list[bytes]:
    """One IPv4 datagram as fragments of `size` payload bytes, a multiple of 8."""
    return [
        ip4(
            src,
            dst,
            protocol,
            payload[at : at + size],
            ident=ident,
            offset=at,
            more=at + size < len(payload),
        )
        for at in range(0, len(payload), size)
    ]


def fragments6(
    src: str, dst: str, protocol: int, payload: bytes, size: int, ident: int = 1
) -> list[bytes]:
    """One IPv6 datagram as fragments of `size` payload bytes, a multiple of 8."""
    pieces = (
        fragment_header(protocol, payload[at : at + size], at, at + size < len(payload), ident)
        for at in range(0, len(payload), size)
    )
    return [ip6(src, dst, FRAGMENT, piece) for piece in pieces]


# ----------------------------------------------------------------------------------- transports


def tcp(
    sport: int,
    dport: int,
    payload: bytes = b"",
    *,
    seq: int = 0,
    ack: int = 0,
    flags: int = 0x10,
    window: int = 65535,
    options: bytes = b"",
) -> bytes:
    """RFC 9293 §3.1; `options` padded to 4 by the caller."""
    words = 5 + len(options) // 4
    head = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, words << 4, flags, window, 0, 0)
    return head + options + payload


def udp(sport: int, dport: int, payload: bytes = b"", length: int | None = None) -> bytes:
    """RFC 768."""
    size = 8 + len(payload) if length is None else length
    return struct.pack("!HHHH", sport, dport, size, 0) + payload


def icmp(kind: int, code: int, payload: bytes = b"", rest: int = 0) -> bytes:
    """RFC 792 and RFC 4443: four fixed bytes, four that depend on the type, the payload."""
    return struct.pack("!BBHI", kind, code, 0, rest) + payload


def tcp4(
    src: str, sport: int, dst: str, dport: int, payload: bytes = b"", seq: int = 0, flags: int = 16
) -> bytes:
    """The everyday frame: Ethernet, IPv4, TCP."""
    return ethernet(ip4(src, dst, 6, tcp(sport, dport, payload, seq=seq, flags=flags)))


def udp4(src: str, sport: int, dst: str, dport: int, payload: bytes = b"") -> bytes:
    """The other everyday frame: Ethernet, IPv4, UDP."""
    return ethernet(ip4(src, dst, 17, udp(sport, dport, payload)))


# -------------------------------------------------------------------------------------- tunnels


def gre(
    payload: bytes,
    kind: int = IPV4,
    *,
    checksum: bool = False,
    key: int | None = None,
    sequence: int | None = None,
) -> bytes:
    """RFC 2784 and RFC 2890."""
    flags = checksum << 15 | (key is not None) << 13 | (sequence is not None) << 12
    fields = ((0,) if checksum else ()) + tuple(v for v in (key, sequence) if v is not None)
    return struct.pack(f"!HH{len(fields)}I", flags, kind, *fields) + payload


def pptp_gre(payload: bytes, call: int = 1, sequence: int | None = 1, ack: int | None = 0) -> bytes:
    """RFC 2637 §4.1: GRE version 1; `payload` is a PPP frame."""
    flags = 0x2001 | (sequence is not None) << 12 | (ack is not None) << 7
    fields = tuple(v for v in (sequence, ack) if v is not None)
    return struct.pack(f"!HHHH{len(fields)}I", flags, PPP, len(payload), call, *fields) + payload


def erspan(payload: bytes, version: int = 2) -> bytes:
    """GRE with an ERSPAN type I, II or III header before an Ethernet frame."""
    if version == 1:
        return gre(payload, 0x88BE)
    if version == 2:
        return gre(struct.pack("!HHI", 0x1001, 0, 0) + payload, 0x88BE, sequence=1)
    return gre(struct.pack("!HHIHH", 0x2001, 0, 0, 0, 0) + payload, 0x22EB, sequence=1)


def vxlan(frame: bytes, vni: int = 1) -> bytes:
    """RFC 7348 §5: what follows the UDP header; `frame` is an Ethernet frame."""
    return struct.pack("!II", 0x08000000, vni << 8) + frame


def geneve(
    payload: bytes, kind: int = TRANSPARENT_ETHERNET, options: bytes = b"", vni: int = 1
) -> bytes:
    """RFC 8926 §3.4; `options` padded to 4 by the caller."""
    return struct.pack("!BBHI", len(options) // 4, 0, kind, vni << 8) + options + payload


def gtpu(
    packet: bytes, teid: int = 1, *, extensions: Sequence[bytes] = (), sequence: bool = False
) -> bytes:
    """3GPP TS 29.281 §5: a G-PDU; each extension is content of 4n - 2 bytes, of type 0x85."""
    optional = b""
    if extensions or sequence:
        optional = struct.pack("!HBB", 1, 0, 0x85 if extensions else 0)
        for i, content in enumerate(extensions):
            more = 0x85 if i + 1 < len(extensions) else 0
            optional += bytes([(len(content) + 2) // 4]) + content + bytes([more])
    flags = 0x30 | bool(extensions) << 2 | sequence << 1
    return struct.pack("!BBHI", flags, 0xFF, len(optional) + len(packet), teid) + optional + packet


def teredo(packet: bytes, *, authenticated: bool = False, origin: bool = False) -> bytes:
    """RFC 4380 §5.1.1: an IPv6 packet behind the two optional indications."""
    indications = b"\0\1\2\3" + bytes(2 + 3 + 9) if authenticated else b""
    return indications + (b"\0\0" + bytes(6) if origin else b"") + packet


# -------------------------------------------------------------------------------- capture files

Captured = tuple[int, bytes] | tuple[int, bytes, int]  # nanoseconds, frame, length on the wire


def _parts(record: Captured) -> tuple[int, bytes, int]:
    ts_ns, frame, *wire = record
    return ts_ns, frame, wire[0] if wire else len(frame)


def pcap_bytes(
    records: Iterable[Captured], link: int = 1, byte_order: str = "<", nanos: bool = False
) -> bytes:
    """A classic pcap file; without `nanos` times lose their last three digits."""
    magic = 0xA1B23C4D if nanos else 0xA1B2C3D4
    file = [struct.pack(byte_order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link)]
    for ts_ns, frame, wirelen in map(_parts, records):
        seconds, rest = divmod(ts_ns, 10**9)
        fraction = rest if nanos else rest // 1000
        file.append(
            struct.pack(byte_order + "IIII", seconds, fraction, len(frame), wirelen) + frame
        )
    return b"".join(file)


def pcapng_block(kind: int, body: bytes, byte_order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(byte_order + "I", len(body) + 12)
    return struct.pack(byte_order + "I", kind) + size + body + size


def pcapng_section(byte_order: str = "<") -> bytes:
    return pcapng_block(
        0x0A0D0D0A, struct.pack(byte_order + "IHHq", 0x1A2B3C4D, 1, 0, -1), byte_order
    )


def pcapng_interface(
    link: int = 1, byte_order: str = "<", resolution: int | None = None, snaplen: int = 0
) -> bytes:
    """`resolution` is the if_tsresol byte: a power of 10, with the top bit set of 2."""
    body = struct.pack(byte_order + "HHI", link, 0, snaplen)
    if resolution is not None:
        body += struct.pack(byte_order + "HHB3xHH", 9, 1, resolution, 0, 0)
    return pcapng_block(1, body, byte_order)


def pcapng_packet(
    units: int, frame: bytes, wirelen: int | None = None, interface: int = 0, byte_order: str = "<"
) -> bytes:
    """An Enhanced Packet Block; `units` in the interface's own resolution."""
    wire = len(frame) if wirelen is None else wirelen
    head = struct.pack(
        byte_order + "IIIII", interface, units >> 32, units & 0xFFFFFFFF, len(frame), wire
    )
    return pcapng_block(6, head + frame, byte_order)


def pcapng_simple_packet(frame: bytes, byte_order: str = "<") -> bytes:
    return pcapng_block(3, struct.pack(byte_order + "I", len(frame)) + frame, byte_order)


def pcapng_bytes(
    records: Iterable[Captured], link: int = 1, byte_order: str = "<", nanos: bool = False
) -> bytes:
    """One section, one interface, an Enhanced Packet Block for every record."""
    resolution = 9 if nanos else None
    file = [pcapng_section(byte_order), pcapng_interface(link, byte_order, resolution)]
    for ts_ns, frame, wirelen in map(_parts, records):
        units = ts_ns if nanos else ts_ns // 1000
        file.append(pcapng_packet(units, frame, wirelen, byte_order=byte_order))
    return b"".join(file)
