"""Which streams hold a text in their previews, remembered for the texts asked for last.

A preview that is no text holds what is printable of it as well, put together: the summary of such
a stream shows that, and what is shown must be found. It takes a second look at what the first did
not find, up to 0.3 s when 1 M streams are all binary; for text it is nothing.

A look at 1 M full previews is a look at 512 MB: 11 ms by two idle cores, 20 ms by one. Whoever
watches the list with a text in the filter asks for the same text again and again, so what was
found is kept for each slot until its previews change: then it is 1 ms. A text that holds
another one that is remembered, as while somebody types, is not looked for where that one is not.
"""

import os
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from numpy.typing import NDArray

from services.coordinator.kernels import inventory as k
from services.coordinator.kernels.squeezed_search import NO_TEXT, search_squeezed
from services.coordinator.kernels.text_search import PIECE, search_text
from services.coordinator.view import Inventory
from shared.columns import PREVIEW_BYTES, SUMMARY_BYTES, TEXT_KIND

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
            found = look.copy()
            search(self.inventory, needle, found)
            look &= ~found
            search_summaries(self.inventory, needle, look)
            verdict += look | found
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

    divide(mask.size, some)


def search_summaries(inventory: Inventory, needle: bytes, mask: NDArray[np.bool_]) -> None:
    """Clear mask where no binary preview shows the needle in its printable bytes."""
    if len(needle) > SUMMARY_BYTES or not all(32 <= byte < 127 for byte in needle):
        mask[:] = False
        return
    kinds = inventory.columns["content_kind"][: mask.size, 1:]
    known = np.ascontiguousarray(kinds == TEXT_KIND).view(np.uint8).reshape(-1)
    wanted = np.frombuffer(needle, np.uint8)

    def some(start: int, stop: int) -> None:
        search_squeezed(
            inventory.previews, inventory.preview_len, known, text_machine(), wanted,
            np.zeros(PREVIEW_BYTES, np.uint8), start, stop, mask.view(np.uint8),
        )  # fmt: skip

    divide(mask.size, some)


@cache
def text_machine() -> NDArray[np.uint8]:
    """Next state by state and byte: UTF-8 (RFC 3629 §4) without the controls that no text holds.

    State 0 is between characters, 1-3 want so many tails; E0, ED, F0 and F4 restrict the next one.
    """
    e0, ed, f0, f4 = 4, 5, 6, 7
    table = np.full((NO_TEXT + 1, 256), NO_TEXT, np.uint8)
    for first, last, step in (
        (0x09, 0x0D, 0), (0x1B, 0x1B, 0), (0x20, 0x7E, 0), (0xC2, 0xDF, 1), (0xE0, 0xE0, e0),
        (0xE1, 0xEC, 2), (0xED, 0xED, ed), (0xEE, 0xEF, 2), (0xF0, 0xF0, f0), (0xF1, 0xF3, 3),
        (0xF4, 0xF4, f4),
    ):  # fmt: skip
        table[0, first : last + 1] = step
    for state, first, last, step in (
        (1, 0x80, 0xBF, 0), (2, 0x80, 0xBF, 1), (3, 0x80, 0xBF, 2), (e0, 0xA0, 0xBF, 1),
        (ed, 0x80, 0x9F, 1), (f0, 0x90, 0xBF, 2), (f4, 0x80, 0x8F, 2),
    ):  # fmt: skip
        table[state, first : last + 1] = step
    return table.reshape(-1)


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
