"""How a capture begins: what one before it reported, and a lane to each shard."""

import logging
from collections.abc import Callable
from typing import Any

import zmq

from services.capture.resume import ask_shard, remove_lanes
from shared.lanes import LaneSender
from shared.service import Stop
from shared.settings import Settings
from shared.unanswered import Unanswered
from shared.wire import Bus

ASK_MS = 100
# payload of a batch; the longest payload that is not cut. A batch costs each service as much Python
# however long it is: 1.57 GB of bulk took 5.2 s of CPU in batches of 1 MiB and takes 4.4 so
SLOT_BYTES = 2 << 20

Lanes = tuple[list[LaneSender], list[dict[str, int]]]  # and what each shard has of each input


class Meeting:
    """Asks the coordinator until it answers, or `stop` is requested."""

    def __init__(
        self,
        settings: Settings,
        context: "zmq.Context[zmq.Socket[bytes]]",
        bus: Bus,
        stop: Stop,
        log: logging.Logger,
    ) -> None:
        self.settings, self.context, self.bus = settings, context, bus
        self.stop, self.log = stop, log

    def what_was(self) -> list[dict[str, Any]] | None:
        """Sources that a capture before this one reported. None when told to stop before."""
        unanswered = Unanswered(self.log, self.bus.requests)
        while not self.stop.requested:
            if (health := self._ask("health")) is not None:
                return list(health["sources"])
            unanswered.again()
        return None

    def shards(self, capture: str, ring: bool, report: Callable[[], None]) -> Lanes | None:
        """Lanes to all shards once they are there. None when told to stop before. report: said
        again and again meanwhile."""
        while not self.stop.requested:
            report()
            if (topology := self._ask("topology")) is None:
                continue
            shards = topology.get("shards", [])
            known = self.bus.learn(shards)
            ready = sorted(known & {int(shard["index"]) for shard in shards if shard["ready"]})
            is_complete = len(ready) >= int(topology["expected"])
            if is_complete and (lanes := self._connect(ready, capture, ring)) is not None:
                return lanes
            self.stop.wait(0.02)
        return None

    def _ask(self, operation: str) -> dict[str, Any] | None:
        try:
            reply, _ = self.bus.ask(self.context, self.bus.requests, operation, None, ASK_MS)
        except TimeoutError:
            return None
        return dict(reply.result)

    def _connect(self, shards: list[int], capture: str, ring: bool) -> Lanes | None:
        """Make a lane to each shard. None when one did not say how far it is."""
        depth = max(2, self.settings.worker_queue_depth // self.settings.batch_size)
        lanes: list[LaneSender] = []
        seen: list[dict[str, int]] = []
        for shard in shards:
            standing = ask_shard(self.context, self.bus, shard, capture)
            if standing is None:
                for lane in lanes:
                    lane.close()
                return None
            remove_lanes(self.bus, shard)
            seen.append(standing.seen)
            lanes.append(
                LaneSender(
                    self.context,
                    self.bus,
                    shard,
                    rows=self.settings.batch_size,
                    payload=SLOT_BYTES,
                    depth=depth,
                    inline=self.bus.inline or self.settings.transport == "inline",
                    capture=capture,
                    rows_before=standing.rows,
                    ring=ring,
                )
            )
        return lanes, seen
