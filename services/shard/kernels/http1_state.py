"""Where an HTTP/1.x parser is: the phases of its directions, and the words of its row."""

from typing import Any

import numpy as np

from shared.kernels import inlined

# phases of a direction. LOOK: any line that begins no message is passed over; START: none is
(
    LOOK, START, HEAD, SKIP, SIZE, TRAILER, CHUNK_END, CHUNK, LENGTH, CLOSE, HOLD, OVER,
) = range(12)  # fmt: skip
# words of PARSER.work behind those of http1_pairs; [side] each
TIMES, ARRIVED, BODY_ENDS, FLAGS = 3, 5, 7, 9
# FLAGS: bits of direction 0; those of direction 1 are shifted by 8
SEEN, CAUGHT_UP, HOLD_NEXT = 1, 2, 4
AFTER_LF, AFTER_CR = 8, 16  # how what was looked at of a head ends: LF, LF and CR
LOST = np.uint64(1 << 16)  # bytes of the stream are missing
# phases of a WebSocket's direction, and the word of what came while it was held
FRAMES, NO_FRAMES, CAME = 0, 1, 0

ZERO, ONE, TWO, THREE = (np.uint64(number) for number in range(4))
CAUGHT_UP_MOST = np.uint64(1 << 20)  # bytes from before the parser that are still looked at
LOW_32 = np.uint64(0xFFFFFFFF)


@inlined
def has_flag(parser: Any, side: Any, flag: Any) -> Any:
    return parser.work[FLAGS] & np.uint64(flag << (8 * side)) != ZERO


@inlined
def set_flag(parser: Any, side: Any, flag: Any) -> Any:
    parser.work[FLAGS] |= np.uint64(flag << (8 * side))


@inlined
def clear_flag(parser: Any, side: Any, flag: Any) -> Any:
    parser.work[FLAGS] &= ~np.uint64(flag << (8 * side))


@inlined
def is_head_phase(phase: Any) -> Any:
    return phase == LOOK or phase == START or phase == HEAD


@inlined
def lags(parser: Any, side: Any) -> Any:
    """Whether bytes of a direction came while it was held, and it no longer is."""
    return (
        parser.phase[side] == START
        and parser.work[ARRIVED + side] > parser.wait[side]
        and not has_flag(parser, side, CAUGHT_UP)
    )
