"""Which streams hold a text in their previews, remembered for the texts asked for last.

A preview that is no text shows its printable bytes, put together, and is kept so that these are
found like a text's (`kernels/previews.py`).

A look at 1 M full previews is a look at 512 MB: 16 ms by two idle cores, 29 ms by one; at 1 M of
32 bytes it is 18 to 24 ms of CPU, shared by two cores. Whoever watches the list with a text in
the filter asks for the same text again and again, so what was found is kept for each slot until
its previews change: then it is 1 ms. A text that holds another one that is remembered, as while
somebody types, is not looked for where that one is not.
"""

import os
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from services.coordinator.kernels import inventory as k
from services.coordinator.kernels.text_search import (
    PIECE,
    SLACK,
    search_restored,
    search_text,
)
from services.coordinator.view import Inventory
from shared.columns import PREVIEW_BYTES

TEXTS_KEPT = 4
UNKNOWN, NO, YES = 0, 1, 2  # verdicts: looked at adds one, found adds another
SEARCH_THREADS = min(2, len(os.sched_getaffinity(0)))
SHARE_FROM = 65536  # slots; fewer are searched by one thread


class TextMatches:
    """Texts looked for in one inventory, whose `NEW_TEXT` marks it alone takes off.

    Letters of ASCII are equal in both cases.
    """

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self._verdicts: OrderedDict[bytes, NDArray[np.uint8]] = OrderedDict()

    def narrow(self, text: str, mask: NDArray[np.bool_]) -> None:
        """Clear mask (used,) where a stream shows the text, not an empty one, in no preview."""
        needle = text.encode("utf-8", "replace").lower()
        if len(needle) > PREVIEW_BYTES:
            mask[:] = False
            return
        self._forget_changed(mask.size)
        verdict = self._verdict(needle)[: mask.size]
        look = mask & (verdict == UNKNOWN)
        if look.any():
            verdict += look
            search(self.inventory, needle, look)
            verdict += look
        mask &= verdict == YES

    def _forget_changed(self, used: int) -> None:
        marks = self.inventory.marks[:used]
        changed = marks & k.NEW_TEXT != 0
        if not changed.any():
            return
        for verdict in self._verdicts.values():
            verdict[:used][changed] = UNKNOWN
        marks &= np.uint8(255 - k.NEW_TEXT)

    def _verdict(self, needle: bytes) -> NDArray[np.uint8]:
        """What is known of each slot."""
        if needle in self._verdicts:
            self._verdicts.move_to_end(needle)
            return self._verdicts[needle]
        verdict = np.zeros(self.inventory.capacity, np.uint8)
        for part, known in self._verdicts.items():
            if part in needle:
                verdict |= known == NO
        if len(self._verdicts) == TEXTS_KEPT:
            self._verdicts.popitem(last=False)
        self._verdicts[needle] = verdict
        return verdict


def search(inventory: Inventory, needle: bytes, mask: NDArray[np.bool_]) -> None:
    """Clear mask where a stream shows the needle in no preview, by as many threads as are worth it.

    What is printable, and what is not, stands together however a preview is kept; a needle that is
    both must be looked for in previews as they came, where a run of the one was found.
    """
    previews, lengths = inventory.previews, inventory.preview_len

    def some(start: int, stop: int) -> None:
        padded, fold = probe_of(run)
        search_text(
            previews, lengths, padded, fold, len(run), start, stop, mask.view(np.uint8),
        )  # fmt: skip

    def some_restored(start: int, stop: int) -> None:
        padded, fold = probe_of(needle)
        search_restored(
            previews, lengths, inventory.printables, padded, fold, len(needle),
            np.zeros(PREVIEW_BYTES + SLACK, np.uint8), start, stop, mask.view(np.uint8),
        )  # fmt: skip

    run = longest_run(needle)
    divide(mask.size, some)
    if not is_printable(needle[0]) or run != needle:
        divide(mask.size, some_restored)


def is_printable(byte: int) -> bool:
    return 32 <= byte < 127


def longest_run(needle: bytes) -> bytes:
    """Of the needle's runs of bytes that are printable, and that are not."""
    return max((bytes(run) for _, run in groupby(needle, is_printable)), key=len)


def divide(size: int, some: Callable[[int, int], None]) -> None:
    """Have `size` slots looked at by as many threads as are worth it."""
    if size < SHARE_FROM or SEARCH_THREADS == 1:
        some(0, size)
        return
    cuts = np.linspace(0, size, SEARCH_THREADS + 1).astype(int).tolist()
    list(searchers().map(some, cuts[:-1], cuts[1:]))


def probe_of(needle: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """What `search_text` compares with: the needle in lower case, padded, and what to fold by."""
    size = len(needle)
    padded = np.frombuffer(needle.lower().ljust(-(-size // PIECE) * PIECE, b"\xff"), np.uint8)
    letter = (padded >= ord("a")) & (padded <= ord("z"))
    fold = np.where(letter, 0x20, 0).astype(np.uint8)
    fold[size:] = 0xFF  # the padding equals any byte
    return padded, fold


@cache
def searchers() -> ThreadPoolExecutor:
    """Threads for the one filter that a core alone is too slow for; the kernel holds no GIL."""
    return ThreadPoolExecutor(SEARCH_THREADS, "search")
