"""What capture says of its sources: totals of one process, carried when another one follows."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from shared.schema import CaptureReport, SourceReport

SILENT_AFTER_S = 2.0
GAUGES = ("queue_rows", "packet_ring_bytes", "packet_ring_bytes_max")


class Sources:
    """The newest report of capture."""

    def __init__(self) -> None:
        self.reports: list[SourceReport] = []
        self.stats: Mapping[str, int] = {}
        self.troubles: list[str] = []
        self.ended = False
        self.restarts = 0
        self.now_ns = 0
        self._instance = ""
        self._seq = -1
        self._heard_at = 0.0
        self._carried: Counter[str] = Counter()

    def take(self, report: CaptureReport, now: float) -> list[SourceReport]:
        """Note a report; returns the sources whose status changed by it."""
        if report.instance != self._instance:
            if self._instance:
                self.restarts += 1
                self._carried.update({n: of for n, of in self.stats.items() if n not in GAUGES})
            self._instance, self._seq = report.instance, -1
        if report.seq <= self._seq:
            return []
        before = {source.name: source.status for source in self.reports}
        self._seq, self._heard_at = report.seq, now
        self.reports, self.stats, self.now_ns = report.sources, report.stats, report.now_ns
        self.troubles, self.ended = report.troubles, report.kind == "end"
        return [source for source in report.sources if source.status != before.get(source.name)]

    def is_silent(self, now: float) -> bool:
        """It reported once, has not ended, and says nothing any more."""
        return bool(self._instance) and not self.ended and now - self._heard_at > SILENT_AFTER_S

    def excuse(self, now: float) -> None:
        """It could not be heard, because the coordinator itself did not listen."""
        if not self.is_silent(now):
            self._heard_at = now

    @property
    def has_started(self) -> bool:
        """Something was read."""
        return self.ended or any(source.status != "waiting" for source in self.reports)

    @property
    def all_failed(self) -> bool:
        return bool(self.reports) and all(source.status == "failed" for source in self.reports)

    def total(self, name: str) -> int:
        """A counter over all instances."""
        return self.stats.get(name, 0) + self._carried[name]

    @property
    def queue_rows(self) -> int:
        """Packets on their way to shards, as of the newest report: of the present process only."""
        return self.stats.get("queue_rows", 0)

    def describe(self) -> list[dict[str, Any]]:
        """As in health."""
        return [describe(source) for source in self.reports]


def describe(source: SourceReport) -> dict[str, Any]:
    """One source, with its problems, without the version of the message."""
    return source.model_dump(exclude={"v": True, "problems": {"__all__": {"v"}}})
