"""Whole runs of the real command beside tcpdump: `python -m bench.pipeline FILE... [--runs 5]`.

In every round each contestant runs once, one after the other, so that what the machine does
otherwise hits all alike: `tcpdump -r FILE -w /dev/null`, then flowmate with each number of shards.
The file is read once before, so that it comes from the page cache. The same is done with a capture
of one packet; its medians are the start-up, and are subtracted where a column says "less start-up".

Columns: wall and CPU s are medians of whole runs; k packets/s and MB/s are by wall less start-up;
ns/packet is CPU less start-up, of all processes and of each service; `unseen` is CPU of the tree
that no sample caught, mostly of processes about to be gone; RSS is each process's own peak, shards
added up; others = cores that other programs kept busy. The ratios are against tcpdump, less
start-up, of the same rounds.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.probe import (
    SERVICES,
    Measured,
    Running,
    clean_environ,
    flowmate_command,
    free_port,
    skip,
    warm,
)
from services.capture.capture_file import open_captures

TCPDUMP = "tcpdump"
LEAST_S = 0.005  # what is shorter is start-up that varies
END_OF_INPUT = "flowmate: completed"  # the first line of the summary
OPEN = b'"event":"stream_open"'


@dataclass(frozen=True)
class Contestant:
    """A command that reads a capture."""

    name: str
    shards: int  # 0: not flowmate
    options: tuple[str, ...] = ()
    api: bool = False  # with an API, which keeps it up when the input is read
    ring: bool = False  # with a packet ring beside the output

    def command(self, capture: Path, output: Path) -> list[str]:
        if not self.shards:
            return [TCPDUMP, "-r", str(capture), "-w", "/dev/null"]
        run = ["--pcap", str(capture), "--output", str(output), "--workers", str(self.shards)]
        listen = ["--api-listen", f"127.0.0.1:{free_port()}"] if self.api else []
        ring = ["--packet-ring", str(output.parent / "ring")] if self.ring else []
        return [*flowmate_command(), *run, *listen, *ring, *self.options]


@dataclass
class Row:
    """One contestant on one file: medians."""

    name: str
    wall_s: float
    wall_min_s: float
    wall_max_s: float
    cpu_s: float
    net_wall_s: float  # less start-up, and so the rest
    net_cpu_s: float
    cpu_ns_packet: float
    service_ns_packet: dict[str, float]
    unseen_ns_packet: float
    rss_bytes: dict[str, int]
    events: int
    streams: int
    others_cores: float
    wall_ratio: float | None = None  # to tcpdump
    cpu_ratio: float | None = None


def main(argv: Sequence[str] | None = None) -> int:
    given = arguments(argv)
    options = tuple(given.option)
    contestants = [
        Contestant(f"flowmate, {n} shard{'s' * (n > 1)}", n, options) for n in given.shards
    ]
    if given.api:
        contestants.append(Contestant("flowmate, 1 shard, API", 1, options, api=True))
    if given.packet_ring:
        contestants.append(Contestant("flowmate, 1 shard, packet ring", 1, options, ring=True))
    if shutil.which(TCPDUMP):
        contestants.insert(0, Contestant(TCPDUMP, 0))
    else:
        skip(TCPDUMP, "not installed; no ratios")
    report: dict[str, Any] = {"machine": machine(), "runs": given.runs, "files": []}
    for capture in given.captures:
        found = one_file(capture, contestants, given.runs)
        report["files"].append(found)
        print(markdown(found), flush=True)
        if given.json:
            given.json.write_text(json.dumps(report, indent=1) + "\n")
        if given.md:
            given.md.write_text("\n".join(markdown(file) for file in report["files"]))
    return 0


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.pipeline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("captures", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--shards", type=numbers, default=[1, 2], help="such as 1,2 (default)")
    words = "one more word for flowmate, such as --option=--transport=inline"
    parser.add_argument("--option", action="append", default=[], metavar="FLAG", help=words)
    parser.add_argument("--api", action="store_true", help="once more with the API up")
    parser.add_argument("--packet-ring", action="store_true", help="once more with one")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--md", type=Path)
    return parser.parse_args(argv)


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    cores, cpu = len(os.sched_getaffinity(0)), next(iter(models), platform.machine())
    return f"{cores} x {cpu}, Linux {platform.release()}, Python {platform.python_version()}"


# ---------------------------------------------------------------------------------- measuring
def one_file(capture: Path, contestants: Sequence[Contestant], runs: int) -> dict[str, Any]:
    """All contestants on one capture."""
    packets = count_packets(capture)
    with tempfile.TemporaryDirectory(prefix="flowmate-bench-") as name:
        folder = Path(name)
        first = folder / "first.pcap"
        first.write_bytes(first_packet(capture))
        output = folder / "events.jsonl"
        short: dict[str, list[Measured]] = {one.name: [] for one in contestants}
        whole: dict[str, list[Measured]] = {one.name: [] for one in contestants}
        told: dict[str, tuple[int, int]] = {}
        for turn in range(runs + 1):  # the first one only warms up
            for one in contestants:
                started = run_once(one, first, output)
                finished = run_once(one, capture, output)
                told[one.name] = count_events(output) if one.shards else (0, 0)
                if turn:
                    short[one.name].append(started)
                    whole[one.name].append(finished)
                    print(progress(turn, one, finished), file=sys.stderr, flush=True)
    rows = [
        row_of(one, packets, short[one.name], whole[one.name], told[one.name])
        for one in contestants
    ]
    compare(rows)
    return {
        "file": capture.name,
        "bytes": capture.stat().st_size,
        "packets": packets,
        "rows": [asdict(row) for row in rows],
    }


def run_once(one: Contestant, capture: Path, output: Path) -> Measured:
    """One run from a warm page cache. SystemExit when it fails."""
    warm(capture)
    output.unlink(missing_ok=True)
    running = Running(one.command(capture, output), clean_environ(), output.parent)
    read_s = running.until(END_OF_INPUT) if one.api else 0.0
    if one.api:
        running.process.send_signal(signal.SIGINT)
    result = running.end()
    if one.api:
        result.wall_s = read_s
    if result.status:
        sys.exit(f"{one.name} on {capture}: exit status {result.status}\n{result.stderr}")
    return result


def progress(turn: int, one: Contestant, run: Measured) -> str:
    return f"  round {turn}: {one.name:<20} {run.wall_s:7.2f} s wall {run.cpu_s:7.2f} s CPU"


def records_of(capture: Path) -> Iterator[int]:
    """Packets by batch."""
    source = open_captures([str(capture)])[0]
    while (batch := source.read()) is not None:
        yield batch.records.size
    if source.state.status == "failed":
        sys.exit(f"{capture}: {source.state.problems[0].reason}")


def count_packets(capture: Path) -> int:
    return sum(records_of(capture))


def first_packet(capture: Path) -> bytes:
    """A capture of its first packet, as pcap."""
    source = open_captures([str(capture)], 1)[0]
    while (batch := source.read()) is not None and not batch.records.size:
        pass
    if batch is None:
        sys.exit(f"{capture}: no packet in it")
    record = batch.records[0]
    off, caplen = int(record["off"]), int(record["caplen"])
    seconds, ns = divmod(int(record["ts_ns"]), 10**9)
    head = [0xA1B2C3D4, 2 | 4 << 16, 0, 0, 262144, int(record["link"])]
    head += [seconds & 0xFFFFFFFF, ns // 1000, caplen, int(record["wirelen"])]
    words = b"".join(word.to_bytes(4, "little") for word in head)
    source.close()
    return words + batch.data[off : off + caplen].tobytes()


def count_events(output: Path) -> tuple[int, int]:
    """Lines of the events file, and how many of them open a stream."""
    lines = streams = 0
    tail = b""
    with output.open("rb") as file:
        while piece := file.read(1 << 22):
            lines += piece.count(b"\n")
            joined = tail + piece
            tail = joined[-len(OPEN) + 1 :]
            streams += joined.count(OPEN)
    return lines, streams


# -------------------------------------------------------------------------------------- rows
def row_of(
    one: Contestant,
    packets: int,
    short: Sequence[Measured],
    whole: Sequence[Measured],
    told: tuple[int, int],
) -> Row:
    """Medians of the whole runs, less the medians of the short ones."""

    def middle(runs: Sequence[Measured], name: str) -> float:
        return float(statistics.median(getattr(run, name) for run in runs))

    def service_cpu(runs: Sequence[Measured], name: str) -> float:
        return statistics.median(run.services[name].cpu_s for run in runs)

    names = [name for name in SERVICES if all(name in run.services for run in whole)]
    net_cpu = middle(whole, "cpu_s") - middle(short, "cpu_s")
    per_packet = 1e9 / packets
    services = {
        name: (service_cpu(whole, name) - service_cpu(short, name)) * per_packet
        for name in names
        if one.shards
    }
    rss = {
        name: int(statistics.median(run.services[name].rss_bytes for run in whole))
        for name in names
    }
    return Row(
        name=one.name,
        wall_s=middle(whole, "wall_s"),
        wall_min_s=min(run.wall_s for run in whole),
        wall_max_s=max(run.wall_s for run in whole),
        cpu_s=middle(whole, "cpu_s"),
        net_wall_s=middle(whole, "wall_s") - middle(short, "wall_s"),
        net_cpu_s=net_cpu,
        cpu_ns_packet=net_cpu * per_packet,
        service_ns_packet=services,
        unseen_ns_packet=(middle(whole, "unseen_cpu_s") - middle(short, "unseen_cpu_s"))
        * per_packet,
        rss_bytes=rss,
        events=told[0],
        streams=told[1],
        others_cores=middle(whole, "others_cores"),
    )


def compare(rows: Sequence[Row]) -> None:
    """Fill in the ratios to tcpdump."""
    base = next((row for row in rows if row.name == TCPDUMP), None)
    for row in rows:
        if base is None or row is base:
            continue
        if min(base.net_cpu_s, row.net_cpu_s) > LEAST_S:
            row.cpu_ratio = row.net_cpu_s / base.net_cpu_s
        if min(base.net_wall_s, row.net_wall_s) > LEAST_S:
            row.wall_ratio = row.net_wall_s / base.net_wall_s


HEAD = (
    "contestant", "wall s [min-max]", "CPU s", "k packets/s", "MB/s", "CPU ns/packet",
    "by service, ns/packet", "peak RSS, MB", "events", "wall : tcpdump", "CPU : tcpdump", "others",
)  # fmt: skip


def markdown(found: dict[str, Any]) -> str:
    """One file as a table."""
    packets, size = found["packets"], found["bytes"]
    title = f"### {found['file']}: {packets:,} packets, {size / 1e6:,.0f} MB"
    lines = [title, "", "| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for row in found["rows"]:
        net = row["net_wall_s"]
        rates = [f"{packets / net / 1e3:,.0f}", f"{size / net / 1e6:,.0f}"]
        if net < LEAST_S:
            rates = ["-", "-"]
        parts = [f"{name} {ns:.0f}" for name, ns in row["service_ns_packet"].items()]
        if row["service_ns_packet"]:
            parts.append(f"unseen {row['unseen_ns_packet']:.0f}")
        rss = [f"{name} {octets / 1e6:.0f}" for name, octets in row["rss_bytes"].items()]
        cells = [
            row["name"],
            f"{row['wall_s']:.2f} [{row['wall_min_s']:.2f}-{row['wall_max_s']:.2f}]",
            f"{row['cpu_s']:.2f}",
            *rates,
            f"{row['cpu_ns_packet']:.0f}",
            " · ".join(parts) or "-",
            " · ".join(rss) or "-",
            f"{row['events']:,}" if row["events"] else "-",
            *(f"{row[key]:.2f}" if row[key] is not None else "-"
              for key in ("wall_ratio", "cpu_ratio")),
            f"{row['others_cores']:.1f}",
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
