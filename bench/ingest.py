"""How fast a capture is read while many clients look on, beside the same without them.

A run is started with a capture of one packet and an API. When that is read and the clients follow,
the capture is put where uploads lie, so that every run is warm and its first packet has a moment.
Packets/s are those from the first of them that the coordinator knows of to the end of the run. The
clients are a process of their own, on the same cores: what they cost is no work of flowmate's. So
packets/s are compared twice, as they are, and for each core that neither the clients nor other
programs took.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.asking import Run, Waits
from bench.pipeline import first_packet
from bench.probe import ROOT, busy_s, clean_environ, warm

LOOK_S = 0.02
SETTLE_S = 1.0  # clients connect and follow
PATIENCE_S = 120.0


@dataclass
class Ingest:
    """One capture's way through a run."""

    packets: int
    seconds: float
    cpu_s: dict[str, float]  # by service, from the capture's start to its end
    crowd: dict[str, Any] | None
    busy_s: float  # of all cores, whoever kept them busy

    @property
    def others_cores(self) -> float:
        """Kept busy by programs that are no part of this."""
        ours = sum(self.cpu_s.values()) + (self.crowd["cpu_s"] if self.crowd else 0.0)
        return max(0.0, self.busy_s - ours) / self.seconds

    @property
    def cores_left(self) -> float:
        """To flowmate: without what other programs and the clients themselves took."""
        clients = self.crowd["cpu_s"] / self.seconds if self.crowd else 0.0
        return (os.cpu_count() or 1) - self.others_cores - clients

    @property
    def rate(self) -> float:
        return self.packets / self.seconds


def clients(given: argparse.Namespace) -> list[Waits]:
    """In turns without clients and with them; prints what each cost."""
    warm(given.capture)
    waits = Waits(f"content, API, {given.clients} clients, during ingest")
    alone, crowded = [], []
    refusals: Counter[str] = Counter()
    for _ in range(given.runs):
        alone.append(ingest(given.capture, given.shards, 0))
        crowded.append(ingest(given.capture, given.shards, given.clients))
        found = crowded[-1].crowd or {}
        waits.ms += found["ms"]
        waits.bytes += found["counts"]["read bytes"]
        reads = {name: n for name, n in found["counts"].items() if name.startswith("reads ")}
        refusals.update({name: n for name, n in reads.items() if name != "reads 200"})
        waits.refused += sum(reads.values()) - reads.get("reads 200", 0)
    print(told(alone, crowded))
    print(*(f"{name}: {n}" for name, n in refusals.items()))
    return [waits]


def told(alone: list[Ingest], crowded: list[Ingest]) -> str:
    """The table of packets/s and CPU."""
    lines = [
        "| run | k packets/s | wall s | CPU s by service | crowd CPU s | polls | reads"
        " | changes told | others |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in [("alone", a) for a in alone] + [("with clients", c) for c in crowded]:
        cpu = " · ".join(f"{service} {s:.2f}" for service, s in one.cpu_s.items())
        found = one.crowd or {"cpu_s": 0.0, "counts": {}}
        counts = found["counts"]
        lines.append(
            f"| {name} | {one.rate / 1e3:,.0f} | {one.seconds:.2f} | {cpu}"
            f" | {found['cpu_s']:.2f} | {counts.get('polls', 0):,} | {counts.get('reads 200', 0):,}"
            f" | {counts.get('changes', 0):,}"
            f" | {one.others_cores:.2f} |"
        )
    median = statistics.median
    wall = median(c.rate for c in crowded) / median(a.rate for a in alone)
    left = median(c.rate / c.cores_left for c in crowded) / median(
        a.rate / a.cores_left for a in alone
    )
    lines += [
        "",
        f"medians: {wall:.1%} of the packets/s alone; {left:.1%} for each core that was left",
    ]
    return "\n".join(lines)


def ingest(path: Path, shards: int, count: int, *options: str) -> Ingest:
    """One run. count: clients. options: of the command line, besides."""
    with tempfile.TemporaryDirectory(prefix="fm-bench-") as name:
        folder = Path(name)
        first, uploads = folder / "first.pcap", folder / "uploads"
        uploads.mkdir()
        first.write_bytes(first_packet(path))
        with Run(first, folder / "run", shards, "--upload-dir", str(uploads), *options) as run:
            run.wait_for_api()
            while not run.ended:
                time.sleep(LOOK_S)
            crowd = started(run.port, count) if count else None
            time.sleep(SETTLE_S)
            (uploads / f"{time.time_ns():020d}-capture").symlink_to(path)
            found = followed(run)
            if crowd is not None:
                out, _ = crowd.communicate(b"")
                found.crowd = json.loads(out)
    return found


def started(port: int, count: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "bench.crowd", str(port), str(count)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=clean_environ(),
    )  # fmt: skip


def followed(run: Run) -> Ingest:
    """From the first packet to the end."""
    began, before = 0.0, packets_of(run)
    cpu, busy = run.cpu_s(), busy_s()
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        now = packets_of(run)
        if now > before and not began:
            began, before = time.perf_counter(), now
        if began and run.ended:
            seconds, packets = time.perf_counter() - began, packets_of(run) - before
            used = {name: s - cpu.get(name, 0.0) for name, s in run.cpu_s().items()}
            return Ingest(packets, seconds, used, None, busy_s() - busy)
        time.sleep(LOOK_S)
    sys.exit("the capture was not read in time")


def packets_of(run: Run) -> int:
    return int(run.health()["totals"]["packets"])
