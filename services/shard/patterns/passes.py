"""Patterns that are looked for together: one gathering of bytes, one scan.

Before the new bytes of a direction lie as many of the old as a match may need. For most patterns
that is their length, but for those without a bound it is the whole window, and in a stream of small
turns a scan would see all of it with each. So the beginning of such a pattern is looked for too,
where it is telling, and the far look-back is for directions in which one has begun. Where a byte
came since that no pattern can match, all that matters little: `kernels/spans.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.shard.patterns.compiled import Compiled
from services.shard.patterns.scanner import Scanner, scanner_for
from shared.columns import PATTERN_DIRECTIONS, SERVICES

CLIENT, SERVER = PATTERN_DIRECTIONS.index("client"), PATTERN_DIRECTIONS.index("server")


@dataclass(frozen=True)
class Pass:
    """slots: of its patterns. back: bytes of old data; near: where no headed pattern has begun.
    confirms: some may be provisional. before, after: bytes around a match that one depends on.
    alphabet: (256,) bytes that one may match."""

    slots: NDArray[np.intp]
    scanner: Scanner
    back: int
    near: int
    confirms: bool
    before: int
    after: int
    alphabet: NDArray[np.uint8]


def one_pass(hyperscan: Any, patterns: Mapping[int, Compiled], heads: bool = False) -> Pass:
    """All of these together. heads: look where they begin, to look back far there only."""
    scanner = scanner_for(hyperscan, dict(patterns), heads)
    headed = set(scanner.headed)
    every = patterns.values()
    alphabet = np.zeros(256, np.uint8)
    for one in every:
        alphabet[list(one.alphabet) or slice(None)] = 1
    return Pass(
        np.array(sorted(patterns), np.intp),
        scanner,
        max(one.back for one in every),
        max(one.head_bytes if slot in headed else one.back for slot, one in patterns.items()),
        any(not one.width for one in every),
        max(0 if one.width else one.before for one in every),
        max(one.after for one in every),
        alphabet,
    )


def fill_wanted(wanted: NDArray[np.uint8], patterns: Mapping[int, Compiled]) -> None:
    """Which sides of streams of which services some pattern is for."""
    wanted[:] = 0
    for compiled in patterns.values():
        for service in range(len(SERVICES)):
            if compiled.services and not compiled.services >> service & 1:
                continue
            wanted[2 * service] |= compiled.direction != CLIENT
            wanted[2 * service + 1] |= compiled.direction != SERVER
