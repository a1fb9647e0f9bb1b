"""Streams counted one by one.

`timeline` and `facets` are twins of what the coordinator answers; `tally_times`, `tally_kinds` and
`tally_pairs` of the kernels.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Pairs = Iterable[tuple[int, int]]


@dataclass(frozen=True)
class Row:
    """A stream that passes the filter."""

    began_us: int
    bytes: int
    names: tuple[str, str, str, str]  # service, protocol, status, content kind
    patterns: frozenset[int] = frozenset()
    tags: frozenset[str] = frozenset()
    favorite: bool = False


def timeline(
    rows: list[Row], start_us: int, bucket_us: int, count: int
) -> tuple[list[int], list[int], int, dict[int, list[int]]]:
    """Streams and bytes by bucket, streams before the first one, and those with each pattern."""
    streams, octets, earlier = [0] * count, [0] * count, 0
    matches: dict[int, list[int]] = {}
    for row in rows:
        if row.began_us < start_us:
            earlier += 1
            continue
        at = (row.began_us - start_us) // bucket_us
        streams[at] += 1
        octets[at] += row.bytes
        for pattern in row.patterns:
            matches.setdefault(pattern, [0] * count)[at] += 1
    return streams, octets, earlier, matches


def facets(rows: list[Row]) -> tuple[list[dict[str, int]], dict[int, int], dict[str, int]]:
    """How many there are of each service, protocol, status and content kind; of each pattern; of
    each tag."""
    names = [dict(Counter(row.names[i] for row in rows)) for i in range(4)]
    patterns = Counter(pattern for row in rows for pattern in row.patterns)
    tags = Counter(tag for row in rows for tag in row.tags)
    return names, dict(patterns), dict(tags)


def tally_times(
    codes: list[int], octets: list[tuple[int, int]], size: int
) -> tuple[list[int], list[int]]:
    streams, sums = [0] * size, [0] * size
    for code, both in zip(codes, octets, strict=True):
        streams[code] += 1
        sums[code] += sum(both)
    return streams, sums


def tally_kinds(
    codes: list[int], width: int, kinds: list[tuple[int, int, int, int]]
) -> list[Counter[tuple[int, ...]]]:
    """By protocol, status, content kind, and by service and code; kinds: as these, of each one."""
    told = zip(codes, kinds, strict=True)
    inside = [(code, *kind) for code, kind in told if code < width]
    singles: list[Counter[tuple[int, ...]]] = [
        Counter((one[i],) for one in inside) for i in (1, 2, 3)
    ]
    return [*singles, Counter((service, code) for code, _, _, _, service in inside)]


def tally_pairs(pairs: Pairs, codes: Mapping[int, int], width: int) -> Counter[tuple[int, int]]:
    """pairs: (slot, pattern). By pattern and code."""
    return Counter((pattern, codes[slot]) for slot, pattern in pairs if codes[slot] < width)
