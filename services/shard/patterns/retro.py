"""New patterns in what is retained already: stream by stream, the newest first, in small steps.

A stream is looked through from its first retained byte to its last, and what was found meanwhile
as content came is found again there: so each match is once in the end, whoever found it first.
While a long stream is halfway, new content is left to this alone.

Streams for which a pattern took too long while packets waited are put off, and those that came
while it rested wait for it. They are looked through in the same way when there is nothing else to
do, and when the input has ended, before the shard says so: a pattern that is worth its time then
has all it needs, the others a little, and what is left out is counted and said.
"""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from services.shard.kernels import sought as p
from services.shard.kernels import state as s
from services.shard.kernels.matches import begin_again
from services.shard.kernels.retained import gather_streams
from services.shard.patterns.budget import Last, Payer, Spare
from services.shard.patterns.passes import Pass, fill_wanted, one_pass
from services.shard.patterns.resting import Heads
from services.shard.tables import Tables
from shared.columns import CLOSE_SENT, LIVE, SERVICES

if TYPE_CHECKING:
    from services.shard.patterns.engine import PatternEngine

STEP_BYTES = 1 << 19
JOBS = 64  # that wait; of more rescans are left out and counted
PUT_OFF = 1 << 16  # streams, for all patterns; more stay left out
PUT_OFF_A_JOB = 8
LOG = logging.getLogger("shard.patterns")


@dataclass
class Job:
    """Some patterns, and the streams to look through."""

    one: Pass
    rows: NDArray[np.uint32]
    ids: NDArray[np.uint64]
    total: int  # bytes, about
    wanted: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(2 * len(SERVICES), np.uint8))
    asked: tuple[int, int] = (0, 0)  # heads of the content log's rings at that time
    late: bool = False  # they were put off
    rested: bool = False  # or came while the patterns rested
    begun: int = 0  # streams
    scanned: int = 0


class Retro:
    """The jobs of one engine."""

    def __init__(self, engine: "PatternEngine") -> None:
        self.engine = engine
        self.jobs: deque[Job] = deque()
        self.done: dict[int, int] = {}  # by slot: bytes that were looked through
        self.left_out = 0
        self._said: dict[int, tuple[int, int]] = {}  # by slot: streams, bytes left out
        self._put_off: dict[int, dict[int, int]] = {}  # by slot: ids of streams by row

    def begin(self, slots: Sequence[int]) -> None:
        """Look for new patterns in all streams that have content."""
        if slots:
            self.done.update(dict.fromkeys(slots, 0))
            rows = newest_first(self.engine.tables)
            self._add(slots, rows, self.engine.tables.used_content())

    def rescan(self, rows: NDArray[np.uint32]) -> None:
        """The service of these streams is known only now: patterns that are for some only."""
        compiled = self.engine.compiled
        slots = [slot for slot, one in compiled.items() if one.services or one.direction]
        if len(self.jobs) >= JOBS:
            self.left_out += rows.size
        elif slots:
            dirs = self.engine.tables.dirs["offset"]
            self._add(slots, rows, int(dirs[2 * rows].sum() + dirs[2 * rows + 1].sum()))

    def put_off(self, slot: int, row: int) -> None:
        """A pattern cannot be looked for in a stream now."""
        waiting = self._put_off.setdefault(slot, {})
        stream_id = int(self.engine.tables.flows[row]["stream_id"])
        if waiting.get(row) != stream_id:
            self.engine.fares[slot].skipped += 1
            if sum(map(len, self._put_off.values())) < PUT_OFF:
                waiting[row] = stream_id

    def catch_up(self, slots: Sequence[int], since: Heads) -> None:
        """Look for patterns that rested in all that may have come meanwhile. Where content makes
        room for newer, first in what goes next."""
        tables, fares = self.engine.tables, self.engine.fares
        rows = newest_first(tables)
        if any(self.engine.tails):
            rows = np.ascontiguousarray(rows[::-1])
        live = 0 if tables.retains else int(np.count_nonzero(tables.flows["marks"] & LIVE))
        for slot in slots:
            fares[slot].skipped = 0
            fares[slot].lost += live  # of which nothing is retained
        if self._add(slots, rows, tables.used_content() if rows.size else 0, late=True):
            self.jobs[-1].asked, self.jobs[-1].rested = since, True

    def asked(self, slot: int, heads: Heads) -> Heads:
        """Since when a pattern may miss content, if it stops being looked for now."""
        waiting = [job.asked for job in self.jobs if slot in job.one.slots]
        return min(waiting, default=heads)

    def _take_up(self) -> bool:
        """Begin with some of what was put off, if there is time for it; whether there is a job."""
        if due := self.engine.resting.due():
            self.engine.wake(due)
        elif self._put_off and self._can_pay():
            slot = next(iter(self._put_off))
            self._take_some(slot, PUT_OFF_A_JOB)
        return bool(self.jobs)

    def _can_pay(self) -> bool:
        return self.engine.later.limit(-1, 0) > 0

    def _take_some(self, slot: int, most: int) -> None:
        """A job of streams that were put off; other patterns have their turn after it."""
        waiting = self._put_off.pop(slot)
        some = dict(islice(waiting.items(), most))
        for row in some:
            del waiting[row]
        if waiting:
            self._put_off[slot] = waiting
        rows = np.array(list(some), np.uint32)
        there = self.engine.tables.flows["stream_id"][rows] == np.array(
            list(some.values()), np.uint64
        )
        self.engine.fares[slot].skipped -= int(there.sum())
        self._add([slot], rows[there], 0, late=True)

    def _add(
        self, slots: Sequence[int], rows: NDArray[np.uint32], total: int, late: bool = False
    ) -> bool:
        """Whether there is anything to do."""
        engine = self.engine
        if not rows.size or not slots:
            return False
        patterns = {slot: engine.compiled[slot] for slot in slots}
        ids = np.ascontiguousarray(engine.tables.flows["stream_id"][rows])
        job = Job(one_pass(engine.hyperscan, patterns), rows, ids, total, late=late)
        job.asked = engine.heads
        fill_wanted(job.wanted, patterns)
        self.jobs.append(job)
        return True

    def forget(self, slots: Sequence[int]) -> None:
        """Patterns that are gone; their slots may have others by now."""
        engine = self.engine
        for slot in slots:
            self._put_off.pop(slot, None)
        for job in list(self.jobs) if slots else []:
            left = [int(slot) for slot in job.one.slots if int(slot) not in slots]
            if not left:
                if job is self.jobs[0]:
                    self._stand_still()
                self.jobs.remove(job)
            elif len(left) < job.one.slots.size:
                patterns = {slot: engine.compiled[slot] for slot in left}
                job.one = one_pass(engine.hyperscan, patterns)
                fill_wanted(job.wanted, patterns)

    def _stand_still(self) -> None:
        """No job is halfway."""
        m = self.engine.m
        for i in (p.ASIDE, p.AT_ROW, p.AT_SIDE, p.AT_OFFSET):
            m.state[i] = 0
        m.sought["aside"] = 0

    def work(self, seconds: float, idle: bool = False) -> bool:
        """Go on for about so long; whether something is left to do. idle: nothing else is; what was
        put off goes on then, about once a heartbeat."""
        until = perf_counter() + seconds
        while self.jobs or (idle and self._take_up()):
            job = self.jobs[0]
            if job.rested and not idle:  # packets wait again
                self.engine.rest(job.one.slots.tolist())
                continue
            if job.late and not self._can_pay():
                return False
            self._step(job)
            if perf_counter() >= until:
                break
        return bool(self.jobs)

    def wind_up(self, seconds: float) -> bool:
        """Behind the last packet; whether something is left to do."""
        engine, until = self.engine, perf_counter() + seconds
        if not isinstance(engine.later, Last):
            engine.later = Last(engine.compiled)
            if rested := engine.resting.all():
                engine.wake(rested)
            for slot in list(self._put_off):
                self._take_some(slot, PUT_OFF)
        while self.jobs:
            self._step(self.jobs[0])
            self._drop(engine.later.settle())
            if perf_counter() >= until:
                break
        return bool(self.jobs)

    def _drop(self, slots: Sequence[int]) -> None:
        """These patterns have used up their time: count the streams that are left to them."""
        for slot in slots:
            for job in self.jobs:
                if slot in job.one.slots:
                    self.engine.fares[slot].skipped += job.rows.size - job.begun
        self.forget(slots)

    def give_up(self) -> None:
        """There is no more time: what is not done is left out, counted, and said."""
        engine = self.engine
        if rested := engine.resting.all():
            engine.wake(rested)
        self._drop(list(engine.compiled))
        engine.later = Spare()
        for slot, fare in engine.fares.items():
            left_out = fare.skipped + fare.timeouts + fare.lost, fare.unseen_bytes
            if left_out != self._said.get(slot, (0, 0)):
                self._said[slot] = left_out
                streams, unseen = left_out
                LOG.warning(
                    "pattern %r takes too long: it was not looked for in all of %s streams%s;"
                    " give a simpler expression",
                    engine.compiled[slot].pattern.name, streams,
                    f", nor in about {unseen} bytes that had made room" if unseen else "",
                )  # fmt: skip

    def _step(self, job: Job) -> None:
        engine, m = self.engine, self.engine.m
        limit = max(STEP_BYTES, 4 * job.one.back + 4096)
        columns = engine.tables.columns
        m.sought["aside"][job.one.slots] = 1
        m.state[[p.ASKED_0, p.ASKED_1, p.LOST]] = *job.asked, 0
        over = gather_streams(
            columns, m._replace(wanted=job.wanted), job.rows, job.ids, limit, job.one.back
        )
        at = int(m.state[p.AT_ROW])
        halfway = bool(m.state[p.AT_SIDE] or m.state[p.AT_OFFSET])
        m.state[p.ASIDE] = int(job.rows[at]) + 1 if halfway else 0
        engine.engage(job.one.slots)
        self._begin_streams(job, at + halfway)
        m.state[p.HOPS] = 0
        engine.look(job.one, True, self._payer_of(job))
        for slot in job.one.slots.tolist():
            engine.fares[slot].lost += int(m.state[p.LOST])
        spans = m.spans[: int(m.state[p.SPANS])]
        job.scanned += int(spans["end"].sum(dtype=np.int64) - spans["fresh"].sum(dtype=np.int64))
        if over:
            self.jobs.popleft()
            self._stand_still()
            for slot in job.one.slots.tolist():
                self.done[slot] = max(self.done.get(slot, 0), job.scanned)
        engine.rest(engine.now.settle())
        engine.tell_now()

    def _payer_of(self, job: Job) -> Payer:
        """Who pays for it: what is new among patterns is for now, until the input has ended."""
        later = self.engine.later
        return later if job.late or isinstance(later, Last) else self.engine.now

    def _begin_streams(self, job: Job, upto: int) -> None:
        rows, ids = job.rows[job.begun : upto], job.ids[job.begun : upto]
        still = self.engine.tables.flows["stream_id"][rows] == ids
        begin_again(self.engine.m, np.ascontiguousarray(rows[still]))
        job.begun = upto

    def progress(self, slot: int) -> tuple[int, int]:
        """Bytes looked through for a pattern, and bytes that are left, about."""
        for job in self.jobs:
            if slot in job.one.slots:
                return job.scanned, max(1, job.total - job.scanned)
        return self.done.get(slot, 0), 0


def newest_first(tables: Tables) -> NDArray[np.uint32]:
    """Rows of the streams that may have content, the last seen first.

    To a 65,536th of the time they span: sixteen bits are sorted by counting, ten times faster.
    """
    flows = tables.flows[: int(tables.state[s.USED_ROWS])]
    has = ((flows["marks"] & (LIVE | CLOSE_SENT)) != 0) & (
        flows["chain"].max(axis=1, initial=0) > 0
    )
    rows = np.flatnonzero(has).astype(np.uint32)
    if not rows.size:
        return rows
    seen = flows["last_ns"][rows]
    first, last = int(seen.min()), int(seen.max())
    age = ((last - seen) // ((last - first) // 65535 + 1)).astype(np.uint16)
    return rows[np.argsort(age, kind="stable")]
