"""What `regex` says of candidates: spans in which a scan saw that a pattern may match.

A pattern is searched from where it stands in the stream: behind its last final match, or the first
byte whose match was not decided yet. It sees the bytes before that, so that anchors and
look-behinds mean what they say. A pattern that cannot pay for a search is put off: it stops for the
stream, until that is looked through again when there is time (`retro.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter, thread_time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.shard.kernels import sought as p
from services.shard.patterns.budget import TIMEOUT_S, Payer
from services.shard.patterns.compiled import Compiled
from shared.columns import FOUND

DOUBT_S = 0.001
PAD = (0,) * 7  # of a CANDIDATE


@dataclass
class Fare:
    """How a pattern fares."""

    timeouts: int = 0  # streams in which it is given up
    skipped: int = 0  # streams for which there was no time yet
    lost: int = 0  # streams that lost content before they could be looked through
    unseen_bytes: int = 0  # of the content log that went while the pattern rested


class Place(NamedTuple):
    """One span, in Python's own numbers: fields of SPAN."""

    origin: int
    begin: int
    fresh: int
    end: int
    flow: int
    side: int
    whole: int
    ended: int
    later: int
    pad: object


@dataclass
class Answers:
    """What is collected for `replace_matches`: a row for each candidate, and the matches."""

    rows: list[tuple[object, ...]] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    finals: list[bool] = field(default_factory=list)

    def found(self) -> NDArray[np.void]:
        found = np.zeros(len(self.starts), FOUND)
        found["start"], found["end"], found["final"] = self.starts, self.ends, self.finals
        return found

    def cut(self, length: int) -> None:
        del self.starts[length:], self.ends[length:], self.finals[length:]


class Confirmer:
    """most: matches of one candidate that are kept; more are counted."""

    def __init__(self, m: p.PatternColumns, most: int) -> None:
        self.m, self.most = m, most
        self.text = m.buffer.data
        self.put_off: list[tuple[int, int]] = []  # rows and slots, for who has time

    def confirm(
        self, patterns: Mapping[int, Compiled], fares: Mapping[int, Fare], payer: Payer
    ) -> NDArray[np.void]:
        """Look at the candidates in the order of the spans; fills their rows, returns matches."""
        m = self.m
        rows = m.candidates[: int(m.state[p.CANDIDATES])]
        columns = [rows[name].tolist() for name in ("span", "slot", "resume")]
        used = np.unique(rows["span"])
        places = dict(zip(used.tolist(), map(Place._make, m.spans[used].tolist()), strict=True))
        answers, carry = Answers(), dict[tuple[int, int, int], int]()
        stopped = set[tuple[int, int]]()  # rows and slots
        last, began, cpu = None, perf_counter(), thread_time()
        for number, slot, resume in sorted(zip(*columns, strict=True)):
            if (number, slot) == last:
                continue
            last = number, slot
            place = places[number]
            key, which = (place.flow, place.side, slot), (place.flow, slot)
            limit_s = payer.limit(slot, place.end - place.begin)
            if which in stopped or (not limit_s and not payer.defers):
                continue
            first, dropped, resume = len(answers.starts), 0, carry.get(key, resume)
            over = limit_s == 0
            if not over:
                try:
                    resume, dropped = self._search(patterns[slot], limit_s, place, resume, answers)
                except TimeoutError:
                    over = True
                    answers.cut(first)
                now = perf_counter()
                spent, began = now - began, now
                if spent > DOUBT_S:  # perhaps the processor was another's; to ask takes 2 µs
                    before, cpu = cpu, thread_time()
                    spent = min(spent, cpu - before)
                payer.pay(slot, spent, place.end - place.begin)
            if over:
                stopped.add(which)
                if limit_s == TIMEOUT_S:
                    fares[slot].timeouts += 1
                else:
                    self.put_off.append(which)
            carry[key] = resume
            count = len(answers.starts) - first
            answers.rows.append((resume, dropped, number, slot, first, count, over, PAD))
        m.candidates[: len(answers.rows)] = np.array(answers.rows, m.candidates.dtype)
        m.state[p.CANDIDATES] = len(answers.rows)
        return answers.found()

    def _search(
        self,
        compiled: Compiled,
        limit_s: float,
        place: Place,
        resume: int,
        answers: Answers,
    ) -> tuple[int, int]:
        """Add the matches of one span from its undecided bytes on. Returns the end of the last
        final one, and how many final ones were too many.

        `regex` asks the processor's clock for its timeout, which costs 15 µs a call, five times the
        search itself: it gets none where it cannot take long.
        """
        origin, size, old = place.origin, place.end - place.begin, place.fresh - place.begin
        upto = origin + size
        text = self.text[place.begin : place.end]
        first = origin if place.whole else origin + min(compiled.before, old)
        at = max(resume, first, origin + compiled.decided(text, old) if old else first)
        if compiled.at_end:  # and nothing goes across what is no byte of it
            at = max(at, origin + compiled.edge(text, size - 1))
        decided = upto if place.ended else origin + compiled.decided(text, size)
        dropped, room = 0, len(answers.starts) + self.most
        timeout = None if upto - at <= compiled.safe_bytes else limit_s
        for match in compiled.regex.finditer(text, at - origin, timeout=timeout):
            start, end = match.span()
            if start == end:
                continue
            start += origin
            final = start <= decided
            if final:
                resume = end + origin
            if len(answers.starts) < room:
                answers.starts.append(start)
                answers.ends.append(end + origin)
                answers.finals.append(final)
            elif final:
                dropped += 1
        return resume, dropped
