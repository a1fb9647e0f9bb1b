"""Conversations by hand, one for each rule of reassembly, and what has to come out of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from shared.columns import ACK, FIN, RST, SYN
from tests import builders as b

CLIENT, SERVER = "10.0.0.1", "10.0.0.2"
CLIENT_6, SERVER_6 = "2001:db8::1", "fe80::2"
START_NS = 1_700_000_000_000_000_000
STEP_NS = 1_000_000
IDLE_NS = 121_000_000_000
MODULUS = 1 << 32

Expected = dict[str, Any]
Segments = list[tuple[int, bytes]]  # logical offset, bytes


@dataclass
class Conversation:
    """One flow of TCP segments; sequence numbers are given relative to the initial ones.

    streams: what each stream of the flow must look like, oldest first. `sent` and `answered` are
    the client's and the server's segments, other names are fields of the row.
    """

    name: str
    port: int
    streams: list[Expected] = field(default_factory=list)
    isn: tuple[int, int] = (1000, 5000)  # of client, of server
    ipv6: bool = False
    server_port: int = 80
    frames: list[bytes] = field(default_factory=list)

    def client(
        self, at: int, data: bytes = b"", flags: int = ACK, ack: int = 1, window: int = 65535
    ) -> "Conversation":
        """A segment at `at` bytes behind the initial sequence number."""
        return self._add(0, at, data, flags, ack, window)

    def server(
        self, at: int, data: bytes = b"", flags: int = ACK, ack: int = 1, window: int = 65535
    ) -> "Conversation":
        return self._add(1, at, data, flags, ack, window)

    def open(self) -> "Conversation":
        """The three-way handshake."""
        return self.client(0, flags=SYN).server(0, flags=SYN | ACK).client(1)

    def close(self, client_at: int, server_at: int) -> "Conversation":
        """FIN and ACK from both sides."""
        self.client(client_at, flags=FIN | ACK, ack=server_at)
        self.server(server_at, flags=FIN | ACK, ack=client_at + 1)
        return self.client(client_at + 1, ack=server_at + 1)

    def again(self, isn: tuple[int, int]) -> "Conversation":
        """Another connection on the same ports."""
        self.isn = isn
        return self

    def gives(self, **expected: Any) -> "Conversation":
        self.streams.append(expected)
        return self

    def _add(
        self, side: int, at: int, data: bytes, flags: int, ack: int, window: int
    ) -> "Conversation":
        ports = (self.port, self.server_port)
        ends = (CLIENT_6, SERVER_6) if self.ipv6 else (CLIENT, SERVER)
        segment = b.tcp(
            ports[side],
            ports[1 - side],
            data,
            seq=(self.isn[side] + at) % MODULUS,
            ack=(self.isn[1 - side] + ack) % MODULUS if flags & ACK else 0,
            flags=flags,
            window=window,
        )
        if self.ipv6:
            packet = b.ethernet(b.ip6(ends[side], ends[1 - side], 6, segment), b.IPV6)
        else:
            packet = b.ethernet(b.ip4(ends[side], ends[1 - side], 6, segment))
        self.frames.append(packet)
        return self


def conversations() -> list[Conversation]:
    """All of them, each on a client port of its own."""
    ports = iter(range(40001, 50000))

    def talk(name: str, **options: Any) -> Conversation:
        return Conversation(name, next(ports), **options)

    request, answer = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nhello"
    end_c, end_s = 1 + len(request), 1 + len(answer)
    return [
        talk("plain")
        .open()
        .client(1, request)
        .server(1, answer, ack=end_c)
        .close(end_c, end_s)
        .gives(
            status="closed",
            packets=8,
            gaps=0,
            midstream=False,
            sent=[(0, request)],
            answered=[(0, answer)],
            summary="GET /a HTTP/1.1",
            reason="closed",
        ),
        talk("plain, over IPv6", ipv6=True)
        .open()
        .client(1, request)
        .gives(status="open", sent=[(0, request)], answered=[], reason="idle"),
        talk("a gap that the peer has acknowledged")
        .open()
        .client(1, b"a" * 100)
        .client(201, b"c" * 100)
        .server(1, b"ok", ack=301)
        .client(301, b"d" * 10, ack=3)
        .gives(
            status="open",
            gaps=1,
            gap_bytes=100,
            stream_bytes=212,
            sent=[(0, b"a" * 100), (200, b"c" * 100 + b"d" * 10)],
            answered=[(0, b"ok")],
        ),
        talk("a gap that nobody acknowledged")
        .open()
        .client(1, b"a" * 100)
        .client(151, b"c" * 100)
        .gives(gaps=1, gap_bytes=50, sent=[(0, b"a" * 100), (150, b"c" * 100)]),
        _many_pieces(talk("more pieces held than allowed")),
        talk("a conflicting overlap")
        .open()
        .client(1, b"AAAA")
        .client(3, b"BBBB")
        .gives(conflicts=1, sent=[(0, b"AAAABB")], payload_bytes=8, stream_bytes=6),
        talk("overlaps of what is held")
        .open()
        .client(5, b"CCCC")
        .client(3, b"DDDD")
        .client(1, b"EE")
        .gives(conflicts=1, sent=[(0, b"EEDDCCCC")], gaps=0),
        talk("a piece held twice, around another")
        .open()
        .client(5, b"ee")
        .client(3, b"cceegg")
        .client(1, b"aa")
        .gives(conflicts=0, sent=[(0, b"aacceegg")], gaps=0),
        talk("retransmissions")
        .open()
        .client(1, b"once")
        .client(1, b"once")
        .client(1, b"once and more")
        .gives(conflicts=0, sent=[(0, b"once and more")], payload_bytes=21, stream_bytes=13),
        talk("keep-alive probes")
        .open()
        .client(1, b"data")
        .server(1, b"", ack=5)
        .client(4, b"\0")
        .client(4, b"")
        .server(1, b"", ack=5)
        .client(5, b"more")
        .gives(conflicts=0, gaps=0, sent=[(0, b"datamore")]),
        talk("a reset")
        .open()
        .client(1, b"hello")
        .server(1, flags=RST | ACK, ack=6)
        .server(1, b"too late", ack=6)
        .client(6, b"not heard")
        .gives(status="reset", answered=[]),
        talk("data with the SYN")
        .client(0, b"fast", flags=SYN)
        .server(0, flags=SYN | ACK, ack=5)
        .client(5, b" open")
        .gives(status="open", sent=[(0, b"fast open")], gaps=0),
        talk("opened by both")
        .client(0, flags=SYN)
        .server(0, flags=SYN)
        .client(0, flags=SYN | ACK)
        .server(0, flags=SYN | ACK)
        .client(1, b"left")
        .server(1, b"right", ack=5)
        .gives(status="open", packets=6, sent=[(0, b"left")], answered=[(0, b"right")]),
        talk("a closed window, probed")
        .open()
        .client(1, b"full")
        .server(1, ack=5, window=0)
        .client(5, b"x")
        .server(1, ack=5, window=0)
        .client(5, b"x")
        .server(1, ack=6, window=9000)
        .client(6, b"yz")
        .gives(conflicts=0, gaps=0, sent=[(0, b"fullxyz")]),
        talk("sequence numbers that wrap", isn=(MODULUS - 8, MODULUS - 2))
        .open()
        .client(1, b"0123")
        .client(13, b"cdef")
        .client(5, b"456789ab")
        .server(1, b"wrapped", ack=17)
        .gives(gaps=0, sent=[(0, b"0123456789abcdef"[:12] + b"cdef")], answered=[(0, b"wrapped")]),
        talk("picked up in the middle")
        .server(500, b"second", ack=300)
        .client(300, b"third", ack=506)
        .server(506, b"fourth", ack=305)
        .gives(
            status="open",
            gaps=0,
            midstream=True,
            snaplen_cut=False,
            sent=[(0, b"third")],
            answered=[(0, b"secondfourth")],
        ),
        talk("a call that nobody answers")
        .client(0, flags=SYN)
        .client(0, flags=SYN)
        .gives(status="attempt", packets=2, sent=[], answered=[]),
        talk("a call that is refused")
        .client(0, flags=SYN)
        .server(0, flags=RST | ACK)
        .gives(status="reset", packets=2),
        talk("only one side captured")
        .client(0, flags=SYN)
        .client(1, b"mono")
        .client(5, b"logue", ack=900)
        .client(10, flags=FIN | ACK, ack=900)
        .gives(status="closing", sent=[(0, b"monologue")], answered=[]),
        talk("ports used again, by another SYN")
        .open()
        .client(1, b"first")
        .again((77_000, 99_000))
        .open()
        .client(1, b"second")
        .gives(sent=[(0, b"first")], reason="reused")
        .gives(sent=[(0, b"second")], reason="idle"),
        talk("ports used again, after the end")
        .open()
        .client(1, b"first")
        .close(6, 1)
        .again((3, 4))
        .open()
        .client(1, b"again")
        .gives(sent=[(0, b"first")], status="closed")
        .gives(sent=[(0, b"again")], status="open"),
    ]


def _many_pieces(talk: Conversation) -> Conversation:
    """130 pieces behind a hole, where 128 may be held."""
    talk.open()
    for piece in range(130):
        talk.client(11 + 2 * piece, b"%2d" % (piece % 100))
    whole = b"".join(b"%2d" % (piece % 100) for piece in range(130))
    return talk.gives(gaps=1, gap_bytes=10, sent=[(10, whole)])


def others() -> Iterator[tuple[int, bytes]]:
    """Packets that are not TCP, with their times."""
    at = START_NS
    query = b"\x12\x34\x01\0\0\1\0\0\0\0\0\0\4flag\3lan\0\0\1\0\1"
    for number in range(20):
        yield at + number * STEP_NS, b.udp4(CLIENT, 50000 + number, SERVER, 53, query)
    yield at, b.udp4(CLIENT, 9000, SERVER, 9001, b"before the pause")
    yield at + IDLE_NS, b.udp4(SERVER, 9001, CLIENT, 9000, b"\0\1\2after it\xff")
    echo = b.icmp(8, 0, b"ping", rest=0x00070001)
    yield at, b.ethernet(b.ip4(CLIENT, SERVER, 1, echo))
    yield at, b.ethernet(b"\0" * 28, b.ARP)


def capture() -> bytes:
    """Everything above in one capture, interleaved, in the order of its times."""
    records = [
        (START_NS + step * STEP_NS + number, frame)
        for number, talk in enumerate(conversations())
        for step, frame in enumerate(talk.frames)
    ]
    return b.pcap_bytes(sorted([*records, *others()], key=lambda record: record[0]), nanos=True)


def packed(addr: str) -> bytes:
    """What a stream id is made of at one end, less the port: family and address."""
    octets = b.address(addr)
    return bytes([4 if len(octets) == 4 else 6]) + octets
