"""What decode makes of frames: a named case for every way to an IP packet and for every limit."""

import socket
from typing import Any

import dpkt
import numpy as np
import pytest

from shared.columns import DECODE_STATUSES, PACKET, RECORD
from shared.kernels.flow_hash import shard_of
from shared.kernels.headers import MAX_TUNNELS, decode
from tests import builders as b
from tests.reference import flow_hash as reference

PAYLOAD = b"hello"
TCP = b.tcp(1111, 2222, PAYLOAD, seq=0xFFFFFFFE, ack=7, flags=0x18)
UDP = b.udp(1111, 2222, PAYLOAD)
A4, B4, A6, B6 = "10.9.9.1", "10.9.9.2", "2001:db8::1", "2001:db8::2"
P4, P6 = b.ip4(A4, B4, 6, TCP), b.ip6(A6, B6, 6, TCP)
E4, E6 = b.ethernet(P4), b.ethernet(P6, b.IPV6)


def decoded(frame: bytes, link: int = 1, wirelen: int | None = None) -> dict[str, Any]:
    """The PACKET row of one frame, its status by name."""
    record = np.zeros(1, RECORD)
    record["caplen"], record["link"] = len(frame), link
    record["wirelen"] = len(frame) if wirelen is None else wirelen
    packet, counts = np.zeros(1, PACKET), np.zeros(len(DECODE_STATUSES), np.uint64)
    with np.errstate(over="ignore"):
        decode(np.frombuffer(frame, np.uint8), record, packet, counts)
    row = {name: packet[name][0].item() for name in PACKET.names or ()}
    assert counts[row["status"]] == counts.sum() == 1
    return row | {"status": DECODE_STATUSES[row["status"]]}


def outer(protocol: int, payload: bytes) -> bytes:
    return b.ethernet(b.ip4("1.1.1.1", "2.2.2.2", protocol, payload))


def datagram(sport: int, dport: int, payload: bytes) -> bytes:
    return outer(17, b.udp(sport, dport, payload))


WAYS = {
    # name: link type, frame, tunnels
    "ethernet": (1, E4, 0),
    "ethernet, IPv6": (1, E6, 0),
    "802.1Q": (1, b.ethernet(b.vlan(P4), b.VLAN), 0),
    "QinQ": (1, b.ethernet(b.vlan(b.vlan(P4), b.VLAN), b.QINQ), 0),
    "0x9100": (1, b.ethernet(b.vlan(b.vlan(P6, b.IPV6), b.VLAN), 0x9100), 0),
    "0x9200": (1, b.ethernet(b.vlan(P4), 0x9200), 0),
    "MPLS": (1, b.ethernet(b.mpls(P4), b.MPLS), 0),
    "MPLS, three labels, IPv6": (1, b.ethernet(b.mpls(P6, (16, 17, 2)), b.MPLS), 0),
    "MPLS multicast": (1, b.ethernet(b.mpls(P4), 0x8848), 0),
    "MPLS pseudowire": (1, b.ethernet(b.mpls(E4), b.MPLS), 0),
    "MPLS pseudowire, control word": (1, b.ethernet(b.mpls(bytes(4) + E6), b.MPLS), 0),
    "PPPoE": (1, b.ethernet(b.pppoe(P4), b.PPPOE_SESSION), 0),
    "PPPoE in a VLAN": (1, b.ethernet(b.vlan(b.pppoe(P6, 0x57), b.PPPOE_SESSION), b.VLAN), 0),
    "SNAP": (1, b.ethernet(b.snap(P4), len(P4) + 8), 0),
    "LLC": (1, b.ethernet(b"\x06\x06\x03" + P4, len(P4) + 3), 0),
    "SLL": (113, b.sll(P4), 0),
    "SLL, VLAN": (113, b.sll(b.vlan(P4), b.VLAN), 0),
    "SLL, LLC": (113, b.sll(b.snap(P4), 4), 0),
    "SLL2": (276, b.sll2(P6, b.IPV6), 0),
    "raw": (101, P4, 0),
    "raw, BSD": (12, P6, 0),
    "raw, OpenBSD": (14, P4, 0),
    "raw IPv4": (228, P4, 0),
    "raw IPv6": (229, P6, 0),
    "null, little-endian": (0, b.null(P4), 0),
    "null, big-endian, FreeBSD": (0, b.null(P6, 28, ">"), 0),
    "null, macOS": (0, b.null(P6, 30), 0),
    "loop": (108, b.null(P6, 24, ">"), 0),
    "PPP": (9, b.ppp(P4), 0),
    "PPP, bare, short protocol": (9, b.ppp(P6, 0x57, framed=False, short=True), 0),
    "PPP, MPLS": (9, b.ppp(b.mpls(P4), 0x281), 0),
    "PPP_HDLC": (50, b.ppp(P4), 0),
    "PPP_HDLC, Cisco": (50, b.cisco_hdlc(P4), 0),
    "C_HDLC": (104, b.cisco_hdlc(P6, b.IPV6), 0),
    "link PPPoE": (51, b.pppoe(P4), 0),
    "NFLOG": (239, b.nflog(P4), 0),
    "NFLOG, big-endian": (239, b.nflog(P6, ">"), 0),
    "IPv4 options": (101, b.ip4(A4, B4, 6, TCP, options=bytes(40)), 0),
    "IPv6 extensions": (
        101,
        b.ip6(
            A6,
            B6,
            b.HOP_BY_HOP,
            b.extension(b.ROUTING, b.extension(b.DESTINATION, b.extension(6, TCP), words=3)),
        ),
        0,
    ),
    "IPv6 mobility and shim6": (101, b.ip6(A6, B6, 135, b.extension(140, b.extension(6, TCP))), 0),
    "IPv6 AH": (101, b.ip6(A6, B6, b.AUTHENTICATION, b.authentication(6, TCP)), 0),
    "IPv4 AH": (101, b.ip4(A4, B4, b.AUTHENTICATION, b.authentication(6, TCP)), 0),
    "IPv6 atomic fragment": (101, b.ip6(A6, B6, b.FRAGMENT, b.fragment_header(6, TCP)), 0),
    "IPv4 length 0": (1, b.ethernet(b.ip4(A4, B4, 6, TCP, total=0)), 0),
    "IPv6 length 0": (101, b.ip6(A6, B6, 6, TCP, length=0), 0),
    "4in4": (1, outer(4, P4), 1),
    "6in4": (1, outer(41, P6), 1),
    "4in6": (101, b.ip6("fe80::1", "fe80::2", 4, P4), 1),
    "6in6": (101, b.ip6("fe80::1", "fe80::2", 41, P6), 1),
    "GRE": (1, outer(47, b.gre(P4)), 1),
    "GRE, all fields": (1, outer(47, b.gre(P6, b.IPV6, checksum=True, key=1, sequence=2)), 1),
    "GRE, Ethernet": (1, outer(47, b.gre(E4, b.TRANSPARENT_ETHERNET, key=1)), 1),
    "GRE, MPLS": (1, outer(47, b.gre(b.mpls(P4), b.MPLS)), 1),
    "PPTP": (1, outer(47, b.pptp_gre(b.ppp(P4))), 1),
    "PPTP, bare PPP, no ack": (1, outer(47, b.pptp_gre(b.ppp(P4, framed=False), ack=None)), 1),
    "ERSPAN I": (1, outer(47, b.erspan(E4, 1)), 1),
    "ERSPAN II": (1, outer(47, b.erspan(E4, 2)), 1),
    "ERSPAN III": (1, outer(47, b.erspan(E6, 3)), 1),
    "VXLAN": (1, datagram(5, 4789, b.vxlan(E4)), 1),
    "VXLAN, Linux port, VLAN": (
        1,
        datagram(5, 8472, b.vxlan(b.ethernet(b.vlan(P6, b.IPV6), b.VLAN))),
        1,
    ),
    "Geneve": (1, datagram(5, 6081, b.geneve(E4, options=bytes(8))), 1),
    "Geneve, IP": (1, datagram(5, 6081, b.geneve(P6, b.IPV6)), 1),
    "GTP-U": (1, datagram(2152, 5, b.gtpu(P4)), 1),
    "GTP-U, sequence": (1, datagram(5, 2152, b.gtpu(P6, sequence=True)), 1),
    "GTP-U, extensions": (1, datagram(5, 2152, b.gtpu(P4, extensions=[bytes(2), bytes(6)])), 1),
    "Teredo": (1, datagram(3544, 5, b.teredo(P6)), 1),
    "Teredo, indications": (
        1,
        datagram(5, 3544, b.teredo(P6, authenticated=True, origin=True)),
        1,
    ),
    "three tunnels": (
        1,
        outer(4, b.ip4(A4, B4, 47, b.gre(b.ip4(A4, B4, 17, b.udp(5, 4789, b.vxlan(E4)))))),
        3,
    ),
}


@pytest.mark.parametrize(("link", "frame", "tunnels"), WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("trailer", [b"", bytes(6)], ids=["", "padded"])
def test_every_way_leads_to_the_innermost_flow(
    link: int, frame: bytes, tunnels: int, trailer: bytes
) -> None:
    if trailer and frame in (WAYS["IPv4 length 0"][1], WAYS["IPv6 length 0"][1]):
        pytest.skip("nothing says where the packet ends")
    row = decoded(frame + trailer, link)
    assert (row["status"], row["tunnels"]) == ("parsed", tunnels)
    assert (row["proto"], row["port_a"], row["port_b"], row["dir"]) == (6, 1111, 2222, 0)
    assert (row["seq"], row["ack"], row["flags"]) == (0xFFFFFFFE, 7, 0x18)
    at = row["payload_off"]
    assert frame[at : at + row["payload_len"]] == PAYLOAD
    assert row["payload_wire"] == len(PAYLOAD)
    low = 0x0A090901 if row["family"] == 4 else 1
    high = 0 if row["family"] == 4 else 0x20010DB8 << 32
    assert (row["addr_a_hi"], row["addr_a_lo"]) == (high, low)
    assert (row["addr_b_hi"], row["addr_b_lo"]) == (high, low + 1)


NO_FLOW = {
    "ARP": (1, b.ethernet(bytes(28), b.ARP), "non_ip"),
    "LLDP": (1, b.ethernet(bytes(28), 0x88CC), "non_ip"),
    "spanning tree": (1, b.ethernet(b"\x42\x42\x03" + bytes(35), 38), "non_ip"),
    "PPPoE discovery": (1, b.ethernet(b"\x11\x09" + bytes(20), 0x8863), "non_ip"),
    "PPP LCP": (9, b.ppp(bytes(8), 0xC021), "non_ip"),
    "null, another family": (0, b.null(P4, 7), "non_ip"),
    "NFLOG without packet": (239, b"\x02\0\0\0\x05\0\x0a\0a\0\0\0", "non_ip"),
    "802.11": (105, bytes(60), "unsupported_link"),
    "empty frame": (1, b"", "truncated"),
    "IP version 5": (101, b"\x50" + bytes(40), "malformed"),
    "IPv4 header length 16": (101, b"\x44" + P4[1:], "malformed"),
    "IPv4 length below its header": (101, b.ip4(A4, B4, 6, TCP, total=19), "malformed"),
    "IPv4 length without room for TCP": (101, b.ip4(A4, B4, 6, TCP, total=24), "malformed"),
    "TCP header length 16": (101, b.ip4(A4, B4, 6, TCP[:12] + b"\x40" + TCP[13:]), "malformed"),
    "TCP header beyond IP": (101, b.ip4(A4, B4, 6, TCP[:12] + b"\xf0" + TCP[13:]), "malformed"),
    "UDP length 7": (101, b.ip4(A4, B4, 17, b.udp(1, 2, b"", 7)), "malformed"),
    "labels without end": (1, b.ethernet(bytes(400), b.MPLS), "malformed"),
    "tags without end": (1, b.ethernet(b.vlan(b"", b.VLAN) * 100, b.VLAN), "malformed"),
    "extensions without end": (
        101,
        b.ip6(A6, B6, 60, b.extension(60, b"") * 40),
        "malformed",
    ),
    "NFLOG attribute of length 0": (239, bytes(8), "malformed"),
}


@pytest.mark.parametrize(("link", "frame", "status"), NO_FLOW.values(), ids=NO_FLOW)
def test_no_flow(link: int, frame: bytes, status: str) -> None:
    row = decoded(frame, link)
    assert row["status"] == status
    of_the_record = ("status", "wirelen", "caplen")
    assert not any(value for name, value in row.items() if name not in of_the_record)


@pytest.mark.parametrize("cut", range(54))
def test_cut_within_the_headers_is_truncated(cut: int) -> None:
    assert decoded(E4[:cut], wirelen=len(E4))["status"] == "truncated"
    assert decoded(E4[:cut])["status"] == "truncated"  # a file that forgot the wire length


def test_cut_payload_keeps_its_wire_length() -> None:
    row = decoded(E4[:56], wirelen=len(E4))
    assert (row["status"], row["payload_len"], row["payload_wire"]) == ("parsed", 2, 5)


@pytest.mark.parametrize("wirelen", [54, 500, 1 << 31, (1 << 32) - 1])
def test_without_an_ip_length_the_payload_is_what_was_captured(wirelen: int) -> None:
    """A frame may claim to have been 4 GB; the shard would not believe the row."""
    for link, frame, _ in (WAYS["IPv4 length 0"], WAYS["IPv6 length 0"]):
        row = decoded(frame, link, wirelen=wirelen)
        assert row["status"] == "parsed"
        assert row["payload_wire"] == row["payload_len"] == len(PAYLOAD)
        assert row["wirelen"] == wirelen
        cut = decoded(frame[:-2], link, wirelen=wirelen)
        assert cut["payload_wire"] == cut["payload_len"] == len(PAYLOAD) - 2


def test_cut_tcp_options_leave_a_packet_without_payload() -> None:
    frame = b.ethernet(b.ip4(A4, B4, 6, b.tcp(1, 2, b"12345678", options=bytes(12))))
    row = decoded(frame[:60], wirelen=len(frame))
    assert (row["status"], row["payload_len"], row["payload_wire"]) == ("parsed", 0, 8)


def test_a_frame_shorter_than_its_ip_length_ends_where_it_ends() -> None:
    row = decoded(b.ethernet(b.ip4(A4, B4, 6, TCP, total=1000)))
    assert (row["payload_len"], row["payload_wire"]) == (5, 5)


def test_pppoe_length_bounds_the_packet() -> None:
    padded = b.ip4(A4, B4, 6, b.tcp(1, 2, bytes(6)))
    session = b.pppoe(padded)
    frame = b.ethernet(session[:4] + b"\x00\x2a" + session[6:], b.PPPOE_SESSION)
    row = decoded(frame)
    assert (row["status"], row["payload_len"], row["payload_wire"]) == ("parsed", 0, 0)


@pytest.mark.parametrize(
    ("length", "captured", "wire"),
    [(None, 5, 5), (0, 5, 5), (8, 0, 0), (10, 2, 2), (1000, 5, 992)],
)
def test_udp_length(length: int | None, captured: int, wire: int) -> None:
    row = decoded(b.ethernet(b.ip4(A4, B4, 17, b.udp(1, 2, PAYLOAD, length)) + bytes(9)))
    assert (row["status"], row["payload_len"], row["payload_wire"]) == ("parsed", captured, wire)


@pytest.mark.parametrize(("size", "payload"), [(4, 0), (6, 2), (8, 0), (20, 12)])
@pytest.mark.parametrize("proto", [1, 58])
def test_icmp_payload_starts_after_its_header(proto: int, size: int, payload: int) -> None:
    row = decoded(b.ip4(A4, B4, proto, b.icmp(8, 0, bytes(12))[:size]), 101)
    assert (row["status"], row["payload_len"], row["port_a"]) == ("parsed", payload, 0)


def test_icmp_errors_are_not_entered() -> None:
    row = decoded(b.ip4(A4, B4, 1, b.icmp(3, 3, P4)), 101)
    assert (row["proto"], row["port_b"], row["payload_len"]) == (1, 0, len(P4))


@pytest.mark.parametrize("proto", [2, 50, 59, 132])
def test_unsupported_transports_have_addresses(proto: int) -> None:
    row = decoded(b.ip6(A6, B6, proto, bytes(30)), 101)
    assert (row["status"], row["proto"], row["family"]) == ("unsupported_transport", proto, 6)
    assert (row["addr_b_lo"], row["port_b"], row["payload_len"]) == (2, 0, 0)


def test_gre_with_something_else_inside() -> None:
    for inside in (b.gre(bytes(20), 0), b.gre(bytes(40), b.ARP), b.gre(b"")):
        row = decoded(outer(47, inside))
        if inside == b.gre(b""):
            assert row["status"] == "malformed"
        else:
            assert (row["status"], row["proto"]) == ("unsupported_transport", 47)


def test_fragments_are_held_with_the_whole_packet() -> None:
    packet = b.ip4(A4, B4, 6, bytes(16), more=True, options=bytes(4))
    row = decoded(b.ethernet(packet + bytes(10)))
    assert (row["status"], row["proto"], row["family"]) == ("fragment_held", 6, 4)
    assert (row["payload_off"], row["payload_len"]) == (14, len(packet))
    packet = b.ip6(A6, B6, 0, b.extension(44, b.fragment_header(17, bytes(8), offset=8)))
    row = decoded(packet, 101)
    assert (row["status"], row["proto"], row["family"]) == ("fragment_held", 17, 6)
    assert (row["payload_off"], row["payload_len"]) == (0, len(packet))


NOT_TUNNELS = {
    "VXLAN without the I bit": b.udp(5, 4789, bytes(8) + E4),
    "VXLAN with ARP": b.udp(5, 4789, b.vxlan(b.ethernet(bytes(28), b.ARP))),
    "VXLAN, inner length too long": b.udp(
        5, 4789, b.vxlan(b.ethernet(b.ip4(A4, B4, 6, TCP, total=99)))
    ),
    "VXLAN to a client": b.udp(4789, 5, b.vxlan(E4)),
    "VXLAN with text": b.udp(5, 8472, b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"),
    "Geneve control packet": b.udp(5, 6081, b"\0\x80" + b.geneve(E4)[2:]),
    "GTP-U echo": b.udp(2152, 2152, b"\x32\x01\x00\x04" + bytes(8)),
    "GTP-U, length too long": b.udp(5, 2152, b"\x30\xff\xff\xff" + bytes(4) + P4),
    "Teredo with IPv4": b.udp(5, 3544, P4),
    "Teredo with a trailer": b.udp(5, 3544, P6 + b"x"),
    "Teredo bubble": b.udp(5, 3544, b.ip6(A6, B6, b.NO_NEXT, b"")),
    "nothing": b.udp(5, 4789, b""),
}


@pytest.mark.parametrize("segment", NOT_TUNNELS.values(), ids=NOT_TUNNELS)
def test_what_is_no_tunnel_is_the_udp_flow(segment: bytes) -> None:
    row = decoded(outer(17, segment))
    assert (row["status"], row["proto"], row["tunnels"]) == ("parsed", 17, 0)
    assert {row["port_a"], row["port_b"]} & {4789, 8472, 6081, 2152, 3544}
    assert row["payload_len"] == len(segment) - 8


def test_tunnels_beyond_the_third_are_not_entered() -> None:
    packet = P4
    for _ in range(MAX_TUNNELS + 1):
        packet = b.ip4(A4, B4, 4, packet)
    row = decoded(packet, 101)
    assert (row["status"], row["proto"], row["tunnels"]) == ("unsupported_transport", 4, 3)


def test_both_directions_have_one_key_and_one_hash() -> None:
    there, back = decoded(b.tcp4(A4, 80, B4, 99)), decoded(b.tcp4(B4, 99, A4, 80))
    key = ("addr_a_hi", "addr_a_lo", "port_a", "addr_b_hi", "addr_b_lo", "port_b", "hash")
    assert [there[name] for name in key] == [back[name] for name in key]
    assert (there["dir"], back["dir"]) == (0, 1)
    assert decoded(b.tcp4(A4, 5, A4, 4))["dir"] == 1
    assert decoded(b.tcp4(A4, 5, A4, 5))["dir"] == 0


def test_a_record_beyond_the_bytes_is_cut() -> None:
    record, packet = np.zeros(2, RECORD), np.zeros(2, PACKET)
    record["off"], record["caplen"], record["wirelen"] = (0, 5000), 4000, 4000
    record["link"] = 1
    with np.errstate(over="ignore"):
        decode(np.frombuffer(E4, np.uint8), record, packet, np.zeros(7, np.uint64))
    assert [DECODE_STATUSES[status] for status in packet["status"]] == ["parsed", "truncated"]


def test_agrees_with_dpkt_on_ordinary_packets() -> None:
    for frame in (E4, E6, b.udp4(B4, 5353, A4, 7, b"abc"), b.tcp4(B4, 9, A4, 8, b"x", seq=3)):
        ip = dpkt.ethernet.Ethernet(frame).data
        row = decoded(frame)
        source = int.from_bytes(ip.src, "big"), ip.data.sport
        target = int.from_bytes(ip.dst, "big"), ip.data.dport
        ends = [
            (row[f"addr_{end}_hi"] << 64 | row[f"addr_{end}_lo"], row[f"port_{end}"])
            for end in "ab"
        ]
        assert ends == sorted([source, target])
        assert row["dir"] == (source > target)
        at = row["payload_off"]
        assert frame[at : at + row["payload_len"]] == ip.data.data
        if row["proto"] == socket.IPPROTO_TCP:
            assert (row["seq"], row["ack"], row["flags"]) == (
                ip.data.seq,
                ip.data.ack,
                ip.data.flags,
            )


def test_hash_halves_spread_independently() -> None:
    frames = [b.tcp4(f"10.0.0.{i % 250}", 1024 + i, "10.0.1.1", 80) for i in range(4000)]
    hashes = np.array([decoded(frame)["hash"] for frame in frames], np.uint64)
    low = np.bincount((hashes & np.uint64(15)).astype(np.int64), minlength=16)
    high = np.bincount([reference.shard_of(int(h), 16) for h in hashes], minlength=16)
    for spread in (low, high):  # 250 each; four standard deviations are 61
        assert abs(spread - 250).max() < 75
    one_shard = hashes[(hashes >> np.uint64(60)) == 3]
    assert len(set((one_shard & np.uint64(15)).tolist())) == 16


def test_shard_of_agrees_with_its_twin() -> None:
    piece = getattr(shard_of, "py_func", shard_of)  # compiled, it is only ever part of a kernel
    for value in (0, 1 << 31, 1 << 63, (1 << 64) - 1, 0x123456789ABCDEF0):
        for shards in (1, 2, 3, 64):
            assert piece(np.uint64(value), np.uint64(shards)) == reference.shard_of(value, shards)
