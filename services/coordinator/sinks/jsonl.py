"""Events as JSON lines in a file, a pipe or on standard output.

Opening fails early with a UserError: the folder is missing, nothing may be written there, or the
disk is full. Later failures are the world's: said once, counted, and the analysis goes on; a line
is whole or not there at all, except in a pipe that took half of it. Lines are tried again after a
failure, since a disk that is full may be cleared.
"""

import logging
import os
import select
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.coordinator.sinks.lines import (
    BUFFER_BYTES,
    EventLines,
    Lines,
    MatchLines,
    MessageLines,
    RecordLine,
)
from services.coordinator.sinks.passing import Passing
from services.coordinator.sinks.resume import Written
from shared.errors import UserError
from shared.memory import zeros

QUEUE_BYTES_MAX = 16 << 20  # of rows that wait
CLOSE_S = 1.5  # for a reader that does not read, at the end
NOTHING = Written()
MARKER = "coordinator.output"  # in the run directory: this run has opened its file before


def was_opened(path: str, run_dir: str) -> bool:
    """Whether this run wrote to that file before."""
    marker = Path(run_dir) / MARKER
    return marker.is_file() and marker.read_text() == path


def open_output(path: str, run_dir: str) -> int:
    """A descriptor to write lines to. The file is emptied, unless this run wrote it before."""
    if path == "-":
        if sys.stdout is None:  # its number may be another file's by now
            raise UserError("--output -: standard output is closed; give a file")
        return os.dup(sys.stdout.fileno())
    resumed = was_opened(path, run_dir)
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_APPEND if resumed else os.O_TRUNC)
    try:
        descriptor = os.open(path, flags, 0o644)
        check_room(descriptor)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"--output {path}: {reason}; give a file that can be written") from None
    (Path(run_dir) / MARKER).write_text(path)
    return descriptor


def check_room(descriptor: int) -> None:
    """Find out now that a disk is full: most file systems let a file be made but not filled."""
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        size = os.fstat(descriptor).st_size
        os.pwrite(descriptor, b"\n", size)
        os.ftruncate(descriptor, size)
    elif stat.S_ISCHR(kind) and not os.isatty(descriptor):
        os.write(descriptor, b"\n")


class JsonlSink:
    """A `Sink`. descriptor: to write to, closed at the end. name: for messages. before: what an
    earlier coordinator wrote there."""

    def __init__(self, descriptor: int, name: str, before: Written = NOTHING) -> None:
        self.name = name
        self.lines = self.bytes = self.errors = 0
        self.trouble = ""
        self.written = before
        self._size_before = before.size
        self._descriptor = descriptor
        self._file = Passing(descriptor)
        self._is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._log = logging.getLogger("coordinator")
        self._out = zeros(BUFFER_BYTES)
        self._queue: deque[Lines] = deque()
        self._waiting_lines = 0
        self._waiting_bytes = 0  # queued or being written
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="jsonl", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------- the writer's side
    def wait_for_room(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._waiting_bytes < QUEUE_BYTES_MAX, seconds)

    def put_events(self, events: NDArray[np.void], picked: NDArray[np.int64]) -> None:
        self._put(EventLines(events, picked))

    def put_messages(
        self, messages: NDArray[np.void], ends: NDArray[np.void], text: NDArray[np.uint8]
    ) -> None:
        self._put(MessageLines(messages, ends, text))

    def put_matches(
        self,
        matches: NDArray[np.void],
        ends: NDArray[np.void],
        octets: NDArray[np.uint8],
        names: Mapping[int, str],
    ) -> None:
        self._put(MatchLines(matches, ends, octets, names))

    def put_record(self, event: str, body: Mapping[str, Any]) -> None:
        self._put(RecordLine(time.time_ns() // 1000, event, body))

    def _put(self, lines: Lines) -> None:
        if lines.count == 0:
            return
        with self._changed:
            self._queue.append(lines)
            self._waiting_bytes += lines.size
            self._waiting_lines += lines.count
            self._changed.notify_all()

    @property
    def is_idle(self) -> bool:
        return self._waiting_bytes == 0

    def numbers(self) -> dict[str, int]:
        return {
            "lines": self.lines,
            "bytes": self.bytes,
            "errors": self.errors,
            "waiting_bytes": self._waiting_bytes,
            "waiting_bytes_max": QUEUE_BYTES_MAX,
        }

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            waiting = self._waiting_lines
            self._log.error("%s takes nothing; about %d lines are lost", self.name, waiting)
            return
        os.close(self._descriptor)

    # ------------------------------------------------------------------------ the thread
    def _work(self) -> None:
        while (lines := self._next()) is not None:
            for octets, count in lines.blocks(self._out):
                lost = self._write(memoryview(octets), count)
                self._note(count, lost, is_record=isinstance(lines, RecordLine))
            size, count = lines.size, lines.count
            del lines
            with self._changed:
                self._waiting_bytes -= size
                self._waiting_lines -= count
                self._changed.notify_all()

    def _note(self, lines: int, lost: int, *, is_record: bool) -> None:
        """Say how far the output is; in one piece, since another thread reads it, and the next
        coordinator goes on with these numbers."""
        before = self.written._replace(size=self._size_before + self.bytes)
        if is_record:
            self.written = before._replace(records_lost=before.records_lost + lost)
        else:
            self.written = before._replace(lines=before.lines + lines, lost=before.lost + lost)

    def _next(self) -> Lines | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            return self._queue.popleft() if self._queue else None

    def _write(self, octets: memoryview, lines: int) -> int:
        """All of it or, when that fails, the whole lines of it that there was room for; how many
        lines were lost."""
        done = 0
        try:
            while done < len(octets):
                done += self._write_some(octets[done:])
        except OSError as error:
            return lines - self._fail(error, bytes(octets[:done]))
        self.lines += lines
        self.bytes += len(octets)
        if self.trouble:
            self._log.warning("%s can be written again", self.name)
            self.trouble = ""
        return 0

    def _write_some(self, octets: memoryview) -> int:
        try:
            return self._file.write(octets)
        except BlockingIOError:  # a pipe that another process made non-blocking is full
            select.select([], [self._descriptor], [])
            return 0

    def _fail(self, error: OSError, done: bytes) -> int:
        """Say that it failed; how many whole lines were written. done: what was written of it,
        whose last line may be cut."""
        whole = done.rfind(b"\n") + 1
        if whole < len(done) and self._is_file:
            end = os.lseek(self._descriptor, whole - len(done), os.SEEK_CUR)
            os.ftruncate(self._descriptor, end)
        written = done.count(b"\n")
        self.lines += written
        self.bytes += whole
        self.errors += 1
        if not self.trouble:
            reason = (error.strerror or str(error)).lower()
            self.trouble = f"events cannot be written to {self.name}: {reason}"
            self._log.error("%s; they are counted and the analysis goes on", self.trouble)
        return written
