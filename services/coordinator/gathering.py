"""How many shards a run has when nobody said: as many as ask for a number.

A run cannot grow later, since the number of shards says where each flow goes and what each may
retain. So shards are counted until none has come for SETTLE_S; who comes after that waits until a
number is free.
"""

SETTLE_S = 3.0


class Gathering:
    """Counts shards before they get their numbers. now, grace_s: seconds, monotonic; how long the
    first may take."""

    def __init__(self, now: float, grace_s: float) -> None:
        self._asked: set[str] = set()
        self._changed_at, self._grace_s = now, grace_s

    def ask(self, instance: str, now: float) -> int:
        """Note one that asks; returns how many there are once they are all there, 0 before."""
        if instance not in self._asked:
            self._asked.add(instance)
            self._changed_at = now
        return len(self._asked) if now - self._changed_at >= SETTLE_S else 0

    def is_lonely(self, now: float) -> bool:
        """Nobody came in time."""
        return not self._asked and now - self._changed_at > self._grace_s
