"""What `regex` says of candidates: spans in which a scan saw that a pattern may match.

A pattern is searched from where it stands in the stream: behind its last final match, or the first
byte whose match was not decided yet. It sees the bytes before that, so that anchors and
look-behinds mean what they say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import thread_time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.shard.kernels import sought as p
from services.shard.patterns.budget import Purse
from services.shard.patterns.compiled import Compiled
from services.shard.patterns.scanner import TIMEOUT_S
from shared.columns import FOUND

PAD = (0,) * 7  # of a CANDIDATE


@dataclass
class Fare:
    """How a pattern fares."""

    purse: Purse = field(default_factory=Purse)
    timeouts: int = 0
    skipped: int = 0


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

    def confirm(
        self, patterns: Mapping[int, Compiled], fares: Mapping[int, Fare]
    ) -> NDArray[np.void]:
        """Look at the candidates in the order of the spans; fills their rows, returns matches."""
        m = self.m
        rows = m.candidates[: int(m.state[p.CANDIDATES])]
        columns = (rows[name].tolist() for name in ("span", "slot", "resume"))
        answers, carry = Answers(), dict[tuple[int, int, int], int]()
        last = None
        for number, slot, resume in sorted(zip(*columns, strict=True)):
            if (number, slot) == last:
                continue
            last = number, slot
            fare = fares[slot]
            if not fare.purse.can_pay():
                fare.skipped += 1
                continue
            place = self._place(number)
            key = place.flow, place.side, slot
            first, dropped, stopped = len(answers.starts), 0, False
            resume = carry.get(key, resume)
            try:
                resume, dropped = self._search(patterns[slot], fare, place, resume, answers)
            except TimeoutError:
                fare.timeouts += 1
                stopped = True
                answers.cut(first)
            carry[key] = resume
            count = len(answers.starts) - first
            answers.rows.append((resume, dropped, number, slot, first, count, stopped, PAD))
        m.candidates[: len(answers.rows)] = np.array(answers.rows, m.candidates.dtype)
        m.state[p.CANDIDATES] = len(answers.rows)
        return answers.found()

    def _place(self, number: int) -> Place:
        return Place(*self.m.spans[number].item())

    def _search(
        self, compiled: Compiled, fare: Fare, place: Place, resume: int, answers: Answers
    ) -> tuple[int, int]:
        """Add the matches of one span from its undecided bytes on. Returns the end of the last
        final one, and how many final ones were too many."""
        origin, size = place.origin, place.end - place.begin
        upto = origin + size
        first = origin if place.whole else origin + min(compiled.before, place.fresh - place.begin)
        undecided = origin + place.fresh - place.begin - compiled.reach
        at = max(resume, first, undecided if place.fresh > place.begin else first)
        decided = upto if place.ended else upto - compiled.reach
        text = self.text[place.begin : place.end]
        dropped, room = 0, len(answers.starts) + self.most
        began = thread_time()
        try:
            for match in compiled.regex.finditer(text, at - origin, timeout=TIMEOUT_S):
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
        finally:
            fare.purse.pay(thread_time() - began, max(0, upto - at))
        return resume, dropped
