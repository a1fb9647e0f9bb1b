"""The table at the end of a run, from the coordinator's health and its counts of streams."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from shared.figures import count, duration, ranking, rate, size

PROBLEMS_SHOWN = 5


class Times(NamedTuple):
    """Of the run, in seconds: all of it, and from the first packet to the last event."""

    whole_s: float
    reading_s: float


def table(
    health: Mapping[str, Any],
    protocols: Mapping[str, int],
    services: Mapping[str, int],
    times: Times,
    output: str,
) -> str:
    """Lines of label and value. protocols, services: streams of each."""
    rows = [
        (label, value)
        for label, value in _rows(health, protocols, services, times, output)
        if value
    ]
    status = health.get("run_status", "ended early")
    head = f"flowmate: {status} after {duration(times.whole_s)}"
    return "\n".join([head, *(f"  {label:<10}{value}" for label, value in rows)])


def _rows(
    health: Mapping[str, Any],
    protocols: Mapping[str, int],
    services: Mapping[str, int],
    times: Times,
    output: str,
) -> Iterator[tuple[str, str]]:
    totals = health.get("totals", {})
    packets, octets = totals.get("packets", 0), totals.get("bytes", 0)
    per_second = packets / times.reading_s
    yield "packets", f"{count(packets)} · {size(octets)} · {rate(per_second)} packets/s"
    split = ranking(protocols)
    yield "streams", count(totals.get("streams", 0)) + (f" · {split}" if split else "")
    yield "services", ranking(services)
    yield "drops", ranking(health.get("drops", {})) or "none"
    yield from _problems(health.get("sources", []))
    yield "output", "" if output == "-" else output


def _problems(sources: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    found = [
        f"{Path(source['name']).name or source['name']}{_place(problem)}: {problem['reason']}"
        for source in sources
        for problem in source.get("problems", [])
    ]
    label = "problems"
    for text in found[:PROBLEMS_SHOWN]:
        yield label, text
        label = ""
    damaged = sum(source.get("damaged", 0) for source in sources)
    rest = max(damaged, len(found)) - min(len(found), PROBLEMS_SHOWN)
    if rest > 0:
        yield label, f"{count(rest)} more"


def _place(problem: Mapping[str, Any]) -> str:
    """Where it is; what is wrong at the very beginning is wrong with the whole."""
    return f" at byte {count(problem['offset'])}" if problem["offset"] else ""
