"""What capture says of its sources: totals of one process, carried when another one follows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from services.coordinator.ledger import Ledger
from services.coordinator.state import StateFile
from shared import stats
from shared.columns import DECODE_STATUSES, PARSED
from shared.schema import CaptureReport, SourceReport

SILENT_AFTER_S = 2.0
GAUGES = stats.GAUGES["capture"]
DECODED = f"decode_{DECODE_STATUSES[PARSED]}"
AGAIN = ("file", "watch", "upload")  # kinds of sources that a new capture reads again


class Sources:
    """The newest report of capture, and its captures that come one by one."""

    def __init__(
        self,
        now: float = 0.0,
        start_grace_s: float = float("inf"),
        ledger: Ledger | None = None,
    ) -> None:
        """now: seconds, monotonic. start_grace_s: how long its first report may take. ledger: None
        = an empty one, of which nothing is kept."""
        self.ledger = ledger or Ledger(StateFile(""))
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
        self._heard_at, self._start_grace_s = now, start_grace_s
        self._is_dead = False
        self._carried: Counter[str] = Counter()
        self._balance = 0

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

    def silent_s(self, now: float) -> float:
        """Since it was heard last, or since it is waited for."""
        return now - self._heard_at

    def is_silent(self, now: float) -> bool:
        """It has not ended and says nothing any more."""
        grace = SILENT_AFTER_S if self._instance else self._start_grace_s
        return not self.ended and (self._is_dead or self.silent_s(now) > grace)

    @property
    def trouble(self) -> str:
        """What to say of a capture that is silent: a sentence."""
        if self._instance:
            return "capture is not heard any more and has not ended"
        return "capture has not been heard yet"

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

    def balance(self, told: Sequence[int]) -> int:
        """Packets that were counted as captured and that no shard was sent: with a capture that was
        killed, or stopped while a shard was full, goes what it had not sent. Negative: that were
        sent by a capture that did not come to report them. told: packets of each shard that were
        told to be analysed, or lost.

        Where captures before the present one have sent something that is still on its way, that
        counts once it is told. As before in the middle of a batch, and while what can be read again
        is being read again.
        """
        if "open_rows" in self.stats and len(self.sent) == len(told) and not self._reads_again:
            sent = sum(map(max, self.sent, told)) if self.restarts else sum(self.sent)
            dropped = self.total("dropped_refeed")
            self._balance = self.total(DECODED) - dropped - self.stats["open_rows"] - sent
        return self._balance

    @property
    def _reads_again(self) -> bool:
        """What the capture before the present one had counted may not have been sent yet."""
        return self.restarts > 0 and any(
            source.kind in AGAIN and source.status in ("waiting", "reading")
            for source in self.reports
        )

    def total(self, name: str) -> int:
        """A counter over all instances."""
        return self.stats.get(name, 0) + self._carried[name]

    def totals(self) -> dict[str, int]:
        """Counters over all instances, gauges of the present one."""
        names = self.stats.keys() | self._carried.keys()
        return {n: self.stats.get(n, 0) if n in GAUGES else self.total(n) for n in names}

    @property
    def unread_bytes(self) -> int:
        """Of inputs that have a size: what is left of them."""
        known = [each for each in self.reports if each.status in ("waiting", "reading")]
        return sum(max(0, each.size - each.position) for each in known)

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
            "balance": self._balance,
            "reports": [report.model_dump() for report in self.reports],
        }

    def restore(self, kept: dict[str, Any], now: float) -> None:
        """As an earlier coordinator left it."""
        self._instance, self._seq, self._heard_at = kept["instance"], kept["seq"], now
        self.ended, self.restarts, self.away_ms = kept["ended"], kept["restarts"], kept["away_ms"]
        self.now_ns, self.stats = kept["now_ns"], kept["stats"]
        self._carried, self.sent = Counter(kept["carried"]), kept["sent"]
        self._balance = kept["balance"]
        self.reports = [SourceReport.model_validate(report) for report in kept["reports"]]

    def describe(self) -> list[dict[str, Any]]:
        """As in health."""
        return [describe(source) for source in self.reports]


def describe(source: SourceReport) -> dict[str, Any]:
    """One source, with its problems, without the version of the message."""
    return source.model_dump(exclude={"v": True, "problems": {"__all__": {"v"}}})
