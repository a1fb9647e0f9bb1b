"""Descriptors on the captures of a folder, no more than OPEN_MAX at a time."""

import math
import os
import stat
from hashlib import blake2b
from typing import NamedTuple

from services.capture.capture_file import CaptureReader
from services.capture.source import Batch, SourceState
from services.capture.watch.entry import Entry, Opened
from services.capture.watch.growing import HEAD_BYTES, GrowingFile
from services.capture.watch.listing import Found

OPEN_MAX = 16  # descriptors; each has a buffer of a batch
PEEK_BYTES = 4096
PEEK_READS = 64  # for the first packet, before its time is given up
FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class ChangedError(OSError):
    """The name stands for another file by now."""


class Peeked(NamedTuple):
    """What stands at the beginning of a capture."""

    first_ns: int | None  # time of the first packet; None = there is none yet
    id: str = ""  # made of that packet: the same wherever the capture lies, whoever looks at it
    wants: str = ""  # what is missing before there can be one
    fault: str = ""  # why there will be none


class Opener:
    """Opens captures where they were read to, and closes those that nothing is read from."""

    def __init__(self, folder: str, index: int, batch_packets: int, batch_bytes: int) -> None:
        self.open: list[Entry] = []
        self._folder, self._index = folder, index
        self._batch_packets, self._batch_bytes = batch_packets, batch_bytes

    def head(self, found: Found) -> bytes | None:
        """A file's first HEAD_BYTES; None = it cannot be read now."""
        try:
            fd = self._open(found.name, found.device, found.inode)
        except OSError:
            return None
        try:
            return os.pread(fd, HEAD_BYTES, 0)
        except OSError:
            return None
        finally:
            os.close(fd)

    def get(self, entry: Entry) -> Opened:
        """Its descriptor and reader. OSError where it cannot be opened."""
        if entry.opened is None:
            file = self._file(entry)
            if len(self.open) >= OPEN_MAX:
                self.close(min(self.open, key=lambda each: (not is_silent(each), each.grown_at)))
            reader = CaptureReader(
                SourceState(entry.name, "file"),
                lambda: file,
                self._index,
                self._batch_packets,
                self._batch_bytes,
                entry.place,
            )
            entry.opened = Opened(file, reader)
            self.open.append(entry)
        return entry.opened

    def close(self, entry: Entry) -> None:
        """It can be opened again, and goes on where it is."""
        if entry.opened is not None:
            if not is_silent(entry):
                entry.offset = 0  # bytes that were read, but whose packets were not given out
            entry.opened.reader.close()
            entry.opened.file.close()
            entry.opened = None
            self.open.remove(entry)

    def peek(self, entry: Entry) -> Peeked:
        """Look for the first packet. OSError where it cannot be opened or read."""
        file = self._file(entry)
        state = SourceState(entry.name, "file")
        reader = CaptureReader(state, lambda: file, 0, 1, PEEK_BYTES)
        try:
            for _ in range(PEEK_READS):
                batch = reader.read()
                if batch is None:
                    return Peeked(None, fault=state.problems[0].reason)
                if batch.records.size:
                    return first_of(batch)
                if file.trouble:
                    raise OSError(file.trouble)
                if reader.due() == math.inf:
                    return Peeked(None, wants=reader.wants)
            return Peeked(entry.changed_ns, entry.id)
        finally:
            entry.head = entry.head or file.head
            reader.close()
            file.close()

    def _file(self, entry: Entry) -> GrowingFile:
        return GrowingFile(self._open(entry.name, entry.device, entry.inode), entry.head)

    def _open(self, name: str, device: int, inode: int) -> int:
        fd = os.open(os.path.join(self._folder, name), FLAGS)
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) == (device, inode) and stat.S_ISREG(status.st_mode):
            return fd
        os.close(fd)
        raise ChangedError(0, "it is another file by now")


def first_of(batch: Batch) -> Peeked:
    """What the first packet says."""
    record = batch.records[0]
    start, first_ns = int(record["off"]), int(record["ts_ns"])
    frame = batch.data[start : start + int(record["caplen"])].tobytes()
    return Peeked(first_ns, f"{first_ns:x}-{blake2b(frame, digest_size=8).hexdigest()}")


def is_silent(entry: Entry) -> bool:
    """Whether its reader found nothing when it last looked."""
    return entry.opened is not None and entry.opened.reader.due() == math.inf
