"""The files of a packet ring, written: segments, filled one after the other, within a bound.

What counts is what the file system gives away: whole blocks of each file, and of an open segment
all that is preallocated. There is an open segment for each link type, four at most: a fifth one
closes the one that was not written for longest.
"""

import fcntl
import os
from collections import deque
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.columns import RING_ROW
from shared.errors import UserError
from shared.packet_ring import (
    ALIAS,
    FILE_HEADER,
    FLOW_BYTES,
    HEADER,
    HEADER_BYTES,
    KIND_BITS,
    LAYOUT,
    LOCK,
    MAGIC,
    ROW_BYTES,
    Segment,
    file_header,
    read_header,
    segment_files,
    serials,
)

SHARE = 16  # of the ring that one segment has
SEGMENT_MIN, SEGMENT_MAX = 1 << 20, 1 << 30
OPEN_MAX = 4
SEGMENTS_MAX = 4096
BLOCK = 4096
UNIT = 16 * BLOCK  # a segment is this many bytes, or a multiple: its parts are whole blocks


class Room:
    """How the bytes of one segment are divided. The parts fit packets of 80 bytes; of larger ones
    the index has room left, of smaller ones the pcap file, until the segment is cut to its size."""

    def __init__(self, budget: int) -> None:
        self.bytes = min(max(budget // SHARE, SEGMENT_MIN), SEGMENT_MAX) // UNIT * UNIT
        self.parts = (self.bytes * 12 // 16, self.bytes // 16, self.bytes * 3 // 16)
        self.octets = self.parts[0] - FILE_HEADER
        self.rows = min(self.parts[1] // FLOW_BYTES, (self.parts[2] - HEADER_BYTES) // ROW_BYTES)


class Page:
    """Packets of one link type, to be appended together: pcap records and their index."""

    def __init__(self, octets: int, rows: int) -> None:
        self.octets = np.empty(octets, np.uint8)
        self.flows = np.empty(rows, np.uint64)
        self.rows: NDArray[np.void] = np.empty(rows, RING_ROW)
        self.link = 0
        self.count = 0  # rows in use
        self.used = 0  # octets in use
        self.input, self.upto = 0, 0  # see HEADER


class OpenSegment:
    """One that is written. OSError when the disk is full, or gone."""

    def __init__(self, folder: Path, serial: int, link: int, room: Room) -> None:
        self.serial, self.files = serial, segment_files(folder, serial)
        self.room = room
        self.header = np.zeros(1, HEADER)
        self.header["magic"], self.header["layout"], self.header["link"] = MAGIC, LAYOUT, link
        self.header["octets"] = FILE_HEADER
        self.count, self.used = 0, FILE_HEADER
        self._descriptors: list[int] = []
        try:
            for path, size in zip(self.files, room.parts, strict=True):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
                self._descriptors.append(os.open(path, flags, 0o640))
                os.posix_fallocate(self._descriptors[-1], 0, size)
            _write(self._descriptors[0], file_header(link), 0)
            _write(self._descriptors[2], self.header, 0)
        except OSError:
            self._let_go()
            remove(self.files)
            raise

    def fits(self, page: Page) -> bool:
        rows, octets = self.count + page.count, self.used + page.used
        return rows <= self.room.rows and octets <= self.room.octets + FILE_HEADER

    def append(self, page: Page) -> None:
        """All of the page or, after an error, nothing: the header that counts it comes last."""
        rows = page.rows[: page.count]
        framed = page.flows[: page.count] & np.uint64(KIND_BITS) != ALIAS  # which has no offset
        rows["off"][framed] += np.uint32(self.used)
        pcap, flows, index = self._descriptors
        _write(pcap, page.octets[: page.used], self.used)
        _write(flows, page.flows[: page.count], self.count * FLOW_BYTES)
        _write(index, rows, HEADER_BYTES + self.count * ROW_BYTES)
        self._count(page, rows)
        _write(index, self.header, 0)

    def _count(self, page: Page, rows: NDArray[np.void]) -> None:
        head, times = self.header[0], rows["ts_ns"]
        low, high = int(times.min()), int(times.max())
        head["min_ns"] = min(low, int(head["min_ns"])) if self.count else low
        head["max_ns"] = max(high, int(head["max_ns"])) if self.count else high
        if not self.count:
            head["first"] = rows["number"][0]
        head["last"] = rows["number"].max()
        if page.input:
            head["input"], head["upto"] = page.input, page.upto
        self.count, self.used = self.count + page.count, self.used + page.used
        head["count"], head["octets"] = self.count, self.used

    def close(self) -> int:
        """Cut the files to what is in use; returns the bytes that they have on disk."""
        sizes = _sizes(self.count, self.used)
        try:
            for descriptor, size in zip(self._descriptors, sizes, strict=True):
                os.ftruncate(descriptor, size)
        finally:
            self._let_go()
        return on_disk(sizes)

    def _let_go(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())


class Segments:
    """All files of one ring. budget: bytes that they may have together.

    keep: go on with what is there, as after a crash; else what an earlier run left is removed.
    UserError when the folder cannot be used, or another process writes in it.
    """

    def __init__(self, folder: Path, budget: int, keep: bool) -> None:
        self.folder, self.budget, self.room = folder, budget, Room(budget)
        self.open: dict[int, OpenSegment] = {}  # by link type, the last written last
        self.closed: deque[tuple[int, int]] = deque()  # serial and bytes on disk, the oldest first
        self.closed_bytes = 0
        self.removed = 0  # segments that made room
        self.last = -1  # highest number of a packet that is there
        self.seen: dict[int, int] = {}  # of the process before: by input, up to which number
        self._lock = _locked(folder)
        found = serials(folder)
        self._next = found[-1] + 1 if found else 0
        for serial in found:
            self._take_over(serial, keep)

    @property
    def bytes(self) -> int:
        """On disk; never more than the budget."""
        return self.closed_bytes + len(self.open) * self.room.bytes

    def append(self, page: Page) -> None:
        """OSError when that cannot be done; nothing of the page is there then."""
        segment = self.open.pop(page.link, None)
        if segment is not None and not segment.fits(page):
            self._close(segment)
            segment = None
        if segment is None:
            segment = self._begin(page.link)
        try:
            segment.append(page)
        except OSError:
            self._close(segment)
            raise
        self.open[page.link] = segment

    def close(self) -> None:
        for link in list(self.open):
            self._close(self.open.pop(link))
        os.close(self._lock)

    def _begin(self, link: int) -> OpenSegment:
        while len(self.open) >= OPEN_MAX:
            self._close(self.open.pop(next(iter(self.open))))
        while self.closed and (
            self.bytes + self.room.bytes > self.budget or len(self.closed) >= SEGMENTS_MAX
        ):
            self._remove_oldest()
        serial, self._next = self._next, self._next + 1
        return OpenSegment(self.folder, serial, link, self.room)

    def _close(self, segment: OpenSegment) -> None:
        try:
            size = segment.close()
        except OSError:
            size = self.room.bytes  # not cut
        if segment.count:
            self._keep(segment.serial, size)
        else:
            remove(segment.files)

    def _keep(self, serial: int, size: int) -> None:
        self.closed.append((serial, size))
        self.closed_bytes += size

    def _remove_oldest(self) -> None:
        serial, size = self.closed.popleft()
        remove(segment_files(self.folder, serial))
        self.closed_bytes -= size
        self.removed += 1

    def _take_over(self, serial: int, keep: bool) -> None:
        """What the process before wrote and counted stays; what it had not counted is cut off."""
        segment = read_header(self.folder, serial) if keep else None
        if segment is None or not segment.row_count:
            remove(segment_files(self.folder, serial))
            return
        self._keep(serial, cut(segment))
        self.last = max(self.last, segment.last)
        if segment.input:
            self.seen[segment.input] = max(segment.upto, self.seen.get(segment.input, 0))
        while self.closed_bytes > self.budget:
            self._remove_oldest()


def cut(segment: Segment) -> int:
    """Cut a segment's files to what they hold; returns the bytes that they have on disk."""
    sizes = _sizes(segment.row_count, segment.octets)
    for path, size in zip(segment_files(segment.folder, segment.serial), sizes, strict=True):
        os.truncate(path, size)
    return on_disk(sizes)


def _sizes(count: int, octets: int) -> tuple[int, int, int]:
    return octets, count * FLOW_BYTES, HEADER_BYTES + count * ROW_BYTES


def on_disk(sizes: tuple[int, ...]) -> int:
    return sum(-(-size // BLOCK) * BLOCK for size in sizes)


def remove(files: tuple[Path, ...]) -> None:
    for path in files:
        path.unlink(missing_ok=True)


def _write(descriptor: int, octets: bytes | NDArray[np.generic], at: int) -> None:
    view = memoryview(octets).cast("B") if isinstance(octets, bytes) else octets.view(np.uint8).data
    while view:
        done = os.pwrite(descriptor, view, at)
        view, at = view[done:], at + done


def _locked(folder: Path) -> int:
    """The folder, made and ours until the process ends."""
    try:
        folder.mkdir(0o750, parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o640)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"--packet-ring {folder}: {reason}; give a folder to write to") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise UserError(
            f"--packet-ring {folder}: another flowmate writes there; give each its own folder"
        ) from None
    return lock
