"""Gathering the bytes that patterns are looked for in, into one buffer for one scan.

What is new of a direction lies behind old bytes, where a match may have begun. Whatever matches
consists of bytes of the patterns' alphabet, so nothing goes on across another byte, and the
look-back ends there: after most turns of most protocols it is empty. Measured: with three patterns
30 ns a packet of small HTTP rather than 70, most of it for what is no longer in the caches.

Spans lie one behind the other, a newline between: `^` and `$` find what they may need there, and
what a scan finds across a newline that is no span's own belongs to no span.
"""

from typing import Any

import numpy as np

from services.shard.kernels.content import (
    HEADER,
    LOW_32,
    ONE,
    RING_BIT,
    THREE,
    ZERO,
    copy_bytes,
    direction_of,
    is_there,
    place,
)
from services.shard.kernels.sought import (
    AFTER,
    BEFORE,
    BY_SERVICE,
    CUT,
    EDGES,
    FILL,
    HOPS,
    PIECES,
    RESCANS,
    RESCANS_LOST,
    SPANS,
    UNSCANNED,
    USED_SLOTS,
    PatternColumns,
)
from services.shard.kernels.state import GROUPS, ShardColumns
from shared.columns import MATCH_BYTES, SOUGHT_NOT, TAIL_BYTES, U8
from shared.kernels import inlined, kernel

NEWLINE = 10
LEAST_HOPS = 64  # extents that are looked at for a group whatever the batch has used up
MORE_HOPS = np.uint64(1024)  # and while it has not
MISSES = np.uint64(320)  # so far from its place a piece that came too early may lie
TWO = np.uint64(2)
# an edge: where a direction was looked at up to, 1 + bytes needed before that, and its last byte
UPTO, NEED_MOST = np.uint64((1 << 40) - 1), np.uint64((1 << 12) - 1)
NEED_SHIFT, LAST_SHIFT = np.uint64(40), np.uint64(52)


@inlined
def reset_spans(m: Any) -> Any:
    """An empty buffer: one newline."""
    m.buffer[0] = NEWLINE
    m.state[FILL] = ONE
    m.state[SPANS] = ZERO
    m.state[PIECES] = ZERO


@inlined
def add_piece(m: Any, at: Any, ts_ns: Any) -> Any:
    """Bytes from `at` on are of that time."""
    piece = m.pieces[m.state[PIECES]]
    piece.at = np.uint32(at)
    piece.ts_ns = ts_ns
    m.state[PIECES] += ONE


@inlined
def add_span(
    m: Any,
    row: Any,
    side: Any,
    origin: Any,
    begin: Any,
    fresh: Any,
    end: Any,
    whole: Any,
    ended: Any,
    later: Any,
) -> Any:
    """The next row of `spans`; a newline behind it."""
    span = m.spans[m.state[SPANS]]
    span.origin = origin
    span.begin = np.uint32(begin)
    span.fresh = np.uint32(fresh)
    span.end = np.uint32(end)
    span.flow = np.uint32(row)
    span.dir = np.uint8(side)
    span.whole = np.uint8(whole)
    span.ended = np.uint8(ended)
    span.later = np.uint8(later)
    m.buffer[end] = NEWLINE
    m.state[SPANS] += ONE
    m.state[FILL] = end + ONE


@inlined
def look_back(
    t: Any, m: Any, row: Any, side: Any, reference: Any, ring: Any, upto: Any, want: Any, to: Any
) -> Any:
    """Copy what the log has right before logical offset `upto`, so that it ends at buffer[to].

    At most `want` bytes; returns how many there were. Walks the stream's chain from `reference`
    on, which lies in `ring`, then once more from its newest extent as long as that finds more:
    pieces that came too early lie in the log before what they follow.
    """
    got = ZERO
    pieces = m.state[PIECES]
    left = np.uint64(LEAST_HOPS) + min(m.state[HOPS], MORE_HOPS + np.uint64(4) * want)
    before = left
    newest = False
    while got < want and left != ZERO:
        found = False
        at = reference
        misses = ZERO
        while got < want and left != ZERO and misses < MISSES:
            if not is_there(t, at):
                if ring == ZERO:
                    break
                ring = ZERO
                at = t.flows[row].chain[0]
                continue
            left -= ONE
            misses += ONE
            word = place(t, at) >> THREE
            at = t.ring64[word]
            if direction_of(t, word) != np.uint64(side):
                continue
            start = t.ring64[word + ONE]
            stop = start + (t.ring64[word + THREE] & LOW_32)
            low = upto - got
            if start >= low or stop < low or m.state[PIECES] == np.uint64(m.pieces.size):
                continue
            take = min(low - start, want - got)
            source = (word << THREE) + np.uint64(HEADER) + (low - take - start)
            got += take
            copy_bytes(t.ring8, source, m.buffer, to - got, take)
            add_piece(m, to - got, np.int64(t.ring64[word + TWO]))
            found = True
            misses = ZERO
        if newest and not found:
            break
        newest = True
        ring = ONE
        reference = t.flows[row].chain[1]
    if left == ZERO:
        m.state[CUT] += ONE
    used = before - left
    m.state[HOPS] -= min(used, m.state[HOPS])
    last = m.state[PIECES]
    while pieces + ONE < last:  # they were met newest first
        last -= ONE
        at, ts_ns = m.pieces[pieces].at, m.pieces[pieces].ts_ns
        m.pieces[pieces].at = m.pieces[last].at
        m.pieces[pieces].ts_ns = m.pieces[last].ts_ns
        m.pieces[last].at = at
        m.pieces[last].ts_ns = ts_ns
        pieces += ONE
    return got


@inlined
def concerns(pattern: Any, service: Any, of_client: Any) -> Any:
    """Whether the pattern is for what this side of such a stream sends."""
    if pattern.how == SOUGHT_NOT:
        return False
    if pattern.services != 0 and (np.uint64(pattern.services) >> np.uint64(service)) & ONE == ZERO:
        return False
    return pattern.direction == 0 or (pattern.direction == 1) == of_client


@inlined
def note_service(t: Any, m: Any, row: Any) -> Any:
    """Have a stream looked through again when its service or client is known only now."""
    flow = t.flows[row]
    seen_as = np.uint8(1 + flow.service * 2 + flow.client)
    before = np.int64(m.seen_as[row])
    m.seen_as[row] = seen_as
    if before == 0 or before == np.int64(seen_as):
        return
    service, client = (before - 1) >> 1, (before - 1) & 1
    for slot in range(m.config[USED_SLOTS]):
        pattern = m.sought[slot]
        for side in range(2):
            was = concerns(pattern, service, side == client)
            if concerns(pattern, flow.service, side == np.int64(flow.client)) and not was:
                if m.state[RESCANS] < np.uint64(m.rescan.size):
                    m.rescan[m.state[RESCANS]] = np.uint32(row)
                    m.state[RESCANS] += ONE
                else:
                    m.state[RESCANS_LOST] += ONE
                return


@inlined
def groups_of(t: Any, m: Any, row: Any, last: Any, side: Any) -> Any:
    """The batch's groups of a direction, in `order`, from the newest; returns how many.

    last: the stream's newest group. A link that does not lead back to one of the same stream is
    left over from what was stored before.
    """
    count = ZERO
    at = np.int64(last)
    while at >= 0:
        group = t.groups[at]
        if group.flow != row:
            break
        if group.dir == side:
            m.order[count] = np.uint32(at)
            count += ONE
        before = np.int64(group.previous) - 1
        if before >= at:
            break
        at = before
    return count


@inlined
def copy_group(t: Any, m: Any, group: Any, payload: Any, to: Any) -> Any:
    """Copy a group's bytes to buffer[to]; returns how many there were."""
    if group.first == 0:
        if not is_there(t, group.extent):
            return ZERO
        source = place(t, group.extent) + np.uint64(HEADER)
        copy_bytes(t.ring8, source, m.buffer, to, np.uint64(group.len))
        return np.uint64(group.len)
    chunk = np.uint64(group.first)
    length = ZERO
    while chunk != ZERO:
        piece = t.chunks[chunk - ONE]
        copy_bytes(payload, np.uint64(piece.off), m.buffer, to + length, np.uint64(piece.len))
        length += np.uint64(piece.len)
        chunk = np.uint64(piece.next)
    return length


@inlined
def look_before(t: Any, m: Any, group: Any, want: Any, fresh: Any) -> Any:
    """Copy up to `want` bytes before a group, to end at buffer[fresh]; returns how many.

    From the direction's tail where that has them, and their times as far as they matter: a match
    that is provisional may end anywhere in them, one that is found only now in the last few.
    """
    if want == ZERO:
        return ZERO
    row = np.uint64(group.flow)
    tail = m.tails[row * TWO + np.uint64(group.dir)]
    count = np.uint64(tail.count)
    if (
        want <= count
        and tail.upto == group.start
        and m.pending[row * TWO + np.uint64(group.dir)] == 0
        and np.int64(tail.since) >= m.config[AFTER]
    ):
        octets = tail.octets
        for i in range(want):
            m.buffer[fresh - want + np.uint64(i)] = octets[count - want + np.uint64(i)]
        add_piece(m, fresh - want, tail.ts_ns)
        return want
    reference = np.uint64(group.extent)
    ring = ONE if reference & RING_BIT else ZERO
    if group.first != 0 and is_there(t, reference):
        reference = t.ring64[place(t, reference) >> THREE]
    else:
        reference = t.flows[row].chain[1]
        ring = ONE
    return look_back(t, m, row, group.dir, reference, ring, group.start, want, fresh)


@inlined
def keep_edge(m: Any, row: Any, side: Any, upto: Any, begin: Any, to: Any) -> Any:
    """Remember what of a span, which ends at logical offset `upto`, may be needed again."""
    need = needed(m, begin, to)
    last = np.uint64(m.buffer[to - ONE])
    m.edges[row * TWO + side] = (upto & UPTO) | (need << NEED_SHIFT) | (last << LAST_SHIFT)
    if need != ZERO and need <= TWO:
        return
    tail = m.tails[row * TWO + side]
    piece = m.pieces[m.state[PIECES] - ONE]
    count = min(np.uint64(TAIL_BYTES), to - begin)
    octets = tail.octets
    for i in range(count):
        octets[i] = m.buffer[to - count + np.uint64(i)]
    tail.upto = upto
    tail.ts_ns = piece.ts_ns
    tail.count = np.uint8(count)
    tail.since = np.uint8(min(np.uint64(255), to - np.uint64(piece.at)))


@inlined
def needed(m: Any, begin: Any, to: Any) -> Any:
    """1 + how many bytes of buffer[begin:to] a match may need that goes on behind them: those since
    the last one that no pattern can match, and their context. 0 = not known."""
    if m.config[EDGES] == 0:
        return ZERO
    before, after = np.uint64(m.config[BEFORE]), np.uint64(m.config[AFTER])
    if to - begin <= before + after:
        return ZERO
    at = to - after
    low = max(begin + before, to - min(to, NEED_MOST - before))
    while at > low:
        at -= ONE
        if m.alphabet[m.buffer[at]] == 0:
            return to - at + before
    return ZERO


@inlined
def gather_side(t: Any, m: Any, payload: Any, count: Any, near: Any, back: Any) -> Any:
    """Spans of one direction's groups, which are in `order`: one for each run of them."""
    fresh = begin = to = ZERO
    origin = upto = ZERO
    is_open = whole = later = False
    side = row = ZERO
    while count != ZERO:
        count -= ONE
        group = t.groups[np.uint64(m.order[count])]
        row, side = np.uint64(group.flow), np.uint64(group.dir)
        if is_open and group.start != upto:
            if to > fresh:
                add_span(m, row, side, origin, begin, fresh, to, whole, True, later)
                later = True
            is_open = False
        if not is_open:
            edge = m.edges[row * TWO + side]
            need = (edge >> NEED_SHIFT) & NEED_MOST
            known = edge & UPTO == group.start & UPTO and need != ZERO
            if not known or need - ONE > np.uint64(near):
                armed = m.tails[row * TWO + side].armed > group.start
                most = ONE + np.uint64(back if armed else near)
                need = min(need, most) if known else most
            want = min(need - ONE, group.start)
            fresh = to = m.state[FILL] + want
            got = want
            if known and want <= ONE:
                m.buffer[fresh - ONE] = np.uint8(edge >> LAST_SHIFT)
            else:
                got = look_before(t, m, group, want, fresh)
            begin = fresh - got
            m.buffer[begin - ONE] = NEWLINE
            origin = group.start - got
            whole = got < want or group.start == want
            is_open = True
        got = copy_group(t, m, group, payload, to)
        if got != ZERO:
            add_piece(m, to, group.ts_ns)
            to += got
        else:  # it was overwritten before it could be looked at
            if to > fresh:
                add_span(m, row, side, origin, begin, fresh, to, whole, True, later)
                later = True
            is_open = False
        upto = group.start + got
    if is_open and to > fresh:
        keep_edge(m, row, side, upto, begin, to)
        add_span(m, row, side, origin, begin, fresh, to, whole, False, later)


@kernel
def gather_groups(
    t: ShardColumns, m: PatternColumns, payload: U8, first: int, near: int, back: int
) -> int:
    """A span for each run that the batch's groups from `first` on make, where a pattern is for it.

    near: bytes wanted before it; back: where a pattern may have begun there. A stream is taken with
    its newest group. Returns the group to go on with: the buffer may be full before all are in.
    What is longer than the buffer is counted and left out.
    """
    reset_spans(m)
    size = np.uint64(m.buffer.size - MATCH_BYTES)  # the rest is scratch of who tells matches
    count = np.int64(t.state[GROUPS])
    for i in range(first, count):
        row = np.uint64(t.groups[i].flow)
        flow = t.flows[row]
        if np.int64(flow.group) != i + 1:
            continue
        if m.config[BY_SERVICE]:
            note_service(t, m, row)
        wants = m.wanted[flow.service * 2] | m.wanted[flow.service * 2 + 1]
        if wants == 0:
            continue
        length = runs = ZERO
        for side in range(2):
            some = groups_of(t, m, row, i, side)
            runs += some
            for k in range(some):
                length += np.uint64(t.groups[np.uint64(m.order[k])].len)
        need = length + (np.uint64(back) + TWO) * runs
        fits = m.state[FILL] + need + TWO <= size
        if not fits and m.state[SPANS] == ZERO:
            m.state[UNSCANNED] += length
            continue
        if (
            not fits
            or m.state[SPANS] + runs > np.uint64(m.spans.size)
            or m.state[PIECES] + np.uint64(back) * TWO + runs > np.uint64(m.pieces.size)
        ):
            return int(i)
        for side in range(2):
            if m.wanted[flow.service * 2 + np.uint8(side == flow.client)] != 0:
                some = groups_of(t, m, row, i, side)
                gather_side(t, m, payload, some, near, back)
    return int(count)
