"""A client of PCAP-over-IP servers: each connection brings a capture, from its beginning.

Rules. Nothing here waits: names are resolved in a thread, sockets never block. What a connection
ends in the middle of is damage. Whatever goes wrong, the next connection is tried after a pause
that doubles from FIRST_S to LONGEST_S, and begins anew after a connection that lasted longer than
it; each pause is lengthened or shortened by up to a quarter, so that many clients of a server that
was restarted do not come all at once. A server that says nothing before its file header, or not
all of it within HEADER_S, is left; later it may be silent for ever, since networks are, and the
system notices a peer that is gone (TCP keepalive).
"""

import errno
import logging
import os
import random
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from services.capture.capture_file import SOURCES, CaptureReader
from services.capture.source import EMPTY_BATCH, Batch, PacketSource, SourceState
from shared.settings import Settings, host_port

FIRST_S, LONGEST_S = 0.5, 30.0
CONNECT_S = 5.0  # for one address
HEADER_S = 30.0
KEEPALIVE_S = 30, 10  # silence before the first probe, and between probes
PROBES = 3
ADDRESSES_MAX = 16  # of one name

Address = tuple[socket.AddressFamily, Any]
log = logging.getLogger(__name__)


def open_servers(settings: Settings, index: int) -> list[PacketSource]:
    """A source for every server; records carry index, index + 1 … UserError: not HOST:PORT."""
    return [
        OverIp(server, (index + number) % SOURCES, settings.batch_size)
        for number, server in enumerate(settings.pcap_over_ip)
    ]


class Lookup:
    """A name being resolved. `descriptor` is readable when `addresses` or `error` is there."""

    def __init__(self, host: str, port: int) -> None:
        self.addresses: list[Address] = []
        self.error = ""
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        threading.Thread(target=self._look, args=(host, port), daemon=True).start()

    def _look(self, host: str, port: int) -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            self.addresses = [(each[0], each[4]) for each in found[:ADDRESSES_MAX]]
        except OSError as error:
            self.error = (error.strerror or str(error)).lower()
        os.eventfd_write(self.descriptor, 1)


class SocketInput:
    """What a connection brings, as an `Input`; `before`: bytes that earlier ones brought."""

    size = 0

    def __init__(self, connection: socket.socket, before: int) -> None:
        self.problem = ""
        self.position = before
        self._connection = connection

    def descriptors(self) -> list[int]:
        return [self._connection.fileno()]

    def readinto(self, buffer: memoryview) -> int | None:
        got = 0
        while got < len(buffer):
            try:
                more = self._connection.recv_into(buffer[got:])
            except BlockingIOError:
                return got or None
            except OSError as error:
                self.problem = f"the connection broke ({reason_of(error)})"
                break
            if not more:
                break
            got += more
            self.position += more
        return got

    def close(self) -> None:
        self._connection.close()


class OverIp:
    """One server as a PacketSource; it ends when it is closed."""

    def __init__(
        self,
        server: str,
        index: int,
        batch_packets: int,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.state = SourceState(server, "over_ip", is_open_ended=True)
        self._host, self._port = host_port(server, "pcap_over_ip")
        self._index, self._batch_packets = index, batch_packets
        self._clock, self._chance = clock, chance
        self._poll = select.epoll()
        self._step: Callable[[], Batch] = self._begin
        self._deadline = 0.0  # when the step is due, whatever was heard
        self._delay_s = FIRST_S
        self._lookup: Lookup | None = None
        self._addresses: list[Address] = []
        self._connection: socket.socket | None = None
        self._connected_at = 0.0
        self._reader: CaptureReader | None = None
        self._closed = False

    def read(self) -> Batch | None:
        """One step: of resolving, connecting or reading."""
        return None if self._closed else self._step()

    def descriptors(self) -> list[int]:
        """One that is readable when a name is resolved, a connection is made, or bytes came."""
        return [] if self._closed else [self._poll.fileno()]

    def due(self) -> float:
        if self._reader is not None:
            return min(self._reader.due(), self._deadline)
        return self._deadline

    def held(self) -> bool:
        """No: the server may send for ever."""
        return False

    def close(self) -> None:
        if not self._closed:
            self._let_go()
            self._poll.close()  # a name still being resolved keeps its descriptor: it writes there
            self._closed, self._deadline = True, float("inf")
            self.state.trouble = ""
            self.state.end()

    # --------------------------------------------------------------------------- steps
    def _begin(self) -> Batch:
        if self._clock() < self._deadline:
            return EMPTY_BATCH
        self._lookup = Lookup(self._host, self._port)
        self._poll.register(self._lookup.descriptor, select.EPOLLIN)
        self._step, self._deadline = self._resolve, float("inf")
        return EMPTY_BATCH

    def _resolve(self) -> Batch:
        assert self._lookup is not None
        if not self._is_heard(self._lookup.descriptor):
            return EMPTY_BATCH
        error, self._addresses = self._lookup.error, self._lookup.addresses
        self._poll.unregister(self._lookup.descriptor)
        os.close(self._lookup.descriptor)
        self._lookup = None
        self._next_address(error or "has no address")
        return EMPTY_BATCH

    def _next_address(self, error: str) -> None:
        """Try the next address, or all of it again later."""
        while self._addresses:
            family, address = self._addresses.pop(0)
            try:
                self._connect(family, address)
            except OSError as refused:
                self._let_go()
                error = reason_of(refused)
                continue
            return
        self._pause(f"{self.state.name} cannot be reached: {error}")

    def _connect(self, family: socket.AddressFamily, address: Any) -> None:
        connection = self._connection = socket.socket(family, socket.SOCK_STREAM)
        connection.setblocking(False)
        keep_alive(connection)
        result = connection.connect_ex(address)
        if result not in (0, errno.EINPROGRESS):
            raise OSError(result, os.strerror(result))
        self._poll.register(connection.fileno(), select.EPOLLOUT)
        self._step, self._deadline = self._await_connection, self._clock() + CONNECT_S

    def _await_connection(self) -> Batch:
        assert self._connection is not None
        if not self._is_heard(self._connection.fileno()):
            if self._clock() >= self._deadline:
                self._let_go()
                self._next_address(f"no answer within {CONNECT_S:.0f} s")
            return EMPTY_BATCH
        if result := self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._let_go()
            self._next_address(os.strerror(result).lower())
            return EMPTY_BATCH
        self._poll.modify(self._connection.fileno(), select.EPOLLIN)
        self._connected_at = self._clock()
        self._deadline = self._connected_at + HEADER_S
        source = SocketInput(self._connection, self.state.position)
        self.state.format, self.state.trouble = "", ""
        self._reader = CaptureReader(self.state, lambda: source, self._index, self._batch_packets)
        self._step = self._receive
        log.info("%s: connected", self.state.name)
        return self._receive()

    def _receive(self) -> Batch:
        assert self._reader is not None
        told = len(self.state.problems)
        batch = self._reader.read()
        if self.state.format:
            self._deadline = float("inf")
        elif batch is not None and self._clock() >= self._deadline:
            self.state.report(0, f"no file header within {HEADER_S:.0f} s")
            batch = None
        if batch is not None:
            return batch
        news = self.state.problems[told:]
        why = f": {news[-1].reason}" if news else ""
        self._let_go()
        if self._clock() - self._connected_at > self._delay_s:
            self._delay_s = FIRST_S
        self._pause(f"{self.state.name} ended the connection{why}")
        return EMPTY_BATCH

    # --------------------------------------------------------------------------- between
    def _pause(self, why: str) -> None:
        """Nothing until the next try."""
        pause_s = self._delay_s * (0.75 + 0.5 * self._chance())
        self._delay_s = min(2 * self._delay_s, LONGEST_S)
        self._step, self._deadline = self._begin, self._clock() + pause_s
        at = time.strftime("%H:%M:%S", time.localtime(time.time() + pause_s))
        if not self.state.trouble:
            log.warning("%s; tried again", why)
        self.state.status, self.state.trouble = "waiting", f"{why}; tried again at {at}"

    def _let_go(self) -> None:
        """Of the connection."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._connection is not None:
            self._connection.close()  # epoll forgets it with that
            self._connection = None

    def _is_heard(self, descriptor: int) -> bool:
        return any(fd == descriptor for fd, _ in self._poll.poll(0))


def keep_alive(connection: socket.socket) -> None:
    """Have the system notice a peer that is gone without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in zip(("TCP_KEEPIDLE", "TCP_KEEPINTVL"), KEEPALIVE_S, strict=True):
        connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)


def reason_of(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
