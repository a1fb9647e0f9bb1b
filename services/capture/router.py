"""Packets to shards: a flow always to the same one, in order, no faster than it takes them."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from services.capture.kernels.route import gather
from services.capture.numbers import NO_NUMBERS, Numbering
from shared.columns import PARSED
from shared.lanes import LaneSender

T = TypeVar("T")
HALF = np.uint64(32)
INPUTS_TOLD = 64  # besides the one that is sent
WAIT_MS = 100  # for a slot, before looking whether it is time to stop


class StoppedError(Exception):
    """Told to stop while waiting for a shard."""


class Router:
    """One open batch a lane.

    should_stop is asked every WAIT_MS while a full lane is waited for; when it says so,
    `StoppedError` is raised.
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
        self._before: dict[str, int] = {}  # up to where inputs before that were sent, newest last
        self._open: list[int | None] = [None] * len(lanes)
        self._fill = [np.zeros(2, np.uint64) for _ in lanes]
        self.held: dict[int, int] = {}  # shards that get older packets now, and the time of those
        self.passed_over: dict[int, int] = {}  # packets that were not routed to them meanwhile
        self.now_ns = 0
        self.waited_s = 0.0
        self.batches = 0

    def route(self, packets: NDArray[np.void], data: NDArray[np.uint8]) -> None:
        """Copy PACKET rows and payload into the batches of their shards; full ones are sent."""
        numbers = self.numbers
        if numbers.name != self._upto[0]:
            self.flush()
            self._note_before(numbers.name)
        for shard in range(len(self.lanes)):
            seen = self.seen[shard].get(numbers.name, -1)
            at = 0 if seen < 0 else numbers.row_behind(seen)
            if shard in self.held:
                self.passed_over[shard] += count_of(packets[at:], shard, len(self.lanes))
            else:
                self.route_to(shard, packets, data, at, numbers)
        self._upto = numbers.name, numbers.upto(packets.size) if numbers.name else 0
        if packets.size:
            # the last packet's time, not the latest: one wrong clock must not make all flows idle
            self.now_ns = int(packets["ts_ns"][-1])

    def _note_before(self, now: str) -> None:
        """Another input is routed from now on. A shard that takes the place of one that was killed
        is told of those before it too, whose last packets may have gone with that one."""
        name, upto = self._upto
        if name:
            self._before.pop(name, 0)
            self._before[name] = upto
        self._before.pop(now, 0)
        while len(self._before) > INPUTS_TOLD:
            del self._before[next(iter(self._before))]

    def route_to(
        self,
        shard: int,
        packets: NDArray[np.void],
        data: NDArray[np.uint8],
        at: int = 0,
        numbers: Numbering = NO_NUMBERS,
    ) -> None:
        """The same for one shard alone, from a row on."""
        lane = self.lanes[shard]
        while at < packets.size:
            slot = lane.slots[self._slot(shard)]
            at = gather(
                packets, at, data, shard, len(self.lanes), slot.rows, slot.payload,
                self._fill[shard],
            )  # fmt: skip
            if at >= packets.size:
                return
            if shard not in self.held:
                self._upto = numbers.name, numbers.upto(at) if numbers.name else 0
            self._send(shard)

    @property
    def open_rows(self) -> int:
        """Packets in batches that were not sent, without those that are sent again."""
        return sum(
            int(fill[0])
            for lane, fill in zip(self.lanes, self._fill, strict=True)
            if not lane.refed
        )

    def hold(self, shard: int) -> None:
        """From now on it gets only what is routed to it alone."""
        self.flush_to(shard)
        self.held[shard] = self.passed_over[shard] = 0

    def release(self, shard: int) -> None:
        self.flush_to(shard)
        del self.held[shard], self.passed_over[shard]

    def flush(self) -> None:
        """Send what is there, full or not."""
        for shard in range(len(self.lanes)):
            self.flush_to(shard)

    def flush_to(self, shard: int) -> None:
        if self._fill[shard][0]:
            self._send(shard)

    def say(self, kind: Literal["tick", "end"]) -> None:
        """Tell every shard. StoppedError when one of them could not be told."""
        untold = 0
        for shard in range(len(self.lanes)):
            try:
                self.say_to(shard, kind)
            except StoppedError:
                untold += 1
        if untold:
            raise StoppedError

    def say_to(self, shard: int, kind: Literal["tick", "end"]) -> None:
        now_ns = self.held.get(shard, self.now_ns)
        self._until(lambda: self.lanes[shard].say(kind, now_ns, WAIT_MS) or None)

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
        is_held = shard in self.held  # what it gets is not what is read now
        now_ns, upto = (self.held[shard], ("", 0)) if is_held else (self.now_ns, self._upto)
        others = {} if is_held else self._before
        self._until(lambda: lane.send(index, rows, octets, now_ns, WAIT_MS, upto, others) or None)
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


def count_of(packets: NDArray[np.void], shard: int, shards: int) -> int:
    """How many packets a shard would get."""
    of_shard = (packets["hash"] >> HALF) * np.uint64(shards) >> HALF == shard  # as `shard_of`
    return int(np.count_nonzero(of_shard & (packets["status"] == PARSED)))
