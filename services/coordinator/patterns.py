"""What is looked for in content: the list that shards ask for, and how each pattern fares.

Rules. A pattern's number is never used again while its list is kept. Every change raises the
version, which shards are told with each heartbeat; it begins at the time of the start, so that no
shard takes another list's version for its own. Whatever changes what a pattern finds raises its
own revision too: what was found before counts no more, here and in shards, and content that is
retained is looked at again. A pattern that is disabled finds nothing.
"""

import logging
import re
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from services.coordinator.matches import Matches
from services.coordinator.shards import RefusedError
from services.coordinator.state import StateFile
from shared.errors import UserError
from shared.schema import Pattern, PatternReport
from shared.team import PATTERN_VALUE_MAX, PATTERNS_MAX, NewPattern, PatternChange

PALETTE = (
    "#e6194b", "#3cb44b", "#f58231", "#4363d8", "#911eb4", "#008080", "#9a6324", "#808000",
)  # fmt: skip
KIND, NEXT = "pattern", "next"
FINDS = ("kind", "value", "direction", "services", "enabled")  # what it finds depends on these
STATES = ("active", "scanning", "slow", "failed")  # from good to bad
COUNTED = (
    "matches", "over_limit", "timeouts", "skipped", "scanned_bytes", "todo_bytes", "unseen_bytes",
)  # fmt: skip
FLAGS = (("substring", "pattern"), ("regex", "regex"), ("binary", "binary_pattern"))
NAME_MAX = 64
HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]{2})|[\s:_-]+|(0[xX])")

log = logging.getLogger("coordinator")


def checked(kind: str, value: str) -> str:
    """The value as it is kept. RefusedError says what is wrong with it, and where."""
    try:
        octets = value.encode()
    except UnicodeEncodeError as error:
        raise bad("is not text", error.start, "give characters, not halves of some") from None
    if kind == "regex":
        check_regex(octets)
    return hexadecimal(value) if kind == "binary" else value


def bad(why: str, position: int, hint: str) -> RefusedError:
    return RefusedError("bad_pattern", f"{why}, at position {position}", hint)


def check_regex(octets: bytes) -> None:
    """It can be compiled."""
    import regex  # 3 MB that a run without regular expressions does not need

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of syntax that may come to mean something else
            regex.compile(octets, cache_pattern=False)
    except regex.error as error:
        position = 0 if error.pos is None else error.pos
        near = octets[max(0, position - 8) : position + 8].decode("utf-8", "replace")
        raise bad(
            str(error.msg), position, f"near {near!r}; the syntax is that of `regex`"
        ) from None
    except (RecursionError, OverflowError, MemoryError, ValueError) as error:
        raise bad(f"cannot be compiled: {error}", 0, "give a simpler expression") from None


def hexadecimal(value: str) -> str:
    """Lower-case digits of whole bytes, and nothing else."""
    digits, at = [], 0
    while at < len(value):
        found = HEX.match(value, at)
        if found is None:
            hint = "two digits a byte; spaces, `:`, `_`, `-` and `0x` may stand between bytes"
            raise bad("is not hexadecimal", at, hint)
        digits.append(found.group(1) or "")
        at = found.end()
    if not any(digits):
        raise bad("has no byte", 0, "give at least two hexadecimal digits")
    return "".join(digits).lower()


class Patterns:
    """The list, and what shards report of it."""

    def __init__(self, matches: Matches, state: StateFile) -> None:
        self.matches, self.state = matches, state
        self.version = (
            time.time_ns() // 1000
        )  # no run changes its patterns a million times a second
        self.all: dict[int, Pattern] = {}
        self._reports: dict[int, dict[int, PatternReport]] = {}  # by shard, then pattern
        self._next = int(state.load(NEXT + KIND).get("", {}).get("id", 1))
        for key, body in state.load(KIND).items():
            try:
                pattern = Pattern.model_validate(body)
            except ValidationError:
                log.error("the state file's pattern %s means nothing", key)
                continue
            self.all[pattern.id] = pattern
        self.all = dict(sorted(self.all.items())[:PATTERNS_MAX])
        self._next = max([self._next, *(number + 1 for number in self.all)])
        self.alive = self._alive()

    @property
    def names(self) -> dict[int, str]:
        """Of the patterns there are."""
        return {pattern.id: pattern.name for pattern in self.all.values()}

    def _alive(self) -> NDArray[np.uint32]:
        """Numbers of the patterns whose matches count."""
        return np.array([each.id for each in self.all.values() if each.enabled], np.uint32)

    def add_given(self, kind: str, values: Sequence[str], flag: str) -> None:
        """Patterns from the command line that are not in the list. UserError names the flag."""
        known: set[tuple[str, str]] = {
            (pattern.kind, pattern.value) for pattern in self.all.values()
        }
        for value in values:
            try:
                if (kind, checked(kind, value)) not in known:
                    pattern = self.add(NewPattern(kind=kind, value=value))  # type: ignore[arg-type]
                    known.add((kind, pattern.value))
            except ValidationError:
                raise UserError(
                    f"{flag} {value[:40]!r}: give 1 to {PATTERN_VALUE_MAX} characters"
                ) from None
            except RefusedError as error:
                raise UserError(f"{flag} {value[:80]!r}: {error}; {error.hint}") from None

    # ------------------------------------------------------------------------- the list
    def of(self, number: int) -> Pattern:
        if number not in self.all:
            raise RefusedError("not_found", f"no pattern {number}", "see GET /api/patterns")
        return self.all[number]

    def add(self, wanted: NewPattern) -> Pattern:
        """RefusedError at the bound, and for what cannot be looked for."""
        if len(self.all) >= PATTERNS_MAX:
            raise RefusedError(
                "too_many", f"there are {PATTERNS_MAX} patterns, as many as may be", "delete some"
            )
        fields = wanted.model_dump() | {"value": checked(wanted.kind, wanted.value)}
        number = self._next
        self._next += 1
        self.state.put(NEXT + KIND, "", {"id": self._next})
        return self._keep(self._named(Pattern(id=number, **fields)))

    def _named(self, pattern: Pattern) -> Pattern:
        """With a name and a colour."""
        return pattern.model_copy(
            update={
                "name": pattern.name or pattern.value[:NAME_MAX],
                "color": pattern.color or PALETTE[pattern.id % len(PALETTE)],
            }
        )

    def change(self, number: int, wanted: PatternChange) -> Pattern:
        """Fields that are not given stay. RefusedError as for a new one."""
        before = self.of(number)
        given = wanted.given()
        kind, value = given.get("kind", before.kind), given.get("value", before.value)
        if {"kind", "value"} & given.keys():
            given["value"] = checked(kind, value)
            if not given.get("name") and before.name == before.value[:NAME_MAX]:
                given["name"] = ""
        after = self._named(before.model_copy(update=given))
        if after == before:
            return before
        if any(getattr(after, name) != getattr(before, name) for name in FINDS):
            after = after.model_copy(update={"revision": before.revision + 1})
            self._forget(number)
        return self._keep(after)

    def remove(self, number: int) -> Pattern:
        """RefusedError when there is none of this number."""
        pattern = self.of(number)
        self._forget(number)
        del self.all[number]
        self.alive = self._alive()
        self.version += 1
        self.state.put(KIND, str(number), None)
        return pattern

    def _keep(self, pattern: Pattern) -> Pattern:
        self.all[pattern.id] = pattern
        self.alive = self._alive()
        self.version += 1
        self.state.put(KIND, str(pattern.id), pattern.model_dump())
        return pattern

    def _forget(self, number: int) -> None:
        """What was found so far."""
        self.matches.forget_pattern(number)
        for reports in self._reports.values():
            reports.pop(number, None)

    # --------------------------------------------------------------------------- shards
    def told(self) -> dict[str, Any]:
        """What a shard needs."""
        patterns = [pattern.model_dump() for pattern in self.all.values()]
        return {"version": self.version, "patterns": patterns}

    def report(self, shard: int, reports: Sequence[PatternReport]) -> None:
        """How the patterns fare in a shard."""
        self._reports[shard] = {each.id: each for each in reports}

    def forget_shard(self, shard: int) -> None:
        """Another process is that shard now."""
        self._reports.pop(shard, None)

    # ------------------------------------------------------------------------------ api
    def describe(self, numbers: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """The list, or some of it, as the API shows it."""
        chosen = self.all.values() if numbers is None else map(self.of, numbers)
        return [
            pattern.model_dump(exclude={"v", "revision"}) | {"status": self._status(pattern)}
            for pattern in chosen
        ]

    def totals(self) -> dict[str, int]:
        """Sums over all patterns there are and all shards, and how many patterns there are."""
        reports = [each for of in self._reports.values() for each in of.values()]
        sums = {name: sum(getattr(each, name) for each in reports) for name in COUNTED}
        return sums | {"active": self.alive.size}

    def _status(self, pattern: Pattern) -> dict[str, Any]:
        """Sums over shards."""
        found = [of[pattern.id] for of in self._reports.values() if pattern.id in of]
        sums = {name: sum(getattr(each, name) for each in found) for name in COUNTED}
        known = [each.state for each in found if each.state in STATES]
        state = max(known, key=STATES.index, default="pending")
        whole = sums["scanned_bytes"] + sums["todo_bytes"]
        progress = round(sums["scanned_bytes"] / whole, 4) if whole else float(bool(found))
        return sums | {
            "progress": progress if pattern.enabled else 0.0,
            "state": state if pattern.enabled else "disabled",
            "trouble": "; ".join(dict.fromkeys(each.trouble for each in found if each.trouble)),
        }
