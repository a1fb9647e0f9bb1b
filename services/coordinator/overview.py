"""All streams of a filter at a glance: how many there are by time, and by what they are.

Rules. A stream counts where it began. Times run over everything in the inventory, whatever the
filter, unless the filter itself gives them: so the axis stays while somebody types. Each stream
that passes the filter gets a code, its bucket of time, and kernels count by that.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.coordinator.conditions import Mask, clamped
from services.coordinator.kernels.inventory import FAVORITE, SMALL, WIRE_BYTES
from services.coordinator.kernels.overview import VALUES, tally_kinds, tally_times
from services.coordinator.query import BLOCK, Queries
from shared.columns import CONTENT_KINDS, PROTOCOLS, SERVICES, STATUSES
from shared.schema import StreamFilter

PATTERNS_SHOWN = 32  # of a timeline: those that most of its streams match
TAGS_SHOWN = 256  # of the facets: those that most of their streams have
SPARKS = 16  # points of a service's little curve

MS_US, SECOND_US, DAY_US = 1000, 1_000_000, 86_400_000_000
ROUND = (1, 2, 5)
CLOCK_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
# Widths that people read time in; the last one holds all times there are.
WIDTHS_US = (
    *(n * 10**power * MS_US for power in range(3) for n in ROUND),
    *(n * SECOND_US for n in CLOCK_S),
    *(n * 10**power * DAY_US for power in range(7) for n in ROUND),
)

Codes = NDArray[np.uint16]
Counts = NDArray[np.uint64]


class Scale(NamedTuple):
    """`buckets` of `width_us` from `start_us` on. Codes are their numbers, and two more: `earlier`
    of streams that began before the first, `left_out` of those that are not asked for."""

    start_us: int
    width_us: int
    buckets: int

    @property
    def earlier(self) -> int:
        return self.buckets

    @property
    def left_out(self) -> int:
        return self.buckets + 1


def nice(first_us: int, last_us: int, most: int) -> Scale:
    """At most so many buckets over [first_us, last_us], at round times unless it is one only."""
    for width in WIDTHS_US:
        start = first_us // width * width if most > 1 else first_us
        buckets = (last_us - start) // width + 1
        if buckets <= most:
            break
    return Scale(start, width, buckets)


def even(first_us: int, last_us: int, buckets: int) -> Scale:
    """So many buckets over [first_us, last_us]."""
    return Scale(first_us, (last_us - first_us) // buckets + 1, buckets)


class Overviews:
    """Answers about all streams of one inventory that pass a filter. Measured on 1 M of them with
    a match each: 5 ms a timeline, 7 ms the facets, and what the filter takes."""

    def __init__(self, queries: Queries) -> None:
        self.queries, self.inventory, self.team = queries, queries.inventory, queries.team

    # ------------------------------------------------------------------------ timeline
    def timeline(self, wanted: StreamFilter, most: int) -> dict[str, Any]:
        """As the API's `Timeline`: streams, their bytes and those with a match, by bucket."""
        mask, _ = self.queries.shown(wanted)
        scale = nice(*self._span(wanted), most)
        codes = self._codes(mask, scale)
        streams, octets = np.zeros((2, scale.left_out + 1), np.uint64)
        tally_times(codes, self.inventory.words(WIRE_BYTES), streams, octets)
        return {
            "start_us": scale.start_us,
            "bucket_us": scale.width_us,
            "streams": streams[: scale.buckets].tolist(),
            "bytes": octets[: scale.buckets].tolist(),
            "earlier": int(streams[scale.earlier]),
            "matches": self._matches(codes, scale),
        }

    def _matches(self, codes: Codes, scale: Scale) -> list[dict[str, Any]]:
        """For each pattern, its streams by bucket."""
        chosen = list(self.team.patterns.all)
        if len(chosen) > PATTERNS_SHOWN:
            held = self._held(chosen, codes < scale.buckets)
            most = np.argsort(held, kind="stable")[: -PATTERNS_SHOWN - 1 : -1]
            chosen = sorted(chosen[at] for at in most.tolist())
        rows = self.inventory.matches.tally(chosen, codes, scale.buckets)
        return [
            {"pattern_id": number, "counts": row.tolist()}
            for number, row in zip(chosen, rows, strict=True)
            if row.any()
        ]

    # -------------------------------------------------------------------------- facets
    def facets(self, wanted: StreamFilter) -> dict[str, Any]:
        """As the API's `Facets`: streams by service, protocol, status, content kind, and by the
        patterns and tags that they have."""
        mask, hidden = self.queries.shown(wanted)
        scale = even(*self._span(wanted), SPARKS)
        width = scale.left_out
        codes = self._codes(mask, scale)
        protocols, statuses, contents = np.zeros((3, VALUES), np.uint64)
        sparks = np.zeros((VALUES, width), np.uint64)
        total = tally_kinds(
            codes, width, self.inventory.words(SMALL), protocols, statuses, contents,
            sparks.reshape(-1),
        )  # fmt: skip
        curves = dict(zip(SERVICE_NAMES, sparks[:, :SPARKS].tolist(), strict=False))
        services = counted(SERVICE_NAMES, sparks.sum(axis=1))
        marks = self.inventory.marks[: mask.size]
        return {
            "total": total,
            "hidden": hidden,
            "favorites": int(np.count_nonzero(mask & (marks & FAVORITE != 0))),
            "services": [one | {"spark": curves[one["name"]]} for one in services],
            "protocols": counted(PROTOCOLS.values(), protocols[list(PROTOCOLS)]),
            "statuses": counted(STATUSES, statuses),
            "content_kinds": counted(CONTENT_KINDS, contents),
            "patterns": self._patterns(mask),
            "tags": self._tags(mask),
        }

    def _patterns(self, mask: Mask) -> list[dict[str, int]]:
        """How many of these streams have a match of each pattern."""
        numbers = list(self.team.patterns.all)
        held = self._held(numbers, mask).tolist()
        return [
            {"pattern_id": number, "streams": count}
            for number, count in zip(numbers, held, strict=True)
            if count
        ]

    def _held(self, patterns: list[int], mask: Mask) -> Counts:
        """(patterns,): how many of these streams have a match of each."""
        codes = (~mask).astype(np.uint16)
        held: Counts = self.inventory.matches.tally(patterns, codes, 1)[:, 0]
        return held

    def _tags(self, mask: Mask) -> list[dict[str, Any]]:
        """The tags that most of these streams have."""
        tags = self.team.annotations.tags()
        slots = self.inventory.find_all(tags.stream)
        here = slots >= 0
        here[here] = mask[slots[here]]
        held = np.bincount(tags.name[here], minlength=len(tags.names))
        found = [{"tag": one["name"], "streams": one["count"]} for one in counted(tags.names, held)]
        return found[:TAGS_SHOWN]

    # --------------------------------------------------------------------------- times
    def _span(self, wanted: StreamFilter) -> tuple[int, int]:
        """First and last time, in µs: of the filter, else those at which streams began. No capture
        is older than 1970, so no axis is; then one unsigned division finds a bucket."""
        began = self.inventory.columns["first_ns"][: self.inventory.used]
        first, last = (int(began.min()), int(began.max())) if began.size else (0, 0)
        if wanted.since_us is not None:
            first = clamped(wanted.since_us * 1000)
        if wanted.until_us is not None:
            last = clamped(wanted.until_us * 1000)
        first = max(first, 0)
        return first // 1000, max(first, last) // 1000

    def _codes(self, mask: Mask, scale: Scale) -> Codes:
        """(used,): the code of each stream, mask says which are asked for. 2 ms for 1 M streams;
        4 in µs, which takes two divisions."""
        began = self.inventory.columns["first_ns"][: mask.size].view(np.uint64)
        start, width = np.uint64(scale.start_us * 1000), np.uint64(scale.width_us * 1000)
        earlier = np.uint64(scale.earlier)
        codes = np.full(mask.size, scale.left_out, np.uint16)
        for at in range(0, mask.size, BLOCK):
            block = slice(at, at + BLOCK)
            found = began[block] - start  # huge before the first
            found //= width
            np.copyto(codes[block], np.minimum(found, earlier), "unsafe", where=mask[block])
        return codes


def counted(names: Iterable[str], counts: NDArray[Any]) -> list[dict[str, Any]]:
    """Names that count something, those that count most first. Counts beyond the names are none."""
    found = [
        {"name": name, "count": count}
        for name, count in zip(names, counts.tolist(), strict=False)
        if count
    ]
    return sorted(found, key=lambda one: (-one["count"], one["name"]))


SERVICE_NAMES = [name or "unknown" for name in SERVICES]
