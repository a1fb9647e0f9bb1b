"""WebSocket framing (RFC 6455 §5.2), from the byte behind the upgrade on.

Rules. PARSER.next is where the next frame begins; payloads are passed over. A frame is opened when
its header is there, and of a text or close frame the first bytes of the payload; it is told when
its payload is over. What is no frame, and a gap outside of a payload, end a direction: nothing says
where the next frame begins.
"""

from typing import Any

import numpy as np

from services.shard.kernels.content import HEADER, is_there, place
from services.shard.kernels.earlier import group_at
from services.shard.kernels.http1_state import CAME, FRAMES, NO_FRAMES
from services.shard.kernels.look import parser_at
from services.shard.kernels.messages import (
    begin_text,
    close_message,
    end_text,
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
    ShardColumns,
)
from shared.columns import (
    FRAME,
    FRAME_FIN,
    FRAME_MASKED,
    FRAME_RSV1,
    MESSAGE_COMPLETE,
    MESSAGE_ERROR,
    MESSAGE_GAP,
    MESSAGE_PARTIAL,
    NO_NOTE,
    NOTE_FRAME,
    NOTE_GAP,
    NOTE_LOST,
    WEBSOCKET,
)
from shared.kernels import inlined, kernel

TIMES = 2  # word of PARSER.work behind CAME, [side] too
TEXT_FRAME, CLOSE_FRAME = 1, 8
TEXT_MOST = np.uint64(80)
UNIT_MOST = np.uint64(14 + 125)  # the longest header, and what is looked at of a payload
MOST = np.uint64(1 << 62)  # what a length must stay below: it is added to offsets
ZERO, ONE, TWO, THREE, FOUR = (np.uint64(i) for i in range(5))
EIGHT = np.uint64(8)
LOW_32 = np.uint64(0xFFFFFFFF)


@inlined
def big_endian(octets: Any, at: Any, length: Any) -> Any:
    value = ZERO
    for i in range(length):
        value = value << EIGHT | np.uint64(octets[at + np.uint64(i)])
    return value


@inlined
def frame_marks(octets: Any, here: Any) -> Any:
    """FRAME_FIN and FRAME_RSV1 of a frame's first byte."""
    first = octets[here]
    marks = FRAME_FIN if first & 128 else 0
    return marks | FRAME_RSV1 if first & 64 else marks


@inlined
def is_wrong(octets: Any, here: Any) -> Any:
    """Whether two bytes begin no frame: a reserved opcode (§5.2), or a control frame that is long
    or in fragments (§5.5)."""
    opcode, code = octets[here] & 15, octets[here + ONE] & 127
    if 3 <= opcode <= 7 or opcode > 10:
        return True
    return opcode >= CLOSE_FRAME and (code > 125 or octets[here] & 128 == 0)


@inlined
def measure(octets: Any, here: Any, known: Any) -> Any:
    """Length of the header, of the payload, and of what of the payload must be there as well.

    known: bytes that are there, two at least; the payload's length is 0 while they do not tell it.
    """
    code = octets[here + ONE] & 127
    wide = EIGHT if code == 127 else TWO if code == 126 else ZERO
    header = TWO + wide + (FOUR if octets[here + ONE] & 128 else ZERO)
    if known < header:
        return header, ZERO, ZERO
    length = np.uint64(code) if wide == ZERO else big_endian(octets, here + TWO, wide)
    shown, first = ZERO, octets[here]
    if first & 15 == CLOSE_FRAME:
        shown = length
    elif first & 15 == TEXT_FRAME and first & 64 == 0:  # RSV1: compressed, RFC 7692 §6
        shown = min(length, TEXT_MOST)
    return header, length, shown


@inlined
def tell_payload(t: Any, message: Any, octets: Any, here: Any, header: Any, shown: Any) -> Any:
    """A payload's first bytes, unmasked (§5.3), as text; of a close frame its code (§5.5.1)."""
    masked = octets[here + ONE] & 128 != 0
    key = ZERO
    if masked:
        key = big_endian(octets, here + header - FOUR, FOUR)
    is_close = octets[here] & 15 == CLOSE_FRAME
    to, code = begin_text(t, message), ZERO
    for k in range(shown):
        i = np.uint64(k)
        mask = np.uint8(key >> (EIGHT * (THREE - (i & THREE))) & np.uint64(255))
        byte = np.uint8(octets[here + header + i] ^ mask)
        if is_close:
            code = code << EIGHT | np.uint64(byte)
            if i == ONE:
                break
        else:
            odd = byte < 32 or byte == 127
            t.text[to + i] = np.uint8(46) if odd else byte
    if not is_close:
        end_text(t, message, shown, 0)
    elif shown >= TWO:
        message.code = np.uint16(code)


@inlined
def open_frame(
    t: Any, parser: Any, row: Any, side: Any, octets: Any, here: Any, header: Any, ts_ns: Any
) -> Any:
    """A frame's row, with what its first byte says. Returns its place; -1 when it has none."""
    at = parser.next[side]
    number = open_message(t, row, side, WEBSOCKET, FRAME, at, ts_ns)
    parser.open[side] = number
    if number == ZERO:
        return np.int64(-1)
    place = row_of(t, number - ONE)
    message = t.messages[place]
    message.framing = np.uint8(octets[here] & 15)
    message.marks = np.uint8(frame_marks(octets, here))
    message.header_end = at + header
    message.body_start = at + header
    return place


@inlined
def advance(
    t: Any, parser: Any, row: Any, side: Any, octets: Any, end: Any, shift: Any, ts_ns: Any
) -> Any:
    """Look at a direction's bytes up to offset `end`. shift: offset to index in octets."""
    while parser.phase[side] == FRAMES:
        at = parser.next[side]
        if at > end:
            break
        close_message(t, parser, side, MESSAGE_COMPLETE, NO_NOTE, at, at)
        known, here = end - at, at + shift
        if known < TWO:
            break
        wrong = is_wrong(octets, here)
        header, length, shown = TWO, ZERO, ZERO
        if not wrong:
            header, length, shown = measure(octets, here, known)
            wrong = length >= MOST
            if known < header + (ZERO if wrong else shown):
                break
        place = open_frame(t, parser, row, side, octets, here, header, ts_ns)
        if wrong:
            close_message(t, parser, side, MESSAGE_ERROR, NOTE_FRAME, at + header, at + header)
            parser.phase[side] = np.uint8(NO_FRAMES)
            break
        if place >= 0:
            message = t.messages[place]
            message.value = length
            if octets[here + ONE] & 128:
                message.marks |= np.uint8(FRAME_MASKED)
            if shown != ZERO:
                tell_payload(t, message, octets, here, header, shown)
        parser.next[side] = at + header + length
    if parser.next[side] < end:
        parser.work[TIMES + side] = np.uint64(ts_ns)


@inlined
def is_behind(parser: Any, side: Any) -> Any:
    """Whether bytes of a direction came while it was held that were not looked at yet."""
    return parser.wait[side] < parser.work[CAME + side] and parser.phase[side] == FRAMES


@inlined
def read_group(t: Any, parser: Any, row: Any, group: Any) -> Any:
    """Look at a group's bytes; first at what came of the other direction while it was held."""
    own = np.int64(group.dir)
    begin, stop = group.start, group.start + np.uint64(group.len)
    in_ring, index = begin, ZERO
    if is_there(t, group.extent):
        index = place(t, group.extent) + np.uint64(HEADER)
        stored = t.ring64[(index >> THREE) - TWO] & LOW_32
        in_ring = begin + min(np.uint64(group.len), stored)
    while True:
        side, upto, late = own, stop, True
        if is_behind(parser, own):
            upto = parser.work[CAME + own]
        elif is_behind(parser, 1 - own):
            side, upto = 1 - own, parser.work[CAME + 1 - own]
        else:
            late = False
        fed, at = parser.wait[side], parser.next[side]
        if parser.phase[side] == NO_FRAMES or fed >= upto:
            break
        if fed < begin and not late:
            meet_gap(t, parser, row, side, begin, NOTE_GAP)
            continue
        if at > upto:  # a payload is passed over
            parser.wait[side] = upto
            continue
        ts_ns = group.ts_ns if at >= fed else np.int64(parser.work[TIMES + side])
        in_unit = late or at < begin or fed >= in_ring
        first = at
        end = upto
        if not in_unit:
            end = min(upto, in_ring)
        else:
            most = np.uint64(t.unit.size) if late or at >= begin else UNIT_MOST
            end = min(upto, first + most)
            if first < end and not gather(t, row, side, first, end):
                t.counters[C_PARSER_LOST] += np.uint64(not late)
                meet_gap(t, parser, row, side, upto, NOTE_GAP if late else NOTE_LOST)
                continue
        shift = ZERO - first if in_unit else index - begin
        octets = t.unit if in_unit else t.ring8
        advance(t, parser, row, side, octets, end, shift, ts_ns)
        parser.wait[side] = end


@inlined
def meet_gap(t: Any, parser: Any, row: Any, side: Any, upto: Any, note: Any) -> Any:
    """Bytes [wait, upto) of a direction will not be looked at."""
    t.counters[C_PARSER_GAPS] += ONE
    at, fed = parser.next[side], parser.wait[side]
    parser.wait[side] = upto
    if at >= upto:
        mark_gap(t, parser, side)
        return
    parser.phase[side] = np.uint8(NO_FRAMES)
    if at >= fed:
        mark_gap(t, parser, side)
        close_message(t, parser, side, MESSAGE_PARTIAL, note, at, at)
    else:
        tell_fragment(t, parser, row, side, fed, note)


@inlined
def tell_fragment(t: Any, parser: Any, row: Any, side: Any, fed: Any, note: Any) -> Any:
    """A frame's header that does not go on lies in [next, fed)."""
    at = parser.next[side]
    if at >= fed:
        return
    if not gather(t, row, side, at, at + ONE):
        t.unit[0] = np.uint8(0)
    place = open_frame(
        t, parser, row, side, t.unit, ZERO, fed - at, np.int64(parser.work[TIMES + side])
    )
    if place >= 0 and note == NOTE_GAP:
        t.messages[place].marks |= np.uint8(MESSAGE_GAP)
    close_message(t, parser, side, MESSAGE_PARTIAL, note, fed, fed)


@kernel
def parse_websocket(t: ShardColumns) -> None:
    """Find the frames in the batch's groups. After `parse_http1`: it may have found the upgrade."""
    earlier = t.state[EARLIER]
    for i in range(earlier + t.state[GROUPS]):
        group = group_at(t, i, earlier)
        at = parser_at(t, group, WEBSOCKET)
        if at >= 0:
            t.state[IN_GROUP] = ZERO
            read_group(t, t.parsers[np.uint64(at)], np.int64(group.flow), group)


@inlined
def end_websocket(t: Any, parser: Any, row: Any, side: Any) -> Any:
    """The stream is over."""
    if parser.phase[side] == NO_FRAMES:
        return
    at, fed, end = parser.next[side], parser.wait[side], t.dirs[row * 2 + side].offset
    note = note_at_end(t, parser, side, end)
    if parser.open[side] != ZERO:
        cut = min(at, end)
        close_message(t, parser, side, MESSAGE_PARTIAL, note, cut, cut)
    else:
        tell_fragment(t, parser, row, side, fed, note)
