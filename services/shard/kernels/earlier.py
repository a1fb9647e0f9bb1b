"""What came of a stream before this batch, for a parser that begins with it: groups once more.

Rules. A stream's service may be told late, and what a side said may be known for what it is only
when the other one answers. Then the parser takes what of it is in the content log before the
batch's groups, in the order of offsets, an extent each: what is found must not depend on how
packets were put into batches. Of a stream that has more of it than EXTENTS_MOST nothing is taken.
"""

from typing import Any

import numpy as np

from services.shard.kernels.content import direction_of, is_there, place
from services.shard.kernels.state import EARLIER
from shared.kernels import inlined

EXTENTS_MOST = 1024  # of both directions
LOW_32 = np.uint64(0xFFFFFFFF)
ZERO, ONE, TWO, THREE = (np.uint64(i) for i in range(4))


@inlined
def group_at(t: Any, index: Any, earlier: Any) -> Any:
    """The groups that parsers take, one after the other: `earlier` of `t.earlier`, then those of
    the batch."""
    return t.earlier[index] if index < earlier else t.groups[index - earlier]


@inlined
def came_before(t: Any, row: Any, side: Any) -> Any:
    """Offset at which the direction was when the batch began."""
    came = np.uint64(t.dirs[row * 2 + side].offset)
    at = np.uint64(t.flows[row].group)
    while at != ZERO:
        group = t.groups[at - ONE]
        if group.dir == side:
            came = min(came, group.start)
        at = np.uint64(group.previous)
    return came


@inlined
def swap(one: Any, other: Any) -> Any:
    """What two groups of a direction differ in."""
    extent, start, ts_ns, length = one.extent, one.start, one.ts_ns, one.len
    one.extent, one.start, one.ts_ns, one.len = other.extent, other.start, other.ts_ns, other.len
    other.extent, other.start, other.ts_ns, other.len = extent, start, ts_ns, length


@inlined
def find_extents(t: Any, row: Any, side: Any, start: Any, stop: Any) -> Any:
    """Octets [start, stop) of a direction as rows of `t.earlier` behind its filled ones, the newest
    extent first; returns how many, 0 where there are too many."""
    count, looked = ZERO, 0
    room = np.uint64(t.earlier.size) - t.state[EARLIER]
    for ring in (ONE, ZERO):
        reference = t.flows[row].chain[ring]
        while is_there(t, reference):
            word = place(t, reference) >> THREE
            begin = t.ring64[word + ONE]
            end = begin + (t.ring64[word + THREE] & LOW_32)
            if looked == EXTENTS_MOST or count == room:
                return ZERO
            looked += 1
            if direction_of(t, word) == np.uint64(side) and begin < stop and end > start:
                group = t.earlier[t.state[EARLIER] + count]
                group.extent = reference
                group.start = begin
                group.ts_ns = np.int64(t.ring64[word + TWO])
                group.len = np.uint32(end - begin)
                group.flow = np.uint32(row)
                group.dir = np.uint8(side)
                count += ONE
            reference = t.ring64[word]
    return count


@inlined
def take_again(t: Any, row: Any, side: Any, start: Any, stop: Any) -> Any:
    """Have the parser of a stream take what is kept of octets [start, stop) of a direction."""
    if np.uint64(start) >= np.uint64(stop):  # of nearly all streams that begin: no chain is walked
        return
    first = t.state[EARLIER]
    count = find_extents(t, row, side, start, stop)
    for i in range(count >> ONE):
        swap(t.earlier[first + np.uint64(i)], t.earlier[first + count - ONE - np.uint64(i)])
    for i in range(first + ONE, first + count):  # those that had been held are not in their place
        at = np.uint64(i)
        while at > first and t.earlier[at - ONE].start > t.earlier[at].start:
            swap(t.earlier[at - ONE], t.earlier[at])
            at -= ONE
    upto = np.uint64(start)
    for i in range(first, first + count):
        group = t.earlier[i]
        low, high = group.start, min(group.start + np.uint64(group.len), np.uint64(stop))
        if high <= upto:
            continue
        if low < upto:
            low = upto
            group.extent = ZERO  # it is looked up by offset
        group.start = low
        group.len = np.uint32(high - low)
        upto = high
        swap(group, t.earlier[t.state[EARLIER]])
        t.state[EARLIER] += ONE
