"""What a source of packets is: the contract between whatever reads and whatever takes batches.

1. `read()` gives the next batch, in the order of the input; its arrays belong to the source and
   are good until the next `read()`. It never waits.
2. A batch of no records means that nothing is there now. None means the end, and stays None.
3. When to ask again: at once where `due()` has passed, else when one of `descriptors()` is
   readable or `due()` comes. Both may change with each `read()`.
4. Damage is data: it is counted in `state.damaged`, and the first few are kept in
   `state.problems` with their offset and reason. `read()` raises nothing because of its input.
"""

import time
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from shared.columns import RECORD

BATCH_PACKETS = 8192
BATCH_BYTES = 1 << 20
PROBLEMS_KEPT = 16

Status = Literal["waiting", "reading", "done", "failed"]


class Batch(NamedTuple):
    """Packets in input order; `record.off` counts from `data[0]`."""

    data: NDArray[np.uint8]  # the batch's bytes are data[:used]
    records: NDArray[np.void]  # (n,) RECORD
    used: int


EMPTY_BATCH = Batch(np.empty(0, np.uint8), np.empty(0, RECORD), 0)


class Problem(NamedTuple):
    """A place in an input that could not be read."""

    offset: int  # bytes from its start, after decompression
    reason: str


@dataclass
class SourceState:
    """How far one source is. Counters only grow."""

    name: str  # the path, interface or address as the user gave it
    kind: str  # file, stdin, watch, live, over_ip
    status: Status = "waiting"
    format: str = ""  # such as "pcapng" or "pcap, gzip"; "" until it is known
    packets: int = 0
    bytes: int = 0  # captured
    is_open_ended: bool = False  # may go on for ever: it is read beside others, not before them
    is_live: bool = False  # its packets are captured here and now
    trouble: str = ""  # why it waits or what it lacks at this moment, a sentence
    position: int = 0  # bytes of input taken so far, as stored (compressed)
    size: int = 0  # bytes of input; 0 = not known
    # For sources of many inputs, which can be read again and have the same packets then: the input
    # of the newest batch, its packets up to the end of that batch, and those of it that a capture
    # service before this one had reported.
    input: str = ""
    upto: int = 0
    reported: int = 0
    dropped_kernel: int = 0  # packets; the system's buffer was full
    dropped_interface: int = 0  # packets, by the interface or its driver
    dropped_ours: int = 0  # packets that the system still had when the end was wanted
    last_drop_us: int = 0  # when the last of them were noticed, since the epoch; 0 = never
    damaged: int = 0  # records, blocks or whole inputs that could not be read
    problems: list[Problem] = field(default_factory=list)  # the first of them
    link_types: set[int] = field(default_factory=set)

    def drop(self, kernel: int, interface: int) -> None:
        """Note totals of what was dropped before it could be read."""
        if (kernel, interface) != (self.dropped_kernel, self.dropped_interface):
            self.last_drop_us = time.time_ns() // 1000
        self.dropped_kernel, self.dropped_interface = kernel, interface

    def report(self, offset: int, reason: str, count: int = 1) -> None:
        """Count damage, and keep its place and reason while there is room."""
        self.damaged += count
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(Problem(offset, reason))

    def end(self) -> None:
        """Done; or failed, if it was damaged and not one packet could be read."""
        self.status = "failed" if self.damaged and not self.packets else "done"


class PacketSource(Protocol):
    """Anything that gives packets."""

    state: SourceState

    def read(self) -> Batch | None:
        """The next batch; one without records if nothing is there now; None at the end."""
        ...

    def descriptors(self) -> list[int]:
        """File descriptors that become readable when `read()` has something to do."""
        ...

    def due(self) -> float:
        """time.monotonic() at which `read()` has something to do all the same; inf = never."""
        ...

    def held(self) -> bool:
        """Whether something came that is still to be read before the source is closed."""
        ...

    def close(self) -> None:
        """Let go of files and memory; `read()` gives None from here on."""
        ...
