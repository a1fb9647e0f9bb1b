"""Streams that begin to speak another protocol: behind CONNECT, Upgrade, STARTTLS, SOCKS.

Rules. A turn is what one side says until the other one does. TLS begins with a turn that begins
with a ClientHello, whatever was said before, and in the other direction behind what that had said
by then. HTTP begins right behind CONNECT, if a side's first word is one of its. How turns were cut
does not matter.

A stream whose service has no parser is a tunnel from the first group on that may begin a hello, so
that it costs a parser only then.

PARSER.next is where a side's turn begins, PARSER.wait how far the side was seen, 0 = not at all.
"""

from typing import Any

import numpy as np

from services.shard.kernels.content import HEADER, is_there, place
from services.shard.kernels.earlier import take_again
from services.shard.kernels.http1_state import ARRIVED, FLAGS, LOOK, LOST, START
from services.shard.kernels.look import JOINS, LOOSE, SEEN
from services.shard.kernels.messages import gather
from services.shard.kernels.services import HTTP_WORDS, TLS, word
from services.shard.kernels.tls_records import LOOKED_AT, RECORD_HANDSHAKE, begins_tls
from shared.columns import (
    CHANGED,
    HTTP1,
    SERVICE_BY_PAYLOAD,
    SPEAKING,
    TLS_RECORDS,
    TUNNEL,
)
from shared.kernels import inlined
from shared.kernels.octets import i64

ZERO, ONE = np.uint64(0), np.uint64(1)
TURN_BEGINS, TURN_JUDGED = 0, 1  # phases of a direction
# words of PARSER.work: 1 + the side whose turn it is; 1 + where HTTP may begin, by direction
SPEAKS, BEGINS = 0, 1
WORD = 4  # octets of HTTP_WORDS


@inlined
def clear_work(parser: Any) -> Any:
    """But for what HTTP knows of the stream: that bytes of it are missing."""
    lost = parser.work[FLAGS] & LOST
    for i in range(10):
        parser.work[i] = ZERO
    parser.work[FLAGS] = lost


@inlined
def may_begin_tls(t: Any, group: Any) -> Any:
    """Whether a turn begins with a group, not its direction's first, and perhaps TLS with it.

    Keeps whose turn it is."""
    mine = i64(group.flow) * 2 + i64(group.dir)
    if t.dirs[mine].marks & SPEAKING:
        return False
    t.dirs[mine].marks |= np.uint8(SPEAKING)
    t.dirs[mine ^ 1].marks &= np.uint8(255 - SPEAKING)
    if group.start == ZERO or not is_there(t, group.extent):
        return False
    return t.ring8[place(t, group.extent) + np.uint64(HEADER)] == RECORD_HANDSHAKE


@inlined
def begin_late(parser: Any, group: Any) -> Any:
    """A tunnel whose first turn begins with the group: before it the other side spoke."""
    other = 1 - i64(group.dir)
    parser.wait[1 - other] = group.start
    parser.work[SPEAKS] = np.uint64(1 + other)
    parser.phase[other] = np.uint8(TURN_JUDGED)


@inlined
def begin_tunnel(parser: Any, side: Any, came: Any, connected: Any) -> Any:
    """Behind the head of `side`'s answer at its `next`, and behind the request at the other one's:
    octets up to `came` have come there. connected: by CONNECT, so that HTTP may begin as well."""
    other = 1 - side
    clear_work(parser)
    parser.protocol = np.uint8(TUNNEL)
    for one in range(2):
        parser.phase[one] = np.uint8(TURN_BEGINS)
        parser.wait[one] = parser.next[one]
        parser.work[BEGINS + one] = parser.next[one] + ONE if connected else ZERO
    if came > parser.next[other]:
        parser.wait[other] = came
        parser.work[SPEAKS] = np.uint64(1 + other)


@inlined
def begin_tls(t: Any, parser: Any, row: Any, side: Any) -> Any:
    """A ClientHello begins at `next`; what came of it may be in an earlier batch."""
    take_again(t, row, side, parser.next[side], parser.wait[side])
    other = 1 - side
    clear_work(parser)
    parser.protocol = np.uint8(TLS_RECORDS)
    parser.phase[side] = np.uint8(0)
    parser.work[SEEN + side] = parser.wait[side] + ONE
    parser.phase[other] = np.uint8(JOINS if parser.wait[other] == ZERO else LOOSE)
    parser.next[other] = parser.wait[other]
    parser.work[SEEN + other] = parser.wait[other] + ONE
    flow = t.flows[row]
    if flow.service == 0:
        flow.service = np.uint8(TLS)
        flow.told_by = np.uint8((flow.told_by & 15) | SERVICE_BY_PAYLOAD << 4)
        flow.marks |= np.uint8(CHANGED)


@inlined
def begin_http(parser: Any, side: Any) -> Any:
    """A start line begins at `next`, and perhaps in the other direction, if its turn has begun as
    well; else that is looked at from where it is."""
    clear_work(parser)
    parser.protocol = np.uint8(HTTP1)
    for one in range(2):
        came = parser.wait[one]
        starts = parser.phase[one] == TURN_BEGINS and came > parser.next[one]
        if starts or one == side:
            parser.phase[one] = np.uint8(START)
            parser.work[ARRIVED + one] = came
            parser.wait[one] = parser.next[one]
        else:
            parser.phase[one] = np.uint8(LOOK)
            parser.next[one] = came


@inlined
def says_http(octets: Any) -> Any:
    first = word(octets, ZERO)
    for known in HTTP_WORDS:
        if first == known:
            return True
    return False


@inlined
def judge(t: Any, parser: Any, row: Any, side: Any, upto: Any) -> Any:
    """Whether a side's turn, of which octets up to `upto` came, begins another protocol."""
    at = parser.next[side]
    there = min(i64(upto - at), LOOKED_AT)
    if parser.phase[side] != TURN_BEGINS or there < WORD:
        return
    kept = gather(t, row, side, at, at + np.uint64(there))
    if kept and t.unit[0] == RECORD_HANDSHAKE:
        if there < LOOKED_AT:
            return
        if begins_tls(t.unit, 0):
            begin_tls(t, parser, row, side)
            return
    elif kept and at + ONE == parser.work[BEGINS + side] and says_http(t.unit):
        begin_http(parser, side)
        return
    parser.phase[side] = np.uint8(TURN_JUDGED)


@inlined
def follow(t: Any, parser: Any, group: Any) -> Any:
    """Look at a group of a tunnel; before it at what came of the other side while it was held."""
    row, own = i64(group.flow), i64(group.dir)
    end = group.start + np.uint64(group.len)
    for one in (1 - own, own):
        if parser.protocol != TUNNEL or (one == own and end <= parser.wait[own]):
            return
        if one == own:
            if parser.work[SPEAKS] != np.uint64(1 + own):
                parser.wait[own] = max(parser.wait[own], group.start)
                parser.next[own] = parser.wait[own]
                parser.phase[own] = np.uint8(TURN_BEGINS)
                parser.work[SPEAKS] = np.uint64(1 + own)
        judge(t, parser, row, one, end if one == own else parser.wait[one])
    if parser.protocol == TUNNEL:
        parser.wait[own] = end
