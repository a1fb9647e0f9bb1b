"""Packet decoding in plain Python: layers are nested views of bytes, tunnels are recursion.

Written from the RFCs for reading, without regard to speed.
"""

import struct
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tests.reference.flow_hash import flow_hash

MAX_TUNNELS, MAX_LINK_HEADERS, MAX_LABELS, MAX_EXTENSIONS, MAX_TLVS = 3, 16, 16, 16, 64
ETHERNET, PPP, LLC = 0x6558, 0x880B, 0  # as EtherTypes; LLC is any length field
IP_TYPES = (0x0800, 0x86DD)
TAG_TYPES = (0x8100, 0x88A8, 0x9100, 0x9200)
PPP_TYPES = {0x21: 0x0800, 0x57: 0x86DD, 0x281: 0x8847, 0x283: 0x8848}


class DecodeError(Exception):
    """Decoding ends here, with this status."""


@dataclass(frozen=True)
class View:
    """Some bytes of a frame: `data` is what was captured of `size`, from offset `at` on."""

    data: bytes
    at: int
    size: int
    short: str = "truncated"  # what it means that a header does not fit

    def head(self, length: int) -> bytes:
        if len(self.data) < length:
            raise DecodeError(self.short)
        return self.data[:length]

    def skip(self, length: int) -> "View":
        return replace(
            self,
            data=self.data[length:],
            at=self.at + min(length, len(self.data)),
            size=max(0, self.size - length),
        )

    def cut(self, size: int) -> "View":
        """The first `size` bytes on the wire, or all if there are fewer."""
        return replace(self, data=self.data[:size], size=min(size, self.size))


class Network(NamedTuple):
    """What the IP layer says; the payload of a fragment is the whole packet."""

    family: int
    proto: int
    src: bytes
    dst: bytes
    payload: View
    fragment: bool = False
    has_length: bool = True


@dataclass
class Decoded:
    """A packet that belongs to a flow, or at least has addresses."""

    status: str
    ip: Network
    payload: View
    src_port: int = 0
    dst_port: int = 0
    tcp: dict[str, int] = field(default_factory=lambda: {"seq": 0, "ack": 0, "flags": 0})
    tunnels: int = 0


def u16(data: bytes, at: int = 0) -> int:
    value: int = struct.unpack_from("!H", data, at)[0]
    return value


# -------------------------------------------------------------------------------- link layers


def link_layer(link: int, view: View) -> tuple[int, View]:
    """EtherType and content of a frame of this link type."""
    if link == 1:
        return ETHERNET, view
    if link in (101, 12, 14, 228, 229):
        return 0x0800, view
    if link in (0, 108):
        families = struct.unpack(">I", view.head(4)) + struct.unpack("<I", view.head(4))
        if not {2, 10, 24, 28, 30} & set(families):
            raise DecodeError("non_ip")
        return 0x0800, view.skip(4)
    if link == 113:
        kind = u16(view.head(16), 14)
        return LLC if kind == 4 else not_llc(kind), view.skip(16)
    if link == 276:
        kind = u16(view.head(20))
        return LLC if kind == 4 else not_llc(kind), view.skip(20)
    if link == 50 and view.head(1)[0] not in (0x0F, 0x8F):
        return PPP, view
    if link in (104, 50):
        return not_llc(u16(view.head(4), 2)), view.skip(4)
    if link == 9:
        return PPP, view
    if link == 51:
        return 0x8864, view
    if link == 239:
        return 0x0800, nflog(view)
    raise DecodeError("unsupported_link")


def not_llc(kind: int) -> int:
    """An EtherType where IEEE 802.3 lengths cannot occur."""
    if kind <= 1500:
        raise DecodeError("non_ip")
    return kind


def nflog(view: View) -> View:
    """The packet attribute of https://www.tcpdump.org/linktypes/LINKTYPE_NFLOG.html."""
    view.head(4)
    view = view.skip(4)
    for _ in range(MAX_TLVS):
        length, kind = struct.unpack("<HH", view.head(4))
        if kind > 255:
            length, kind = struct.unpack(">HH", view.head(4))
        if length < 4:
            raise DecodeError("malformed")
        if kind == 9:
            packet, lost = view.data[4:length], view.size - len(view.data)
            return View(packet, view.at + 4, len(packet) + lost)
        length = -(-length // 4) * 4
        if len(view.data) < length:
            raise DecodeError("truncated")
        view = view.skip(length)
        if not view.data:
            raise DecodeError("non_ip")
    raise DecodeError("malformed")


def network_layer(kind: int, view: View) -> View:
    """Through tags, labels and the like to the IP header."""
    for _ in range(MAX_LINK_HEADERS):
        if kind in IP_TYPES:
            return view
        kind, view = next_layer(kind, view)
    raise DecodeError("malformed")


def next_layer(kind: int, view: View) -> tuple[int, View]:
    if kind == ETHERNET:
        return u16(view.head(14), 12), view.skip(14)
    if kind in TAG_TYPES:
        return u16(view.head(4), 2), view.skip(4)
    if kind in (0x8847, 0x8848):
        return mpls(view)
    if kind == 0x8864:
        head = view.head(6)
        if head[0] != 0x11:
            raise DecodeError("malformed")
        if head[1] != 0:
            raise DecodeError("non_ip")
        return PPP, view.skip(6).cut(u16(head, 4))
    if kind == PPP:
        return ppp(view)
    if kind <= 1500:
        return llc(view)
    raise DecodeError("non_ip")


def mpls(view: View) -> tuple[int, View]:
    """RFC 3032; what is below is told by its first nibble (RFC 4928), else a pseudowire."""
    for _ in range(MAX_LABELS):
        bottom = view.head(4)[2] & 1
        view = view.skip(4)
        if bottom:
            break
    else:
        raise DecodeError("malformed")
    nibble = view.head(1)[0] >> 4
    if nibble in (4, 6):
        return 0x0800, view
    if nibble == 0 and carries_ip(view.skip(4)):  # RFC 4448 §4.6, control word
        return ETHERNET, view.skip(4)
    if carries_ip(view):
        return ETHERNET, view
    raise DecodeError("non_ip")


def carries_ip(view: View) -> bool:
    """Looks like an Ethernet frame with IP somewhere in it."""
    known = (*IP_TYPES, *TAG_TYPES, 0x8847, 0x8848, 0x8864)
    return len(view.data) >= 14 and u16(view.data, 12) in known


def ppp(view: View) -> tuple[int, View]:
    """RFC 1661 §2 and §6.5, RFC 1662 §3.1."""
    if view.data[:2] == b"\xff\x03":
        view = view.skip(2)
    size = 1 if view.head(1)[0] & 1 else 2
    protocol = int.from_bytes(view.head(size), "big")
    if protocol not in PPP_TYPES:
        raise DecodeError("non_ip")
    return PPP_TYPES[protocol], view.skip(size)


def llc(view: View) -> tuple[int, View]:
    """IEEE 802.2; SNAP with the OUI of RFC 1042 or of IEEE 802.1H, or SAP 6."""
    head = view.head(3)
    if head == b"\x06\x06\x03":
        return 0x0800, view.skip(3)
    if head != b"\xaa\xaa\x03":
        raise DecodeError("non_ip")
    head = view.head(8)
    if head[3:6] not in (b"\0\0\0", b"\0\0\xf8"):
        raise DecodeError("non_ip")
    return not_llc(u16(head, 6)), view.skip(8)


# ------------------------------------------------------------------------------------------ IP


def internet(view: View, strict: bool) -> Network:
    """The IP header, whichever version."""
    version = view.head(1)[0] >> 4
    if version == 4:
        return internet4(view, strict)
    if version == 6:
        return internet6(view, strict)
    raise DecodeError("malformed")


def bounded(view: View, size: int, strict: bool) -> View:
    """A packet that says how long it is, 0 = as long as what carries it; strict: no longer."""
    size = size or view.size
    if strict and size > view.size:
        raise DecodeError("malformed")
    short = "truncated" if size > len(view.data) else "malformed"
    return replace(view.cut(size), short=short)


def internet4(view: View, strict: bool) -> Network:
    head = view.head(20)
    header, total, pieces = (head[0] & 15) * 4, u16(head, 2), u16(head, 6)
    if header < 20 or 0 < total < header:
        raise DecodeError("malformed")
    packet = bounded(view, total, strict)
    packet.head(header)
    ip = Network(4, head[9], bytes(12) + head[12:16], bytes(12) + head[16:20], packet)
    ip = ip._replace(has_length=total > 0)
    if pieces & 0x3FFF:
        return ip._replace(fragment=True)
    payload, proto = packet.skip(header), head[9]
    for _ in range(MAX_EXTENSIONS):
        if proto != 51:
            return ip._replace(proto=proto, payload=payload)
        proto, payload = authentication(payload)
    raise DecodeError("malformed")


def internet6(view: View, strict: bool) -> Network:
    head = view.head(40)
    length, proto = u16(head, 4), head[6]
    packet = bounded(view, 40 + length if length else 0, strict)
    payload = packet.skip(40)
    ip = Network(6, proto, head[8:24], head[24:40], packet)
    ip = ip._replace(has_length=length > 0)
    for _ in range(MAX_EXTENSIONS):
        if proto in (0, 43, 60, 135, 140):
            size = payload.head(2)[1] * 8 + 8
            proto = payload.head(size)[0]
            payload = payload.skip(size)
        elif proto == 51:
            proto, payload = authentication(payload)
        elif proto == 44:
            fragment = payload.head(8)
            proto, payload = fragment[0], payload.skip(8)
            if u16(fragment, 2) & 0xFFF9:  # RFC 6946: neither offset nor M = atomic
                return ip._replace(proto=proto, fragment=True)
        else:
            return ip._replace(proto=proto, payload=payload)
    raise DecodeError("malformed")


def authentication(payload: View) -> tuple[int, View]:
    """RFC 4302 §2.2: length in 4-byte words, minus 2."""
    size = payload.head(2)[1] * 4 + 8
    return payload.head(size)[0], payload.skip(size)


# ---------------------------------------------------------------------------------- transports


def decode(kind: int, view: View, tunnels: int = 0, strict: bool = False) -> Decoded:
    """The flow of a packet; DecodeError where there is none. strict: inside of a UDP tunnel."""
    ip = internet(network_layer(kind, view), strict)
    if ip.fragment:
        return Decoded("fragment_held", ip, ip.payload, tunnels=tunnels)
    if ip.proto == 6:
        return tcp(ip, tunnels)
    if ip.proto == 17:
        return udp(ip, tunnels)
    if ip.proto in (1, 58):
        ip.payload.head(4)
        return Decoded(
            "parsed", ip, ip.payload.skip(8 if ip.payload.size >= 8 else 4), tunnels=tunnels
        )
    unsupported = Decoded("unsupported_transport", ip, ip.payload.cut(0), tunnels=tunnels)
    if tunnels == MAX_TUNNELS or ip.proto not in (4, 41, 47):
        return unsupported
    inside = gre(ip.payload) if ip.proto == 47 else (0x0800, ip.payload)
    if inside is None:
        return unsupported
    try:
        return decode(*inside, tunnels + 1, strict)
    except DecodeError as stop:
        if stop.args[0] == "non_ip":
            return unsupported
        raise


def tcp(ip: Network, tunnels: int) -> Decoded:
    head = ip.payload.head(20)
    src, dst, seq, ack, offset, flags = struct.unpack("!HHIIBB", head[:14])
    length = (offset >> 4) * 4
    if length < 20 or length > ip.payload.size:
        raise DecodeError("malformed")
    fields = {"seq": seq, "ack": ack, "flags": flags}
    return Decoded("parsed", ip, ip.payload.skip(length), src, dst, fields, tunnels)


def udp(ip: Network, tunnels: int) -> Decoded:
    src, dst, length, _ = struct.unpack("!HHHH", ip.payload.head(8))
    if 0 < length < 8:
        raise DecodeError("malformed")
    rest = ip.payload.skip(8)
    payload = rest if length == 0 else replace(rest, data=rest.data[: length - 8], size=length - 8)
    outer = Decoded("parsed", ip, payload, src, dst, tunnels=tunnels)
    if tunnels < MAX_TUNNELS:
        try:
            inside = udp_tunnel(src, dst, rest.cut(payload.size))
            inner = decode(*inside, tunnels + 1, strict=True)
            if inner.status != "unsupported_transport":
                return inner
        except DecodeError:
            pass
    return outer


# -------------------------------------------------------------------------------------- tunnels


def gre(view: View) -> tuple[int, View] | None:
    """EtherType and content (RFC 2784, 2890; 2637 for version 1), None if it cannot be told."""
    flags, kind = struct.unpack("!HH", view.head(4))
    checksum, routing, key, sequence = (flags & bit for bit in (0x8000, 0x4000, 0x2000, 0x1000))
    length = 4 + 4 * (bool(checksum) + bool(key) + bool(sequence))
    if flags & 7 == 1:
        if kind != PPP or not sequence or checksum or routing:
            return None
        length += 4 * bool(flags & 0x80)
    elif flags & 7 != 0 or routing:
        return None
    if kind == 0x88BE:  # ERSPAN I has no header, II has 8 bytes
        kind, length = ETHERNET, length + (8 if sequence else 0)
    elif kind == 0x22EB:  # ERSPAN III; 8 more bytes if its last bit is set
        optional = view.head(length + 12)[length + 11] & 1
        kind, length = ETHERNET, length + 12 + 8 * optional
    view.head(length)
    return None if kind <= 1500 else (kind, view.skip(length))


def udp_tunnel(src: int, dst: int, view: View) -> tuple[int, View]:
    if dst in (4789, 8472):
        return vxlan(view)
    if dst == 6081:
        return geneve(view)
    if 2152 in (src, dst):
        return gtpu(view)
    if 3544 in (src, dst):
        return teredo(view)
    raise DecodeError("not a tunnel")


def vxlan(view: View) -> tuple[int, View]:
    """RFC 7348 §5: the I bit set, the last byte zero."""
    head = view.head(8)
    if not head[0] & 8 or head[7]:
        raise DecodeError("not VXLAN")
    return ETHERNET, view.skip(8)


def geneve(view: View) -> tuple[int, View]:
    """RFC 8926 §3.4: version 0, no control packet."""
    head = view.head(8)
    if head[0] >> 6 or head[1] & 0x80 or head[7]:
        raise DecodeError("not Geneve")
    return not_llc(u16(head, 2)), view.skip(8 + (head[0] & 63) * 4)


def gtpu(view: View) -> tuple[int, View]:
    """3GPP TS 29.281 §5: version 1, protocol type 1, message type 255 (G-PDU)."""
    head = view.head(8)
    if head[0] >> 4 != 3 or head[1] != 255 or u16(head, 2) + 8 > view.size:
        raise DecodeError("not GTP-U")
    view = view.cut(u16(head, 2) + 8).skip(8)
    if not head[0] & 7:
        return 0x0800, view
    kind = view.head(4)[3] if head[0] & 4 else 0
    view = view.skip(4)
    for _ in range(MAX_EXTENSIONS):
        if kind == 0:
            return 0x0800, view
        size = view.head(1)[0] * 4
        if size == 0:
            raise DecodeError("not GTP-U")
        kind = view.head(size)[size - 1]
        view = view.skip(size)
    raise DecodeError("not GTP-U")


def teredo(view: View) -> tuple[int, View]:
    """RFC 4380 §5.1.1: indications, then IPv6 that fills the datagram."""
    if view.head(2) == b"\0\1":
        head = view.head(4)
        view = view.skip(4 + head[2] + head[3] + 9)
    if view.head(2) == b"\0\0":
        view = view.skip(8)
    head = view.head(40)
    if head[0] >> 4 != 6 or 40 + u16(head, 4) != view.size:
        raise DecodeError("not Teredo")
    return 0x86DD, view


# -------------------------------------------------------------------------------------- the row


KEY_FIELDS = (
    *("addr_a_hi", "addr_a_lo", "addr_b_hi", "addr_b_lo", "port_a", "port_b"),
    *("proto", "family", "dir", "hash", "tunnels", "seq", "ack", "flags"),
)
PAYLOAD_FIELDS = ("payload_off", "payload_len", "payload_wire")


def decode_one(link: int, frame: bytes, wirelen: int) -> dict[str, Any]:
    """Every PACKET field but ts_ns and source; offsets count from the frame, status is a name."""
    row: dict[str, Any] = dict.fromkeys((*KEY_FIELDS, *PAYLOAD_FIELDS), 0)
    row |= {"wirelen": wirelen, "caplen": len(frame)}
    try:
        found = decode(*link_layer(link, View(frame, 0, max(wirelen, len(frame)))))
    except DecodeError as stop:
        return row | {"status": stop.args[0]}
    return row | key_fields(found) | payload_fields(found) | {"status": found.status}


def key_fields(found: Decoded) -> dict[str, int]:
    ip = found.ip
    src = int.from_bytes(ip.src, "big"), found.src_port
    dst = int.from_bytes(ip.dst, "big"), found.dst_port
    a, b = sorted((src, dst))
    low = (1 << 64) - 1
    return {
        "addr_a_hi": a[0] >> 64,
        "addr_a_lo": a[0] & low,
        "addr_b_hi": b[0] >> 64,
        "addr_b_lo": b[0] & low,
        "port_a": a[1],
        "port_b": b[1],
        "proto": ip.proto,
        "family": ip.family,
        "dir": int(src > dst),
        "hash": flow_hash(a, b, ip.proto),
        "tunnels": found.tunnels,
    } | found.tcp


def payload_fields(found: Decoded) -> dict[str, int]:
    if found.status == "unsupported_transport":
        return {}
    view = found.payload
    size = view.size if found.ip.has_length else len(view.data)
    return dict(zip(PAYLOAD_FIELDS, (view.at, len(view.data), size), strict=True))
