"""Patterns that rest: they take too much time while packets wait, and cost nothing meanwhile.

When there is time they are looked for again, first in what came in between (`retro.py`). One that
is too costly then as well rests twice as long the next time. What left the content log meanwhile
was never looked at: it is counted, once, in the log's bytes, which are a little more than those of
the content.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic

REST_S, LONGEST_S = 1.0, 64.0
Heads = tuple[int, int]  # of the content log's rings


@dataclass
class Rest:
    """since: what was pushed out of the log from then on is lost. until: seconds of the clock."""

    since: Heads
    until: float


class Resting:
    """By slot. clock: seconds, never back."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._rests: dict[int, Rest] = {}
        self._times: dict[int, int] = {}
        self._counted: dict[int, Heads] = {}  # tails up to which what is gone has been counted

    def __contains__(self, slot: int) -> bool:
        return slot in self._rests

    def lay(self, slot: int, since: Heads) -> None:
        """It rests from now on."""
        times = self._times.get(slot, 0)
        self._times[slot] = times + 1
        self._rests[slot] = Rest(since, self._clock() + min(LONGEST_S, REST_S * 2 ** min(times, 9)))

    def due(self) -> list[int]:
        """Those that have rested long enough."""
        now = self._clock()
        return [slot for slot, rest in self._rests.items() if now >= rest.until]

    def all(self) -> list[int]:
        return list(self._rests)

    def end(self, slots: Iterable[int], tails: Heads) -> Heads:
        """They rest no more; since when, the first of them. What is `gone` is counted from now."""
        self._counted.update(dict.fromkeys(slots, tails))
        rests = [self._rests.pop(slot) for slot in slots]
        return min(rest.since[0] for rest in rests), min(rest.since[1] for rest in rests)

    def missed(self, slot: int, heads: Heads, tails: Heads) -> int:
        """Bytes of the log that came since it rests, and are there."""
        if (rest := self._rests.get(slot)) is None:
            return 0
        return sum(heads) - sum(map(max, rest.since, tails))

    def gone(self, slot: int, tails: Heads) -> int:
        """Bytes of the log that came since it rests, and went."""
        if (rest := self._rests.get(slot)) is None:
            return 0
        since = map(max, rest.since, self._counted.get(slot, (0, 0)))
        return sum(max(0, tail - begun) for tail, begun in zip(tails, since, strict=True))

    def forget(self, slot: int) -> None:
        """It is gone."""
        self._rests.pop(slot, None)
        self._times.pop(slot, None)
        self._counted.pop(slot, None)
