"""What the C library keeps of its heap, and what it gives back."""

import ctypes
import subprocess
import sys

import pytest

from shared.heap import give_back
from shared.stats import resident_bytes
from tests.conftest import clean_environ

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc")
BUFFERS = """
import resource, sys
import numpy as np
from shared.heap import keep_pages

def use():
    for _ in range(20):
        [np.ones(1 << 20, np.uint8) for _ in range(40)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

keep_pages()
before = use()
print(use() - before)
"""


def test_buffers_that_come_again_have_the_same_pages() -> None:
    """Without that it is 200,000 faults."""
    done = subprocess.run(
        [sys.executable, "-c", BUFFERS],
        env=clean_environ(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 1000


def test_what_is_free_in_the_heap_is_given_back() -> None:
    libc, size = ctypes.CDLL(None), 65536  # too small for a mapping of its own
    libc.malloc.restype = ctypes.c_void_p
    blocks = [ctypes.c_void_p(libc.malloc(ctypes.c_size_t(size))) for _ in range(512)]
    for block in blocks:
        ctypes.memset(block, 1, size)
    for block in blocks[:-1]:  # the last one holds the heap up
        libc.free(block)
    before = resident_bytes()
    give_back()
    assert before - resident_bytes() > 256 * size
    libc.free(blocks[-1])
