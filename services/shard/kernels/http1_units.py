"""Units of an HTTP/1.x direction one after the other: heads, chunks, trailers; what each settles.

The rules, and the words of PARSER, are in `http1.py`: it finds the bytes, this reads them.
"""

from typing import Any

import numpy as np

from services.shard.kernels.http1_head import CR, LF, SP, TAB, find_lf
from services.shard.kernels.http1_messages import head_unit
from services.shard.kernels.http1_state import (
    AFTER_CR,
    AFTER_LF,
    BODY_ENDS,
    CHUNK,
    CHUNK_END,
    CLOSE,
    HOLD,
    HOLD_NEXT,
    LENGTH,
    LOOK,
    ONE,
    OVER,
    SEEN,
    SIZE,
    SKIP,
    START,
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
from services.shard.kernels.messages import close_message
from services.shard.kernels.state import MAX_HEADER
from shared.columns import (
    HTTP1,
    MESSAGE_COMPLETE,
    MESSAGE_ERROR,
    NO_NOTE,
    NOTE_CHUNK,
    NOTE_TOO_LONG,
)
from shared.kernels import inlined

MOST = np.uint64(1 << 62)


@inlined
def chunk_size(octets: Any, here: Any, lf: Any) -> Any:
    """Of a chunk's first line (RFC 9112 §7.1), MOST when it is none or too large."""
    i, size = here, ZERO
    while i < lf:
        byte = octets[i]
        digit = np.uint64(np.uint8(byte - np.uint8(48)))
        letter = np.uint64(np.uint8((byte | np.uint8(32)) - np.uint8(97)))
        if digit > np.uint64(9):
            if letter > np.uint64(5):
                break
            digit = letter + np.uint64(10)
        size = MOST if size >= MOST >> np.uint64(4) else size << np.uint64(4) | digit
        i += ONE
    if i == here:
        return MOST
    stop = lf - ONE if lf > here and octets[lf - ONE] == CR else lf
    while i < stop and (octets[i] == SP or octets[i] == TAB):
        i += ONE
    if i < stop and octets[i] != np.uint8(59):  # ; begins an extension
        return MOST
    return size


@inlined
def chunk_unit(t: Any, parser: Any, side: Any, octets: Any, here: Any, lf: Any, stop: Any) -> Any:
    """A chunk's size, the end of its data, or a line of the trailer section, RFC 9112 §7.1.

    Returns whether something was settled.
    """
    at, phase = parser.next[side], np.int64(parser.phase[side])
    found = lf < stop
    length = (lf + ONE if found else stop) - here
    note, body_end = NO_NOTE, at
    if phase == CHUNK_END:
        if octets[here] == LF:
            parser.next[side] = at + ONE
        elif octets[here] != CR:
            note = NOTE_CHUNK
        elif length == ONE:
            return False
        elif octets[here + ONE] == LF:
            parser.next[side] = at + TWO
        else:
            note = NOTE_CHUNK
        parser.phase[side] = np.uint8(SIZE)
    elif length > np.uint64(t.config[MAX_HEADER]):
        note = NOTE_CHUNK if phase == SIZE else NOTE_TOO_LONG
        body_end = at if phase == SIZE else parser.work[BODY_ENDS + side]
    elif not found:
        return False
    elif phase == SIZE:
        size = chunk_size(octets, here, lf)
        if size >= MOST:
            note = NOTE_CHUNK
        else:
            parser.next[side] = at + length + size
            parser.work[BODY_ENDS + side] = at + length
            parser.phase[side] = np.uint8(CHUNK if size else TRAILER)
    else:
        parser.next[side] = at + length
        if length == ONE or (length == TWO and octets[here] == CR):
            done(t, parser, side, parser.work[BODY_ENDS + side], at + length)
    if note != NO_NOTE:
        close_message(t, parser, side, MESSAGE_ERROR, note, body_end, at)
        parser.phase[side] = np.uint8(OVER)
    return True


@inlined
def done(t: Any, parser: Any, side: Any, body_end: Any, end: Any) -> Any:
    """A message is whole."""
    close_message(t, parser, side, MESSAGE_COMPLETE, NO_NOTE, body_end, end)
    parser.phase[side] = np.uint8(HOLD if has_flag(parser, side, HOLD_NEXT) else START)
    clear_flag(parser, side, HOLD_NEXT)


@inlined
def advance(
    t: Any, parser: Any, row: Any, side: Any, octets: Any, words: Any, end: Any, shift: Any,
    ts_ns: Any, yields: Any,
) -> Any:  # fmt: skip
    """Look at a direction's bytes up to offset `end`; `next` is behind what was settled.

    shift: what to add to an offset for its index in octets. Bytes from `next` on are there.
    yields: stop when the other direction has something to be looked at first.
    """
    other = 1 - side
    while parser.protocol == HTTP1:
        at, phase = parser.next[side], np.int64(parser.phase[side])
        if at > end or phase >= HOLD or (yields and lags(parser, other)):
            break
        if phase == LENGTH:
            done(t, parser, side, at, at)
            continue
        if phase == CHUNK:
            parser.phase[side] = np.uint8(CHUNK_END)
            continue
        if at == end:
            break
        if phase == CLOSE:
            parser.next[side] = end
            break
        here, stop = at + shift, end + shift
        lf = find_lf(words, here, stop)
        if phase == SKIP:
            set_flag(parser, side, SEEN)
            parser.next[side] = min(lf + ONE, stop) - shift
            if lf < stop:
                parser.phase[side] = np.uint8(LOOK)
            continue
        if is_head_phase(phase):
            settled = head_unit(t, parser, row, side, octets, words, here, lf, stop, ts_ns)
        else:
            settled = chunk_unit(t, parser, side, octets, here, lf, stop)
        if not settled:
            keep_for_later(parser, side, octets, here, stop, ts_ns)
            break


@inlined
def keep_for_later(parser: Any, side: Any, octets: Any, here: Any, stop: Any, ts_ns: Any) -> Any:
    """A unit is not whole: remember when it began, and how what came of it ends."""
    parser.work[TIMES + side] = np.uint64(ts_ns)
    clear_flag(parser, side, AFTER_LF | AFTER_CR)
    if octets[stop - ONE] == LF:
        set_flag(parser, side, AFTER_LF)
    elif stop - here > ONE and octets[stop - ONE] == CR and octets[stop - TWO] == LF:
        set_flag(parser, side, AFTER_CR)
