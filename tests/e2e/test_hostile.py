"""A capture made to hurt: it is read to its end, at a bounded cost, and rows say what is wrong."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.columns import ACK
from tests import bombs
from tests import builders as b
from tests.conftest import peak_bytes_of
from tests.e2e.run import Row, Served, processes_of, served
from tests.e2e.traffic import START_NS, Conversation
from tests.tls_octets import named_hello

pytestmark = pytest.mark.e2e

SEGMENT = 60_000
HTTP, TLS, DNS = 80, 443, 53
HELLO = named_hello(b"example.com")[5:]  # without its record
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
MILLION = b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1_000_000 + b"\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK_SIZES = (b"10000000000000000", b"ffffffffffffffff", b"7fffffffffffffff", b"f" * 4000)
# of a ClientHello's record: what its header claims. All that a record may have, and more.
TLS_LENGTHS = (*range(len(HELLO) + 80), 255, 256, 16383, 16384, 16385, 18432, 18433, 32768, 65535)
UPGRADE = GET.replace(b"Host: h", b"Host: h\r\nConnection: upgrade\r\nUpgrade: websocket")
UPGRADED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
FAR = (-1, -1000, 1 << 30, (1 << 31) - 1, 1 << 31, (1 << 32) - 2)  # from where a stream is
# Of one shard over the same run without these streams: tables are touched at the start, and the
# content of the run is 20 MB.
GROWTH_BYTES = 96 << 20


class Capture:
    """Conversations, each on a client port of its own."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.port = 20_000

    def talk(self, name: str, asks: bytes, answers: bytes, port: int = HTTP) -> None:
        """A handshake, what each side says, and no end."""
        self.port += 1
        one = Conversation(name, self.port, server_port=port).open()
        for at in range(0, len(asks), SEGMENT):
            one.client(1 + at, asks[at : at + SEGMENT])
        for at in range(0, len(answers), SEGMENT):
            one.server(1 + at, answers[at : at + SEGMENT], ack=1 + len(asks))
        self.frames += one.frames

    def datagram(self, payload: bytes, port: int = DNS) -> None:
        self.port += 1
        self.frames.append(
            b.ethernet(b.ip4("10.0.0.1", "10.0.0.2", 17, b.udp(self.port, port, payload)))
        )

    def octets(self) -> bytes:
        return b.pcap_bytes((START_NS + at * 1000, each) for at, each in enumerate(self.frames))


def pointer_loops() -> Iterator[bytes]:
    """DNS messages whose names never end (RFC 1035, 4.1.4): to itself, in a ring, a long ladder."""
    head = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0)
    for name in (
        b"\xc0\x0c",
        b"\xc0\x0e\xc0\x0c",
        b"\1a\xc0\x0c",
        b"\xff\xff",
        b"".join(struct.pack("!H", 0xC000 | 12 + 2 * at) for at in range(1, 2000)) + b"\xc0\x0c",
    ):
        yield head + name + b"\0\1\0\1"
    ladder = b"\0" + b"".join(struct.pack("!H", 0xC00C + max(0, 2 * at - 1)) for at in range(900))
    yield struct.pack("!6H", 7, 0x8180, 0, 900, 0, 0) + ladder + b"\0\1\0\1" * 900


def frame(opcode: int, payload: bytes, first: int) -> bytes:
    """An unmasked WebSocket frame with the longest form of length (RFC 6455, 5.2)."""
    return bytes([first | opcode, 127]) + struct.pack("!Q", len(payload)) + payload


def hostile() -> Capture:
    found = Capture()
    found.talk("million", GET, MILLION)
    for size in CHUNK_SIZES:
        found.talk("chunk", GET, CHUNKED + size + b"\r\nhello\r\n0\r\n\r\n")
    for length in TLS_LENGTHS:
        found.talk("tls", b"\x16\3\1" + struct.pack("!H", length) + HELLO, b"", port=TLS)
    for message in pointer_loops():
        found.datagram(message)
        found.talk("dns", struct.pack("!H", len(message)) + message, b"", port=DNS)
    found.talk("bomb", UPGRADE, UPGRADED + frame(2, bombs.deflate(), 0xC0))
    found.talk("length", UPGRADE, UPGRADED + b"\x82\x7f" + b"\xff" * 8 + b"x" * 100)
    return found


def far() -> list[bytes]:
    """Streams of ten octets, each with one segment that lies far off."""
    frames = []
    for port, at in enumerate(FAR, 10_001):
        one = Conversation("far", port, isn=(5000, 9000)).open()
        one.client(1, b"0123456789").client(1 + at, b"elsewhere", ACK).close(11, 1)
        frames += one.frames
    return frames


def peak_bytes(run: Served) -> int:
    """The most memory that its shard had."""
    (shard,) = [one["pid"] for one in run.get("/api/health")["shards"]]
    assert shard in processes_of(run.process.pid)
    return peak_bytes_of(shard)


@pytest.fixture(scope="module")
def plain_bytes(tmp_path_factory: pytest.TempPathFactory) -> int:
    """The peak of a shard that read nothing of this."""
    folder = tmp_path_factory.mktemp("plain")
    one = Capture()
    one.talk("plain", GET, b"HTTP/1.1 200 OK\r\n\r\nhello")
    (folder / "plain.pcap").write_bytes(one.octets())
    with served("--pcap", "plain.pcap", "--workers", "1", folder=folder) as run:
        run.wait_ended()
        return peak_bytes(run)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "hostile.pcap").write_bytes(hostile().octets())
    with served("--pcap", "hostile.pcap", "--workers", "1", folder=folder) as run:
        run.wait_ended()
        yield run


def messages(run: Served, **filters: str) -> list[Row]:
    """All messages that pass."""
    found: list[Row] = []
    cursor = None
    while True:
        more: dict[str, str] = {} if cursor is None else {"cursor": cursor}
        page = run.get("/api/messages", limit=512, **filters, **more)
        found += page["messages"]
        cursor = page["next_cursor"]
        if cursor is None or not page["messages"]:
            return found


def test_memory_is_bounded(run: Served, plain_bytes: int) -> None:
    assert peak_bytes(run) - plain_bytes < GROWTH_BYTES


def test_a_million_headers(run: Served) -> None:
    """The head is longer than may be put together: that is said, and its octets are there."""
    (row,) = [
        row
        for row in run.rows(service="http")
        if row["directions"]["b_to_a"]["stream_bytes"] == len(MILLION)
    ]
    found = run.get(f"/api/streams/{row['stream_id_hex']}/messages")["messages"]
    assert [(one["kind"], one["status"]) for one in found] == [
        ("request", "complete"),
        ("response", "parse_error"),
    ]


def test_chunks_of_impossible_sizes(run: Served) -> None:
    found = messages(run, protocol="http1", kind="response", status="200")
    wrong = [one for one in found if one["detail"]["body_framing"] == "chunked"]
    assert [one["status"] for one in wrong] == ["parse_error"] * len(CHUNK_SIZES)


def test_tls_records_of_every_length(run: Served) -> None:
    """The right one is complete; others end in an error, or wait for what never comes."""
    rows = run.rows(service="tls")
    told = messages(run, protocol="tls")
    whole = [one for one in told if one["status"] == "complete" and one["kind"] == "client_hello"]
    assert {one["status"] for one in told} <= {"complete", "partial", "parse_error"}
    # a record that is longer than the hello has all of it, and waits for more
    assert 1 <= len(whole) <= sum(length >= len(HELLO) for length in TLS_LENGTHS)
    assert len(rows) <= len(TLS_LENGTHS)


def test_names_that_never_end(run: Served) -> None:
    found = messages(run, protocol="dns")
    assert len(found) >= 2 * 4
    assert {one["status"] for one in found} <= {"partial", "parse_error", "complete"}
    loops = [one for one in found if one["status"] == "parse_error"]
    assert len(loops) >= 2 * 4


def test_a_deflate_bomb_in_a_websocket(run: Served) -> None:
    (row,) = [row for row in run.rows(service="websocket") if row["bytes"] > 1 << 20]
    view = run.get(
        f"/api/streams/{row['stream_id_hex']}/content",
        direction="server",
        start=len(UPGRADED),
        transform="websocket",
        mode="hex",
    )["transform"]
    assert view["truncated_by_limit"]
    assert view["returned_bytes"] <= 1 << 20


def test_a_segment_far_off_costs_nothing(tmp_path: Path, plain_bytes: int) -> None:
    """Just before the stream, or up to 4 GB ahead: the stream is what it is without it."""
    frames = far()
    records = ((START_NS + at * 1000, each) for at, each in enumerate(frames))
    (tmp_path / "far.pcap").write_bytes(b.pcap_bytes(records))
    with served("--pcap", "far.pcap", "--workers", "1", folder=tmp_path) as run:
        run.wait_ended()
        rows = run.rows()
        assert [row["packets"] for row in rows] == [8] * len(FAR)
        for row in rows:
            found = run.get(f"/api/streams/{row['stream_id_hex']}/content", direction="client")
            assert found["segments"][0]["view"] == "0123456789"
        assert peak_bytes(run) - plain_bytes < 8 << 20
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 1 << 20
