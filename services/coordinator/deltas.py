"""The delta log: what changed, in order, for whoever looks on.

Each delta is a map `{cursor, coordinator, kind, ts_us, …}`; cursors count from 1. The log is
bounded in entries and in bytes; the oldest go first. A delta is packed once: the same bytes are
kept, and published to every API that listens. They are kept in memory of their own, one behind the
other: as objects they lay between what messages take and give back, and in a flood the heap grew by
1.9 bytes for each byte of them. Kinds:

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

from shared.memory import zeros

LOG_BYTES_MAX = 16 << 20
REPLY_BYTES_MAX = 1 << 20
IDS_MAX = 256  # stream ids that one delta names
LENGTH = 4  # bytes in front of each delta that is kept: how long it is

Delta = dict[str, Any]


class DeltaLog:
    """capacity: deltas kept. publish: takes each packed delta, at once, and must not wait."""

    def __init__(self, coordinator: str, capacity: int, publish: Callable[[bytes], None]) -> None:
        self.latest = 0
        self.bytes = 0
        self._coordinator, self._capacity, self._publish = coordinator, capacity, publish
        self._memory = zeros(LOG_BYTES_MAX).data
        # where each that is kept begins, and the newest ends: modulo the memory's size
        self._starts: deque[int] = deque()
        self._end = 0

    def __len__(self) -> int:
        return len(self._starts)

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
        self._keep(packed)
        self._publish(packed)

    def _keep(self, packed: bytes) -> None:
        """In place of the oldest ones; in one piece, so perhaps with a hole before it."""
        size, room = LENGTH + len(packed), len(self._memory)
        assert size <= room
        if self._end % room + size > room:
            self._end += room - self._end % room
        start, self._end = self._end, self._end + size
        while self._starts and (
            len(self._starts) >= self._capacity or self._starts[0] < self._end - room
        ):
            self.bytes -= len(self._kept(0))
            self._starts.popleft()
        self._starts.append(start)
        self.bytes += len(packed)
        self._memory[start % room :][:size] = len(packed).to_bytes(LENGTH, "little") + packed

    def _kept(self, place: int) -> memoryview:
        """One of those that are kept, counted from the oldest."""
        at = self._starts[place] % len(self._memory)
        size = int.from_bytes(self._memory[at : at + LENGTH], "little")
        return self._memory[at + LENGTH :][:size]

    def after(self, cursor: int, limit: int) -> Delta:
        """`{cursor, latest, missed, deltas}`: at most `limit` deltas behind `cursor`.

        `cursor` of the answer is where to go on. A cursor that the log no longer, or not yet,
        knows gives `missed` and the latest cursor: everything is to be read anew.
        """
        oldest = self.latest - len(self._starts) + 1
        answer: Delta = {"latest": self.latest, "coordinator": self._coordinator}
        if not oldest - 1 <= cursor <= self.latest:
            return answer | {"cursor": self.latest, "missed": True, "deltas": []}
        deltas: list[Delta] = []
        size = 0
        for position in range(
            cursor - oldest + 1, min(len(self._starts), cursor - oldest + 1 + limit)
        ):
            packed = self._kept(position)
            size += len(packed)
            if deltas and size > REPLY_BYTES_MAX:
                break
            deltas.append(msgpack.unpackb(packed))
        return answer | {"cursor": cursor + len(deltas), "missed": False, "deltas": deltas}
