"""Captures made here, so that the fuzzer has something of everything without any corpus."""

import io

from shared.sample import recording
from tests import builders as b
from tests.fuzz.anatomy import Capture, parse

HTTP = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
A, B = "10.0.0.1", "10.0.0.2"
A6, B6 = "fd00::1", "fd00::2"
SYN, FIN, RST, PSH, ACK = 2, 1, 4, 8, 16
WRAP = 0xFFFFFFF0  # sequence numbers that pass zero soon


def captures() -> list[Capture]:
    """All of them."""
    frames = [*talk(), *disorder(), *datagrams(), *fragments(), *tunnels(), *links()]
    timed = [(1_700_000_000 * 10**9 + i * 1_000_000, frame) for i, frame in enumerate(frames)]
    raw = [(ts, frame[14:]) for ts, frame in timed if frame[12:14] == b"\x08\x00"]
    files = [
        b.pcap_bytes(timed),
        b.pcap_bytes(timed, byte_order=">", nanos=True),
        b.pcapng_bytes(timed),
        b.pcapng_bytes(timed, byte_order=">", nanos=True),
        b.pcap_bytes(raw, link=101),
        b.pcap_bytes([(ts, b.sll(packet)) for ts, packet in raw], link=113),
        b.pcap_bytes([(ts, b.sll2(packet)) for ts, packet in raw], link=276),
        b.pcap_bytes([(ts, b.null(packet)) for ts, packet in raw], link=0),
        b.pcap_bytes([(ts, b.ppp(packet)) for ts, packet in raw], link=9),
        b.pcap_bytes([(ts, b.nflog(packet)) for ts, packet in raw], link=239),
        several_interfaces(timed),
        sample(),
    ]
    return [parse(file) for file in files]


def segment(client: bool, seq: int, ack: int, flags: int, payload: bytes = b"") -> bytes:
    """One TCP segment of the same connection in an Ethernet frame."""
    ports = (40000, 80) if client else (80, 40000)
    ends = (A, B) if client else (B, A)
    tcp = b.tcp(*ports, payload, seq=seq & 0xFFFFFFFF, ack=ack & 0xFFFFFFFF, flags=flags)
    return b.ethernet(b.ip4(*ends, 6, tcp))


def talk() -> list[bytes]:
    """A connection, and then another one on the same ports; sequence numbers wrap."""
    frames = []
    for client, server in ((WRAP, 7000), (1 << 31, WRAP)):
        frames += [
            segment(True, client, 0, SYN),
            segment(False, server, client + 1, SYN | ACK),
            segment(True, client + 1, server + 1, ACK),
            segment(True, client + 1, server + 1, PSH | ACK, HTTP),
            segment(False, server + 1, client + 1 + len(HTTP), PSH | ACK, ANSWER),
            segment(False, server + 1 + len(ANSWER), client + 1 + len(HTTP), FIN | ACK),
            segment(True, client + 1 + len(HTTP), server + 2 + len(ANSWER), FIN | ACK),
            segment(False, server + 2 + len(ANSWER), client + 2 + len(HTTP), ACK),
        ]
    return frames


def disorder() -> list[bytes]:
    """Holes, overlaps, conflicts, keep-alives and a reset; picked up in the middle."""
    parts = (
        (0, 40),
        (80, 40),
        (60, 30),
        (160, 8),
        (40, 40),
        (30, 60),
        (39, 1),
        (120, 80),
        (300, 9),
    )
    frames = [segment(False, 5000 + at, 1, ACK, bytes([65 + at % 26]) * n) for at, n in parts]
    return [*frames, segment(True, 1, 5300, ACK), segment(True, 1, 5309, RST), *frames[-2:]]


def datagrams() -> list[bytes]:
    """UDP and ICMP, and a length of zero."""
    answer = b.udp(53, 5353, b"\x12\x34\x81\x80\0\1\0\0\0\0\0\0\3www\0\0\1\0\1")
    return [
        b.udp4(A, 5353, B, 53, b"\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\0\0\1\0\1"),
        b.ethernet(b.ip4(B, A, 17, answer)),
        b.ethernet(b.ip6(A6, B6, 17, b.udp(1000, 2000, b"x" * 100)), b.IPV6),
        b.ethernet(b.ip4(A, B, 1, b.icmp(8, 0, b"ping"))),
        b.ethernet(b.ip6(A6, B6, 58, b.icmp(128, 0, b"ping")), b.IPV6),
        b.ethernet(b.ip4(A, B, 6, b.tcp(1, 2, b"offloaded" * 100), total=0)),
    ]


def fragments() -> list[bytes]:
    """IPv4 and IPv6 datagrams in fragments, some in the wrong order."""
    datagram = b.udp(7, 7, bytes(range(256)) * 4)
    cut4 = [b.ethernet(p) for p in b.fragments4(A, B, 17, datagram, 256, 9)]
    cut6 = [b.ethernet(p, b.IPV6) for p in b.fragments6(A6, B6, 17, datagram, 512, 9)]
    inner = b.udp(2152, 2152, b.gtpu(b.ip4(A, B, 17, datagram)))
    nested = [b.ethernet(p) for p in b.fragments4(A, B, 17, inner, 400, 10)]
    return [*cut4, *reversed(cut6), *nested]


def tunnels() -> list[bytes]:
    """Each tunnel once, and some in each other."""
    packet = b.ip4("192.168.0.1", "192.168.0.2", 17, b.udp(1, 2, b"inside"))
    packet6 = b.ip6(A6, B6, 17, b.udp(1, 2, b"inside"))
    frame = b.ethernet(packet)
    inside = [
        (17, b.udp(1, 4789, b.vxlan(frame))),
        (17, b.udp(1, 6081, b.geneve(frame, options=bytes(8)))),
        (17, b.udp(1, 2152, b.gtpu(packet, extensions=(bytes(2),), sequence=True))),
        (17, b.udp(1, 3544, b.teredo(packet6, authenticated=True, origin=True))),
        (47, b.gre(packet, checksum=True, key=1, sequence=1)),
        (47, b.pptp_gre(b.ppp(packet))),
        (47, b.erspan(frame)),
        (4, packet),
        (41, packet6),
        (4, b.ip4(A, B, 4, b.ip4(A, B, 47, b.gre(packet)))),
    ]
    return [b.ethernet(b.ip4(A, B, protocol, payload)) for protocol, payload in inside]


def links() -> list[bytes]:
    """What can stand between Ethernet and IP, and the extension headers of IPv6."""
    packet = b.ip4(A, B, 17, b.udp(1, 2, b"data"))
    chain = b.extension(b.ROUTING, b.extension(17, b.udp(1, 2, b"data")), 1)
    return [
        b.ethernet(b.vlan(b.vlan(packet), b.VLAN), b.QINQ),
        b.ethernet(b.mpls(packet, (16, 17, 18)), b.MPLS),
        b.ethernet(b.pppoe(packet), b.PPPOE_SESSION),
        b.ethernet(b.snap(packet), 60),
        b.ethernet(b.ip6(A6, B6, b.HOP_BY_HOP, chain), b.IPV6),
        b.ethernet(b.ip6(A6, B6, b.AUTHENTICATION, b.authentication(17, b.udp(1, 2))), b.IPV6),
        b.ethernet(bytes(28), b.ARP),
    ]


def several_interfaces(timed: list[tuple[int, bytes]]) -> bytes:
    """A pcapng of two sections with interfaces of other links and resolutions, and other blocks."""
    blocks = [b.pcapng_section(), b.pcapng_interface(1), b.pcapng_interface(101, resolution=0x8A)]
    for ts_ns, frame in timed[:12]:
        blocks.append(b.pcapng_packet(ts_ns // 1000, frame))
        blocks.append(b.pcapng_packet(ts_ns >> 20, frame[14:], interface=1))
        blocks.append(b.pcapng_block(0xBAD, b"unknown"))
    blocks += [b.pcapng_section(">"), b.pcapng_interface(1, ">", snaplen=64)]
    blocks += [b.pcapng_simple_packet(frame[:64], ">") for _, frame in timed[12:30]]
    return b"".join(blocks)


def sample() -> bytes:
    file = io.BytesIO()
    recording().write(file)
    return file.getvalue()
