"""From packets to streams: flow table, stream boundaries, TCP state, reassembly. One loop."""

from typing import Any

import numpy as np

from services.shard.kernels.flow_table import (
    fetch_row,
    fetch_slot,
    find,
    find_service,
    free_row,
    link,
    remembered_incarnation,
    start_stream,
    unlink,
)
from services.shard.kernels.reassembly import acknowledged, ahead, emit, flush, receive, skip
from services.shard.kernels.state import (
    C_AFTER_CLOSE,
    C_AFTER_RESET,
    C_ATTEMPTS_ANSWERED,
    C_BYTES,
    C_FINS,
    C_IGNORED_RESETS,
    C_MALFORMED,
    C_PACKETS,
    C_PAYLOAD_BYTES,
    C_RESETS,
    C_REUSED,
    C_SYNS,
    CHUNKS,
    DIRTY,
    GROUPS,
    IDLE_NS,
    MAX_HELD_SEGMENTS,
    ShardColumns,
)
from shared.columns import (
    ACK,
    ATTEMPT,
    CHANGED,
    CLIENT_BY_SYN,
    CLOSED,
    CLOSING,
    CUT_SHORT,
    FIN,
    FROM_SYN,
    INDEXED,
    OPEN,
    REASON_CLOSED,
    REASON_IDLE,
    REASON_REUSED,
    RESET,
    RST,
    SAW_ACK,
    SAW_FIN,
    SAW_RST,
    SAW_SYN,
    SERVICE_BY_PAYLOAD,
    STARTED,
    SYN,
    TCP,
    U8,
    Packets,
)
from shared.columns import (
    DIRTY as DIRTY_MARK,
)
from shared.kernels import inlined, kernel

ONE = np.uint64(1)
# packets by which a flow's slot of the index is asked of memory, and then its rows, ahead of their
# turn: in a table of 300,000 flows a packet took 70 ns here, 51 so
SLOT_AHEAD, ROW_AHEAD = 16, 8
LONGEST_PAYLOAD = 1 << 30  # no IP packet comes near it, RFC 2675 aside
RESET_WINDOW = 1 << 20  # bytes around the expected number in which a RST is believed, RFC 5961 §3


@inlined
def mark_dirty(t: Any, row: Any) -> Any:
    """Have the stream looked at when the batch's events are collected."""
    if t.flows[row].marks & DIRTY_MARK == 0:
        t.flows[row].marks |= np.uint8(DIRTY_MARK)
        t.dirty[t.state[DIRTY]] = np.uint32(row)
        t.state[DIRTY] += ONE


@inlined
def set_status(t: Any, flow: Any, status: Any) -> Any:
    if flow.status != status:
        t.counters[C_ATTEMPTS_ANSWERED] += np.uint64(flow.status == ATTEMPT)
        flow.status = np.uint8(status)
        flow.marks |= np.uint8(CHANGED)


@inlined
def is_malformed(packet: Any, payload: Any) -> Any:
    """Whether a row points out of its batch: what is checked here is relied on behind."""
    end = np.uint64(packet.payload_off) + np.uint64(packet.payload_len)
    return (
        end > np.uint64(payload.size)
        or packet.payload_len > packet.payload_wire
        or packet.payload_wire > LONGEST_PAYLOAD
        or packet.dir > 1
    )


@inlined
def is_established(flow: Any) -> Any:
    """Such a stream may go on after hours, and would still be the same."""
    return flow.proto == TCP and (flow.status == OPEN or flow.status == CLOSING)


@inlined
def rest(t: Any, row: Any) -> Any:
    """A stream was idle for long: its holes are gaps, and it is over unless it is established.

    What the sweep did in time and what the stream's next packet finds undone come to the same.
    """
    flow = t.flows[row]
    for side in range(2):
        flush(t, row, side)
    if flow.reason == 0 and not is_established(flow):
        ended = flow.status == CLOSED or flow.status == RESET
        flow.reason = np.uint8(REASON_CLOSED if ended else REASON_IDLE)


@inlined
def begins_stream(flow: Any, mine: Any, other: Any, packet: Any, rested: Any) -> Any:
    """Whether a packet on a known flow opens another stream there. rested: after idleness."""
    over = flow.reason != 0 or (rested and not is_established(flow))
    if packet.proto != TCP:
        return over
    ended = flow.status == CLOSED or flow.status == RESET
    if packet.flags & (SYN | RST) != SYN:
        return over and not ended
    if over:
        return True
    if mine.packets and packet.seq == mine.isn:
        return False  # a retransmission
    asked = np.uint32(other.isn + np.uint32(1)) if other.packets else other.peer_ack
    if packet.flags & ACK and packet.ack == asked:
        return False  # an answer to the other's SYN; some servers choose another number each time
    return mine.packets > 0 or ended or other.marks & SAW_SYN == 0


@inlined
def tcp_state(t: Any, row: Any, direction: Any, packet: Any) -> Any:
    """SYN, ACK, RST and FIN of one segment. Returns whether its payload belongs to the stream."""
    flow = t.flows[row]
    mine = t.dirs[row * 2 + direction]
    other = t.dirs[row * 2 + 1 - direction]
    flags = packet.flags
    if mine.packets == 1 and flags & RST == 0:
        mine.isn = np.uint32(packet.seq - np.uint32(0 if flags & SYN else 1))
    if flags & SYN:
        t.counters[C_SYNS] += ONE
        if mine.marks & SAW_SYN == 0:
            if mine.marks & STARTED == 0:
                mine.isn = packet.seq
                mine.next_seq = np.uint32(packet.seq + np.uint32(1))
                mine.marks |= np.uint8(FROM_SYN)
            mine.marks |= np.uint8(STARTED | SAW_SYN)
            if flow.told_by & 15 != CLIENT_BY_SYN:
                flow.told_by = np.uint8((flow.told_by & 0xF0) | CLIENT_BY_SYN)
                flow.client = np.uint8(direction ^ 1 if flags & ACK else direction)
                if flow.told_by >> 4 != SERVICE_BY_PAYLOAD:
                    find_service(t, flow)
                flow.marks |= np.uint8(CHANGED)
    if flow.status == ATTEMPT and flags & RST == 0 and flags & (SYN | ACK) != SYN:
        set_status(t, flow, OPEN)
    if flags & ACK and flags & RST == 0:
        if other.marks & SAW_ACK == 0 or ahead(packet.ack, other.peer_ack) > 0:
            other.peer_ack = packet.ack
            other.marks |= np.uint8(SAW_ACK)
            if other.held != 0:
                acknowledged(t, row, 1 - direction)
    if flags & RST:
        if mine.marks & STARTED and abs(ahead(packet.seq, mine.next_seq)) > RESET_WINDOW:
            t.counters[C_IGNORED_RESETS] += ONE
            return False
        t.counters[C_RESETS] += ONE
        mine.marks |= np.uint8(SAW_RST)
        set_status(t, flow, RESET)
        return False
    if flags & FIN:
        t.counters[C_FINS] += ONE
        mine.marks |= np.uint8(SAW_FIN)
        if flow.status != RESET:
            set_status(t, flow, CLOSED if other.marks & SAW_FIN else CLOSING)
    return mine.marks & SAW_RST == 0


@inlined
def is_full(t: Any) -> Any:
    """Whether one more packet could overflow: it can release all that four directions hold."""
    room = np.uint64(4 * t.config[MAX_HELD_SEGMENTS] + 64)
    return (
        t.state[GROUPS] + room > np.uint64(t.groups.size)
        or t.state[CHUNKS] + room > np.uint64(t.chunks.size)
        or t.state[DIRTY] + np.uint64(2) > np.uint64(t.dirty.size)
    )


@kernel
def track(t: ShardColumns, packets: Packets, start: int, payload: U8) -> int:
    """Take packets [start, …) into their streams; returns how far it came.

    It stops early when groups or chunks could overflow, or when the table has no free row: the
    caller empties the first, or evicts, and calls again. In-order payload is described by groups
    [0, state[GROUPS]) of chunks of `payload`; streams that changed are in dirty[0, state[DIRTY]).
    """
    for i in range(start, packets.size):
        if is_full(t):
            return i
        if i + SLOT_AHEAD < packets.size:
            fetch_slot(t, packets[i + SLOT_AHEAD])
            fetch_row(t, packets[i + ROW_AHEAD])
        packet = packets[i]
        if is_malformed(packet, payload):
            t.counters[C_MALFORMED] += ONE
            continue
        direction = np.int64(packet.dir)
        row = find(t, packet)
        if row < 0:
            row = free_row(t)
            if row < 0:
                return i
            incarnation = remembered_incarnation(t, packet)
            start_stream(t, row, packet, incarnation)
            link(t, t.flows[row].hash, row)
        else:
            old = t.flows[row]
            rested = packet.ts_ns - old.last_ns > t.config[IDLE_NS]
            replaced = begins_stream(
                old, t.dirs[row * 2 + direction], t.dirs[row * 2 + 1 - direction], packet, rested
            )
            following = row
            if replaced:
                following = free_row(t)
                if following < 0:
                    return i
            if (rested or replaced) and old.reason == 0:
                mark_dirty(t, row)
                if rested:
                    rest(t, row)
            if replaced:
                unlink(t, old.hash, row)
                old.marks &= np.uint8(255 - INDEXED)
                if old.reason == 0:
                    for side in range(2):
                        flush(t, row, side)
                    old.reason = np.uint8(REASON_REUSED)
                start_stream(t, following, packet, old.incarnation + 1)
                row = following
                link(t, t.flows[row].hash, row)
                t.counters[C_REUSED] += ONE
        flow = t.flows[row]
        t.counters[C_PACKETS] += ONE
        t.counters[C_BYTES] += np.uint64(packet.wirelen)
        t.counters[C_PAYLOAD_BYTES] += np.uint64(packet.payload_wire)
        if flow.reason != 0:
            t.counters[C_AFTER_CLOSE] += ONE  # the stream's numbers are final
            continue
        mark_dirty(t, row)
        mine = t.dirs[row * 2 + direction]
        mine.packets += np.uint32(1)
        mine.bytes += np.uint64(packet.wirelen)
        mine.payload_bytes += np.uint64(packet.payload_wire)
        if packet.ts_ns > flow.last_ns:
            flow.last_ns = packet.ts_ns
        length, wire = np.int64(packet.payload_len), np.int64(packet.payload_wire)
        off = np.int64(packet.payload_off)
        if wire > length:
            mine.marks |= np.uint8(CUT_SHORT)
        if packet.proto != TCP:
            if length:
                emit(t, row, direction, off, length, packet.ts_ns, False)
            if wire > length:
                skip(t, row, direction, wire - length)
            continue
        belongs = tcp_state(t, row, direction, packet)
        if wire == 0:
            continue
        if not belongs:
            t.counters[C_AFTER_RESET] += np.uint64(wire)
            continue
        seq = np.uint32(packet.seq + np.uint32(1 if packet.flags & SYN else 0))
        if mine.marks & STARTED == 0:
            mine.marks |= np.uint8(STARTED)
            mine.next_seq = seq
        receive(t, row, direction, seq, off, length, wire, packet.ts_ns, payload)
    return packets.size


@kernel
def empty_groups(t: ShardColumns) -> None:
    """The groups and their chunks are done with: no stream goes on with one of them."""
    for i in range(t.state[GROUPS]):
        t.flows[np.uint64(t.groups[i].flow)].group = np.uint32(0)
    t.state[GROUPS] = 0
    t.state[CHUNKS] = 0
