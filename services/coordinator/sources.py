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
        self.sent: list[int] = []  # packets to each shard
        self.ended = False
        self.restarts = 0
        self.now_ns = 0
        self.away_ms = 0  # without a capture, after its first report
        self._instance = ""
        self._seq = -1
        self._heard_at = 0.0
        self._is_dead = False
        self._carried: Counter[str] = Counter()

    def take(self, report: CaptureReport, now: float) -> list[SourceReport]:
        """Note a report; returns the sources whose status changed by it."""
        if report.instance != self._instance:
            if self._instance:
                self.restarts += 1
                self.away_ms += int((now - self._heard_at) * 1000)
                self._carried.update({n: of for n, of in self.stats.items() if n not in GAUGES})
            self._instance, self._seq, self._is_dead = report.instance, -1, False
        if report.seq <= self._seq:
            return []
        before = {source.name: source.status for source in self.reports}
        self._seq, self._heard_at = report.seq, now
        self.reports, self.stats, self.now_ns = report.sources, report.stats, report.now_ns
        self.sent, self.troubles = report.sent, report.troubles
        self.ended = report.kind == "end"
        return [source for source in report.sources if source.status != before.get(source.name)]

    def note_death(self) -> None:
        """Its process is known to be gone."""
        self._is_dead = True

    def is_silent(self, now: float) -> bool:
        """It reported once, has not ended, and says nothing any more."""
        late = self._is_dead or now - self._heard_at > SILENT_AFTER_S
        return bool(self._instance) and not self.ended and late

    def state(self, now: float) -> str:
        """`starting`, `reading`, `ended` or `lost`."""
        if not self._instance:
            return "starting"
        return "lost" if self.is_silent(now) else "ended" if self.ended else "reading"

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

    def sent_to(self, shard: int) -> int | None:
        """Packets that were sent to a shard; None when capture did not say."""
        return self.sent[shard] if shard < len(self.sent) else None

    def total(self, name: str) -> int:
        """A counter over all instances."""
        return self.stats.get(name, 0) + self._carried[name]

    @property
    def queue_rows(self) -> int:
        """Packets on their way to shards, as of the newest report: of the present process only."""
        return self.stats.get("queue_rows", 0)

    def keep(self) -> dict[str, Any]:
        """What the next coordinator may not be told again."""
        return {
            "instance": self._instance,
            "seq": self._seq,
            "ended": self.ended,
            "restarts": self.restarts,
            "away_ms": self.away_ms,
            "now_ns": self.now_ns,
            "carried": self._carried,
            "stats": self.stats,
            "sent": self.sent,
            "reports": [report.model_dump() for report in self.reports],
        }

    def restore(self, kept: dict[str, Any], now: float) -> None:
        """As an earlier coordinator left it."""
        self._instance, self._seq, self._heard_at = kept["instance"], kept["seq"], now
        self.ended, self.restarts, self.away_ms = kept["ended"], kept["restarts"], kept["away_ms"]
        self.now_ns, self.stats = kept["now_ns"], kept["stats"]
        self._carried, self.sent = Counter(kept["carried"]), kept["sent"]
        self.reports = [SourceReport.model_validate(report) for report in kept["reports"]]

    def describe(self) -> list[dict[str, Any]]:
        """As in health."""
        return [describe(source) for source in self.reports]


def describe(source: SourceReport) -> dict[str, Any]:
    """One source, with its problems, without the version of the message."""
    return source.model_dump(exclude={"v": True, "problems": {"__all__": {"v"}}})
