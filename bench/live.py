"""Live capture: packets a second without a drop, beside tcpdump on the same traffic.

    python -m bench.live [rate] [highest] [flood]

In a network namespace of its own with a pair of veth, `bench.generator` sends conversations out of
one end. At the other captures tcpdump, which throws them away; flowmate's whole pipeline, with each
backend; and flowmate with tcpdump beside it on the very same packets.

`rate`: at --rate for --seconds. `highest`: which rate is the highest without a drop, by --tries
runs of --try-seconds, the next half-way between a rate that was kept and one that was not. `flood`:
at three times --rate, or what the generator can do, with small tables, so that memory has to level:
drops are counted to the packet, and how memory of each process grows in the second half is told.
Needs root, ip and tcpdump. The generator shares the cores.
"""

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import veth
from bench.growth import Grown, Growth, table
from bench.live_run import LiveRun, dropped_of, generate, missing_of
from bench.pipeline import machine
from bench.probe import Running, clean_environ, skip

WHO = ("tcpdump", "ring", "pcap", "ring beside tcpdump")
SETTLE_S = 0.5  # before the generator begins and after it ended
LOOK_S = 1.0
HIGHER = 1.5  # the next rate, until packets are dropped
KEPT = 0.97  # of the rate that was asked for: less is the generator's limit
BUFFER = ("-B", "65536")  # KiB, as flowmate's
SMALL = {
    "max-flows": 100_000,
    "max-streams": 100_000,
    "max-stream-content-bytes": 64 << 20,
    "max-messages": 50_000,
}


@dataclass
class Result:
    """One run."""

    who: str
    sent: int
    seconds: float
    taken: int
    dropped: int
    missing: int  # neither taken nor counted
    cpu_s: float  # of all its processes, while packets were sent
    capture_s: float  # of that, who reads the interface
    grown: list[Grown] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.sent / self.seconds

    @property
    def is_clean(self) -> bool:
        return not self.dropped and not self.missing

    def row(self) -> str:
        return (
            f"| {self.who} | {self.rate:,.0f} | {self.sent:,} | {self.taken:,} | {self.dropped:,}"
            f" | {self.missing} | {self.cpu_s / self.seconds:.2f}"
            f" | {self.capture_s / max(self.taken, 1) * 1e9:,.0f} |"
        )


HEAD = """\
| | packets/s | sent | taken | dropped | missing | cores | capture ns |
|---|---|---|---|---|---|---|---|"""


class Tcpdump:
    """tcpdump to /dev/null, capturing."""

    def __init__(self, folder: Path) -> None:
        words = ("tcpdump", "-i", veth.TO, "-n", *BUFFER, "-w", "/dev/null")
        self.running = Running(words, clean_environ(), folder)
        self.running.until("listening on")

    def end(self) -> tuple[int, int]:
        """Packets that it took, and that the kernel dropped."""
        self.running.process.send_signal(signal.SIGINT)
        told = re.findall(r"(\d+) packets (captured|dropped by kernel)", self.running.end().stderr)
        taken, dropped = (int(number) for number, _ in told)
        return taken, dropped


def tcpdump(rate: float, seconds: float, folder: Path) -> list[Result]:
    capturing = Tcpdump(folder)
    sent, took, cpu_s, capture_s, grown = send(rate, seconds, capturing.running)
    taken, dropped = capturing.end()
    missing = sent - taken - dropped
    return [Result("tcpdump", sent, took, taken, dropped, missing, cpu_s, capture_s, grown)]


def flowmate(who: str, rate: float, seconds: float, folder: Path, *options: str) -> list[Result]:
    """The whole pipeline; and tcpdump, where it is beside it."""
    backend, _, beside = who.partition(" beside ")
    output = ("--output", str(folder / "live.jsonl"))
    run = LiveRun(folder, "--capture-backend", backend, *output, *options)
    other = Tcpdump(folder) if beside else None
    sent, took, cpu_s, capture_s, grown = send(rate, seconds, run.running)
    health = run.settled(sent)
    found = []
    if other is not None:
        seconds_used = used(other.running)
        taken, dropped = other.end()
        lost = sent - taken - dropped
        found.append(Result("tcpdump beside it", sent, took, taken, dropped, lost, *seconds_used))
    done = run.end()
    if done.status:
        raise SystemExit(done.stderr)
    (source,) = health["sources"]
    missing = sum(map(abs, missing_of(sent, health)))
    mine = Result(
        f"flowmate, {backend}", sent, took, source["packets"], dropped_of(health), missing,
        cpu_s, capture_s, grown,
    )  # fmt: skip
    return [mine, *found]


def send(rate: float, seconds: float, run: Running) -> tuple[int, float, float, float, list[Grown]]:
    """Packets, seconds, the CPU time of `run` meanwhile, that of capture alone, and what grew."""
    time.sleep(SETTLE_S)
    before, capture_before = used(run)
    growth = Growth(run.process.pid, LOOK_S)
    growth.start()
    sent, took = generate(rate, seconds)
    time.sleep(SETTLE_S)
    after, capture_after = used(run)
    return sent, took, after - before, capture_after - capture_before, growth.end()


def used(run: Running) -> tuple[float, float]:
    """CPU time so far, s: of all its processes, and of capture, or of the only one there is."""
    found = {name: usage.cpu_s for name, usage in run.sampler.by_service().items()}
    total = sum(found.values())
    return total, found.get("capture", total)


def one(who: str, rate: float, seconds: float, *options: str) -> list[Result]:
    """A run in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="fm-live-") as name:
        folder = Path(name)
        if who == "tcpdump":
            found = tcpdump(rate, seconds, folder)
        else:
            found = flowmate(who, rate, seconds, folder, *options)
    for result in found:
        print(result.row(), file=sys.stderr, flush=True)
    return found


def highest(who: str, given: argparse.Namespace) -> list[Result]:
    """Runs at rates that close in on the highest without a drop; which one that is comes last."""
    kept: Result | None = None
    low, high, rate = 0.0, float("inf"), given.rate
    found: list[Result] = []
    for _ in range(given.tries):
        result, *_ = one(who, rate, given.try_seconds)
        found.append(result)
        if result.is_clean:
            low, kept = rate, result
            if result.rate < KEPT * rate:
                break
        else:
            high = rate
        rate = low * HIGHER if high == float("inf") else (low + high) / 2
    return [*found, kept] if kept is not None else found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Live capture beside tcpdump.")
    parser.add_argument("what", nargs="*", default=["rate", "highest", "flood"])
    parser.add_argument("--rate", type=float, default=200_000, help="packets a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="at --rate, and three times it")
    parser.add_argument("--try-seconds", type=float, default=8.0)
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--who", nargs="+", default=list(WHO), choices=WHO)
    given = parser.parse_args(argv)
    if os.geteuid() or not shutil.which("ip") or not shutil.which("tcpdump"):
        return skip("live capture", "needs root, ip and tcpdump")
    veth.enter()
    print(machine())
    if "rate" in given.what:
        rows = [row for who in given.who for row in one(who, given.rate, given.seconds)]
        told(f"{given.rate:,.0f} packets a second asked, {given.seconds:.0f} s", rows)
    if "highest" in given.what:
        for who in given.who:
            told(f"Highest rate of {who}, {given.try_seconds:.0f} s", highest(who, given))
    if "flood" in given.what:
        bounds = [word for name, value in SMALL.items() for word in (f"--{name}", str(value))]
        rows = [
            row for who in given.who for row in one(who, 3 * given.rate, given.seconds, *bounds)
        ]
        told(f"{3 * given.rate:,.0f} a second asked, {given.seconds:.0f} s, small tables", rows)
        for row in rows:
            print(f"\n{row.who}:\n\n{table(row.grown)}")
    return 0


def told(title: str, rows: Sequence[Result]) -> None:
    lines = "\n".join(row.row() for row in rows)
    print(f"\n{title}:\n\n{HEAD}\n{lines}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
