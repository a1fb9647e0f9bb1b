"""Large memory: what is about to be filled has its pages, and no more than that."""

import errno
import mmap
import os
from pathlib import Path

import numpy as np
import pytest

from shared.memory import STEP, Filling, Pages, rows_of, zeros

SIZE = 8 * STEP


def resident_bytes(pages: Pages) -> int:
    """Of the mapping, as the system counts them."""
    begin = pages.bytes.ctypes.data
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    for line in lines:
        low, _, rest = line.partition("-")
        if rest and int(low, 16) <= begin < int(rest.split()[0], 16):
            return next(int(each.split()[1]) << 10 for each in lines if each.startswith("Rss:"))
    raise AssertionError("it is not mapped")


@pytest.fixture
def pages() -> Pages:
    return Pages(SIZE)


def test_fresh_memory_is_zero_and_costs_nothing(pages: Pages) -> None:
    assert not zeros(12345).any()
    assert rows_of(np.dtype("u4,u4"), 3).shape == (3,)
    assert Filling(pages).had == 0


def test_pages_are_there_before_they_are_filled(pages: Pages) -> None:
    filling = Filling(pages)
    filling.reach(STEP // 2)
    assert STEP // 2 <= filling.had <= STEP // 2 + STEP
    filling.reach(STEP)
    assert filling.had == STEP // 2 + STEP  # some were had in advance
    filling.reach(SIZE + 1)
    assert filling.had == SIZE
    filling.reach(10 * SIZE)  # a ring's position only grows
    assert not pages.bytes.any()


def test_a_part_leaves_the_others_alone(pages: Pages) -> None:
    pages.bytes[:] = 7
    filling = Filling(pages, 3 * STEP + 100, STEP + 8)
    filling.reach(1)
    filling.reach(2 * STEP)
    assert filling.had == 4 * STEP + 108
    assert (pages.bytes == 7).all()


def test_only_the_part_gets_pages() -> None:
    pages = Pages(SIZE)
    mmap_before = resident_bytes(pages)
    Filling(pages, 2 * STEP, STEP).reach(STEP)
    got = resident_bytes(pages) - mmap_before
    assert got in (0, STEP)  # 0: a system before Linux 5.14, where pages come when touched


def test_a_system_that_cannot_is_asked_once(pages: Pages) -> None:
    class Older:
        asked = 0

        def madvise(self, *_: int) -> None:
            self.asked += 1
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    filling, older = Filling(pages), Older()
    filling._memory = older  # type: ignore[assignment]
    filling.reach(1)
    filling.reach(5 * STEP)
    assert (older.asked, filling.had) == (1, SIZE)


def test_a_page_is_the_least(pages: Pages) -> None:
    assert Pages(1).bytes.size == 1
    assert pages.bytes.size % mmap.PAGESIZE == 0
