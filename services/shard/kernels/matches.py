"""Kept matches: rows chained to cursors, cursors to streams; what is told of them.

A cursor is a pattern's state in one stream. A final match cannot change whatever follows and is
told once; a provisional one may, and is replaced when more data of its direction comes. Within a
cursor and direction matches are chained from the newest, which begins last.
"""

from typing import Any

import numpy as np

from services.shard.kernels.sought import (
    ASIDE,
    AT_CANDIDATE,
    AT_FOUND,
    CANDIDATES,
    CHANGED,
    FREE_CURSOR,
    FREE_KEPT,
    KEPT_NOW,
    PAIRS,
    PIECES,
    SLOTS,
    SPANS,
    STREAM_LIMIT,
    TOLD,
    TOLD_BYTES,
    USED_CURSORS,
    USED_KEPT,
    PatternColumns,
)
from services.shard.kernels.spans import concerns, look_back
from services.shard.kernels.state import DIRTY, ShardColumns
from shared.columns import (
    CURSOR_CHANGED,
    CURSOR_COMPLETE,
    CURSOR_PROVISIONAL,
    CURSOR_STOPPED,
    MATCH_BYTES,
    SOUGHT_EXACT,
    SOUGHT_NOT,
    U32,
    FoundRows,
    OutMatches,
)
from shared.kernels import inlined, kernel

ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)
TOLD_MOST = np.uint64(MATCH_BYTES)


# ------------------------------------------------------------------------------------ pieces
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
    told, ends = m.told[m.state[TOLD]], m.told_ends[m.state[TOLD]]
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
    ends.addr_a_hi = flow.addr_a_hi
    ends.addr_a_lo = flow.addr_a_lo
    ends.addr_b_hi = flow.addr_b_hi
    ends.addr_b_lo = flow.addr_b_lo
    ends.port_a = flow.port_a
    ends.port_b = flow.port_b
    ends.proto = flow.proto
    ends.family = flow.family
    ends.client = flow.client
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


# ----------------------------------------------------------------------------------- kernels
@kernel
def pending_candidates(t: ShardColumns, m: PatternColumns, first: int, again: bool) -> int:
    """Candidates for the spans in which engaged patterns have provisional matches.

    Spans behind others of their direction are left to whoever confirms those. Where the run they
    are in is over they become final. again: streams are being looked through from their beginning.
    Returns the span to go on with: `told`, or `candidates`, may be full before.
    """
    count = np.int64(m.state[SPANS])
    for i in range(first, count):
        span = m.spans[i]
        row, side = np.uint64(span.flow), np.uint64(span.dir)
        if m.pending[row * TWO + side] == 0 or span.later:
            continue
        others = False
        at = np.uint64(m.cursor_of[row])
        while at != ZERO:
            cursor = m.cursors[at - ONE]
            slot = np.uint64(cursor.slot)
            pattern = m.sought[slot]
            if cursor.marks & (CURSOR_PROVISIONAL << np.int64(side)):
                if pattern.engaged == 0 or (not again and is_aside(m, row, pattern)):
                    others = True
                elif span.begin == span.fresh:
                    if not settle(t, m, at, np.int64(side)):
                        return int(i)
                else:
                    if m.state[CANDIDATES] == np.uint64(m.candidates.size):
                        return int(i)
                    add_candidate(m, i, slot, at, side)
                    others = True
            at = np.uint64(cursor.next)
        m.pending[row * TWO + side] = np.uint8(others)
    return int(count)


@kernel
def place_hits(
    t: ShardColumns,
    m: PatternColumns,
    slots: U32,
    ends: U32,
    first: int,
    alone: bool,
    again: bool,
) -> int:
    """Hits of a scan, by where they end in the buffer: matches of exact patterns, candidates else.

    From SLOTS on a slot is one whose pattern begins there. alone: candidates of every pattern, as
    where hits were left out. again: see above. Returns the hit to go on with: `told` or
    `candidates` may be full before.
    """
    for i in range(first, slots.size):
        slot, end = np.uint64(slots[i]), np.uint64(ends[i])
        begins = slot >= np.uint64(SLOTS)
        if begins:
            slot -= np.uint64(SLOTS)
        pattern = m.sought[slot]
        if m.state[SPANS] == ZERO:
            return int(slots.size)
        which = span_of(m, end)
        span = m.spans[which]
        row, side = np.uint64(span.flow), np.uint64(span.dir)
        if end > np.uint64(span.end) or end <= np.uint64(span.begin):
            continue
        flow = t.flows[row]
        if not concerns(pattern, flow.service, span.dir == flow.client):
            continue
        if begins:
            upto = span.origin + (end - np.uint64(span.begin)) + np.uint64(pattern.reach)
            if upto > m.armed[row * TWO + side]:
                m.armed[row * TWO + side] = upto
            continue
        if not again and is_aside(m, row, pattern):
            continue
        at = find_cursor(m, row, slot)
        if at != ZERO and m.cursors[at - ONE].marks & CURSOR_STOPPED:
            continue
        if pattern.how != SOUGHT_EXACT or alone:
            if alone or end + np.uint64(pattern.after) > np.uint64(span.fresh):
                if m.state[CANDIDATES] == np.uint64(m.candidates.size):
                    return int(i)
                add_candidate(m, which, slot, at, side)
            continue
        width = np.uint64(pattern.width)
        if end <= np.uint64(span.fresh) or end < np.uint64(span.begin) + width:
            continue
        start = span.origin + (end - width - np.uint64(span.begin))
        if at != ZERO and start < m.cursors[at - ONE].resume[side]:
            continue
        if not has_room_to_tell(m):
            return int(i)
        if at == ZERO:
            at = take_cursor(m, row, slot)
            if at == ZERO:
                pattern.over_limit += ONE
                continue
        keep(t, m, at, np.int64(side), start, start + width, span, True)
    return int(slots.size)


@kernel
def replace_matches(t: ShardColumns, m: PatternColumns, found: FoundRows) -> bool:
    """What `regex` said of the candidates: the provisional matches before are replaced.

    Goes on where state[AT_CANDIDATE] and [AT_FOUND] say; False when `told` was full before all was
    done.
    """
    while m.state[AT_CANDIDATE] < m.state[CANDIDATES]:
        candidate = m.candidates[m.state[AT_CANDIDATE]]
        span = m.spans[np.uint64(candidate.span)]
        row, side, slot = np.uint64(span.flow), np.int64(span.dir), np.uint64(candidate.slot)
        at = find_cursor(m, row, slot)
        wants = candidate.count != 0 or candidate.dropped != ZERO or candidate.stopped != 0
        if at == ZERO and wants:
            at = take_cursor(m, row, slot)
            if at == ZERO:
                m.sought[slot].over_limit += np.uint64(candidate.count) + candidate.dropped
        if at != ZERO:
            cursor = m.cursors[at - ONE]
            if candidate.stopped:
                cursor.marks |= np.uint8(CURSOR_STOPPED)
            elif m.state[AT_FOUND] == ZERO:
                drop_provisional(m, at, side)
            while m.state[AT_FOUND] < np.uint64(candidate.count):
                if not has_room_to_tell(m):
                    return False
                one = found[np.uint64(candidate.first) + m.state[AT_FOUND]]
                keep(t, m, at, side, one.start, one.end, span, one.final != ZERO)
                m.state[AT_FOUND] += ONE
            m.sought[slot].over_limit += candidate.dropped
            if candidate.dropped != ZERO and candidate.resume > cursor.resume[side]:
                cursor.resume[side] = candidate.resume
        m.state[AT_FOUND] = ZERO
        m.state[AT_CANDIDATE] += ONE
    return True


@kernel
def settle_streams(t: ShardColumns, m: PatternColumns, first: int) -> int:
    """Provisional matches of streams that are over become final; called before `dirty` is emptied.

    Returns the place in `dirty` to go on with: `told` may be full before.
    """
    count = np.int64(t.state[DIRTY])
    for i in range(first, count):
        row = np.uint64(t.dirty[i])
        if t.flows[row].reason == 0:
            continue
        for side in range(2):
            if m.pending[row * TWO + np.uint64(side)] == 0:
                continue
            at = np.uint64(m.cursor_of[row])
            while at != ZERO:
                if not settle(t, m, at, side):
                    return int(i)
                at = np.uint64(m.cursors[at - ONE].next)
            m.pending[row * TWO + np.uint64(side)] = np.uint8(0)
    return int(count)


@kernel
def forget_streams(m: PatternColumns, rows: U32) -> None:
    """Streams that leave the table: their matches and cursors are free. Nothing is told of it."""
    for i in range(rows.size):
        row = np.uint64(rows[i])
        at = np.uint64(m.cursor_of[row])
        while at != ZERO:
            following = np.uint64(m.cursors[at - ONE].next)
            drop_all(m, at)
            free_cursor(m, at)
            at = following
        m.cursor_of[row] = np.uint32(0)
        m.pending[row * TWO] = np.uint8(0)
        m.pending[row * TWO + ONE] = np.uint8(0)
        m.armed[row * TWO] = ZERO
        m.armed[row * TWO + ONE] = ZERO
        m.seen_as[row] = np.uint8(0)


@kernel
def begin_again(m: PatternColumns, rows: U32) -> None:
    """Streams that engaged patterns are to be looked for in from their first retained byte.

    What was told of them is remembered. A pattern that was stopped there gets another try.
    """
    for i in range(rows.size):
        at = np.uint64(m.cursor_of[np.uint64(rows[i])])
        while at != ZERO:
            cursor = m.cursors[at - ONE]
            if m.sought[np.uint64(cursor.slot)].engaged != 0:
                drop_all(m, at)
                for side in range(2):
                    cursor.resume[side] = ZERO
                    if cursor.marks & CURSOR_COMPLETE:
                        cursor.told_from[side] = ZERO
                cursor.marks = np.uint8((cursor.marks & (255 - CURSOR_STOPPED)) | CURSOR_COMPLETE)
            at = np.uint64(cursor.next)


@kernel
def drop_retired(t: ShardColumns, m: PatternColumns, first: int) -> int:
    """Free the cursors of slots that have no pattern any more, and tell so.

    Returns the cursor to go on with: `pairs` may be full before.
    """
    used = np.int64(m.state[USED_CURSORS])
    for i in range(first, used):
        cursor = m.cursors[i]
        if cursor.used == 0 or m.sought[np.uint64(cursor.slot)].how != SOUGHT_NOT:
            continue
        if m.state[PAIRS] == np.uint64(m.pairs.size):
            return int(i)
        row = np.uint64(cursor.flow)
        at = np.uint64(i + 1)
        drop_all(m, at)
        if cursor.told_count != 0:
            fill_pair(t, m, cursor)
        link = np.uint64(m.cursor_of[row])
        if link == at:
            m.cursor_of[row] = cursor.next
        else:
            while np.uint64(m.cursors[link - ONE].next) != at:
                link = np.uint64(m.cursors[link - ONE].next)
            m.cursors[link - ONE].next = cursor.next
        free_cursor(m, at)
    return int(used)


@kernel
def collect_pairs(t: ShardColumns, m: PatternColumns) -> bool:
    """Fill `pairs` with the counts that changed; False when it was full before all were in."""
    while m.state[CHANGED] != ZERO:
        if m.state[PAIRS] == np.uint64(m.pairs.size):
            return False
        m.state[CHANGED] -= ONE
        cursor = m.cursors[np.uint64(m.changed[m.state[CHANGED]]) - ONE]
        if cursor.used == 0 or cursor.marks & CURSOR_CHANGED == 0:
            continue
        cursor.marks &= np.uint8(255 - CURSOR_CHANGED)
        if cursor.count != cursor.told_count:
            cursor.told_count = cursor.count
            fill_pair(t, m, cursor)
    return True


@kernel
def pairs_again(m: PatternColumns, first: int, count: int) -> int:
    """Have `count` cursors from `first` on told again; returns the one to go on with."""
    used: Any = np.int64(m.state[USED_CURSORS])
    stop: Any = min(used, first + count)
    for i in range(first, stop):
        cursor = m.cursors[i]
        if cursor.used and cursor.count != 0:
            cursor.told_count = np.uint32(0)
            mark_changed(m, np.uint64(i + 1))
    return int(stop)


@kernel
def list_matches(t: ShardColumns, m: PatternColumns, row: int, out: OutMatches) -> int:
    """The kept matches of a stream, in no order; as many as fit. Returns how many there are."""
    count = 0
    at = np.uint64(m.cursor_of[row])
    while at != ZERO:
        cursor = m.cursors[at - ONE]
        pattern = m.sought[np.uint64(cursor.slot)]
        for side in range(2):
            index = np.uint64(cursor.newest[side])
            while index != ZERO:
                match = m.kept[index - ONE]
                if count < out.size:
                    into = out[count]
                    into.stream_id = t.flows[row].stream_id
                    into.start = match.start
                    into.end = match.end
                    into.ts_ns = match.ts_ns
                    into.pattern = pattern.id
                    into.row = np.uint32(row)
                    into.off = np.uint32(0)
                    into.len = np.uint16(0)
                    into.dir = np.uint8(side)
                    into.kind = pattern.kind
                count += 1
                index = np.uint64(match.next)
        at = np.uint64(cursor.next)
    return count
