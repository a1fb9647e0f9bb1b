"""What is done with the hits of a scan: matches are kept, confirmed, settled, told, taken away.

How a match is kept is in `kept.py`.
"""

from typing import Any

import numpy as np

from services.shard.kernels.kept import (
    add_candidate,
    drop_all,
    drop_provisional,
    fill_pair,
    find_cursor,
    free_cursor,
    has_room_to_tell,
    is_aside,
    keep,
    mark_changed,
    settle,
    span_of,
    take_cursor,
)
from services.shard.kernels.sought import (
    AT_CANDIDATE,
    AT_FOUND,
    CANDIDATES,
    CHANGED,
    PAIRS,
    SLOTS,
    SPANS,
    USED_CURSORS,
    PatternColumns,
)
from services.shard.kernels.spans import concerns
from services.shard.kernels.state import DIRTY, ShardColumns
from shared.columns import (
    CURSOR_CHANGED,
    CURSOR_COMPLETE,
    CURSOR_PROVISIONAL,
    CURSOR_STOPPED,
    SOUGHT_EXACT,
    SOUGHT_NOT,
    U32,
    FoundRows,
    OutMatches,
)
from shared.kernels import kernel

ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)


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
            tail = m.tails[row * TWO + side]
            if upto > tail.armed:
                tail.armed = upto
            continue
        if not again and is_aside(m, row, pattern):
            continue
        at = find_cursor(m, row, slot)
        if at != ZERO and m.cursors[at - ONE].marks & CURSOR_STOPPED:
            continue
        if pattern.how != SOUGHT_EXACT or alone:
            if pattern.at_end and not alone and end + ONE < np.uint64(span.end):
                continue
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
                drop_provisional(m, at, 1 - side)
            if m.state[AT_FOUND] == ZERO:
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
        for side in range(2):
            m.edges[row * TWO + np.uint64(side)] = ZERO
            tail = m.tails[row * TWO + np.uint64(side)]
            tail.upto = ZERO
            tail.armed = ZERO
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
def let_rest(m: PatternColumns) -> None:
    """Engaged patterns are not looked for until there is time: what more data could change of what
    they found is gone until then."""
    for i in range(np.int64(m.state[USED_CURSORS])):
        cursor = m.cursors[i]
        if cursor.used != 0 and m.sought[np.uint64(cursor.slot)].engaged != 0:
            for side in range(2):
                drop_provisional(m, np.uint64(i + 1), side)


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
