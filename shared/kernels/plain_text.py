"""Whether bytes are ASCII text: what most of the first bytes of streams are.

Told for PIECE bytes at a time, in a loop of constant length that becomes a few vector instructions.
Measured: 300 bytes in 14 ns, 4096 in 98; in one loop over all of them 62 and 703.
"""

from typing import Any

import numpy as np

from shared.kernels import inlined

PIECE = 64
SPAN = np.uint64(PIECE)


@inlined
def is_odd(byte: Any) -> Any:
    """1 for what plain text does not hold: bytes from DEL on, and C0 controls but TAB, LF, VT, FF,
    CR and ESC."""
    control = (byte < np.uint8(32)) & ((byte < np.uint8(9)) | (byte > np.uint8(13)))
    return np.uint8(control & (byte != np.uint8(27))) | np.uint8(byte >= np.uint8(127))


@inlined
def has_odd(octets: Any, at: Any, count: Any) -> Any:
    """Not 0 when one of `count` bytes is odd; no branch."""
    odd = np.uint8(0)
    for i in range(count):
        odd = np.uint8(odd | is_odd(octets[at + np.uint64(i)]))
    return odd


@inlined
def is_plain(octets: Any, at: Any, length: Any) -> Any:
    """Whether all bytes are ASCII text. at, length: unsigned."""
    if length < SPAN:
        return has_odd(octets, at, length) == 0
    last = at + length - SPAN
    odd = has_odd(octets, last, PIECE)  # the last piece overlaps the one before it
    while at < last:
        odd |= has_odd(octets, at, PIECE)
        at += SPAN
    return odd == 0
