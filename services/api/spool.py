"""One upload on its way to the disk: bounded, complete or not there at all."""

import errno
import os
import re
import time
from pathlib import Path
from typing import BinaryIO

from services.api.problems import Problem
from shared.uploads import MAGICS, NAME_MAX, PARTIAL

RESERVE_BYTES = 64 << 20  # left free: the folder may be in memory, where the run lives too
LOOK_BYTES = 8 << 20  # written between two looks at what is free
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MAGIC_BYTES = max(map(len, MAGICS))


def safe_name(name: str) -> str:
    """The user's name of the file without what a path or a header must not have."""
    kept = re.sub(r"[^A-Za-z0-9._-]+", "_", name.replace("\\", "/").rpartition("/")[2])
    return kept.strip("._")[-NAME_MAX:] or "capture"


class Spool:
    """Takes the octets of one capture. Problem: 413 too long, 415 no capture, 507 no room."""

    def __init__(self, folder: Path, name: str, longest: int) -> None:
        self.bytes, self._longest = 0, longest
        self.name = f"{time.time_ns():020d}-{safe_name(name)}"
        self._path, self._part = folder / self.name, folder / f"{PARTIAL}{self.name}"
        self._head, self._looked = b"", 0
        try:
            self._file: BinaryIO = self._part.open("xb", buffering=0)
        except OSError as error:
            raise _problem(error) from None

    def write(self, octets: bytes) -> None:
        self.check_length(self.bytes + len(octets), self._longest)
        if len(self._head) < MAGIC_BYTES:
            self._head += octets[: MAGIC_BYTES - len(self._head)]
            self._check_magic(whole=False)
        try:
            self._check_room()
            view = memoryview(octets)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise _problem(error) from None
        self.bytes += len(octets)

    @staticmethod
    def check_length(size: int, longest: int) -> None:
        if size > longest:
            raise Problem(
                413,
                "too_long",
                f"a capture may have {longest} bytes at most",
                "split it with editcap, or raise --max-upload-bytes",
            )

    def _check_magic(self, whole: bool) -> None:
        """whole: no more of the head will come."""
        head = self._head
        if any(head.startswith(magic) for magic in MAGICS):
            return
        if whole or not any(magic.startswith(head) for magic in MAGICS):
            raise Problem(
                415,
                "no_capture",
                "its first bytes are those of no capture",
                "pcap and pcapng are read, plain or compressed with gzip or zstd",
            )

    def _check_room(self) -> None:
        if self._looked and self.bytes - self._looked < LOOK_BYTES:
            return
        self._looked = max(1, self.bytes)
        free = os.statvfs(self._part)
        if free.f_bavail * free.f_frsize < RESERVE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def finish(self) -> None:
        """It is complete: capture may read it."""
        self._check_magic(whole=True)
        try:
            self._file.close()
            self._part.rename(self._path)
        except OSError as error:
            raise _problem(error) from None

    def drop(self) -> None:
        """Leave nothing of it, unless it is complete."""
        self._file.close()
        self._part.unlink(missing_ok=True)


def _problem(error: OSError) -> Problem:
    if error.errno in FULL:
        return Problem(
            507,
            "no_room",
            "there is no room for the capture",
            "free some, or give a folder on a larger disk with --upload-dir",
        )
    reason = (error.strerror or str(error)).lower()
    return Problem(503, "uploads_unavailable", f"the capture cannot be kept: {reason}")
