"""The end of streams: idle sweep, eviction, end of input; and the events that tell changes."""

from typing import Any

import numpy as np

from services.shard.kernels.favorites import forget_links
from services.shard.kernels.flow_table import name_ends, remember, unlink, victim
from services.shard.kernels.inspect import kind_of, preview_again
from services.shard.kernels.reassembly import flush
from services.shard.kernels.state import (
    C_CLOSED,
    C_FLOWS_EVICTED,
    C_IDLE,
    DIRTY,
    FREE_ROWS,
    GROUPS,
    IDLE_NS,
    MAX_HELD_SEGMENTS,
    QUIET_NS,
    SWEEP_HAND,
    UPDATE_BYTES,
    UPDATE_PACKETS,
    USED_ROWS,
    ShardColumns,
)
from services.shard.kernels.track import is_established, mark_dirty, rest
from shared.columns import (
    BINARY_KIND,
    CHANGED,
    CLOSE_SENT,
    CLOSED,
    CUT_SHORT,
    EVENT_CHANGE,
    EVENT_CLOSE,
    EVENT_OPEN,
    EVENT_UPDATE,
    INDEXED,
    LACKS_BEGIN,
    LACKS_TAILS,
    LIVE,
    MIXED_KIND,
    OPEN_SENT,
    REASON_CLOSED,
    REASON_END,
    REASON_EVICTED,
    REASON_IDLE,
    RESET,
    SAW_SYN,
    TCP,
    TEXT_KIND,
    UNKNOWN_KIND,
)
from shared.columns import (
    DIRTY as DIRTY_MARK,
)
from shared.kernels import inlined, kernel

ONE = np.uint64(1)


@inlined
def flush_both(t: Any, row: Any) -> Any:
    for side in range(2):
        flush(t, row, side)


@inlined
def is_full(t: Any) -> Any:
    room = np.uint64(2 * t.config[MAX_HELD_SEGMENTS] + 2)
    return t.state[GROUPS] + room > np.uint64(t.groups.size) or t.state[DIRTY] + ONE > np.uint64(
        t.dirty.size
    )


@inlined
def why_over(t: Any, flow: Any, now_ns: Any, otherwise: Any) -> Any:
    """The reason of a close: the stream's own end, then idleness, then what ends it now."""
    if flow.reason != 0:
        return flow.reason
    if flow.status == CLOSED or flow.status == RESET:
        return np.uint8(REASON_CLOSED)
    if now_ns - flow.last_ns > t.config[IDLE_NS]:
        return np.uint8(REASON_IDLE)
    return np.uint8(otherwise)


@kernel
def sweep(t: ShardColumns, rows: int, now_ns: int) -> None:
    """Look at the next rows of the table: what is idle by packet time, and what fell quiet."""
    used: Any = np.int64(t.state[USED_ROWS])
    hand: Any = np.int64(t.state[SWEEP_HAND])
    for _ in range(min(rows, used)):
        if is_full(t):
            break
        if hand >= used:
            hand = 0
        flow = t.flows[hand]
        if flow.marks & LIVE and flow.marks & CLOSE_SENT == 0:
            quiet = now_ns - flow.last_ns
            if quiet > t.config[IDLE_NS] and flow.reason == 0:
                holds = t.dirs[hand * 2].held != 0 or t.dirs[hand * 2 + 1].held != 0
                if holds or not is_established(flow):
                    rest(t, hand)
                    mark_dirty(t, hand)
            if quiet > t.config[QUIET_NS]:
                seen = t.dirs[hand * 2].packets + t.dirs[hand * 2 + 1].packets
                if np.uint32(seen) != flow.event_packets:
                    flow.marks |= np.uint8(CHANGED)
                    mark_dirty(t, hand)
        hand += 1
    t.state[SWEEP_HAND] = np.uint64(hand)


@kernel
def close_all(t: ShardColumns, start: int, now_ns: int) -> int:
    """The input has ended: close streams from row `start` on; returns the row to go on with."""
    used: Any = np.int64(t.state[USED_ROWS])
    for row in range(start, used):
        if is_full(t):
            return int(row)
        flow = t.flows[row]
        if flow.marks & LIVE and flow.marks & CLOSE_SENT == 0:
            flush_both(t, row)
            flow.reason = why_over(t, flow, now_ns, REASON_END)
            mark_dirty(t, row)
    return int(used)


@kernel
def evict(t: ShardColumns, wanted: int, now_ns: int) -> int:
    """Close the streams that must make room and name their rows in `victims`; returns how many.

    Their events are collected next, and only then does `free_victims` let the rows go: within one
    message a row is one stream.
    """
    count = 0
    for _ in range(min(wanted, t.victims.size)):
        if is_full(t):
            break
        row = victim(t)
        if row < 0:
            continue
        flow = t.flows[row]
        flush_both(t, row)
        flow.reason = why_over(t, flow, now_ns, REASON_EVICTED)
        flow.marks &= np.uint8(255 - LIVE)
        mark_dirty(t, row)
        t.victims[count] = np.uint32(row)
        count += 1
        t.counters[C_FLOWS_EVICTED] += ONE
    return count


@kernel
def free_victims(t: ShardColumns, count: int) -> None:
    """Take evicted rows out of the index and hand them out again."""
    for i in range(count):
        row = np.int64(t.victims[i])
        flow = t.flows[row]
        if flow.marks & INDEXED:
            unlink(t, flow.hash, row)
            remember(t, flow)
        forget_links(t, row)
        flow.marks = 0
        flow.chain[0] = 0
        flow.chain[1] = 0
        t.free[t.state[FREE_ROWS]] = np.uint32(row)
        t.state[FREE_ROWS] += ONE


@inlined
def fill(t: Any, event: Any, kind: Any, row: Any, shard: Any, flow: Any) -> Any:
    """A snapshot of the stream."""
    event.stream_id = flow.stream_id
    name_ends(event, flow)
    event.first_ns = flow.first_ns
    event.last_ns = flow.last_ns
    event.row = np.uint32(row)
    event.incarnation = flow.incarnation
    event.kind = np.uint8(kind)
    event.reason = flow.reason if kind == EVENT_CLOSE else np.uint8(0)
    event.status = flow.status
    event.service = flow.service
    event.service_from = np.uint8(flow.told_by >> 4)
    event.messages = t.message_count[row]
    event.shard = np.uint8(shard)
    kinds = 0
    for side in range(2):
        mine = t.dirs[row * 2 + side]
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
    marks = t.dirs[row * 2].marks | t.dirs[row * 2 + 1].marks
    lacks = LACKS_TAILS if marks & CUT_SHORT else 0
    if flow.proto == TCP and marks & SAW_SYN == 0:
        lacks |= LACKS_BEGIN
    event.lacks = np.uint8(lacks)


@kernel
def collect_events(t: ShardColumns, shard: int) -> int:
    """One event for every dirty stream that opened, closed, or changed enough; returns how many.

    Empties `dirty`. events needs room for two rows a dirty stream.
    """
    count = 0
    for i in range(np.int64(t.state[DIRTY])):
        row = np.int64(t.dirty[i])
        flow = t.flows[row]
        flow.marks &= np.uint8(255 - DIRTY_MARK)
        packets = np.uint32(t.dirs[row * 2].packets + t.dirs[row * 2 + 1].packets)
        octets = np.uint32(t.dirs[row * 2].bytes + t.dirs[row * 2 + 1].bytes)
        first = count
        if flow.marks & OPEN_SENT == 0:
            fill(t, t.events[count], EVENT_OPEN, row, shard, flow)
            count += 1
        if flow.reason != 0 and flow.marks & CLOSE_SENT == 0:
            fill(t, t.events[count], EVENT_CLOSE, row, shard, flow)
            count += 1
            flow.marks |= np.uint8(CLOSE_SENT)
            t.counters[C_CLOSED] += ONE
            t.counters[C_IDLE] += np.uint64(flow.reason == REASON_IDLE)
        elif count == first and flow.marks & CLOSE_SENT == 0:
            if (
                np.int64(np.uint32(packets - flow.event_packets)) >= t.config[UPDATE_PACKETS]
                or np.int64(np.uint32(octets - flow.event_bytes)) >= t.config[UPDATE_BYTES]
            ):
                fill(t, t.events[count], EVENT_UPDATE, row, shard, flow)
                count += 1
            elif flow.marks & CHANGED:
                fill(t, t.events[count], EVENT_CHANGE, row, shard, flow)
                count += 1
        if count > first:
            flow.marks = np.uint8((flow.marks | OPEN_SENT) & (255 - CHANGED))
            flow.event_packets = packets
            flow.event_bytes = octets
    t.state[DIRTY] = 0
    return count


@kernel
def snapshot_rows(t: ShardColumns, start: int) -> int:
    """Have every stream told again from row `start` on, as opened; returns the next row."""
    used: Any = np.int64(t.state[USED_ROWS])
    for row in range(start, used):
        previews_full = t.preview_fill[0] * np.uint64(2) > np.uint64(t.previews.size)
        if previews_full or t.state[DIRTY] + ONE > np.uint64(t.dirty.size):
            return int(row)
        flow = t.flows[row]
        if flow.marks & LIVE:
            preview_again(t, row)
            if flow.marks & CLOSE_SENT:  # it is counted when it is told
                t.counters[C_CLOSED] -= ONE
                t.counters[C_IDLE] -= np.uint64(flow.reason == REASON_IDLE)
            flow.marks &= np.uint8(255 - OPEN_SENT - CLOSE_SENT)
            mark_dirty(t, row)
    return int(used)
