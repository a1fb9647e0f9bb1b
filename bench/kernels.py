"""Every step of the chain by itself, and every kernel beside its plain twin.

`python -m bench.kernels FILE [--passes 3] [--packets N] [--twin-packets 2000] [--json OUT]`

First the whole way of a capture through one process: read, decode, gather, the shard's steps, the
coordinator's inventory and lines; ns of CPU time a packet, median of the passes, each with fresh
tables. "between" is Python's share: what is in no step. Then kernels against their twins in
tests/reference: ns an item, the twin on a small sample.
"""

import argparse
import json
import statistics
import sys
import time
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import services.coordinator.kernels.inventory as inventory_kernels
import services.coordinator.kernels.previews as preview_kernels
import services.shard.analyze as analyze_module
import services.shard.worker as worker_module
from bench.twins import PAIRS, Sample
from services.capture.capture_file import open_captures
from services.capture.fragments import Reassembler, reassemble
from services.capture.kernels.route import gather
from services.capture.meeting import SLOT_BYTES
from services.coordinator.kernels.jsonl_lines import format_events
from services.coordinator.kernels.message_lines import format_messages
from services.coordinator.sinks.lines import BUFFER_BYTES, LINES_AT_ONCE
from services.coordinator.view import Inventory
from services.shard.tables import Tables
from services.shard.worker import Worker
from shared.batch import EventBatch
from shared.columns import DECODE_STATUSES, EVENT, EVENT_CHANGE, FRAGMENT_HELD, PACKET
from shared.kernels.headers import decode
from shared.memory import zeros
from shared.settings import Settings

ENDLESS = 1 << 62


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.kernels",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("capture", type=Path, metavar="FILE")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--packets", type=int, default=ENDLESS, help="read no more than these")
    parser.add_argument("--twin-packets", type=int, default=2000, help="0 = without twins")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(argv)
    Chain(Settings()).run(str(given.capture), 20_000)  # loads the kernels
    passes = []
    for _ in range(given.passes):
        chain = Chain(Settings())
        chain.run(str(given.capture), given.packets)
        passes.append(chain.result())
    stages = medians(passes)
    print(stage_table(given.capture.name, stages), flush=True)
    twins = []
    if given.twin_packets:
        sample = Sample.of(given.capture, given.twin_packets)
        twins = [pair(sample) for pair in PAIRS]
        print(twin_table(twins))
    if given.json:
        told = {"file": given.capture.name, "stages": stages, "twins": twins}
        given.json.write_text(json.dumps(told, indent=1) + "\n")
    return 0


# ---------------------------------------------------------------------------------- the chain
@dataclass
class Clock:
    """CPU time by step, of the one thread that does all."""

    ns: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        self.ns.setdefault(name, 0)
        self.calls.setdefault(name, 0)

        def wrapper(*args: Any) -> Any:
            began = time.thread_time_ns()
            result = function(*args)
            self.ns[name] += time.thread_time_ns() - began
            self.calls[name] += 1
            return result

        return wrapper


def kernels_of(module: types.ModuleType) -> dict[str, Callable[..., Any]]:
    """The kernels that a module calls by name."""
    found = {}
    for name, value in vars(module).items():
        home = getattr(getattr(value, "py_func", value), "__module__", None) or ""
        if callable(value) and not isinstance(value, type) and ".kernels." in home:
            found[name] = value
    return found


@contextmanager
def watched(clock: Clock, *modules: types.ModuleType) -> Iterator[None]:
    """Time the kernels that these modules call."""
    before = [
        (module, name, value) for module in modules for name, value in kernels_of(module).items()
    ]
    for module, name, value in before:
        setattr(module, name, clock.timed(name, value))
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


class Chain:
    """One shard and the coordinator's columns in this process, as their services use them."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.clock = settings, Clock()
        self.packets = self.bytes = self.events = self.lines_bytes = 0
        self.wall_ns = 0
        self.inventory = Inventory(settings.max_streams)
        self.lines = zeros(BUFFER_BYTES)
        self.format = self.clock.timed("format_events", format_events)
        self.format_messages = self.clock.timed("format_messages", format_messages)

    def _tell(self, told: EventBatch) -> None:
        events, pieces, octets = told.events, told.previews, told.preview_bytes
        self.events += events.size
        # the socket's copy
        mine = np.frombuffer(self.copy(events), EVENT)
        self.inventory.merge(0, mine, pieces, octets)
        picked = np.flatnonzero(mine["kind"] != EVENT_CHANGE)
        for start in range(0, picked.size, LINES_AT_ONCE):
            self.lines_bytes += self.format(mine, picked[start : start + LINES_AT_ONCE], self.lines)
        for start in range(0, told.messages.size, LINES_AT_ONCE):
            part = slice(start, start + LINES_AT_ONCE)
            rows, ends = told.messages[part], told.message_ends[part]
            self.lines_bytes += self.format_messages(rows, ends, told.message_text, self.lines)

    def copy(self, events: NDArray[np.void]) -> bytes:
        return events.tobytes()

    def run(self, capture: str, most: int) -> None:
        modules = worker_module, analyze_module, inventory_kernels, preview_kernels
        with watched(self.clock, *modules):
            self.worker = Worker(Tables(self.settings, 1), 0, self._tell)
            began = time.thread_time_ns()
            self._run(capture, most)
            self.wall_ns = time.thread_time_ns() - began

    def _run(self, capture: str, most: int) -> None:
        source = open_captures([capture])[0]
        timed = self.clock.timed
        read, unpack = timed("read", source.read), timed("decode", decode)
        join, route = timed("fragments", reassemble), timed("gather", gather)
        rows = np.zeros(self.settings.batch_size, PACKET)
        slot, payload = rows.copy(), np.zeros(SLOT_BYTES, np.uint8)
        fill, counts = np.zeros(2, np.uint64), np.zeros(len(DECODE_STATUSES), np.uint64)
        reassembler = Reassembler()
        while self.packets < most and (batch := read()) is not None:
            count = batch.records.size
            data, packets, held = batch.data[: batch.used], rows[:count], int(counts[FRAGMENT_HELD])
            unpack(data, batch.records, packets, counts)
            if int(counts[FRAGMENT_HELD]) != held:
                data, _ = join(data, batch.used, batch.records, packets, reassembler, counts)
            at = 0
            while at < count:
                at = route(packets, at, data, 0, 1, slot, payload, fill)
                if at < count:
                    self._take(slot, payload, fill)
            self.packets += count
            self.bytes += int(batch.records["caplen"].sum(dtype=np.uint64))
        source.close()
        self._take(slot, payload, fill)
        self.worker.finish()

    def _take(
        self, slot: NDArray[np.void], payload: NDArray[np.uint8], fill: NDArray[np.uint64]
    ) -> None:
        packets = slot[: int(fill[0])]
        now_ns = int(packets["ts_ns"].max()) if packets.size else self.worker.now_ns
        self.worker.take(packets, payload[: int(fill[1])], now_ns)
        fill[:] = 0

    def result(self) -> dict[str, float]:
        """ns a packet by step, and totals."""
        per_packet = 1 / max(1, self.packets)
        steps = {name: ns * per_packet for name, ns in self.clock.ns.items() if ns}
        whole = self.wall_ns * per_packet
        steps["between"] = whole - sum(steps.values())
        return steps | {
            "whole": whole,
            "packets": self.packets,
            "bytes": self.bytes,
            "events": self.events,
        }


def medians(passes: Sequence[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in passes for name in one)
    return {name: statistics.median(one.get(name, 0.0) for one in passes) for name in names}


TOTALS = ("packets", "bytes", "events", "whole")


def stage_table(name: str, stages: dict[str, float]) -> str:
    packets, octets = stages["packets"], stages["bytes"]
    size = f"{packets:,.0f} packets, {octets / 1e6:,.0f} MB, {stages['events']:,.0f} events"
    lines = [
        f"### {name}: {size}",
        "",
        "| step | ns/packet | share |",
        "|---|---|---|",
    ]
    order = sorted(((ns, step) for step, ns in stages.items() if step not in TOTALS), reverse=True)
    whole = stages["whole"]
    lines += [f"| {step} | {ns:.1f} | {100 * ns / whole:.0f} % |" for ns, step in order]
    speed = (
        f"{1e3 / whole:.2f} M packets/s, {octets / packets / whole * 1e3:,.0f} MB/s in one thread"
    )
    return "\n".join([*lines, f"| **whole** | {whole:.1f} | {speed} |", ""])


def twin_table(twins: Sequence[dict[str, Any]]) -> str:
    lines = ["| kernel | twin | item | kernel ns | twin ns | times |", "|---|---|---|---|---|---|"]
    for row in twins:
        times = row["twin_ns"] / max(row["kernel_ns"], 1e-3)
        lines.append(
            f"| {row['kernel']} | {row['twin']} | {row['item']} | {row['kernel_ns']:.1f}"
            f" | {row['twin_ns']:,.0f} | {times:,.0f} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
