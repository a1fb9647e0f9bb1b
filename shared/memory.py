"""Large memory: zeroed bytes from fresh pages, which cost nothing until they are written to.

Rules. Pages are private: the first touch of one takes 2.0 µs rather than the 3.0 of memory that
could be shared, as Python maps it. They are not huge ones, which numpy would ask for: where a
machine's host takes back what is free, a page of a huge one took 12 µs and a small one 1.7; 28 and
8 ns a packet more for previews and events in the inventory. Pages that are about to be filled are
had in one call for many, which takes 1.05 µs each.
"""

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

POPULATE_WRITE = 23  # MADV_POPULATE_WRITE of Linux 5.14, which Python has no name for
STEP = 256 << 10  # bytes had at once, and at most in vain


class Pages:
    """nbytes of them. OSError, or ValueError, where there is not that much memory."""

    def __init__(self, nbytes: int) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self.memory = mmap.mmap(-1, max(nbytes, mmap.PAGESIZE), flags=flags)
        self.bytes: NDArray[np.uint8] = np.frombuffer(self.memory, np.uint8)[:nbytes]


class Filling:
    """A part of some pages that is filled from its beginning to its end, once."""

    def __init__(self, pages: Pages, start: int = 0, size: int | None = None) -> None:
        self._memory = pages.memory
        self._start = start
        self._stop = start + (pages.bytes.size - start if size is None else size)
        self.had = start  # up to here there are pages

    def reach(self, filled: int) -> None:
        """The first so many bytes are going to be filled: have their pages, and some more."""
        if self._start + filled <= self.had or self.had >= self._stop:
            return
        begin = self.had // mmap.PAGESIZE * mmap.PAGESIZE
        self.had = min(self._start + filled + STEP, self._stop)
        try:
            self._memory.madvise(POPULATE_WRITE, begin, self.had - begin)
        except OSError:  # an older system, or no memory: pages come when they are touched
            self.had = self._stop


def zeros(nbytes: int) -> NDArray[np.uint8]:
    return Pages(nbytes).bytes


def rows_of(dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    """Zeroed rows."""
    return zeros(dtype.itemsize * count).view(dtype)
