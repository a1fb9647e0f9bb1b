"""What a shard tells the coordinator: events in their order, and with each message all numbers."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import zmq

from services.shard.progress import Progress
from shared.batch import EventBatch
from shared.schema import EventsHeader
from shared.service import Stop

FAREWELL_S = 2.0  # after a signal, for the last events to be taken
ROOM_MS = 20  # to wait for room in the coordinator's queue, between two looks at what else there is
NOTHING = EventBatch()


class Telling:
    """One shard's messages of events.

    now_ns: packet time. stats: totals and gauges. meanwhile: called while the coordinator's queue
    is full; says whether it has more to do.
    """

    def __init__(
        self,
        events: "zmq.Socket[bytes]",
        shard: int,
        instance: str,
        progress: Progress,
        now_ns: Callable[[], int],
        stats: Callable[[], dict[str, int]],
        meanwhile: Callable[[], bool],
        stop: Stop,
    ) -> None:
        self._events, self._shard, self._instance = events, shard, instance
        self._progress, self._now_ns, self._stats = progress, now_ns, stats
        self._meanwhile, self._stop = meanwhile, stop
        self.seq = 0  # of the next message
        self.lines = 0
        self._told = progress.taken  # of it, what the coordinator was told last
        self._is_again = False
        self._leave_by = float("inf")

    def tell(self, told: EventBatch) -> None:
        """Takes what changed, as `Worker` has it."""
        if not self._is_again:
            self.lines += told.lines
        self._send("events", told)

    def end(self) -> None:
        """Nothing more comes."""
        self._send("end")

    def catch_up(self, ended: bool) -> None:
        """Packets of which there was nothing to tell are told of, where there is room."""
        if self._told != self._progress.taken and self._events.poll(0, zmq.POLLOUT):
            self._send("end" if ended else "events")

    @contextmanager
    def again(self) -> Iterator[None]:
        """While streams are told that were told before: no lines are to be written of them."""
        self._is_again = True
        yield
        self._is_again = False

    @property
    def is_late(self) -> bool:
        """Whether a signal asked for the end and FAREWELL_S have gone: nobody may be reading."""
        if self._stop.requested:
            self._leave_by = min(self._leave_by, time.monotonic() + FAREWELL_S)
        return time.monotonic() > self._leave_by

    def close(self) -> None:
        self._events.close(linger=500)

    def _header(self, kind: Literal["events", "end"], told: EventBatch) -> bytes:
        self._told = self._progress.taken
        counts: dict[str, Any] = told.counts()
        return EventsHeader(
            kind=kind,
            seq=self.seq,
            shard=self._shard,
            instance=self._instance,
            snapshot=self._is_again,
            **counts,
            now_ns=self._now_ns(),
            stats=self._stats(),
            seen=self._progress.news(),
            rows=self._told,
        ).pack()

    def _send(self, kind: Literal["events", "end"], told: EventBatch = NOTHING) -> None:
        """Wait for room in the coordinator's queue."""
        frames, wait_ms = [self._header(kind, told), *told.frames()], ROOM_MS
        while not self.is_late:
            try:
                self._events.send_multipart(frames, zmq.NOBLOCK)
            except zmq.Again:
                if not self._events.poll(wait_ms, zmq.POLLOUT):
                    wait_ms = 0 if self._meanwhile() else ROOM_MS
                continue
            self.seq += 1
            return
