"""Packet decoding: from a captured frame to its flow key and its transport payload.

- The flow is that of the innermost IP packet, at most MAX_TUNNELS tunnels deep. What a UDP port
  makes look like a tunnel is one only if a flow is found inside and no inner length reaches beyond
  the datagram; otherwise the UDP datagram itself is the flow.
- The version nibble tells IPv4 from IPv6, whatever announced them.
- A packet ends where its IP length says, but not beyond what carries it (the frame's length on
  the wire, a PPPoE length, the outer packet). IP length 0 (segmentation offload, jumbogram) means:
  with its carrier; of such a packet no more payload is said to be there than was captured.
- A header that was not captured whole is `truncated`; one for which the IP length itself leaves no
  room is `malformed`.
- Of a TCP header the 20 fixed bytes are enough, options may be cut; of UDP 8; of ICMP 4.
- `fragment_held` and `unsupported_transport` have addresses and protocol, ports are 0. All other
  statuses but `parsed` have no key and no payload.

In the pieces below `at` is where the next header starts, `stop` the end of what was captured of
the packet, `wire` its end on the wire, `short` the status if a header does not fit.
"""

from typing import Any

from shared.columns import (
    FRAGMENT_HELD,
    ICMP,
    ICMPV6,
    MALFORMED,
    NON_IP,
    PARSED,
    TCP,
    TRUNCATED,
    U8,
    UDP,
    UNSUPPORTED_TRANSPORT,
    OutPackets,
    OutU64,
    Records,
)
from shared.kernels import inlined, kernel
from shared.kernels.flow_hash import flow_hash
from shared.kernels.link_layers import IPV4, find_ip, link_header
from shared.kernels.octets import Bytes, be16, be32, be64, i64, u8, u64
from shared.kernels.tunnels import gre, udp_tunnel

MAX_TUNNELS, MAX_EXTENSIONS = 3, 16

# IP protocols that are walked through
HOP_BY_HOP, IP_IN_IP, IP6_IN_IP, ROUTING, FRAGMENT, GRE = 0, 4, 41, 43, 44, 47
AH, DESTINATION, MOBILITY, SHIM6 = 51, 60, 135, 140


# ------------------------------------------------------------------------------------------ IP


@inlined
def read_ip(
    data: Bytes, at: int, stop: int, wire: int, strict: bool, short: int
) -> tuple[int, int, int, int, int, int]:
    """Status, protocol, and start, stop and wire end of an IP packet's payload, and its `short`.

    A fragment is FRAGMENT_HELD and gives the whole packet instead of the payload.
    strict: a packet that claims to reach beyond `wire` is malformed; else its end is `wire`.
    """
    first = u8(data, at) if at < stop else 0x40
    if at + (40 if first >> 4 == 6 else 20) > stop:
        status = short if at >= stop or first >> 4 in (4, 6) else MALFORMED
        return status, 0, at, stop, wire, short
    if first >> 4 == 4:
        header, total, pieces = (first & 15) * 4, be16(data, at + 2), be16(data, at + 6) & 0x3FFF
        proto = u8(data, at + 9)
        if header < 20 or 0 < total < header:
            return MALFORMED, 0, at, stop, wire, short
    elif first >> 4 == 6:
        header, total, pieces = 40, be16(data, at + 4), 0
        proto = u8(data, at + 6)
        total += 40 if total > 0 else 0
    else:
        return MALFORMED, 0, at, stop, wire, short
    end = at + total if total > 0 else wire
    if strict and end > wire:
        return MALFORMED, 0, at, stop, wire, short
    short = TRUNCATED if end > stop else MALFORMED
    stop, wire = min(stop, end), min(wire, end)
    if at + header > stop:
        return short, 0, at, stop, wire, short
    if pieces != 0:
        return FRAGMENT_HELD, proto, at, stop, wire, short
    if proto == TCP or proto == UDP:
        return PARSED, proto, at + header, stop, wire, short
    status, proto, at = extensions(data, at, at + header, stop, proto, first >= 0x60, short)
    return status, proto, at, stop, wire, short


@inlined
def extensions(
    data: Bytes, start: int, at: int, stop: int, proto: int, version6: bool, short: int
) -> tuple[int, int, int]:
    """Skip the extension headers of RFC 8200 §4; of IPv4 there is only AH (RFC 4302)."""
    for _ in range(MAX_EXTENSIONS):
        if proto == AH:
            unit = 4
        elif version6 and proto in (HOP_BY_HOP, ROUTING, DESTINATION, MOBILITY, SHIM6, FRAGMENT):
            unit = 0 if proto == FRAGMENT else 8
        else:
            return PARSED, proto, at
        if at + 2 > stop:
            return short, 0, at
        length = 8 + unit * u8(data, at + 1)
        if at + length > stop:
            return short, 0, at
        proto = u8(data, at)
        if unit == 0 and be16(data, at + 2) & 0xFFF9:  # neither offset nor M: atomic (RFC 6946)
            return FRAGMENT_HELD, proto, start
        at += length
    return MALFORMED, 0, at


# ------------------------------------------------------------------------------------- packets


@inlined
def write(
    data: Bytes,
    p: Any,
    status: int,
    tunnels: int,
    ip: int,
    proto: int,
    header: int,
    src_port: int,
    dst_port: int,
    payload: int,
    stop: int,
    wire: int,
) -> None:
    """Write what was found: all but `status` are zeros where there is no key.

    ip, header: where the IP and the transport header start. payload, stop, wire: where the payload
    starts, ends as captured, and ends on the wire.
    """
    family, seq, ack, flags = 0, 0, 0, 0
    src_hi, src_lo, dst_hi, dst_lo = u64(0), u64(0), u64(0), u64(0)
    if status != PARSED and status != FRAGMENT_HELD and status != UNSUPPORTED_TRANSPORT:
        tunnels, proto, src_port, dst_port, payload, stop, wire = 0, 0, 0, 0, 0, 0, 0
    else:
        family = u8(data, ip) >> 4
        if be16(data, ip + (2 if family == 4 else 4)) == 0:
            wire = stop
        if family == 4:
            src_lo, dst_lo = u64(be32(data, ip + 12)), u64(be32(data, ip + 16))
        else:
            src_hi, src_lo = be64(data, ip + 8), be64(data, ip + 16)
            dst_hi, dst_lo = be64(data, ip + 24), be64(data, ip + 32)
        if proto == TCP and status == PARSED:
            seq, ack, flags = be32(data, header + 4), be32(data, header + 8), u8(data, header + 13)
    swap = src_hi > dst_hi or (
        src_hi == dst_hi and (src_lo > dst_lo or (src_lo == dst_lo and src_port > dst_port))
    )
    p["addr_a_hi"] = dst_hi if swap else src_hi
    p["addr_a_lo"] = dst_lo if swap else src_lo
    p["addr_b_hi"] = src_hi if swap else dst_hi
    p["addr_b_lo"] = src_lo if swap else dst_lo
    # of zeros the hash is 0
    p["hash"] = flow_hash(src_hi, src_lo, u64(src_port), dst_hi, dst_lo, u64(dst_port), u64(proto))
    p["seq"] = seq
    p["ack"] = ack
    p["payload_off"] = min(payload, stop)
    p["payload_len"] = max(0, stop - payload)
    p["payload_wire"] = max(0, wire - payload)
    p["port_a"] = dst_port if swap else src_port
    p["port_b"] = src_port if swap else dst_port
    p["proto"] = proto
    p["family"] = family
    p["flags"] = flags
    p["dir"] = 1 if swap else 0
    p["status"] = status
    p["tunnels"] = tunnels


@inlined
def transport(
    data: Bytes, at: int, stop: int, wire: int, proto: int, short: int
) -> tuple[int, int, int, int, int, int]:
    """Status, ports, and start, stop and wire end of the payload of TCP, UDP or ICMP."""
    if proto == TCP:
        if at + 20 > stop:
            return short, 0, 0, at, stop, wire
        payload = at + 4 * (u8(data, at + 12) >> 4)
        status = PARSED if at + 20 <= payload <= wire else MALFORMED
        return status, be16(data, at), be16(data, at + 2), payload, stop, wire
    if proto == UDP:
        if at + 8 > stop:
            return short, 0, 0, at, stop, wire
        length = be16(data, at + 4)
        if length > 0:  # 0: jumbogram (RFC 2675 §4)
            stop, wire = min(stop, at + length), at + length
        status = PARSED if length == 0 or length >= 8 else MALFORMED
        return status, be16(data, at), be16(data, at + 2), at + 8, stop, wire
    if proto == ICMP or proto == ICMPV6:
        status = PARSED if at + 4 <= stop else short
        return status, 0, 0, at + (8 if at + 8 <= wire else 4), stop, wire
    return UNSUPPORTED_TRANSPORT, 0, 0, 0, 0, 0


@inlined
def decode_flow(
    data: Bytes, at: int, stop: int, wire: int, kind: int, limit: int, p: Any
) -> tuple[int, int]:
    """Decode what starts as EtherType `kind` into `p`, entering at most `limit` tunnels.

    Gives the status, and how many tunnels lay around the last UDP tunnel entered (-1: none).
    """
    status, short, last_udp, tunnels = i64(PARSED), i64(TRUNCATED), i64(-1), i64(0)
    ip, proto, header, src_port, dst_port, payload, end, size = at, 0, at, 0, 0, 0, 0, 0
    while True:
        status, at, stop, wire = find_ip(data, at, stop, wire, kind, short)
        if status != PARSED:
            if status == NON_IP and tunnels > 0:  # the tunnel's own packet is what there is
                status, tunnels = UNSUPPORTED_TRANSPORT, tunnels - 1
            break
        ip = at
        status, proto, at, stop, wire, short = read_ip(data, at, stop, wire, last_udp >= 0, short)
        if status != PARSED:
            src_port, dst_port, payload, end, size = 0, 0, at, stop, wire  # a fragment's
            break
        header = at
        status, src_port, dst_port, payload, end, size = transport(
            data, at, stop, wire, proto, short
        )
        if tunnels == limit:
            break
        if status == PARSED and proto == UDP:
            kind, at, stop, wire = udp_tunnel(
                data, payload, end, min(wire, size), src_port, dst_port
            )
            if kind < 0:
                break
            last_udp = tunnels
        elif proto == GRE:
            kind, at = gre(data, at, stop, short)
            if kind < 0:
                status = ~kind
                break
        elif proto == IP_IN_IP or proto == IP6_IN_IP:
            kind = IPV4
        else:
            break
        tunnels += 1
    write(data, p, status, tunnels, ip, proto, header, src_port, dst_port, payload, end, size)
    return status, last_udp


@kernel
def decode(data: U8, records: Records, packets: OutPackets, counts: OutU64) -> None:
    """Decode every frame of a batch.

    data: the batch's bytes; a record that reaches beyond them is cut. records: (n,) RECORD.
    packets: (n,) PACKET, row i filled from record i, every field; payload_off counts from data[0].
    counts: (7,) uint64, counts[status] raised by 1 for each packet.
    """
    for i in range(records.size):
        r, p = records[i], packets[i]
        caplen, wirelen = i64(r["caplen"]), i64(r["wirelen"])
        p["ts_ns"] = r["ts_ns"]
        p["wirelen"] = r["wirelen"]
        p["caplen"] = r["caplen"]
        p["source"] = r["source"]
        at = min(i64(r["off"]), data.size)
        stop = min(at + caplen, data.size)
        kind, at, stop = link_header(data, at, stop, i64(r["link"]))
        wire = stop + max(0, wirelen - caplen)
        limit = i64(MAX_TUNNELS)
        while True:
            status, last_udp = decode_flow(data, at, stop, wire, kind, limit, p)
            if last_udp < 0 or status == PARSED or status == FRAGMENT_HELD:
                break
            limit = last_udp  # no tunnel after all
        counts[status] += u64(1)
