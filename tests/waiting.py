"""Waiting for what another process or thread does."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 60.0  # the first start may have kernels to compile
LOOK_S = 0.01


def eventually(
    condition: Callable[[], Any], seconds: float = PATIENCE_S, told: Callable[[], str] = str
) -> Any:
    """The condition's first true value. told: what is said if there is none in that time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, told() or "it did not happen"
        time.sleep(LOOK_S)
    return value
