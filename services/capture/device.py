"""What an interface is once it is open, whoever opened it: libpcap, or the ring."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from services.capture.source import Batch


class Seen(NamedTuple):
    """What the system counted on a device since it was opened, packets."""

    passed: int  # by the filter, with those that were dropped then
    dropped_kernel: int  # its buffer was full
    dropped_interface: int  # by the interface or its driver


class Device(Protocol):
    """An interface that is open."""

    def read(self) -> Batch:
        """What is there now; good until the next read. OSError: it went down or away."""
        ...

    def fileno(self) -> int:
        """Readable when there is something."""
        ...

    def has_more(self) -> bool:
        """Whether the next read is known to find something."""
        ...

    def seen(self) -> Seen: ...

    def close(self) -> None: ...


class Growing:
    """Counters of 32 bits that only grow, as numbers that do not wrap."""

    def __init__(self, count: int) -> None:
        self._last = [0] * count
        self._total = [0] * count

    def take(self, values: Sequence[int]) -> list[int]:
        """What they are now; must be called before one has grown by 2^32."""
        for i, value in enumerate(values):
            self._total[i] += (value - self._last[i]) & 0xFFFFFFFF
            self._last[i] = value
        return self._total
