"""What lies inside a GRE packet or a UDP datagram: its EtherType and where it starts.

A negative EtherType is a decode status, inverted (`~kind`); of a UDP datagram any of them means:
not a tunnel.
"""

from shared.columns import NON_IP, UNSUPPORTED_TRANSPORT
from shared.kernels import inlined
from shared.kernels.link_layers import ETHERNET, IPV4, IPV6, LENGTH_MAX, PPP
from shared.kernels.octets import Bytes, be16, u8

MAX_GTP_EXTENSIONS = 16
ERSPAN_2, ERSPAN_3 = 0x88BE, 0x22EB


@inlined
def gre(data: Bytes, at: int, stop: int, short: int) -> tuple[int, int]:
    """RFC 2784 with RFC 2890, and version 1 (PPTP, RFC 2637 §4.1); ERSPAN I, II and III."""
    if at + 4 > stop:
        return ~short, at
    flags, kind = be16(data, at), be16(data, at + 2)
    checksum, routing, key, sequence = (
        flags >> 15,
        flags >> 14 & 1,
        flags >> 13 & 1,
        flags >> 12 & 1,
    )
    at += 4 + 4 * (checksum + key + sequence)
    if flags & 7 == 1:
        if kind != PPP or sequence == 0 or checksum + routing > 0:
            return ~UNSUPPORTED_TRANSPORT, at
        at += 4 * (flags >> 7 & 1)
    elif flags & 7 != 0 or routing:
        return ~UNSUPPORTED_TRANSPORT, at
    if kind == ERSPAN_2:
        kind, at = ETHERNET, at + 8 * sequence
    elif kind == ERSPAN_3:
        if at + 12 > stop:
            return ~short, at
        kind, at = ETHERNET, at + 12 + 8 * (u8(data, at + 11) & 1)
    if at > stop:
        return ~short, at
    return (kind if kind > LENGTH_MAX else ~UNSUPPORTED_TRANSPORT), at


@inlined
def udp_tunnel(
    data: Bytes, at: int, stop: int, wire: int, src: int, dst: int
) -> tuple[int, int, int, int]:
    """EtherType, start, stop and wire end of what a datagram's payload may carry; ~ if nothing."""
    if dst == 4789 or dst == 8472:
        return vxlan(data, at, stop), at + 8, stop, wire
    if dst == 6081:
        kind, at = geneve(data, at, stop)
        return kind, at, stop, wire
    if src == 2152 or dst == 2152:
        return gtpu(data, at, stop, wire)
    if src == 3544 or dst == 3544:
        kind, at = teredo(data, at, stop, wire)
        return kind, at, stop, wire
    return ~NON_IP, at, stop, wire


@inlined
def vxlan(data: Bytes, at: int, stop: int) -> int:
    """RFC 7348 §5: the I bit is set, the last byte reserved."""
    if at + 8 > stop or u8(data, at) & 8 == 0 or u8(data, at + 7) != 0:
        return ~NON_IP
    return ETHERNET


@inlined
def geneve(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """RFC 8926 §3.4: version 0, no control packet."""
    if at + 8 > stop or u8(data, at) >> 6 != 0 or u8(data, at + 1) >= 0x80 or u8(data, at + 7) != 0:
        return ~NON_IP, at
    kind = be16(data, at + 2)
    return (kind if kind > LENGTH_MAX else ~NON_IP), at + 8 + 4 * (u8(data, at) & 63)


@inlined
def gtpu(data: Bytes, at: int, stop: int, wire: int) -> tuple[int, int, int, int]:
    """3GPP TS 29.281 §5: version 1, protocol type 1, a G-PDU; extension headers are skipped."""
    if at + 8 > stop or u8(data, at) >> 4 != 3 or u8(data, at + 1) != 255:
        return ~NON_IP, at, stop, wire
    flags, end = u8(data, at) & 7, at + 8 + be16(data, at + 2)
    if end > wire:
        return ~NON_IP, at, stop, wire
    stop, wire = min(stop, end), end
    at += 8
    if flags == 0:
        return IPV4, at, stop, wire
    if at + 4 > stop:
        return ~NON_IP, at, stop, wire
    following = u8(data, at + 3) if flags & 4 else 0
    at += 4
    for _ in range(MAX_GTP_EXTENSIONS):
        if following == 0:
            return IPV4, at, stop, wire
        length = 4 * u8(data, at) if at < stop else 0
        if length == 0 or at + length > stop:
            break
        at += length
        following = u8(data, at - 1)
    return ~NON_IP, at, stop, wire


@inlined
def teredo(data: Bytes, at: int, stop: int, wire: int) -> tuple[int, int]:
    """RFC 4380 §5.1.1: authentication, origin indication, IPv6 that fills the datagram."""
    if at + 4 <= stop and be16(data, at) == 1:
        at += 13 + u8(data, at + 2) + u8(data, at + 3)
    if at + 2 <= stop and be16(data, at) == 0:
        at += 8
    if at + 40 > stop or u8(data, at) >> 4 != 6 or at + 40 + be16(data, at + 4) != wire:
        return ~NON_IP, at
    return IPV6, at
