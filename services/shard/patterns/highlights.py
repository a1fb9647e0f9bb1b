"""Matches for who looks on: those in a window of content, and pages of a stream's."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.shard.content import ContentReader, Window
from services.shard.patterns.engine import PatternEngine
from shared.columns import MATCH_BYTES


class Highlight(NamedTuple):
    """A match clipped to a segment of a window: logical offsets, and which segment."""

    pattern: int
    start: int
    end: int
    segment: int


def highlights(
    engine: PatternEngine, row: int, direction: int, window: Window
) -> tuple[list[Highlight], int]:
    """In the order in which they begin, and how many were left out at the bound."""
    most = engine.tables.settings.max_stream_slice_highlights
    found: list[Highlight] = []
    matches = engine.matches_of(row)
    matches = matches[matches["dir"] == direction]
    starts, ends = matches["start"].astype(np.int64), matches["end"].astype(np.int64)
    for number, (low, high) in enumerate(window.segments):
        inside = np.flatnonzero((ends > low) & (starts < high))
        found += [
            Highlight(
                int(matches[i]["pattern"]), max(low, int(starts[i])), min(high, int(ends[i])),
                number,
            )
            for i in inside
        ]  # fmt: skip
    found.sort(key=lambda one: (one.start, one.end, one.pattern))
    return found[:most], max(0, len(found) - most)


def match_page(
    engine: PatternEngine, reader: ContentReader, row: int, after: int, limit: int
) -> tuple[NDArray[np.void], bytes, int]:
    """MATCH rows of a stream behind the first `after`, their bytes, and how many there are in all.

    A row's `off` and `len` say which bytes are its own; of bytes that are gone there are none.
    """
    rows = engine.matches_of(row)
    page = rows[after : after + limit].copy()
    octets = bytearray()
    for match in page:
        start, end = int(match["start"]), int(match["end"])
        wanted = min(end - start, MATCH_BYTES)
        window = reader.window(row, int(match["dir"]), start, wanted)
        if len(window.data) == wanted:
            match["off"], match["len"] = len(octets), wanted
            octets += window.data
    return page, bytes(octets), rows.size
