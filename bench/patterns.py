"""What patterns cost: one shard in this process, without them, by hyperscan and by `regex`.

`python -m bench.patterns FILE [--packets N] [--passes 3] [--json OUT]`

The capture is read, decoded and gathered into batches outside the clock; what is timed is the
worker alone, so the differences are the patterns' whole cost: gathering, scanning, confirming,
keeping, collecting. Sets of patterns take turns in each pass; medians of ns a packet.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.capture.capture_file import open_captures
from services.capture.fragments import Reassembler, reassemble
from services.capture.kernels.route import gather
from services.capture.meeting import SLOT_BYTES
from services.shard.patterns.reports import reports
from services.shard.patterns.scanner import load_hyperscan
from services.shard.tables import Tables
from services.shard.worker import Worker
from shared.batch import EventBatch
from shared.columns import DECODE_STATUSES, FRAGMENT_HELD, PACKET
from shared.kernels.headers import decode
from shared.schema import Pattern
from shared.settings import Settings

Batch = tuple[NDArray[np.void], NDArray[np.uint8], int]
WORDS = ("passwd", "sqlmap", "phpinfo", "onerror", "base64", "eval", "wget", "curl", "chmod")


def pattern(number: int, kind: Any, value: str) -> Pattern:
    return Pattern(id=number, name=value, kind=kind, value=value)


def three() -> list[Pattern]:
    """What a team looks for: a flag, a word, some bytes."""
    return [
        pattern(1, "regex", "[A-Z0-9]{31}="),
        pattern(2, "substring", "union select"),
        pattern(3, "binary", "de ad be ef 00"),
    ]


def fifty() -> list[Pattern]:
    """Flags, paths, exploits: regular expressions and words that are rare."""
    rare = [pattern(4 + i, "substring", f"{word}.{i}/../") for i, word in enumerate(WORDS)]
    paths = [
        pattern(20 + i, "regex", f"(?i){word}=[^&\\s]{{8,64}}'") for i, word in enumerate(WORDS)
    ]
    shells = [
        pattern(40 + i, "regex", rf"\b{word}\s*;\s*(cat|nc|sh)\b") for i, word in enumerate(WORDS)
    ]
    octets = [pattern(60 + i, "binary", f"90909090{i:02x}eb") for i in range(20)]
    return three() + rare + paths + shells + octets


SETS: dict[str, Any] = {
    "none": list,
    "3 patterns": three,
    "50 patterns": fifty,
    "a word in most packets": lambda: [pattern(1, "substring", "HTTP/1.1")],
    "a header of most packets": lambda: [pattern(1, "regex", r"Host: (\S+)")],
    "words of the traffic, open ends": lambda: [
        pattern(1 + i, "regex", rf"\b{word}\s*;\s*(cat|nc|sh)\b")
        for i, word in enumerate(("admin", "ticket", "vault", "cookie", "rocket", "planet"))
    ],
    "(a+)+$": lambda: [pattern(1, "regex", "(a+)+$")],
    r"(\w+\s?)+;$": lambda: [pattern(1, "regex", r"(\w+\s?)+;$")],
}


def batches(file: str, most: int, settings: Settings) -> Iterator[Batch]:
    """Batches as a shard receives them."""
    source = open_captures([file])[0]
    rows = np.zeros(settings.batch_size, PACKET)
    slot, payload = rows.copy(), np.zeros(SLOT_BYTES, np.uint8)
    fill, counts = np.zeros(2, np.uint64), np.zeros(len(DECODE_STATUSES), np.uint64)
    reassembler = Reassembler()
    packets = 0
    while packets < most and (batch := source.read()) is not None:
        count = batch.records.size
        data, found, held = batch.data[: batch.used], rows[:count], int(counts[FRAGMENT_HELD])
        decode(data, batch.records, found, counts)
        if int(counts[FRAGMENT_HELD]) != held:
            data, _ = reassemble(data, batch.used, batch.records, found, reassembler, counts)
        at = 0
        while at < count:
            at = gather(found, at, data, 0, 1, slot, payload, fill)
            if at < count:
                yield taken(slot, payload, fill)
        packets += count
    source.close()
    yield taken(slot, payload, fill)


def taken(slot: NDArray[np.void], payload: NDArray[np.uint8], fill: NDArray[np.uint64]) -> Batch:
    packets = slot[: int(fill[0])]
    result = packets, payload[: int(fill[1])], int(packets["ts_ns"].max(initial=0))
    fill[:] = 0
    return result


class Run:
    """One worker with one set of patterns."""

    def __init__(self, settings: Settings, patterns: list[Pattern], hyperscan: Any) -> None:
        self.told = self.packets = self.ns = 0
        self.worker = Worker(Tables(settings, 1), 0, self._tell)
        self.engine = self.worker.patterns
        self.engine.use(hyperscan)
        self.engine.set_patterns(patterns)

    def _tell(self, told: EventBatch) -> None:
        self.told += told.matches.size

    def take(self, batch: Batch) -> None:
        packets, payload, now_ns = batch
        began = time.perf_counter_ns()
        self.worker.take(packets, payload, now_ns)
        self.ns += time.perf_counter_ns() - began
        self.packets += packets.size

    def result(self) -> dict[str, float]:
        found = reports(self.engine)
        return {
            "ns": self.ns / max(1, self.packets),
            "matches": sum(report.matches + report.over_limit for report in found),
            "skipped": sum(report.skipped for report in found),
            "timeouts": sum(report.timeouts for report in found),
        }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.patterns",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("capture", type=Path, metavar="FILE")
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(argv)
    settings = Settings(max_flows=300_000)
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for number in range(given.passes + 1):
        for name in given.sets:
            for by, module in (("hyperscan", load_hyperscan()), ("regex", None)):
                if name == "none" and by == "regex":
                    continue
                run = Run(settings, SETS[name](), module)
                packets = given.packets if number else 20_000  # the first one only warms
                for batch in batches(str(given.capture), packets, settings):
                    run.take(batch)
                if number:
                    found.setdefault((name, by), []).append(run.result())
    print(table(given.capture.name, found))
    if given.json:
        rows = {f"{name}, {by}": results for (name, by), results in found.items()}
        given.json.write_text(json.dumps({"file": given.capture.name, "runs": rows}) + "\n")
    return 0


def table(name: str, found: dict[tuple[str, str], list[dict[str, float]]]) -> str:
    def median(results: list[dict[str, float]], what: str) -> float:
        return statistics.median(result[what] for result in results)

    base = median(found[("none", "hyperscan")], "ns") if ("none", "hyperscan") in found else 0.0
    lines = [
        f"### {name}", "",
        "| patterns | by | shard, ns/packet | of them patterns | matches | left out | timeouts |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for (words, by), results in found.items():
        ns = median(results, "ns")
        counts = " | ".join(
            f"{median(results, what):,.0f}" for what in ("matches", "skipped", "timeouts")
        )
        lines.append(f"| {words} | {by} | {ns:.0f} | {ns - base:.0f} | {counts} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
