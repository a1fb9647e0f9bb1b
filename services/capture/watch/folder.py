"""A watched folder as a source of packets.

Rules. The capture that is behind is read next: that with the earliest packet time, where one that
was begun goes on until it is AHEAD_NS ahead of another. So rotated files are read one after the
other, those of several captures beside each other, and a backlog in the order in which it was
captured. A look at the folder makes all open captures worth a read: what was written into one file
before the next one was begun is read before that one.

A capture is done when nothing was added to it for QUIET_S. One that ends inside a record waits for
the rest, unless it was renamed or removed, or the next one of its rotation has begun; what is
missing is then damage. Whatever is added later is read all the same.
"""

import heapq
import logging
import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from services.capture.capture_file import HEADER, SOURCES
from services.capture.ledger import Ledger
from services.capture.source import (
    BATCH_BYTES,
    BATCH_PACKETS,
    EMPTY_BATCH,
    Batch,
    PacketSource,
    SourceState,
)
from services.capture.watch.catalogue import Catalogue, Changes
from services.capture.watch.doorbell import Doorbell
from services.capture.watch.entry import Entry, State
from services.capture.watch.listing import FILES_MAX, look, printable
from services.capture.watch.opening import Opener, is_silent
from services.capture.watch.telling import entry_of, report_of
from shared.schema import FileReport
from shared.settings import Settings
from shared.sources import check_folders

LOOK_S = 1.0  # between two looks when nothing rings
REST = 20  # a look takes at most one part in so many of the time
QUIET_S = 5.0
AHEAD_NS = 1_000_000_000
PEEKED_A_READ = 64  # new captures whose first packet is looked for in one read
TURNS = 8  # captures that are tried in one read
RETRY_S, RETRY_MAX_S = 1.0, 30.0

log = logging.getLogger(__name__)


def open_folders(settings: Settings, ledger: Ledger, index: int) -> list[PacketSource]:
    """A source for every folder; records carry index, index + 1 … UserError: it is none."""
    check_folders(settings)
    return [
        WatchedFolder(path, (index + number) % SOURCES, ledger, settings.batch_size)
        for number, path in enumerate(settings.watch)
    ]


class WatchedFolder:
    """A PacketSource over all captures of a folder.

    Nothing waits but for the disk. Records carry `index`, whatever file they come from.
    """

    def __init__(
        self,
        path: str,
        index: int,
        ledger: Ledger,
        batch_packets: int = BATCH_PACKETS,
        batch_bytes: int = BATCH_BYTES,
        quiet_s: float = QUIET_S,
    ) -> None:
        self.state = SourceState(printable(path), "watch", is_open_ended=True)
        self.source = printable(os.path.realpath(path))  # in the ledger
        self._path, self._ledger, self._quiet_s = path, ledger, quiet_s
        self._opener = Opener(path, index, batch_packets, batch_bytes)
        self._catalogue = Catalogue(self._opener.head)
        self._doorbell = Doorbell(path)
        self._is_stale = True  # it rang since the last look
        self._look_at = self._may_look_at = 0.0
        self._unpeeked: list[Entry] = []
        self._ready: list[tuple[int, str, Entry]] = []  # a heap; who is behind comes first
        self._closed = False

    def recall(
        self, known: Iterable[FileReport], seen: Sequence[Mapping[str, int]] | None = None
    ) -> None:
        """Captures that were read before, and how far; before the first `read`.

        seen: where another capture service was killed, packets that each shard has, by the id of
        the capture. It begins with what was not told, so that it is counted, or what a shard lacks.
        A shard that does not name one that was being read may have nothing of it; of one that was
        done it has all.
        """
        for report in known:
            entry = entry_of(report)
            otherwise = 0 if entry.state == "reading" else report.packets
            taken = (shard.get(entry.id, otherwise) for shard in seen or ())
            entry.go_back(min(report.packets, *taken, report.packets))
            self._catalogue.add(entry)
            self._tell(entry)

    # --------------------------------------------------------------------------- source
    def read(self) -> Batch | None:
        if self._closed:
            return None
        now = time.monotonic()
        self._is_stale = self._doorbell.rang() or self._is_stale
        if now >= self._look_at or (self._is_stale and now >= self._may_look_at):
            self._look(now)
        if self._unpeeked:
            self._peek(now)
            return EMPTY_BATCH
        for _ in range(TURNS):
            if not self._ready:
                break
            batch = self._read(heapq.heappop(self._ready)[2], now)
            if batch.records.size:
                return batch
        return EMPTY_BATCH

    def descriptors(self) -> list[int]:
        return self._doorbell.descriptors()

    def due(self) -> float:
        if self._closed:
            return math.inf
        if self._ready or self._unpeeked:
            return 0.0
        return self._may_look_at if self._is_stale else self._look_at

    def held(self) -> bool:
        """No: what is not read yet stays where it is."""
        return False

    def close(self) -> None:
        """Nothing is read any more: a capture that ends inside a record lacks the rest of it."""
        if self._closed:
            return
        self._closed = True
        for entry in self._catalogue.entries.values():
            is_short = entry.state == "waiting" and 0 < entry.size == entry.peeked_size
            wants = entry.wants if is_short else ""
            if entry.opened is not None and is_silent(entry):
                wants = entry.opened.reader.wants
                self._set(entry, "done")
            self._opener.close(entry)
            if wants:
                self._damage(entry, f"ends where {wants} is missing")
                self._set(entry, "done" if entry.place.packets else "rejected")
        self._doorbell.close()
        self.state.end()

    # --------------------------------------------------------------------------- looking
    def _look(self, now: float) -> None:
        """See what is there now."""
        self._is_stale = False
        try:
            status = os.stat(self._path)
            self._doorbell.hang(status.st_dev, status.st_ino)
            found = look(self._path)
        except OSError as error:
            self._doorbell.lost()
            self._look_at = self._may_look_at = now + LOOK_S
            self._warn(f"{self.state.name}: {(error.strerror or str(error)).lower()}; tried again")
            return
        changes = self._catalogue.update(found, now, time.time_ns() // 1000)
        self._note(changes)
        self._settle(now)
        self._line_up(now)
        self._may_look_at = now + (time.monotonic() - now) * REST
        self._look_at = max(now + LOOK_S, self._may_look_at)

    def _warn(self, trouble: str) -> None:
        if trouble and trouble != self.state.trouble:
            log.warning("%s", trouble)
        self.state.trouble = trouble

    def _note(self, changes: Changes) -> None:
        for entry in changes.moved:
            self._opener.close(entry)
        for entry in (*changes.new, *changes.changed):
            if entry.is_stranger or entry.peeked_size >= 0 or not entry.size:
                self._tell(entry)  # others when it is known how they begin
        for entry in changes.replaced:
            self._lose(entry, "other content was written over it")
        for entry in changes.gone:
            if entry.opened is None:
                self._lose(entry, "was removed")
        for entry in changes.dropped:
            self._ledger.forget(entry.id)
        left = changes.left_out
        self._warn(f"more than {FILES_MAX} files; {left} wait for room" if left else "")

    def _lose(self, entry: Entry, how: str) -> None:
        """It is not there any more. What was not read of it is counted."""
        wants = entry.opened.reader.wants if entry.opened is not None else ""
        self._opener.close(entry)
        if entry.is_stranger or entry.is_over or entry.state in ("rejected", "gone"):
            return
        is_bare = entry.first_ns is None and entry.peeked_size == entry.size
        if is_bare and entry.wants in ("", HEADER):
            pass  # no more than a file header was there
        elif entry.unread:
            self._damage(entry, f"{how} before {entry.unread} of its {entry.size} bytes were read")
        elif wants:
            self._damage(entry, f"{how} where {wants} is missing")
        is_read = entry.place.packets and not entry.unread
        self._set(entry, "done" if is_read else "gone", entry.fault or how)

    def _settle(self, now: float) -> None:
        """See to captures to which nothing is added any more."""
        for entry in list(self._opener.open):
            if is_silent(entry) and now - entry.grown_at >= self._quiet_s:
                self._is_quiet(entry)

    def _is_followed(self, entry: Entry) -> bool:
        """Whether the next capture of its rotation has begun."""
        first_ns, family = entry.first_ns or 0, entry.family
        return any(
            each.first_ns is not None and each.first_ns > first_ns and each.family == family
            for each in self._catalogue.entries.values()
        )

    def _is_quiet(self, entry: Entry) -> None:
        assert entry.opened is not None
        file, wants = entry.opened.file, entry.opened.reader.wants
        may_go = entry.is_renamed or not entry.is_here
        if not wants or file.finished:
            self._set(entry, "done")
            if entry.opened.is_plain or may_go:
                self._opener.close(entry)
        elif may_go or self._is_followed(entry):
            file.finished = True  # so that the next read tells what is missing
        else:
            self._set(entry, "reading", f"waits for {wants}")

    def _line_up(self, now: float) -> None:
        """Who may have something to read."""
        self._ready, self._unpeeked = [], []
        for entry in self._catalogue.entries.values():
            if not entry.has_more or now < entry.retry_at:
                continue
            if entry.first_ns is not None:
                self._ready.append(turn_of(entry))
            elif entry.size != entry.peeked_size:
                self._unpeeked.append(entry)
        heapq.heapify(self._ready)

    # ----------------------------------------------------------------------- first packets
    def _peek(self, now: float) -> None:
        """Look for the first packets of new captures, since they say whose turn it is."""
        todo, self._unpeeked = self._unpeeked[:PEEKED_A_READ], self._unpeeked[PEEKED_A_READ:]
        for entry in todo:
            entry.peeked_size = entry.size
            try:
                peeked = self._opener.peek(entry)
            except OSError as error:
                self._put_off(entry, now, error.strerror or str(error))
                continue
            entry.first_ns, entry.wants = peeked.first_ns, peeked.wants
            if peeked.fault:
                self._damage(entry, peeked.fault)
                entry.is_over, entry.offset = True, entry.size
                self._set(entry, "rejected")
            elif peeked.first_ns is None:
                self._set(entry, "waiting", f"waits for {peeked.wants or 'its first packet'}")
            else:
                entry.time_ns = peeked.first_ns
                named = self._name(entry, peeked.id)
                if named.has_more:
                    heapq.heappush(self._ready, turn_of(named))

    def _name(self, entry: Entry, key: str) -> Entry:
        """Give it the id that it has for everybody, by which shards may have seen it. Returns what
        is to be read: where a capture of that id is gone, that one, which was brought again."""
        before = entry.id
        if (known := self._catalogue.found_again(entry, key)) is not None:
            self._opener.close(known)
            self._catalogue.take_over(entry, known)
            entry = known
        elif not self._catalogue.rename(entry, key):
            return entry
        self._ledger.forget(before)
        self._tell(entry)
        return entry

    # --------------------------------------------------------------------------- reading
    def _read(self, entry: Entry, now: float) -> Batch:
        """The next batch of a capture, empty if there is none now."""
        try:
            opened = self._opener.get(entry)
        except OSError as error:
            self._put_off(entry, now, error.strerror or str(error))
            return EMPTY_BATCH
        batch = opened.reader.read()
        self._count(entry, batch)
        if batch is None:
            self._over(entry)
        elif opened.file.trouble:
            self._put_off(entry, now, opened.file.trouble)
        elif batch.records.size:
            entry.grown_at, entry.retry_s = now, 0.0
            entry.time_ns = int(batch.records["ts_ns"][-1])
            self.state.status = "reading"
            self.state.input, self.state.upto = entry.id, entry.place.packets
            self.state.reported = entry.reported
            self._set(entry, "reading")
        if batch is not None and entry.opened is not None and not is_silent(entry):
            heapq.heappush(self._ready, turn_of(entry))
        return batch or EMPTY_BATCH

    def _count(self, entry: Entry, batch: Batch | None) -> None:
        """Add what the reader of a capture counted to the capture, and to the folder."""
        opened = entry.opened
        assert opened is not None
        new, old = opened.reader.state, opened.told
        for problem in new.problems[len(old.problems) :]:
            self.state.report(problem.offset, f"{printable(entry.name)}: {problem.reason}", 0)
            entry.fault = f"byte {problem.offset}: {problem.reason}"
            old.problems.append(problem)
        entry.damaged += new.damaged - old.damaged
        self.state.damaged += new.damaged - old.damaged
        old.damaged = new.damaged
        fresh = opened.reader.place.packets - max(entry.place.packets, entry.reported)
        if batch is not None and fresh > 0:
            self.state.packets += fresh
            self.state.bytes += int(batch.records["caplen"][-fresh:].sum(dtype=np.int64))
        self.state.link_types |= new.link_types
        self.state.position += max(0, opened.file.position - entry.offset)
        entry.offset = max(entry.offset, opened.file.position)
        entry.size = max(entry.size, entry.offset)
        entry.head, entry.place = opened.file.head, opened.reader.place

    def _over(self, entry: Entry) -> None:
        """Its reader ended: it was finished, or cannot be followed any further."""
        assert entry.opened is not None
        entry.is_over = not entry.opened.file.finished
        self._opener.close(entry)
        self._set(entry, "done" if entry.place.packets else "rejected")

    def _put_off(self, entry: Entry, now: float, why: str) -> None:
        """It cannot be read; later perhaps."""
        if not entry.is_here:
            self._lose(entry, f"was removed, and cannot be read ({why.lower()})")
            return
        self._opener.close(entry)
        entry.peeked_size = -1
        entry.retry_s = min(max(RETRY_S, 2 * entry.retry_s), RETRY_MAX_S)
        entry.retry_at = now + entry.retry_s
        self._set(entry, "waiting", f"{why.lower()}; it is tried again")

    # --------------------------------------------------------------------------- telling
    def _damage(self, entry: Entry, reason: str) -> None:
        entry.damaged += 1
        entry.fault = reason
        self.state.report(entry.offset, f"{printable(entry.name)}: {reason}")

    def _set(self, entry: Entry, state: State, reason: str = "") -> None:
        entry.state, entry.reason = state, reason or entry.fault
        entry.changed_us = time.time_ns() // 1000
        self._tell(entry)

    def _tell(self, entry: Entry) -> None:
        self._ledger.note(report_of(self.source, entry))


def turn_of(entry: Entry) -> tuple[int, str, Entry]:
    """Its place in the line. Of equal ones by id, which no two have in common."""
    return entry.time_ns - AHEAD_NS * bool(entry.place.packets), entry.id, entry
