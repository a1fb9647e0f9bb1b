"""Hands the bytes of streams to their analyzers, and keeps what these cost within bounds.

Rules. So many analyzers live at a time; what comes over is refused, for the whole stream, and
counted. Each is given so many bytes and may say so many things. What an analyzer raises ends it for
its stream; it is counted, and logged once for each analyzer.
"""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray

from services.shard.kernels import state as s
from services.shard.kernels.findings import add_finding, copy_octets, pick_groups
from services.shard.parsers import Analyzer, Finding, analyzers
from services.shard.tables import Tables
from shared.columns import MESSAGE_TEXT_MAX, SERVICES

LIVE_MAX = 4096  # analyzers at a time
FED_MAX = 1 << 20  # bytes of one stream
FOUND_AT_ONCE, FOUND_MAX = 64, 256  # findings of one call, of one stream
SUMMARY_MAX = 160  # bytes
PIECE = 65536  # bytes of one call at most


@dataclass
class Live:
    """A stream's analyzers."""

    stream_id: int
    analyzers: list[Analyzer]
    seen: list[int] = field(default_factory=lambda: [0, 0])  # logical offset by direction
    fed: int = 0
    found: int = 0


class Analyzers:
    """Made once for a shard. log: where an analyzer's fault is told."""

    def __init__(self, tables: Tables, log: logging.Logger | None = None) -> None:
        self.tables = tables
        self.log = log or logging.getLogger(__name__)
        self.classes = list(analyzers())
        self.live: dict[int, Live] = {}  # by row of the flow table
        self.errors = self.refused = 0
        self._told: set[str] = set()  # analyzers whose fault is in the log
        self._rows: NDArray[np.int64] | None = None  # of `live`; None = it has changed
        self._done = np.zeros(tables.flows.size, np.uint64)  # id by row: nobody looks any more
        self._picked = np.zeros(tables.groups.size, np.uint32)
        self._services = np.zeros(256, np.uint8)
        ports = {port for one in self.classes for port in one.ports}
        self._ports = np.zeros(65536 if ports else 0, np.uint8)
        self._ports[list(ports)] = 1
        for one in self.classes:
            self._services[[SERVICES.index(name) for name in one.services]] = 1

    def take(self) -> None:
        """Feed the groups of the batch."""
        t = self.tables
        if not self.classes:
            return
        count = pick_groups(t.columns, self._services, self._ports, self._done, self._picked)
        for index in self._picked[:count].tolist():
            self._feed(t.groups[index])

    def end(self) -> None:
        """Streams that are over say their last."""
        if not self.live:
            return
        if self._rows is None:
            self._rows = np.fromiter(self.live, np.int64, len(self.live))
        reasons = self.tables.flows["reason"][self._rows]
        for row in self._rows[reasons != 0].tolist():
            live, flow = self.live[row], self.tables.flows[row]
            place = (row, 0, live.seen[0], live.seen[0], int(flow["last_ns"]))
            self.tables.state[s.IN_GROUP] = 0
            self._ask(live, place, end)
            self._forget(row)

    def stats(self) -> dict[str, int]:
        return {
            "analyzers_live": len(self.live),
            "analyzer_errors": self.errors,
            "analyzers_refused": self.refused,
        }

    # -------------------------------------------------------------------------------- feeding
    def _feed(self, group: np.void) -> None:
        """Give the stream's analyzers a group, and first what they have not seen before it: what
        came before the service was known is still in the log, if it was captured."""
        row, side = int(group["flow"]), int(group["dir"])
        live = self._live(row)
        if live is None:
            return
        start, end = int(group["start"]), int(group["start"]) + int(group["len"])
        edges = [*range(start, end, PIECE), end]
        if live.seen[side] < start:
            edges.insert(0, live.seen[side])
        from_client = side == int(self.tables.flows[row]["client"])
        self.tables.state[s.IN_GROUP] = 0
        for low, high in pairwise(edges):
            place = (row, side, low, high, int(group["ts_ns"]))
            chunk = self._read(row, side, low, high)
            if chunk is None:
                self._ask(live, place, partial(gap, from_client, high - low))
            else:
                live.fed += len(chunk)
                self._ask(live, place, partial(feed, chunk, from_client))
        live.seen[side] = end
        if not live.analyzers or live.fed > FED_MAX or live.found >= FOUND_MAX:
            self._forget(row)

    def _read(self, row: int, side: int, low: int, high: int) -> bytes | None:
        """Bytes of a direction; None = some of them are missing."""
        unit = self.tables.unit
        if high - low > unit.size or not copy_octets(self.tables.columns, row, side, low, high):
            return None
        return unit[: high - low].tobytes()

    def _live(self, row: int) -> Live | None:
        """The stream's analyzers, made at its first bytes; None = there are no more of them."""
        flow = self.tables.flows[row]
        stream_id = int(flow["stream_id"])
        live = self.live.get(row)
        if live is not None and live.stream_id == stream_id:
            return live
        if self._done[row] == stream_id:
            return None
        if live is None and len(self.live) >= LIVE_MAX:
            self.refused += 1
            self._done[row] = stream_id
            return None
        service, ports = SERVICES[flow["service"]], {int(flow["port_a"]), int(flow["port_b"])}
        live = Live(
            stream_id,
            [one() for one in self.classes if service in one.services or ports & one.ports],
        )
        self.live[row] = live
        self._rows = None
        return live

    def _forget(self, row: int) -> None:
        self._done[row] = self.live.pop(row).stream_id
        self._rows = None

    def _ask(
        self,
        live: Live,
        place: tuple[int, int, int, int, int],
        say: Callable[[Analyzer], Iterable[Finding]],
    ) -> None:
        """Have each of the stream's analyzers say what it found; drop those that are done."""
        for one in list(live.analyzers):
            try:
                for found in islice(say(one), FOUND_AT_ONCE):
                    octets, name = as_text(one.name, found)
                    add_finding(self.tables.columns, *place, octets, name)
                    live.found += 1
            except Exception as error:  # an analyzer's fault is its own
                self.errors += 1
                if one.name not in self._told:
                    self._told.add(one.name)
                    self.log.warning(
                        "analyzer %s: %r; its stream is left to itself", one.name, error
                    )
                live.analyzers.remove(one)
                continue
            if one.done:
                live.analyzers.remove(one)


def feed(chunk: bytes, from_client: bool, one: Analyzer) -> Iterable[Finding]:
    return one.feed(chunk, from_client)


def gap(from_client: bool, length: int, one: Analyzer) -> Iterable[Finding]:
    return one.gap(from_client, length)


def end(one: Analyzer) -> Iterable[Finding]:
    return one.end()


def as_text(protocol: str, finding: Finding) -> tuple[NDArray[np.uint8], int]:
    """A message's text: JSON, then the summary as its name, and how long that is.

    Keys of the detail that do not fit are left out, the last ones first. Raises what json.dumps
    raises where a value is none of JSON's.
    """
    detail = {str(key): value for key, value in finding.items() if key != "summary"}
    words = str(finding.get("summary") or " ".join(str(value) for value in detail.values()))
    summary = "".join(letter if letter.isprintable() else "\ufffd" for letter in words)
    name = summary.encode()[:SUMMARY_MAX].decode(errors="ignore").encode()
    while True:
        told = {"protocol": protocol, "summary": name.decode(), "detail": detail}
        json_text = json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text = json_text.encode("utf-8", "replace") + name
        if len(text) <= MESSAGE_TEXT_MAX:
            return np.frombuffer(text, np.uint8), len(name)
        if not detail:  # quotes and backslashes are written as two
            name = name[: len(name) // 2].decode(errors="ignore").encode()
        else:
            detail.popitem()
