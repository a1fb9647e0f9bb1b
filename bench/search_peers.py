"""Looking for a flag in reassembled content, beside others: `python -m bench.peers --search`.

gopacket with Go's regexp over each direction, tcpflow into files and ripgrep over them, flowmate
with the expression as its pattern. All say how many they found, and that is compared with what was
written into the capture, where it is one that is built here. Start-up is what a run over SHORT
streams takes, the least of three.
"""

import argparse
import json
import re
import shlex
import shutil
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.built import FLAG, write_flags
from bench.pipeline import count_packets
from bench.probe import Measured, clean_environ, flowmate_command, measure, skip, warm

GOPACKET = "gopk"
SHORT = 200
MATCH = b'"event":"pattern_match"'


@dataclass(frozen=True)
class Searcher:
    """A command, {pcap} and {work} filled in, and how many it found, by what it left in {work}."""

    name: str
    line: str
    found: Callable[[Path], int]


def searching(given: argparse.Namespace) -> int:
    """Every searcher once in every round, for each capture."""
    with tempfile.TemporaryDirectory(prefix="flowmate-peers-") as name:
        truths: dict[Path, int | None] = dict.fromkeys(given.captures)
        if not truths:
            built = Path(name) / "flags.pcap"
            truths[built] = write_flags(built, given.streams)
        short = Path(name) / "short.pcap"
        write_flags(short, SHORT)
        starts = {
            one.name: min(run_once(one, short)[0].cpu_s for _ in range(3))
            for one in searchers(given)
        }
        lines = [
            "| file | program | found | wall s | CPU s | k packets/CPU s | less start-up"
            " | times wall | CPU | less start-up |",
            "|" + "---|" * 10,
        ]
        for capture, truth in truths.items():
            lines += table(capture.absolute(), truth, given, starts)
    print("\n".join(lines))
    if given.md:
        given.md.write_text("\n".join(lines) + "\n")
    return 0


def searchers(given: argparse.Namespace) -> list[Searcher]:
    """flowmate first, then those that are installed."""
    ours = [*flowmate_command(), "--workers", str(given.shards), "--regex", FLAG]
    line = f"{shlex.join(ours)} --pcap {{pcap}} --output {{work}}/events.jsonl"
    result = [Searcher("flowmate", line, matches_in)]
    gopk = given.gopk or (Path(path) if (path := shutil.which(GOPACKET)) else None)
    if gopk is not None and gopk.is_file():
        line = f"{shlex.quote(str(gopk))} -re {shlex.quote(FLAG)} {{pcap}} > {{work}}/found"
        result.append(Searcher("gopacket, content, regexp", line, hits_in))
    else:
        skip("gopacket", "no program; build it and give --gopk")
    if shutil.which("tcpflow") and shutil.which("rg"):
        line = (
            "tcpflow -r {pcap} -o {work}/files -S enable_report=NO"
            f" && rg -a -o --no-unicode --no-filename {shlex.quote(FLAG)} {{work}}/files"
            " | wc -l > {work}/found"
        )
        result.append(Searcher("tcpflow, then ripgrep", line, number_in))
    else:
        skip("tcpflow and ripgrep", "not both installed")
    return result


def matches_in(work: Path) -> int:
    with (work / "events.jsonl").open("rb") as file:
        return sum(MATCH in line for line in file)


def hits_in(work: Path) -> int:
    hits = re.search(r"hits=(\d+)", (work / "found").read_text())
    return int(hits.group(1)) if hits else -1


def number_in(work: Path) -> int:
    return int((work / "found").read_text())


def table(
    capture: Path, truth: int | None, given: argparse.Namespace, starts: dict[str, float]
) -> list[str]:
    """Lines of one capture. starts: CPU seconds of start-up."""
    packets, programs = count_packets(capture), searchers(given)
    runs: dict[str, list[Measured]] = {one.name: [] for one in programs}
    counts: dict[str, set[int]] = {one.name: set() for one in programs}
    for _ in range(given.runs):
        for one in programs:
            run, found = run_once(one, capture)
            runs[one.name].append(run)
            counts[one.name].add(found)
    if given.json:
        told = {name: [[run.wall_s, run.cpu_s] for run in each] for name, each in runs.items()}
        found_by = {name: sorted(each) for name, each in counts.items()}
        body = {"packets": packets, "truth": truth, "runs": told, "found": found_by}
        given.json.write_text(json.dumps(body, indent=1) + "\n")
    wall, cpu = median(runs["flowmate"])
    work = cpu - starts["flowmate"]
    lines = []
    for name, each in runs.items():
        its_wall, its_cpu = median(each)
        its_work = its_cpu - starts[name]
        words = " ".join(f"{count:,}" for count in sorted(counts[name]))
        short = truth is not None and counts[name] != {truth}
        lines.append(
            f"| {capture.name} | {name} | {words}{f' of {truth:,}' if short else ''}"
            f" | {its_wall:.2f} | {its_cpu:.2f} | {packets / its_cpu / 1e3:,.0f}"
            f" | {packets / its_work / 1e3:,.0f}"
            f" | {its_wall / wall:.2f} | {its_cpu / cpu:.2f} | {its_work / work:.2f} |"
        )
    return lines


def median(runs: Sequence[Measured]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    return statistics.median(r.wall_s for r in runs), statistics.median(r.cpu_s for r in runs)


def run_once(one: Searcher, capture: Path) -> tuple[Measured, int]:
    """From a warm page cache, in an empty folder; the run, and how many were found."""
    warm(capture)
    with tempfile.TemporaryDirectory(prefix="flowmate-peers-") as name:
        work = Path(name)
        line = one.line.replace("{pcap}", shlex.quote(str(capture))).replace("{work}", name)
        run = measure(["sh", "-c", line], clean_environ(), work)
        if run.status:
            raise RuntimeError(f"{one.name}: exit status {run.status}: {run.stderr[-300:]}")
        return run, one.found(work)
