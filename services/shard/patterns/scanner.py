"""Where in a buffer patterns may match: hyperscan where it runs, else `regex`, with equal results.

A hit is a pattern's slot and where in the buffer it ends; from HEAD on, where a pattern has begun.
Hits of a pattern with a width are all its matches, overlapping ones too; hits of others say where
to look. A callback from hyperscan costs 0.3 µs, so a scan is given up when there are many more hits
than spans, and goes on span by span, where each pattern is told once. What is scanned ends with two
newlines: hyperscan 0.9.1 (Vectorscan) does not see some `$` before a newline that is the last byte.
"""

import importlib
import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from services.shard.kernels.sought import SLOTS
from services.shard.patterns.compiled import Compiled

HEAD = SLOTS
HITS_A_SPAN, HITS_BESIDES = 4, 4096
LOG = logging.getLogger("shard.patterns")
Slots = NDArray[np.uint32]
Hits = tuple[Slots, Slots]  # slots, ends
NONE: Hits = (np.empty(0, np.uint32), np.empty(0, np.uint32))


class Scanner(Protocol):
    """For some patterns. unaided: slots that no scan finds; every span is a candidate for them.
    loose: slots whose hits may lie anywhere before or behind what will be found. headed: slots
    whose beginnings are told as well. floods: scans given up mostly because of beginnings."""

    unaided: list[int]
    headed: list[int]
    loose: list[int]
    floods: int

    def scan(self, buffer: memoryview, spans: int) -> tuple[Hits, int]:
        """Hits in the order of their ends, and how much of the buffer was scanned."""

    def scan_span(self, octets: bytes) -> list[int]:
        """Slots of the patterns that may match in one span."""


def load_hyperscan() -> Any:
    """The module, when it is installed and runs on this processor; else None, and said so."""
    try:
        module = importlib.import_module("hyperscan")
        trial = module.Database(mode=module.HS_MODE_BLOCK)
        trial.compile(expressions=[b"x"], ids=[0], elements=1, flags=[0])
        trial.scan(b"x", match_event_handler=lambda *_: None)
    except Exception as error:  # whatever a foreign library says when it cannot run here
        LOG.warning("patterns are looked for without hyperscan, which is slower: %s", error)
        return None
    return module


class HyperscanScanner:
    """One database; what hyperscan refuses even as a prefilter is unaided."""

    def __init__(self, hyperscan: Any, patterns: dict[int, Compiled], heads: bool) -> None:
        self.hyperscan, self.heads, self.floods = hyperscan, heads, 0
        self.unaided: list[int] = []
        self.headed: list[int] = []
        self.loose: list[int] = []
        self._expressions: list[tuple[int, bytes, int]] = []
        for slot, compiled in patterns.items():
            self._choose(slot, compiled)
        self._all = database(hyperscan, self._expressions)
        self._once: Any = None

    def _choose(self, slot: int, compiled: Compiled) -> None:
        """The flags with which hyperscan takes a pattern."""
        hs = self.hyperscan
        flags = hs.HS_FLAG_MULTILINE | (hs.HS_FLAG_CASELESS if compiled.caseless else 0)
        for more in (0,) if compiled.width else (0, hs.HS_FLAG_PREFILTER):
            if compiled.wider and takes(hs, compiled.wider, flags | more):
                self._expressions.append((slot, compiled.wider, flags | more))
                if more:
                    self.loose.append(slot)
                if self.heads and compiled.head and takes(hs, compiled.head, flags):
                    self.headed.append(slot)
                    self._expressions.append((HEAD + slot, compiled.head, flags))
                return
        self.unaided.append(slot)

    def scan(self, buffer: memoryview, spans: int) -> tuple[Hits, int]:
        if self._all is None:
            return NONE, len(buffer)
        slots: list[int] = []
        ends: list[int] = []
        most = HITS_A_SPAN * spans + HITS_BESIDES
        add_slot, add_end = slots.append, ends.append

        def on_hit(slot: int, _start: int, end: int, _flags: int, _context: object) -> bool | None:
            add_slot(slot)
            add_end(end)
            return True if len(ends) >= most else None

        scanned = len(buffer)
        try:
            self._all.scan(buffer, match_event_handler=on_hit)
        except self.hyperscan.ScanTerminated:
            scanned = ends[-1]
            self.floods += 2 * sum(slot >= HEAD for slot in slots) > len(slots)
        if not slots:
            return NONE, scanned
        return (np.array(slots, np.uint32), np.array(ends, np.uint32)), scanned

    def scan_span(self, octets: bytes) -> list[int]:
        if self._once is None:
            single = self.hyperscan.HS_FLAG_SINGLEMATCH
            self._once = database(
                self.hyperscan,
                [(slot, words, flags | single) for slot, words, flags in self._expressions],
            )
        found: list[int] = []
        self._once.scan(octets, match_event_handler=lambda slot, *_: found.append(slot))
        return found


def database(hyperscan: Any, expressions: Sequence[tuple[int, bytes, int]]) -> Any:
    """Of slots, expressions and their flags; None without any."""
    if not expressions:
        return None
    slots, words, flags = zip(*expressions, strict=True)
    made = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    made.compile(expressions=list(words), ids=list(slots), elements=len(slots), flags=list(flags))
    return made


@lru_cache(maxsize=1 << 14)
def takes(hyperscan: Any, expression: bytes, flags: int) -> bool:
    """Whether hyperscan compiles it; asked each time that the patterns looked for are others."""
    try:
        database(hyperscan, [(0, expression, flags)])
    except hyperscan.error:
        return False
    return True


class RegexScanner:
    """Patterns with a width are looked for in the whole buffer, the others in every span."""

    def __init__(self, patterns: dict[int, Compiled]) -> None:
        self.unaided = [slot for slot, compiled in patterns.items() if not compiled.width]
        self.loose: list[int] = []
        self.headed: list[int] = []
        self.floods = 0
        self._exact = {slot: compiled for slot, compiled in patterns.items() if compiled.width}

    def scan(self, buffer: memoryview, spans: int) -> tuple[Hits, int]:
        found: list[tuple[int, int]] = []
        most = HITS_A_SPAN * spans + HITS_BESIDES
        scanned = len(buffer)
        for slot, compiled in self._exact.items():
            hits = compiled.regex.finditer(buffer, endpos=scanned, overlapped=True)
            found += [(hit.end(), slot) for hit, _ in zip(hits, range(most), strict=False)]
            if len(found) >= most:
                found.sort()
                del found[most:]
                scanned = found[-1][0]
        found.sort()
        if not found:
            return NONE, scanned
        ends, slots = zip(*found, strict=True)
        return (np.array(slots, np.uint32), np.array(ends, np.uint32)), scanned

    def scan_span(self, octets: bytes) -> list[int]:
        return [slot for slot, compiled in self._exact.items() if compiled.regex.search(octets)]


def scanner_for(hyperscan: Any, patterns: dict[int, Compiled], heads: bool) -> Scanner:
    """The fastest there is. heads: the beginnings of patterns are to be told."""
    return HyperscanScanner(hyperscan, patterns, heads) if hyperscan else RegexScanner(patterns)
