"""A run of flowmate on an interface that the generator sends to, and its accounts.

Everything happens in a network namespace of this process's own (`bench.veth`).
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import zmq

from bench import veth
from bench.asking import Peer
from bench.probe import Measured, Running, clean_environ, flowmate_command
from shared.wire import Bus

UP_S = 60.0
MEMORY = "/dev/shm"
RATE_OF_ONE, ROUNDS_OF_ONE = 400_000, 1 << 22  # packets a second, and rounds, of one generator
SETTLE_S = 15.0  # for the last packets to be counted


class LiveRun:
    """flowmate on veth.TO; options: of the command line, besides. Started, and reading."""

    def __init__(self, folder: Path, *options: str) -> None:
        # in memory, as where the launcher makes it
        self._run_dir = tempfile.TemporaryDirectory(prefix="fm-run-", dir=MEMORY)
        words = ["--iface", veth.TO, "--run-dir", self._run_dir.name, *options]
        self.running = Running([*flowmate_command(), *words], clean_environ(), folder)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._coordinator = Peer(self._context, Bus(self._run_dir.name).requests)
        self._await_reading()

    def health(self) -> dict[str, Any]:
        return self._coordinator.ask("health", {})[0].result

    def _await_reading(self) -> None:
        deadline = time.monotonic() + UP_S
        while time.monotonic() < deadline and self.running.process.poll() is None:
            try:
                health = self.health()
            except TimeoutError:
                continue
            sources = health.get("sources", ())
            if sources and all(source["status"] == "reading" for source in sources):
                return
            time.sleep(0.1)
        self.running.process.terminate()
        raise SystemExit(f"it did not come up: {self.running.end().stderr}")

    def settled(self, sent: int) -> dict[str, Any]:
        """Health once all that was sent is accounted for, or after SETTLE_S."""
        deadline = time.monotonic() + SETTLE_S
        while True:
            health = self.health()
            if missing_of(sent, health) == (0, 0) or time.monotonic() > deadline:
                return health
            time.sleep(0.2)

    def end(self) -> Measured:
        self.running.process.send_signal(signal.SIGINT)
        self._context.destroy(0)
        done = self.running.end()
        self._run_dir.cleanup()
        return done


def generate(rate: float, seconds: float) -> tuple[int, float]:
    """Packets sent, and in how many seconds; by two processes where one is too slow."""
    count = 1 if rate <= RATE_OF_ONE else 2
    command = [sys.executable, "-m", "bench.generator", veth.FROM]
    told = ["--rate", str(rate / count), "--seconds", str(seconds)]
    senders = [
        subprocess.Popen(
            [*command, *told, "--first", str(1 + ROUNDS_OF_ONE * number)],
            stdout=subprocess.PIPE,
            env=clean_environ(),
        )
        for number in range(count)
    ]
    found = [json.loads(sender.communicate()[0]) for sender in senders]
    if any(sender.returncode for sender in senders):
        raise SystemExit("the generator failed; see above")
    return sum(int(one["sent"]) for one in found), max(float(one["seconds"]) for one in found)


def dropped_of(health: dict[str, Any]) -> int:
    """Packets of the interface that were counted as dropped, by whoever dropped them."""
    (source,) = health["sources"]
    return int(source["dropped_kernel"] + source["dropped_interface"] + source["dropped_ours"])


def missing_of(sent: int, health: dict[str, Any]) -> tuple[int, int]:
    """Packets that were neither captured nor counted as dropped; captured, and neither analysed nor
    counted as lost."""
    (source,), totals = health["sources"], health["totals"]
    analysed = sum(shard["stats"].get("packets", 0) for shard in health["shards"])
    lost = health["drops"]["packets_lost"] - health["drops"]["packets_repeated"]
    lost += health["drops"]["dropped_not_sent"]
    return (
        int(sent - source["packets"] - dropped_of(health)),
        int(totals["packets"] - analysed - lost),
    )
