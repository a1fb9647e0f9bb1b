"""A run of flowmate that is asked while it works, and how long it takes to answer."""

import http.client
import json
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import zmq
from numpy.typing import NDArray

from bench.probe import Measured, Running, clean_environ, flowmate_command, free_port
from shared.columns import EVENT
from shared.schema import Reply, Request, unpack
from shared.wire import Bus, open_socket

WAIT_S = 60.0
DEADLINE_MS = 5000


@dataclass
class Waits:
    """Latencies of one kind of request."""

    name: str
    ms: list[float] = field(default_factory=list)
    refused: int = 0  # answered with an error
    bytes: int = 0

    @contextmanager
    def timed(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.ms.append((time.perf_counter() - began) * 1e3)

    def quantile(self, share: float) -> float:
        ordered = sorted(self.ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def summary(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "requests": len(self.ms),
            "p50_ms": self.quantile(0.5),
            "p95_ms": self.quantile(0.95),
            "p99_ms": self.quantile(0.99),
            "max_ms": self.quantile(1.0),
            "refused": self.refused,
            "bytes": self.bytes,
        }

    def line(self) -> str:
        """A row of the table."""
        one = self.summary()
        return (
            f"| {self.name} | {one['requests']} | {one['p50_ms']:.2f} | {one['p95_ms']:.2f}"
            f" | {one['p99_ms']:.2f}"
            f" | {one['max_ms']:.2f} | {self.refused} | {self.bytes / 1e6:.1f} |"
        )


def table(found: Sequence[Waits]) -> str:
    lines = [
        "| request | n | p50 ms | p95 ms | p99 ms | max ms | refused | MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(one.line() for one in found)])


class Peer:
    """A service's requests socket."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", address: str) -> None:
        self._socket = open_socket(context, zmq.REQ, 4)
        self._socket.setsockopt(zmq.REQ_RELAXED, 1)
        self._socket.connect(address)
        self._address = address

    def ask(self, op: str, args: dict[str, Any]) -> tuple[Reply, list[bytes]]:
        self._socket.send(Request(op=op, args=args).pack())
        if not self._socket.poll(DEADLINE_MS):
            raise TimeoutError(f"{self._address} did not answer {op}")
        frames = self._socket.recv_multipart()
        return unpack(Reply, frames[0], self._address), frames[1:]


class Api:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_MS / 1e3)

    def get(self, path: str, **parameters: Any) -> tuple[int, bytes]:
        self._connection.request("GET", f"{path}?{urlencode(parameters)}")
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        head = {"Content-Type": "application/json"}
        self._connection.request("POST", path, json.dumps(body), head)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def delete(self, path: str) -> int:
        self._connection.request("DELETE", path)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status


class Run:
    """flowmate on one capture, with its sockets and its API."""

    def __init__(self, capture: Path, folder: Path, shards: int, *options: str) -> None:
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        bus = Bus(str(folder))
        words = ["--pcap", str(capture), "--run-dir", str(folder), "--workers", str(shards)]
        words += ["--api-listen", f"127.0.0.1:{self.port}", "--output", "/dev/null", *options]
        self.measured: Measured | None = None  # when it has ended
        self._running = Running([*flowmate_command(), *words], clean_environ(), folder)
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.coordinator = Peer(self.context, bus.requests)
        self.shards = [Peer(self.context, bus.shard_requests(i)) for i in range(shards)]
        self.api = Api(self.port)

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self._running.process.send_signal(signal.SIGINT)
        self.measured = self._running.end()
        self.context.destroy(0)
        if self.measured.status:
            print(self.measured.stderr, file=sys.stderr)

    def health(self) -> dict[str, Any]:
        return self.coordinator.ask("health", {})[0].result

    @property
    def ended(self) -> bool:
        return self.health()["run_status"] in ("completed", "failed")

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds by service so far, as last sampled."""
        return {name: one.cpu_s for name, one in self._running.sampler.by_service().items()}

    def wait_for_api(self) -> None:
        deadline = time.monotonic() + WAIT_S
        while True:
            if self._running.process.poll() is not None:
                sys.exit(f"flowmate ended: {self._running.end().stderr}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    sys.exit("the API did not come up")
                time.sleep(0.02)

    def wait_for_packets(self) -> None:
        """Until the first streams are there."""
        while not self.health().get("totals", {}).get("streams", 0) and not self.ended:
            time.sleep(0.01)

    def page(self, **query: Any) -> NDArray[np.void]:
        """EVENT rows of the newest streams."""
        reply, frames = self.coordinator.ask("streams", {"limit": 100, **query})
        if reply.error is not None:
            raise RuntimeError(reply.error.message)
        return np.frombuffer(frames[0], EVENT)
