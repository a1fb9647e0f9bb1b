"""Ad-hoc search over what is retained: in steps between batches, the newest streams first.

A search is one pattern that keeps nothing: spans of retained content are gathered as for a new
pattern, scanned, and confirmed by `regex`; its hits wait to be polled. It is over when it came
through, has as many hits as were asked for, or nobody polls for a minute.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, perf_counter, thread_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.shard.kernels import sought as p
from services.shard.kernels import state as s
from services.shard.kernels.retained import gather_streams
from services.shard.kernels.spans import NEWLINE
from services.shard.patterns.budget import TIMEOUT_S, Purse
from services.shard.patterns.compiled import Compiled, compile_pattern
from services.shard.patterns.confirm import Place
from services.shard.patterns.engine import PatternEngine
from services.shard.patterns.passes import Pass, fill_wanted, one_pass
from services.shard.patterns.retro import newest_first
from shared.columns import MATCH_BYTES, SERVICES
from shared.schema import Pattern, SearchStart

SEARCHES = 16  # that are remembered
UNPOLLED_S = 60.0
STEP_BYTES = 1 << 19
# Somebody waits for the first hit: so long a new search has a larger part of the time, if there are
# few of them. 268 MB, all that is retained, take 0.19 s of CPU; a batch in between 3 ms of it, and
# where capture and coordinator want the cores as well 6 ms of the time.
NEW_S, NEW_WORK_S, NEW_MOST = 0.5, 0.025, 4
CONTEXT_BYTES = 64  # on either side of a hit
HITS_A_POLL = 500
TIMEOUTS = 8  # spans that took too long; then the search is given up
STREAM_REF = np.dtype([("row", "<u4"), ("stream_id", "<u8")])
Rows = NDArray[np.uint32]


@dataclass
class Search:
    """One search and how far it came."""

    name: str
    compiled: Compiled
    one: Pass
    rows: Rows
    ids: NDArray[np.uint64]
    limit: int
    total: int
    polled: float
    wanted: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(2 * len(SERVICES), np.uint8))
    state: NDArray[np.uint64] = field(
        default_factory=lambda: np.zeros(p.SOUGHT_STATE_LEN, np.uint64)
    )
    purse: Purse = field(default_factory=Purse)
    begun: float = 0.0
    hits: list[dict[str, Any]] = field(default_factory=list)
    streams: set[int] = field(default_factory=set)  # in which there are hits
    resume: tuple[int, int, int] = (-1, 0, 0)  # of a direction that was cut: row, side, offset
    scanned: int = 0
    timeouts: int = 0
    done: bool = False
    cancelled: bool = False
    capped: bool = False
    trouble: str = ""


class Searches:
    """The searches of one shard. clock: seconds, never back."""

    def __init__(self, engine: PatternEngine, clock: Callable[[], float] = monotonic) -> None:
        self.engine, self._clock = engine, clock
        self.tables = engine.tables
        self.searches: dict[str, Search] = {}

    # --------------------------------------------------------------------------- requests
    def start(self, query: SearchStart) -> dict[str, Any]:
        """ValueError says what is wrong with it."""
        if self.engine.disabled:
            raise ValueError("--disable-stream-view leaves search out")
        pattern = Pattern(
            id=1, name=query.search, kind=query.kind, value=query.value, direction=query.direction
        )
        compiled = compile_pattern(pattern, self.engine.window)
        self._make_room(query.search)
        rows, ids = self._streams(query)
        everything = query.everywhere and not query.rows
        search = Search(
            query.search, compiled, one_pass(self.engine.hyperscan, {0: compiled}), rows, ids,
            query.limit, self.tables.used_content() if everything else self._bytes_of(rows),
            self._clock(), done=not rows.size,
        )  # fmt: skip
        fill_wanted(search.wanted, {0: compiled})
        search.state[[p.ASKED_0, p.ASKED_1]] = self.tables.state[[s.HEAD_0, s.HEAD_1]]
        search.begun = search.polled
        self.searches[query.search] = search
        return self.told(search, 0)

    def _make_room(self, name: str) -> None:
        self.searches.pop(name, None)
        if len(self.searches) >= SEARCHES:
            over = next((one.name for one in self.searches.values() if one.done), None)
            if over is None:
                raise ValueError(f"{SEARCHES} searches are under way; cancel one")
            del self.searches[over]

    def _streams(self, query: SearchStart) -> tuple[Rows, NDArray[np.uint64]]:
        """Rows and ids of the streams to look at."""
        if not self.tables.retains:
            return np.empty(0, np.uint32), np.empty(0, np.uint64)
        if query.everywhere and not query.rows:
            rows = newest_first(self.tables)
            return rows, np.ascontiguousarray(self.tables.flows["stream_id"][rows])
        if len(query.rows) % STREAM_REF.itemsize:
            raise ValueError(f"rows: {len(query.rows)} bytes are no list of streams")
        refs = np.frombuffer(query.rows, STREAM_REF)
        refs = refs[refs["row"] < self.tables.flows.size]
        return np.ascontiguousarray(refs["row"]), np.ascontiguousarray(refs["stream_id"])

    def _bytes_of(self, rows: Rows) -> int:
        offsets = self.tables.dirs["offset"]
        at = rows.astype(np.int64)
        return int(offsets[2 * at].sum() + offsets[2 * at + 1].sum())

    def poll(self, name: str, after: int) -> dict[str, Any]:
        """Hits behind the first `after`. KeyError when there is no such search."""
        search = self.searches[name]
        search.polled = self._clock()
        return self.told(search, after)

    def streams(self, name: str) -> bytes:
        """Ids of the streams in which there are hits so far, 8 bytes each; at most as many as hits.
        KeyError when there is no such search."""
        search = self.searches[name]
        search.polled = self._clock()
        return np.fromiter(search.streams, "<u8", len(search.streams)).tobytes()

    def cancel(self, name: str) -> dict[str, Any]:
        """KeyError when there is no such search."""
        search = self.searches[name]
        search.cancelled = search.cancelled or not search.done
        search.done = True
        return self.told(search, len(search.hits))

    def told(self, search: Search, after: int) -> dict[str, Any]:
        hits = search.hits[after : after + HITS_A_POLL]
        return {
            "search": search.name,
            "hits": hits,
            "next": after + len(hits),
            "scanned_bytes": search.scanned,
            "total_bytes": search.scanned if search.done else max(search.total, search.scanned),
            "done": search.done and after + len(hits) >= len(search.hits),
            "cancelled": search.cancelled,
            "capped": search.capped,
            "trouble": troubles(search),
        }

    # ------------------------------------------------------------------------------- work
    def work(self, seconds: float) -> bool:
        """Go on for about so long, all searches by turns; whether something is left to do."""
        began = perf_counter()
        while running := [one for one in self.searches.values() if self._goes_on(one)]:
            paying = [one for one in running if one.purse.can_pay()]
            for search in paying:
                self._step(search)
                # asked after each step: the first hit is told at once
                most = NEW_WORK_S if self._are_new() else seconds
                if not search.done and perf_counter() - began >= most:
                    return True
            if not paying:
                return False  # the next packets or the next heartbeat wake this up
        return False

    def _are_new(self) -> bool:
        """Whether somebody has begun to wait for a first hit just now."""
        running = [one for one in self.searches.values() if not one.done]
        since = self._clock() - NEW_S
        return len(running) <= NEW_MOST and any(
            one.begun > since and not one.hits for one in running
        )

    def _goes_on(self, search: Search) -> bool:
        if not search.done and self._clock() - search.polled > UNPOLLED_S:
            search.done = search.cancelled = True
            search.trouble = "nobody asked for its hits"
        return not search.done

    def _step(self, search: Search) -> None:
        m = self.engine.m._replace(wanted=search.wanted, state=search.state)
        back = search.one.back
        limit = max(STEP_BYTES, 4 * back + 4096)
        over = gather_streams(self.tables.columns, m, search.rows, search.ids, limit, back)
        spans = m.spans[: int(m.state[p.SPANS])]
        search.scanned += int(spans["end"].sum(dtype=np.int64) - spans["fresh"].sum(dtype=np.int64))
        cut = spans.size - 1 if m.state[p.AT_OFFSET] else -1
        for number in self._numbers(search, m, spans):
            place = Place(*spans[number].item())
            try:
                self._confirm(search, m, place, number == cut)
            except TimeoutError:
                search.timeouts += 1
                search.trouble = f"it takes too long: given up in {search.timeouts} places"
            if len(search.hits) >= search.limit:
                search.capped = search.done = True
                return
        search.done = over or search.timeouts >= TIMEOUTS

    def _numbers(self, search: Search, m: p.PatternColumns, spans: NDArray[np.void]) -> list[int]:
        """The spans in which there may be hits."""
        if not spans.size:
            return []
        if search.one.scanner.unaided:
            return list(range(spans.size))
        fill = int(m.state[p.FILL])
        self.engine.buffer[fill] = NEWLINE
        (_, ends), scanned = search.one.scanner.scan(self.engine.buffer[: fill + 1], spans.size)
        found = np.searchsorted(spans["begin"], ends, "left").astype(np.int64) - 1
        rest = np.arange(np.searchsorted(spans["end"], scanned), spans.size)
        numbers = np.unique(np.concatenate([found, rest] if scanned < fill else [found]))
        return [int(number) for number in numbers if number >= 0]

    def _confirm(self, search: Search, m: p.PatternColumns, place: Place, cut: bool) -> None:
        """Add the hits of one span; what more of it could change is left to the next step."""
        origin, size = place.origin, place.end - place.begin
        old = place.fresh - place.begin
        row, side, resume = search.resume
        compiled = search.compiled
        at = origin if place.whole else origin + min(compiled.before, old)
        if old:
            at = max(at, origin + old - compiled.reach)
        if (row, side) == (place.flow, place.side):
            at = max(at, resume)
        decided = origin + size - (compiled.reach if cut else 0)
        text = self.engine.buffer[place.begin : place.end]
        began = thread_time()
        try:
            for match in compiled.regex.finditer(text, at - origin, timeout=TIMEOUT_S):
                start, end = match.span()
                if start == end:
                    continue
                if origin + start > decided or len(search.hits) >= search.limit:
                    break
                search.hits.append(hit := self._hit(m, place, start, end))
                search.streams.add(hit["stream_id"])
                search.resume = place.flow, place.side, origin + end
        finally:
            search.purse.pay(thread_time() - began, size)

    def _hit(self, m: p.PatternColumns, place: Place, start: int, end: int) -> dict[str, Any]:
        """A match at [start, end) of a span, and the bytes around it."""
        pieces = m.pieces[: int(m.state[p.PIECES])]
        piece = int(np.searchsorted(pieces["at"], place.begin + end - 1, "right")) - 1
        low = max(0, start - CONTEXT_BYTES)
        high = min(place.end - place.begin, min(end, start + MATCH_BYTES) + CONTEXT_BYTES)
        return {
            "stream_id": int(self.tables.flows[place.flow]["stream_id"]),
            "row": place.flow,
            "direction": place.side,
            "start": place.origin + start,
            "end": place.origin + end,
            "ts_us": int(pieces[piece]["ts_ns"]) // 1000,
            "context_start": place.origin + low,
            "context": bytes(self.engine.buffer[place.begin + low : place.begin + high]),
        }


def troubles(search: Search) -> str:
    """What a search could not do, in a sentence."""
    lost = int(search.state[p.LOST])
    words = f"{lost} streams lost content before they were looked through" if lost else ""
    return "; ".join(filter(None, (search.trouble, words)))
