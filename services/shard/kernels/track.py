"""From packets to streams: flow table, stream boundaries, TCP state, reassembly. One loop."""

import numpy as np

from services.shard.kernels.flow_table import (
    find,
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
)
from shared.columns import (
    ACK,
    ATTEMPT,
    CHANGED,
    CLIENT_BY_SYN,
    CLOSED,
    CLOSING,
    DIRTY as DIRTY_MARK,
    FIN,
    INDEXED,
    OPEN,
    REASON_IDLE,
    REASON_CLOSED,
    REASON_IDLE,
    REASON_REUSED,
    RESET,
    RST,
    SAW_ACK,
    SAW_FIN,
    SAW_RST,
    SAW_SYN,
    STARTED,
    SYN,
    TCP,
    U8,
    Directions,
    Flows,
    HeldNodes,
    I64,
    OutChunks,
    OutGroups,
    OutU8,
    OutU32,
    OutU64,
    Packets,
)
from shared.kernels import inlined, kernel

ONE = np.uint64(1)
LONGEST_PAYLOAD = 1 << 30  # no IP packet comes near it, RFC 2675 aside
RESET_WINDOW = 1 << 20  # bytes around the expected number in which a RST is believed, RFC 5961 §3


@inlined
def mark_dirty(row, flows, dirty, state):  # type: ignore[no-untyped-def]
    """Have the stream looked at when the batch's events are collected."""
    if flows[row].marks & DIRTY_MARK == 0:
        flows[row].marks |= np.uint8(DIRTY_MARK)
        dirty[state[DIRTY]] = np.uint32(row)
        state[DIRTY] += ONE


@inlined
def set_status(flow, status):  # type: ignore[no-untyped-def]
    if flow.status != status:
        flow.status = np.uint8(status)
        flow.marks |= np.uint8(CHANGED)


@inlined
def is_malformed(packet, payload):  # type: ignore[no-untyped-def]
    """Whether a row points out of its batch: what is checked here is relied on behind."""
    end = np.uint64(packet.payload_off) + np.uint64(packet.payload_len)
    return (
        end > np.uint64(payload.size)
        or packet.payload_len > packet.payload_wire
        or packet.payload_wire > LONGEST_PAYLOAD
        or packet.dir > 1
    )


@inlined
def is_established(flow):  # type: ignore[no-untyped-def]
    """Such a stream may go on after hours, and would still be the same."""
    return flow.proto == TCP and (flow.status == OPEN or flow.status == CLOSING)


@inlined
def rest(row, flows, dirs, nodes, groups, ring64, state, counters, config):  # type: ignore[no-untyped-def]
    """A stream was idle for long: its holes are gaps, and it is over unless it is established.

    What the sweep did in time and what the stream's next packet finds undone come to the same.
    """
    flow = flows[row]
    for side in range(2):
        flush(row, side, flows, dirs, nodes, groups, ring64, state, counters, config)
    if flow.reason == 0 and not is_established(flow):
        ended = flow.status == CLOSED or flow.status == RESET
        flow.reason = np.uint8(REASON_CLOSED if ended else REASON_IDLE)


@inlined
def begins_stream(flow, mine, other, packet, rested):  # type: ignore[no-untyped-def]
    """Whether a packet on a known flow opens another stream there. rested: after idleness."""
    over = flow.reason != 0 or (rested and not is_established(flow))
    if packet.proto != TCP:
        return over
    ended = flow.status == CLOSED or flow.status == RESET
    if packet.flags & (SYN | RST) != SYN:
        return over and not ended
    if over:
        return True
    if mine.packets:
        # a SYN that says again where the direction began is a retransmission
        return packet.seq != mine.isn
    # the first word of this side: an answer to the other's SYN, or of another conversation
    if packet.flags & ACK and packet.ack == np.uint32(other.isn + np.uint32(1)):
        return False
    return ended or other.marks & SAW_SYN == 0


@inlined
def tcp_state(row, direction, packet, flows, dirs, nodes, groups, ring64, state, counters, config):  # type: ignore[no-untyped-def]
    """SYN, ACK, RST and FIN of one segment. Returns whether its payload belongs to the stream."""
    flow = flows[row]
    mine = dirs[row * 2 + direction]
    other = dirs[row * 2 + 1 - direction]
    flags = packet.flags
    if mine.packets == 1 and flags & RST == 0:
        mine.isn = np.uint32(packet.seq - np.uint32(0 if flags & SYN else 1))
    if flags & SYN:
        counters[C_SYNS] += ONE
        if mine.marks & SAW_SYN == 0:
            if mine.marks & STARTED == 0:
                mine.isn = packet.seq
                mine.next_seq = np.uint32(packet.seq + np.uint32(1))
            mine.marks |= np.uint8(STARTED | SAW_SYN)
            if flow.told_by & 15 != CLIENT_BY_SYN:
                flow.told_by = np.uint8((flow.told_by & 0xF0) | CLIENT_BY_SYN)
                flow.client = np.uint8(direction ^ 1 if flags & ACK else direction)
                flow.marks |= np.uint8(CHANGED)
    if flow.status == ATTEMPT and flags & RST == 0 and flags & (SYN | ACK) != SYN:
        set_status(flow, OPEN)
    if flags & ACK and flags & RST == 0:
        if other.marks & SAW_ACK == 0 or ahead(packet.ack, other.peer_ack) > 0:
            other.peer_ack = packet.ack
            other.marks |= np.uint8(SAW_ACK)
            if other.held != 0:
                acknowledged(
                    row, 1 - direction, flows, dirs, nodes, groups, ring64, state, counters, config
                )
    if flags & RST:
        if mine.marks & STARTED and abs(ahead(packet.seq, mine.next_seq)) > RESET_WINDOW:
            counters[C_IGNORED_RESETS] += ONE
            return False
        counters[C_RESETS] += ONE
        mine.marks |= np.uint8(SAW_RST)
        set_status(flow, RESET)
        return False
    if flags & FIN:
        counters[C_FINS] += ONE
        mine.marks |= np.uint8(SAW_FIN)
        if flow.status != RESET:
            set_status(flow, CLOSED if other.marks & SAW_FIN else CLOSING)
    return mine.marks & SAW_RST == 0


@inlined
def is_full(groups, chunks, dirty, state, config):  # type: ignore[no-untyped-def]
    """Whether one more packet could overflow: it can release all that four directions hold."""
    room = np.uint64(4 * config[MAX_HELD_SEGMENTS] + 64)
    return (
        state[GROUPS] + room > np.uint64(groups.size)
        or state[CHUNKS] + room > np.uint64(chunks.size)
        or state[DIRTY] + np.uint64(2) > np.uint64(dirty.size)
    )


@kernel
def track(
    packets: Packets,
    start: int,
    flows: Flows,
    dirs: Directions,
    index: OutU64,
    free: OutU32,
    ghosts: OutU64,
    nodes: HeldNodes,
    payload: U8,
    ring8: OutU8,
    ring64: OutU64,
    groups: OutGroups,
    chunks: OutChunks,
    dirty: OutU32,
    port_service: U8,
    state: OutU64,
    counters: OutU64,
    config: I64,
) -> int:
    """Take packets [start, …) into their streams; returns how far it came.

    It stops early when groups or chunks could overflow, or when the table has no free row: the
    caller empties the first, or evicts, and calls again. In-order payload is described by groups
    [0, state[GROUPS]) of chunks of `payload`; streams that changed are in dirty[0, state[DIRTY]).
    """
    for i in range(start, packets.size):
        if is_full(groups, chunks, dirty, state, config):
            return i
        packet = packets[i]
        if is_malformed(packet, payload):
            counters[C_MALFORMED] += ONE
            continue
        direction = np.int64(packet.dir)
        row = find(packet, flows, index, config)
        if row < 0:
            row = free_row(state, free, config)
            if row < 0:
                return i
            incarnation = remembered_incarnation(packet, ghosts)
            start_stream(row, packet, incarnation, flows, dirs, port_service, counters)
            link(flows[row].hash, row, index, config)
        else:
            old = flows[row]
            rested = packet.ts_ns - old.last_ns > config[IDLE_NS]
            replaced = begins_stream(
                old, dirs[row * 2 + direction], dirs[row * 2 + 1 - direction], packet, rested
            )
            following = row
            if replaced:
                following = free_row(state, free, config)
                if following < 0:
                    return i
            if (rested or replaced) and old.reason == 0:
                mark_dirty(row, flows, dirty, state)
                if rested:
                    rest(row, flows, dirs, nodes, groups, ring64, state, counters, config)
            if replaced:
                unlink(old.hash, row, index, config)
                old.marks &= np.uint8(255 - INDEXED)
                if old.reason == 0:
                    for side in range(2):
                        flush(row, side, flows, dirs, nodes, groups, ring64, state, counters, config)
                    old.reason = np.uint8(REASON_REUSED)
                start_stream(
                    following, packet, old.incarnation + 1, flows, dirs, port_service, counters
                )
                row = following
                link(flows[row].hash, row, index, config)
                counters[C_REUSED] += ONE
        flow = flows[row]
        counters[C_PACKETS] += ONE
        counters[C_BYTES] += np.uint64(packet.wirelen)
        counters[C_PAYLOAD_BYTES] += np.uint64(packet.payload_wire)
        if flow.reason != 0:
            counters[C_AFTER_CLOSE] += ONE  # the stream's numbers are final
            continue
        mark_dirty(row, flows, dirty, state)
        mine = dirs[row * 2 + direction]
        if mine.held != 0 and packet.ts_ns - flow.last_ns > config[IDLE_NS]:
            # as the idle sweep would have, had it come by: the result does not depend on when
            flush(row, direction, flows, dirs, nodes, groups, ring64, state, counters, config)
        mine.packets += np.uint32(1)
        mine.bytes += np.uint64(packet.wirelen)
        mine.payload_bytes += np.uint64(packet.payload_wire)
        if packet.ts_ns > flow.last_ns:
            flow.last_ns = packet.ts_ns
        length, wire = np.int64(packet.payload_len), np.int64(packet.payload_wire)
        off = np.int64(packet.payload_off)
        if packet.proto != TCP:
            if length:
                emit(
                    row, direction, off, length, packet.ts_ns, False,
                    flows, dirs, groups, chunks, state, counters,
                )  # fmt: skip
            if wire > length:
                skip(row, direction, wire - length, dirs, counters)
            continue
        belongs = tcp_state(
            row, direction, packet, flows, dirs, nodes, groups, ring64, state, counters, config
        )
        if wire == 0:
            continue
        if not belongs:
            counters[C_AFTER_RESET] += np.uint64(wire)
            continue
        seq = np.uint32(packet.seq + np.uint32(1 if packet.flags & SYN else 0))
        if mine.marks & STARTED == 0:
            mine.marks |= np.uint8(STARTED)
            mine.next_seq = seq
        receive(
            row, direction, seq, off, length, wire, packet.ts_ns, flows, dirs, nodes, payload,
            ring8, ring64, groups, chunks, state, counters, config,
        )  # fmt: skip
    return packets.size
