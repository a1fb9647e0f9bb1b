"""HTTP/1.x framing (RFC 9112): where each request and response lies, and how they belong together.

Rules. A direction's messages are told by their start lines, whoever says them. PARSER.next is
where the next unit (a start line, a head, a chunk's size …) begins; it is ahead of what came while
a body is passed over. PARSER.wait is how far the direction was looked at: a unit that is not whole
lies in [next, wait), and is put together when the bytes that end it have come. Everything is
decided by the bytes alone, never by how they were cut. A parse error ends a direction, a gap
outside of a body does not: it goes on with the next line that begins a message. After a request
that may change the protocol (CONNECT, Upgrade: websocket) its direction is held until the answer
decides.
"""

from typing import Any

import numpy as np

from services.shard.kernels.content import HEADER, is_there, place
from services.shard.kernels.earlier import group_at
from services.shard.kernels.http1_head import (
    CR,
    find_lf,
    start_line,
    status_code,
    trim_end,
)
from services.shard.kernels.http1_messages import (
    NOT_A_NUMBER,
    fragment_kind,
    pair,
    write_text,
)
from services.shard.kernels.http1_pairs import keep_newest
from services.shard.kernels.http1_state import (
    AFTER_CR,
    AFTER_LF,
    ARRIVED,
    BODY_ENDS,
    CAUGHT_UP,
    CAUGHT_UP_MOST,
    CHUNK,
    CHUNK_END,
    CLOSE,
    FLAGS,
    HEAD,
    HOLD,
    HOLD_NEXT,
    LENGTH,
    LOOK,
    LOST,
    LOW_32,
    ONE,
    OVER,
    SEEN,
    THREE,
    TIMES,
    TRAILER,
    TWO,
    ZERO,
    clear_flag,
    has_flag,
    is_head_phase,
    lags,
    set_flag,
)
from services.shard.kernels.http1_units import advance
from services.shard.kernels.look import parser_at
from services.shard.kernels.messages import (
    close_message,
    gather,
    mark_gap,
    note_at_end,
    open_message,
    row_of,
)
from services.shard.kernels.state import (
    C_PARSER_GAPS,
    C_PARSER_LOST,
    EARLIER,
    GROUPS,
    IN_GROUP,
    MAX_HEADER,
    ShardColumns,
)
from services.shard.kernels.tunnels import follow
from shared.columns import (
    HTTP1,
    MESSAGE_COMPLETE,
    MESSAGE_GAP,
    MESSAGE_PARTIAL,
    NO_KIND,
    NO_NOTE,
    NOTE_END,
    NOTE_GAP,
    NOTE_LOST,
    RESPONSE,
    SAW_FIN,
    SAW_RST,
    TUNNEL,
)
from shared.kernels import inlined, kernel


# ------------------------------------------------------------------------------ where bytes lie
@inlined
def ends_here(parser: Any, side: Any) -> Any:
    """Whether a body ends with the last byte that was looked at, and was not told yet."""
    phase = parser.phase[side]
    return parser.next[side] == parser.wait[side] and (phase == LENGTH or phase == CHUNK)


@inlined
def end_of_unit(t: Any, parser: Any, side: Any, words: Any, at: Any, stop: Any) -> Any:
    """Index behind the byte that may end the unit which began before [at, stop); 0 = none.

    Keeps how a head ends that is not whole.
    """
    phase = parser.phase[side]
    if phase == CHUNK_END:
        return at + ONE
    if phase != HEAD:
        lf = find_lf(words, at, stop)
        return lf + ONE if lf < stop else ZERO
    after_lf, after_cr = has_flag(parser, side, AFTER_LF), has_flag(parser, side, AFTER_CR)
    octets = t.ring8
    clear_flag(parser, side, AFTER_LF | AFTER_CR)
    while at < stop:
        if after_lf and octets[at] == CR:
            after_lf, after_cr = False, True
            at += ONE
            continue
        lf = find_lf(words, at, stop)
        if lf == at and (after_lf or after_cr):
            return lf + ONE
        after_lf, after_cr = lf < stop, False
        at = lf + ONE
    if after_lf:
        set_flag(parser, side, AFTER_LF)
    if after_cr:
        set_flag(parser, side, AFTER_CR)
    return ZERO


@inlined
def read_group(t: Any, parser: Any, row: Any, group: Any) -> Any:
    """Look at a group's bytes, and at those before it that were not looked at yet.

    They are read where they lie in the ring. What lies in several extents, and what came before
    the parser did, is put together in `unit`, from the unit's first byte on.
    """
    own = np.int64(group.dir)
    begin, stop = group.start, group.start + np.uint64(group.len)
    most = np.uint64(t.config[MAX_HEADER])
    in_ring, index = begin, ZERO
    if is_there(t, group.extent):
        index = place(t, group.extent) + np.uint64(HEADER)
        stored = t.ring64[(index >> THREE) - TWO] & LOW_32
        in_ring = begin + min(np.uint64(group.len), stored)
    while parser.protocol == HTTP1:
        side, upto = own, stop
        if lags(parser, 1 - own):
            side = 1 - own
            upto = parser.work[ARRIVED + side]
        elif parser.phase[own] == HOLD:
            parser.work[ARRIVED + own] = max(parser.work[ARRIVED + own], stop)
            break
        elif parser.phase[own] == OVER:
            break
        elif parser.wait[own] >= stop and not ends_here(parser, own):
            break
        fed, at = parser.wait[side], parser.next[side]
        phase = parser.phase[side]
        came = parser.work[ARRIVED + side]
        if side == own and (fed >= begin or fed >= came > ZERO):
            set_flag(parser, own, CAUGHT_UP)
        late = side == own and fed < begin and not has_flag(parser, side, CAUGHT_UP)
        late = late and begin - fed <= CAUGHT_UP_MOST
        if side == own and fed < begin and not late:
            meet_gap(t, parser, row, side, begin, NOTE_GAP)
            continue
        if late:
            upto = begin
        pending = at < fed
        from_ring = side == own and begin <= fed < in_ring
        ts_ns = group.ts_ns
        if phase == CLOSE or at > fed:  # nothing to read there: a body is passed over
            passed = upto if phase == CLOSE else min(upto, at)
            if phase == CLOSE:
                parser.next[side] = passed
            elif at > upto:
                parser.wait[side] = upto
                continue
            parser.wait[side] = passed
            if passed < upto or phase == CLOSE:
                continue
            from_ring = True  # only what ends here is settled
            fed = passed
        first = at if pending else fed
        shift = index - begin
        end = upto
        if from_ring:
            end = min(upto, max(in_ring, fed))
            if pending:
                ts_ns = np.int64(parser.work[TIMES + side])
                found = end_of_unit(t, parser, side, t.ring64, fed + shift, end + shift)
                if found != ZERO:
                    end = found - shift
                elif end - at <= most:
                    parser.wait[side] = end
                    continue
                end = min(end, at + most + ONE)
        else:
            if pending:
                ts_ns = np.int64(parser.work[TIMES + side])
            end = min(upto, first + np.uint64(t.unit.size))
        in_unit = pending or not from_ring
        if in_unit:
            if not gather(t, row, side, first, end):
                missed = late or side != own  # a hole in what is looked at only now
                t.counters[C_PARSER_LOST] += np.uint64(not missed)
                note = NOTE_GAP if missed else NOTE_LOST
                meet_gap(t, parser, row, side, fed if pending else upto, note)
                continue
            shift = ZERO - first
        octets = t.unit if in_unit else t.ring8
        words = t.unit64 if in_unit else t.ring64
        advance(t, parser, row, side, octets, words, end, shift, ts_ns, side == own)
        if parser.protocol != HTTP1:
            break
        stopped = parser.phase[side] == HOLD or (side == own and lags(parser, 1 - side))
        parser.wait[side] = min(end, parser.next[side]) if stopped else end


@inlined
def meet_gap(t: Any, parser: Any, row: Any, side: Any, upto: Any, note: Any) -> Any:
    """Bytes [wait, upto) of a direction will not be looked at."""
    t.counters[C_PARSER_GAPS] += ONE
    parser.work[FLAGS] |= LOST
    set_flag(parser, side, SEEN)
    set_flag(parser, side, CAUGHT_UP)
    at, fed, phase = parser.next[side], parser.wait[side], parser.phase[side]
    parser.wait[side] = upto
    if phase == CLOSE or ((phase == LENGTH or phase == CHUNK) and at >= upto):
        mark_gap(t, parser, side)
        if phase == CLOSE:
            parser.next[side] = upto
        return
    if phase == LENGTH or not is_head_phase(phase):
        mark_gap(t, parser, side)
        end = at if phase == LENGTH else max(at, fed)
        body_end = parser.work[BODY_ENDS + side] if phase == TRAILER else end
        close_message(t, parser, side, MESSAGE_PARTIAL, note, body_end, end)
    else:
        tell_fragment(t, parser, row, side, fed, note)
    parser.phase[side] = np.uint8(LOOK)
    parser.next[side] = upto
    clear_flag(parser, side, HOLD_NEXT)
    keep_newest(t, parser, side)


@inlined
def tell_fragment(t: Any, parser: Any, row: Any, side: Any, fed: Any, note: Any) -> Any:
    """A head that does not go on lies in [next, fed)."""
    at = parser.next[side]
    if at >= fed:
        return
    length = min(fed - at, np.uint64(t.unit.size))
    if not gather(t, row, side, at, at + length):
        length = ZERO
    lf = find_lf(t.unit64, ZERO, length)
    line_end = trim_end(t.unit, ZERO, lf)
    in_head = parser.phase[side] == HEAD
    kind, marks = start_line(t.unit, ZERO, line_end, in_head)
    if not in_head or kind == NO_KIND:
        kind, marks = fragment_kind(t, parser, row, side, t.unit, ZERO, length), 0
    if kind == NO_KIND:
        return
    number = open_message(t, row, side, HTTP1, kind, at, np.int64(parser.work[TIMES + side]))
    parser.open[side] = number
    code = 0
    if number != ZERO:
        message = t.messages[row_of(t, number - ONE)]
        message.header_end = fed
        message.body_start = fed
        message.value = NOT_A_NUMBER
        message.marks = np.uint8(marks | (MESSAGE_GAP if note == NOTE_GAP else 0))
        if in_head and kind == RESPONSE and length >= np.uint64(12):
            code = status_code(t.unit, ZERO)
            message.code = np.uint16(code)
        write_text(t, message, t.unit, ZERO, line_end, ZERO, ZERO)
    if in_head:
        pair(t, parser, row, side, kind, code)
    close_message(t, parser, side, MESSAGE_PARTIAL, note, fed, fed)


# ------------------------------------------------------------------------------------- kernels
@kernel
def parse_http1(t: ShardColumns) -> None:
    """Find the messages in the batch's groups, in their order; and what begins in tunnels."""
    earlier = t.state[EARLIER]
    for i in range(earlier + t.state[GROUPS]):
        group = group_at(t, i, earlier)
        at = max(parser_at(t, group, HTTP1), parser_at(t, group, TUNNEL))
        if at < 0:
            continue
        parser = t.parsers[np.uint64(at)]
        t.state[IN_GROUP] = ZERO
        while True:  # a group may end one and begin the other
            if parser.protocol == HTTP1:
                read_group(t, parser, np.int64(group.flow), group)
            if parser.protocol != TUNNEL:
                break
            follow(t, parser, group)
            if parser.protocol != HTTP1:
                break


@inlined
def end_http1(t: Any, parser: Any, row: Any, side: Any) -> Any:
    """The stream is over. A body that lasts until the close is whole when a FIN closed it."""
    mine, phase = t.dirs[row * 2 + side], parser.phase[side]
    if phase == HOLD or phase == OVER:
        return
    at, fed, end = parser.next[side], parser.wait[side], mine.offset
    note = note_at_end(t, parser, side, end)
    if is_head_phase(phase):
        tell_fragment(t, parser, row, side, fed, note)
        return
    status = MESSAGE_PARTIAL
    if phase == CLOSE and note == NOTE_END and mine.marks & (SAW_FIN | SAW_RST) == SAW_FIN:
        status, note = MESSAGE_COMPLETE, NO_NOTE
    upto = min(at, end) if phase == LENGTH else end
    body_end = parser.work[BODY_ENDS + side] if phase == TRAILER else upto
    close_message(t, parser, side, status, note, body_end, upto)
