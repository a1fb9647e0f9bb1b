"""Rows of DNS messages: what is told of one, and which request a response answers."""

from typing import Any

import numpy as np

from services.shard.kernels.dns_walk import (
    BAD_NAME,
    CUT_OFF,
    HEADER_OCTETS,
    OPCODES,
    behind_name,
    behind_sections,
)
from services.shard.kernels.messages import (
    begin_text,
    close_header,
    end_text,
    open_message,
    row_of,
)
from services.shard.kernels.state import C_PARSER_ERRORS, MESSAGES
from services.shard.kernels.text import SPACE, put, put_decimal, put_labels, put_word, word_table
from shared.columns import (
    DNS_MESSAGES,
    MESSAGE_COMPLETE,
    MESSAGE_ERROR,
    MESSAGE_PARTIAL,
    NO_KIND,
    NO_NOTE,
    NOTE_HEADER,
    NOTE_NAME,
    NOTE_TRUNCATED,
    REQUEST,
    RESPONSE,
)
from shared.kernels import inlined
from shared.kernels.octets import be16, i64, u8

ONE, LOW_32 = np.uint64(1), np.uint64(0xFFFFFFFF)
PAIRED_WITHIN = 32  # messages before a response among which its request is looked for
NAME_TEXT, NAME_IN_SUMMARY = 255, 224

# IANA "Resource Record (RR) TYPEs", "DNS OpCodes", "DNS RCODEs"
TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 28: "AAAA",
    33: "SRV", 35: "NAPTR", 39: "DNAME", 41: "OPT", 43: "DS", 46: "RRSIG", 47: "NSEC",
    48: "DNSKEY", 50: "NSEC3", 52: "TLSA", 64: "SVCB", 65: "HTTPS", 99: "SPF", 249: "TKEY",
    250: "TSIG", 251: "IXFR", 252: "AXFR", 255: "ANY", 257: "CAA",
}  # fmt: skip
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
def fill(t: Any, number: Any, octets: Any, base: Any, length: Any, end: Any) -> Any:
    """All of a message is there: look through it, and finish it."""
    at = row_of(t, number)
    if at >= 0:
        put_text(t, t.messages[at], octets, base, base + length)
    behind = behind_sections(octets, base, base + length)
    status, note = MESSAGE_COMPLETE, NO_NOTE
    if behind == BAD_NAME:
        status, note = MESSAGE_ERROR, NOTE_NAME
    elif behind == CUT_OFF:
        status, note = MESSAGE_PARTIAL, NOTE_TRUNCATED
    close_header(t, number, status, note, end)


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
    close_header(t, number - ONE, MESSAGE_ERROR, NOTE_HEADER, end)
