"""All columns of a shard in one tuple, and the positions in its scalar columns."""

from typing import NamedTuple

from shared.columns import (
    Directions,
    Flows,
    HeldNodes,
    Links,
    OutChunks,
    OutEndpoints,
    OutEvents,
    OutGroups,
    OutI64,
    OutMessages,
    OutPreviews,
    OutU8,
    OutU32,
    OutU64,
    Parsers,
)


class ShardColumns(NamedTuple):
    """What a shard's kernels work on. Allocated once, by `services.shard.tables`."""

    flows: Flows
    dirs: Directions  # rows 2i and 2i + 1 belong to flow i
    slots: OutU64  # of the flow table's index
    free: OutU32  # stack of freed rows
    ghosts: OutU64  # incarnations of evicted flows
    victims: OutU32  # rows being evicted
    nodes: HeldNodes
    groups: OutGroups
    earlier: OutGroups  # what a parser that begins with this batch takes first
    chunks: OutChunks
    dirty: OutU32  # streams that changed in this batch
    events: OutEvents
    previews: OutPreviews
    preview_bytes: OutU8
    preview_fill: OutU64  # (2,) used of previews, of preview_bytes
    head: OutU8  # scratch: the first bytes of a direction
    ring8: OutU8  # the content rings as bytes
    ring64: OutU64  # and as words
    links: Links  # (rows,) of streams that are or were favourites
    port_service: OutU8  # (65536,) index into SERVICES
    parsers: Parsers
    free_parsers: OutU32  # stack of parsers that were given back
    parser_of: OutU32  # (rows,) 1 + the stream's parser; 0 = none
    last_message: OutU32  # (rows,) low half of 1 + the number of its newest message; 0 = none
    message_count: OutU32  # (rows,) messages of the stream so far
    messages: OutMessages  # ring of found messages; a number modulo its size is the place
    text: OutU8  # ring of their texts
    finished: OutU64  # numbers of messages that ended and are not told yet
    told: OutMessages  # finished messages on their way to the coordinator
    told_ends: OutEndpoints  # who talked, row by row beside `told`
    told_text: OutU8
    unit: OutU8  # scratch: bytes of a direction that lie in several extents, put together
    unit64: OutU64  # and as words
    state: OutU64
    counters: OutU64
    config: OutI64


# `state`, unsigned, changed by kernels
(
    USED_ROWS,  # rows of the flow table ever used
    FREE_ROWS,  # rows on the stack of freed ones
    CLOCK_HAND,  # next row eviction looks at
    SWEEP_HAND,  # next row the idle sweep looks at
    USED_NODES,  # out-of-order nodes ever used
    FREE_NODE,  # 1 + first node of the free list
    GROUPS,  # filled rows of `groups`
    EARLIER,  # filled rows of `earlier`
    CHUNKS,  # filled rows of `chunks`
    DIRTY,  # filled rows of `dirty`
    HEAD_0,  # write position of content ring 0: the first bytes of each direction
    HEAD_1,  # and of ring 1: all further bytes
    TAIL_0,  # position of the oldest extent of each ring
    TAIL_1,
    FAVORITE_0,  # bytes of favourites in each ring
    FAVORITE_1,
    LINKED_ROWS,  # streams that are or were favourites
    RESERVED_NODES,  # nodes in use
    MESSAGES,  # messages ever found; the next one's number
    TEXT_HEAD,  # write position of the text ring
    FINISHED,  # filled rows of `finished`
    TOLD,  # of them that are told already
    TOLD_TEXT,  # filled bytes of `told_text`
    USED_PARSERS,  # parsers ever used
    FREE_PARSERS,  # parsers on the stack of those given back
    IN_GROUP,  # messages found in the group that is being parsed
    STATE_LEN,
) = range(27)

# `config`, signed, read only
(
    MAX_ROWS,
    INDEX_MASK,
    IDLE_NS,
    MAX_HELD_BYTES,
    MAX_HELD_SEGMENTS,
    RING_0,  # sizes of the two content rings, bytes; ring 1 follows ring 0 in memory
    RING_1,
    RING_0_UPTO,  # logical offsets below this go to ring 0
    MAX_EXTENT,  # payload bytes of one extent
    PREVIEW_UPTO,
    UPDATE_PACKETS,
    UPDATE_BYTES,
    QUIET_NS,  # a stream quiet for this long is told again if it changed
    STREAM_CAP,  # content bytes of one stream
    PARSES,  # 0 = no parser is to be used
    MAX_HEADER,  # bytes of an HTTP header
    MAX_IN_GROUP,  # messages of one group
    CONFIG_LEN,
) = range(18)

# `counters`, unsigned totals; the names are the metrics'
COUNTERS = (
    "packets",
    "bytes",
    "payload_bytes",
    "stream_bytes",
    "flows",
    "flows_evicted",
    "gaps",
    "gap_bytes",
    "retransmissions",
    "keep_alives",
    "overlaps",
    "conflicts",
    "out_of_order_held",
    "out_of_order_dropped",
    "out_of_window",
    "midstream",
    "syns",
    "fins",
    "resets",
    "ignored_resets",
    "after_reset_bytes",
    "after_close_packets",
    "attempts",
    "attempts_answered",
    "reused",
    "content_bytes",
    "held_limit",
    "no_held_node",
    "groups",
    "closed",
    "idle",
    "malformed_rows",
    "messages",
    "messages_over_limit",
    "messages_untold",
    "parser_gaps",
    "parser_errors",
    "parser_states_full",
    "parser_content_lost",
)
(
    C_PACKETS,
    C_BYTES,
    C_PAYLOAD_BYTES,
    C_STREAM_BYTES,
    C_FLOWS,
    C_FLOWS_EVICTED,
    C_GAPS,
    C_GAP_BYTES,
    C_RETRANSMISSIONS,
    C_KEEP_ALIVES,
    C_OVERLAPS,
    C_CONFLICTS,
    C_HELD,
    C_OOO_DROPPED,
    C_OUT_OF_WINDOW,
    C_MIDSTREAM,
    C_SYNS,
    C_FINS,
    C_RESETS,
    C_IGNORED_RESETS,
    C_AFTER_RESET,
    C_AFTER_CLOSE,
    C_ATTEMPTS,
    C_ATTEMPTS_ANSWERED,
    C_REUSED,
    C_CONTENT_BYTES,
    C_HELD_LIMIT,
    C_NO_NODE,
    C_GROUPS,
    C_CLOSED,
    C_IDLE,
    C_MALFORMED,
    C_MESSAGES,
    C_OVER_LIMIT,
    C_UNTOLD,
    C_PARSER_GAPS,
    C_PARSER_ERRORS,
    C_PARSERS_FULL,
    C_PARSER_LOST,
) = range(len(COUNTERS))
