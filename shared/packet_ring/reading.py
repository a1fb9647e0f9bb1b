"""Looking packets up in a ring, by their flow and time, and reading them.

A look-up compares the hash of every packet in the ring: 1 M take a millisecond. Whoever looks gives
a time by which it has to be done, and how many packets are enough. All of it may run while the ring
is written; a segment that is removed meanwhile is passed over.
"""

import os
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.columns import RING_ROW
from shared.packet_ring import (
    ALIAS,
    ALIAS_ROW,
    FRAGMENT,
    FRAME,
    KIND_BITS,
    RECORD_HEADER,
    Segment,
)

STEP = 1 << 20  # hashes that are compared between two looks at the clock
SPAN_BYTES = 1 << 20  # of one read
SPAN_PACKETS = 8192
GAP_BYTES = 16384  # between two packets, which cost more to read than another read
ALIASES_MAX = 4096  # datagrams whose fragments are looked for
FRAGMENT_NS = 30 * 10**9  # a datagram is put together within this time
NESTED_MAX = 3  # a fragmented packet may be in a fragmented tunnel
U64 = np.uint64
Rows = NDArray[np.void]


class Place(NamedTuple):
    """Packets of one segment: (n,) RING_ROW in the order in which they were captured."""

    segment: Segment
    rows: Rows


class Looked(NamedTuple):
    """What was found: its packets by segment, how many are the flow's own (a datagram counts once),
    and whether there is more than was looked for."""

    places: list[Place]
    packets: int
    more: bool


class LateError(Exception):
    """A look-up that took too long."""


def look_up(
    ring: Sequence[Segment], flow: int, since_ns: int, until_ns: int, most: int, deadline: float
) -> Looked:
    """Packets of the flow with this hash and a time in [since_ns, until_ns], fragments included.

    most: packets that are enough. deadline: monotonic time; LateError after it.
    """
    near = [each for each in ring if each.max_ns >= since_ns and each.min_ns <= until_ns]
    frames: dict[int, list[Rows]] = {}
    packets, children = 0, []
    for segment in near:
        found, kinds = _of_flow(segment, flow, deadline)
        inside = (found["ts_ns"] >= since_ns) & (found["ts_ns"] <= until_ns)
        own = found[inside & (kinds == FRAME)][: most - packets]
        packets += own.size
        frames.setdefault(segment.serial, []).append(own)
        children += found[inside & (kinds == ALIAS)].view(ALIAS_ROW).tolist()
        if packets >= most:
            break
    for serial, rows in _fragments(ring, children[:ALIASES_MAX], deadline):
        frames.setdefault(serial, []).append(rows)
    places = [
        Place(segment, _in_order(frames[segment.serial]))
        for segment in ring
        if segment.serial in frames
    ]
    there = [place for place in places if place.rows.size]
    return Looked(there, packets, packets >= most or len(children) > ALIASES_MAX)


def _in_order(pieces: list[Rows]) -> Rows:
    return np.unique(np.concatenate(pieces))


def _fragments(
    ring: Sequence[Segment], children: list[tuple[int, int, int]], deadline: float
) -> Iterator[tuple[int, Rows]]:
    """Fragments of these datagrams: number and time of the packet that completed it, its hash."""
    for _ in range(NESTED_MAX):
        deeper: list[tuple[int, int, int]] = []
        for number, ts_ns, child in children:
            for segment in ring:
                if segment.first > number or segment.max_ns < ts_ns - FRAGMENT_NS:
                    continue
                found, kinds = _of_flow(segment, child, deadline)
                mine = (found["number"] <= number) & (found["ts_ns"] >= ts_ns - FRAGMENT_NS)
                yield segment.serial, found[mine & (kinds == FRAGMENT)]
                deeper += found[mine & (kinds == ALIAS)].view(ALIAS_ROW).tolist()
        children = deeper[:ALIASES_MAX]


def _of_flow(segment: Segment, flow: int, deadline: float) -> tuple[Rows, NDArray[np.uint64]]:
    """Rows of one hash, and what each of them is."""
    try:
        flows, rows = segment.flows(), segment.rows()
    except OSError:
        return np.empty(0, RING_ROW), np.empty(0, U64)
    found, kinds = [], []
    for start in range(0, segment.row_count, STEP):
        if time.monotonic() > deadline:
            raise LateError
        differ = flows[start : start + STEP] ^ U64(flow & ~KIND_BITS)
        at = np.flatnonzero(differ <= KIND_BITS)
        found.append(rows[start + at])
        kinds.append(differ[at])
    return np.concatenate(found), np.concatenate(kinds)


class Span(NamedTuple):
    """Bytes of a segment, and where in them frames lie: (n,) RING_ROW whose `off` counts there."""

    data: bytes
    rows: Rows


def spans(place: Place) -> Iterator[Span]:
    """Read the packets, those that lie near each other at once. What is gone is left out."""
    try:
        descriptor = os.open(place.segment.pcap, os.O_RDONLY)
    except OSError:
        return
    try:
        for rows in _near_each_other(place.rows):
            start = int(rows["off"][0]) - RECORD_HEADER
            stop = int(rows["off"][-1]) + int(rows["caplen"][-1])
            if rows["off"][0] < RECORD_HEADER or stop > place.segment.octets:
                return  # damaged
            data = os.pread(descriptor, stop - start, start)
            if len(data) < stop - start:
                return
            moved = rows.copy()
            moved["off"] -= np.uint32(start)
            yield Span(data, moved)
    finally:
        os.close(descriptor)


def wire_lengths(span: Span) -> NDArray[np.uint32]:
    """(n,) lengths on the wire, from the record headers before the frames."""
    octets = np.frombuffer(span.data, np.uint8)
    at = span.rows["off"].astype(np.int64)[:, None] + np.arange(-4, 0)
    lengths: NDArray[np.uint32] = octets[at].view("<u4")[:, 0]
    return lengths


def _near_each_other(rows: Rows) -> Iterator[Rows]:
    """Cut where a read would be too long, or where there is much between that nobody wants."""
    ends = rows["off"].astype(np.int64) + rows["caplen"]
    breaks = 1 + np.flatnonzero(rows["off"][1:] - ends[:-1] > GAP_BYTES)
    breaks = np.append(breaks, rows.size)
    start = 0
    while start < rows.size:
        reach = int(rows["off"][start]) + SPAN_BYTES
        fits = max(start + 1, int(np.searchsorted(ends, reach, "right")))
        near = int(breaks[np.searchsorted(breaks, start, "right")])
        stop = min(fits, near, start + SPAN_PACKETS)
        yield rows[start:stop]
        start = stop
