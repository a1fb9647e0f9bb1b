"""Packets to shards: a flow always to the same one, in order, no faster than it takes them."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from services.capture.kernels.route import gather
from services.capture.numbers import NO_NUMBERS
from shared.lanes import LaneSender

T = TypeVar("T")
WAIT_MS = 100  # for a slot, before looking whether it is time to stop


class StoppedError(Exception):
    """Told to stop while waiting for a shard."""


class Router:
    """One open batch a lane.

    should_stop is asked while a full lane is waited for; `StoppedError` is raised when it says so.
    seen: what each shard has of each input already; that is not sent. numbers: of the packets that
    are routed next. A batch has packets of one input.
    """

    def __init__(
        self,
        lanes: list[LaneSender],
        should_stop: Callable[[], bool],
        seen: Sequence[Mapping[str, int]] = (),
    ) -> None:
        self.lanes, self.should_stop = lanes, should_stop
        self.seen = seen or [{} for _ in lanes]
        self.numbers = NO_NUMBERS
        self._upto: tuple[str, int] = ("", 0)
        self._open: list[int | None] = [None] * len(lanes)
        self._fill = [np.zeros(2, np.uint64) for _ in lanes]
        self.now_ns = 0
        self.waited_s = 0.0
        self.batches = 0

    def route(self, packets: NDArray[np.void], data: NDArray[np.uint8]) -> None:
        """Copy PACKET rows and payload into the batches of their shards; full ones are sent."""
        numbers = self.numbers
        if numbers.name != self._upto[0]:
            self.flush()
        for shard, lane in enumerate(self.lanes):
            seen = self.seen[shard].get(numbers.name, -1)
            at = 0 if seen < 0 else numbers.row_behind(seen)
            while at < packets.size:
                index = self._slot(shard)
                slot = lane.slots[index]
                at = gather(
                    packets, at, data, shard, len(self.lanes), slot.rows, slot.payload,
                    self._fill[shard],
                )  # fmt: skip
                if at >= packets.size:
                    break
                self._upto = numbers.name, numbers.upto(at) if numbers.name else 0
                self._send(shard)
        self._upto = numbers.name, numbers.upto(packets.size) if numbers.name else 0
        if packets.size:
            # the last packet's time, not the latest: one wrong clock must not make all flows idle
            self.now_ns = int(packets["ts_ns"][-1])

    def flush(self) -> None:
        """Send what is there, full or not."""
        for shard, fill in enumerate(self._fill):
            if fill[0]:
                self._send(shard)

    def say(self, kind: Literal["tick", "end"]) -> None:
        """Tell every shard. StoppedError when one of them could not be told."""
        untold = 0
        for lane in self.lanes:
            try:
                self._until(partial(self._say, lane, kind))
            except StoppedError:
                untold += 1
        if untold:
            raise StoppedError

    def _say(self, lane: LaneSender, kind: Literal["tick", "end"]) -> bool | None:
        return lane.say(kind, self.now_ns, WAIT_MS) or None

    def _slot(self, shard: int) -> int:
        index = self._open[shard]
        if index is None:
            lane = self.lanes[shard]
            index = lane.acquire(0)
            if index is None:
                index = self._until(lambda: lane.acquire(WAIT_MS))
            self._open[shard] = index
            self._fill[shard][:] = 0
        return index

    def _send(self, shard: int) -> None:
        index, fill = self._slot(shard), self._fill[shard]
        lane = self.lanes[shard]
        rows, octets = int(fill[0]), int(fill[1])
        self._until(
            lambda: lane.send(index, rows, octets, self.now_ns, WAIT_MS, self._upto) or None
        )
        self._open[shard] = None
        fill[:] = 0
        self.batches += 1

    def _until(self, attempt: Callable[[], T | None]) -> T:
        """Try until it works; the time it takes is back-pressure, and told as such."""
        began = time.monotonic()
        while (result := attempt()) is None:
            if self.should_stop():
                raise StoppedError
        self.waited_s += time.monotonic() - began
        return result
