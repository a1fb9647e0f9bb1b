"""One shard's work on a batch: track, store, inspect, tell."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.shard.analyze import Analyzers
from services.shard.kernels import state as s
from services.shard.kernels.content import store_groups
from services.shard.kernels.dns import parse_dns
from services.shard.kernels.http1 import parse_http1
from services.shard.kernels.inspect import inspect_groups
from services.shard.kernels.lifetime import (
    close_all,
    collect_events,
    evict,
    free_victims,
    snapshot_rows,
    sweep,
)
from services.shard.kernels.parsing import assign_parsers, collect_messages, end_parsers
from services.shard.kernels.tls import parse_tls
from services.shard.kernels.track import empty_groups, track
from services.shard.kernels.websocket import parse_websocket
from services.shard.patterns.engine import PatternEngine
from services.shard.search import Searches
from services.shard.tables import BATCHES_TOLD_AT_ONCE, Tables
from shared.batch import EventBatch
from shared.columns import EVENT_CLOSE
from shared.schema import Pattern

SWEEP_ROWS = 4096  # rows of the table looked at for each batch
NO_BYTES = np.empty(0, np.uint8)
OF_MATCHES = ("matches", "match_ends", "match_bytes", "pairs")

Tell = Callable[[EventBatch], None]


class Worker:
    """tell: takes what changed."""

    def __init__(self, tables: Tables, shard: int, tell: Tell) -> None:
        self.tables, self.shard, self._tell = tables, shard, tell
        self.now_ns = 0
        self.untold = 0  # batches of which not all was told that changed
        self._text_told = 0
        steps = (assign_parsers, parse_http1, parse_websocket, parse_dns, parse_tls)
        self._inspect = partial(inspect_groups, tables.columns)
        self._parse = [partial(step, tables.columns) for step in steps]
        self._sweep = partial(sweep, tables.columns)
        self._end_parsers = partial(end_parsers, tables.columns)
        self._events = partial(collect_events, tables.columns)
        self._messages = partial(collect_messages, tables.columns)
        self.analyzers = Analyzers(tables)
        self.patterns = PatternEngine(tables, tables.shards, tell)
        self.searches = Searches(self.patterns)

    def take(self, packets: NDArray[np.void], payload: NDArray[np.uint8], now_ns: int) -> None:
        """A batch of PACKET rows and the bytes they point into; what changed is told."""
        self.take_untold(packets, payload, now_ns)
        self.tick(now_ns)

    def take_untold(
        self, packets: NDArray[np.void], payload: NDArray[np.uint8], now_ns: int
    ) -> None:
        """The same, but what changed is told by the next `tick`, unless there is no room for it."""
        t = self.tables
        self.now_ns = now_ns
        self.patterns.leisure.begin()
        t.expect(payload.size, packets.size)
        at = 0
        while at < packets.size:
            at = track(t.columns, packets, at, payload)
            self._store(payload)
            if at < packets.size:
                self._tell_events()
                if not self._has_free_row():
                    self._make_room()
        self.untold += 1
        self.patterns.leisure.end()

    @property
    def has_room(self) -> bool:
        """Whether what one more batch changes fits beside what was not told yet."""
        t, state = self.tables, self.tables.state
        return (
            self.untold < BATCHES_TOLD_AT_ONCE
            and int(state[s.FINISHED]) < min(t.finished.size, t.messages.size) // 2
            and int(state[s.TEXT_HEAD]) - self._text_told < t.text.size // 2
        )

    def tick(self, now_ns: int) -> None:
        """Time has passed: look for idle streams, and tell what changed."""
        self.now_ns = now_ns
        self._sweep(SWEEP_ROWS * max(1, self.untold), now_ns)
        self._store(NO_BYTES)
        self._tell_events()

    def tell(self) -> None:
        """What changed and was not told yet."""
        if self.untold:
            self.tick(self.now_ns)

    def set_patterns(self, patterns: Sequence[Pattern]) -> None:
        """These and no others are looked for. That tells of matches: after their streams."""
        self.tell()
        self.patterns.set_patterns(patterns)

    def work(self, seconds: float) -> bool:
        """What can wait, for about so long, between two batches: searches, and new patterns in
        what is retained. Returns whether something is left to do."""
        retro = self.patterns.retro
        if retro.jobs:
            self.tell()
        searching = self.searches.work(seconds / 2 if retro.jobs else seconds)
        return retro.work(seconds / 2, self.patterns.leisure.is_there()) or searching

    def wind_up(self, seconds: float) -> bool:
        """The input has ended: go on with what was put off, for about so long. Whether something is
        left to do."""
        return self.patterns.retro.wind_up(seconds)

    def give_up(self) -> None:
        """There is no more time for what was put off: it is counted."""
        self.patterns.retro.give_up()

    def finish(self, between: Callable[[], None] = lambda: None) -> None:
        """The input has ended: every stream is closed and told. between: called after some ten
        thousand of them, as a million take a fifth of a second."""
        t, row = self.tables, 0
        while row < int(t.state[s.USED_ROWS]):
            row = close_all(t.columns, row, self.now_ns)
            self._store(NO_BYTES)
            self._tell_events()
            between()

    def tell_all_again(self) -> None:
        """Tell every stream of the table as if it had just been opened: a coordinator lost it."""
        t, row = self.tables, 0
        while row < int(t.state[s.USED_ROWS]):
            row = snapshot_rows(t.columns, row)
            self._tell_events()
        self.patterns.tell_again()

    def _store(self, payload: NDArray[np.uint8]) -> None:
        """Keep the groups' bytes, and look at the first ones of each direction."""
        t = self.tables
        count = int(t.state[s.GROUPS])
        if count:
            store_groups(t.columns, payload)
            self._inspect()
            if t.parses:
                for step in self._parse:
                    step()
                self.analyzers.take()
            if self.patterns.active:
                self.patterns.scan(payload)
            empty_groups(t.columns)
        t.counters[s.C_GROUPS] += np.uint64(count)

    def _tell_events(self) -> None:
        """Streams first: who reads of a message or a match has read of its stream. When there are
        more of them than one message holds, the closes come last."""
        t = self.tables
        if t.parses:
            self.analyzers.end()
            self._end_parsers()
        matched = self._collect_matches()
        events = t.events[: self._events(self.shard)]
        previews, octets = (int(fill) for fill in t.preview_fill)
        found = self._collect_messages()
        closes = events[:0]
        more = found and int(t.state[s.TOLD]) < int(t.state[s.FINISHED])
        if more or len(matched) > 1:
            over = events["kind"] == EVENT_CLOSE
            events, closes = events[~over], events[over]
        if events.size or previews or found or matched:
            told = EventBatch(events, t.previews[:previews], t.preview_bytes[:octets])
            columns = {name: getattr(matched[0], name) for name in OF_MATCHES} if matched else {}
            self._tell(told._replace(**found, **columns))
        t.preview_fill[:] = 0
        self.untold, self._text_told = 0, int(t.state[s.TEXT_HEAD])
        for rest in matched[1:]:
            self._tell(rest)
        while found and (found := self._collect_messages()):
            self._tell(EventBatch()._replace(**found))
        if closes.size:
            self._tell(EventBatch(closes))

    def _collect_messages(self) -> dict[str, NDArray[Any]]:
        """The next messages to tell; none when all are told."""
        t = self.tables
        found = self._messages() if t.parses else 0
        if not found:
            return {}
        return {
            "messages": t.told[:found],
            "message_ends": t.told_ends[:found],
            "message_text": t.told_text[: int(t.state[s.TOLD_TEXT])],
        }

    def _collect_matches(self) -> list[EventBatch]:
        if not self.patterns.active:
            return []
        self.patterns.settle()
        return self.patterns.collect()

    def _has_free_row(self) -> bool:
        state = self.tables.state
        return bool(state[s.FREE_ROWS]) or int(state[s.USED_ROWS]) < self.tables.flows.size

    def _make_room(self) -> None:
        """Evict some streams; told before their rows are used again."""
        t = self.tables
        count = evict(t.columns, t.victims.size, self.now_ns)
        self._store(NO_BYTES)
        self._tell_events()
        if self.patterns.active:
            self.patterns.forget(t.victims[:count])
        free_victims(t.columns, count)

    def stats(self) -> dict[str, int]:
        """Totals and gauges, by their metric names."""
        t = self.tables
        totals = dict(zip(s.COUNTERS, t.counters.tolist(), strict=True))
        rows = int(t.state[s.USED_ROWS]) - int(t.state[s.FREE_ROWS])
        return (
            totals
            | self.analyzers.stats()
            | {
                "flow_rows": rows,
                "flow_rows_max": t.flows.size,
                "content_used_bytes": t.used_content() if t.retains else 0,
                "content_budget_bytes": t.budget if t.retains else 0,
                "content_favorite_bytes": int(t.state[s.FAVORITE_0] + t.state[s.FAVORITE_1]),
                "held_segments": int(t.state[s.RESERVED_NODES]),
            }
        )
