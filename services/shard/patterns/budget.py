"""What a pattern may cost beyond the ordinary: 5 % of the time, after a small advance.

A call of `regex` that is worth its bytes costs nothing here. What goes beyond, as when a pattern
backtracks for ever, is taken from the pattern's purse; while that is empty its confirmations are
left out and counted. One scan that runs into its timeout empties it for five seconds. Calls are
measured in time of the processor: what others make them wait is not theirs.
"""

from collections.abc import Callable
from time import monotonic

CALL_S = 20e-6  # of one call, ordinary
BYTE_S = 100e-9  # and of each byte: look-arounds and many matches are no endless backtracking
SHARE = 0.05
PURSE_S = 0.1


class Purse:
    """One pattern's. clock: seconds, never back."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock, self._left, self._at = clock, PURSE_S, clock()

    def can_pay(self) -> bool:
        """Whether there is something in it."""
        if self._left <= 0:
            now = self._clock()
            self._left = min(PURSE_S, self._left + SHARE * (now - self._at))
            self._at = now
        return self._left > 0

    def pay(self, seconds: float, octets: int) -> None:
        """For one call over so many bytes."""
        excess = seconds - CALL_S - BYTE_S * octets
        if excess > 0:
            now = self._clock()
            self._left = min(PURSE_S, self._left + SHARE * (now - self._at)) - excess
            self._at = now
