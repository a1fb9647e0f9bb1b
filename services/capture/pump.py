"""One packet's way through capture: read, filter, decode, put fragments together, route."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.capture.fragments import Reassembler, reassemble
from services.capture.source import Batch
from shared.columns import DECODE_STATUSES, FRAGMENT_HELD, PACKET
from shared.kernels.headers import decode


class Sink(Protocol):
    """Where decoded packets go."""

    def route(self, packets: NDArray[np.void], data: NDArray[np.uint8]) -> None: ...


class Pump:
    """Takes batches of records; counts what becomes of every packet."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.reassembler = Reassembler()
        self.counts = np.zeros(len(DECODE_STATUSES), np.uint64)
        self.packets = 0
        self.bytes = 0
        self._rows = np.zeros(0, PACKET)

    def take(self, batch: Batch) -> None:
        """Decode one batch and send it on."""
        if not batch.records.size:
            return
        if self._rows.size < batch.records.size:
            self._rows = np.zeros(batch.records.size, PACKET)
        rows, data = self._rows[: batch.records.size], batch.data[: batch.used]
        held_before = int(self.counts[FRAGMENT_HELD])
        decode(data, batch.records, rows, self.counts)
        if int(self.counts[FRAGMENT_HELD]) != held_before:
            data, _ = reassemble(
                data, batch.used, batch.records, rows, self.reassembler, self.counts
            )
        self.packets += batch.records.size
        self.bytes += int(batch.records["wirelen"].sum(dtype=np.uint64))
        self.sink.route(rows, data)

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """What is taken inside was counted before."""
        counts, packets, octets = self.counts.copy(), self.packets, self.bytes
        fragments = replace(self.reassembler.counters)
        yield
        self.counts[:], self.packets, self.bytes = counts, packets, octets
        self.reassembler.counters = fragments

    def stats(self) -> dict[str, int]:
        """Totals by their metric names."""
        decoded = {
            f"decode_{name}": int(n) for name, n in zip(DECODE_STATUSES, self.counts, strict=True)
        }
        counters = vars(self.reassembler.counters)
        fragments = {f"fragments_{name}": int(value) for name, value in counters.items()}
        return {"packets": self.packets, "bytes": self.bytes} | decoded | fragments
