"""Messages as parsers find them: a ring of rows, a ring of texts, and the list of what ended.

Rules. A parser opens a message when it sees its first byte, fills in the row, and finishes it
once. The row may be overwritten meanwhile, by MESSAGES more of them: `row_of` says so with -1, and
what is finished then is not told. A message's text is at most MESSAGE_TEXT_MAX bytes and never
wraps. How many messages one group may have is bounded; what is over is counted and has no row.
"""

from typing import Any

import numpy as np

from services.shard.kernels.content import HEADER, direction_of, is_there, place
from services.shard.kernels.state import (
    C_MESSAGES,
    C_OVER_LIMIT,
    C_PARSER_ERRORS,
    C_PARSER_GAPS,
    C_UNTOLD,
    FINISHED,
    IN_GROUP,
    MAX_IN_GROUP,
    MESSAGES,
    TEXT_HEAD,
)
from shared.columns import (
    MESSAGE_COMPLETE,
    MESSAGE_ERROR,
    MESSAGE_GAP,
    MESSAGE_PARTIAL,
    MESSAGE_TEXT_MAX,
    NOTE_END,
    NOTE_GAP,
)
from shared.kernels import inlined

LOW_32 = np.uint64(0xFFFFFFFF)
ONE, THREE = np.uint64(1), np.uint64(3)
EXTENTS_LOOKED_AT = 4096  # how far back in a stream the bytes of one unit are looked for


@inlined
def row_of(t: Any, number: Any) -> Any:
    """Where a message is in the ring; -1 when newer ones took its place."""
    size = np.uint64(t.messages.size)
    if t.state[MESSAGES] > number + size:
        return np.int64(-1)
    return np.int64(number % size)


@inlined
def open_message(
    t: Any, row: Any, direction: Any, protocol: Any, kind: Any, start: Any, ts_ns: Any
) -> Any:
    """A new message of a stream; returns 1 + its number, 0 when the group has too many already."""
    if t.state[IN_GROUP] >= np.uint64(t.config[MAX_IN_GROUP]):
        t.counters[C_OVER_LIMIT] += ONE
        return np.uint64(0)
    t.state[IN_GROUP] += ONE
    number = t.state[MESSAGES]
    t.state[MESSAGES] = number + ONE
    message = t.messages[number % np.uint64(t.messages.size)]
    message.stream_id = t.flows[row].stream_id
    message.ts_ns = ts_ns
    message.start = np.uint64(start)
    message.header_end = np.uint64(start)
    message.body_start = np.uint64(start)
    message.body_end = np.uint64(start)
    message.end = np.uint64(start)
    message.text = t.state[TEXT_HEAD]
    message.value = np.uint64(0)
    message.row = np.uint32(row)
    message.ordinal = t.message_count[row]
    message.previous = t.last_message[row]
    message.pair = np.uint32(0)
    message.code = np.uint16(0)
    message.text_len = np.uint16(0)
    message.name_len = np.uint16(0)
    message.protocol = np.uint8(protocol)
    message.kind = np.uint8(kind)
    message.dir = np.uint8(direction)
    message.status = np.uint8(0)
    message.framing = np.uint8(0)
    message.marks = np.uint8(0)
    message.note = np.uint8(0)
    message.waits = np.uint32(0)
    t.message_count[row] += np.uint32(1)
    t.last_message[row] = np.uint32((number + ONE) & LOW_32)
    t.counters[C_MESSAGES] += ONE
    return number + ONE


@inlined
def begin_text(t: Any, message: Any) -> Any:
    """Room for MESSAGE_TEXT_MAX bytes of text in one piece; returns where in `text` it begins.

    Write there, then say `end_text`; nothing else may be written in between.
    """
    size = np.uint64(t.text.size)
    head = t.state[TEXT_HEAD]
    if head % size + np.uint64(MESSAGE_TEXT_MAX) > size:
        head += size - head % size
        t.state[TEXT_HEAD] = head
    message.text = head
    return head % size


@inlined
def end_text(t: Any, message: Any, length: Any, name_length: Any) -> Any:
    """length: bytes written, the name included; name_length: how many of them, the last ones."""
    message.text_len = np.uint16(length)
    message.name_len = np.uint16(name_length)
    t.state[TEXT_HEAD] = message.text + np.uint64(length)


@inlined
def finish(t: Any, number: Any, status: Any, note: Any, body_end: Any, end: Any) -> Any:
    """The message is over. number: of the message, not 1 + it."""
    if status == MESSAGE_ERROR:
        t.counters[C_PARSER_ERRORS] += ONE
    at = row_of(t, number)
    if at < 0 or t.state[FINISHED] >= np.uint64(t.finished.size):
        t.counters[C_UNTOLD] += ONE
    else:
        t.finished[t.state[FINISHED]] = number
        t.state[FINISHED] += ONE
    if at >= 0:
        message = t.messages[at]
        message.status = np.uint8(status)
        message.note = np.uint8(note)
        message.body_end = np.uint64(body_end)
        message.end = np.uint64(end)


@inlined
def close_header(t: Any, number: Any, status: Any, note: Any, end: Any) -> Any:
    """A message is over, all of which is its header."""
    at = row_of(t, number)
    if at >= 0:
        t.messages[at].header_end = np.uint64(end)
        t.messages[at].body_start = np.uint64(end)
    finish(t, number, status, note, end, end)


@inlined
def lose_header(t: Any, parser: Any, side: Any, status: Any, note: Any, end: Any) -> Any:
    """The message that is open in a direction, if one is, will not be whole; it is its header."""
    number = parser.open[side]
    if number == np.uint64(0):
        return
    at = row_of(t, number - ONE)
    if at >= 0 and note == NOTE_GAP:
        t.messages[at].marks |= np.uint8(MESSAGE_GAP)
    close_header(t, number - ONE, status, note, end)
    parser.open[side] = np.uint64(0)


@inlined
def close_message(
    t: Any, parser: Any, side: Any, status: Any, note: Any, body_end: Any, end: Any
) -> Any:
    """The direction's open message is over; one that misses bytes is never complete."""
    number = parser.open[side]
    if number == np.uint64(0):
        return
    at = row_of(t, number - ONE)
    if at >= 0 and status == MESSAGE_COMPLETE and t.messages[at].marks & MESSAGE_GAP:
        status, note = MESSAGE_PARTIAL, NOTE_GAP
    finish(t, number - ONE, status, note, body_end, end)
    parser.open[side] = np.uint64(0)


@inlined
def mark_gap(t: Any, parser: Any, side: Any) -> Any:
    if parser.open[side] != np.uint64(0):
        at = row_of(t, parser.open[side] - ONE)
        if at >= 0:
            t.messages[at].marks |= np.uint8(MESSAGE_GAP)


@inlined
def note_at_end(t: Any, parser: Any, side: Any, end: Any) -> Any:
    """Why what is open ends with the stream, whose direction has `end` bytes: some were not seen,
    or no more come."""
    if end <= parser.wait[side]:
        return NOTE_END
    t.counters[C_PARSER_GAPS] += ONE
    mark_gap(t, parser, side)
    return NOTE_GAP


@inlined
def gather(t: Any, row: Any, direction: Any, start: Any, stop: Any) -> Any:
    """Copy bytes [start, stop) of a direction from the content log into `unit`.

    Returns whether all were there; stop - start is at most unit.size.
    """
    first, behind = np.uint64(start), np.uint64(stop)
    missing = behind - first
    looked = 0
    for ring in (ONE, np.uint64(0)):
        reference = t.flows[row].chain[ring]
        while missing != np.uint64(0) and looked < EXTENTS_LOOKED_AT and is_there(t, reference):
            word = place(t, reference) >> THREE
            begin = t.ring64[word + ONE]
            end = begin + (t.ring64[word + THREE] & LOW_32)
            if direction_of(t, word) == np.uint64(direction):
                if begin < behind and end > first:
                    low, high = max(begin, first), min(end, behind)
                    at = (word << THREE) + np.uint64(HEADER) + low - begin
                    to = low - first
                    for i in range(high - low):
                        t.unit[to + np.uint64(i)] = t.ring8[at + np.uint64(i)]
                    missing -= high - low
            looked += 1
            reference = t.ring64[word]
    return missing == np.uint64(0)
