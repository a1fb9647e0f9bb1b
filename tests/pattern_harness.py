"""Patterns in one shard, for tests: what clients say, and what is found in it."""

from typing import Any

from services.shard.patterns.reports import reports
from shared.schema import Pattern, PatternReport
from tests.reference.streams import ACK, Packet
from tests.shard_harness import ShardRun, ends, small

CLIENT, SERVER = ends("10.0.0.1", 40000), ends("10.0.0.2", 80)


def said(octets: bytes, seq: int = 0, port: int = 40000, flags: int = ACK) -> Packet:
    return Packet(ends("10.0.0.1", port), SERVER, octets, seq=seq, flags=flags, ts_ns=seq + 1)


def regex(value: str, id: int = 1, **more: Any) -> Pattern:
    return Pattern(id=id, name=value, kind="regex", value=value, **more)


def text(value: str, id: int = 1, **more: Any) -> Pattern:
    return Pattern(id=id, name=value, kind="substring", value=value, **more)


def run_with(*patterns: Pattern, **settings: Any) -> ShardRun:
    run = ShardRun(small(**settings))
    run.worker.patterns.set_patterns(patterns)
    return run


def found(run: ShardRun, port: int = 40000) -> list[tuple[int, int, int]]:
    """Pattern, start and end of what is kept of a client's stream."""
    rows = run.tables.flows
    used = [row for row in range(rows.size) if port in (rows[row]["port_a"], rows[row]["port_b"])]
    return [
        (int(match["pattern"]), int(match["start"]), int(match["end"]))
        for match in run.worker.patterns.matches_of(used[-1])
    ]


def report(run: ShardRun, id: int = 1) -> PatternReport:
    return next(one for one in reports(run.worker.patterns) if one.id == id)


def look_back(run: ShardRun) -> None:
    while run.worker.work(1):
        pass
