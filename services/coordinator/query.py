"""Which streams a filter names, and one page of them.

Each given field of a filter is a condition; all must hold. Conditions are evaluated on blocks of
the columns that fit the cache, so that what they allocate is used again instead of being mapped
anew. Measured on 1 M streams: 0.3-5 ms for any of them; text is in `text.py`. A page continues
at a number, not at a count of rows, so streams that come in between neither repeat nor hide
others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.coordinator.conditions import (
    CONTENT_CODES,
    PROTOCOL_CODES,
    SERVICE_CODES,
    STATUS_CODES,
    U64_MAX,
    BadValueError,
    Condition,
    Mask,
    Part,
    any_of,
    clamped,
    code_of,
    equals,
    has_content,
    has_port,
    has_port_among,
    holds_pattern_of_all,
    is_among,
    is_matched,
    is_one_of_all,
    total_bytes,
    within,
)
from services.coordinator.kernels import inventory as k
from services.coordinator.rules import condition_of
from services.coordinator.team import Team
from services.coordinator.text import TextMatches
from services.coordinator.view import Inventory
from shared.columns import SERVICES
from shared.schema import StreamFilter, StreamsQuery
from shared.team import Profile, tag_of

BLOCK = 65536  # slots
NAMED = np.isin(np.arange(256), [SERVICES.index("dns"), SERVICES.index("mdns")])
SELECTED_MAX = 1_000_000  # rows of one selection
ROW = np.dtype([("row", "<u4"), ("stream_id", "<u8")])  # as `SearchStart.rows` has it


@dataclass(frozen=True)
class Page:
    """slots: of this page, in its order. total: all that match and are shown. hidden: those left
    out because they are hidden. before: those of the total that lie before this page.
    next_cursor: None when nothing follows."""

    slots: NDArray[np.intp]
    total: int
    hidden: int
    before: int
    next_cursor: int | None


@dataclass(frozen=True)
class Selection:
    """rows: ROW columns by shard. total: streams that were asked for. left_out: those beyond
    SELECTED_MAX, the oldest."""

    rows: dict[int, NDArray[np.void]]
    total: int
    left_out: int


class Queries:
    """Answers queries on one inventory, and on what its team says of the streams in it."""

    def __init__(self, inventory: Inventory, team: Team) -> None:
        self.inventory, self.team, self.texts = inventory, team, TextMatches(inventory)

    def page(self, query: StreamsQuery) -> Page:
        """The streams after `query.cursor` in its order, but for the first `query.offset` of them.
        BadValueError names a wrong filter."""
        inventory, (mask, hidden) = self.inventory, self.shown(query.filter)
        total = int(np.count_nonzero(mask))
        newest = query.order == "newest"
        if query.cursor is not None:
            number, cursor = inventory.number[: mask.size], min(query.cursor, U64_MAX)
            mask &= number < cursor if newest else number > cursor
        left = int(np.count_nonzero(mask)) if query.cursor is not None else total
        offset = min(query.offset, left)
        slots = inventory.window(mask, offset, query.limit + 1, newest)
        before, rest, slots = total - left + offset, slots.size > query.limit, slots[: query.limit]
        cursor_after = int(inventory.number[slots[-1]]) if rest else None
        return Page(slots, total, hidden, before, cursor_after)

    def select(self, wanted: StreamFilter) -> Selection:
        """Where the streams of a filter are in their shards, those that no shard has left out."""
        inventory, (mask, _) = self.inventory, self.shown(wanted)
        mask &= inventory.marks[: mask.size] & k.ORPHANED == 0
        slots = inventory.in_order(mask)
        total, slots = slots.size, slots[max(0, slots.size - SELECTED_MAX) :]
        rows = np.zeros(slots.size, ROW)
        rows["row"] = inventory.columns["row"][slots]
        rows["stream_id"] = inventory.columns["stream_id"][slots]
        shards = inventory.columns["shard"][slots]
        found = {int(shard): rows[shards == shard] for shard in np.unique(shards)}
        return Selection(found, total, total - slots.size)

    def shown(self, wanted: StreamFilter) -> tuple[Mask, int]:
        """(used,): True where the filter holds and the stream is to be seen; and how many it left
        out because they are hidden."""
        mask = self.matching(wanted)
        if wanted.include_hidden:
            return mask, 0
        concealed = self.inventory.marks[: mask.size] & k.HIDDEN != 0
        hidden = int(np.count_nonzero(mask & concealed))
        mask &= ~concealed
        return mask, hidden

    def matching(self, wanted: StreamFilter) -> Mask:
        """(used,): True where the filter holds, hidden or not."""
        inventory = self.inventory
        conditions = [*self._named(wanted), *conditions_of(wanted)]
        mask = np.ones(inventory.used, bool)
        for start in range(0, mask.size, BLOCK):
            block = slice(start, min(start + BLOCK, mask.size))
            part = Part(inventory, block)
            for condition in conditions:
                mask[block] &= condition(part)
                if not mask[block].any():
                    break
        if wanted.text:
            self._narrow_by_text(wanted.text, mask)
        return mask

    def _narrow_by_text(self, text: str, mask: Mask) -> None:
        """Clear mask where no preview has the text. In names as DNS sends them there are no dots,
        so of its streams the text is looked for without dots as well."""
        joined, names = text.replace(".", ""), None
        if joined != text and joined:
            names = mask & NAMED[self.inventory.columns["service"][: mask.size]]
        self.texts.narrow(text, mask)
        if names is not None and names.any():
            self.texts.narrow(joined, names)
            mask |= names

    # ---------------------------------------------------------- what the team gave a name
    def _named(self, wanted: StreamFilter) -> Iterator[Condition]:
        """Conditions on patterns, tags and profiles, and on streams that are named one by one."""
        if wanted.pattern_id is not None:
            if wanted.pattern_id not in self.team.patterns.all:
                message = f"pattern_id {wanted.pattern_id} is no pattern"
                raise BadValueError(message, "see GET /api/patterns")
            yield self._with_patterns([wanted.pattern_id])
        if wanted.tag is not None:
            yield self._with_tag(tag_of(wanted.tag))
        if wanted.among is not None:
            if len(wanted.among) % 8:
                raise BadValueError("among: these bytes are no list of ids", "8 bytes each")
            yield is_one_of_all(self.inventory, np.frombuffer(wanted.among, "<u8"))
        if wanted.profile is not None:
            profile = self.team.profiles.all.get(wanted.profile)
            if profile is None or not profile.enabled:
                fault = "is not known" if profile is None else "is disabled"
                known = [each.id for each in self.team.profiles.all.values() if each.enabled]
                raise BadValueError(
                    f"profile {wanted.profile!r} {fault}", "one of " + ", ".join(known)
                )
            yield from self._of_profile(profile)

    def _with_patterns(self, patterns: list[int]) -> Condition:
        known = [number for number in patterns if number in self.team.patterns.all]
        return holds_pattern_of_all(self.inventory, known)

    def _with_tag(self, tag: str) -> Condition:
        return is_one_of_all(self.inventory, self.team.annotations.tagged(tag))

    def _of_profile(self, profile: Profile) -> Iterator[Condition]:
        """What a profile describes, without what its own rules hide."""
        if profile.protocol is not None:
            yield equals("proto", PROTOCOL_CODES[profile.protocol])
        if profile.services:
            yield is_among("service", [SERVICE_CODES[name] for name in profile.services])
        if profile.ports:
            yield has_port_among(profile.ports)
        if profile.content_kind is not None:
            yield has_content(CONTENT_CODES[profile.content_kind])
        if profile.pattern_ids:
            yield self._with_patterns(profile.pattern_ids)
        if profile.only_matched:
            yield is_matched
        if profile.hide_rules:
            hidden = any_of(
                [
                    condition_of(rule, lambda i: self._with_patterns([i]), self._with_tag)
                    for rule in profile.hide_rules
                ]
            )
            yield lambda part: ~hidden(part)


# ------------------------------------------------------------------------------- conditions
def conditions_of(wanted: StreamFilter) -> Iterator[Condition]:
    """One for each field that is given. BadValueError for a value that means nothing."""
    if wanted.only_favorites:
        yield lambda part: part("marks") & k.FAVORITE != 0
    if wanted.only_matched:
        yield is_matched
    names: tuple[tuple[str, str | None, dict[str, int], Callable[[int], Condition]], ...] = (
        ("protocol", wanted.protocol, PROTOCOL_CODES, lambda code: equals("proto", code)),
        ("service", wanted.service, SERVICE_CODES, lambda code: equals("service", code)),
        ("status", wanted.status, STATUS_CODES, lambda code: equals("status", code)),
        ("content_kind", wanted.content_kind, CONTENT_CODES, has_content),
    )
    for field, value, codes, condition in names:
        if value is not None:
            yield condition(code_of(field, value, codes))
    yield from numeric(wanted)
    if wanted.addr is not None:
        yield within(wanted.addr)


def numeric(wanted: StreamFilter) -> Iterator[Condition]:
    """Ports, bytes and times."""
    if (port := wanted.port) is not None:
        yield has_port(port)
    if (least := wanted.min_bytes) is not None:
        yield lambda part: total_bytes(part) >= min(least, U64_MAX)
    if (most := wanted.max_bytes) is not None:
        yield lambda part: total_bytes(part) <= min(most, U64_MAX)
    if wanted.since_us is not None:
        since = clamped(wanted.since_us * 1000)
        yield lambda part: part("last_ns") >= since
    if wanted.until_us is not None:
        until = clamped(wanted.until_us * 1000 + 999)
        yield lambda part: part("first_ns") <= until
