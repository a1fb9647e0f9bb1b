"""Where shards are over TCP: another process that takes a lost shard's place has another address.

The coordinator is asked now and then, and nothing waits for its answer. A lane whose shard moved
goes on there.
"""

import time
from collections.abc import Sequence

import zmq

from shared.lanes import LaneSender
from shared.schema import Reach, Reply, Request, SchemaError, unpack
from shared.wire import Bus, open_socket

LOOK_S = 0.5


class Whereabouts:
    """Follows the shards of some lanes. Does nothing where a shard's number is its address."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", bus: Bus) -> None:
        self._bus = bus
        self._moving = bus.inline
        self._at: dict[int, Reach | None] = {}
        self._look_at = 0.0
        self._asked = open_socket(context, zmq.DEALER, 4)
        if self._moving:
            bus.connect(self._asked, bus.requests)

    def follow(self, lanes: Sequence[LaneSender]) -> None:
        """These are where the bus knows them to be."""
        self._at = {lane.shard: self._bus.where(lane.shard) for lane in lanes}

    def look(self, lanes: Sequence[LaneSender]) -> None:
        """Hear the last answer, ask again when it is time."""
        if not self._moving:
            return
        self._hear(lanes)
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_S
        try:
            self._asked.send_multipart([b"", Request(op="topology").pack()], zmq.NOBLOCK)
        except zmq.Again:
            pass  # the coordinator is away

    def _hear(self, lanes: Sequence[LaneSender]) -> None:
        while True:
            try:
                _, head = self._asked.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                reply = unpack(Reply, head, "coordinator")
            except SchemaError:
                continue
            self._bus.learn(reply.result.get("shards", ()))
            for lane in lanes:
                where = self._bus.where(lane.shard)
                if self._at.get(lane.shard) != where:
                    self._at[lane.shard] = where
                    lane.move()

    def close(self) -> None:
        self._asked.close(linger=0)
