"""Kept matches: rows chained to cursors, cursors to streams. Pieces of the kernels in `matches.py`.

A cursor is a pattern's state in one stream. A final match cannot change whatever follows and is
told once; a provisional one may, and is replaced when more data of its direction comes. Within a
cursor and direction matches are chained from the newest, which begins last.
"""

from typing import Any

import numpy as np

from services.shard.kernels.flow_table import name_ends
from services.shard.kernels.sought import (
    ASIDE,
    CANDIDATES,
    CHANGED,
    FREE_CURSOR,
    FREE_KEPT,
    KEPT_NOW,
    PAIRS,
    PIECES,
    SPANS,
    STREAM_LIMIT,
    TOLD,
    TOLD_BYTES,
    USED_CURSORS,
    USED_KEPT,
)
from services.shard.kernels.spans import look_back
from shared.columns import (
    CURSOR_CHANGED,
    CURSOR_PROVISIONAL,
    MATCH_BYTES,
)
from shared.kernels import inlined

ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)
TOLD_MOST = np.uint64(MATCH_BYTES)


@inlined
def find_cursor(m: Any, row: Any, slot: Any) -> Any:
    """1 + the stream's cursor of a pattern; 0 = it has none."""
    at = np.uint64(m.cursor_of[row])
    while at != ZERO and np.uint64(m.cursors[at - ONE].slot) != np.uint64(slot):
        at = np.uint64(m.cursors[at - ONE].next)
    return at


@inlined
def take_cursor(m: Any, row: Any, slot: Any) -> Any:
    """1 + a cursor for a pattern of a stream that has none; 0 when there is no free one."""
    if m.state[FREE_CURSOR] != ZERO:
        at = m.state[FREE_CURSOR]
        m.state[FREE_CURSOR] = np.uint64(m.cursors[at - ONE].next)
    elif m.state[USED_CURSORS] < np.uint64(m.cursors.size):
        m.state[USED_CURSORS] += ONE
        at = m.state[USED_CURSORS]
    else:
        return ZERO
    cursor = m.cursors[at - ONE]
    for side in range(2):
        cursor.resume[side] = ZERO
        cursor.told_from[side] = ZERO
        cursor.told_to[side] = ZERO
        cursor.newest[side] = np.uint32(0)
    cursor.flow = np.uint32(row)
    cursor.next = m.cursor_of[row]
    m.cursor_of[row] = np.uint32(at)
    cursor.count = np.uint32(0)
    cursor.told_count = np.uint32(0)
    cursor.slot = np.uint16(slot)
    cursor.marks = np.uint8(0)
    cursor.used = np.uint8(1)
    return at


@inlined
def mark_changed(m: Any, at: Any) -> Any:
    """Have the cursor's count told."""
    cursor = m.cursors[at - ONE]
    if cursor.marks & CURSOR_CHANGED == 0 and m.state[CHANGED] < np.uint64(m.changed.size):
        cursor.marks |= np.uint8(CURSOR_CHANGED)
        m.changed[m.state[CHANGED]] = np.uint32(at)
        m.state[CHANGED] += ONE


@inlined
def time_at(m: Any, at: Any) -> Any:
    """Time of the packet that brought a byte of the buffer."""
    low, high = ZERO, m.state[PIECES]
    while high - low > ONE:
        middle = (low + high) >> ONE
        if np.uint64(m.pieces[middle].at) <= at:
            low = middle
        else:
            high = middle
    return m.pieces[low].ts_ns


@inlined
def fill_told(t: Any, m: Any, cursor: Any, side: Any, start: Any, end: Any, ts_ns: Any) -> Any:
    """The next row of `told`, without its bytes. The caller has made sure of the room."""
    pattern = m.sought[np.uint64(cursor.slot)]
    flow = t.flows[np.uint64(cursor.flow)]
    told = m.told[m.state[TOLD]]
    told.stream_id = flow.stream_id
    told.start = start
    told.end = end
    told.ts_ns = ts_ns
    told.pattern = pattern.id
    told.row = cursor.flow
    told.off = np.uint32(m.state[TOLD_BYTES])
    told.len = np.uint16(0)
    told.dir = np.uint8(side)
    told.kind = pattern.kind
    name_ends(m.told_ends[m.state[TOLD]], flow)
    m.state[TOLD] += ONE
    return told


@inlined
def has_room_to_tell(m: Any) -> Any:
    """For one more match."""
    return m.state[TOLD] < np.uint64(m.told.size) and m.state[TOLD_BYTES] + TOLD_MOST <= np.uint64(
        m.told_bytes.size
    )


@inlined
def is_to_tell(cursor: Any, side: Any, start: Any, end: Any) -> Any:
    """Whether a final match was not told before; it is from now on."""
    if cursor.told_to[side] == ZERO:
        cursor.told_from[side] = start
    elif cursor.told_from[side] <= start < cursor.told_to[side]:
        return False
    if end > cursor.told_to[side]:
        cursor.told_to[side] = end
    return True


@inlined
def tell_from_buffer(
    t: Any, m: Any, cursor: Any, side: Any, start: Any, end: Any, at: Any, ts_ns: Any
) -> Any:
    """Tell a match whose bytes lie in the buffer from `at` on."""
    told = fill_told(t, m, cursor, side, start, end, ts_ns)
    length = min(end - start, TOLD_MOST)
    to = m.state[TOLD_BYTES]
    for i in range(length):
        m.told_bytes[to + np.uint64(i)] = m.buffer[at + np.uint64(i)]
    told.len = np.uint16(length)
    m.state[TOLD_BYTES] = to + length


@inlined
def tell_from_log(t: Any, m: Any, cursor: Any, side: Any, match: Any) -> Any:
    """Tell a match whose bytes are still in the content log, or have left it."""
    told = fill_told(t, m, cursor, side, match.start, match.end, match.ts_ns)
    length = min(match.end - match.start, TOLD_MOST)
    upto = match.start + length
    row = np.uint64(cursor.flow)
    pieces = m.state[PIECES]
    scratch = np.uint64(m.buffer.size) - TOLD_MOST
    newest = t.flows[row].chain[1]
    got = look_back(t, m, row, side, newest, ONE, upto, length, scratch + length)
    m.state[PIECES] = pieces
    if got == length:
        to = m.state[TOLD_BYTES]
        for i in range(length):
            m.told_bytes[to + np.uint64(i)] = m.buffer[scratch + np.uint64(i)]
        told.len = np.uint16(length)
        m.state[TOLD_BYTES] = to + length


@inlined
def keep(t: Any, m: Any, at: Any, side: Any, start: Any, end: Any, span: Any, final: Any) -> Any:
    """Add a match to a cursor, newer than all of its direction, unless a cap leaves it out."""
    cursor = m.cursors[at - ONE]
    row = np.uint64(cursor.flow)
    pattern = m.sought[np.uint64(cursor.slot)]
    if final:
        cursor.resume[side] = end
    else:
        cursor.marks |= np.uint8(CURSOR_PROVISIONAL << side)
        m.pending[row * TWO + np.uint64(side)] = np.uint8(1)
    free = m.state[FREE_KEPT]
    if np.int64(m.kept_of[row]) >= m.config[STREAM_LIMIT] or (
        free == ZERO and m.state[USED_KEPT] >= np.uint64(m.kept.size)
    ):
        if final:
            pattern.over_limit += ONE
        return
    if free != ZERO:
        m.state[FREE_KEPT] = np.uint64(m.kept[free - ONE].next)
    else:
        m.state[USED_KEPT] += ONE
        free = m.state[USED_KEPT]
    match = m.kept[free - ONE]
    first = np.uint64(span.begin) + (start - span.origin)
    match.start = start
    match.end = end
    match.ts_ns = time_at(m, first + (end - start) - ONE)
    match.next = cursor.newest[side]
    match.provisional = np.uint8(not final)
    cursor.newest[side] = np.uint32(free)
    cursor.count += np.uint32(1)
    m.kept_of[row] += np.uint32(1)
    m.state[KEPT_NOW] += ONE
    pattern.matches += ONE
    mark_changed(m, at)
    if final and is_to_tell(cursor, side, start, end):
        tell_from_buffer(t, m, cursor, side, start, end, first, match.ts_ns)


@inlined
def drop_newest(m: Any, at: Any, side: Any) -> Any:
    """Take a cursor's newest match of a direction away."""
    cursor = m.cursors[at - ONE]
    index = np.uint64(cursor.newest[side])
    match = m.kept[index - ONE]
    cursor.newest[side] = match.next
    cursor.count -= np.uint32(1)
    match.next = np.uint32(m.state[FREE_KEPT])
    m.state[FREE_KEPT] = index
    m.kept_of[np.uint64(cursor.flow)] -= np.uint32(1)
    m.state[KEPT_NOW] -= ONE
    m.sought[np.uint64(cursor.slot)].matches -= ONE
    mark_changed(m, at)


@inlined
def drop_provisional(m: Any, at: Any, side: Any) -> Any:
    """They are looked for again."""
    cursor = m.cursors[at - ONE]
    while cursor.newest[side] != 0 and m.kept[np.uint64(cursor.newest[side]) - ONE].provisional:
        drop_newest(m, at, side)
    cursor.marks &= np.uint8(255 - (CURSOR_PROVISIONAL << side))


@inlined
def drop_all(m: Any, at: Any) -> Any:
    """All matches of a cursor."""
    for side in range(2):
        while m.cursors[at - ONE].newest[side] != 0:
            drop_newest(m, at, side)
        m.cursors[at - ONE].marks &= np.uint8(255 - (CURSOR_PROVISIONAL << side))


@inlined
def settle(t: Any, m: Any, at: Any, side: Any) -> Any:
    """Nothing follows: provisional matches are final. Returns False when they could not be told.

    From the oldest on, so that they are told in their order.
    """
    cursor = m.cursors[at - ONE]
    while cursor.marks & (CURSOR_PROVISIONAL << side):
        index = np.uint64(cursor.newest[side])
        oldest = ZERO
        while index != ZERO and m.kept[index - ONE].provisional:
            oldest = index
            index = np.uint64(m.kept[index - ONE].next)
        if oldest == ZERO:
            cursor.marks &= np.uint8(255 - (CURSOR_PROVISIONAL << side))
            break
        if not has_room_to_tell(m):
            return False
        match = m.kept[oldest - ONE]
        match.provisional = np.uint8(0)
        cursor.resume[side] = match.end
        if is_to_tell(cursor, side, match.start, match.end):
            tell_from_log(t, m, cursor, side, match)
    return True


@inlined
def free_cursor(m: Any, at: Any) -> Any:
    """Give a cursor without matches back. The caller has unlinked it."""
    cursor = m.cursors[at - ONE]
    cursor.used = np.uint8(0)
    cursor.marks = np.uint8(0)
    cursor.next = np.uint32(m.state[FREE_CURSOR])
    m.state[FREE_CURSOR] = at


@inlined
def is_aside(m: Any, row: Any, pattern: Any) -> Any:
    """Whether this stream is being looked through for the pattern: what is new is found there."""
    return pattern.aside != 0 and m.state[ASIDE] == row + ONE


@inlined
def add_candidate(m: Any, span: Any, slot: Any, at: Any, side: Any) -> Any:
    """Have `regex` look at a span; the same one is not added twice in a row."""
    count = m.state[CANDIDATES]
    if count != ZERO:
        last = m.candidates[count - ONE]
        if np.uint64(last.span) == np.uint64(span) and np.uint64(last.slot) == np.uint64(slot):
            return
    row = m.candidates[count]
    row.span = np.uint32(span)
    row.slot = np.uint32(slot)
    row.resume = ZERO if at == ZERO else m.cursors[at - ONE].resume[side]
    row.dropped = ZERO
    row.first = np.uint32(0)
    row.count = np.uint32(0)
    row.stopped = np.uint8(0)
    m.state[CANDIDATES] = count + ONE


@inlined
def span_of(m: Any, at: Any) -> Any:
    """The last span that begins before byte `at`: where a hit that ends there may lie."""
    low, high = ZERO, m.state[SPANS]
    while high - low > ONE:
        middle = (low + high) >> ONE
        if np.uint64(m.spans[middle].begin) < at:
            low = middle
        else:
            high = middle
    return low


@inlined
def fill_pair(t: Any, m: Any, cursor: Any) -> Any:
    """The next row of `pairs`. The caller has made sure of the room."""
    pair = m.pairs[m.state[PAIRS]]
    pair.stream_id = t.flows[np.uint64(cursor.flow)].stream_id
    pair.row = cursor.flow
    pair.pattern = m.sought[np.uint64(cursor.slot)].id
    pair.count = cursor.count
    pair.pad = np.uint32(0)
    m.state[PAIRS] += ONE
