"""TCP reassembly of one direction (RFC 9293 §3.4, §3.10): pieces of the track kernel.

In-order payload becomes chunks of the stream's present group. What comes too early goes into the
content log at once, at its logical offset, and a node of the direction's list, ordered by
sequence number, remembers it: nothing is copied again when the hole before it is filled, or is
declared a gap. Of overlapping bytes the ones that arrived first win.
"""

from typing import Any

import numpy as np

from services.shard.kernels.content import (
    HEADER,
    copy_bytes,
    direction_of,
    is_there,
    place,
    reserve,
)
from services.shard.kernels.state import (
    C_CONFLICTS,
    C_CONTENT_BYTES,
    C_GAP_BYTES,
    C_GAPS,
    C_HELD,
    C_HELD_LIMIT,
    C_KEEP_ALIVES,
    C_NO_NODE,
    C_OOO_DROPPED,
    C_OUT_OF_WINDOW,
    C_OVERLAPS,
    C_RETRANSMISSIONS,
    C_STREAM_BYTES,
    CHUNKS,
    FREE_NODE,
    GROUPS,
    MAX_EXTENT,
    MAX_HELD_BYTES,
    MAX_HELD_SEGMENTS,
    RESERVED_NODES,
    RING_0_UPTO,
    USED_NODES,
)
from shared.columns import SAW_ACK
from shared.kernels import inlined

LONGEST_GROUP = 65536
WINDOW = np.int64(1 << 30)  # the largest window there is, RFC 7323 §2.3
# How far back a retransmission is compared with what this batch brought, and with each chain of
# what was kept. However batches are cut, an extent is a segment or more: the last 2048 segments of
# a stream are always compared, and only how many more depends on the cuts.
COMPARED_CHUNKS = COMPARED_EXTENTS = 4096
LOW_32 = np.uint64(0xFFFFFFFF)
ZERO, ONE = np.uint64(0), np.uint64(1)


@inlined
def ahead(seq: Any, of: Any) -> Any:
    """How far `seq` lies ahead of `of`, negative when behind: arithmetic modulo 2**32."""
    return np.int64(np.int32(np.uint32(seq - of)))


@inlined
def new_group(t: Any, row: Any, direction: Any, start: Any, ts_ns: Any) -> Any:
    """The next row of `groups`, the stream's present one, filled but for its bytes; its index."""
    index = t.state[GROUPS]
    t.state[GROUPS] = index + ONE
    group = t.groups[index]
    group.previous = t.flows[row].group
    t.flows[row].group = np.uint32(index + ONE)
    group.extent = 0
    group.start = start
    group.ts_ns = ts_ns
    group.len = 0
    group.flow = np.uint32(row)
    group.first = 0
    group.last = 0
    group.dir = np.uint8(direction)
    group.gap_before = 0
    return index


@inlined
def emit(t: Any, row: Any, direction: Any, off: Any, length: Any, ts_ns: Any, joins: Any) -> Any:
    """In-order payload of the batch: a chunk of the present group, or of a new one.

    joins: it may continue a group (datagrams never do: each is a message of its own).
    """
    mine = t.dirs[row * 2 + direction]
    flow = t.flows[row]
    index = t.state[CHUNKS]
    t.state[CHUNKS] = index + ONE
    chunk = t.chunks[index]
    chunk.off = np.uint32(off)
    chunk.len = np.uint32(length)
    chunk.next = 0
    at = np.uint64(flow.group)
    fits: Any = False
    if joins and at != 0:
        group = t.groups[at - ONE]
        fits = (
            group.dir == direction
            and group.first != 0
            and group.start + np.uint64(group.len) == mine.offset
            and np.int64(group.len) + np.int64(length) <= LONGEST_GROUP
        )
    if not fits:
        at = new_group(t, row, direction, mine.offset, ts_ns) + ONE
    group = t.groups[at - ONE]
    if group.first == 0:
        group.first = np.uint32(index + ONE)
    else:
        t.chunks[np.uint64(group.last) - ONE].next = np.uint32(index + ONE)
    group.last = np.uint32(index + ONE)
    group.len = np.uint32(group.len + np.uint32(length))
    mine.offset += np.uint64(length)
    t.counters[C_STREAM_BYTES] += np.uint64(length)


@inlined
def skip(t: Any, row: Any, direction: Any, length: Any) -> Any:
    """Declare a gap: bytes that will not come."""
    mine = t.dirs[row * 2 + direction]
    mine.offset += np.uint64(length)
    mine.gap_bytes += np.uint64(length)
    mine.gaps += np.uint32(1)
    mine.next_seq = np.uint32(mine.next_seq + np.uint32(length))
    t.counters[C_GAPS] += ONE
    t.counters[C_GAP_BYTES] += np.uint64(length)


@inlined
def release(t: Any, row: Any, direction: Any, after_gap: Any) -> Any:
    """Emit the held pieces that are in order now, each as a group of its own."""
    mine = t.dirs[row * 2 + direction]
    while mine.held != 0:
        at = np.uint64(mine.held) - ONE
        node = t.nodes[at]
        if node.seq != mine.next_seq:
            return
        mine.held = np.uint16(node.next)
        mine.held_count -= np.uint16(1)
        length = np.uint64(node.len)
        if is_there(t, node.pos):
            ts_ns = np.int64(t.ring64[(place(t, node.pos) >> np.uint64(3)) + np.uint64(2)])
            index = new_group(t, row, direction, mine.offset, ts_ns)
            t.groups[index].extent = node.pos
            t.groups[index].len = node.len
            t.groups[index].gap_before = np.uint8(after_gap)
        else:
            t.counters[C_OOO_DROPPED] += ONE
        mine.offset += length
        mine.next_seq = np.uint32(mine.next_seq + np.uint32(node.len))
        t.counters[C_STREAM_BYTES] += length
        node.next = np.uint32(t.state[FREE_NODE])
        t.state[FREE_NODE] = at + ONE
        t.state[RESERVED_NODES] -= ONE
        after_gap = False


@inlined
def declare_gap(t: Any, row: Any, direction: Any) -> Any:
    """The hole before the first held piece is given up; what follows it is emitted."""
    mine = t.dirs[row * 2 + direction]
    first = t.nodes[np.uint64(mine.held) - ONE]
    skip(t, row, direction, ahead(first.seq, mine.next_seq))
    release(t, row, direction, True)


@inlined
def flush(t: Any, row: Any, direction: Any) -> Any:
    """Give up every hole of a direction."""
    while t.dirs[row * 2 + direction].held != 0:
        declare_gap(t, row, direction)


@inlined
def give_up(t: Any, row: Any, direction: Any, upto: Any) -> Any:
    """Give up every hole before sequence number `upto`."""
    mine = t.dirs[row * 2 + direction]
    while ahead(upto, mine.next_seq) > 0:
        lost = ahead(upto, mine.next_seq)
        if mine.held != 0:
            lost = min(lost, ahead(t.nodes[np.uint64(mine.held) - ONE].seq, mine.next_seq))
        skip(t, row, direction, lost)
        release(t, row, direction, True)


@inlined
def acknowledged(t: Any, row: Any, direction: Any) -> Any:
    """Declare the holes that the peer has acknowledged: it has the bytes, the capture has not."""
    mine = t.dirs[row * 2 + direction]
    while mine.held != 0:
        first = t.nodes[np.uint64(mine.held) - ONE]
        if ahead(mine.peer_ack, first.seq) < 0:
            return
        declare_gap(t, row, direction)


@inlined
def same_in_log(
    t: Any, row: Any, direction: Any, start: Any, stop: Any, off: Any, payload: Any, wanted: Any
) -> Any:
    """How many of the bytes [start, stop) of a direction, at `off`, the content log has and has
    the same; -1 when one is another. At most `wanted` are there."""
    found = np.int64(0)
    first = t.config[RING_0_UPTO]  # what begins before it is in ring 0
    for ring in (ONE, ZERO):
        if (stop <= first) if ring else (start >= first + t.config[MAX_EXTENT]):
            continue
        reference = t.flows[row].chain[ring]
        for _ in range(COMPARED_EXTENTS):
            if found >= wanted or not is_there(t, reference):
                break
            word = place(t, reference) >> np.uint64(3)
            begin = np.int64(t.ring64[word + ONE])
            end = begin + np.int64(t.ring64[word + np.uint64(3)] & LOW_32)
            if direction_of(t, word) == np.uint64(direction):
                low, high = max(begin, start), min(end, stop)
                old = (word << np.uint64(3)) + np.uint64(HEADER) + np.uint64(low - begin)
                new = np.uint64(off) + np.uint64(low - start)
                for i in range(high - low):
                    if t.ring8[old + np.uint64(i)] != payload[new + np.uint64(i)]:
                        return np.int64(-1)
                found += max(np.int64(0), high - low)
            reference = t.ring64[word]
    return found


@inlined
def same_in_batch(
    t: Any, row: Any, direction: Any, start: Any, stop: Any, off: Any, payload: Any
) -> Any:
    """The same for what this batch brought: it is not in the log yet."""
    found = np.int64(0)
    at = np.uint64(t.flows[row].group)
    looked = 0
    while at != 0 and looked < COMPARED_CHUNKS:
        group = t.groups[at - ONE]
        at = np.uint64(group.previous)
        begin = np.int64(group.start)
        link = np.uint64(group.first)
        looked += 1
        if group.dir != direction or begin >= stop or begin + np.int64(group.len) <= start:
            continue
        while link != 0 and begin < stop:
            chunk = t.chunks[link - ONE]
            link = np.uint64(chunk.next)
            looked += 1
            low, high = max(begin, start), min(begin + np.int64(chunk.len), stop)
            old = np.uint64(chunk.off) + np.uint64(low - begin)
            new = np.uint64(off) + np.uint64(low - start)
            for i in range(high - low):
                if payload[old + np.uint64(i)] != payload[new + np.uint64(i)]:
                    return np.int64(-1)
            found += max(np.int64(0), high - low)
            begin += np.int64(chunk.len)
    return found


@inlined
def compare(t: Any, row: Any, direction: Any, seq: Any, off: Any, length: Any, payload: Any) -> Any:
    """Count a segment that says again, otherwise, what was said (RFC 9293 leaves open who wins)."""
    mine = t.dirs[row * 2 + direction]
    # logical offset of `seq`; what lies before the stream's first byte has nothing to compare
    start = np.int64(mine.offset) + ahead(seq, mine.next_seq)
    stop = start + np.int64(length)
    same = same_in_batch(t, row, direction, start, stop, off, payload)
    wanted = stop - max(start, np.int64(0)) - same
    if same >= 0 and wanted > 0:
        same = same_in_log(t, row, direction, start, stop, off, payload, wanted)
    if same < 0:
        if mine.conflicts < 65535:
            mine.conflicts += np.uint16(1)
        t.counters[C_CONFLICTS] += ONE


@inlined
def held_bytes(t: Any, mine: Any) -> Any:
    """Bytes that a direction holds; counted when asked, its row has no room for the sum."""
    total = np.int64(0)
    at = np.uint64(mine.held)
    while at != 0:
        total += np.int64(t.nodes[at - ONE].len)
        at = np.uint64(t.nodes[at - ONE].next)
    return total


@inlined
def take_node(t: Any) -> Any:
    """Index of a free node; the pool's size when there is none."""
    if t.state[FREE_NODE] != 0:
        at = t.state[FREE_NODE] - ONE
        t.state[FREE_NODE] = np.uint64(t.nodes[at].next)
    elif t.state[USED_NODES] < np.uint64(t.nodes.size):
        at = t.state[USED_NODES]
        t.state[USED_NODES] = at + ONE
    else:
        return np.uint64(t.nodes.size)
    t.state[RESERVED_NODES] += ONE
    return at


@inlined
def hold(
    t: Any,
    row: Any,
    direction: Any,
    before: Any,
    seq: Any,
    off: Any,
    length: Any,
    ts_ns: Any,
    payload: Any,
) -> Any:
    """Keep a piece that came too early, behind node `before` (1 + index; 0 = as the first).

    The caller has made sure that a node is free. Returns 1 + the new node.
    """
    mine = t.dirs[row * 2 + direction]
    start = mine.offset + np.uint64(ahead(seq, mine.next_seq))
    at = take_node(t)
    reference = reserve(t, row, direction, start, np.uint64(length), ts_ns)
    copy_bytes(payload, np.uint64(off), t.ring8, place(t, reference) + np.uint64(HEADER), length)
    t.counters[C_CONTENT_BYTES] += np.uint64(length)
    t.counters[C_HELD] += ONE
    node = t.nodes[at]
    node.pos = reference
    node.seq = np.uint32(seq)
    node.len = np.uint32(length)
    if before == 0:
        node.next = mine.held
        mine.held = np.uint16(at + ONE)
    else:
        node.next = t.nodes[before - ONE].next
        t.nodes[before - ONE].next = np.uint32(at + ONE)
    mine.held_count += np.uint16(1)
    return at + ONE


@inlined
def receive(
    t: Any,
    row: Any,
    direction: Any,
    seq: Any,
    off: Any,
    length: Any,
    wire: Any,
    ts_ns: Any,
    payload: Any,
) -> Any:
    """One segment's payload: `length` captured bytes at `off`, `wire` bytes by its headers."""
    mine = t.dirs[row * 2 + direction]
    distance = ahead(seq, mine.next_seq)
    if distance == 0 and mine.held == 0:
        # the common case: exactly what was expected
        if length:
            emit(t, row, direction, off, length, ts_ns, True)
            mine.next_seq = np.uint32(mine.next_seq + np.uint32(length))
        if wire > length:
            skip(t, row, direction, wire - length)
        return
    end = np.uint32(seq + np.uint32(wire))
    if distance > WINDOW:
        if mine.marks & SAW_ACK == 0 or ahead(mine.peer_ack, end) < 0:
            t.counters[C_OUT_OF_WINDOW] += ONE
            return
        give_up(t, row, direction, seq)  # the peer has all that lies before it
        distance = ahead(seq, mine.next_seq)
    repeats = distance < 0
    if repeats:
        if distance == -1 and wire == 1:
            t.counters[C_KEEP_ALIVES] += ONE
            return
        mine.retransmissions += np.uint32(1)
        t.counters[C_RETRANSMISSIONS] += ONE
    overlaps = False
    stop = np.uint32(seq + np.uint32(length))
    current = mine.next_seq if repeats else seq
    before = np.uint64(0)
    while ahead(stop, current) > 0:
        after = np.uint64(mine.held) if before == 0 else np.uint64(t.nodes[before - ONE].next)
        piece_end = stop
        if after != 0:
            node = t.nodes[after - ONE]
            node_end = np.uint32(node.seq + node.len)
            if ahead(node_end, current) <= 0:
                before = after
                continue
            if ahead(node.seq, current) <= 0:
                overlaps = True
                current = node_end
                before = after
                continue
            if ahead(stop, node.seq) > 0:
                piece_end = node.seq
        piece = ahead(piece_end, current)
        piece_off = off + ahead(current, seq)
        if current == mine.next_seq:
            emit(t, row, direction, piece_off, piece, ts_ns, True)
            mine.next_seq = piece_end
            release(t, row, direction, False)
            before = np.uint64(0)
            overlaps |= mine.next_seq != piece_end and piece_end != stop
            current = mine.next_seq
        else:
            full = (
                np.int64(mine.held_count) >= t.config[MAX_HELD_SEGMENTS]
                or held_bytes(t, mine) + piece > t.config[MAX_HELD_BYTES]
                or piece > t.config[MAX_EXTENT]
            )
            no_node = t.state[FREE_NODE] == 0 and t.state[USED_NODES] >= np.uint64(t.nodes.size)
            if full or no_node:
                t.counters[C_HELD_LIMIT if full else C_NO_NODE] += ONE
                if mine.held != 0 and ahead(t.nodes[np.uint64(mine.held) - ONE].seq, current) < 0:
                    declare_gap(t, row, direction)
                else:
                    skip(t, row, direction, ahead(current, mine.next_seq))
                before = np.uint64(0)
                continue
            before = hold(t, row, direction, before, current, piece_off, piece, ts_ns, payload)
            current = piece_end
    if overlaps:
        t.counters[C_OVERLAPS] += ONE
    if repeats or overlaps:
        compare(t, row, direction, seq, off, length, payload)
    if ahead(stop, mine.next_seq) <= 0:
        give_up(t, row, direction, end)  # what a snap length cut off
    if mine.held != 0 and mine.marks & SAW_ACK:
        acknowledged(t, row, direction)
