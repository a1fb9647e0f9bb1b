"""What is told of captures that come one by one, those of watched folders and those uploaded.

A report carries those that changed since the last one, and in turns some of the others: so that a
coordinator that was restarted, or missed a report, knows all of them again after a while.
"""

from itertools import islice

from services.capture.source import SourceState, Status
from shared.schema import FileReport, FileState

KNOWN_MAX = 65536
CHANGED_A_REPORT, OTHERS_A_REPORT = 256, 16
UPLOAD_STATES: dict[Status, FileState] = {
    "waiting": "waiting",
    "reading": "reading",
    "done": "done",
    "failed": "rejected",
}


class Ledger:
    """The newest report of each capture, by its id; the oldest are dropped beyond KNOWN_MAX."""

    def __init__(self) -> None:
        self._known: dict[str, FileReport] = {}
        self._changed: dict[str, None] = {}
        self._forgotten: list[str] = []
        self._turn: list[str] = []

    def note(self, report: FileReport) -> None:
        """A capture is new, or changed."""
        if self._known.get(report.id) == report:
            return
        self._known[report.id] = report
        self._changed[report.id] = None
        if len(self._known) > KNOWN_MAX:
            self.forget(next(iter(self._known)))

    def forget(self, key: str) -> None:
        """It will not be asked for any more."""
        if self._known.pop(key, None) is not None:
            self._changed.pop(key, None)
            self._forgotten.append(key)

    def known(self) -> list[FileReport]:
        """All of them, the oldest first."""
        return list(self._known.values())

    def pending(self, everything: bool = False) -> tuple[list[FileReport], list[str]]:
        """For the next report: captures, and the ids of those that were forgotten. everything: it
        is the last report."""
        most = KNOWN_MAX if everything else CHANGED_A_REPORT
        keys = list(islice(self._changed, most))
        if not self._turn:
            self._turn = list(self._known)
        others = (key for key in self._turn[-OTHERS_A_REPORT:] if key not in self._changed)
        told = [self._known[key] for key in (*keys, *others) if key in self._known]
        return told, self._forgotten[:most]

    def sent(self, told: list[FileReport], forgotten: list[str]) -> None:
        """What `pending` gave is on its way."""
        for report in told:
            self._changed.pop(report.id, None)
        del self._forgotten[: len(forgotten)]
        del self._turn[-OTHERS_A_REPORT:]

    def note_upload(self, state: SourceState, now_us: int) -> None:
        """An upload as it is now; its name is its own id."""
        report = FileReport(
            id=f"upload-{state.name}",
            source="uploads",
            name=state.name,
            size=state.size,
            offset=state.position,
            packets=state.packets,
            damaged=state.damaged,
            state=UPLOAD_STATES[state.status],
            reason=state.problems[0].reason if state.problems else "",
        )
        before = self._known.get(report.id)
        times = {"found_us": now_us, "changed_us": now_us}
        if before is not None:
            times = {"found_us": before.found_us, "changed_us": before.changed_us}
            if before != report.model_copy(update=times):
                times["changed_us"] = now_us
        self.note(report.model_copy(update=times))
