"""The content log: payload in two rings, as extents chained backwards from the newest.

An extent is a header of five 64-bit words and the payload, padded to 8 bytes. Its reference is
1 + its write position, with the top bit for ring 1. Positions only grow; an extent is there as
long as its ring's head has not gone past it by more than the ring's size: the bound is the
memory itself. An extent never wraps: what does not fit before the end starts at the beginning.
"""

import numpy as np

from services.shard.kernels.state import (
    C_CONTENT_BYTES,
    HEAD_0,
    HEAD_1,
    MAX_EXTENT,
    RING_0,
    RING_0_UPTO,
    RING_1,
    STREAM_CAP,
)
from shared.columns import (
    I64,
    U8,
    U64,
    Flows,
    OutChunks,
    OutGroups,
    OutI64,
    OutU8,
    OutU64,
)
from shared.kernels import inlined, kernel

HEADER = 40  # bytes; words: previous extent, logical start, ts_ns, len | flow << 32, dir
RING_BIT = np.uint64(1 << 63)
LOW_32 = np.uint64(0xFFFFFFFF)
ONE, THREE, SEVEN = np.uint64(1), np.uint64(3), np.uint64(7)
SHIFT_32 = np.uint64(32)


@inlined
def place(reference, config):  # type: ignore[no-untyped-def]
    """Byte index of an extent's header in the rings."""
    position = (reference & ~RING_BIT) - ONE
    if reference & RING_BIT:
        return np.uint64(config[RING_0]) + position % np.uint64(config[RING_1])
    return position % np.uint64(config[RING_0])


@inlined
def is_there(reference, state, config):  # type: ignore[no-untyped-def]
    """Whether the extent has not been overwritten."""
    if reference == np.uint64(0):
        return False
    position = (reference & ~RING_BIT) - ONE
    if reference & RING_BIT:
        return state[HEAD_1] <= position + np.uint64(config[RING_1])
    return state[HEAD_0] <= position + np.uint64(config[RING_0])


@inlined
def reserve(length, start, previous, ts_ns, row, direction, ring64, state, config):  # type: ignore[no-untyped-def]
    """Make room for an extent and write its header; returns its reference."""
    second = start >= np.uint64(config[RING_0_UPTO])
    head = state[HEAD_1] if second else state[HEAD_0]
    size = np.uint64(config[RING_1]) if second else np.uint64(config[RING_0])
    need = np.uint64(HEADER) + ((length + SEVEN) & ~SEVEN)
    at = head % size
    if at + need > size:
        head += size - at
    reference = (head + ONE) | RING_BIT if second else head + ONE
    if second:
        state[HEAD_1] = head + need
    else:
        state[HEAD_0] = head + need
    word = place(reference, config) >> THREE
    ring64[word] = previous
    ring64[word + ONE] = start
    ring64[word + np.uint64(2)] = np.uint64(ts_ns)
    ring64[word + THREE] = length | (np.uint64(row) << SHIFT_32)
    ring64[word + np.uint64(4)] = np.uint64(direction)
    return reference


@inlined
def copy_bytes(source, at, target, to, length):  # type: ignore[no-untyped-def]
    """Unsigned indices: with signed ones numba's copy is 16 times slower."""
    for i in range(length):
        target[to + np.uint64(i)] = source[at + np.uint64(i)]


@kernel
def store_groups(
    first: int,
    flows: Flows,
    groups: OutGroups,
    count: int,
    chunks: OutChunks,
    payload: U8,
    ring8: OutU8,
    ring64: OutU64,
    state: OutU64,
    counters: OutU64,
    config: I64,
) -> None:
    """Copy the chunks of groups [first, count) into the log and chain them to their streams.

    Sets each group's `extent` to its (first) extent. Groups released from the out-of-order list
    lie in the log already.
    """
    longest = np.uint64(config[MAX_EXTENT])
    for i in range(first, count):
        group = groups[i]
        if group.first == 0:
            continue
        row = np.uint64(group.flow)
        left = np.uint64(group.len)
        start = group.start
        chunk = np.uint64(group.first)
        done = np.uint64(0)  # bytes of the present chunk that are copied
        counters[C_CONTENT_BYTES] += left
        while left:
            length = min(left, longest)
            reference = reserve(
                length, start, flows[row].chain, group.ts_ns, row, group.dir, ring64, state, config
            )
            flows[row].chain = reference
            if group.extent == 0:
                group.extent = reference
            to = place(reference, config) + np.uint64(HEADER)
            start += length
            left -= length
            while length:
                piece = chunks[chunk - ONE]
                take = min(np.uint64(piece.len) - done, length)
                copy_bytes(payload, np.uint64(piece.off) + done, ring8, to, take)
                to += take
                length -= take
                done += take
                if done == np.uint64(piece.len):
                    chunk = np.uint64(piece.next)
                    done = np.uint64(0)


@kernel
def list_extents(
    reference: U64,
    row: int,
    direction: int,
    ring64: OutU64,
    state: OutU64,
    config: I64,
    starts: OutU64,
    lengths: OutU64,
    places: OutU64,
    times: OutI64,
    retained: OutU64,
) -> int:
    """Walk a stream's chain from the newest extent: what is retained of one direction.

    reference: (1,) the newest extent. Fills starts (logical offsets), lengths, places (byte index
    in the rings) and times of the direction's extents, newest first, as many as fit; retained:
    (2,) retained bytes by direction. Returns the number of extents of the direction. Stops at the
    first extent that is overwritten, and where the stream's own cap is reached.
    """
    count = 0
    cap = np.uint64(config[STREAM_CAP])
    seen = np.uint64(0)
    retained[0] = np.uint64(0)
    retained[1] = np.uint64(0)
    at = reference[0]
    while is_there(at, state, config) and seen < cap:
        word = place(at, config) >> THREE
        owner = ring64[word + THREE]
        if owner >> SHIFT_32 != np.uint64(row):
            break
        length = owner & LOW_32
        cut = np.uint64(0)
        if seen + length > cap:
            cut = seen + length - cap
        which = ring64[word + np.uint64(4)]
        retained[which] += length - cut
        if which == np.uint64(direction) and length > cut:
            if count < starts.size:
                starts[count] = ring64[word + ONE] + cut
                lengths[count] = length - cut
                places[count] = (word << THREE) + np.uint64(HEADER) + cut
                times[count] = np.int64(ring64[word + np.uint64(2)])
            count += 1
        seen += length
        at = ring64[word]
    return count
