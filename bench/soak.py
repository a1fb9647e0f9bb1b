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
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import veth
from bench.growth import Growth, table
from bench.guests import Guests
from bench.ingest import started
from bench.live_run import UP_S, LiveRun, generate, missing_of
from bench.pipeline import machine
from bench.probe import free_port, skip

LOOK_S = 10.0
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
    words = ["--output", "/dev/null", "--state-file", str(folder / "state.db")]
    run = LiveRun(folder, *words, "--api-listen", f"127.0.0.1:{port}", *bounds, *PATTERN)
    await_api(port)
    growth = Growth(run.running.process.pid, LOOK_S)
    growth.look()
    growth.start()
    crowd, guests = started(port, given.clients), Guests(port, given.stalled)
    guests.start()
    sent, _ = generate(given.rate, given.minutes * 60)
    found = growth.end()
    counts = guests.end()
    followed = json.loads(crowd.communicate(b"")[0])
    health = run.settled(sent)
    cpu_s = {name: round(one.cpu_s, 1) for name, one in run.running.sampler.by_service().items()}
    done = run.end()
    print(f"{machine()}\n\n{given.minutes:g} minutes, {given.rate:,.0f} packets/s asked\n")
    print(table(found))
    missing = accounts(sent, health)
    print(f"CPU s: {cpu_s}; exit status {done.status}")
    print(f"clients: {followed['counts']}; guests: {dict(counts)}")
    if given.samples:
        given.samples.write_text(json.dumps([vars(each) for each in found]))
    return 1 if missing or done.status else 0


def await_api(port: int) -> None:
    deadline = time.monotonic() + UP_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the API did not come up")


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
