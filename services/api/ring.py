"""Captured packets of a stream, from the packet ring on disk: looked up and read in threads.

A stream's packets are those of its flow between its first and its last one: the ring knows no
streams, and a flow may have several, one after the other.
"""

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from services.api.packets import record
from services.api.problems import Problem
from shared.columns import EVENT_CLOSE, EVENT_KINDS
from shared.flow_key import Endpoint, FlowKey
from shared.packet_ring import segments
from shared.packet_ring.reading import LateError, Looked, Place, look_up, spans, wire_lengths

PACKETS_MAX = 1 << 20  # of one export
READERS = 2  # threads; others wait their turn
PIECE_BYTES = 1 << 18
TIME_MAX = (1 << 63) - 1
CLOSES = EVENT_KINDS.index("stream_close")

Captured = tuple[int, int, int, int, bytes]  # number, time, link type, length on the wire, frame

assert CLOSES == EVENT_CLOSE


class Kept(NamedTuple):
    """What the ring has of a stream."""

    looked: Looked
    of: int  # packets that the stream has, as the inventory knows

    @property
    def packets(self) -> int:
        return self.looked.packets

    @property
    def first_ns(self) -> int:
        return min(int(place.rows["ts_ns"].min()) for place in self.looked.places)

    @property
    def links(self) -> list[int]:
        """Link types, in the order of the interfaces of a file."""
        return sorted({place.segment.link for place in self.looked.places})


class Ring:
    """The folder of a packet ring; "" = there is none."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._readers = ThreadPoolExecutor(READERS, "packet-ring")

    async def packets_of(self, event: np.void, until: float) -> Kept:
        """Of the stream of this EVENT row. until: loop time. Problem 404 without a ring, 503 when
        the look-up takes too long."""
        if not self.folder:
            raise Problem(
                404, "disabled", "captured packets are not kept", "start with --packet-ring"
            )
        loop = asyncio.get_running_loop()
        deadline = time.monotonic() + until - loop.time()
        try:
            async with asyncio.timeout_at(until):
                looked = await loop.run_in_executor(
                    self._readers, _look_up, self.folder, event, deadline
                )
        except (LateError, TimeoutError):
            raise Problem(
                503,
                "packet_ring_slow",
                "the packet ring could not be searched in time",
                "try again, or give packets=synthesised",
            ) from None
        return Kept(looked, int(event["packets"].sum()))

    async def blocks(self, kept: Kept) -> AsyncIterator[bytes]:
        """The packets as blocks of a pcapng file whose interface i has the link type links[i]."""
        loop, pieces = asyncio.get_running_loop(), blocks_of(kept)
        while piece := await loop.run_in_executor(self._readers, next, pieces, b""):
            yield piece

    def close(self) -> None:
        self._readers.shutdown(wait=False, cancel_futures=True)


def key_of(event: np.void) -> FlowKey:
    """The flow of an EVENT row's stream."""
    ends = []
    for side in "ab":
        halves = (int(event[f"addr_{side}_{half}"]) for half in ("hi", "lo"))
        address = b"".join(half.to_bytes(8, "big") for half in halves)
        ends.append(Endpoint(int(event["family"]), address, int(event[f"port_{side}"])))
    return FlowKey(int(event["proto"]), *ends)


def _look_up(folder: str, event: np.void, deadline: float) -> Looked:
    until = int(event["last_ns"]) if event["kind"] == CLOSES else TIME_MAX
    ring = segments(Path(folder))
    flow = key_of(event).hash()
    return look_up(ring, flow, int(event["first_ns"]), until, PACKETS_MAX, deadline)


def blocks_of(kept: Kept) -> Iterator[bytes]:
    """The packets, a piece of the file at a time."""
    interfaces = {link: i for i, link in enumerate(kept.links)}
    piece, size = [], 0
    for _, ts_ns, link, wirelen, frame in _in_order(kept.looked.places):
        piece.append(record(frame, ts_ns, interfaces[link], wirelen))
        size += len(piece[-1])
        if size >= PIECE_BYTES:
            yield b"".join(piece)
            piece, size = [], 0
    yield b"".join(piece)


def _in_order(places: list[Place]) -> Iterator[Captured]:
    """As captured. The segments of one link type follow each other, those of several overlap."""
    links: dict[int, list[Place]] = {}
    for place in places:
        links.setdefault(place.segment.link, []).append(place)
    return heapq.merge(*map(_packets, links.values()))


def _packets(places: Iterable[Place]) -> Iterator[Captured]:
    for place in places:
        for span in spans(place):
            wirelens = wire_lengths(span).tolist()
            for (number, ts_ns, off, caplen), wirelen in zip(
                span.rows.tolist(), wirelens, strict=True
            ):
                yield number, ts_ns, place.segment.link, wirelen, span.data[off : off + caplen]
