"""Tells once that somebody has not answered for long: who is away, or refuses, is silent."""

import logging
import time

TELL_AFTER_S = 10.0


class Unanswered:
    """Of one address, since now."""

    def __init__(self, log: logging.Logger, address: str) -> None:
        self._log, self._address = log, address
        self._tell_at = time.monotonic() + TELL_AFTER_S

    def again(self) -> None:
        """There was no answer this time either."""
        if time.monotonic() >= self._tell_at:
            self._tell_at = float("inf")
            self._log.warning(
                "%s does not answer, trying on; flowmate doctor may know why", self._address
            )
