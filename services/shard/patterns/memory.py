"""The memory of the pattern engine, reserved at the start; what is not used costs no page."""

import numpy as np

from services.shard.kernels import sought as p
from services.shard.tables import Tables
from shared.columns import (
    CANDIDATE,
    CURSOR,
    ENDPOINTS,
    KEPT,
    MATCH,
    MATCH_BYTES,
    PAIR,
    PIECE,
    SERVICES,
    SOUGHT,
    SPAN,
    TAIL,
)
from shared.memory import rows_of, zeros

BUFFER_BYTES = 8 << 20  # a batch has up to 2 MiB of payload, and may release held data
PIECES = 1 << 18
LISTED = 1 << 16  # extents of one direction; of more only the newest are looked through
CANDIDATES = 1 << 17
TOLD_AT_ONCE = 8192
PAIRS_AT_ONCE = 8192
RESCANS = 4096
HOPS_A_BATCH = 1 << 17


def pattern_columns(tables: Tables, kept: int, stream_limit: int) -> p.PatternColumns:
    """kept: matches of all streams. stream_limit: of one."""
    rows = tables.flows.size
    config = np.zeros(p.SOUGHT_CONFIG_LEN, np.int64)
    config[p.STREAM_LIMIT] = stream_limit
    return p.PatternColumns(
        buffer=zeros(BUFFER_BYTES),
        spans=rows_of(SPAN, tables.groups.size),
        pieces=rows_of(PIECE, PIECES),
        listed=zeros(8 * (3 * LISTED + 2)).view(np.uint64),
        listed_times=zeros(8 * LISTED).view(np.int64),
        sought=rows_of(SOUGHT, p.SLOTS),
        wanted=np.zeros(2 * len(SERVICES), np.uint8),
        seen_as=zeros(rows),
        rescan=np.zeros(RESCANS, np.uint32),
        cursor_of=zeros(4 * rows).view(np.uint32),
        kept_of=zeros(4 * rows).view(np.uint32),
        pending=zeros(2 * rows),
        edges=zeros(16 * rows).view(np.uint64),
        tails=rows_of(TAIL, 2 * rows),
        alphabet=np.zeros(256, np.uint8),
        order=zeros(4 * tables.groups.size).view(np.uint32),
        cursors=rows_of(CURSOR, kept),
        kept=rows_of(KEPT, kept),
        changed=zeros(4 * kept).view(np.uint32),
        candidates=rows_of(CANDIDATE, CANDIDATES),
        told=rows_of(MATCH, TOLD_AT_ONCE),
        told_ends=rows_of(ENDPOINTS, TOLD_AT_ONCE),
        told_bytes=zeros(TOLD_AT_ONCE * MATCH_BYTES),
        pairs=rows_of(PAIR, PAIRS_AT_ONCE),
        state=np.zeros(p.SOUGHT_STATE_LEN, np.uint64),
        config=config,
    )
