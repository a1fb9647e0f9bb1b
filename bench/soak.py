"""Endurance: flowmate on an interface at a steady rate, and what of it grows.

    python -m bench.soak --minutes 30 --rate 4000

In a network namespace of its own, `bench.generator` sends HTTP connections that open and close, at
a rate that leaves the machine idle for the most part, and each with addresses of its own, so that
every table fills up and rolls over: the tables are made small for that. Clients follow and read
(`bench.crowd`), others stall or leave (`bench.guests`). Memory, descriptors and threads of each
process are looked at every 10 s; the slope is that of the second half, when tables are full. At the
end every packet must be accounted for. Needs root and ip.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import veth
from bench.asking import Api
from bench.growth import Growth, table
from bench.guests import Guests
from bench.ingest import started
from bench.pipeline import machine
from bench.probe import Running, clean_environ, flowmate_command, free_port, skip

LOOK_S = 10.0
SETTLE_S = 10.0  # for the last packets to be counted
UP_S = 60.0
SMALL = {
    "max-flows": 20_000,
    "max-streams": 20_000,
    "max-stream-content-bytes": 16 << 20,
    "max-messages": 20_000,
    "max-pattern-matches-total": 5_000,
    "api-delta-capacity": 4_096,
}
PATTERN = ("--regex", "notes/[0-9]*7 ")  # in every tenth stream


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="flowmate for a long time at a steady rate.")
    parser.add_argument("--rate", type=float, default=4_000, help="packets a second")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=4, help="that follow and read")
    parser.add_argument("--stalled", type=int, default=3, help="that never read")
    parser.add_argument("--samples", type=Path, help="JSON file for every single look")
    given = parser.parse_args(argv)
    if os.geteuid() or not shutil.which("ip"):
        return skip("endurance", "needs root and ip")
    veth.enter()
    with tempfile.TemporaryDirectory(prefix="fm-soak-") as folder:
        return soak(given, Path(folder))


def soak(given: argparse.Namespace, folder: Path) -> int:
    """Print what grew and what was counted. 1 if packets are missing."""
    port = free_port()
    bounds = [word for name, value in SMALL.items() for word in (f"--{name}", str(value))]
    words = ["--iface", veth.TO, "--output", "/dev/null", "--state-file", str(folder / "state.db")]
    words += ["--api-listen", f"127.0.0.1:{port}", *bounds, *PATTERN]
    run = Running([*flowmate_command(), *words], clean_environ(), folder)
    await_reading(run, port)
    growth = Growth(run.process.pid, LOOK_S)
    growth.look()
    growth.start()
    crowd, guests = started(port, given.clients), Guests(port, given.stalled)
    guests.start()
    sent = generate(given.rate, given.minutes * 60)
    found = growth.end()
    counts = guests.end()
    followed = json.loads(crowd.communicate(b"")[0])
    health = settled(port, sent)
    cpu_s = {name: round(each.cpu_s, 1) for name, each in run.sampler.by_service().items()}
    run.process.send_signal(signal.SIGINT)
    done = run.end()
    print(f"{machine()}\n\n{given.minutes:g} minutes, {given.rate:,.0f} packets/s asked\n")
    print(table(found))
    missing = accounts(sent, health)
    print(f"CPU s: {cpu_s}; exit status {done.status}")
    print(f"clients: {followed['counts']}; guests: {dict(counts)}")
    if given.samples:
        given.samples.write_text(json.dumps([vars(each) for each in found]))
    return 1 if missing or done.status else 0


def await_reading(run: Running, port: int) -> None:
    """Until the interface is read."""
    deadline = time.monotonic() + UP_S
    while time.monotonic() < deadline and run.process.poll() is None:
        try:
            status, body = Api(port).get("/api/health")
        except OSError:
            status, body = 0, b""
        if status == 200 and any(
            each["status"] == "reading" for each in json.loads(body)["sources"]
        ):
            return
        time.sleep(0.1)
    run.process.terminate()
    raise SystemExit(f"it did not come up: {run.end().stderr}")


def generate(rate: float, seconds: float) -> int:
    """Packets sent."""
    command = [sys.executable, "-m", "bench.generator", veth.FROM]
    told = ["--rate", str(rate), "--seconds", str(seconds)]
    done = subprocess.run(
        [*command, *told], stdout=subprocess.PIPE, env=clean_environ(), check=True
    )
    return int(json.loads(done.stdout)["sent"])


def settled(port: int, sent: int) -> dict[str, Any]:
    """Health once all that was sent is accounted for, or after SETTLE_S."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        health: dict[str, Any] = json.loads(Api(port).get("/api/health")[1])
        if missing_of(sent, health) == (0, 0) or time.monotonic() > deadline:
            return health
        time.sleep(0.2)


def missing_of(sent: int, health: dict[str, Any]) -> tuple[int, int]:
    """Packets that were neither captured nor counted as dropped; captured, and neither analysed nor
    counted as lost."""
    (source,), totals = health["sources"], health["totals"]
    dropped = source["dropped_kernel"] + source["dropped_interface"] + source["dropped_ours"]
    analysed = sum(shard["stats"].get("packets", 0) for shard in health["shards"])
    lost = health["drops"]["packets_lost"] - health["drops"]["packets_repeated"]
    return sent - source["packets"] - dropped, totals["packets"] - analysed - lost


def accounts(sent: int, health: dict[str, Any]) -> bool:
    """Print them; whether packets are missing."""
    never, unseen = missing_of(sent, health)
    (source,) = health["sources"]
    drops = {name: number for name, number in health["drops"].items() if number}
    print(f"\n{sent:,} packets sent, {source['packets']:,} captured, {never} missing")
    print(f"{health['totals']['streams']:,} streams, {unseen} packets not analysed; drops: {drops}")
    return bool(never or unseen)


if __name__ == "__main__":
    sys.exit(main())
