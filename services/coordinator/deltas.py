"""The delta log: what changed, in order, for whoever looks on.

Each delta is a map `{cursor, coordinator, kind, ts_us, …}`; cursors count from 1. The log is
bounded in entries and in bytes; the oldest go first. A delta is packed once: the same bytes are
kept, and published to every API that listens. Kinds:

    stats    totals, rates, drops, queues: once per health interval
    streams  count (rows that changed), ids (hex, of the newest IDS_MAX of them), total, numbered:
             when count is more than the ids, or a row is not on the page, list the page again
    matches  count (streams whose matches changed), ids (of the newest of them), pattern_ids
    messages count (messages that parsers found since the last of these), total
    state    what (favorite, hidden, comment, tags, rule, pattern, profile), action (changed, added,
             removed), stream_id_hex or id, what holds now in a field called as `what` says; each at
             once, when anybody changes it
    status   status, run_status, and reason: a sentence on what changed
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgpack

LOG_BYTES_MAX = 16 << 20
REPLY_BYTES_MAX = 1 << 20
IDS_MAX = 256  # stream ids that one delta names

Delta = dict[str, Any]


class DeltaLog:
    """capacity: deltas kept. publish: takes each packed delta, at once, and must not wait."""

    def __init__(self, coordinator: str, capacity: int, publish: Callable[[bytes], None]) -> None:
        self.latest = 0
        self.bytes = 0
        self._coordinator, self._capacity, self._publish = coordinator, capacity, publish
        self._packed: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._packed)

    def append(self, kind: str, body: Delta) -> None:
        """Add one delta and publish it."""
        self.latest += 1
        head = {
            "cursor": self.latest,
            "coordinator": self._coordinator,
            "kind": kind,
            "ts_us": time.time_ns() // 1000,
        }
        assert not head.keys() & body.keys()
        packed = bytes(msgpack.packb(head | body, use_bin_type=True))
        self._packed.append(packed)
        self.bytes += len(packed)
        while len(self._packed) > self._capacity or self.bytes > LOG_BYTES_MAX:
            self.bytes -= len(self._packed.popleft())
        self._publish(packed)

    def after(self, cursor: int, limit: int) -> Delta:
        """`{cursor, latest, missed, deltas}`: at most `limit` deltas behind `cursor`.

        `cursor` of the answer is where to go on. A cursor that the log no longer, or not yet,
        knows gives `missed` and the latest cursor: everything is to be read anew.
        """
        oldest = self.latest - len(self._packed) + 1
        answer: Delta = {"latest": self.latest, "coordinator": self._coordinator}
        if not oldest - 1 <= cursor <= self.latest:
            return answer | {"cursor": self.latest, "missed": True, "deltas": []}
        deltas: list[Delta] = []
        size = 0
        for position in range(
            cursor - oldest + 1, min(len(self._packed), cursor - oldest + 1 + limit)
        ):
            packed = self._packed[position]
            size += len(packed)
            if deltas and size > REPLY_BYTES_MAX:
                break
            deltas.append(msgpack.unpackb(packed))
        return answer | {"cursor": cursor + len(deltas), "missed": False, "deltas": deltas}
