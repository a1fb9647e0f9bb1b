"""Large memory: what is about to be filled has its pages, and no more than that."""

import ctypes
import errno
import mmap
import os

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.memory import STEP, Filling, Pages, rows_of, zeros

SIZE = 8 * STEP


def resident(pages: Pages) -> NDArray[np.uint8]:
    """1 for each page that is there (mincore)."""
    found = np.zeros(pages.bytes.size // mmap.PAGESIZE, np.uint8)
    place, size = ctypes.c_void_p(pages.bytes.ctypes.data), ctypes.c_size_t(pages.bytes.size)
    assert ctypes.CDLL(None).mincore(place, size, ctypes.c_void_p(found.ctypes.data)) == 0
    return found & np.uint8(1)


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


def test_only_the_part_gets_pages(pages: Pages) -> None:
    Filling(pages, 2 * STEP, STEP).reach(STEP)
    there = resident(pages).reshape(-1, STEP // mmap.PAGESIZE)
    assert [int(part.sum()) for part in there[[0, 1, 3]]] == [0, 0, 0]
    assert there[2].sum() in (0, there[2].size)  # 0: before Linux 5.14, when they are touched


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
