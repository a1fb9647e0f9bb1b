"""Which streams hold a text in their previews, remembered for the texts asked for last.

A look at 1 M full previews is a look at 512 MB: 11 ms by two idle cores, 20 ms by one. Whoever
watches the list with a text in the filter asks for the same text again and again, so what was
found is kept for each slot until its previews change: then it is 1 ms. A text that holds
another one that is remembered, as while somebody types, is not looked for where that one is not.
"""

import os
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from numpy.typing import NDArray

from services.coordinator.kernels import inventory as k
from services.coordinator.kernels.text_search import PIECE, search_text
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
        """Clear mask (used,) where neither preview of a stream holds the text, not an empty one."""
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
        changed = np.flatnonzero(marks & k.NEW_TEXT)
        for verdict in self._verdicts.values():
            verdict[changed] = UNKNOWN
        marks[changed] &= np.uint8(255 - k.NEW_TEXT)

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
    """Clear mask where neither preview holds the needle, by as many threads as are worth it."""
    padded, fold = probe_of(needle)

    def some(start: int, stop: int) -> None:
        search_text(
            inventory.previews, inventory.preview_len, padded, fold, len(needle), start, stop,
            mask.view(np.uint8),
        )  # fmt: skip

    if mask.size < SHARE_FROM or SEARCH_THREADS == 1:
        some(0, mask.size)
        return
    cuts = np.linspace(0, mask.size, SEARCH_THREADS + 1).astype(int).tolist()
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
