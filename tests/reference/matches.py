"""Pairs of slot and pattern in a dict, in the plainest Python there is.

The twin of the kernels `merge_pairs`, `forget_slots`, `forget_pattern`, `list_pairs`,
`mark_holders` and `mark_all_holders` together.
"""

from dataclasses import dataclass, field


@dataclass
class Matches:
    capacity: int
    counts: dict[tuple[int, int], int] = field(default_factory=dict)  # (slot, pattern) to matches
    dropped: int = 0
    late: int = 0

    def put(self, slot: int, pattern: int, count: int) -> bool:
        """Whether it changed anything."""
        key = slot, pattern
        if slot < 0:
            self.late += 1
            return False
        if self.counts.get(key, 0) == count:
            return False
        if count == 0:
            del self.counts[key]
            return True
        if key not in self.counts and len(self.counts) == self.capacity:
            self.dropped += 1
            return False
        self.counts[key] = count
        return True

    def forget_slots(self, slots: list[int]) -> None:
        self.counts = {key: n for key, n in self.counts.items() if key[0] not in slots}

    def forget_pattern(self, pattern: int) -> None:
        self.counts = {key: n for key, n in self.counts.items() if key[1] != pattern}

    def of(self, slot: int) -> dict[int, int]:
        """Matches by pattern."""
        return {pattern: n for (at, pattern), n in self.counts.items() if at == slot}
