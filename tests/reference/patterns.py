"""What patterns match: the definition that all of the pattern engine is held to.

Kernels: `gather_groups` and `gather_streams` put runs of contiguous bytes where a scan finds them,
`pending_candidates`, `place_hits` and `replace_matches` keep what was found, `settle_streams`
makes it final, `begin_again`, `let_rest`, `forget_streams` and `drop_retired` take it away,
`list_matches`, `collect_pairs` and `pairs_again` tell it. All together come to `matches_of_run` for
every run.
"""

from collections.abc import Iterable

import regex

from services.shard.patterns.compiled import octets_of
from shared.schema import Pattern

Match = tuple[int, int, int, int]  # pattern, direction, start, end


def expression(pattern: Pattern) -> bytes:
    """A pattern as a regular expression over bytes."""
    return pattern.value.encode() if pattern.kind == "regex" else regex.escape(octets_of(pattern))


def matches_of_run(pattern: Pattern, octets: bytes) -> list[tuple[int, int]]:
    """Leftmost, not overlapping, not empty."""
    spans = (found.span() for found in regex.finditer(expression(pattern), octets))
    return [(start, end) for start, end in spans if end > start]


def matches_of_stream(
    patterns: Iterable[Pattern], runs: tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]]
) -> list[Match]:
    """runs: by direction, (logical offset, bytes) of what is contiguous."""
    return sorted(
        (pattern.id, side, at + start, at + end)
        for pattern in patterns
        for side in (0, 1)
        for at, octets in runs[side]
        for start, end in matches_of_run(pattern, octets)
    )
