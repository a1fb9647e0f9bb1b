"""The captures that come one by one, those of watched folders and those uploaded: what capture says
of each, for health, and in the state file how far they are read, for capture itself when another
one begins.

The NEWEST are told one by one, all others in sums; beyond KEPT_MAX the oldest are forgotten, so
that a capture that still lies in its folder then would be read again by another run.
"""

import base64
from collections import Counter
from itertools import islice
from typing import Any

from pydantic import ValidationError

from services.coordinator.state import StateFile
from shared.schema import CaptureReport, FileReport, FilesQuery

KEPT_MAX = 65536
NEWEST = 256
DOCUMENT = "capture_file"
UPLOADS = "uploads"  # they lie in the run's own folder, and are gone with it
STATES = ("waiting", "reading", "done", "rejected", "gone")
SUMS = ("packets", "size", "offset", "damaged")
NOT_TOLD = {"v", "head", "place_offset", "first_ns", "time_ns", "is_stranger", "is_over"}


class Ledger:
    """The newest report of each capture by its id, the first to be found first."""

    def __init__(self, state: StateFile) -> None:
        self._state = state
        self._files: dict[str, FileReport] = {}
        self._sums: Counter[str] = Counter()  # of all, forgotten ones too
        self._states: Counter[str] = Counter()  # of those that are known
        self._described: dict[str, Any] | None = None
        loaded = [parse(body) for body in state.load(DOCUMENT).values()]
        for file in sorted(filter(None, loaded), key=lambda each: (each.found_us, each.id)):
            self._note(file)

    def take(self, report: CaptureReport) -> list[FileReport]:
        """Note what a report says; returns those whose state changed by it."""
        changed = []
        for file in report.files:
            before = self._files.get(file.id)
            if file == before:
                continue
            if before is None or (before.state, before.reason) != (file.state, file.reason):
                changed.append(file)
            self._note(file)
            self._keep(file.id, file)
        for key in report.forgotten:
            self._forget(key)
        while len(self._files) > KEPT_MAX:
            self._forget(next(iter(self._files)))
        return changed

    def page(self, query: FilesQuery) -> list[dict[str, Any]]:
        """The captures of one source behind the id `after`, as reports."""
        of_source = [each for each in self._files.values() if each.source == query.source]
        start = 0
        for at, each in enumerate(of_source):
            if each.id == query.after:
                start = at + 1
        return [each.model_dump() for each in of_source[start : start + query.limit]]

    def describe(self) -> dict[str, Any]:
        """As in health: the newest files, sums of the others, how many are in each state."""
        if self._described is None:
            shown = list(islice(reversed(self._files.values()), NEWEST))
            older = Counter(self._sums)
            for file in shown:
                older.subtract(sums_of(file))
            self._described = {
                "files": [describe(file) for file in reversed(shown)],
                "older": {name: older[name] for name in ("files", *SUMS)},
                "states": {name: self._states[name] for name in STATES},
            }
        return self._described

    def _note(self, file: FileReport) -> None:
        before = self._files.get(file.id)
        if before is not None:
            self._sums.subtract(sums_of(before))
            self._states[before.state] -= 1
        self._files[file.id] = file
        self._sums.update(sums_of(file))
        self._states[file.state] += 1
        self._described = None

    def _forget(self, key: str) -> None:
        file = self._files.pop(key, None)
        if file is not None:
            self._states[file.state] -= 1
            if file.state == "waiting":  # it has another id by now, or nothing was read of it
                self._sums.subtract(sums_of(file))
            self._described = None
            self._keep(key, None)

    def _keep(self, key: str, file: FileReport | None) -> None:
        if file is None:
            self._state.put(DOCUMENT, key, None)
        elif file.source != UPLOADS:
            head = base64.b64encode(file.head).decode()
            self._state.put(DOCUMENT, key, file.model_dump(exclude={"v"}) | {"head": head})


def sums_of(file: FileReport) -> dict[str, int]:
    return {"files": 1} | {name: getattr(file, name) for name in SUMS}


def describe(file: FileReport) -> dict[str, Any]:
    """A capture as health shows it."""
    return file.model_dump(exclude=NOT_TOLD)


def status_of(file: FileReport) -> dict[str, Any]:
    """The body of its `source_status` line."""
    return {
        "name": file.name,
        "kind": "watched_file",
        "source": file.source,
        "status": file.state,
        "reason": file.reason,
        "packets": file.packets,
        "position": file.offset,
        "size": file.size,
        "damaged": file.damaged,
    }


def parse(body: dict[str, Any]) -> FileReport | None:
    """A document of the state file; None if it is not one of this version."""
    try:
        return FileReport.model_validate(body | {"head": base64.b64decode(body.get("head", ""))})
    except (ValidationError, ValueError, TypeError):
        return None
