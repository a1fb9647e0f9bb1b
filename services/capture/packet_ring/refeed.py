"""Packets read back from the ring for one shard, as when another process takes a lost one's place.

They come in the order of their numbers; those of several link types may swap places within WINDOW
packets, which are those of different flows. All fragments are among them, whoever's they are: only
together they say which shard is theirs.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.capture.source import Batch
from shared.columns import RECORD, RING_ROW
from shared.packet_ring import FRAGMENT, FRAME, KIND_BITS, Segment
from shared.packet_ring.reading import Place, Span, spans, wire_lengths

WINDOW = 4096
CHUNK = 65536  # rows that are looked at together
HALF = np.uint64(32)


class Refed(NamedTuple):
    """Packets as they were captured. numbers: (n,) of the batch's records."""

    numbers: NDArray[np.uint64]
    batch: Batch


def packets_of(
    ring: Iterable[Segment], shards: int, shard: int, start: int, stop: int
) -> Iterator[Refed]:
    """Packets with numbers in [start, stop) that shard `shard` of `shards` gets, and fragments.

    A batch is good until the next one. What the ring has no more is left out, as is what it loses
    meanwhile: whoever asks knows how many there should be.
    """
    links: dict[int, list[Segment]] = {}
    for segment in ring:
        if segment.last >= start and segment.first < stop:
            links.setdefault(segment.link, []).append(segment)
    feeds = [_Feed(each, shards, shard, start, stop) for each in links.values()]
    while feeds := [feed for feed in feeds if feed.next is not None]:
        low = min(feed.next for feed in feeds if feed.next is not None)
        for feed in feeds:
            for place in feed.until(low + WINDOW):
                for span in spans(place):
                    yield _refed(place.segment, span)


def _refed(segment: Segment, span: Span) -> Refed:
    data, rows = np.frombuffer(span.data, np.uint8), span.rows
    records = np.zeros(rows.size, RECORD)
    for name in ("ts_ns", "off", "caplen"):
        records[name] = rows[name]
    records["wirelen"], records["link"] = wire_lengths(span), segment.link
    return Refed(rows["number"], Batch(data, records, data.size))


class _Feed:
    """Rows of one link type, in order. next: number of the next one, None = no more."""

    def __init__(self, ring: list[Segment], shards: int, shard: int, start: int, stop: int) -> None:
        self._wanted = (shards, shard, start, stop)
        self._chunks = self._read(ring)
        self._here = Place(ring[0], np.empty(0, RING_ROW))
        self.next: int | None = None
        self._advance()

    def until(self, limit: int) -> Iterator[Place]:
        """What is below a number."""
        while self.next is not None and self.next < limit:
            segment, rows = self._here
            count = int(np.searchsorted(rows["number"], limit))
            self._here = Place(segment, rows[count:])
            yield Place(segment, rows[:count])
            self._advance()

    def _advance(self) -> None:
        while not self._here.rows.size:
            following = next(self._chunks, None)
            if following is None:
                self.next = None
                return
            self._here = following
        self.next = int(self._here.rows["number"][0])

    def _read(self, ring: list[Segment]) -> Iterator[Place]:
        for segment in ring:
            try:
                flows, rows = segment.flows(), segment.rows()
            except OSError:
                continue  # it made room
            for at in range(0, segment.row_count, CHUNK):
                mine = self._mine(flows[at : at + CHUNK], rows[at : at + CHUNK])
                yield Place(segment, rows[at : at + CHUNK][mine])

    def _mine(self, flows: NDArray[np.uint64], rows: NDArray[np.void]) -> NDArray[np.bool_]:
        shards, shard, start, stop = self._wanted
        kinds = flows & np.uint64(KIND_BITS)
        of_shard = (flows >> HALF) * np.uint64(shards) >> HALF == shard  # as `shard_of`
        wanted = (kinds == FRAGMENT) | ((kinds == FRAME) & of_shard & (flows > KIND_BITS))
        numbers: NDArray[np.uint64] = rows["number"]
        result: NDArray[np.bool_] = wanted & (numbers >= start) & (numbers < stop)
        return result
