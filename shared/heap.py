"""The heap of the C library, which numpy and ZeroMQ have what they need from."""

import ctypes
from contextlib import suppress

# mallopt(3), with the numbers of malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8
KEPT = {
    M_ARENA_MAX: 1,
    M_MMAP_THRESHOLD: 256 << 20,
    M_TRIM_THRESHOLD: 256 << 20,
    M_TOP_PAD: 8 << 20,
}


def keep_pages() -> None:
    """Have the C library keep what it gets. It would give each message of a megabyte fresh pages,
    and take them back at once: zeroing them was 40 % of the coordinator's time."""
    with suppress(AttributeError):  # not glibc
        for what, value in KEPT.items():
            ctypes.CDLL(None).mallopt(what, value)


def give_back() -> None:
    """What is free in the heap of the C library goes back to the system. What a process needed only
    to start would stay resident for as long as it runs."""
    with suppress(AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(ctypes.c_size_t(0))
