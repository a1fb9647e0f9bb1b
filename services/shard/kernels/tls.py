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

Behind another protocol (`tunnels.py`) a direction begins with its ClientHello, and the other one
where it was then, or with what comes next of it (JOINS).
"""

from typing import Any

import numpy as np

from services.shard.kernels.earlier import group_at
from services.shard.kernels.look import (
    JOINS,
    LOOSE,
    OVER,
    PHASE,
    SEEN,
    give_up,
    look,
    missing_from,
    parser_at,
)
from services.shard.kernels.messages import lose_header, row_of
from services.shard.kernels.state import (
    C_PARSER_GAPS,
    C_PARSER_LOST,
    EARLIER,
    GROUPS,
    IN_GROUP,
    ShardColumns,
)
from services.shard.kernels.tls_records import (
    LOOKED_AT,
    MESSAGE_HEADER,
    RECORD_ALERT,
    RECORD_CIPHER,
    RECORD_DATA,
    RECORD_HANDSHAKE,
    RECORD_HEADER,
    is_hello,
    is_record,
    is_ssl2,
)
from services.shard.kernels.tls_rows import kind_of, open_row, open_ssl2, tell_alert, tell_whole
from shared.columns import (
    FROM_SYN,
    MESSAGE_ERROR,
    MESSAGE_GAP,
    MESSAGE_PARTIAL,
    NO_KIND,
    NOTE_GAP,
    NOTE_LOST,
    NOTE_RECORD,
    TLS_RECORDS,
)
from shared.kernels import inlined, kernel
from shared.kernels.octets import be16, i64, u8

ZERO, ONE = np.uint64(0), np.uint64(1)

# phases of a direction, besides OVER
AT_RECORD, IN_HANDSHAKE, IN_OTHER = range(3)
FLAGS = 0xF0
CIPHERED = 32  # ChangeCipherSpec came
# places in PARSER.work, by direction: octets left of the record; octets of a handshake header that
# came; these, and above them the record's version; octets left of the message
LEFT, GOT, HEAD, REMAINING = 0, 2, 4, 6
ABOVE_HEAD = np.uint64(0xFFFF << 32)

# IANA "TLS HandshakeType", without DTLS: a bit each
HANDSHAKES = 0
for _type in (0, 1, 2, 4, 5, 6, 8, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23, 24, 25):
    HANDSHAKES |= 1 << _type
NEXT_PROTOCOL = 67

# what a step comes to: more can be done, or nothing before more comes; no rule allows what is
# there; the rest is encrypted; the content log has lost what came; a header lies in a gap
AGAIN, WAIT, REFUSED, SECRET, LOST, MISSED = range(6)


@inlined
def forget(parser: Any, side: Any) -> Any:
    """Between two handshake messages."""
    parser.open[side] = ZERO
    parser.work[GOT + side] = ZERO
    parser.work[HEAD + side] &= ABOVE_HEAD
    parser.work[REMAINING + side] = ZERO


@inlined
def break_off(t: Any, parser: Any, group: Any, outcome: Any) -> Any:
    """No step can be made from `next` on: the direction is over, but for a gap. Behind that a
    record may begin."""
    side = i64(group.dir)
    at, phase = i64(parser.next[side]), parser.phase[side]
    status, note = MESSAGE_PARTIAL, NOTE_LOST
    if outcome == REFUSED:  # an error where a message was begun, or the beginning was seen
        status, note = MESSAGE_ERROR, NOTE_RECORD
        known = phase & LOOSE == 0 and t.dirs[i64(group.flow) * 2 + side].marks & FROM_SYN
        if known and parser.work[GOT + side] == 0:
            parser.open[side] = open_row(t, group, NO_KIND, at, 0, 0)
    elif outcome == MISSED:
        note = NOTE_GAP
    elif outcome == LOST:
        t.counters[C_PARSER_LOST] += ONE
    lose_header(t, parser, side, status, note, at)
    forget(parser, side)
    if outcome == MISSED:
        parser.work[LEFT + side] = ZERO
        parser.next[side] = group.start
        parser.phase[side] = np.uint8((phase & CIPHERED) | LOOSE | AT_RECORD)
    else:
        give_up(parser, side)


# --------------------------------------------------------------------------------------- records
@inlined
def begin_ssl2(t: Any, parser: Any, group: Any, octets: Any, at: Any) -> Any:
    """A hello of SSLv2's form is counted through like a message."""
    side, size, version = i64(group.dir), 2 + (be16(octets, at) & 0x7FFF), be16(octets, at + 3)
    parser.open[side] = open_ssl2(t, group, size, version)
    parser.work[GOT + side] = np.uint64(MESSAGE_HEADER)
    parser.work[REMAINING + side] = np.uint64(size)
    parser.work[LEFT + side] = np.uint64(size)
    parser.phase[side] = np.uint8((parser.phase[side] & FLAGS) | IN_HANDSHAKE)
    if version == 2:  # what follows is no record of ours
        parser.phase[side] |= np.uint8(LOOSE)
    return AGAIN


@inlined
def judge_record(
    t: Any, parser: Any, group: Any, octets: Any, index: Any, at: Any, there: Any
) -> Any:
    """A record's header is at `index`, and `there` octets of it."""
    side = i64(group.dir)
    phase = parser.phase[side]
    between = parser.work[GOT + side] == 0
    if at == 0 and is_ssl2(octets, index):
        return begin_ssl2(t, parser, group, octets, index)
    kind, size = u8(octets, index), be16(octets, index + 3)
    if not is_record(octets, index) or (not between and kind != RECORD_HANDSHAKE):
        return REFUSED
    if kind == RECORD_DATA:
        return SECRET
    if kind == RECORD_ALERT:
        if size != 2:  # encrypted ones are longer, and only these
            return SECRET if phase & CIPHERED else REFUSED
        if there < RECORD_HEADER + 2:
            return WAIT
        level = u8(octets, index + RECORD_HEADER)
        if level != 1 and level != 2:
            return REFUSED
        tell_alert(t, group, octets, index, at + RECORD_HEADER)
    # behind ChangeCipherSpec a hello may follow yet (RFC 8446 §D.4), else it is encrypted
    if kind == RECORD_HANDSHAKE and phase & CIPHERED and between:
        if size >= LOOKED_AT - RECORD_HEADER and there < LOOKED_AT:
            return WAIT
        if size < LOOKED_AT - RECORD_HEADER or not is_hello(octets, index + RECORD_HEADER):
            return SECRET
    parser.next[side] = np.uint64(at + RECORD_HEADER)
    parser.work[LEFT + side] = np.uint64(size)
    version = np.uint64(be16(octets, index + 1)) << np.uint64(32)
    parser.work[HEAD + side] = version | (parser.work[HEAD + side] & ~ABOVE_HEAD)
    flags = phase & (LOOSE | CIPHERED)
    if kind == RECORD_CIPHER:
        flags |= CIPHERED
    parser.phase[side] = np.uint8(flags | (IN_HANDSHAKE if kind == RECORD_HANDSHAKE else IN_OTHER))
    return AGAIN


@inlined
def read_record(t: Any, parser: Any, group: Any, end: Any, present: Any) -> Any:
    """The header of the record at `next`."""
    at = i64(parser.next[i64(group.dir)])
    if not present:
        return MISSED if at < end else WAIT
    if at + RECORD_HEADER > end:
        return WAIT
    there = min(LOOKED_AT, end - at)
    octets, index = look(t, group, at, at + there)
    if index < 0:
        return LOST
    return judge_record(t, parser, group, octets, index, at, there)


# ------------------------------------------------------------------------------------- handshakes
@inlined
def read_handshake_header(t: Any, parser: Any, group: Any, end: Any, present: Any) -> Any:
    """Type and length of a message, as far as they are there."""
    side = i64(group.dir)
    at, left = i64(parser.next[side]), i64(parser.work[LEFT + side])
    if at >= end:
        return WAIT
    if not present:
        return MISSED
    got = i64(parser.work[GOT + side])
    count = min(MESSAGE_HEADER - got, left, end - at)
    octets, index = look(t, group, at, at + count)
    if index < 0:
        return LOST
    if got == 0:
        handshake = u8(octets, index)
        if handshake != NEXT_PROTOCOL and (handshake > 31 or HANDSHAKES >> handshake & 1 == 0):
            return REFUSED
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
    return AGAIN


@inlined
def read_handshake_body(t: Any, parser: Any, group: Any, end: Any, present: Any) -> Any:
    """Count octets of a message; those of a gap as well."""
    side = i64(group.dir)
    at, left = i64(parser.next[side]), i64(parser.work[LEFT + side])
    remaining = i64(parser.work[REMAINING + side])
    count = min(remaining, left, end - at)
    if count <= 0:
        return WAIT
    if not present and parser.open[side] != 0:
        row = row_of(t, parser.open[side] - ONE)
        if row >= 0:
            t.messages[row].marks |= np.uint8(MESSAGE_GAP)
    parser.next[side] = np.uint64(at + count)
    parser.work[LEFT + side] = np.uint64(left - count)
    parser.work[REMAINING + side] = np.uint64(remaining - count)
    return AGAIN


@inlined
def step(t: Any, parser: Any, group: Any, end: Any, present: Any) -> Any:
    """One thing further. end: what has come, or, not present, what is missing."""
    side = i64(group.dir)
    phase = parser.phase[side] & PHASE
    if phase == OVER:
        return WAIT
    if phase == AT_RECORD:
        return read_record(t, parser, group, end, present)
    got = parser.work[GOT + side]
    if got == MESSAGE_HEADER and parser.work[REMAINING + side] == 0:
        if parser.open[side] != 0:
            tell_whole(t, group, parser.open[side] - ONE, i64(parser.next[side]))
        forget(parser, side)
        return AGAIN
    if parser.work[LEFT + side] == 0:
        parser.phase[side] = np.uint8((parser.phase[side] & FLAGS) | AT_RECORD)
        return AGAIN
    if phase == IN_OTHER:  # passed over, whether it has come or not
        parser.next[side] += parser.work[LEFT + side]
        parser.work[LEFT + side] = ZERO
        return AGAIN
    if got < MESSAGE_HEADER:
        return read_handshake_header(t, parser, group, end, present)
    return read_handshake_body(t, parser, group, end, present)


@inlined
def read_group(t: Any, parser: Any, group: Any) -> Any:
    """First what is missing before a group, which is counted through, then what came."""
    side, start = i64(group.dir), i64(group.start)
    if parser.phase[side] & JOINS:
        parser.phase[side] = np.uint8(LOOSE)
        parser.next[side] = group.start
        parser.work[SEEN + side] = np.uint64(start + 1)
    present = missing_from(t, parser, group) >= start
    if not present:
        t.counters[C_PARSER_GAPS] += ONE
    end = start + i64(group.len) if present else start
    while True:
        outcome = step(t, parser, group, end, present)
        if outcome == AGAIN:
            continue
        if outcome != WAIT:
            break_off(t, parser, group, outcome)
        if present:
            return
        present = True
        end = start + i64(group.len)


@kernel
def parse_tls(t: ShardColumns) -> None:
    """Messages of the batch's groups of streams that have a TLS parser."""
    earlier = t.state[EARLIER]
    for i in range(earlier + t.state[GROUPS]):
        group = group_at(t, i, earlier)
        at = parser_at(t, group, TLS_RECORDS)
        if at >= 0:
            parser = t.parsers[np.uint64(at)]
            if parser.phase[i64(group.dir)] & PHASE != OVER:
                t.state[IN_GROUP] = ZERO
                read_group(t, parser, group)
