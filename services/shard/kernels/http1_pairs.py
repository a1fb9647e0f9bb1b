"""Which response answers which request: a queue of requests without an answer, in the ring itself.

Responses come in the order of their requests (RFC 9112 §9.3.2). A request that waits names the next
one that waits in MESSAGE.waits, so the queue is as long as the ring. A request that has no row (any
more) is only counted: the queue's rows come first, then the counted ones, and whatever is asked
while there are some is counted too, so that all behind them still pair. Where a stream was seen
whole, a response may also be first, when a capture has them in another order: then the queue is of
responses.
"""

from typing import Any

import numpy as np

from services.shard.kernels.messages import row_of
from shared.kernels import inlined

LOW_32 = np.uint64(0xFFFFFFFF)
ZERO, ONE = np.uint64(0), np.uint64(1)
# words of PARSER.work
FIRST_WAITS, LAST_WAITS, WAITING = 0, 1, 2
# WAITING: rows in the queue, then a count of those without a row, then whether it is of responses
COUNTED = np.uint64(1 << 32)
AHEAD = np.uint64(1 << 63)
COUNTED_MOST = np.uint64(1 << 62)


@inlined
def join(t: Any, number: Any, other: Any) -> Any:
    """Each of two messages (1 + number; 0 = none) names the other."""
    for one, two in ((number, other), (other, number)):
        if one != ZERO and two != ZERO:
            at, pair = row_of(t, one - ONE), row_of(t, two - ONE)
            if at >= 0 and pair >= 0:
                t.messages[at].pair = np.uint32(t.messages[pair].ordinal + np.uint32(1))


@inlined
def count_those_without_rows(t: Any, parser: Any) -> Any:
    """When the ring has gone past the queue's first or last row."""
    waiting = parser.work[WAITING]
    known = waiting & LOW_32
    if known != ZERO and row_of(t, parser.work[FIRST_WAITS] - ONE) < 0:
        parser.work[WAITING] = ZERO if waiting & AHEAD else waiting - known + known * COUNTED


@inlined
def wait_for_pair(t: Any, parser: Any, number: Any, ahead: Any) -> Any:
    """number: 1 + the message's; 0 = it has no row. ahead: it is a response."""
    waiting = parser.work[WAITING]
    if number == ZERO or waiting & ~AHEAD >= COUNTED:
        if waiting < COUNTED_MOST and not ahead:
            parser.work[WAITING] = waiting + COUNTED
        return
    if waiting & LOW_32 == ZERO:
        parser.work[FIRST_WAITS] = number
    else:
        t.messages[row_of(t, parser.work[LAST_WAITS] - ONE)].waits = np.uint32(number & LOW_32)
    parser.work[LAST_WAITS] = number
    parser.work[WAITING] = (waiting + ONE) | (AHEAD if ahead else ZERO)


@inlined
def take_first(t: Any, parser: Any) -> Any:
    """The first of the queue, 1 + its number; its row is there."""
    number = parser.work[FIRST_WAITS]
    following = np.uint64(t.messages[row_of(t, number - ONE)].waits)
    parser.work[FIRST_WAITS] = number + ((following - number) & LOW_32)
    left = parser.work[WAITING] - ONE
    parser.work[WAITING] = ZERO if left == AHEAD else left
    return number


@inlined
def asked(t: Any, parser: Any, number: Any) -> Any:
    """A request (1 + number; 0 = without row) came."""
    count_those_without_rows(t, parser)
    if parser.work[WAITING] & AHEAD:
        join(t, take_first(t, parser), number)
    else:
        wait_for_pair(t, parser, number, False)


@inlined
def answered(t: Any, parser: Any, number: Any, side: Any, interim: Any, whole: Any) -> Any:
    """A response of direction `side` came; the marks of the request it answers, -1 = not known.

    An interim one (RFC 9110 §15.2) leaves the request waiting.
    """
    count_those_without_rows(t, parser)
    waiting = parser.work[WAITING]
    if waiting == ZERO or waiting & AHEAD:
        if whole and not interim:
            wait_for_pair(t, parser, number, True)
        return -1
    if waiting & LOW_32 == ZERO:
        if not interim:
            parser.work[WAITING] = waiting - COUNTED
        return -1
    request = t.messages[row_of(t, parser.work[FIRST_WAITS] - ONE)]
    if request.dir == side:
        return -1
    if not interim:
        join(t, take_first(t, parser), number)
    elif number != ZERO:
        response = t.messages[row_of(t, number - ONE)]
        response.pair = np.uint32(request.ordinal + np.uint32(1))
    return np.int64(request.marks)


@inlined
def first_is_simple(t: Any, parser: Any, side: Any, simple: Any) -> Any:
    """Whether the next response of direction `side` answers a request with the mark `simple`."""
    waiting = parser.work[WAITING]
    if waiting & LOW_32 == ZERO or waiting & AHEAD:
        return False
    at = row_of(t, parser.work[FIRST_WAITS] - ONE)
    return at >= 0 and t.messages[at].dir != side and t.messages[at].marks & simple != 0


@inlined
def keep_newest(t: Any, parser: Any, side: Any) -> Any:
    """Responses of direction `side` may be lost: what comes next most likely answers what was asked
    last."""
    count_those_without_rows(t, parser)
    waiting = parser.work[WAITING]
    if waiting & AHEAD:
        parser.work[WAITING] = ZERO
    elif waiting >= COUNTED:
        parser.work[WAITING] = COUNTED
    elif waiting > ONE:
        if t.messages[row_of(t, parser.work[FIRST_WAITS] - ONE)].dir != side:
            parser.work[FIRST_WAITS] = parser.work[LAST_WAITS]
            parser.work[WAITING] = ONE
