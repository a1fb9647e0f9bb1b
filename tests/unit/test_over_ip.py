"""A client of PCAP-over-IP servers that come, go, lie and fall silent."""

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from services.capture import over_ip
from services.capture.over_ip import OverIp
from shared.errors import UserError
from tests.builders import pcapng_bytes
from tests.ports import free_port
from tests.watching import Reader, capture, frames, records

SECTION, MAGIC = b"\x0a\x0d\x0d\x0a", b"\x4d\x3c\x2b\x1a"  # of a pcapng section header


class Server:
    """Answers each connection with the next of `answers`, and closes it unless told to stay."""

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int]) -> None:
        self.listening = socket.create_server(address, family=family, reuse_port=False)
        self.port = self.listening.getsockname()[1]
        self.answers: list[bytes] = []
        self.stay = False
        self.connections: list[socket.socket] = []
        self.accepted = 0
        self.serving = threading.Thread(target=self._serve, daemon=True)
        self.serving.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            self.connections.append(connection)
            self.accepted += 1
            answer = self.answers.pop(0) if self.answers else b""
            try:
                connection.sendall(answer)
            except OSError:
                continue
            if not self.stay:
                connection.close()

    def close(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.serving.join()
        for connection in self.connections:
            connection.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_ip, "FIRST_S", 0.01)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers = []

    def start(
        family: socket.AddressFamily = socket.AF_INET, host: str = "127.0.0.1", port: int = 0
    ) -> Server:
        servers.append(Server(family, (host, port)))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def client() -> Iterator[Callable[..., Reader]]:
    readers = []

    def start(server: Server | int, host: str = "127.0.0.1") -> Reader:
        port = server if isinstance(server, int) else server.port
        readers.append(Reader(OverIp(f"{host}:{port}", 3, 8192)))
        return readers[-1]

    yield start
    for reader in readers:
        reader.source.close()


@pytest.mark.parametrize(
    "data", [capture(0, 100), pcapng_bytes(frames(0, 100)), gzip.compress(capture(0, 100))]
)
def test_what_a_server_sends_is_read(
    serve: Callable[..., Server], data: bytes, client: Callable[..., Reader]
) -> None:
    server = serve()
    server.answers, server.stay = [data], True
    reader = client(server)
    reader.until(lambda: len(reader.payloads) == 100)
    reader.until(lambda: reader.source.due() > time.monotonic() + 1)
    assert reader.numbers == list(range(100))
    assert reader.source.state.status == "reading"
    assert reader.source.state.trouble == ""


def test_it_ends_when_it_is_closed(
    serve: Callable[..., Server], client: Callable[..., Reader]
) -> None:
    server = serve()
    server.answers, server.stay = [capture(0, 3)], True
    reader = client(server)
    reader.until(lambda: reader.payloads)
    reader.source.close()
    assert reader.source.read() is None
    assert reader.source.descriptors() == []
    assert reader.source.state.status == "done"


def test_bytes_that_come_one_by_one(
    serve: Callable[..., Server], client: Callable[..., Reader]
) -> None:
    server = serve()
    server.stay = True
    reader = client(server)
    reader.until(lambda: server.connections)
    for at in range(400):
        server.connections[0].sendall((capture(0, 9))[at : at + 1])
        reader.wait()
        reader.read()
    reader.until(lambda: len(reader.payloads) == 5)


def test_over_ipv6_and_by_name(serve: Callable[..., Server], client: Callable[..., Reader]) -> None:
    server = serve(socket.AF_INET6, "::1")
    server.answers, server.stay = [capture(0, 3), capture(3, 3)], True
    reader = client(server, "[::1]")
    reader.until(lambda: len(reader.payloads) == 3)
    assert reader.source.state.name == f"[::1]:{server.port}"
    other = serve()
    other.answers, other.stay = [capture(0, 4)], True
    named = client(other, "localhost")
    named.until(lambda: len(named.payloads) == 4)


def test_a_server_that_is_restarted(
    serve: Callable[..., Server], client: Callable[..., Reader]
) -> None:
    """Each connection is a capture of its own; what one ends in the middle of is damage."""
    server = serve()
    server.answers = [capture(0, 10), capture(10, 10)[:-5], pcapng_bytes(frames(20, 10))]
    reader = client(server)
    reader.until(lambda: len(reader.payloads) == 29)
    assert reader.numbers == [*range(19), *range(20, 30)]
    state = reader.source.state
    assert state.damaged == 1
    assert "ends inside a record" in state.problems[0].reason
    assert state.packets == 29


def test_a_server_that_comes_late(
    serve: Callable[..., Server], client: Callable[..., Reader]
) -> None:
    port = free_port()
    reader = client(port)
    reader.until(lambda: reader.source.state.trouble)
    state = reader.source.state
    assert state.status == "waiting"
    assert (
        f"127.0.0.1:{port} cannot be reached: connection refused; tried again at" in state.trouble
    )
    server = serve(port=port)
    server.answers, server.stay = [capture(0, 5)], True
    reader.until(lambda: len(reader.payloads) == 5)
    assert (state.status, state.trouble) == ("reading", "")


def test_a_name_that_nobody_knows() -> None:
    reader = Reader(OverIp("nowhere.invalid:57012", 0, 8192))
    reader.until(lambda: reader.source.state.trouble)
    assert "nowhere.invalid:57012 cannot be reached" in reader.source.state.trouble


def test_the_next_address_is_tried(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, client: Callable[..., Reader]
) -> None:
    server = serve()
    server.answers, server.stay = [capture(0, 5)], True
    addresses = [
        (socket.AF_INET6, 1, 6, "", ("::1", free_port(), 0, 0)),
        (socket.AF_INET, 1, 6, "", ("127.0.0.1", server.port)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    reader = client(server, "two.example")
    reader.until(lambda: len(reader.payloads) == 5)


def test_an_address_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, client: Callable[..., Reader]
) -> None:
    """A full queue of connections: the system drops what comes."""
    monkeypatch.setattr(over_ip, "CONNECT_S", 0.05)
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    others = []
    for _ in range(4):
        others.append(socket.socket())
        others[-1].setblocking(False)
        others[-1].connect_ex(full.getsockname())
    reader = client(full.getsockname()[1])
    reader.until(lambda: "no answer within" in reader.source.state.trouble)
    for each in (*others, full):
        each.close()


def test_pauses_double_up_to_a_bound_and_are_never_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a clock that goes by itself."""
    now = [100.0]
    chances = iter([0.0, 1.0, 0.5] * 100)
    monkeypatch.setattr(over_ip, "FIRST_S", 0.5)
    source = OverIp(f"127.0.0.1:{free_port()}", 0, 1, lambda: now[0], lambda: next(chances))
    reader = Reader(source)
    pauses = []
    for _ in range(10):
        source.state.trouble = ""
        reader.until(lambda: source.state.trouble)
        pauses.append(source.due() - now[0])
        now[0] = source.due()
    assert pauses == pytest.approx(
        [0.375, 1.25, 2.0, 3.0, 10.0, 16.0, 22.5, 37.5, 30.0, 22.5], rel=1e-6
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is not a pcap or pcapng file"),
        (b"", "is empty"),
        (capture(0, 1)[:20], "is only 20 bytes long"),
        (capture(0, 0) + b"\0" * 8 + b"\xff\xff\xff\x7f" * 2, "a record of 2147483647 bytes"),
        (SECTION + b"\xff\xff\xff\xff" + MAGIC, "block"),
    ],
)
def test_a_server_that_sends_something_else(
    serve: Callable[..., Server], answer: bytes, words: str, client: Callable[..., Reader]
) -> None:
    server = serve()
    server.answers = [answer, capture(0, 5)]
    reader = client(server)
    reader.until(lambda: len(reader.payloads) == 5)
    assert reader.source.state.damaged
    assert words in reader.source.state.problems[0].reason
    assert server.accepted >= 2


def test_a_server_that_never_ends_its_header(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, client: Callable[..., Reader]
) -> None:
    monkeypatch.setattr(over_ip, "HEADER_S", 0.05)
    server = serve()
    server.answers, server.stay = [capture(0, 0)[:23], capture(0, 5)], True
    reader = client(server)
    reader.until(lambda: len(reader.payloads) == 5)
    assert "no file header within" in reader.source.state.problems[0].reason
    held = server.accepted
    reader.wait()
    reader.read()
    assert server.accepted == held, "a header is all that is hurried"


def test_a_section_that_never_ends_takes_no_more_than_a_block_may(
    serve: Callable[..., Server], client: Callable[..., Reader]
) -> None:
    server = serve()
    server.answers = [SECTION + (63 << 20).to_bytes(4, "little") + MAGIC + bytes(1 << 20)]
    server.stay = True
    reader = client(server)
    reader.until(lambda: reader.source.state.position > 1 << 20)
    source = reader.source
    assert isinstance(source, OverIp)
    assert source._reader is not None
    assert source._reader._window is not None
    assert source._reader._window.data.size <= 64 << 20
    source.close()


def test_a_server_that_floods_is_read_a_batch_at_a_time(
    serve: Callable[..., Server], client: Callable[..., Reader]
) -> None:
    server = serve()
    server.answers, server.stay = [capture(0, 0) + records(0, 3000) * 10], True
    reader = client(server)
    while len(reader.payloads) < 30000:
        before = len(reader.payloads)
        reader.wait()
        reader.read()
        assert len(reader.payloads) - before <= 8192


def test_ending_while_a_name_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    may_go = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: may_go.wait() and [])
    source = OverIp("slow.example:1", 0, 8192)
    source.read()
    began = time.monotonic()
    source.close()
    assert source.read() is None
    assert time.monotonic() - began < 5
    may_go.set()


@pytest.mark.parametrize("server", ["nowhere", "host:", ":0", "host:99999", "host:x"])
def test_an_address_that_is_none(server: str) -> None:
    with pytest.raises(UserError, match="--pcap-over-ip"):
        OverIp(server, 0, 1)
