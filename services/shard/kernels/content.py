"""The content log: payload in two rings, as extents chained backwards from the newest.

Ring 0 takes the first bytes of each direction, ring 1 all further ones; a stream has a chain in
each, so that its beginning is found when what followed was written over. An extent is a header of
five 64-bit words and the payload, padded to 8 bytes. Its reference is 1 + its write position, with
the top bit for ring 1. Positions only grow; an extent is there as
long as its ring's head has not gone past it by more than the ring's size: the bound is the
memory itself. An extent never wraps: what does not fit before the end starts at the beginning.
"""

from typing import Any

import numpy as np

from services.shard.kernels.state import (
    C_CONTENT_BYTES,
    GROUPS,
    HEAD_0,
    HEAD_1,
    MAX_EXTENT,
    RING_0,
    RING_0_UPTO,
    RING_1,
    STREAM_CAP,
    ShardColumns,
)
from shared.columns import (
    U8,
    OutI64,
    OutU64,
)
from shared.kernels import inlined, kernel

HEADER = 40  # bytes; words: previous extent, logical start, ts_ns, len | flow << 32, dir
RING_BIT = np.uint64(1 << 63)
LOW_32 = np.uint64(0xFFFFFFFF)
ZERO, ONE, THREE, SEVEN = np.uint64(0), np.uint64(1), np.uint64(3), np.uint64(7)
SHIFT_32 = np.uint64(32)


@inlined
def place(t: Any, reference: Any) -> Any:
    """Byte index of an extent's header in the rings."""
    position = (reference & ~RING_BIT) - ONE
    if reference & RING_BIT:
        return np.uint64(t.config[RING_0]) + position % np.uint64(t.config[RING_1])
    return position % np.uint64(t.config[RING_0])


@inlined
def is_there(t: Any, reference: Any) -> Any:
    """Whether the extent has not been overwritten."""
    if reference == np.uint64(0):
        return False
    position = (reference & ~RING_BIT) - ONE
    if reference & RING_BIT:
        return t.state[HEAD_1] <= position + np.uint64(t.config[RING_1])
    return t.state[HEAD_0] <= position + np.uint64(t.config[RING_0])


@inlined
def reserve(t: Any, row: Any, direction: Any, start: Any, length: Any, ts_ns: Any) -> Any:
    """Make room for the stream's next extent and write its header; returns its reference."""
    second = start >= np.uint64(t.config[RING_0_UPTO])
    head = t.state[HEAD_1] if second else t.state[HEAD_0]
    size = np.uint64(t.config[RING_1]) if second else np.uint64(t.config[RING_0])
    need = np.uint64(HEADER) + ((length + SEVEN) & ~SEVEN)
    at = head % size
    if at + need > size:
        head += size - at
    reference = (head + ONE) | RING_BIT if second else head + ONE
    if second:
        t.state[HEAD_1] = head + need
    else:
        t.state[HEAD_0] = head + need
    word = place(t, reference) >> THREE
    chain = t.flows[row].chain
    ring = ONE if second else ZERO
    t.ring64[word] = chain[ring]
    chain[ring] = reference
    t.ring64[word + ONE] = start
    t.ring64[word + np.uint64(2)] = np.uint64(ts_ns)
    t.ring64[word + THREE] = length | (np.uint64(row) << SHIFT_32)
    t.ring64[word + np.uint64(4)] = np.uint64(direction)
    return reference


@inlined
def copy_bytes(source: Any, at: Any, target: Any, to: Any, length: Any) -> Any:
    """Unsigned indices: with signed ones numba's copy is 16 times slower."""
    for i in range(length):
        target[to + np.uint64(i)] = source[at + np.uint64(i)]


@kernel
def store_groups(t: ShardColumns, payload: U8) -> None:
    """Copy the chunks of the batch's groups into the log and chain them to their streams.

    Sets each group's `extent` to its (first) extent. Groups released from the out-of-order list
    lie in the log already.
    """
    longest = np.uint64(t.config[MAX_EXTENT])
    for i in range(t.state[GROUPS]):
        group = t.groups[i]
        if group.first == 0:
            continue
        row = np.uint64(group.flow)
        left = np.uint64(group.len)
        start = group.start
        chunk = np.uint64(group.first)
        done = np.uint64(0)  # bytes of the present chunk that are copied
        t.counters[C_CONTENT_BYTES] += left
        while left:
            length = min(left, longest)
            reference = reserve(t, row, group.dir, start, length, group.ts_ns)
            if group.extent == 0:
                group.extent = reference
            to = place(t, reference) + np.uint64(HEADER)
            start += length
            left -= length
            while length:
                piece = t.chunks[chunk - ONE]
                take = min(np.uint64(piece.len) - done, length)
                copy_bytes(payload, np.uint64(piece.off) + done, t.ring8, to, take)
                to += take
                length -= take
                done += take
                if done == np.uint64(piece.len):
                    chunk = np.uint64(piece.next)
                    done = np.uint64(0)


@kernel
def list_extents(
    t: ShardColumns,
    row: int,
    direction: int,
    starts: OutU64,
    lengths: OutU64,
    places: OutU64,
    times: OutI64,
    retained: OutU64,
) -> int:
    """Walk a stream's chains from the newest extents: what is retained of one direction.

    Fills starts (logical offsets), lengths, places (byte index
    in the rings) and times of the direction's extents, newest first, as many as fit; retained:
    (2,) retained bytes by direction. Returns the number of extents of the direction. A chain ends
    at the first extent that is overwritten, both where the stream's own cap is reached.
    """
    count = 0
    cap = np.uint64(t.config[STREAM_CAP])
    seen = np.uint64(0)
    retained[0] = np.uint64(0)
    retained[1] = np.uint64(0)
    for ring in (ONE, ZERO):
        at = t.flows[row].chain[ring]
        while is_there(t, at) and seen < cap:
            word = place(t, at) >> THREE
            length = t.ring64[word + THREE] & LOW_32
            cut = np.uint64(0)
            if seen + length > cap:
                cut = seen + length - cap
            which = t.ring64[word + np.uint64(4)]
            retained[which] += length - cut
            if which == np.uint64(direction) and length > cut:
                if count < starts.size:
                    starts[count] = t.ring64[word + ONE] + cut
                    lengths[count] = length - cut
                    places[count] = (word << THREE) + np.uint64(HEADER) + cut
                    times[count] = np.int64(t.ring64[word + np.uint64(2)])
                count += 1
            seen += length
            at = t.ring64[word]
    return count
