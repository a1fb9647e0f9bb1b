"""Heads of HTTP/1.x messages: their rows, how their bodies end, and what follows them.

The rules, and the words of PARSER, are in `http1.py`: it finds the bytes, this reads them.
"""

from typing import Any

import numpy as np

from services.shard.kernels.http1_head import (
    CHUNKED_LAST,
    CR,
    GIVEN,
    NO_CODING,
    NOT_GIVEN,
    SP,
    find_status_line,
    is_simple,
    method_length,
    read_fields,
    says_http,
    start_line,
    status_code,
    trim_end,
    trim_start,
)
from services.shard.kernels.http1_pairs import answered, asked, first_is_simple
from services.shard.kernels.http1_state import (
    ARRIVED,
    CAME,
    CAUGHT_UP,
    CLOSE,
    FLAGS,
    FRAMES,
    HEAD,
    HOLD,
    HOLD_NEXT,
    LENGTH,
    LOOK,
    LOST,
    NO_FRAMES,
    ONE,
    OVER,
    SEEN,
    SIZE,
    SKIP,
    START,
    TWO,
    ZERO,
    clear_flag,
    has_flag,
    set_flag,
)
from services.shard.kernels.messages import (
    begin_text,
    close_message,
    end_text,
    open_message,
    row_of,
)
from services.shard.kernels.state import MAX_HEADER
from services.shard.kernels.tunnels import begin_tunnel
from shared.columns import (
    ASKED_CONNECT,
    ASKED_HEAD,
    ASKED_SIMPLE,
    ASKED_WEBSOCKET,
    CHANGED,
    FROM_SYN,
    HTTP1,
    HTTP_FRAMINGS,
    MESSAGE_COMPLETE,
    MESSAGE_ERROR,
    MESSAGE_PARTIAL,
    NO_KIND,
    NO_NOTE,
    NO_VALUE,
    NOTE_HEADER,
    NOTE_LENGTH,
    NOTE_START_LINE,
    NOTE_TOO_LONG,
    NOTE_TRUNCATED,
    REQUEST,
    RESPONSE,
    SERVICE_BY_PAYLOAD,
    SERVICES,
    WEBSOCKET,
)
from shared.kernels import inlined

BY_NONE, BY_LENGTH, BY_CHUNKS, BY_CLOSE, BY_UPGRADE = range(len(HTTP_FRAMINGS))
NOT_A_NUMBER = np.uint64(NO_VALUE)
TEXT_MOST, NAME_MOST = np.uint64(400), np.uint64(100)
WEBSOCKET_SERVICE = SERVICES.index("websocket")


# ------------------------------------------------------------------------------------ messages
@inlined
def copy_printable(t: Any, to: Any, octets: Any, at: Any, length: Any) -> Any:
    for i in range(length):
        byte = octets[at + np.uint64(i)]
        odd = (byte < SP) | (byte == np.uint8(127))
        t.text[to + np.uint64(i)] = np.uint8(46) if odd else byte


@inlined
def write_text(
    t: Any, message: Any, octets: Any, at: Any, stop: Any, name: Any, name_stop: Any
) -> Any:
    """A start line without its end, and a name."""
    length = min(stop - at, TEXT_MOST)
    name = trim_start(octets, name, name_stop)
    name_length = min(trim_end(octets, name, name_stop) - name, NAME_MOST)
    to = begin_text(t, message)
    copy_printable(t, to, octets, at, length)
    copy_printable(t, to + length, octets, name, name_length)
    end_text(t, message, length + name_length, name_length)


@inlined
def is_whole(t: Any, parser: Any, row: Any) -> Any:
    """Whether the stream was seen from its beginning, without a gap so far."""
    syns = t.dirs[row * 2].marks & t.dirs[row * 2 + 1].marks & FROM_SYN
    return syns != 0 and parser.work[FLAGS] & LOST == ZERO


@inlined
def pair(t: Any, parser: Any, row: Any, side: Any, kind: Any, code: Any) -> Any:
    """The open message of a direction finds its place; marks of the request that it answers."""
    if kind == REQUEST:
        asked(t, parser, parser.open[side])
        return -1
    interim = 100 <= code < 200 and code != 101
    return answered(t, parser, parser.open[side], side, interim, is_whole(t, parser, row))


@inlined
def fragment_kind(t: Any, parser: Any, row: Any, side: Any, octets: Any, at: Any, stop: Any) -> Any:
    """Of what has no whole start line; NO_KIND when it looks like nothing, and need not be."""
    if stop - at >= np.uint64(5) and says_http(octets, at):
        return RESPONSE
    if method_length(octets, at, stop) != ZERO:
        return REQUEST
    if parser.phase[side] == LOOK:
        return NO_KIND
    return REQUEST if t.flows[row].client == side else RESPONSE


@inlined
def body_framing(kind: Any, code: Any, asked_marks: Any, state: Any, coding: Any) -> Any:
    """How the end of the body is known, RFC 9112 §6.3; and what is wrong, where it is not."""
    if kind == REQUEST:
        if coding == CHUNKED_LAST:
            return BY_CHUNKS, NO_NOTE
        if coding != NO_CODING:
            return BY_NONE, NOTE_HEADER
        if state == NOT_GIVEN:
            return BY_NONE, NO_NOTE
        return BY_LENGTH, NO_NOTE if state == GIVEN else NOTE_LENGTH
    known = max(asked_marks, 0)
    if code == 101 or (known & ASKED_CONNECT and 200 <= code < 300):
        return BY_UPGRADE, NO_NOTE
    if known & ASKED_HEAD or code < 200 or code == 204 or code == 304:
        return BY_NONE, NO_NOTE
    if coding == CHUNKED_LAST:
        return BY_CHUNKS, NO_NOTE
    if coding != NO_CODING or state == NOT_GIVEN:
        return BY_CLOSE, NO_NOTE
    return BY_LENGTH, NO_NOTE if state == GIVEN else NOTE_LENGTH


@inlined
def let_go(parser: Any, side: Any) -> Any:
    """A request that would have changed the protocol was refused: its direction goes on."""
    clear_flag(parser, side, HOLD_NEXT)
    if parser.phase[side] == HOLD:
        parser.phase[side] = np.uint8(START)
        if parser.work[ARRIVED + side] > parser.wait[side]:
            clear_flag(parser, side, CAUGHT_UP)


@inlined
def switch(t: Any, parser: Any, row: Any, side: Any, code: Any, to_websocket: Any) -> Any:
    """Both directions speak another protocol from here on: after the response's head, and after
    the request. Which, but for WebSocket, their first bytes tell."""
    other = 1 - side
    if parser.open[other] != ZERO:
        cut = min(parser.next[other], parser.wait[other])
        close_message(t, parser, other, MESSAGE_PARTIAL, NOTE_TRUNCATED, cut, cut)
        parser.next[other] = max(parser.next[other], parser.wait[other])
    was_over = parser.phase[other] == OVER
    parser.phase[0] = np.uint8(OVER)
    parser.phase[1] = np.uint8(OVER)
    came = max(parser.work[ARRIVED + other], parser.wait[other])
    if not to_websocket:
        if not was_over:
            begin_tunnel(parser, side, came, code != 101)
        return
    parser.protocol = np.uint8(WEBSOCKET)
    for i in range(10):
        parser.work[i] = ZERO
    parser.work[CAME + other] = came
    for one in range(2):
        parser.phase[one] = np.uint8(NO_FRAMES if one == other and was_over else FRAMES)
        parser.wait[one] = parser.next[one]
    flow = t.flows[row]
    flow.service = np.uint8(WEBSOCKET_SERVICE)
    flow.told_by = np.uint8((flow.told_by & 15) | SERVICE_BY_PAYLOAD << 4)
    flow.marks |= np.uint8(CHANGED)


@inlined
def go_on(
    t: Any, parser: Any, row: Any, side: Any, kind: Any, marks: Any, code: Any, answers: Any,
    framing: Any, length: Any, websocket: Any,
) -> Any:  # fmt: skip
    """Behind a head: what follows in its direction, and whether the other one need not wait."""
    end = parser.next[side]
    if kind == RESPONSE and (code >= 200 or code < 100):
        if answers < 0 or answers & (ASKED_CONNECT | ASKED_WEBSOCKET):
            let_go(parser, 1 - side)
    elif kind == REQUEST and marks & (ASKED_CONNECT | ASKED_WEBSOCKET):
        set_flag(parser, side, HOLD_NEXT)
    if framing == BY_CHUNKS:
        parser.phase[side] = np.uint8(SIZE)
    elif framing == BY_CLOSE:
        parser.phase[side] = np.uint8(CLOSE)
    elif framing == BY_UPGRADE:
        close_message(t, parser, side, MESSAGE_COMPLETE, NO_NOTE, end, end)
        switch(t, parser, row, side, code, code == 101 and websocket)
    else:  # a body of no bytes ends at once, in `advance`
        parser.next[side] = end + length if framing == BY_LENGTH else end
        parser.phase[side] = np.uint8(OVER if marks & ASKED_SIMPLE else LENGTH)
        if marks & ASKED_SIMPLE:
            close_message(t, parser, side, MESSAGE_COMPLETE, NO_NOTE, end, end)


# ---------------------------------------------------------------------------------- one unit
@inlined
def head_unit(
    t: Any, parser: Any, row: Any, side: Any, octets: Any, words: Any, here: Any, lf: Any,
    stop: Any, ts_ns: Any,
) -> Any:  # fmt: skip
    """A start line, or what follows it, at index `here`; its LF is at `lf` (stop = none).

    Returns whether something was settled: then there may be more to look at.
    """
    most = np.uint64(t.config[MAX_HEADER])
    at, phase = parser.next[side], np.int64(parser.phase[side])
    found = lf < stop
    first_line = (lf + ONE if found else stop) - here
    note, kind, marks = NO_NOTE, NO_KIND, 0
    line_end, header, behind = here, first_line, ZERO
    state, length, coding, websocket = NOT_GIVEN, ZERO, NO_CODING, False
    host, host_end = here, here
    by_close = False
    if first_line > most:
        upto = here + most
        begins = fragment_kind(t, parser, row, side, octets, here, upto) != NO_KIND
        if phase == LOOK and (has_flag(parser, side, SEEN) or not begins):
            parser.phase[side] = np.uint8(SKIP)
            return True
        note, header = NOTE_TOO_LONG, most
    elif not found:
        return False
    elif first_line == ONE or (first_line == TWO and octets[here] == CR):  # RFC 9112 §2.2
        parser.next[side] = at + first_line
        return True
    else:
        line_end = trim_end(octets, here, lf)
        kind, marks = start_line(octets, here, line_end, not has_flag(parser, side, SEEN))
    if kind != NO_KIND:
        parser.phase[side] = np.uint8(HEAD)
        behind, state, length, coding, websocket, host, host_end = read_fields(
            octets, words, lf + ONE, stop
        )
        header = (behind if behind else stop) - here
        if header > most:
            note, header = NOTE_TOO_LONG, most
        elif behind == ZERO:
            return False
    elif note == NO_NOTE:
        fresh = not has_flag(parser, side, SEEN)
        if fresh and is_simple(octets, here, line_end):
            kind, marks = REQUEST, ASKED_SIMPLE
        elif fresh and first_is_simple(t, parser, side, ASKED_SIMPLE):
            kind, by_close, at, header, line_end = RESPONSE, True, ZERO, ZERO, here
        elif phase == LOOK:
            set_flag(parser, side, SEEN)
            inside = find_status_line(octets, here, line_end)
            parser.next[side] = at + (first_line if inside == ZERO else inside - here)
            return True
        else:
            note = NOTE_START_LINE
    set_flag(parser, side, SEEN)
    if kind == NO_KIND:
        upto = here + header
        kind = fragment_kind(t, parser, row, side, octets, here, upto)
        line_end = trim_end(octets, here, min(lf, upto))
    number = open_message(t, row, side, HTTP1, kind, at, ts_ns)
    parser.open[side] = number
    code, framing, answers = 0, BY_NONE, -1
    if note == NO_NOTE:
        if kind == RESPONSE and not by_close:
            code = status_code(octets, here)
        if websocket and (kind == REQUEST or code == 101):
            marks |= ASKED_WEBSOCKET
    if number != ZERO:
        message = t.messages[row_of(t, number - ONE)]
        failed = note != NO_NOTE
        message.marks = np.uint8(0 if failed else marks)
        message.code = np.uint16(code)
        message.header_end = at + header
        message.body_start = at + header
        message.value = NOT_A_NUMBER if failed or state != GIVEN else length
        if failed or host == ZERO:
            host, host_end = here, here
        write_text(t, message, octets, here, line_end, host, host_end)
    if note == NO_NOTE:
        answers = pair(t, parser, row, side, kind, code)
        framing, note = body_framing(kind, code, answers, state, coding)
        if by_close:
            framing = BY_CLOSE
    end = at + header
    if note != NO_NOTE:
        close_message(t, parser, side, MESSAGE_ERROR, note, end, end)
        parser.phase[side] = np.uint8(OVER)
        return True
    if number != ZERO:
        t.messages[row_of(t, number - ONE)].framing = np.uint8(framing)
    parser.next[side] = end
    go_on(t, parser, row, side, kind, marks, code, answers, framing, length, websocket)
    return True
