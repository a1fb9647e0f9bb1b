"""DNS messages (RFC 1035 §4) of datagrams and of TCP: also mDNS, LLMNR, dynamic update, DSO.

Rules. A message is framed, and its sections are walked once to see that they are there; what they
say is read from the content when somebody asks. `code` is the id; `value` the flags word, and from
bit 16 on the numbers of questions, answers and authorities, 16 bits each. `start` is the header's
first octet, `end` behind the message; it has no body. The text is a summary (type, name, rcode)
and the first name, lower-case. A pointer ends a name in its place and must point before it, so
nothing loops. What cannot be DNS is told once a stream, as MESSAGE_ERROR without kind.
"""

from typing import Any

import numpy as np

from services.shard.kernels.look import look, missing_from
from services.shard.kernels.messages import begin_text, end_text, finish, open_message, row_of
from services.shard.kernels.state import (
    C_PARSER_ERRORS,
    C_PARSER_GAPS,
    C_PARSER_LOST,
    GROUPS,
    IN_GROUP,
    MESSAGES,
    ShardColumns,
)
from services.shard.kernels.text import SPACE, put, put_decimal, put_labels, put_word, word_table
from shared.columns import (
    DNS_MESSAGES,
    FROM_SYN,
    MESSAGE_COMPLETE,
    MESSAGE_ERROR,
    MESSAGE_GAP,
    MESSAGE_PARTIAL,
    NO_KIND,
    NO_NOTE,
    NO_PARSER,
    NOTE_GAP,
    NOTE_HEADER,
    NOTE_LOST,
    NOTE_NAME,
    NOTE_TRUNCATED,
    REQUEST,
    RESPONSE,
    SERVICES,
    TCP,
    UDP,
)
from shared.kernels import inlined, kernel
from shared.kernels.octets import be16, i64, u8

ONE, LOW_32 = np.uint64(1), np.uint64(0xFFFFFFFF)
DNS, MDNS = SERVICES.index("dns"), SERVICES.index("mdns")
LLMNR_PORT = 5355  # RFC 4795 §2
HEADER_OCTETS = 12
LONGEST = 65535
PAIRED_WITHIN = 32  # messages before a response among which its request is looked for
NAME_TEXT, NAME_IN_SUMMARY = 255, 224

# phases of a TCP direction: at the length before a message, in one, in one whose header was judged
AT_LENGTH, IN_MESSAGE, JUDGED, OVER = range(4)
PHASE, LOOSE = 15, 16  # LOOSE: it lost its place once; what is no DNS there is no error
LENGTH, TS = 0, 2  # places in PARSER.work, by direction: octets of the message, its time

# IANA "Resource Record (RR) TYPEs", "DNS OpCodes", "DNS RCODEs"
TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 28: "AAAA",
    33: "SRV", 35: "NAPTR", 39: "DNAME", 41: "OPT", 43: "DS", 46: "RRSIG", 47: "NSEC",
    48: "DNSKEY", 50: "NSEC3", 52: "TLSA", 64: "SVCB", 65: "HTTPS", 99: "SPF", 249: "TKEY",
    250: "TSIG", 251: "IXFR", 252: "AXFR", 255: "ANY", 257: "CAA",
}  # fmt: skip
OPCODES = {0: "QUERY", 1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE", 6: "DSO"}
RCODES = {
    0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
    6: "YXDOMAIN", 7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 11: "DSOTYPENI",
}  # fmt: skip
TYPE_LIMIT = 258
TYPE_WORDS, TYPE_STARTS = word_table(TYPES, TYPE_LIMIT)
OPCODE_WORDS, OPCODE_STARTS = word_table(OPCODES, 16)
RCODE_WORDS, RCODE_STARTS = word_table(
    {number: RCODES.get(number, f"RCODE{number}") for number in range(16)}, 16
)
UNKNOWN_TYPE, UNKNOWN_TYPE_STARTS = word_table({0: "TYPE"}, 1)  # RFC 3597 §5
NOT_DNS, NOT_DNS_STARTS = word_table({0: "not DNS"}, 1)
CUT_OFF, BAD_NAME = -1, -2  # instead of an index


@inlined
def is_dns(octets: Any, at: Any) -> Any:
    """Whether twelve octets can be a header: an opcode that is assigned, and counts that a message
    has room for (five octets a question, eleven a record)."""
    opcode = u8(octets, at + 2) >> 3 & 15
    records = be16(octets, at + 6) + be16(octets, at + 8) + be16(octets, at + 10)
    least = 5 * be16(octets, at + 4) + 11 * records
    return OPCODE_STARTS[opcode + 1] > OPCODE_STARTS[opcode] and least <= LONGEST - HEADER_OCTETS


@inlined
def behind_name(octets: Any, base: Any, at: Any, stop: Any) -> Any:
    """Index behind the name at `at` of the message at `base`; CUT_OFF or BAD_NAME."""
    begin, size = at, 0
    while at < stop:
        length = u8(octets, at)
        if length >= 0xC0:  # a pointer, RFC 1035 §4.1.4
            if at + 2 > stop:
                return CUT_OFF
            target = be16(octets, at) & 0x3FFF
            if target < HEADER_OCTETS or target >= begin - base:
                return BAD_NAME
            return at + 2
        size += 1 + length
        if length > 63 or size > 255:  # §2.3.4
            return BAD_NAME
        if length == 0:
            return at + 1
        if at + 1 + length > stop:
            return CUT_OFF
        at += 1 + length
    return CUT_OFF


@inlined
def behind_record(octets: Any, base: Any, at: Any, stop: Any, is_question: Any) -> Any:
    """Index behind a question or a record; CUT_OFF or BAD_NAME."""
    at = behind_name(octets, base, at, stop)
    if at < 0:
        return at
    if is_question:
        return at + 4 if at + 4 <= stop else CUT_OFF
    if at + 10 > stop:
        return CUT_OFF
    at += 10 + be16(octets, at + 8)
    return at if at <= stop else CUT_OFF


@inlined
def behind_sections(octets: Any, base: Any, stop: Any) -> Any:
    """Index behind the last record; CUT_OFF or BAD_NAME."""
    questions = be16(octets, base + 4)
    count = questions + be16(octets, base + 6) + be16(octets, base + 8) + be16(octets, base + 10)
    at = base + HEADER_OCTETS
    for i in range(count):
        at = behind_record(octets, base, at, stop, i < questions)
        if at < 0:
            return at
    return at


@inlined
def put_type(t: Any, to: Any, number: Any) -> Any:
    if number < TYPE_LIMIT and TYPE_STARTS[number + 1] > TYPE_STARTS[number]:
        return put_word(t, to, TYPE_WORDS, TYPE_STARTS, number)
    return put_decimal(t, put_word(t, to, UNKNOWN_TYPE, UNKNOWN_TYPE_STARTS, 0), number)


@inlined
def put_text(t: Any, message: Any, octets: Any, base: Any, stop: Any) -> Any:
    """Summary and name."""
    flags = be16(octets, base + 2)
    counts = be16(octets, base + 4) | be16(octets, base + 6)
    counts |= be16(octets, base + 8) | be16(octets, base + 10)
    first = base + HEADER_OCTETS
    behind = behind_name(octets, base, first, stop) if counts else CUT_OFF
    begin = begin_text(t, message)
    to = begin
    opcode = flags >> 11 & 15
    if opcode or behind < 0:
        to = put_word(t, to, OPCODE_WORDS, OPCODE_STARTS, opcode)
        if behind >= 0:
            to = put(t, to, SPACE)
    if behind >= 0:
        if behind + 2 <= stop:
            to = put(t, put_type(t, to, be16(octets, behind)), SPACE)
        to = put_labels(t, to, octets, first, NAME_IN_SUMMARY, False)
    if flags & 0x8000 and flags & 15:
        to = put_word(t, put(t, to, SPACE), RCODE_WORDS, RCODE_STARTS, flags & 15)
    summary = to
    if behind >= 0:
        to = put_labels(t, to, octets, first, NAME_TEXT, True)
    end_text(t, message, to - begin, to - summary)


@inlined
def put_header(message: Any, octets: Any, base: Any) -> Any:
    """Id, flags and counts."""
    value = be16(octets, base + 2) | be16(octets, base + 4) << 16 | be16(octets, base + 6) << 32
    message.code = np.uint16(be16(octets, base))
    message.value = np.uint64(value) | np.uint64(be16(octets, base + 8)) << np.uint64(48)


@inlined
def close(t: Any, number: Any, status: Any, note: Any, end: Any) -> Any:
    """A message ends: all of it is its header."""
    at = row_of(t, number)
    if at >= 0:
        message = t.messages[at]
        message.header_end = np.uint64(end)
        message.body_start = np.uint64(end)
    finish(t, number, status, note, end, end)


@inlined
def fill(t: Any, number: Any, octets: Any, base: Any, length: Any, end: Any) -> Any:
    """All of a message is there: look through it, and finish it."""
    at = row_of(t, number)
    if at >= 0:
        put_text(t, t.messages[at], octets, base, base + length)
    behind = behind_sections(octets, base, base + length)
    if behind == BAD_NAME:
        close(t, number, MESSAGE_ERROR, NOTE_NAME, end)
    elif behind == CUT_OFF:
        close(t, number, MESSAGE_PARTIAL, NOTE_TRUNCATED, end)
    else:
        close(t, number, MESSAGE_COMPLETE, NO_NOTE, end)


@inlined
def before(t: Any, row: Any, low: Any) -> Any:
    """Number of a stream's message by the low half of 1 + its number; -1 when it is gone."""
    if low == 0:
        return i64(-1)
    newest = t.state[MESSAGES]
    distance = (newest - np.uint64(low)) & LOW_32
    if distance >= newest:
        return i64(-1)
    number = newest - distance - ONE
    at = row_of(t, number)
    if at < 0 or t.messages[at].stream_id != t.flows[row].stream_id:
        return i64(-1)
    return i64(number)


@inlined
def pair(t: Any, row: Any, number: Any) -> Any:
    """Pair a response with the newest request of the other side that has its id and no answer."""
    response = t.messages[row_of(t, number)]
    low = response.previous
    for _ in range(PAIRED_WITHIN):
        earlier = before(t, row, low)
        if earlier < 0:
            return
        request = t.messages[row_of(t, np.uint64(earlier))]
        if (
            request.kind == REQUEST
            and request.protocol == DNS_MESSAGES
            and request.dir != response.dir
            and request.code == response.code
            and request.pair == 0
        ):
            request.pair = np.uint32(response.ordinal + np.uint32(1))
            response.pair = np.uint32(request.ordinal + np.uint32(1))
            return
        low = request.previous


@inlined
def begin(t: Any, row: Any, side: Any, start: Any, ts_ns: Any, octets: Any, at: Any) -> Any:
    """A message whose header is at `at`: 1 + its number, 0 when there are too many."""
    kind = RESPONSE if u8(octets, at + 2) & 0x80 else REQUEST
    number = open_message(t, row, side, DNS_MESSAGES, kind, start, ts_ns)
    if number != 0:
        put_header(t.messages[row_of(t, number - ONE)], octets, at)
        if kind == RESPONSE:
            pair(t, row, number - ONE)
    return number


@inlined
def is_told(t: Any, row: Any) -> Any:
    """Whether one of the stream's last messages says that it is no DNS."""
    low = t.last_message[row]
    for _ in range(PAIRED_WITHIN):
        number = before(t, row, low)
        if number < 0:
            return False
        message = t.messages[row_of(t, np.uint64(number))]
        if message.note == NOTE_HEADER:
            return True
        low = message.previous
    return False


@inlined
def not_dns(t: Any, row: Any, side: Any, start: Any, end: Any, ts_ns: Any) -> Any:
    """Say once that these octets are something else."""
    if is_told(t, row):
        t.counters[C_PARSER_ERRORS] += ONE
        return
    number = open_message(t, row, side, DNS_MESSAGES, NO_KIND, start, ts_ns)
    if number == 0:
        return
    message = t.messages[row_of(t, number - ONE)]
    text = begin_text(t, message)
    end_text(t, message, put_word(t, text, NOT_DNS, NOT_DNS_STARTS, 0) - text, np.uint64(0))
    close(t, number - ONE, MESSAGE_ERROR, NOTE_HEADER, end)


@inlined
def datagram(t: Any, group: Any) -> Any:
    """A datagram is a message."""
    row, side, ts_ns = i64(group.flow), i64(group.dir), group.ts_ns
    start, length = i64(group.start), i64(group.len)
    if length > LONGEST:  # no UDP payload
        return
    octets, at = look(t, group, start, start + length)
    if at < 0:
        t.counters[C_PARSER_LOST] += ONE
        return
    if length < HEADER_OCTETS or not is_dns(octets, at):
        not_dns(t, row, side, start, start + length, ts_ns)
        return
    number = begin(t, row, side, start, ts_ns, octets, at)
    if number != 0:
        fill(t, number - ONE, octets, at, length, start + length)


@inlined
def give_up(t: Any, parser: Any, side: Any) -> Any:
    """Nothing more is looked at in this direction."""
    parser.phase[side] = np.uint8(OVER)
    if parser.phase[1 - side] & PHASE == OVER:
        parser.protocol = np.uint8(NO_PARSER)


@inlined
def lose(t: Any, parser: Any, side: Any, note: Any, end: Any) -> Any:
    """The message that is open in a direction, if one is, will not be whole."""
    if parser.open[side] == 0:
        return
    number = parser.open[side] - ONE
    at = row_of(t, number)
    if at >= 0 and note == NOTE_GAP:
        t.messages[at].marks |= np.uint8(MESSAGE_GAP)
    close(t, number, MESSAGE_PARTIAL, note, end)
    parser.open[side] = np.uint64(0)


@inlined
def pass_gap(t: Any, parser: Any, group: Any) -> Any:
    """Octets before the group are missing. The next message begins where the length of this one
    says; where the length is missing, behind the gap, if anywhere."""
    side, start = i64(group.dir), i64(group.start)
    t.counters[C_PARSER_GAPS] += ONE
    at = i64(parser.next[side])
    if parser.phase[side] & PHASE != AT_LENGTH:
        at += i64(parser.work[LENGTH + side])
        lose(t, parser, side, NOTE_GAP, at)
        parser.phase[side] = np.uint8(parser.phase[side] & LOOSE)
    if at < start:
        at = start
        parser.phase[side] |= np.uint8(LOOSE)
    parser.next[side] = np.uint64(at)


@inlined
def read_length(t: Any, parser: Any, group: Any, at: Any) -> Any:
    """The two octets before a message (RFC 1035 §4.2.2); False = they are not there, or no such."""
    _row, side = i64(group.flow), i64(group.dir)
    if at + 2 > i64(group.start) + i64(group.len):
        return False
    octets, index = look(t, group, at, at + 2)
    if index < 0:
        t.counters[C_PARSER_LOST] += ONE
        give_up(t, parser, side)
        return False
    length = be16(octets, index)
    if length < HEADER_OCTETS:
        return refuse(t, parser, group, at + 2)
    parser.work[LENGTH + side] = np.uint64(length)
    parser.next[side] = np.uint64(at + 2)
    parser.phase[side] += np.uint8(1)
    return True


@inlined
def refuse(t: Any, parser: Any, group: Any, at: Any) -> Any:
    """No DNS at `at`: an error where the direction was seen from its beginning. Always False."""
    row, side = i64(group.flow), i64(group.dir)
    if t.dirs[row * 2 + side].marks & FROM_SYN and parser.phase[side] & LOOSE == 0:
        not_dns(t, row, side, at, at, group.ts_ns)
    give_up(t, parser, side)
    return False


@inlined
def read_header(t: Any, parser: Any, group: Any, at: Any) -> Any:
    """Open the message at `at`; False = its header is not there, or no such."""
    row, side = i64(group.flow), i64(group.dir)
    if at >= i64(group.start) or parser.work[TS + side] == 0:
        parser.work[TS + side] = np.uint64(group.ts_ns)
    if at + HEADER_OCTETS > i64(group.start) + i64(group.len):
        return False
    octets, index = look(t, group, at, at + HEADER_OCTETS)
    if index < 0:
        t.counters[C_PARSER_LOST] += ONE
        give_up(t, parser, side)
        return False
    if not is_dns(octets, index):
        return refuse(t, parser, group, at)
    ts_ns = np.int64(parser.work[TS + side])
    parser.open[side] = begin(t, row, side, at, ts_ns, octets, index)
    parser.phase[side] += np.uint8(1)
    return True


@inlined
def read_message(t: Any, parser: Any, group: Any, at: Any) -> Any:
    """Finish the message at `at`; False = not all of it is there."""
    side = i64(group.dir)
    length = i64(parser.work[LENGTH + side])
    stop = at + length
    if stop > i64(group.start) + i64(group.len):
        return False
    if parser.open[side] != 0:
        octets, index = look(t, group, at, stop)
        if index < 0:
            t.counters[C_PARSER_LOST] += ONE
            lose(t, parser, side, NOTE_LOST, stop)
        else:
            fill(t, parser.open[side] - ONE, octets, index, length, stop)
            parser.open[side] = np.uint64(0)
    parser.next[side] = np.uint64(stop)
    parser.phase[side] = np.uint8(parser.phase[side] & LOOSE)
    return True


@inlined
def segment(t: Any, parser: Any, group: Any) -> Any:
    """Octets of a TCP direction: go through the messages that they complete."""
    side = i64(group.dir)
    if parser.phase[side] & PHASE == OVER:
        return
    if missing_from(t, parser, group) < i64(group.start):
        pass_gap(t, parser, group)
    goes_on: Any = True
    while goes_on:
        at, phase = i64(parser.next[side]), parser.phase[side] & PHASE
        if phase == AT_LENGTH:
            goes_on = read_length(t, parser, group, at)
        elif phase == IN_MESSAGE:
            goes_on = read_header(t, parser, group, at)
        else:
            goes_on = read_message(t, parser, group, at)


@kernel
def parse_dns(t: ShardColumns) -> None:
    """Messages of the batch's groups: datagrams of DNS, and TCP streams that have its parser."""
    for i in range(t.state[GROUPS]):
        group = t.groups[i]
        row = i64(group.flow)
        flow = t.flows[row]
        if flow.proto == UDP:
            if (
                flow.service == DNS
                or flow.service == MDNS
                or flow.port_a == LLMNR_PORT
                or flow.port_b == LLMNR_PORT
            ):
                t.state[IN_GROUP] = np.uint64(0)
                datagram(t, group)
        elif flow.proto == TCP and t.parser_of[row] != 0:
            parser = t.parsers[np.uint64(t.parser_of[row]) - ONE]
            if parser.protocol == DNS_MESSAGES:
                t.state[IN_GROUP] = np.uint64(0)
                segment(t, parser, group)
