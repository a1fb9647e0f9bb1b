"""The end of streams: idle sweep, eviction, end of input; and the events that tell of all changes."""

import numpy as np

from services.shard.kernels.flow_table import remember, unlink, victim
from services.shard.kernels.reassembly import flush
from services.shard.kernels.state import (
    C_CLOSED,
    C_FLOWS_EVICTED,
    C_IDLE,
    DIRTY,
    FREE_ROWS,
    IDLE_NS,
    MAX_HELD_SEGMENTS,
    GROUPS,
    QUIET_NS,
    SWEEP_HAND,
    UPDATE_BYTES,
    UPDATE_PACKETS,
    USED_ROWS,
)
from services.shard.kernels.track import is_established, mark_dirty, rest
from shared.columns import (
    BINARY_KIND,
    CHANGED,
    CLOSE_SENT,
    CLOSED,
    DIRTY as DIRTY_MARK,
    EVENT_CLOSE,
    EVENT_OPEN,
    EVENT_UPDATE,
    INDEXED,
    LIVE,
    MIXED_KIND,
    OPEN_SENT,
    REASON_CLOSED,
    REASON_END,
    REASON_EVICTED,
    REASON_IDLE,
    RESET,
    TEXT_CONTROL,
    TEXT_HEAD,
    TEXT_INVALID,
    TEXT_KIND,
    TEXT_SEEN,
    UNKNOWN_KIND,
    Directions,
    Flows,
    HeldNodes,
    I64,
    OutEvents,
    OutGroups,
    OutU32,
    OutU64,
)
from shared.kernels import inlined, kernel

ONE = np.uint64(1)


@inlined
def flush_both(row, flows, dirs, nodes, groups, ring64, state, counters, config):  # type: ignore[no-untyped-def]
    for side in range(2):
        flush(row, side, flows, dirs, nodes, groups, ring64, state, counters, config)


@inlined
def is_full(groups, dirty, state, config):  # type: ignore[no-untyped-def]
    room = np.uint64(2 * config[MAX_HELD_SEGMENTS] + 2)
    return (
        state[GROUPS] + room > np.uint64(groups.size)
        or state[DIRTY] + ONE > np.uint64(dirty.size)
    )


@inlined
def why_over(flow, now_ns, otherwise, config):  # type: ignore[no-untyped-def]
    """The reason of a close: the stream's own end, then idleness, then what ends it now."""
    if flow.reason != 0:
        return flow.reason
    if flow.status == CLOSED or flow.status == RESET:
        return np.uint8(REASON_CLOSED)
    if now_ns - flow.last_ns > config[IDLE_NS]:
        return np.uint8(REASON_IDLE)
    return np.uint8(otherwise)


@kernel
def sweep(
    rows: int,
    now_ns: int,
    flows: Flows,
    dirs: Directions,
    nodes: HeldNodes,
    ring64: OutU64,
    groups: OutGroups,
    dirty: OutU32,
    state: OutU64,
    counters: OutU64,
    config: I64,
) -> None:
    """Look at the next rows of the table: what is idle by packet time, and what fell quiet."""
    used = np.int64(state[USED_ROWS])
    hand = np.int64(state[SWEEP_HAND])
    for _ in range(min(rows, used)):
        if is_full(groups, dirty, state, config):
            break
        if hand >= used:
            hand = 0
        flow = flows[hand]
        if flow.marks & LIVE and flow.marks & CLOSE_SENT == 0:
            quiet = now_ns - flow.last_ns
            if quiet > config[IDLE_NS] and flow.reason == 0:
                holds = dirs[hand * 2].held != 0 or dirs[hand * 2 + 1].held != 0
                if holds or not is_established(flow):
                    rest(hand, flows, dirs, nodes, groups, ring64, state, counters, config)
                    mark_dirty(hand, flows, dirty, state)
            if quiet > config[QUIET_NS]:
                seen = dirs[hand * 2].packets + dirs[hand * 2 + 1].packets
                if np.uint32(seen) != flow.event_packets:
                    flow.marks |= np.uint8(CHANGED)
                    mark_dirty(hand, flows, dirty, state)
        hand += 1
    state[SWEEP_HAND] = np.uint64(hand)


@kernel
def close_all(
    start: int,
    now_ns: int,
    flows: Flows,
    dirs: Directions,
    nodes: HeldNodes,
    ring64: OutU64,
    groups: OutGroups,
    dirty: OutU32,
    state: OutU64,
    counters: OutU64,
    config: I64,
) -> int:
    """The input has ended: close streams from row `start` on; returns the next row to go on with."""
    used = np.int64(state[USED_ROWS])
    for row in range(start, used):
        if is_full(groups, dirty, state, config):
            return row
        flow = flows[row]
        if flow.marks & LIVE and flow.marks & CLOSE_SENT == 0:
            flush_both(row, flows, dirs, nodes, groups, ring64, state, counters, config)
            flow.reason = why_over(flow, now_ns, REASON_END, config)
            mark_dirty(row, flows, dirty, state)
    return used


@kernel
def evict(
    wanted: int,
    now_ns: int,
    flows: Flows,
    dirs: Directions,
    nodes: HeldNodes,
    ring64: OutU64,
    groups: OutGroups,
    dirty: OutU32,
    victims: OutU32,
    state: OutU64,
    counters: OutU64,
    config: I64,
) -> int:
    """Close the streams that must make room and name their rows in `victims`; returns how many.

    Their events are collected next, and only then does `free_victims` let the rows go: within one
    message a row is one stream.
    """
    count = 0
    for _ in range(min(wanted, victims.size)):
        if is_full(groups, dirty, state, config):
            break
        row = victim(flows, state, config)
        if row < 0:
            continue
        flow = flows[row]
        flush_both(row, flows, dirs, nodes, groups, ring64, state, counters, config)
        flow.reason = why_over(flow, now_ns, REASON_EVICTED, config)
        flow.marks &= np.uint8(255 - LIVE)
        mark_dirty(row, flows, dirty, state)
        victims[count] = np.uint32(row)
        count += 1
        counters[C_FLOWS_EVICTED] += ONE
    return count


@kernel
def free_victims(
    count: int,
    victims: OutU32,
    flows: Flows,
    index: OutU64,
    free: OutU32,
    ghosts: OutU64,
    state: OutU64,
    config: I64,
) -> None:
    """Take evicted rows out of the index and hand them out again."""
    for i in range(count):
        row = np.int64(victims[i])
        flow = flows[row]
        if flow.marks & INDEXED:
            unlink(flow.hash, row, index, config)
            remember(flow, ghosts)
        flow.marks = 0
        flow.chain = 0
        free[state[FREE_ROWS]] = np.uint32(row)
        state[FREE_ROWS] += ONE


@inlined
def kind_of(text):  # type: ignore[no-untyped-def]
    """Content kind of a direction from what its first 4 KiB showed."""
    if text & TEXT_SEEN == 0:
        return UNKNOWN_KIND
    if text & (TEXT_CONTROL | TEXT_INVALID) == 0:
        return TEXT_KIND
    return MIXED_KIND if text & TEXT_HEAD else BINARY_KIND


@inlined
def fill(event, kind, row, shard, flow, dirs):  # type: ignore[no-untyped-def]
    """A snapshot of the stream."""
    event.stream_id = flow.stream_id
    event.addr_a_hi = flow.addr_a_hi
    event.addr_a_lo = flow.addr_a_lo
    event.addr_b_hi = flow.addr_b_hi
    event.addr_b_lo = flow.addr_b_lo
    event.first_ns = flow.first_ns
    event.last_ns = flow.last_ns
    event.row = np.uint32(row)
    event.incarnation = flow.incarnation
    event.port_a = flow.port_a
    event.port_b = flow.port_b
    event.proto = flow.proto
    event.family = flow.family
    event.kind = np.uint8(kind)
    event.reason = flow.reason if kind == EVENT_CLOSE else np.uint8(0)
    event.status = flow.status
    event.client = flow.client
    event.service = flow.service
    event.service_from = np.uint8(flow.told_by >> 4)
    event.shard = np.uint8(shard)
    kinds = 0
    for side in range(2):
        mine = dirs[row * 2 + side]
        event.bytes[side] = mine.bytes
        event.payload_bytes[side] = mine.payload_bytes
        event.stream_bytes[side] = mine.offset - mine.gap_bytes
        event.gap_bytes[side] = mine.gap_bytes
        event.packets[side] = mine.packets
        event.gaps[side] = mine.gaps
        event.conflicts[side] = np.uint32(mine.conflicts)
        event.retransmissions[side] = mine.retransmissions
        kind_here = kind_of(mine.text)
        event.content_kind[side + 1] = np.uint8(kind_here)
        kinds |= 1 << kind_here
    kinds &= 14  # a direction that said nothing does not count
    whole = UNKNOWN_KIND
    if kinds:
        whole = MIXED_KIND
        for one in (TEXT_KIND, BINARY_KIND):
            if kinds == 1 << one:
                whole = one
    event.content_kind[0] = np.uint8(whole)


@kernel
def collect_events(
    shard: int,
    flows: Flows,
    dirs: Directions,
    dirty: OutU32,
    events: OutEvents,
    state: OutU64,
    counters: OutU64,
    config: I64,
) -> int:
    """One event for every dirty stream that opened, closed, or changed enough; returns how many.

    Empties `dirty`. events needs room for two rows a dirty stream.
    """
    count = 0
    for i in range(np.int64(state[DIRTY])):
        row = np.int64(dirty[i])
        flow = flows[row]
        flow.group = 0
        flow.marks &= np.uint8(255 - DIRTY_MARK)
        packets = np.uint32(dirs[row * 2].packets + dirs[row * 2 + 1].packets)
        octets = np.uint32(dirs[row * 2].bytes + dirs[row * 2 + 1].bytes)
        first = count
        if flow.marks & OPEN_SENT == 0:
            fill(events[count], EVENT_OPEN, row, shard, flow, dirs)
            count += 1
        if flow.reason != 0 and flow.marks & CLOSE_SENT == 0:
            fill(events[count], EVENT_CLOSE, row, shard, flow, dirs)
            count += 1
            flow.marks |= np.uint8(CLOSE_SENT)
            counters[C_CLOSED] += ONE
            counters[C_IDLE] += np.uint64(flow.reason == REASON_IDLE)
        elif count == first and (
            flow.marks & CHANGED
            or np.int64(np.uint32(packets - flow.event_packets)) >= config[UPDATE_PACKETS]
            or np.int64(np.uint32(octets - flow.event_bytes)) >= config[UPDATE_BYTES]
        ):
            if flow.marks & CLOSE_SENT == 0:
                fill(events[count], EVENT_UPDATE, row, shard, flow, dirs)
                count += 1
        if count > first:
            flow.marks = np.uint8((flow.marks | OPEN_SENT) & (255 - CHANGED))
            flow.event_packets = packets
            flow.event_bytes = octets
    state[DIRTY] = 0
    return count


@kernel
def snapshot_rows(
    start: int, flows: Flows, dirty: OutU32, state: OutU64, counters: OutU64
) -> int:
    """Have every stream told again from row `start` on, as opened; returns the next row."""
    used = np.int64(state[USED_ROWS])
    for row in range(start, used):
        if state[DIRTY] + ONE > np.uint64(dirty.size):
            return row
        flow = flows[row]
        if flow.marks & LIVE:
            if flow.marks & CLOSE_SENT:  # it is counted when it is told
                counters[C_CLOSED] -= ONE
                counters[C_IDLE] -= np.uint64(flow.reason == REASON_IDLE)
            flow.marks &= np.uint8(255 - OPEN_SENT - CLOSE_SENT)
            mark_dirty(row, flows, dirty, state)
    return used
