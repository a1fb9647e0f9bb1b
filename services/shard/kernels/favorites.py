"""Which streams are favourites: their extents are linked both ways, counted, and go last."""

from typing import Any

import numpy as np

from services.shard.kernels.content import (
    FAVORITES,
    FOUR,
    HEADS,
    LOW_32,
    ONE,
    THREE,
    ZERO,
    is_there,
    place,
    room_for,
)
from services.shard.kernels.state import LINKED_ROWS, ShardColumns
from shared.columns import CLOSE_SENT, FAVORITE, LINKED, LIVE, U32, U64
from shared.kernels import inlined, kernel


@inlined
def link_extents(t: Any, row: Any) -> Any:
    """Link the extents of a stream that never was a favourite, and count what they take."""
    links = t.links[row]
    flow = t.flows[row]
    for ring in (ZERO, ONE):
        room = octets = following = ZERO
        since = t.state[HEADS + ring]
        at = flow.chain[ring]
        while is_there(t, at):
            word = place(t, at) >> THREE
            t.ring64[word + FOUR] = (t.ring64[word + FOUR] & ONE) | following
            length = t.ring64[word + THREE] & LOW_32
            room += room_for(length)
            octets += length
            since = following = (at << ONE >> ONE) - ONE
            at = t.ring64[word]
        links.since[ring] = since
        links.room[ring] = room
        links.octets[ring] = octets
    flow.marks |= np.uint8(LINKED)
    t.state[LINKED_ROWS] += ONE


@inlined
def unstar(t: Any, row: Any) -> Any:
    """From now on the content of a favourite goes with all others'."""
    t.flows[row].marks &= np.uint8(255 - FAVORITE)
    for ring in (ZERO, ONE):
        t.state[FAVORITES + ring] -= t.links[row].room[ring]


@inlined
def forget_links(t: Any, row: Any) -> Any:
    """The stream leaves its row."""
    if t.flows[row].marks & FAVORITE:
        unstar(t, row)
    if t.flows[row].marks & LINKED:
        t.flows[row].marks &= np.uint8(255 - LINKED)
        t.state[LINKED_ROWS] -= ONE


@kernel
def set_favorites(t: ShardColumns, rows: U32, stream_ids: U64, wanted: bool) -> int:
    """Make the streams in these rows favourites, or none any more; returns how many changed.

    Rows that went to another stream are passed over. The first time costs a walk over the stream's
    extents, about 0.1 us each.
    """
    changed = 0
    for i in range(rows.size):
        row = np.uint64(rows[i])
        if row >= np.uint64(t.flows.size):
            continue
        flow = t.flows[row]
        if flow.stream_id != stream_ids[i] or flow.marks & (LIVE | CLOSE_SENT) == 0:
            continue
        if (flow.marks & FAVORITE != 0) == wanted:
            continue
        changed += 1
        if not wanted:
            unstar(t, row)
            continue
        if flow.marks & LINKED == 0:
            link_extents(t, row)
        flow.marks |= np.uint8(FAVORITE)
        for ring in (ZERO, ONE):
            t.state[FAVORITES + ring] += t.links[row].room[ring]
    return changed
