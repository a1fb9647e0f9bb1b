"""The inventory as dicts and lists, one object a stream, in the plainest Python there is.

The twin of the kernels `merge_events`, `store_previews`, `read_previews` and `find_slots` together.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared.columns import EVENT_OPEN, PREVIEW_BYTES


@dataclass
class Stream:
    number: int
    event: np.void
    owner: tuple[int, int]  # shard and row
    preview: list[bytes] = field(default_factory=lambda: [b"", b""])
    favorite: bool = False


@dataclass
class Inventory:
    capacity: int
    streams: dict[int, Stream] = field(default_factory=dict)  # by id
    binding: dict[tuple[int, int], int] = field(default_factory=dict)  # (shard, row) to id
    numbered: int = 0
    evicted: int = 0
    after_eviction: int = 0
    bad_previews: int = 0
    late_previews: int = 0

    def merge(self, shard: int, events: NDArray[np.void]) -> None:
        for event in events:
            self._enter(shard, event)

    def _enter(self, shard: int, event: np.void) -> None:
        key, stream_id = (shard, int(event["row"])), int(event["stream_id"])
        bound = self.binding.get(key)
        stream = self.streams.get(stream_id)
        if stream is None:
            gone = bound is not None and not self._holds(bound, key)
            if event["kind"] != EVENT_OPEN and gone:
                self.after_eviction += 1
                return
            self._make_room()
            self.numbered += 1
            stream = self.streams[stream_id] = Stream(self.numbered, event, key)
        elif bound != stream_id or stream.owner != key:
            stream.preview = [b"", b""]
        self.binding[key] = stream_id
        stream.event, stream.owner = event, key

    def _holds(self, stream_id: int, key: tuple[int, int]) -> bool:
        return stream_id in self.streams and self.streams[stream_id].owner == key

    def _make_room(self) -> None:
        if len(self.streams) < self.capacity:
            return
        by_age = sorted(self.streams, key=lambda i: self.streams[i].number)
        oldest = next(i for i in by_age if not self.streams[i].favorite)
        del self.streams[oldest]
        self.evicted += 1

    def preview(
        self, shard: int, row: int, side: int, start: int, length: int, off: int, octets: bytes
    ) -> None:
        if side > 1 or start + length > PREVIEW_BYTES or off + length > len(octets):
            self.bad_previews += 1
            return
        bound = self.binding.get((shard, row))
        if bound is None or not self._holds(bound, (shard, row)):
            self.late_previews += 1
            return
        stream = self.streams[bound]
        before = stream.preview[side].ljust(start, b"\0")
        piece = octets[off : off + length]
        stream.preview[side] = before[:start] + piece + before[start + length :]
