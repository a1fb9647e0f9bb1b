"""DNS messages (RFC 1035 §4) of datagrams and of TCP: also mDNS, LLMNR, dynamic update, DSO.

Rules. A message is framed, and its sections are walked once to see that they are there; what they
say is read from the content when somebody asks. `code` is the id; `value` the flags word, and from
bit 16 on the numbers of questions, answers and authorities, 16 bits each. `start` is the header's
first octet, `end` behind the message; it has no body. The text is a summary (type, name, rcode)
and the first name, lower-case. What cannot be DNS is told once a stream, as MESSAGE_ERROR without
kind.
"""

from typing import Any

import numpy as np

from services.shard.kernels.dns_rows import begin, fill, not_dns
from services.shard.kernels.dns_walk import HEADER_OCTETS, LONGEST, is_dns
from services.shard.kernels.earlier import group_at
from services.shard.kernels.look import LOOSE, OVER, PHASE, give_up, look, missing_from, parser_at
from services.shard.kernels.messages import lose_header
from services.shard.kernels.state import (
    C_PARSER_GAPS,
    C_PARSER_LOST,
    EARLIER,
    GROUPS,
    IN_GROUP,
    ShardColumns,
)
from shared.columns import (
    DNS_MESSAGES,
    FROM_SYN,
    MESSAGE_PARTIAL,
    NOTE_GAP,
    NOTE_LOST,
    SERVICES,
    UDP,
)
from shared.kernels import inlined, kernel
from shared.kernels.octets import be16, i64

ZERO, ONE = np.uint64(0), np.uint64(1)
DNS, MDNS = SERVICES.index("dns"), SERVICES.index("mdns")
LLMNR_PORT = 5355  # RFC 4795 §2

# phases of a TCP direction, besides OVER: at the length before a message, in one, in one whose
# header was judged
AT_LENGTH, IN_MESSAGE, JUDGED = range(3)
LENGTH, TS = 0, 2  # places in PARSER.work, by direction: octets of the message, its time

# what a step comes to: more can be done, or nothing before more comes; what is there is no DNS;
# the content log has lost what came
AGAIN, WAIT, REFUSED, LOST = range(4)


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
def pass_gap(t: Any, parser: Any, group: Any) -> Any:
    """Octets before the group are missing. The next message begins where the length of this one
    says; where the length is missing, behind the gap, if anywhere."""
    side, start = i64(group.dir), i64(group.start)
    t.counters[C_PARSER_GAPS] += ONE
    at = i64(parser.next[side])
    if parser.phase[side] & PHASE != AT_LENGTH:
        at += i64(parser.work[LENGTH + side])
        lose_header(t, parser, side, MESSAGE_PARTIAL, NOTE_GAP, at)
        parser.phase[side] = np.uint8(parser.phase[side] & LOOSE)
    if at < start:
        at = start
        parser.phase[side] |= np.uint8(LOOSE)
    parser.next[side] = np.uint64(at)


@inlined
def read_length(t: Any, parser: Any, side: Any, octets: Any, index: Any, at: Any) -> Any:
    """The two octets before a message (RFC 1035 §4.2.2)."""
    length = be16(octets, index)
    parser.work[LENGTH + side] = np.uint64(length)
    parser.next[side] = np.uint64(at + 2)
    parser.phase[side] += np.uint8(1)
    return AGAIN if length >= HEADER_OCTETS else REFUSED


@inlined
def read_header(t: Any, parser: Any, group: Any, octets: Any, index: Any, at: Any) -> Any:
    """Open the message at `at`."""
    side = i64(group.dir)
    if not is_dns(octets, index):
        return REFUSED
    ts_ns = np.int64(parser.work[TS + side])
    parser.open[side] = begin(t, i64(group.flow), side, at, ts_ns, octets, index)
    parser.phase[side] += np.uint8(1)
    return AGAIN


@inlined
def read_message(t: Any, parser: Any, side: Any, octets: Any, index: Any, stop: Any) -> Any:
    """Finish the message that ends at offset `stop`; index -1 = it is not kept."""
    if parser.open[side] != 0:
        if index < 0:
            t.counters[C_PARSER_LOST] += ONE
            lose_header(t, parser, side, MESSAGE_PARTIAL, NOTE_LOST, stop)
        else:
            length = i64(parser.work[LENGTH + side])
            fill(t, parser.open[side] - ONE, octets, index, length, stop)
            parser.open[side] = ZERO
    parser.next[side] = np.uint64(stop)
    parser.phase[side] = np.uint8(parser.phase[side] & LOOSE)
    return AGAIN


@inlined
def step(t: Any, parser: Any, group: Any) -> Any:
    """One thing further: a length, a header, or a whole message, when all of its octets came."""
    side, begin, end = i64(group.dir), i64(group.start), i64(group.start) + i64(group.len)
    at, phase = i64(parser.next[side]), parser.phase[side] & PHASE
    wanted = i64(parser.work[LENGTH + side])
    if phase == AT_LENGTH:
        wanted = 2
    elif phase == IN_MESSAGE:
        wanted = HEADER_OCTETS
        if at >= begin or parser.work[TS + side] == 0:
            parser.work[TS + side] = np.uint64(group.ts_ns)
    if at + wanted > end:
        return WAIT
    octets, index = look(t, group, at, at + wanted)
    if phase == JUDGED:
        return read_message(t, parser, side, octets, index, at + wanted)
    if index < 0:
        return LOST
    if phase == AT_LENGTH:
        return read_length(t, parser, side, octets, index, at)
    return read_header(t, parser, group, octets, index, at)


@inlined
def segment(t: Any, parser: Any, group: Any) -> Any:
    """Octets of a TCP direction: go through the messages that they complete."""
    row, side = i64(group.flow), i64(group.dir)
    if parser.phase[side] & PHASE == OVER:
        return
    if missing_from(t, parser, group) < i64(group.start):
        pass_gap(t, parser, group)
    outcome = AGAIN
    while outcome == AGAIN:
        outcome = step(t, parser, group)
    if outcome == WAIT:
        return
    if outcome == LOST:
        t.counters[C_PARSER_LOST] += ONE
    elif t.dirs[row * 2 + side].marks & FROM_SYN and parser.phase[side] & LOOSE == 0:
        at = i64(parser.next[side])  # an error where the direction was seen from its beginning
        not_dns(t, row, side, at, at, group.ts_ns)
    give_up(parser, side)


@kernel
def parse_dns(t: ShardColumns) -> None:
    """Messages of the batch's groups: datagrams of DNS, and TCP streams that have its parser."""
    earlier = t.state[EARLIER]
    for i in range(earlier + t.state[GROUPS]):
        group = group_at(t, i, earlier)
        flow = t.flows[i64(group.flow)]
        if flow.proto == UDP:
            named = flow.service == DNS or flow.service == MDNS
            if named or flow.port_a == LLMNR_PORT or flow.port_b == LLMNR_PORT:
                t.state[IN_GROUP] = ZERO
                datagram(t, group)
            continue
        at = parser_at(t, group, DNS_MESSAGES)
        if at >= 0:
            t.state[IN_GROUP] = ZERO
            segment(t, t.parsers[np.uint64(at)], group)
