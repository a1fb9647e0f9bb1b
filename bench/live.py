"""Live capture: packets a second without a drop, beside tcpdump on the same traffic.

    python -m bench.live --seconds 60

In a network namespace of its own with a pair of veth, `bench.generator` sends HTTP conversations
out of one end; one after the other tcpdump, which throws them away, and flowmate's whole pipeline
with each backend capture at the other. First at --rate; who drops there is tried at lower rates
until nothing is dropped. Then at three times --rate, or what the generator can do: drops are
counted, and memory stays as it is. Needs root, ip and tcpdump. The generator shares the cores.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.pipeline import machine
from bench.probe import Running, clean_environ, flowmate_command, memory, skip

FROM, TO = "fm-out", "fm-in"
SETTLE_S = 0.5  # before the generator begins and after it ended
MEMORY_S = 1.0  # between two looks at memory
LOWER = 0.75  # the next rate, when packets were dropped
MB = 1e6


@dataclass
class Result:
    """One run."""

    who: str
    sent: int
    seconds: float
    taken: int
    dropped: int
    cpu_s: float  # while packets were sent
    capture_s: float  # of that, who reads the interface
    memory_bytes: list[int]  # of all its processes together, over time

    @property
    def rate(self) -> float:
        return self.sent / self.seconds

    def row(self) -> str:
        early, late = self.memory_bytes[len(self.memory_bytes) // 4], self.memory_bytes[-1]
        missing = self.sent - self.taken - self.dropped
        return (
            f"| {self.who} | {self.rate:,.0f} | {self.sent:,} | {self.taken:,} | {self.dropped:,}"
            f" | {missing} | {self.cpu_s / self.seconds:.2f}"
            f" | {self.capture_s / max(self.taken, 1) * 1e9:,.0f} | {early / MB:,.0f}"
            f" | {late / MB:,.0f} |"
        )


HEAD = """\
| | packets/s | sent | taken | dropped | missing | cores | capture ns | MB early | MB late |
|---|---|---|---|---|---|---|---|---|---|"""


class Wire:
    """A namespace with a pair of interfaces, and what runs in it."""

    def __init__(self) -> None:
        self.name = f"fmbench{os.getpid()}"

    def inside(self, *command: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, *command]

    def __enter__(self) -> "Wire":
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        pair = ("link", "add", TO, "type", "veth", "peer", "name", FROM)
        subprocess.run(["ip", "-n", self.name, *pair], check=True)
        for end in (FROM, TO):
            quiet = f"net.ipv6.conf.{end}.disable_ipv6=1"
            subprocess.run(self.inside("sysctl", "-qw", quiet), check=True)
            subprocess.run(["ip", "-n", self.name, "link", "set", end, "up"], check=True)
        return self

    def __exit__(self, *what: object) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=True)

    def generate(self, rate: float, seconds: float, run: Running) -> tuple[int, float, list[int]]:
        """Send; packets, seconds, and the memory of `run` meanwhile."""
        command = (sys.executable, "-m", "bench.generator", FROM)
        told = ("--rate", str(rate), "--seconds", str(seconds))
        sizes: list[int] = []
        with subprocess.Popen(
            self.inside(*command, *told), stdout=subprocess.PIPE, env=clean_environ()
        ) as sender:
            while sender.poll() is None:
                sizes.append(sum(memory(pid)[1] for pid in list(run.sampler.processes)))
                time.sleep(MEMORY_S)
            assert sender.stdout is not None
            found = json.loads(sender.stdout.read())
        return found["sent"], found["seconds"], sizes


def tcpdump(wire: Wire, rate: float, seconds: float, folder: Path) -> Result:
    """tcpdump to /dev/null, with a buffer like flowmate's."""
    command = ("tcpdump", "-i", TO, "-n", "-B", "65536", "-w", "/dev/null")
    run = Running(wire.inside(*command), clean_environ(), folder)
    run.until("listening on")
    sent, took, cpu_s, capture_s, sizes = send(wire, rate, seconds, run)
    run.process.send_signal(signal.SIGINT)
    done = run.end()
    told = re.findall(r"(\d+) packets (captured|dropped by kernel)", done.stderr)
    taken, dropped = (int(number) for number, _ in told)
    return Result("tcpdump", sent, took, taken, dropped, cpu_s, capture_s, sizes)


def flowmate(wire: Wire, rate: float, seconds: float, folder: Path, backend: str) -> Result:
    """The whole pipeline with its defaults."""
    output = folder / "live.jsonl"
    output.unlink(missing_ok=True)
    command = (*flowmate_command(), "--iface", TO, "--capture-backend", backend)
    run = Running(wire.inside(*command, "--output", str(output)), clean_environ(), folder)
    while not any(source["status"] == "reading" for source in sources(output)):
        if run.process.poll() is not None:
            raise SystemExit(run.end().stderr)
        time.sleep(0.1)
    sent, took, cpu_s, capture_s, sizes = send(wire, rate, seconds, run)
    run.process.send_signal(signal.SIGINT)
    done = run.end()
    if done.status:
        raise SystemExit(done.stderr)
    *_, source = sources(output)
    dropped = source["dropped_kernel"] + source["dropped_interface"] + source["dropped_ours"]
    name = f"flowmate, {backend}"
    return Result(name, sent, took, source["packets"], dropped, cpu_s, capture_s, sizes)


def send(
    wire: Wire, rate: float, seconds: float, run: Running
) -> tuple[int, float, float, float, list[int]]:
    """Packets, seconds, the CPU time of `run` meanwhile, that of capture alone, and memory."""
    time.sleep(SETTLE_S)
    before, capture_before = used(run)
    sent, took, sizes = wire.generate(rate, seconds, run)
    time.sleep(SETTLE_S)
    after, capture_after = used(run)
    return sent, took, after - before, capture_after - capture_before, sizes


def used(run: Running) -> tuple[float, float]:
    """CPU time so far, s: of all its processes, and of capture, or of the only one there is."""
    found = {name: usage.cpu_s for name, usage in run.sampler.by_service().items()}
    total = sum(found.values())
    return total, found.get("capture", total)


def sources(output: Path) -> Iterator[dict[str, Any]]:
    """What was written of the interface so far."""
    if not output.exists():
        return
    with output.open() as lines:
        for line in lines:
            if '"event":"source_status"' in line and line.endswith("\n"):
                yield json.loads(line)


def ladder(name: str, given: argparse.Namespace, wire: Wire, folder: Path) -> list[Result]:
    """At --rate; where packets were dropped at lower ones too, until none are."""
    found: list[Result] = []
    rate = given.rate
    while not found or (found[-1].dropped and rate > 1000):
        found.append(one(name, wire, rate, given.seconds, folder))
        rate *= LOWER
    return found


def one(name: str, wire: Wire, rate: float, seconds: float, folder: Path) -> Result:
    if name == "tcpdump":
        result = tcpdump(wire, rate, seconds, folder)
    else:
        result = flowmate(wire, rate, seconds, folder, name)
    print(result.row(), file=sys.stderr)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Live capture beside tcpdump.")
    parser.add_argument("--rate", type=float, default=200_000, help="packets a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="at each rate")
    parser.add_argument("--flood-seconds", type=float, default=20.0, help="at three times --rate")
    parser.add_argument("--who", nargs="+", default=["tcpdump", "ring", "pcap"])
    given = parser.parse_args(argv)
    if os.geteuid() or not shutil.which("ip") or not shutil.which("tcpdump"):
        return skip("live capture", "needs root, ip and tcpdump")
    with Wire() as wire, tempfile.TemporaryDirectory(prefix="fm-live-") as folder:
        at_rate = [row for name in given.who for row in ladder(name, given, wire, Path(folder))]
        flood = [
            one(name, wire, 3 * given.rate, given.flood_seconds, Path(folder)) for name in given.who
        ]
    print(f"{machine()}\n\nAt {given.rate:,.0f} packets a second, {given.seconds:.0f} s:\n\n{HEAD}")
    print("\n".join(row.row() for row in at_rate))
    print(f"\nAt three times that, {given.flood_seconds:.0f} s:\n\n{HEAD}")
    print("\n".join(row.row() for row in flood))
    return 0


if __name__ == "__main__":
    sys.exit(main())
