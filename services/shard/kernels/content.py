"""The content log: payload in two rings, as extents chained backwards from the newest.

Ring 0 takes the first bytes of each direction, ring 1 all further ones; a stream has a chain in
each, so that its beginning is found when what followed was written over. An extent is a header of
five 64-bit words and the payload, padded to 8 bytes. Its reference is 1 + its write position, with
the top bit for ring 1. Positions only grow; an extent is there as long as its ring's tail has not
gone past it. Tail and head are never more than the ring's size apart: the bound is the memory
itself. An extent never wraps: what does not fit before the end starts at the beginning; an extent
without a length stands where the rest of the ring is passed over.

The oldest extent gives way to the newest. One of a favourite is moved to the head instead, if it is
of the stream's newest STREAM_CAP bytes and favourites do not fill more than three quarters of the
ring: then they go as well, the oldest first. So what a favourite costs is one copy of it for each
time that the others' part of the ring was written anew. The extents of a stream that is or was a
favourite are linked both ways: a chain stays in the order in which it was written, wherever its
extents are, and leads to none that is gone.
"""

from typing import Any

import numpy as np

from services.shard.kernels.state import (
    C_CONTENT_BYTES,
    FAVORITE_0,
    GROUPS,
    HEAD_0,
    LINKED_ROWS,
    MAX_EXTENT,
    RING_0,
    RING_0_UPTO,
    RING_1,
    STREAM_CAP,
    TAIL_0,
    TAIL_1,
    ShardColumns,
)
from shared.columns import (
    FAVORITE,
    LINKED,
    U8,
    OutI64,
    OutU64,
)
from shared.kernels import inlined, kernel

# bytes; words: previous extent, logical start, ts_ns, len | flow << 32, dir | position of the next
# extent, which is a multiple of 8, where the stream is linked
HEADER = 40
RING_BIT = np.uint64(1 << 63)
LOW_32 = np.uint64(0xFFFFFFFF)
ZERO, ONE, TWO, THREE, FOUR = (np.uint64(i) for i in range(5))
SEVEN = np.uint64(7)
SHIFT_32 = np.uint64(32)
# positions in `state`, as ring 0 has them; those of ring 1 follow
HEADS, TAILS, FAVORITES = np.uint64(HEAD_0), np.uint64(TAIL_0), np.uint64(FAVORITE_0)


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
        return t.state[TAIL_1] <= position
    return t.state[TAIL_0] <= position


@inlined
def direction_of(t: Any, word: Any) -> Any:
    """Of the extent whose header begins at a word."""
    return t.ring64[word + FOUR] & ONE


@inlined
def refer(position: Any, ring: Any) -> Any:
    """The reference of the extent at a position."""
    return (position + ONE) | RING_BIT if ring else position + ONE


@inlined
def room_for(length: Any) -> Any:
    """Bytes of the ring that an extent takes."""
    return np.uint64(HEADER) + ((length + SEVEN) & ~SEVEN)


@inlined
def next_place(head: Any, size: Any, need: Any) -> Any:
    """The position of the next extent: at the head, or where the ring begins anew."""
    at = head % size
    return head + (size - at) if at + need > size else head


@inlined
def go_to(t: Any, ring: Any, base: Any, size: Any, begin: Any, need: Any) -> Any:
    """Move the head behind an extent at `begin`; what is passed over is marked so."""
    left = begin - t.state[HEADS + ring]
    if left >= np.uint64(HEADER):
        t.ring64[((base + size - left) >> THREE) + THREE] = ZERO
    t.state[HEADS + ring] = begin + need


@inlined
def link_back(t: Any, row: Any, ring: Any, following: Any, reference: Any) -> Any:
    """Let what follows in a chain, 0 = the chain itself, lead to an extent."""
    if following != ZERO:
        t.ring64[place(t, refer(following, ring)) >> THREE] = reference
    else:
        t.flows[row].chain[ring] = reference


@inlined
def link_on(t: Any, reference: Any, following: Any) -> Any:
    """Let an extent, if it is there, lead to the one that follows in its chain."""
    if is_there(t, reference):
        word = (place(t, reference) >> THREE) + FOUR
        t.ring64[word] = (t.ring64[word] & SEVEN) | following


@inlined
def is_kept(t: Any, row: Any, ring: Any, size: Any, length: Any) -> Any:
    """Whether the oldest extent of a linked stream is to be moved rather than written over."""
    if t.flows[row].marks & FAVORITE == 0 or t.state[FAVORITES + ring] > size - size // FOUR:
        return False
    links = t.links[row]
    newer = links.octets[ring] - length
    if ring == ZERO:  # all of ring 1 is newer
        newer += links.octets[1]
    return newer < np.uint64(t.config[STREAM_CAP])


@inlined
def pass_oldest(t: Any, ring: Any, base: Any, size: Any, movable: Any) -> Any:
    """Let the tail of a ring pass one extent: it goes, or moves to the head. At most `movable`
    bytes move; returns how many did."""
    tail = t.state[TAILS + ring]
    at = tail % size
    word = (base + at) >> THREE
    length = ZERO
    if at + np.uint64(HEADER) <= size:
        length = t.ring64[word + THREE] & LOW_32
    if length == ZERO:
        t.state[TAILS + ring] = tail + (size - at)
        return ZERO
    need = room_for(length)
    t.state[TAILS + ring] = tail + need
    row = t.ring64[word + THREE] >> SHIFT_32
    if t.state[LINKED_ROWS] == ZERO or t.flows[row].marks & LINKED == 0:
        return ZERO
    links = t.links[row]
    if tail < links.since[ring]:  # of a stream that had the row before
        return ZERO
    previous = t.ring64[word]
    following = t.ring64[word + FOUR] & ~SEVEN
    if need <= movable and is_kept(t, row, ring, size, length):
        begin = next_place(t.state[HEADS + ring], size, need)
        go_to(t, ring, base, size, begin, need)
        to = (base + begin % size) >> THREE
        for i in range(need >> THREE):  # they may overlap, but never with `to` behind `word`
            t.ring64[to + np.uint64(i)] = t.ring64[word + np.uint64(i)]
        link_back(t, row, ring, following, refer(begin, ring))
        link_on(t, previous, begin)
        return need
    link_back(t, row, ring, following, previous if is_there(t, previous) else ZERO)
    link_on(t, previous, following)
    links.room[ring] -= need
    links.octets[ring] -= length
    if t.flows[row].marks & FAVORITE:
        t.state[FAVORITES + ring] -= need
    return ZERO


@inlined
def make_room(t: Any, ring: Any, need: Any) -> Any:
    """Where the next extent of a ring is to be; the head is behind it then."""
    base = np.uint64(t.config[RING_0]) if ring else ZERO
    size = np.uint64(t.config[RING_1]) if ring else np.uint64(t.config[RING_0])
    movable = size
    begin = next_place(t.state[HEADS + ring], size, need)
    while t.state[TAILS + ring] + size < begin + need:
        moved = pass_oldest(t, ring, base, size, movable)
        if moved != ZERO:
            movable -= moved
            begin = next_place(t.state[HEADS + ring], size, need)
    go_to(t, ring, base, size, begin, need)
    return begin


@inlined
def reserve(t: Any, row: Any, direction: Any, start: Any, length: Any, ts_ns: Any) -> Any:
    """Make room for the stream's next extent and write its header; returns its reference."""
    ring = ONE if start >= np.uint64(t.config[RING_0_UPTO]) else ZERO
    need = room_for(length)
    begin = make_room(t, ring, need)
    reference = refer(begin, ring)
    word = place(t, reference) >> THREE
    flow = t.flows[row]
    previous = flow.chain[ring]
    flow.chain[ring] = reference
    t.ring64[word] = previous
    t.ring64[word + ONE] = start
    t.ring64[word + TWO] = np.uint64(ts_ns)
    t.ring64[word + THREE] = length | (np.uint64(row) << SHIFT_32)
    t.ring64[word + FOUR] = np.uint64(direction)
    if flow.marks & LINKED:
        link_on(t, previous, begin)
        t.links[row].room[ring] += need
        t.links[row].octets[ring] += length
        if flow.marks & FAVORITE:
            t.state[FAVORITES + ring] += need
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


@inlined
def walk_extents(
    t: Any,
    row: Any,
    direction: Any,
    starts: Any,
    lengths: Any,
    places: Any,
    times: Any,
    retained: Any,
) -> Any:
    """`list_extents`, for kernels."""
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
            which = direction_of(t, word)
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
    count = walk_extents(t, row, direction, starts, lengths, places, times, retained)
    return int(count)
