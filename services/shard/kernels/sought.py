"""Columns of the pattern engine in one tuple, and the positions in its scalar columns."""

from typing import NamedTuple

from shared.columns import (
    Candidates,
    Cursors,
    Kept,
    OutEndpoints,
    OutI64,
    OutMatches,
    OutPairs,
    OutU8,
    OutU32,
    OutU64,
    Pieces,
    Soughts,
    Spans,
    Tails,
)


class PatternColumns(NamedTuple):
    """What the kernels of patterns work on. Allocated once, by `services.shard.patterns.memory`."""

    buffer: OutU8  # spans, each between two newlines
    spans: Spans
    pieces: Pieces  # in the order of the buffer
    listed: OutU64  # scratch: starts, lengths, places of a direction's extents, and nothing
    listed_times: OutI64
    sought: Soughts  # by slot
    wanted: OutU8  # service * 2 + 1 of the client, + 0 of the server: some pattern looks there
    seen_as: OutU8  # (rows,) 1 + service and side of the client when it was last looked at
    rescan: OutU32  # rows whose service was told late
    cursor_of: OutU32  # (rows,) 1 + the stream's first cursor; 0 = none
    kept_of: OutU32  # (rows,) matches of the stream that are kept
    pending: OutU8  # (2 * rows,) directions with provisional matches
    edges: OutU64  # (2 * rows,) see `spans.py`
    tails: Tails  # (2 * rows,) filled where an edge needs more than one byte
    alphabet: OutU8  # (256,) bytes that some pattern may match
    order: OutU32  # scratch: groups of one direction, from the newest
    cursors: Cursors
    kept: Kept
    changed: OutU32  # cursors whose counts are to be told
    candidates: Candidates
    told: OutMatches  # on their way to the coordinator
    told_ends: OutEndpoints
    told_bytes: OutU8
    pairs: OutPairs
    state: OutU64
    config: OutI64


SLOTS = 4096  # patterns at a time

# `state`, unsigned, changed by kernels
(
    SPANS,  # filled rows of `spans`
    PIECES,  # filled rows of `pieces`
    FILL,  # filled bytes of `buffer`
    CANDIDATES,
    TOLD,
    TOLD_BYTES,
    CHANGED,
    PAIRS,
    USED_CURSORS,
    FREE_CURSOR,  # 1 + first of the free list
    USED_KEPT,
    FREE_KEPT,
    KEPT_NOW,  # kept matches
    ASIDE,  # 1 + row that is being looked through from its beginning, in several goes
    RESCANS,
    RESCANS_LOST,
    HOPS,  # extents that may still be looked at for what lies before the groups of this batch
    CUT,  # look-backs that were cut short by that
    AT_ROW,  # where `gather_streams` goes on: place in its list, direction, logical offset
    AT_SIDE,
    AT_OFFSET,
    AT_CANDIDATE,  # where `replace_matches` goes on
    AT_FOUND,
    UNSCANNED,  # bytes of groups that did not fit into the buffer
    ASKED_0,  # heads of the content log's rings when somebody asked for what `gather_streams` does
    ASKED_1,
    LOST,  # streams of which something was pushed out since
    SOUGHT_STATE_LEN,
) = range(28)

# `config`, signed
(
    STREAM_LIMIT,  # kept matches of a stream
    BY_SERVICE,  # some pattern is for services or one side only
    BEFORE,  # bytes before and behind a match that some pattern depends on
    AFTER,
    EDGES,  # there are bytes that no pattern can match
    USED_SLOTS,  # 1 + the last slot that has a pattern
    SOUGHT_CONFIG_LEN,
) = range(7)
