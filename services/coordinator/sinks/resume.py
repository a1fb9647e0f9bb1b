"""A file of events that an earlier coordinator of the same run wrote, and how far that one came.

It said now and then how far it was. What stands behind that is counted here; a last line that was
cut when the process was killed is taken away, so that every line is whole and none is there twice.
"""

import os
import re
from typing import NamedTuple

# lines that are no stream's; `event` is the second key of every line
RECORD = re.compile(rb'^\{"ts_us":-?\d+,"event":"(?:health|source_status)"', re.MULTILINE)
BLOCK = 1 << 24


class Written(NamedTuple):
    """size: bytes of the file; lines: of streams, written or lost; lost: those of them that were;
    records_lost: lines that are no stream's and could not be written."""

    size: int = 0
    lines: int = 0
    lost: int = 0
    records_lost: int = 0


def find_end(path: str, known: Written) -> Written:
    """How far the file really is; it is cut behind its last whole line."""
    size, lines, rest = known.size, known.lines, b""
    with open(path, "r+b") as file:
        if os.fstat(file.fileno()).st_size < size:  # somebody cut it
            size = 0
        file.seek(size)
        while block := file.read(BLOCK):
            whole, newline, tail = (rest + block).rpartition(b"\n")
            rest = tail
            lines += whole.count(b"\n") + len(newline) - len(RECORD.findall(whole))
            size += len(whole) + len(newline)
        if rest:
            file.truncate(size)
    return known._replace(size=size, lines=lines)
