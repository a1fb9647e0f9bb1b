"""One packet's way through capture: read, filter, decode, put fragments together, keep, route."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.capture.fragments import Joined, Reassembler, reassemble
from services.capture.numbers import NO_NUMBERS
from services.capture.packet_ring.ring import PacketRing
from services.capture.source import Batch
from shared.columns import DECODE_STATUSES, FRAGMENT_HELD, PACKET
from shared.kernels.headers import decode


class Sink(Protocol):
    """Where decoded packets go."""

    def route(self, packets: NDArray[np.void], data: NDArray[np.uint8]) -> None: ...


class Pump:
    """Takes batches of records; counts what becomes of every packet. ring: where they are kept."""

    def __init__(self, sink: Sink, ring: PacketRing | None = None) -> None:
        self.sink, self.ring = sink, ring
        self.numbers = NO_NUMBERS  # of the packets that are taken next
        self.reassembler = Reassembler()
        self.counts = np.zeros(len(DECODE_STATUSES), np.uint64)
        self.packets = 0
        self.bytes = 0
        self.is_busy = False  # some of what is counted may not have reached the sink
        self._rows = np.zeros(0, PACKET)
        self._stats: dict[str, int] | None = None  # what is told while nothing is counted

    def take(self, batch: Batch) -> None:
        """Decode one batch and send it on."""
        if not batch.records.size:
            return
        if self._rows.size < batch.records.size:
            self._rows = np.zeros(batch.records.size, PACKET)
        rows, data = self._rows[: batch.records.size], batch.data[: batch.used]
        self.is_busy = True
        held_before = int(self.counts[FRAGMENT_HELD])
        joined: list[Joined] = []
        decode(data, batch.records, rows, self.counts)
        if int(self.counts[FRAGMENT_HELD]) != held_before:
            data, _ = reassemble(
                data, batch.used, batch.records, rows, self.reassembler, self.counts, joined
            )
        if self.ring is not None:
            self.ring.take(batch, rows, joined, self.numbers)
        self.packets += batch.records.size
        self.bytes += int(batch.records["wirelen"].sum(dtype=np.uint64))
        try:
            self.sink.route(rows, data)
        finally:
            self.is_busy = False

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """What is taken inside was counted before."""
        counts, packets, octets = self.counts.copy(), self.packets, self.bytes
        fragments = replace(self.reassembler.counters)
        self._stats = self.stats()
        try:
            yield
        finally:
            self.counts[:], self.packets, self.bytes = counts, packets, octets
            self.reassembler.counters = fragments
            self._stats = None

    def stats(self) -> dict[str, int]:
        """Totals by their metric names."""
        if self._stats is not None:
            return self._stats
        decoded = {
            f"decode_{name}": int(n) for name, n in zip(DECODE_STATUSES, self.counts, strict=True)
        }
        counters = vars(self.reassembler.counters)
        fragments = {f"fragments_{name}": int(value) for name, value in counters.items()}
        kept = {} if self.ring is None else self.ring.stats()
        return {"packets": self.packets, "bytes": self.bytes} | decoded | fragments | kept
