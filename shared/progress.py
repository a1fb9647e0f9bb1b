"""The progress bar on a terminal: packets, %, packets/s, ETA. In a pipe nothing is drawn."""

import shutil
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from shared.figures import count, duration, rate

CLEAR = "\r\x1b[K"
BAR_CELLS = 20
SETTLE_S = 1.0  # before this an estimate of the rest is a guess; before half of it one of the rate


class Progress:
    """Draws one line on `stream`, over and over.

    clock: seconds, monotonic.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream = stream
        self.drawn = False
        self._clock = clock
        self._started: float | None = None

    def update(self, health: Mapping[str, Any]) -> None:
        """Draw what the coordinator's health says."""
        if not self.stream.isatty() or health.get("run_status") != "running":
            return
        if self._started is None:
            self._started = self._clock()
        elapsed = self._clock() - self._started
        columns = shutil.get_terminal_size().columns
        self.stream.write(CLEAR + line(health, elapsed)[: columns - 1])
        self.stream.flush()
        self.drawn = True

    def clear(self) -> None:
        """Leave the line empty for whoever writes next."""
        if self.drawn:
            self.stream.write(CLEAR)
            self.stream.flush()
            self.drawn = False


def fraction(health: Mapping[str, Any]) -> float | None:
    """How much of the input is read, 0 to 1; None when a source has no known size."""
    sources = health.get("sources", [])
    sizes = [source.get("size", 0) for source in sources]
    if not sizes or not all(sizes):
        return None
    done = sum(min(source.get("position", 0), source["size"]) for source in sources)
    return float(done / sum(sizes))


def line(health: Mapping[str, Any], elapsed: float) -> str:
    """`██████░░░░  61%  1,203,456 packets  1.1 M packets/s  ETA 3.2 s`."""
    packets = health.get("totals", {}).get("packets", 0)
    parts = [f"{count(packets)} packets"]
    if elapsed >= SETTLE_S / 2:
        parts.append(f"{rate(packets / elapsed)} packets/s")
    done = fraction(health)
    if done is None:
        return "  ".join(["reading", *parts])
    full = round(done * BAR_CELLS)
    bar = "█" * full + "░" * (BAR_CELLS - full)
    if done > 0 and elapsed >= SETTLE_S:
        parts.append(f"ETA {duration(elapsed * (1 - done) / done)}")
    return "  ".join([f"{bar} {done:4.0%}", *parts])
