"""What patterns may cost: a share of the time while packets wait, and what is ordinary at leisure.

While packets wait all patterns together have LIVE_SHARE of the time, after a small advance: of a
scanner's many hits and of `regex`. When that is used up the costliest of them rest, until the
others fit in. When there is time, or the input has ended, what they missed is looked through. Then
a call of `regex` that is worth its bytes costs nothing; what goes beyond, as when a pattern
backtracks for ever, is taken from a purse, and while that is empty its owner waits.
"""

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Protocol

TIMEOUT_S = 0.25  # of one call, with time to spare
LIVE_CALL_S, LIVE_BYTE_S = 0.002, 1e-6  # and while packets wait
CALL_S = 10e-6  # of one call, ordinary
BYTE_S = 20e-9  # and of each byte
SHARE = 0.05  # of one that is alone
PURSE_S = 0.1
LIVE_SHARE, LIVE_PURSE_S = 0.05, 0.015  # of all patterns together, while packets wait
ORDINARY_PRICE = 0.1  # while packets wait, of a call that is worth its bytes
SPARE_SHARE, SPARE_PURSE_S = 0.5, 0.25  # of what was put off, while there is leisure
LAST_SHARE, LAST_PURSE_S = 0.1, 0.1  # of all patterns, for what goes beyond, behind the last packet
WHILE_S, QUIET_S = 0.05, 0.5
BUSY_SHARE, LOADED_SHARE = 0.25, 0.6
LEFT_SHARE = 0.25  # of what was paid, by those that need not rest
COUNT_S = 1.0  # the costs of so long say who is costly


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

    def spend(self, seconds: float) -> bool:
        """Whether there was so much in it."""
        self._left -= seconds
        return self._left > 0 or self._fill() > 0

    def refill(self, seconds: float) -> None:
        """So much is in it."""
        self._left, self._at = seconds, self._clock()

    def _fill(self) -> float:
        now = self._clock()
        self._left = min(self.most, self._left + self.share * (now - self._at))
        self._at = now
        return self._left


def ordinary(octets: int) -> float:
    """Seconds of a call that nobody would call slow."""
    return CALL_S + BYTE_S * octets


class Payer(Protocol):
    """Who pays for calls of `regex`, by slot. defers: what has to wait is put off stream by stream;
    else the whole pattern rests."""

    defers: bool

    def limit(self, slot: int, octets: int) -> float:
        """Seconds that a call over so many bytes may take; 0 = it has to wait."""

    def pay(self, slot: int, seconds: float, octets: int) -> None:
        """For one call."""


class Live:
    """While packets wait. loaded: whether they do; without, nobody has to rest.

    `tired`: slots that have to rest from now on. `suspects` pay the whole price of an ordinary call
    too. clock: seconds, never back.
    """

    def __init__(self, loaded: Callable[[], bool], clock: Callable[[], float] = monotonic) -> None:
        self.defers, self.purse = False, Purse(LIVE_SHARE, LIVE_PURSE_S, clock)
        self.tired: set[int] = set()
        self.suspects: frozenset[int] = frozenset()
        self._loaded, self._clock, self._since = loaded, clock, clock()
        self._costs: dict[int, float] = {}

    def limit(self, slot: int, octets: int) -> float:
        return 0.0 if slot in self.tired else min(TIMEOUT_S, LIVE_CALL_S + LIVE_BYTE_S * octets)

    def pay(self, slot: int, seconds: float, octets: int = 0) -> None:
        if seconds <= ordinary(octets) and slot not in self.suspects:
            seconds *= ORDINARY_PRICE
        self._costs[slot] = self._costs.get(slot, 0.0) + seconds
        if not self.purse.spend(seconds):
            self._choose()

    def _choose(self) -> None:
        """The purse is empty: the costliest rest, until little is left of what was paid."""
        if self._loaded():
            left = total = sum(self._costs.values())
            for slot in sorted(self._costs, key=self._costs.__getitem__, reverse=True):
                if left <= LEFT_SHARE * total:
                    break
                self.tired.add(slot)
                left -= self._costs[slot]
        self.purse.refill(self.purse.most / 2)
        self._costs, self._since = {}, self._clock()

    def settle(self) -> list[int]:
        """Who has to rest since the last time; called after each batch."""
        tired, self.tired = list(self.tired), set()
        now = self._clock()
        if now - self._since > COUNT_S:
            self._costs, self._since = {}, now
        return tired


class Spare:
    """With time to spare: one purse, and a call may take long."""

    def __init__(self) -> None:
        self.defers, self.purse = True, Purse(SPARE_SHARE, SPARE_PURSE_S)

    def limit(self, slot: int, octets: int) -> float:
        return TIMEOUT_S if self.purse.can_pay() else 0.0

    def pay(self, slot: int, seconds: float, octets: int) -> None:
        self.purse.pay(seconds, octets)


class Last:
    """Behind the last packet: whoever is worth its time has all it needs, each of the others its
    part. `tired`: slots that have used that up."""

    def __init__(self, slots: Mapping[int, object]) -> None:
        self.defers, parts = True, max(1, len(slots))
        self.purses = {slot: Purse(LAST_SHARE / parts, LAST_PURSE_S / parts) for slot in slots}
        self.tired: set[int] = set()

    def limit(self, slot: int, octets: int) -> float:
        if slot in self.tired or slot not in self.purses:
            return 0.0
        worth = min(TIMEOUT_S, self.purses[slot].worth(octets))
        if worth == 0:
            self.tired.add(slot)
        return worth

    def pay(self, slot: int, seconds: float, octets: int) -> None:
        if slot in self.purses:
            self.purses[slot].pay(seconds, octets)

    def settle(self) -> list[int]:
        """Who has used up its part since the last time."""
        tired, self.tired = list(self.tired), set()
        return tired


class Leisure:
    """Whether there is time to spare, by what packets took of the last while. clock: seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock, self._since = clock, clock()
        self._busy_s, self._share, self._busy_at = 0.0, 1.0, self._since
        self._began: float | None = None

    def begin(self) -> None:
        """Packets are there."""
        self._began = self._clock()

    def end(self) -> None:
        """They are done."""
        if self._began is not None:
            self._busy_s += self._clock() - self._began
        self._began = None

    def is_there(self) -> bool:
        """Whether packets have taken little of the time, for a while now."""
        self._look()
        return self._clock() - self._busy_at >= QUIET_S

    def is_loaded(self) -> bool:
        """Whether they take most of it just now."""
        self._look()
        return self._share > LOADED_SHARE

    def _look(self) -> None:
        now = self._clock()
        if now - self._since < WHILE_S:
            return
        if self._began is not None:
            self._busy_s += now - self._began
            self._began = now
        self._share = self._busy_s / (now - self._since)
        if self._share >= BUSY_SHARE:
            self._busy_at = now
        self._since, self._busy_s = now, 0.0
