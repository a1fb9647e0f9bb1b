"""Who may connect to the TCP sockets of this process; everybody else is refused, counted and told.

A thread answers ZeroMQ's question about each peer that proved to have a key (ZAP, RFC 27), and
hears of those that did not come so far: without keys, or with another coordinator's or shard's.
"""

import logging
import threading
import time
from collections.abc import Collection, Mapping

import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from shared.settings import Service

ZAP = "inproc://zeromq.zap.01"
VERSION, CURVE = b"1.0", b"CURVE"
MAPPED = "::ffff:"  # before an IPv4 address of a socket for both (RFC 4291, 2.5.5.2)
REQUEST_FRAMES = 7  # version, request, domain, address, identity, mechanism, key
TELL_EVERY_S = 60.0  # of a peer that tries again and again
TOLD_MAX = 256  # that are remembered as told
ADOPT_MS = 500

log = logging.getLogger("peers")


class Guard:
    """Watches the sockets of one context until that ends. keys: of services, as text. allowed: by
    socket, the services that may connect. refused: attempts so far; any thread may read it."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        keys: Mapping[Service, bytes],
        allowed: Mapping[str, Collection[Service]],
    ) -> None:
        self.refused = 0
        self._services = {z85.decode(key): service for service, key in keys.items()}
        self._allowed = allowed
        self._told: dict[str, float] = {}
        # sockets of a shadow are not closed with the context's, by another thread than theirs
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(shadow=context.underlying)
        self._asked = self._context.socket(zmq.REP)
        self._asked.bind(ZAP)
        self._watched: dict[zmq.Socket[bytes], str] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="guard", daemon=True).start()

    def watch(self, socket: "zmq.Socket[bytes]", role: str) -> None:
        """Hear of peers that fail before they have shown a key."""
        address = f"inproc://guard.{id(socket)}"
        socket.monitor(address, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
        heard = self._context.socket(zmq.PAIR)
        heard.connect(address)
        with self._lock:
            self._watched[heard] = role

    def _run(self) -> None:
        try:
            while True:
                self._turn()
        except zmq.ContextTerminated:
            for each in (self._asked, *self._watched):
                each.close(linger=0)

    def _turn(self) -> None:
        with self._lock:
            watched = dict(self._watched)
        poller = zmq.Poller()
        for each in (self._asked, *watched):
            poller.register(each, zmq.POLLIN)
        for ready, _ in poller.poll(ADOPT_MS):
            if ready is self._asked:
                self._answer(self._asked.recv_multipart())
            else:
                self._note_failure(ready, watched[ready])

    def _answer(self, frames: list[bytes]) -> None:
        """One peer: 200 or 400."""
        reason = self._why_not(frames)
        if reason:
            self._refuse(reason)
        request = frames[1] if len(frames) > 1 else b""
        code, text = (b"400", b"refused") if reason else (b"200", b"OK")
        self._asked.send_multipart([VERSION, request, code, text, b"", b""])

    def _why_not(self, frames: list[bytes]) -> str:
        """Empty when it may connect."""
        if len(frames) != REQUEST_FRAMES or frames[0] != VERSION or frames[5] != CURVE:
            return "a peer that does not use CURVE"
        role = frames[2].decode("ascii", "replace")
        address = frames[3].decode("ascii", "replace").removeprefix(MAPPED)
        service = self._services.get(frames[6])
        if service is None:
            return f"a peer at {address}: its key is none of --curve-keys"
        if service not in self._allowed.get(role, ()):
            return f"a peer at {address}: {service} has nothing to do with {role}"
        return ""

    def _note_failure(self, heard: "zmq.Socket[bytes]", role: str) -> None:
        event = parse_monitor_message(heard.recv_multipart())
        if event["event"] == zmq.EVENT_MONITOR_STOPPED:
            with self._lock:
                del self._watched[heard]
            heard.close(linger=0)
            return
        self._refuse(f"a peer of {role}: it has no keys, or those of another cluster")

    def _refuse(self, who: str) -> None:
        """Count, and say it now and then."""
        self.refused += 1
        now = time.monotonic()
        if now - self._told.get(who, -TELL_EVERY_S) < TELL_EVERY_S:
            return
        while len(self._told) >= TOLD_MAX:
            del self._told[next(iter(self._told))]
        self._told[who] = now
        log.warning("refused %s; flowmate doctor says whether keys fit", who)
