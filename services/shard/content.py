"""Reading the content log: what is retained of a stream, and windows of one direction."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.shard.kernels.content import list_extents
from services.shard.tables import Tables
from shared.columns import CLOSE_SENT, LIVE

FIRST_GUESS = 4096  # extents of a stream; more are listed in a second go


class NotRetainedError(LookupError):
    """The shard has no such stream any more, or keeps no content."""


@dataclass(frozen=True)
class Extents:
    """What is retained of one direction, ordered by logical offset. One row an extent."""

    starts: NDArray[np.int64]  # logical offsets
    lengths: NDArray[np.int64]
    places: NDArray[np.int64]  # byte index in the rings
    times: NDArray[np.int64]  # ns, of the extent's first packet
    retained: tuple[int, int]  # bytes by direction


@dataclass(frozen=True)
class Window:
    """A window of one direction: bytes of its segments, and the holes between."""

    start: int
    stop: int
    end_of_stream: int
    segments: list[tuple[int, int]]
    gaps: list[tuple[int, int]]
    data: bytes
    retained: tuple[int, int] | None = None  # bytes of the stream by direction, where it was listed


class ContentReader:
    """Looks streams up by table row and id; a row that went to another stream is not retained."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def check(self, row: int, stream_id: int) -> None:
        """NotRetainedError unless the row still is that stream."""
        flows = self.tables.flows
        if row >= flows.size or int(flows[row]["stream_id"]) != stream_id:
            raise NotRetainedError("evicted")
        if not flows[row]["marks"] & (LIVE | CLOSE_SENT):
            raise NotRetainedError("evicted")

    def emitted(self, row: int, direction: int) -> int:
        """The next logical offset of a direction."""
        return int(self.tables.dirs[2 * row + direction]["offset"])

    def extents(self, row: int, direction: int) -> Extents:
        """List the retained extents of one direction."""
        tables, room = self.tables, FIRST_GUESS
        while True:
            columns = [np.empty(room, np.uint64) for _ in range(3)]
            times, retained = np.empty(room, np.int64), np.zeros(2, np.uint64)
            count = list_extents(
                tables.columns, row, direction, columns[0], columns[1], columns[2], times, retained
            )
            if count <= room:
                break
            room = count
        starts, lengths, places = (column[:count].astype(np.int64) for column in columns)
        order = np.argsort(starts, kind="stable")
        return Extents(
            starts[order], lengths[order], places[order], times[:count][order],
            (int(retained[0]), int(retained[1])),
        )  # fmt: skip

    def window(self, row: int, direction: int, start: int, length: int) -> Window:
        """The retained bytes of [start, start + length) below the end of the stream."""
        end = self.emitted(row, direction)
        stop = max(start, min(start + length, end))
        if stop == start or not self.tables.retains:
            return Window(start, stop, end, [], [(start, stop)] if stop > start else [], b"")
        found = self.extents(row, direction)
        segments = joined(found, start, stop)
        data = b"".join(self.pieces(found, start, stop))
        gaps = holes(segments, start, stop)
        return Window(start, stop, end, segments, gaps, data, found.retained)

    def pieces(self, found: Extents, start: int, stop: int) -> Iterator[bytes]:
        """What is retained of [start, stop), piece by piece."""
        first = int(np.searchsorted(found.starts, start, "right")) - 1
        for i in range(max(0, first), found.starts.size):
            begin = int(found.starts[i])
            if begin >= stop:
                return
            low, high = max(start, begin), min(stop, begin + int(found.lengths[i]))
            if low < high:
                at = int(found.places[i]) + low - begin
                yield self.tables.ring8[at : at + high - low].tobytes()


def joined(found: Extents, start: int, stop: int) -> list[tuple[int, int]]:
    """The retained segments of [start, stop); what follows without a hole is one."""
    lows = np.maximum(found.starts, start)
    highs = np.minimum(found.starts + found.lengths, stop)
    there = lows < highs
    lows, highs = lows[there], highs[there]
    cuts = np.flatnonzero(highs[:-1] != lows[1:]) + 1
    begins, ends = np.append(0, cuts), np.append(cuts, lows.size) - 1
    return list(zip(lows[begins].tolist(), highs[ends].tolist(), strict=True)) if lows.size else []


def holes(segments: list[tuple[int, int]], start: int, stop: int) -> list[tuple[int, int]]:
    """What sorted, disjoint segments leave open of [start, stop)."""
    result, at = [], start
    for low, high in segments:
        if low > at:
            result.append((at, low))
        at = high
    if at < stop:
        result.append((at, stop))
    return result
