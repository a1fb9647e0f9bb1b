"""The pattern engine of a shard: what is looked for, batch by batch, and what is told of it.

For every batch spans are gathered and scanned once, and hits are placed as matches or confirmed by
`regex`. Matches of a pattern in a run of contiguous bytes are those of `regex.finditer` over the
run, empty ones left out, however the run came. A match that more data could change is provisional
until the data is there, the run is over, or the stream.

What is found while a batch is looked at waits until its streams are told: who reads of a match has
read of its stream. There is no more of it than matches that are kept.
"""

import logging
from collections.abc import Callable, Sequence
from time import thread_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.shard.kernels import sought as p
from services.shard.kernels import state as s
from services.shard.kernels.matches import (
    collect_pairs,
    drop_retired,
    forget_streams,
    let_rest,
    list_matches,
    pairs_again,
    pending_candidates,
    place_hits,
    replace_matches,
    settle_streams,
)
from services.shard.kernels.spans import NEWLINE, gather_groups
from services.shard.patterns.budget import Leisure, Live, Payer, Spare
from services.shard.patterns.compiled import Compiled, compile_pattern
from services.shard.patterns.confirm import Confirmer, Fare
from services.shard.patterns.memory import HOPS_A_BATCH, pattern_columns
from services.shard.patterns.passes import Pass, fill_wanted, one_pass
from services.shard.patterns.resting import Heads, Resting
from services.shard.patterns.retro import Retro
from services.shard.patterns.scanner import HEAD, NONE, Hits, load_hyperscan
from services.shard.tables import Tables
from shared.batch import EventBatch
from shared.columns import MATCH, SOUGHT_CONFIRM, SOUGHT_EXACT, SOUGHT_NOT
from shared.schema import Pattern
from shared.settings import Settings

LOG = logging.getLogger("shard.patterns")
LOOSE = 1 << 31  # bytes: a hit of a prefilter may end anywhere
AGAIN_AT_ONCE = 65536
MOST_FLOODS = 4
SUSPECTS = -1  # who pays for what all of them together cost
Tell = Callable[[EventBatch], None]


class PatternEngine:
    """tell: takes matches when there are more than fit."""

    def __init__(self, tables: Tables, shards: int, tell: Tell) -> None:
        settings: Settings = tables.settings
        self.tables, self._tell = tables, tell
        self._hyperscan: Any = ""  # not asked for yet
        self.window = settings.pattern_regex_window_bytes
        self.disabled = settings.disable_stream_view
        kept = max(1, settings.max_pattern_matches_total // shards)
        self.m = pattern_columns(tables, kept, settings.max_pattern_matches_per_stream)
        self.compiled: dict[int, Compiled] = {}  # by slot
        self.fares: dict[int, Fare] = {}
        self.leisure = Leisure()
        self.now = Live(self.leisure.is_loaded)
        self.later: Payer = Spare()
        self.resting = Resting()
        self._waiting: list[EventBatch] = []
        self.trouble: dict[int, str] = {}  # by id, of those that cannot be looked for
        self.live: list[Pass] = []  # the last one is of `suspects`, where there are some
        self.suspects: list[int] = []
        self._near = self._back = 0  # bytes before what is new
        self.retro = Retro(self)
        self.buffer = self.m.buffer.data
        self._confirmer = Confirmer(self.m, settings.max_pattern_matches_per_stream)
        self._payer: Payer = self.now

    @property
    def active(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.compiled)

    @property
    def hyperscan(self) -> Any:
        """The module or None; loaded when the first pattern comes."""
        if self._hyperscan == "":
            self._hyperscan = load_hyperscan()
        return self._hyperscan

    def use(self, hyperscan: Any) -> None:
        """Another module, or None to do without; before there are patterns."""
        assert not self.compiled
        self._hyperscan = hyperscan

    # --------------------------------------------------------------------------- patterns
    def set_patterns(self, patterns: Sequence[Pattern]) -> None:
        """These and no others are looked for; what is new among them in all that is retained."""
        wanted = {
            pattern.id: pattern for pattern in patterns if pattern.enabled and not self.disabled
        }
        gone = [
            slot
            for slot, compiled in self.compiled.items()
            if not same(compiled.pattern, wanted.get(compiled.pattern.id))
        ]
        self._retire(gone)
        self.trouble = {}
        if not self.compiled:
            self.m.tails["upto"][: int(self.tables.state[s.USED_ROWS]) * 2] = 0
        known = {compiled.pattern.id for compiled in self.compiled.values()}
        new = [self._add(pattern) for id, pattern in wanted.items() if id not in known]
        self._prepare(heads=True)
        by_service = any(one.services or one.direction for one in self.compiled.values())
        if by_service and not self.m.config[p.BY_SERVICE]:
            self.m.seen_as[:] = 0
        self.m.config[p.BY_SERVICE] = by_service
        self.retro.forget(gone)
        self.retro.begin([slot for slot in new if slot >= 0])

    def _add(self, pattern: Pattern) -> int:
        """Compile a pattern into a free slot; its number, -1 when it cannot be looked for."""
        try:
            if len(self.compiled) == p.SLOTS:
                raise ValueError(f"a shard looks for {p.SLOTS} patterns at a time")
            compiled = compile_pattern(pattern, self.window)
        except ValueError as error:
            self.trouble[pattern.id] = str(error)
            LOG.warning("pattern %s is not looked for: %s", pattern.id, error)
            return -1
        slot = next(i for i in range(p.SLOTS) if i not in self.compiled)
        self.compiled[slot], self.fares[slot] = compiled, Fare()
        row = self.m.sought[slot]
        row["id"], row["width"], row["after"] = pattern.id, compiled.width, compiled.after
        row["services"], row["direction"] = compiled.services, compiled.direction
        row["kind"], row["matches"], row["over_limit"], row["aside"] = compiled.kind, 0, 0, 0
        row["reach"], row["at_end"] = compiled.reach, compiled.at_end
        row["how"] = SOUGHT_EXACT if compiled.width else SOUGHT_CONFIRM
        return slot

    def _prepare(self, heads: bool) -> None:
        """The passes of live content. What is known of directions' ends is of other patterns; any
        of these may have begun there."""
        m, sides = self.m, int(self.tables.state[s.USED_ROWS]) * 2
        m.edges[:sides] = 0
        awake = {slot: one for slot, one in self.compiled.items() if slot not in self.resting}
        suspects = {slot: one for slot, one in awake.items() if one.suspect}
        plain = {slot: one for slot, one in awake.items() if not one.suspect}
        self.suspects = list(suspects)
        self.now.suspects = frozenset(suspects)
        self.live = [one_pass(self.hyperscan, some, heads) for some in (plain, suspects) if some]
        m.config[p.USED_SLOTS] = 1 + max(self.compiled, default=-1)
        fill_wanted(m.wanted, awake)
        m.alphabet[:] = 0
        for one in self.live:
            m.sought["after"][one.scanner.loose] = LOOSE
            m.sought["at_end"][one.scanner.loose] = 0
            m.alphabet[:] |= one.alphabet
        m.config[p.BEFORE] = max((one.before for one in self.live), default=0)
        m.config[p.AFTER] = max((one.after for one in self.live), default=0)
        m.config[p.EDGES] = not m.alphabet.all()
        self._near = max((one.near for one in self.live), default=0)
        self._back = max((one.back for one in self.live), default=0)
        begun = self.tables.dirs["offset"][:sides] + np.uint64(self._back)
        m.tails["armed"][:sides] = np.maximum(m.tails["armed"][:sides], begun)

    def _retire(self, slots: Sequence[int]) -> None:
        """Patterns that are not looked for any more: their matches go, and that is told."""
        if not slots:
            return
        for slot in slots:
            self.m.sought[slot]["how"] = SOUGHT_NOT
            del self.compiled[slot], self.fares[slot]
            self.resting.forget(slot)
        at = 0
        while at < int(self.m.state[p.USED_CURSORS]):
            at = drop_retired(self.tables.columns, self.m, at)
            self.tell_now()

    # ------------------------------------------------------------------------------- rest
    @property
    def heads(self) -> Heads:
        """Of the content log's rings."""
        return int(self.tables.state[s.HEAD_0]), int(self.tables.state[s.HEAD_1])

    @property
    def tails(self) -> Heads:
        """Of them, up to where content has made room."""
        return int(self.tables.state[s.TAIL_0]), int(self.tables.state[s.TAIL_1])

    def rest(self, slots: Sequence[int]) -> None:
        """These patterns are not looked for until there is time."""
        slots = sorted(set(slots))
        if not slots:
            return
        self.engage(slots)
        let_rest(self.m)
        for slot in slots:
            self.resting.lay(slot, self.retro.asked(slot, self.heads))
        self.retro.forget(slots)
        self._prepare(heads=True)

    def wake(self, slots: Sequence[int]) -> None:
        """Look for them again, and in all that they may have missed."""
        if not self.live:
            self.m.tails["upto"][: int(self.tables.state[s.USED_ROWS]) * 2] = 0
        for slot in slots:
            self.fares[slot].unseen_bytes += self.resting.gone(slot, self.tails)
        since = self.resting.end(slots, self.tails)
        self._prepare(heads=True)
        self.retro.catch_up(slots, since)

    # ------------------------------------------------------------------------------- live
    def scan(self, payload: NDArray[np.uint8]) -> None:
        """Look at the groups of a batch, whose bytes have been stored."""
        columns, m = self.tables.columns, self.m
        groups = int(self.tables.state[s.GROUPS])
        m.state[p.HOPS] = HOPS_A_BATCH
        at = 0
        while at < groups and self.live:
            began = thread_time()
            at = gather_groups(columns, m, payload, at, self._near, self._back)
            gathering_s = thread_time() - began
            for one in self.live:
                self.engage(one.slots)
                scanning_s = self.look(one, False, self.now)
            if self.suspects:
                far = len(self.live) == 1 or self.live[0].near < self._near
                self.now.pay(SUSPECTS, scanning_s + gathering_s * far)
            tired = set(self.now.settle())
            self.rest([*(tired - {SUSPECTS}), *(self.suspects if SUSPECTS in tired else ())])
        if any(one.scanner.floods > MOST_FLOODS for one in self.live):
            self._prepare(heads=False)  # they are everywhere in this traffic
        if m.state[p.RESCANS]:
            rows = m.rescan[: int(m.state[p.RESCANS])].copy()
            m.state[p.RESCANS] = 0
            self.retro.rescan(np.unique(rows))

    def engage(self, slots: Sequence[int] | NDArray[np.intp]) -> None:
        """The next look is for these patterns."""
        self.m.sought["engaged"] = 0
        self.m.sought["engaged"][slots] = 1

    def look(self, one: Pass, again: bool, payer: Payer) -> float:
        """Find what the gathered spans have of a pass. again: streams are looked through anew.
        Returns the seconds of its scan."""
        m, self._payer = self.m, payer
        spans, fill = int(m.state[p.SPANS]), int(m.state[p.FILL])
        if spans == 0:
            return 0.0
        m.state[p.CANDIDATES] = 0
        at = 0 if one.confirms else spans
        while at < spans:
            at = pending_candidates(self.tables.columns, m, at, again)
            if at < spans:
                self._make_room()
        self.buffer[fill] = NEWLINE
        began = thread_time()
        hits, scanned = one.scanner.scan(self.buffer[: fill + 1], spans)
        rest = self._hits_of_spans(one, scanned) if scanned < fill else NONE
        seconds = thread_time() - began
        if hits[0].size > spans:
            self._charge(hits[0], spans, seconds)
        self._place(hits, False, again)
        self._place(rest, True, again)
        ends = m.spans["end"][:spans]
        for slot in one.scanner.unaided:
            self._place((np.full(spans, slot, np.uint32), ends.copy()), True, again)
        self._confirm()
        return seconds

    def _charge(self, slots: NDArray[np.uint32], spans: int, seconds: float) -> None:
        """Patterns pay for hits, beyond one in each span."""
        counts = np.bincount(slots % HEAD)
        paying = np.flatnonzero(counts > spans)
        for slot in paying.tolist():
            self._payer.pay(slot, seconds * (int(counts[slot]) - spans) / slots.size, 0)

    def _hits_of_spans(self, one: Pass, scanned: int) -> Hits:
        """For the spans that the scan did not finish: which patterns may match in each."""
        rows = self.m.spans[: int(self.m.state[p.SPANS])]
        slots: list[int] = []
        ends: list[int] = []
        for i in range(int(np.searchsorted(rows["end"], scanned)), rows.size):
            begin, end = int(rows[i]["begin"]), int(rows[i]["end"])
            found = one.scanner.scan_span(bytes(self.buffer[begin - 1 : end + 1]) + b"\n")
            slots += found
            ends += [end] * len(found)
        return np.array(slots, np.uint32), np.array(ends, np.uint32)

    def _place(self, hits: Hits, alone: bool, again: bool) -> None:
        slots, ends = hits
        at = 0
        while at < slots.size:
            at = place_hits(self.tables.columns, self.m, slots, ends, at, alone, again)
            if at < slots.size:
                self._make_room()

    def _make_room(self) -> None:
        """Of candidates or of what is told, one is full."""
        if int(self.m.state[p.CANDIDATES]) == self.m.candidates.size:
            self._confirm()
        else:
            self._put_by()

    def _confirm(self) -> None:
        m = self.m
        if not m.state[p.CANDIDATES]:
            return
        found = self._confirmer.confirm(self.compiled, self.fares, self._payer)
        m.state[p.AT_CANDIDATE] = m.state[p.AT_FOUND] = 0
        while not replace_matches(self.tables.columns, m, found):
            self._put_by()
        m.state[p.CANDIDATES] = 0
        for row, slot in self._confirmer.put_off:
            self.retro.put_off(slot, row)
        self._confirmer.put_off.clear()

    # -------------------------------------------------------------------------- telling
    def settle(self) -> None:
        """Streams that are over: their matches are final. Before their events are collected."""
        at = 0
        while at < int(self.tables.state[s.DIRTY]):
            at = settle_streams(self.tables.columns, self.m, at)
            if at < int(self.tables.state[s.DIRTY]):
                self._put_by()

    def collect(self) -> list[EventBatch]:
        """What is to be told, after the streams it is about; good until the next call of anything.
        More than one only where it is more than one holds."""
        while not collect_pairs(self.tables.columns, self.m):
            self._put_by()
        found, self._waiting = self._waiting, []
        last = self._take_told()
        return [*found, last] if last.matches.size or last.pairs.size else found

    def _take_told(self) -> EventBatch:
        m = self.m
        told, octets, pairs = (int(m.state[i]) for i in (p.TOLD, p.TOLD_BYTES, p.PAIRS))
        m.state[p.TOLD] = m.state[p.TOLD_BYTES] = m.state[p.PAIRS] = 0
        return EventBatch(
            matches=m.told[:told], match_ends=m.told_ends[:told],
            match_bytes=m.told_bytes[:octets], pairs=m.pairs[:pairs],
        )  # fmt: skip

    def _put_by(self) -> None:
        """There is no room for more: what is to be told waits elsewhere."""
        full = self._take_told()
        if full.matches.size or full.pairs.size:
            self._waiting.append(
                EventBatch(
                    matches=full.matches.copy(), match_ends=full.match_ends.copy(),
                    match_bytes=full.match_bytes.copy(), pairs=full.pairs.copy(),
                )
            )  # fmt: skip

    def tell_now(self) -> None:
        """Tell all that changed, outside a batch."""
        for one in self.collect():
            self._tell(one)

    def tell_again(self) -> None:
        """Tell how many matches every stream has: a coordinator lost it."""
        at = 0
        while at < int(self.m.state[p.USED_CURSORS]):
            at = pairs_again(self.m, at, AGAIN_AT_ONCE)
            self.tell_now()

    def forget(self, rows: NDArray[np.uint32]) -> None:
        """Streams leave the table."""
        forget_streams(self.m, rows)

    # ------------------------------------------------------------------------ looking on
    def matches_of(self, row: int) -> NDArray[np.void]:
        """MATCH rows of a stream, by direction and offset."""
        room = int(self.m.kept_of[row])
        rows = np.zeros(room, MATCH)
        if room:
            list_matches(self.tables.columns, self.m, row, rows)
        return np.sort(rows, order=["dir", "start", "pattern"])


def same(old: Pattern, new: Pattern | None) -> bool:
    """Whether a pattern finds what it found before; its name and color do not matter."""
    return new is not None and all(
        getattr(old, name) == getattr(new, name)
        for name in ("kind", "value", "direction", "services", "revision")
    )
