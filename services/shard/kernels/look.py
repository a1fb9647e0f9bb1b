"""How framing parsers of TCP streams see a direction: what has arrived, and octets of it.

Of parsers that use `missing_from`, `work[SEEN + direction]` is 1 + the logical offset up to which
the parser was told of the direction, 0 at first; of those that use `give_up`, the low half of
`phase` is OVER when nothing more is looked at in a direction.
"""

from typing import Any

import numpy as np

from services.shard.kernels.content import HEADER, is_there, place
from services.shard.kernels.messages import gather
from shared.columns import NO_PARSER
from shared.kernels import inlined
from shared.kernels.octets import i64

SEEN = 8  # and 9: places in PARSER.work
PHASE, OVER = 15, 3  # the bits of a phase, and one that is the same for all
# above them: it lost its place once; it begins with what comes next
LOOSE, JOINS = 16, 64
LOW_32 = np.uint64(0xFFFFFFFF)


@inlined
def parser_at(t: Any, group: Any, protocol: Any) -> Any:
    """Where the parser of a group's stream is; -1 = it has none, or one of another protocol."""
    at = i64(t.parser_of[i64(group.flow)]) - 1
    return at if at >= 0 and t.parsers[np.uint64(at)].protocol == protocol else i64(-1)


@inlined
def give_up(parser: Any, side: Any) -> Any:
    """Nothing more is looked at in this direction."""
    parser.phase[side] = np.uint8(OVER)
    if parser.phase[1 - side] & PHASE == OVER:
        parser.protocol = np.uint8(NO_PARSER)


@inlined
def missing_from(t: Any, parser: Any, group: Any) -> Any:
    """Where the gap before a group begins; the group's own start when there is none.

    A parser that sees the direction for the first time finds the octets before the group in the
    log, unless the direction had a gap. Notes that the group was seen.
    """
    side, start = i64(group.dir), i64(group.start)
    seen = i64(parser.work[SEEN + side]) - 1
    if seen < 0:
        seen = 0 if t.dirs[i64(group.flow) * 2 + side].gaps else start
    parser.work[SEEN + side] = np.uint64(start + i64(group.len) + 1)
    return min(seen, start)


@inlined
def look(t: Any, group: Any, start: Any, stop: Any) -> Any:
    """Octets [start, stop) of the group's direction, as (array, index of the first); index -1 when
    the content log has lost some. stop is at most the group's end.

    They are read where they lie if the group's first extent has them all, which is nearly always
    so; else they are put together in `unit`, which has room for stop - start.
    """
    begin = i64(group.start)
    if start >= begin and is_there(t, group.extent):
        at = place(t, group.extent)
        stored = i64(t.ring64[(at >> np.uint64(3)) + np.uint64(3)] & LOW_32)
        if stop <= begin + stored:
            return t.ring8, i64(at) + HEADER + start - begin
    whole = gather(t, i64(group.flow), i64(group.dir), start, stop)
    return t.unit, (i64(0) if whole else i64(-1))
