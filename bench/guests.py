"""Clients that are no good ones: some follow what changes and never read, others come, do what
people do, and go without a word.

Stalled ones take a few kilobytes into the kernel's buffers and no more; the API hangs up on them
after a while, and they are replaced.
"""

import json
import random
import socket
import threading
import time
from collections import Counter
from contextlib import suppress

from bench.asking import Api

STALLED_S = 45.0  # a stalled client's life: the API has hung up by then
VISIT_S = 5.0  # between two visits
RECEIVED = 4096  # bytes of buffer that a stalled client has


class Stalled:
    """Follows with server-sent events and never reads."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED)
        self._socket.settimeout(10.0)
        self._socket.connect(("127.0.0.1", port))
        ask(self._socket, "/api/live/events?cursor=0")

    def close(self) -> None:
        self._socket.close()


class Guests(threading.Thread):
    """So many stalled clients, and one visitor after the other, until `end`."""

    def __init__(self, port: int, stalled: int) -> None:
        super().__init__(daemon=True)
        self.port, self.stalled = port, stalled
        self.counts: Counter[str] = Counter()
        self.fault: Exception | None = None
        self._chance = random.Random(1)
        self._done = threading.Event()

    def run(self) -> None:
        waiting: list[Stalled] = []
        replaced_at = 0.0
        try:
            while not self._done.wait(VISIT_S):
                if time.monotonic() > replaced_at + STALLED_S:
                    for each in waiting:
                        each.close()
                    waiting = [Stalled(self.port) for _ in range(self.stalled)]
                    self.counts["stalled"] += len(waiting)
                    replaced_at = time.monotonic()
                self._visit()
        except Exception as error:  # told by `end`: a guest that cannot come is a finding
            self.fault = error
        for each in waiting:
            each.close()

    def end(self) -> Counter[str]:
        self._done.set()
        self.join()
        if self.fault is not None:
            raise self.fault
        return self.counts

    def _visit(self) -> None:
        """One of the things that people do, half of them broken off."""
        visit = self._chance.choice(
            (self._leave_events, self._leave_poll, self._search, self._pattern, self._list)
        )
        visit()
        self.counts[visit.__name__.strip("_")] += 1

    def _leave_events(self) -> None:
        self._leave("/api/live/events")

    def _leave_poll(self) -> None:
        cursor = json.loads(self._api().get("/api/live/deltas")[1])["cursor"]
        self._leave(f"/api/live/deltas?cursor={cursor}&wait_ms=20000")

    def _leave(self, path: str) -> None:
        with socket.create_connection(("127.0.0.1", self.port), 10.0) as going:
            ask(going, path)
            going.settimeout(0.5)
            with suppress(TimeoutError):
                going.recv(1024)

    def _search(self) -> None:
        """Left running, for the limit on searches to deal with."""
        value = f"/notes/{self._chance.randrange(4000)} "
        self._post("/api/search", {"kind": "substring", "value": value})

    def _pattern(self) -> None:
        name = f"guest {self.counts['pattern']}"
        value = f"notes/{self._chance.randrange(4000)}"
        made = self._post("/api/patterns", {"kind": "substring", "name": name, "value": value})
        time.sleep(1.0)
        self._api().delete(f"/api/patterns/{made['id']}")

    def _list(self) -> None:
        status, _ = self._api().get("/api/streams", text=f"/notes/{self._chance.randrange(4000)}")
        self.counts[f"list {status}"] += 1

    def _post(self, path: str, body: dict[str, str]) -> dict[str, object]:
        status, answer = self._api().post(path, body)
        self.counts[f"{path} {status}"] += 1
        return answer

    def _api(self) -> Api:
        return Api(self.port)


def ask(connection: socket.socket, path: str) -> None:
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
