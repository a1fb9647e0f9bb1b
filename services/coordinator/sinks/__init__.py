"""Where events go besides the inventory, off the critical path.

A sink takes whole arrays of events into a bounded queue and works on them in a thread of its
own. A full queue is back-pressure: the coordinator reads no further events until there is room.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from services.coordinator.sinks.resume import Written


class Sink(Protocol):
    """What the coordinator asks of a sink. written: how far its output is, and what was lost of it,
    by this coordinator and those before; another thread changes it, as a whole."""

    written: Written

    def wait_for_room(self, seconds: float) -> bool:
        """True as soon as events may be put; False when the queue stays full."""
        ...

    def put_events(self, events: NDArray[np.void], picked: NDArray[np.int64]) -> None:
        """EVENT rows, which the sink may keep as they are: nobody changes them; and which of them
        it is told of, in this order."""
        ...

    def put_messages(
        self, messages: NDArray[np.void], ends: NDArray[np.void], text: NDArray[np.uint8]
    ) -> None:
        """MESSAGE rows that ended, who talked, and the text that the rows point into."""
        ...

    def put_matches(
        self,
        matches: NDArray[np.void],
        ends: NDArray[np.void],
        octets: NDArray[np.uint8],
        names: Mapping[int, str],
    ) -> None:
        """MATCH rows that are final, who talked, the bytes that matched, patterns' names by id."""
        ...

    def put_record(self, event: str, body: Mapping[str, Any]) -> None:
        """One of the few events that are no stream's: `health`, `source_status`."""
        ...

    @property
    def is_idle(self) -> bool:
        """Everything that was put is out."""
        ...

    @property
    def trouble(self) -> str:
        """A sentence on why events are being lost; empty while they are not."""
        ...

    def numbers(self) -> dict[str, int]:
        """lines, bytes, errors, waiting_bytes, waiting_bytes_max."""
        ...

    def close(self) -> None:
        """Write what waits, then end."""
        ...
