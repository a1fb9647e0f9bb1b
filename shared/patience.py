"""When a service that died is started again: soon, then later, and not for ever."""

from collections import deque

PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # before the first start of a minute, the second, ...
MINUTE_S = 60.0


class Patience:
    """The deaths of one service within the last minute."""

    def __init__(self) -> None:
        self._deaths: deque[float] = deque()

    def next_start(self, now: float) -> float | None:
        """It died: when to start it again; None when that was too often. now: seconds."""
        while self._deaths and self._deaths[0] < now - MINUTE_S:
            self._deaths.popleft()
        if len(self._deaths) == len(PAUSES_S):
            return None
        self._deaths.append(now)
        return now + PAUSES_S[len(self._deaths) - 1]
