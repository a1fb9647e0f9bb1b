"""How many matches of which patterns each stream has, as shards tell it: absolute numbers.

Bounded in pairs of stream and pattern; what finds no place is counted. A slot of the inventory that
another stream takes loses its pairs; so does one whose stream another process tells of, since that
one counts from zero.
"""

import secrets
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.coordinator.kernels import matches as k
from services.coordinator.kernels.overview import tally_pairs

PATTERNS_A_ROW = 256  # that a row names; the count has all of them
PAIRS_MAX = 1 << 30

Slots = NDArray[np.int64]


class Listed(NamedTuple):
    """Matches of one stream."""

    matches: int
    patterns: list[int]


class Matches:
    """Pairs of slot and pattern. marks: the inventory's; a slot whose pairs change is CHANGED."""

    def __init__(self, slots: int, max_pairs: int, marks: NDArray[np.uint8]) -> None:
        pairs = min(max_pairs, PAIRS_MAX)
        self._marks = marks
        self._state = np.zeros(k.STATE_LEN, np.uint64)
        self._state[k.SALT_SLOT] = secrets.randbits(32) | 1
        self._state[k.SALT_PATTERN] = secrets.randbits(32) | 1
        self.head = np.zeros(slots, np.uint32)
        self._columns = k.PairColumns(
            slot=np.zeros(pairs, np.uint32),
            pattern=np.zeros(pairs, np.uint32),
            found=np.zeros(pairs, np.uint32),
            next=np.zeros(pairs, np.uint32),
            previous=np.zeros(pairs, np.uint32),
            head=self.head,
            table=np.zeros(1 << (2 * pairs - 1).bit_length(), np.uint32),
            state=self._state,
        )

    def __len__(self) -> int:
        """Pairs there are."""
        return int(self._state[k.USED])

    def losses(self) -> dict[str, int]:
        """What did not find a place, by reason."""
        return {
            "match_counts_over_limit": int(self._state[k.DROPPED]),
            "match_counts_after_eviction": int(self._state[k.LATE]),
        }

    # ------------------------------------------------------------------------- writing
    def put(self, pairs: NDArray[np.void], slots: Slots) -> NDArray[np.bool_]:
        """Enter PAIR rows of these slots (-1 = not in the inventory); which changed anything."""
        changed = np.zeros(pairs.size, np.uint8)
        k.merge_pairs(pairs, slots, self._columns, self._marks, changed)
        return changed.view(bool)

    def forget_slots(self, slots: NDArray[np.uint32]) -> None:
        """Their streams are others now."""
        if len(self) and slots.size:
            k.forget_slots(slots, self._columns)

    def forget_pattern(self, pattern: int) -> int:
        """Returns how many streams had a match of it."""
        return int(k.forget_pattern(pattern, self._columns, self._marks)) if len(self) else 0

    # ------------------------------------------------------------------------- reading
    def tally(
        self, patterns: list[int], codes: NDArray[np.uint16], width: int
    ) -> NDArray[np.uint64]:
        """(patterns, width): how many slots of each code below `width` have a match of a pattern.
        codes: (slots,), or those in use. 2 ms for 1 M pairs."""
        lines = np.zeros(max(patterns, default=0) + 1, np.uint32)
        lines[patterns] = np.arange(1, len(patterns) + 1)
        cells = np.zeros((len(patterns), width), np.uint64)
        high = int(self._state[k.HIGH])
        tally_pairs(self._columns, high, codes, width, lines, cells.reshape(-1))
        return cells

    def of(self, slots: Slots) -> dict[int, Listed]:
        """What some slots have, by position in `slots`; those that have nothing are left out."""
        where = np.flatnonzero(self.head[slots]) if len(self) else np.zeros(0, np.intp)
        patterns = np.zeros(where.size * PATTERNS_A_ROW, np.uint32)
        listed, counts = np.zeros(where.size, np.uint32), np.zeros(where.size, np.uint64)
        k.list_pairs(slots[where], self._columns, PATTERNS_A_ROW, patterns, listed, counts)
        rows = patterns.reshape(-1, PATTERNS_A_ROW)
        return {
            at: Listed(count, sorted(row[:size].tolist()))
            for at, count, row, size in zip(
                where.tolist(), counts.tolist(), rows, listed.tolist(), strict=True
            )
        }

    def holders(self, patterns: list[int], used: int) -> NDArray[np.bool_]:
        """(used,): which slots have a match of one of these patterns. For all of an inventory:
        2 ms for 1 M pairs, whatever the patterns. Their numbers are small."""
        held = np.zeros(used, np.uint8)
        wanted = np.zeros(max(patterns, default=0) + 1, np.uint8)
        wanted[patterns] = 1
        k.mark_all_holders(wanted, self._columns, held)
        return held.view(bool)

    def holds(self, slots: Slots, pattern: int) -> NDArray[np.bool_]:
        """The same of some slots, for each one."""
        held = np.zeros(slots.size, np.uint8)
        k.mark_holders(slots, pattern, self._columns, held)
        return held.view(bool)
