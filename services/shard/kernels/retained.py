"""Gathering what is retained of streams, for new patterns and searches: spans as in `spans.py`."""

from typing import Any

import numpy as np

from services.shard.kernels.content import (
    ONE,
    RING_BIT,
    THREE,
    ZERO,
    copy_bytes,
    is_there,
    place,
    walk_extents,
)
from services.shard.kernels.sought import (
    ASKED_0,
    ASKED_1,
    AT_OFFSET,
    AT_ROW,
    AT_SIDE,
    FILL,
    LOST,
    PIECES,
    SPANS,
    PatternColumns,
)
from services.shard.kernels.spans import add_piece, add_span, reset_spans
from services.shard.kernels.state import RING_0, RING_1, ShardColumns
from shared.columns import CLOSE_SENT, LIVE, MATCH_BYTES, U32, U64
from shared.kernels import inlined, kernel

TWO = np.uint64(2)


@inlined
def list_in_order(t: Any, m: Any, row: Any, side: Any) -> Any:
    """Extents of a direction by logical offset, in `listed`; returns how many."""
    room: Any = np.int64(m.listed_times.size)
    starts, lengths = m.listed[:room], m.listed[room : 2 * room]
    places, times = m.listed[2 * room : 3 * room], m.listed_times
    which: Any = np.int64(row)
    of: Any = np.int64(side)
    found: Any = walk_extents(t, which, of, starts, lengths, places, times, m.listed[3 * room :])
    count = min(found, room)
    for i in range(count // 2):
        j = count - 1 - i
        starts[i], starts[j] = starts[j], starts[i]
        lengths[i], lengths[j] = lengths[j], lengths[i]
        places[i], places[j] = places[j], places[i]
        times[i], times[j] = times[j], times[i]
    for i in range(1, count):  # nearly in order: only what came too early moves
        start, length, where, ts_ns = starts[i], lengths[i], places[i], times[i]
        j = i
        while j > 0 and starts[j - 1] > start:
            starts[j], lengths[j] = starts[j - 1], lengths[j - 1]
            places[j], times[j] = places[j - 1], times[j - 1]
            j -= 1
        starts[j], lengths[j], places[j], times[j] = start, length, where, ts_ns
    return count


@inlined
def lost_since(t: Any, m: Any, row: Any) -> Any:
    """Whether something of a stream was pushed out of the log since what is asked was asked.

    A chain ends at the first extent that was written over, whose reference says when.
    """
    for ring in range(2):
        at = t.flows[row].chain[ring]
        while is_there(t, at):
            at = t.ring64[place(t, at) >> THREE]
        size = np.uint64(t.config[RING_1] if ring else t.config[RING_0])
        asked = m.state[ASKED_1] if ring else m.state[ASKED_0]
        if at != ZERO and asked <= (at & ~RING_BIT) - ONE + size:
            return True
    return False


@kernel
def gather_streams(
    t: ShardColumns, m: PatternColumns, rows: U32, stream_ids: U64, limit: int, back: int
) -> bool:
    """Spans of all that is retained of the streams at `rows`, at most about `limit` bytes at once.

    Goes on where state[AT_ROW], [AT_SIDE] and [AT_OFFSET] say, and says so itself; a direction that
    is cut goes on with `back` bytes of what was there. Rows that went to another stream are passed
    over. Those, and streams of which something was pushed out since state[ASKED_0] and [ASKED_1],
    are counted in state[LOST]. Returns whether it came to the end of the list.
    """
    reset_spans(m)
    size = min(np.uint64(m.buffer.size - MATCH_BYTES), np.uint64(limit))
    room = np.int64(m.listed_times.size)
    starts, lengths, places = m.listed[:room], m.listed[room:], m.listed[2 * room :]
    while m.state[AT_ROW] < np.uint64(rows.size):
        row = np.uint64(rows[m.state[AT_ROW]])
        side = m.state[AT_SIDE]
        flow = t.flows[row]
        if flow.stream_id != stream_ids[m.state[AT_ROW]] or flow.marks & (LIVE | CLOSE_SENT) == 0:
            m.state[LOST] += ONE
            m.state[AT_ROW] += ONE
            m.state[AT_SIDE] = ZERO
            m.state[AT_OFFSET] = ZERO
            continue
        if side == ZERO and m.state[AT_OFFSET] == ZERO and lost_since(t, m, row):
            m.state[LOST] += ONE
        emitted = t.dirs[row * TWO + side].offset
        if m.wanted[np.uint8(flow.service * 2) + np.uint8(side == flow.client)] != 0 and emitted:
            count = list_in_order(t, m, row, side)
            done = m.state[AT_OFFSET]
            from_here = done - min(done, np.uint64(back))
            if done != ZERO:
                at = np.int64(0)
                while at < count and starts[at] + lengths[at] <= done:
                    at += 1
                if at == count or starts[at] > done:  # what comes next is gone
                    m.state[LOST] += ONE
            begin = fresh = to = m.state[FILL]
            origin = ZERO
            upto = ZERO  # logical offset of buffer[to], when a span is open
            whole = False
            for i in range(count):
                low, high = starts[i], min(starts[i] + lengths[i], emitted)
                if high <= from_here or high <= low:
                    continue
                if to > begin and low != upto:  # a gap
                    if to > fresh:
                        add_span(m, row, side, origin, begin, fresh, to, whole, True, False)
                    begin = fresh = to = m.state[FILL]
                full = (
                    to + TWO >= size
                    or m.state[SPANS] + ONE >= np.uint64(m.spans.size)
                    or m.state[PIECES] + ONE >= np.uint64(m.pieces.size)
                )
                if full:
                    if to > fresh:
                        add_span(m, row, side, origin, begin, fresh, to, whole, low != upto, False)
                    m.state[AT_OFFSET] = max(done, low)
                    return False
                skipped = from_here - low if low < from_here else ZERO
                if to == begin:
                    origin = low + skipped
                    whole = skipped == ZERO
                take = min(high - low - skipped, size - to - ONE)
                add_piece(m, to, m.listed_times[i])
                copy_bytes(t.ring8, places[i] + skipped, m.buffer, to, take)
                begins = low + skipped
                to += take
                upto = begins + take
                if upto <= done:
                    fresh = to
                elif begins < done:
                    fresh = to - (upto - done)
                if upto < high:
                    add_span(m, row, side, origin, begin, fresh, to, whole, False, False)
                    m.state[AT_OFFSET] = upto
                    return False
            if to > fresh:
                over = flow.marks & CLOSE_SENT != 0 or upto < emitted
                add_span(m, row, side, origin, begin, fresh, to, whole, over, False)
        m.state[AT_OFFSET] = ZERO
        if side == ZERO:
            m.state[AT_SIDE] = ONE
        else:
            m.state[AT_SIDE] = ZERO
            m.state[AT_ROW] += ONE
        if m.state[FILL] + TWO >= size:
            return bool(m.state[AT_ROW] == np.uint64(rows.size))
    return True
