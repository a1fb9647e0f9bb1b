"""The flow table: rows of streams, and an open-addressing index from flow key to present stream.

A slot of the index is hash << 32 | row + 1; 0 is empty; a deleted slot is closed by shifting back
what follows (Knuth 6.4, algorithm R), so there are no tombstones. A stream that was replaced by a
later one on the same flow leaves the index and keeps its row until eviction takes it.
"""

from typing import Any

import numpy as np

from services.shard.kernels.state import (
    C_ATTEMPTS,
    C_FLOWS,
    C_MIDSTREAM,
    CLOCK_HAND,
    FREE_PARSERS,
    FREE_ROWS,
    INDEX_MASK,
    MAX_ROWS,
    USED_ROWS,
)
from shared.columns import (
    ACK,
    ATTEMPT,
    CLIENT_BY_FIRST,
    CLIENT_BY_PORT,
    CLIENT_BY_SYN,
    CLOSE_SENT,
    CLOSED,
    FAVORITE,
    INDEXED,
    LIVE,
    OPEN,
    RESET,
    SERVICE_BY_PORT,
    SYN,
    TCP,
)
from shared.kernels import inlined
from shared.kernels.prefetch import prefetch

FNV_OFFSET, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
LOW_32, BYTE = np.uint64(0xFFFFFFFF), np.uint64(0xFF)
SHIFT_32 = np.uint64(32)
ONE = np.uint64(1)
SAMPLE = 16  # rows of which eviction takes the least recently seen
# 2**64 by the golden ratio: Knuth 6.4. Places of ports that follow each other are as if by chance,
# which they were not with FNV's prime
MIX = np.uint64(0x9E3779B97F4A7C15)
WAYS = 4  # places of a ghost, next to each other
GHOST_TAG = np.uint64(0xFFFFFFFFFF000000)  # a ghost: 40 bits of the key's hash, 24 of a count


@inlined
def same_flow(flow: Any, packet: Any) -> Any:
    return (
        flow.addr_a_lo == packet.addr_a_lo
        and flow.addr_b_lo == packet.addr_b_lo
        and flow.port_a == packet.port_a
        and flow.port_b == packet.port_b
        and flow.proto == packet.proto
        and flow.family == packet.family
        and flow.addr_a_hi == packet.addr_a_hi
        and flow.addr_b_hi == packet.addr_b_hi
    )


@inlined
def find(t: Any, packet: Any) -> Any:
    """The row of the packet's flow, or -1."""
    mask = np.uint64(t.config[INDEX_MASK])
    hash32 = packet.hash & LOW_32
    slot = hash32 & mask
    while True:
        entry = t.slots[slot]
        if entry == 0:
            return np.int64(-1)
        if entry >> SHIFT_32 == hash32:
            row = np.int64(entry & LOW_32) - 1
            if same_flow(t.flows[row], packet):
                return row
        slot = (slot + ONE) & mask


@inlined
def fetch_slot(t: Any, packet: Any) -> Any:
    """Have the place of the index fetched at which the search for a flow begins."""
    prefetch(t.slots, packet.hash & np.uint64(t.config[INDEX_MASK]))


@inlined
def fetch_row(t: Any, packet: Any) -> Any:
    """Have the rows fetched that most likely are the flow's: both ends of its own, both of its
    directions."""
    entry = t.slots[packet.hash & np.uint64(t.config[INDEX_MASK])] & LOW_32
    if entry != 0:
        row = entry - ONE
        prefetch(t.flows, row)
        prefetch(t.flows, entry)
        prefetch(t.dirs, row + row)
        prefetch(t.dirs, row + row + ONE)


@inlined
def link(t: Any, hash32: Any, row: Any) -> Any:
    """Enter a row into the index."""
    mask = np.uint64(t.config[INDEX_MASK])
    slot = np.uint64(hash32) & mask
    while t.slots[slot] != 0:
        slot = (slot + ONE) & mask
    t.slots[slot] = np.uint64(hash32) << SHIFT_32 | np.uint64(row + 1)


@inlined
def unlink(t: Any, hash32: Any, row: Any) -> Any:
    """Take a row out of the index."""
    mask = np.uint64(t.config[INDEX_MASK])
    slot = np.uint64(hash32) & mask
    wanted = np.uint64(hash32) << SHIFT_32 | np.uint64(row + 1)
    while t.slots[slot] != wanted:
        if t.slots[slot] == 0:
            return
        slot = (slot + ONE) & mask
    hole = slot
    while True:
        slot = (slot + ONE) & mask
        entry = t.slots[slot]
        if entry == 0:
            break
        home = (entry >> SHIFT_32) & mask
        if ((slot - home) & mask) >= ((slot - hole) & mask):
            t.slots[hole] = entry
            hole = slot
    t.slots[hole] = 0


@inlined
def fnv(value: Any, number: Any, octets: Any) -> Any:
    """FNV-1a over the low `octets` bytes of a number, most significant first."""
    for i in range(octets):
        shift = np.uint64((octets - 1 - i) * 8)
        value = (value ^ ((np.uint64(number) >> shift) & BYTE)) * FNV_PRIME
    return value


@inlined
def stream_id(flow: Any) -> Any:
    """The twin is `shared.flow_key.FlowKey.stream_id`."""
    value = fnv(FNV_OFFSET, flow.proto, 1)
    value = fnv(value, flow.family, 1)
    if flow.family == 6:
        value = fnv(fnv(value, flow.addr_a_hi, 8), flow.addr_a_lo, 8)
    else:
        value = fnv(value, flow.addr_a_lo, 4)
    value = fnv(fnv(value, flow.port_a, 2), flow.family, 1)
    if flow.family == 6:
        value = fnv(fnv(value, flow.addr_b_hi, 8), flow.addr_b_lo, 8)
    else:
        value = fnv(value, flow.addr_b_lo, 4)
    return fnv(fnv(value, flow.port_b, 2), flow.incarnation, 4)


@inlined
def free_row(t: Any) -> Any:
    """A row nobody uses, or -1."""
    if t.state[FREE_ROWS] != 0:
        t.state[FREE_ROWS] -= ONE
        return np.int64(t.free[t.state[FREE_ROWS]])
    if np.int64(t.state[USED_ROWS]) < t.config[MAX_ROWS]:
        t.state[USED_ROWS] += ONE
        return np.int64(t.state[USED_ROWS]) - 1
    return np.int64(-1)


@inlined
def remembered_incarnation(t: Any, packet: Any) -> Any:
    """The incarnation that follows those of an evicted flow; 0 when it is not remembered.

    A ghost keeps a hash of the whole key, so that the last stream of an evicted flow and its next
    one do not share an id. It has one of WAYS places, where the newest stand first and the last is
    overwritten: a bound, not a promise.
    """
    tag = key_tag(packet)
    first = ghosts_of(t, tag)
    for way in range(WAYS):
        ghost = t.ghosts[first + np.uint64(way)]
        if ghost != 0 and (ghost ^ tag) & GHOST_TAG == 0:
            return np.uint32(ghost & ~GHOST_TAG)
    return np.uint32(0)


@inlined
def remember(t: Any, flow: Any) -> Any:
    """Leave a ghost of an evicted flow."""
    tag = key_tag(flow)
    first = ghosts_of(t, tag)
    moved = (tag & GHOST_TAG) | ((np.uint64(flow.incarnation) + ONE) & ~GHOST_TAG)
    for way in range(WAYS):
        place = first + np.uint64(way)
        moved, t.ghosts[place] = t.ghosts[place], moved
        if moved == 0 or (moved ^ tag) & GHOST_TAG == 0:  # an earlier one of the same flow
            break


@inlined
def ghosts_of(t: Any, tag: Any) -> Any:
    """The first of the places that a ghost may have."""
    return tag & np.uint64(t.ghosts.size - WAYS)


@inlined
def key_tag(key: Any) -> Any:
    """64 mixed bits of a flow key, of a packet or of a row."""
    ports = np.uint64(key.port_a) << SHIFT_32 | np.uint64(key.port_b)
    ends = (key.addr_a_hi, key.addr_a_lo, key.addr_b_hi, key.addr_b_lo)
    value = np.uint64(0)
    for part in (*ends, ports, np.uint64(key.proto)):
        value = (value ^ part) * MIX
        value ^= value >> SHIFT_32
    return value


@inlined
def name_ends(row: Any, flow: Any) -> Any:
    """Who talks, into a row that has the columns of ENDPOINTS."""
    row.addr_a_hi = flow.addr_a_hi
    row.addr_a_lo = flow.addr_a_lo
    row.addr_b_hi = flow.addr_b_hi
    row.addr_b_lo = flow.addr_b_lo
    row.port_a = flow.port_a
    row.port_b = flow.port_b
    row.proto = flow.proto
    row.family = flow.family
    row.client = flow.client


@inlined
def drop_parser(t: Any, row: Any) -> Any:
    """Give the stream's parser back, if it has one."""
    if t.parser_of[row] != 0:
        t.free_parsers[t.state[FREE_PARSERS]] = np.uint32(t.parser_of[row] - np.uint32(1))
        t.state[FREE_PARSERS] += ONE
        t.parser_of[row] = 0


@inlined
def start_stream(t: Any, row: Any, packet: Any, incarnation: Any) -> Any:
    """Fill a row for the packet that opens a stream."""
    flow = t.flows[row]
    flow.addr_a_hi = packet.addr_a_hi
    flow.addr_a_lo = packet.addr_a_lo
    flow.addr_b_hi = packet.addr_b_hi
    flow.addr_b_lo = packet.addr_b_lo
    flow.port_a = packet.port_a
    flow.port_b = packet.port_b
    flow.proto = packet.proto
    flow.family = packet.family
    flow.incarnation = np.uint32(incarnation)
    flow.stream_id = stream_id(flow)
    flow.first_ns = packet.ts_ns
    flow.last_ns = packet.ts_ns
    flow.chain[0] = 0
    flow.chain[1] = 0
    flow.hash = np.uint32(packet.hash & LOW_32)
    flow.group = 0
    flow.event_packets = 0
    flow.event_bytes = 0
    drop_parser(t, row)
    t.last_message[row] = 0
    t.message_count[row] = 0
    flow.marks = np.uint8(LIVE | INDEXED)
    flow.reason = 0
    flow.status = OPEN
    if packet.proto == TCP:
        if packet.flags & (SYN | ACK) == SYN:
            flow.status = ATTEMPT
            t.counters[C_ATTEMPTS] += ONE
        elif packet.flags & SYN == 0:
            t.counters[C_MIDSTREAM] += ONE
    find_client(t, flow, packet)
    for side in range(2):
        clear(t.dirs[row * 2 + side])
    t.counters[C_FLOWS] += ONE


@inlined
def find_client(t: Any, flow: Any, packet: Any) -> Any:
    """Who asked: the sender of the SYN, else who is not on a known port, else who spoke first."""
    known_a = t.port_service[packet.port_a] != 0 or 0 < packet.port_a < 1024
    known_b = t.port_service[packet.port_b] != 0 or 0 < packet.port_b < 1024
    told_by = CLIENT_BY_FIRST
    client = packet.dir
    if packet.proto == TCP and packet.flags & SYN:
        told_by = CLIENT_BY_SYN
        client = packet.dir ^ 1 if packet.flags & ACK else packet.dir
    elif known_a != known_b:
        told_by = CLIENT_BY_PORT
        client = np.uint8(1) if known_a else np.uint8(0)
    flow.client = np.uint8(client)
    flow.told_by = np.uint8(told_by)
    find_service(t, flow)


@inlined
def find_service(t: Any, flow: Any) -> Any:
    """The service of the server's port, else of the client's."""
    service = t.port_service[flow.port_a if flow.client else flow.port_b]
    if service == 0:
        service = t.port_service[flow.port_b if flow.client else flow.port_a]
    flow.service = service
    flow.told_by = np.uint8((flow.told_by & 15) | (SERVICE_BY_PORT << 4 if service else 0))


@inlined
def clear(mine: Any) -> Any:
    mine.bytes = 0
    mine.payload_bytes = 0
    mine.offset = 0
    mine.gap_bytes = 0
    mine.packets = 0
    mine.next_seq = 0
    mine.isn = 0
    mine.peer_ack = 0
    mine.gaps = 0
    mine.held = 0
    mine.retransmissions = 0
    mine.held_count = 0
    mine.conflicts = 0
    mine.marks = 0
    mine.text = 0


@inlined
def victim(t: Any) -> Any:
    """The row to evict: of a sample, one whose close is told, else closed, else longest unseen;
    favourites last.

    A small table is looked at whole, so the choice is exact there.
    """
    rows = t.config[MAX_ROWS]
    sample = rows if rows <= 256 else SAMPLE
    best, best_rank, best_ns = np.int64(-1), 6, np.int64(0)
    hand: Any = np.int64(t.state[CLOCK_HAND])
    for _ in range(sample):
        flow = t.flows[hand]
        if flow.marks & LIVE:
            rank = 2
            if flow.marks & CLOSE_SENT:
                rank = 0
            elif flow.status == CLOSED or flow.status == RESET:
                rank = 1
            if flow.marks & FAVORITE:
                rank += 3
            if rank < best_rank or (rank == best_rank and flow.last_ns < best_ns):
                best, best_rank, best_ns = hand, rank, flow.last_ns
        hand += 1
        if hand >= rows:
            hand = 0
    t.state[CLOCK_HAND] = np.uint64(hand)
    return best
