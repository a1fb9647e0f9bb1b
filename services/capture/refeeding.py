"""What a lost shard had of the packets that are in the ring is given to the one in its place.

Its lane is *held*: new packets for it only go into the ring, and from there it gets all that the
ring has of its flows, a few batches between two batches of the reader, until it has caught up. So
each flow's packets arrive in their order, and nobody else waits. What the lost shard was sent
before is marked as refed: it was counted and told already. What comes after that is as ever.
"""

import logging
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from services.capture.packet_ring.refeed import Refed, packets_of
from services.capture.packet_ring.ring import PacketRing
from services.capture.pump import Pump
from services.capture.router import Router, count_of

STEP_BATCHES = 4

log = logging.getLogger(__name__)


class _Held:
    """A lane that is fed from the ring: the sink of its packets. had: what was sent on it before;
    upto: number of the first packet that `feed` does not give."""

    def __init__(self, router: Router, shard: int, had: int, upto: int) -> None:
        self.router, self.shard, self.had, self.upto = router, shard, had, upto
        self.feed: Iterator[Refed] = iter(())
        self.is_new = False  # past what the lost shard was sent
        self.sent = 0
        self.pump = Pump(self)

    def route(self, packets: NDArray[np.void], data: NDArray[np.uint8]) -> None:
        self.router.route_to(self.shard, packets, data)
        self.router.held[self.shard] = int(packets["ts_ns"][-1])
        self.sent += count_of(packets, self.shard, len(self.router.lanes))


class Refeeding:
    """Feeds shards again. refed: packets; not_refed: those that were sent to a lost shard and that
    the ring had no more; dropped: new ones that it did not keep while their lane was held."""

    def __init__(self, ring: PacketRing | None, router: Router) -> None:
        self.ring, self.router = ring, router
        self.refed = self.not_refed = self.dropped = 0
        self._held: dict[int, _Held] = {}
        self._heard: dict[int, str] = {}  # processes that said that they wait, by shard
        self._begun: set[int] = set()

    def step(self) -> bool:
        """Feed each shard that waits a little; whether one has not caught up. StoppedError as the
        router's."""
        if self.ring is None:
            return False
        for shard, lane in enumerate(self.router.lanes):
            if (process := lane.hear()) and self._heard.get(shard) != process:
                self._heard[shard] = process
                self.begin(shard, lane.rows_sent)
        for held in list(self._held.values()):
            self._feed(held)
        return bool(self._held)

    def finish(self) -> set[int]:
        """Feed all that wait until they have caught up; which ones they were."""
        self._begun = set(self._held)
        while self.step():
            pass
        return self._begun

    def say_end_again(self, shards: set[int]) -> None:
        """Tell them the end, which the lost ones were told."""
        for shard in shards:
            self.router.lanes[shard].mark_refed(True)
            self.router.say_to(shard, "end")
            self.router.lanes[shard].mark_refed(False)

    def begin(self, shard: int, had: int) -> None:
        """Another process has this shard's place. had: packets that were sent to the lost one."""
        assert self.ring is not None
        if (before := self._held.pop(shard, None)) is not None:
            self._release(before)
        log.warning("shard %d is another process: it gets what the packet ring has for it", shard)
        self.router.hold(shard)
        self.router.lanes[shard].mark_refed(True)
        self.router.say_to(shard, "tick")
        self._begun.add(shard)
        held = self._held[shard] = _Held(self.router, shard, had, self.ring.next_number)
        held.feed = self._packets(held, 0)

    @property
    def open_rows(self) -> int:
        """New packets that lanes which are held have not been fed yet."""
        return sum(
            max(0, self.router.passed_over[shard] - (held.sent if held.is_new else 0))
            for shard, held in self._held.items()
        )

    def stats(self) -> dict[str, int]:
        if self.ring is None:
            return {}
        return {
            "refed_packets": self.refed,
            "not_refed_packets": self.not_refed,
            "dropped_refeed": self.dropped,
        }

    def _feed(self, held: _Held) -> None:
        for _ in range(STEP_BATCHES):
            if (packets := next(held.feed, None)) is not None:
                held.pump.take(packets.batch)
            elif not self._goes_on(held):
                return

    def _goes_on(self, held: _Held) -> bool:
        """What was asked of the ring is fed: ask for what came meanwhile; nothing did, release."""
        assert self.ring is not None
        if not held.is_new:
            self._pass(held)
        elif held.upto == self.ring.next_number:
            del self._held[held.shard]
            self._release(held)
            return False
        start, held.upto = held.upto, self.ring.next_number
        held.feed = self._packets(held, start)
        return True

    def _packets(self, held: _Held, start: int) -> Iterator[Refed]:
        assert self.ring is not None
        there = self.ring.flush()
        return packets_of(there, len(self.router.lanes), held.shard, start, held.upto)

    def _pass(self, held: _Held) -> None:
        """All that the lost shard was sent is fed."""
        self.router.flush_to(held.shard)
        self.router.lanes[held.shard].mark_refed(False)
        self.refed += held.sent
        self.not_refed += max(0, held.had - held.sent)
        held.is_new, held.sent = True, 0

    def _release(self, held: _Held) -> None:
        if not held.is_new:
            self._pass(held)
        self.dropped += max(0, self.router.passed_over[held.shard] - held.sent)
        self.router.release(held.shard)
