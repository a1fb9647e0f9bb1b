"""Numbers of packets: of an input that can be read again, the same each time, before any filter.

What can be read again is told by a name that stays: the files that were given, all together, an
upload. A packet's number rises over the input; in files that are read one after the other the
file's place is its upper half.
"""

import hashlib
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.capture.source import Batch
from shared.columns import RECORD

FILE_BITS = 40  # of a number, for the packets of one file


class Numbering(NamedTuple):
    """Numbers of one batch. first: of its first record; kept: what a filter left of all."""

    name: str
    first: int
    all: NDArray[np.void]
    kept: NDArray[np.void]

    def upto(self, row: int) -> int:
        """The number up to which everything is sent when kept rows before `row` are."""
        if row >= self.kept.size:
            return self.first + self.all.size - 1
        # offsets rise from record to record, so a record is found by its own
        at = np.searchsorted(self.all["off"], self.kept["off"][row])
        return self.first + int(at) - 1

    def row_behind(self, number: int) -> int:
        """The first kept row whose number is higher."""
        before = number + 1 - self.first
        if before <= 0:
            return 0
        if before >= self.all.size:
            return int(self.kept.size)
        return int(np.searchsorted(self.kept["off"], self.all["off"][before]))


NO_NUMBERS = Numbering("", 0, np.empty(0, RECORD), np.empty(0, RECORD))


def name_of_files(paths: Sequence[str]) -> str:
    """One name for files that are read one after the other: they are the same when read again."""
    parts = []
    for path in paths:
        try:
            status = os.stat(path)
            parts.append(f"{path}\0{status.st_dev}\0{status.st_ino}")
        except OSError:
            parts.append(path)
    text = "\0\0".join(parts)
    return f"files {hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"


def split(batch: Batch, records: int) -> list[Batch]:
    """The batch's first records, and the others; what is empty is left out."""
    parts = (batch.records[:records], batch.records[records:])
    return [batch._replace(records=part) for part in parts if part.size]
