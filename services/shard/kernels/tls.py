"""TLS records (RFC 8446 §5.1, and SSL 3.0 to TLS 1.2): handshakes and alerts in the clear.

Rules. Of each direction records are followed until one is encrypted; from there on it costs
nothing. Messages are ClientHello (of SSLv2's form too), ServerHello (HelloRetryRequest too),
Certificate, and Alert. `start` is the handshake header's first octet, `value` how many octets of
its record follow from there: behind them, and behind each further record, a record header lies in
the message. `end` is behind its last octet; it has no body. `code` is the version: what the
hellos offer at most and select, else the record's. The text is a summary, and the server's name in
lower-case. A hello of SSLv2's form begins with its record, and has FRAMING_SSL2.

Handshake octets are counted, not looked at, so a gap within a message leaves the next one found;
a gap over a header does not: then the octets behind it are a record header, or all is over.
"""

from typing import Any

import numpy as np

from services.shard.kernels.look import look, missing_from
from services.shard.kernels.messages import begin_text, end_text, finish, open_message, row_of
from services.shard.kernels.state import (
    C_PARSER_GAPS,
    C_PARSER_LOST,
    GROUPS,
    IN_GROUP,
    ShardColumns,
)
from services.shard.kernels.text import (
    SPACE,
    put,
    put_decimal,
    put_hex16,
    put_host,
    put_word,
    word_table,
)
from services.shard.kernels.tls_hello import (
    ALERT_STARTS,
    ALERT_WORDS,
    BAD,
    LEVEL_STARTS,
    LEVEL_WORDS,
    client_hello,
    put_version,
    server_hello,
)
from shared.columns import (
    ALERT,
    CERTIFICATE,
    CLIENT_HELLO,
    FROM_SYN,
    MESSAGE_COMPLETE,
    MESSAGE_ERROR,
    MESSAGE_GAP,
    MESSAGE_PARTIAL,
    NO_KIND,
    NO_NOTE,
    NO_PARSER,
    NOTE_GAP,
    NOTE_LENGTH,
    NOTE_LOST,
    NOTE_RECORD,
    NOTE_TOO_LONG,
    SERVER_HELLO,
    TLS_RECORDS,
)
from shared.kernels import inlined, kernel
from shared.kernels.octets import be16, i64, u8

ZERO, ONE = np.uint64(0), np.uint64(1)
RECORD_HEADER, MESSAGE_HEADER = 5, 4
RECORD_CIPHER, RECORD_ALERT, RECORD_HANDSHAKE, RECORD_DATA, RECORD_HEARTBEAT = range(20, 25)
LONGEST_RECORD = (1 << 14) + 2048  # RFC 5246 §6.2.3
LOOKED_AT = 11  # octets of a record: as many as its header and a hello's beginning have
FRAMING_SSL2 = 2  # MESSAGE.framing
MARK_RETRY = 1  # MESSAGE.marks: a ServerHello that asks for another hello

# phases of a direction
AT_RECORD, IN_HANDSHAKE, IN_OTHER, OVER = range(4)
PHASE, FLAGS = 15, 0xF0
LOOSE, CIPHERED = 16, 32  # it lost its place once; ChangeCipherSpec came
# places in PARSER.work, by direction: octets left of the record; octets of a handshake header that
# came; these, and above them the record's version; octets left of the message
LEFT, GOT, HEAD, REMAINING = 0, 2, 4, 6
ABOVE_HEAD = np.uint64(0xFFFF << 32)

# IANA "TLS HandshakeType", without DTLS: a bit each
HANDSHAKES = 0
for _type in (0, 1, 2, 4, 5, 6, 8, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23, 24, 25):
    HANDSHAKES |= 1 << _type
NEXT_PROTOCOL = 67
WORDS, WORD_STARTS = word_table(
    {0: "bad record", 1: "ClientHello", 2: "ServerHello", 3: "HelloRetryRequest",
     4: "Certificate", 5: "Alert"}, 6,
)  # fmt: skip
(BAD_RECORD, HELLO, ANSWER, RETRY_WORD, CERTIFICATES, ALERTED) = range(6)
NAME_TEXT, NAME_IN_SUMMARY = 255, 224


@inlined
def kind_of(handshake: Any) -> Any:
    """The message kind of a handshake type; NO_KIND = it is only counted through."""
    if handshake == 1:
        return CLIENT_HELLO
    if handshake == 2:
        return SERVER_HELLO
    return CERTIFICATE if handshake == 11 else NO_KIND


@inlined
def word_of(kind: Any) -> Any:
    if kind == CLIENT_HELLO:
        return HELLO
    if kind == SERVER_HELLO:
        return ANSWER
    if kind == CERTIFICATE:
        return CERTIFICATES
    return ALERTED if kind == ALERT else BAD_RECORD


@inlined
def close(t: Any, number: Any, status: Any, note: Any, end: Any) -> Any:
    """A message ends: all of it is its header."""
    at = row_of(t, number)
    if at >= 0:
        t.messages[at].header_end = np.uint64(end)
        t.messages[at].body_start = np.uint64(end)
    finish(t, number, status, note, end, end)


@inlined
def open_row(t: Any, group: Any, kind: Any, start: Any, value: Any, code: Any) -> Any:
    """A message with its kind as its text; returns 1 + its number, 0 when there are too many."""
    number = open_message(t, i64(group.flow), i64(group.dir), TLS_RECORDS, kind, start, group.ts_ns)
    if number != 0:
        message = t.messages[row_of(t, number - ONE)]
        message.value = np.uint64(value)
        message.code = np.uint16(code)
        text = begin_text(t, message)
        to = put_word(t, text, WORDS, WORD_STARTS, word_of(kind))
        end_text(t, message, to - text, ZERO)
    return number


@inlined
def give_up(t: Any, parser: Any, side: Any) -> Any:
    """Nothing more is in the clear in this direction, or it is not understood. Always False."""
    parser.phase[side] = np.uint8(OVER)
    if parser.phase[1 - side] & PHASE == OVER:
        parser.protocol = np.uint8(NO_PARSER)
    return False


@inlined
def forget(parser: Any, side: Any) -> Any:
    """Between two handshake messages."""
    parser.open[side] = ZERO
    parser.work[GOT + side] = ZERO
    parser.work[HEAD + side] &= ABOVE_HEAD
    parser.work[REMAINING + side] = ZERO


@inlined
def end_open(t: Any, parser: Any, side: Any, status: Any, note: Any, end: Any) -> Any:
    """The message that is being put together, if one is told of, will not be whole."""
    if parser.open[side] != 0:
        at = row_of(t, parser.open[side] - ONE)
        if at >= 0 and note == NOTE_GAP:
            t.messages[at].marks |= np.uint8(MESSAGE_GAP)
        close(t, parser.open[side] - ONE, status, note, end)
    forget(parser, side)


@inlined
def refuse(t: Any, parser: Any, group: Any, at: Any) -> Any:
    """A record or handshake that no rule allows ends the direction: an error where a message was
    begun, or where the direction was followed from its beginning. Always False."""
    side = i64(group.dir)
    if parser.work[GOT + side] != 0:
        end_open(t, parser, side, MESSAGE_ERROR, NOTE_RECORD, at)
    elif parser.phase[side] & LOOSE == 0 and t.dirs[i64(group.flow) * 2 + side].marks & FROM_SYN:
        number = open_row(t, group, NO_KIND, at, 0, 0)
        if number != 0:
            close(t, number - ONE, MESSAGE_ERROR, NOTE_RECORD, at)
    return give_up(t, parser, side)


@inlined
def lost(t: Any, parser: Any, side: Any, end: Any) -> Any:
    """The content log has not kept what came. Always False."""
    t.counters[C_PARSER_LOST] += ONE
    end_open(t, parser, side, MESSAGE_PARTIAL, NOTE_LOST, end)
    return give_up(t, parser, side)


@inlined
def lose_place(t: Any, parser: Any, group: Any) -> Any:
    """A header lies in a gap; behind it a record may begin. Always False."""
    side = i64(group.dir)
    end_open(t, parser, side, MESSAGE_PARTIAL, NOTE_GAP, i64(parser.next[side]))
    parser.work[LEFT + side] = ZERO
    parser.next[side] = group.start
    parser.phase[side] = np.uint8((parser.phase[side] & CIPHERED) | LOOSE | AT_RECORD)
    return False


# --------------------------------------------------------------------------------------- records
@inlined
def is_ssl2(octets: Any, at: Any) -> Any:
    """A CLIENT-HELLO in a record of SSLv2 (RFC 5246 §E.2), of TLS or of SSL 2.0."""
    return (
        u8(octets, at) >= 0x80
        and u8(octets, at + 2) == 1
        and be16(octets, at) & 0x7FFF >= 9
        and (u8(octets, at + 3) == 3 or be16(octets, at + 3) == 2)
    )


@inlined
def begin_ssl2(t: Any, parser: Any, group: Any, octets: Any, at: Any) -> Any:
    """Its text needs no more than its beginning; the rest is counted through like a message's."""
    side, size, version = i64(group.dir), 2 + (be16(octets, at) & 0x7FFF), be16(octets, at + 3)
    number = open_row(t, group, CLIENT_HELLO, 0, size, version)
    if number != 0:
        message = t.messages[row_of(t, number - ONE)]
        message.framing = np.uint8(FRAMING_SSL2)
        text = begin_text(t, message)
        to = put(t, put_word(t, text, WORDS, WORD_STARTS, HELLO), SPACE)
        end_text(t, message, put_version(t, to, version) - text, ZERO)
    parser.open[side] = number
    parser.work[GOT + side] = np.uint64(MESSAGE_HEADER)
    parser.work[REMAINING + side] = np.uint64(size)
    parser.work[LEFT + side] = np.uint64(size)
    parser.phase[side] = np.uint8((parser.phase[side] & FLAGS) | IN_HANDSHAKE)
    if version == 2:  # what follows is no record of ours
        parser.phase[side] |= np.uint8(LOOSE)
    return True


@inlined
def is_record(octets: Any, at: Any) -> Any:
    kind, size = u8(octets, at), be16(octets, at + 3)
    return (
        RECORD_CIPHER <= kind <= RECORD_HEARTBEAT
        and u8(octets, at + 1) == 3
        and u8(octets, at + 2) <= 4
        and size <= LONGEST_RECORD
        and (size > 0 or kind == RECORD_DATA)
        and (size == 1 or kind != RECORD_CIPHER)
    )


@inlined
def is_hello(octets: Any, at: Any) -> Any:
    """Whether six octets can begin a hello: encrypted ones hardly ever can."""
    first = u8(octets, at)
    return (
        (first == 1 or first == 2)
        and u8(octets, at + 1) == 0
        and u8(octets, at + 4) == 3
        and u8(octets, at + 5) <= 4
    )


@inlined
def tell_alert(t: Any, parser: Any, group: Any, octets: Any, index: Any, at: Any) -> Any:
    """An alert in the clear; False = it is none."""
    level, description = u8(octets, index + 5), u8(octets, index + 6)
    if level != 1 and level != 2:
        return refuse(t, parser, group, at)
    start = at + RECORD_HEADER
    number = open_row(t, group, ALERT, start, 2, be16(octets, index + 1))
    if number != 0:
        message = t.messages[row_of(t, number - ONE)]
        text = begin_text(t, message)
        to = put(t, put_word(t, text, WORDS, WORD_STARTS, ALERTED), SPACE)
        to = put(t, put_word(t, to, LEVEL_WORDS, LEVEL_STARTS, level), SPACE)
        if ALERT_STARTS[description + 1] > ALERT_STARTS[description]:
            to = put_word(t, to, ALERT_WORDS, ALERT_STARTS, description)
        else:
            to = put_decimal(t, to, description)
        end_text(t, message, to - text, ZERO)
        close(t, number - ONE, MESSAGE_COMPLETE, NO_NOTE, start + 2)
    return True


@inlined
def judge_record(
    t: Any, parser: Any, group: Any, octets: Any, index: Any, at: Any, there: Any
) -> Any:
    """A record's header is at `index`, and `there` octets of it; False = wait, or it is over."""
    side = i64(group.dir)
    phase = parser.phase[side]
    between = parser.work[GOT + side] == 0
    if at == 0 and is_ssl2(octets, index):
        return begin_ssl2(t, parser, group, octets, index)
    kind, size = u8(octets, index), be16(octets, index + 3)
    if not is_record(octets, index) or (not between and kind != RECORD_HANDSHAKE):
        return refuse(t, parser, group, at)
    if kind == RECORD_DATA:
        return give_up(t, parser, side)
    if kind == RECORD_ALERT:
        if size != 2:  # encrypted ones are longer, and only these
            if phase & CIPHERED:
                return give_up(t, parser, side)
            return refuse(t, parser, group, at)
        if there < RECORD_HEADER + 2 or not tell_alert(t, parser, group, octets, index, at):
            return False
    # behind ChangeCipherSpec a hello may follow yet (RFC 8446 §D.4), else it is encrypted
    if kind == RECORD_HANDSHAKE and phase & CIPHERED and between:
        if size >= LOOKED_AT - RECORD_HEADER and there < LOOKED_AT:
            return False
        if size < LOOKED_AT - RECORD_HEADER or not is_hello(octets, index + RECORD_HEADER):
            return give_up(t, parser, side)
    parser.next[side] = np.uint64(at + RECORD_HEADER)
    parser.work[LEFT + side] = np.uint64(size)
    version = np.uint64(be16(octets, index + 1)) << np.uint64(32)
    parser.work[HEAD + side] = version | (parser.work[HEAD + side] & ~ABOVE_HEAD)
    flags = phase & (LOOSE | CIPHERED)
    if kind == RECORD_CIPHER:
        flags |= CIPHERED
    parser.phase[side] = np.uint8(flags | (IN_HANDSHAKE if kind == RECORD_HANDSHAKE else IN_OTHER))
    return True


@inlined
def read_record(t: Any, parser: Any, group: Any, end: Any, present: Any) -> Any:
    """The header of the record at `next`; False = it is not there yet, or the direction is over."""
    side = i64(group.dir)
    at = i64(parser.next[side])
    if not present:
        return lose_place(t, parser, group) if at < end else False
    if at + RECORD_HEADER > end:
        return False
    there = min(LOOKED_AT, end - at)
    octets, index = look(t, group, at, at + there)
    if index < 0:
        return lost(t, parser, side, at)
    return judge_record(t, parser, group, octets, index, at, there)


# ------------------------------------------------------------------------------------- handshakes
@inlined
def take_record_headers_out(t: Any, octets: Any, at: Any, length: Any, left: Any) -> Any:
    """Put a message that lies in several records together in `unit`; returns its length there."""
    for k in range(length):
        t.unit[np.uint64(k)] = octets[np.uint64(at + k)]
    source, to = left, left
    while source + RECORD_HEADER <= length:
        size = min(be16(t.unit, source + 3), length - source - RECORD_HEADER)
        source += RECORD_HEADER
        for k in range(size):
            t.unit[np.uint64(to + k)] = t.unit[np.uint64(source + k)]
        source += size
        to += size
    return to


@inlined
def put_client(t: Any, message: Any, octets: Any, at: Any, stop: Any) -> Any:
    """Version and server name; False = its lengths do not fit."""
    version, host, length = client_hello(octets, at, stop)
    if version == BAD:
        return False
    message.code = np.uint16(version)
    text = begin_text(t, message)
    to = put(t, put_word(t, text, WORDS, WORD_STARTS, HELLO), SPACE)
    if length == 0:
        end_text(t, message, put_version(t, to, version) - text, ZERO)
        return True
    name = put_host(t, to, octets, host, length, NAME_IN_SUMMARY, False)
    to = put_host(t, name, octets, host, length, NAME_TEXT, True)
    end_text(t, message, to - text, to - name)
    return True


@inlined
def put_server(t: Any, message: Any, octets: Any, at: Any, stop: Any) -> Any:
    """Version and cipher suite; False = its lengths do not fit."""
    version, cipher, retry = server_hello(octets, at, stop)
    if version == BAD:
        return False
    message.code = np.uint16(version)
    if retry:
        message.marks |= np.uint8(MARK_RETRY)
    text = begin_text(t, message)
    to = put_word(t, text, WORDS, WORD_STARTS, RETRY_WORD if retry else ANSWER)
    to = put(t, put_version(t, put(t, to, SPACE), version), SPACE)
    end_text(t, message, put_hex16(t, to, cipher) - text, ZERO)
    return True


@inlined
def tell_hello(t: Any, group: Any, number: Any, message: Any, end: Any) -> Any:
    """A hello is there without a gap: look into it, and finish it."""
    start, left = i64(message.start), i64(message.value)
    if end - start > i64(t.unit.size):
        close(t, number, MESSAGE_PARTIAL, NOTE_TOO_LONG, end)
        return
    octets, at = look(t, group, start, end)
    if at < 0:
        t.counters[C_PARSER_LOST] += ONE
        close(t, number, MESSAGE_PARTIAL, NOTE_LOST, end)
        return
    stop = at + end - start
    if end - start > left:
        stop = take_record_headers_out(t, octets, at, end - start, left)
        octets, at = t.unit, i64(0)
    at += MESSAGE_HEADER
    if message.kind == CLIENT_HELLO:
        fits = put_client(t, message, octets, at, stop)
    else:
        fits = put_server(t, message, octets, at, stop)
    if fits:
        close(t, number, MESSAGE_COMPLETE, NO_NOTE, end)
    else:
        close(t, number, MESSAGE_ERROR, NOTE_LENGTH, end)


@inlined
def complete(t: Any, parser: Any, group: Any) -> Any:
    """The last octet of a handshake message was counted. Always True."""
    side = i64(group.dir)
    if parser.open[side] != 0:
        number, end = parser.open[side] - ONE, i64(parser.next[side])
        at = row_of(t, number)
        if at < 0:
            finish(t, number, MESSAGE_COMPLETE, NO_NOTE, end, end)
        else:
            message = t.messages[at]
            if message.marks & MESSAGE_GAP:
                close(t, number, MESSAGE_PARTIAL, NOTE_GAP, end)
            elif message.kind == CERTIFICATE or message.framing == FRAMING_SSL2:
                close(t, number, MESSAGE_COMPLETE, NO_NOTE, end)
            else:
                tell_hello(t, group, number, message, end)
    forget(parser, side)
    return True


@inlined
def read_handshake_header(t: Any, parser: Any, group: Any, end: Any, present: Any) -> Any:
    """Type and length of a message, as far as they are there."""
    side = i64(group.dir)
    at, left = i64(parser.next[side]), i64(parser.work[LEFT + side])
    if at >= end:
        return False
    if not present:
        return lose_place(t, parser, group)
    got = i64(parser.work[GOT + side])
    count = min(MESSAGE_HEADER - got, left, end - at)
    octets, index = look(t, group, at, at + count)
    if index < 0:
        return lost(t, parser, side, at)
    if got == 0:
        handshake = u8(octets, index)
        if handshake != NEXT_PROTOCOL and (handshake > 31 or HANDSHAKES >> handshake & 1 == 0):
            return refuse(t, parser, group, at)
        kind = kind_of(handshake)
        if kind != NO_KIND:
            version = parser.work[HEAD + side] >> np.uint64(32)
            parser.open[side] = open_row(t, group, kind, at, left, version)
    head = i64(parser.work[HEAD + side] & ~ABOVE_HEAD)
    for k in range(count):
        head = head << 8 | u8(octets, index + k)
    parser.work[HEAD + side] = np.uint64(head) | (parser.work[HEAD + side] & ABOVE_HEAD)
    parser.work[GOT + side] = np.uint64(got + count)
    parser.next[side] = np.uint64(at + count)
    parser.work[LEFT + side] = np.uint64(left - count)
    if got + count == MESSAGE_HEADER:
        parser.work[REMAINING + side] = np.uint64(head & 0xFFFFFF)
        if head & 0xFFFFFF == 0:
            return complete(t, parser, group)
    return True


@inlined
def read_handshake_body(t: Any, parser: Any, group: Any, end: Any, present: Any) -> Any:
    """Count octets of a message; those of a gap as well."""
    side = i64(group.dir)
    at, left = i64(parser.next[side]), i64(parser.work[LEFT + side])
    remaining = i64(parser.work[REMAINING + side])
    count = min(remaining, left, end - at)
    if count <= 0:
        return False
    if not present and parser.open[side] != 0:
        row = row_of(t, parser.open[side] - ONE)
        if row >= 0:
            t.messages[row].marks |= np.uint8(MESSAGE_GAP)
    parser.next[side] = np.uint64(at + count)
    parser.work[LEFT + side] = np.uint64(left - count)
    parser.work[REMAINING + side] = np.uint64(remaining - count)
    if remaining == count:
        return complete(t, parser, group)
    return True


@inlined
def step(t: Any, parser: Any, group: Any, end: Any, present: Any) -> Any:
    """One thing further; False = nothing can be done before more comes. end: what has come, or, not
    present, what is missing."""
    side = i64(group.dir)
    phase = parser.phase[side] & PHASE
    if phase == OVER:
        return False
    if phase == AT_RECORD:
        return read_record(t, parser, group, end, present)
    if parser.work[LEFT + side] == 0:
        parser.phase[side] = np.uint8((parser.phase[side] & FLAGS) | AT_RECORD)
        return True
    if phase == IN_OTHER:  # passed over, whether it has come or not
        parser.next[side] += parser.work[LEFT + side]
        parser.work[LEFT + side] = ZERO
        return True
    if i64(parser.work[GOT + side]) < MESSAGE_HEADER:
        return read_handshake_header(t, parser, group, end, present)
    return read_handshake_body(t, parser, group, end, present)


@kernel
def parse_tls(t: ShardColumns) -> None:
    """Messages of the batch's groups of streams that have a TLS parser."""
    for i in range(t.state[GROUPS]):
        group = t.groups[i]
        index = np.uint64(t.parser_of[i64(group.flow)])
        if index == 0:
            continue
        parser = t.parsers[index - ONE]
        side = i64(group.dir)
        if parser.protocol != TLS_RECORDS or parser.phase[side] & PHASE == OVER:
            continue
        t.state[IN_GROUP] = ZERO
        start = i64(group.start)
        missing = missing_from(t, parser, group) < start
        if missing:
            t.counters[C_PARSER_GAPS] += ONE
        # first what is missing, which is counted through, then what came
        present = not missing
        end = start if missing else start + i64(group.len)
        while True:
            if step(t, parser, group, end, present):
                continue
            if present:
                break
            present = True
            end = start + i64(group.len)
