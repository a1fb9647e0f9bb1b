"""What patterns may cost beyond the ordinary: a share of the time, after a small advance.

A call of `regex` that is worth its bytes costs nothing here. What goes beyond, as when a pattern
backtracks for ever, is taken from a purse; while that is empty its owner waits. Calls are measured
in time of the processor: what others make them wait is not theirs.
"""

from collections.abc import Callable
from time import monotonic

CALL_S = 20e-6  # of one call, ordinary
BYTE_S = 100e-9  # and of each byte: look-arounds and many matches are no endless backtracking
SHARE = 0.05  # of one that is alone
PURSE_S = 0.1
LIVE_SHARE, LIVE_PURSE_S = 0.03, 0.03  # of all patterns together, while packets wait
SPARE_SHARE, SPARE_PURSE_S = 0.5, 0.25  # of what was put off, while there is leisure
WHILE_S, BUSY_SHARE = 0.5, 0.25


class Purse:
    """share: of the time; most: seconds that it holds. clock: seconds, never back."""

    def __init__(
        self,
        share: float = SHARE,
        most: float = PURSE_S,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._clock, self._left, self._at = clock, most, clock()
        self.share, self.most = share, most

    def resize(self, share: float, most: float) -> None:
        """From now on it is another one's size; what is in it stays, as far as it fits."""
        self._fill()
        self.share, self.most = share, most
        self._left = min(most, self._left)

    def can_pay(self) -> bool:
        """Whether there is something in it."""
        return self._left > 0 or self._fill() > 0

    def worth(self, octets: int) -> float:
        """Seconds that one call over so many bytes may take; 0 = it has to wait."""
        return self._left + ordinary(octets) if self.can_pay() else 0.0

    def pay(self, seconds: float, octets: int) -> None:
        """For one call over so many bytes."""
        excess = seconds - ordinary(octets)
        if excess > 0:
            self._left = self._fill() - excess

    def _fill(self) -> float:
        now = self._clock()
        self._left = min(self.most, self._left + self.share * (now - self._at))
        self._at = now
        return self._left


def ordinary(octets: int) -> float:
    """Seconds of a call that nobody would call slow."""
    return CALL_S + BYTE_S * octets


class Leisure:
    """Whether there is time to spare: packets took little of the last while. clock: seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock, self._since = clock, clock()
        self._busy_s, self._is_there = 0.0, False

    def spend(self, seconds: float) -> None:
        """So long packets took."""
        self._busy_s += seconds

    def is_there(self) -> bool:
        now = self._clock()
        if now - self._since >= WHILE_S:
            self._is_there = self._busy_s < BUSY_SHARE * (now - self._since)
            self._since, self._busy_s = now, 0.0
        return self._is_there
