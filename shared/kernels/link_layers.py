"""From the first byte of a frame to its IP header: link types, tags, labels, PPP, LLC.

Everything is spelt as an EtherType: Ethernet itself is 0x6558 (transparent bridging), PPP 0x880b,
LLC the lengths up to 1500 that IEEE 802.3 has in the place of a type. A negative EtherType is a
decode status, inverted: `~kind`.
"""

from shared.columns import MALFORMED, NON_IP, PARSED, TRUNCATED, UNSUPPORTED_LINK
from shared.kernels import inlined
from shared.kernels.octets import Bytes, be16, be32, u8

MAX_LINK_HEADERS, MAX_LABELS, MAX_TLVS = 16, 16, 64

IPV4, IPV6, MPLS, MPLS_MULTICAST, PPPOE = 0x0800, 0x86DD, 0x8847, 0x8848, 0x8864
ETHERNET, PPP, LLC, LENGTH_MAX = 0x6558, 0x880B, 4, 1500


@inlined
def link_header(data: Bytes, at: int, stop: int, link: int) -> tuple[int, int, int]:
    """EtherType, start and end of what a frame of a link type carries (tcpdump.org/linktypes)."""
    if link == 1:
        return ETHERNET, at, stop
    if link in (101, 12, 14, 228, 229):
        return IPV4, at, stop
    if link == 9:
        return PPP, at, stop
    if link == 51:
        return PPPOE, at, stop
    if link in (0, 108):
        return loopback_family(data, at, stop), at + 4, stop
    if link == 113:
        return (cooked(be16(data, at + 14)) if at + 16 <= stop else ~TRUNCATED), at + 16, stop
    if link == 276:
        return (cooked(be16(data, at)) if at + 20 <= stop else ~TRUNCATED), at + 20, stop
    if link in (50, 104):
        return hdlc(data, at, stop, link)
    if link == 239:
        return nflog(data, at, stop)
    return ~UNSUPPORTED_LINK, at, stop


@inlined
def loopback_family(data: Bytes, at: int, stop: int) -> int:
    """BSD address family, in the byte order of whoever captured."""
    if at + 4 > stop:
        return ~TRUNCATED
    family = be32(data, at)
    if family > 0xFFFF:
        family = (
            u8(data, at + 3) << 24 | u8(data, at + 2) << 16 | u8(data, at + 1) << 8 | u8(data, at)
        )
    return IPV4 if family in (2, 10, 24, 28, 30) else ~NON_IP


@inlined
def cooked(kind: int) -> int:
    """The protocol of Linux cooked captures and Cisco HDLC, where lengths do not occur."""
    return kind if kind > LENGTH_MAX or kind == LLC else ~NON_IP


@inlined
def hdlc(data: Bytes, at: int, stop: int, link: int) -> tuple[int, int, int]:
    """Cisco HDLC; with link type 50 PPP as well, told by the first byte."""
    if link == 50 and at < stop and u8(data, at) & 0x7F != 0x0F:
        return PPP, at, stop
    if at + 4 > stop:
        return ~TRUNCATED, at, stop
    kind = be16(data, at + 2)
    return (kind if kind > LENGTH_MAX else ~NON_IP), at + 4, stop


@inlined
def nflog(data: Bytes, at: int, stop: int) -> tuple[int, int, int]:
    """Attributes in the byte order of whoever captured (types are small); 9 is the packet."""
    at += 4
    if at > stop:
        return ~TRUNCATED, at, stop
    for _ in range(MAX_TLVS):
        if at + 4 > stop:
            return ~TRUNCATED, at, stop
        length, kind = (
            u8(data, at) | u8(data, at + 1) << 8,
            u8(data, at + 2) | u8(data, at + 3) << 8,
        )
        if kind > 255:
            length, kind = be16(data, at), be16(data, at + 2)
        if length < 4:
            return ~MALFORMED, at, stop
        if kind == 9:
            return IPV4, at + 4, min(stop, at + length)
        at += (length + 3) & ~3
        if at == stop:
            return ~NON_IP, at, stop
    return ~MALFORMED, at, stop


@inlined
def find_ip(
    data: Bytes, at: int, stop: int, wire: int, kind: int, short: int
) -> tuple[int, int, int, int]:
    """Walk tags, labels and the like to an IP header: status (PARSED = found), start, stop, wire.

    kind: EtherType of what starts at `at`. short: status if a header does not fit.
    """
    for _ in range(MAX_LINK_HEADERS):
        if kind == IPV4 or kind == IPV6:
            return PARSED, at, stop, wire
        if kind == ETHERNET:
            kind, at = (be16(data, at + 12) if at + 14 <= stop else ~short), at + 14
        elif kind in (0x8100, 0x88A8, 0x9100, 0x9200):  # IEEE 802.1Q
            kind, at = (be16(data, at + 2) if at + 4 <= stop else ~short), at + 4
        elif kind == MPLS or kind == MPLS_MULTICAST:
            kind, at = mpls(data, at, stop, short)
        elif kind == PPPOE:
            kind, end = pppoe(data, at, stop, short)
            at, stop, wire = at + 6, min(stop, end), min(wire, end)
        elif kind == PPP:
            kind, at = ppp(data, at, stop, short)
        elif 0 <= kind <= LENGTH_MAX:
            kind, at = llc(data, at, stop, short)
        else:
            return (NON_IP if kind > 0 else ~kind), at, stop, wire
    return MALFORMED, at, stop, wire


@inlined
def mpls(data: Bytes, at: int, stop: int, short: int) -> tuple[int, int]:
    """Skip the label stack (RFC 3032); the first nibble says what follows (RFC 4928 §3)."""
    bottom, labels = 0, 0
    while not bottom:
        if labels == MAX_LABELS:
            return ~MALFORMED, at
        if at + 4 > stop:
            return ~short, at
        bottom = u8(data, at + 2) & 1
        labels += 1
        at += 4
    if at >= stop:
        return ~short, at
    nibble = u8(data, at) >> 4
    if nibble == 4 or nibble == 6:
        return IPV4, at
    if nibble == 0 and carries_ip(data, at + 4, stop):  # RFC 4448 §4.6: control word
        return ETHERNET, at + 4
    return (ETHERNET if carries_ip(data, at, stop) else ~NON_IP), at


@inlined
def carries_ip(data: Bytes, at: int, stop: int) -> bool:
    """An Ethernet frame whose type leads towards IP: how a pseudowire is recognised."""
    if at + 14 > stop:
        return False
    kind = be16(data, at + 12)
    return kind in (IPV4, IPV6, 0x8100, 0x88A8, 0x9100, 0x9200, MPLS, MPLS_MULTICAST, PPPOE)


@inlined
def pppoe(data: Bytes, at: int, stop: int, short: int) -> tuple[int, int]:
    """RFC 2516 §4: version 1, type 1; code 0 is session data. EtherType, and where it ends."""
    if at + 6 > stop:
        return ~short, stop
    if u8(data, at) != 0x11:
        return ~MALFORMED, stop
    return (PPP if u8(data, at + 1) == 0 else ~NON_IP), at + 6 + be16(data, at + 4)


@inlined
def ppp(data: Bytes, at: int, stop: int, short: int) -> tuple[int, int]:
    """RFC 1662 §3.1: address and control may be left out; RFC 1661 §6.5: odd = one byte."""
    if at + 2 <= stop and be16(data, at) == 0xFF03:
        at += 2
    if at >= stop:
        return ~short, at
    protocol = u8(data, at)
    at += 1
    if protocol & 1 == 0:
        if at >= stop:
            return ~short, at
        protocol = protocol << 8 | u8(data, at)
        at += 1
    if protocol == 0x21 or protocol == 0x57:
        return IPV4, at
    return (MPLS if protocol == 0x281 or protocol == 0x283 else ~NON_IP), at


@inlined
def llc(data: Bytes, at: int, stop: int, short: int) -> tuple[int, int]:
    """IEEE 802.2: IP at SAP 6, or SNAP (RFC 1042, and 802.1H with its own OUI)."""
    if at + 3 > stop:
        return ~short, at
    saps, control = be16(data, at), u8(data, at + 2)
    if saps == 0x0606 and control == 3:
        return IPV4, at + 3
    if saps != 0xAAAA or control != 3:
        return ~NON_IP, at
    if at + 8 > stop:
        return ~short, at
    oui, kind = be16(data, at + 3) << 8 | u8(data, at + 5), be16(data, at + 6)
    return (kind if (oui == 0 or oui == 0xF8) and kind > LENGTH_MAX else ~NON_IP), at + 8
