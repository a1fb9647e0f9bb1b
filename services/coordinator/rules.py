"""Hide rules: which streams nobody needs to see, and why one is hidden.

Rules are applied to all streams when they change, and to each stream whose numbers, matches or
tags change later. They only ever set a mark: a hidden stream is analysed and kept like any other,
and is shown again when the rule goes. What was hidden or shown by hand no rule touches.
"""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from services.coordinator.annotations import Annotations
from services.coordinator.conditions import (
    CONTENT_CODES,
    PROTOCOL_CODES,
    SERVICE_CODES,
    STATUS_CODES,
    BadValueError,
    Condition,
    Mask,
    Part,
    any_of,
    code_of,
    equals,
    has_content,
    has_port,
    has_port_among,
    holds_pattern,
    holds_pattern_of_all,
    is_one_of,
    is_one_of_all,
    is_stream,
    within,
)
from services.coordinator.kernels import inventory as k
from services.coordinator.shards import RefusedError
from services.coordinator.state import StateFile
from services.coordinator.view import Inventory
from shared.team import RULES_MAX, Hiding, NewRule, RuleKind, tag_of

BLOCK = 65536  # slots looked at together
KIND, NEXT = "rule", "next"

log = logging.getLogger("coordinator")
Slots = NDArray[Any]


def condition_of(
    rule: Hiding, of_pattern: Callable[[int], Condition], of_tag: Callable[[str], Condition]
) -> Condition:
    """What a rule says of streams. BadValueError for a value that means nothing."""
    kind, value = rule.kind, str(rule.value)
    codes: dict[str, tuple[dict[str, int], Callable[[int], Condition]]] = {
        "service": (SERVICE_CODES, lambda code: equals("service", code)),
        "protocol": (PROTOCOL_CODES, lambda code: equals("proto", code)),
        "status": (STATUS_CODES, lambda code: equals("status", code)),
        "content_kind": (CONTENT_CODES, has_content),
    }
    if kind in codes:
        names, make = codes[kind]
        return make(code_of(kind, value, names))
    if kind == "addr":
        return within(value)
    if kind == "tag":
        return of_tag(tag_of(value))
    if kind == "stream":
        return is_stream(number_in(kind, value, 16, (1 << 64) - 1, "16 hex digits"))
    if kind == "port":
        return has_port(number_in(kind, value, 10, 65535, "0 to 65535"))
    return of_pattern(number_in(kind, value, 10, (1 << 31) - 1, "the number of a pattern"))


def number_in(kind: str, value: str, base: int, most: int, hint: str) -> int:
    """The number that a rule's value is."""
    digits = "0123456789abcdef"[:base]
    text = value.lower()
    if not text or text.strip(digits) or int(text, base) > most:
        raise BadValueError(f"{kind} {value!r:.40} is none", hint)
    return int(text, base)


class Rule(NewRule):
    """A rule in the list."""

    id: int


class HideRules:
    """The list, and its effect on the inventory."""

    def __init__(self, inventory: Inventory, annotations: Annotations, state: StateFile) -> None:
        self.inventory, self.annotations, self.state = inventory, annotations, state
        self.all: dict[int, Rule] = {}
        self.active: list[tuple[Rule, Condition]] = []
        self._next = int(state.load(NEXT + KIND).get("", {}).get("id", 1))
        for key, body in state.load(KIND).items():
            try:
                rule = Rule.model_validate(body)
                self._condition(rule)
            except (ValidationError, BadValueError) as error:
                log.error("the state file's rule %s means nothing: %s", key, error)
                continue
            self.all[rule.id] = rule
        self.all = dict(sorted(self.all.items())[:RULES_MAX])
        self._next = max([self._next, *(number + 1 for number in self.all)])
        self._activate()

    def _condition(self, rule: Hiding) -> Condition:
        def of_tag(tag: str) -> Condition:
            def condition(part: Part) -> Mask:  # of the streams that have the tag by then
                return is_one_of(part, self.annotations.tagged(tag))

            return condition

        return condition_of(rule, holds_pattern, of_tag)

    def _activate(self) -> None:
        rules = [rule for rule in self.all.values() if rule.enabled]
        self.active = [(rule, self._condition(rule)) for rule in rules]

    def follows(self, kind: RuleKind) -> bool:
        """Whether a rule of this kind is at work."""
        return any(rule.kind == kind for rule, _ in self.active)

    # ------------------------------------------------------------------------- the list
    def add(self, wanted: NewRule) -> tuple[Rule, bool]:
        """A rule that hides this, and whether it is a new one. RefusedError at the bound."""
        self._condition(wanted)
        for rule in self.all.values():
            if rule.kind == wanted.kind and str(rule.value) == str(wanted.value):
                if wanted.enabled and not rule.enabled:
                    return self.change(rule.id, enabled=True), False
                return rule, False
        if len(self.all) >= RULES_MAX:
            raise RefusedError(
                "too_many", f"there are {RULES_MAX} hide rules, as many as may be", "delete some"
            )
        rule = Rule(id=self._next, kind=wanted.kind, value=wanted.value, enabled=wanted.enabled)
        self._next += 1
        self.state.put(NEXT + KIND, "", {"id": self._next})
        self._keep(rule)
        return rule, True

    def change(self, number: int, enabled: bool) -> Rule:
        """Switch a rule on or off. RefusedError when there is none of this number."""
        rule = self.of(number)
        if rule.enabled != enabled:
            rule = Rule(id=number, kind=rule.kind, value=rule.value, enabled=enabled)
            self._keep(rule)
        return rule

    def remove(self, number: int) -> Rule:
        """Take a rule off. RefusedError when there is none of this number."""
        rule = self.of(number)
        del self.all[number]
        self.state.put(KIND, str(number), None)
        self._activate()
        self.apply_to_all()
        return rule

    def of(self, number: int) -> Rule:
        if number not in self.all:
            raise RefusedError("not_found", f"no hide rule {number}", "see GET /api/hide-rules")
        return self.all[number]

    def _keep(self, rule: Rule) -> None:
        self.all[rule.id] = rule
        self.state.put(KIND, str(rule.id), rule.model_dump())
        self._activate()
        self.apply_to_all()

    # ----------------------------------------------------------------------- the effect
    def apply(self, slots: Slots) -> None:
        """Hide or show some slots as the rules say."""
        self._apply(slots, any_of([condition for _, condition in self.active]))

    def _apply(self, where: slice | Slots, is_ruled_out: Condition) -> None:
        part = Part(self.inventory, where)
        marks, ruled = part("marks"), is_ruled_out(part)
        hidden = np.where(ruled, marks | k.HIDDEN, marks & (255 - k.HIDDEN)).astype(np.uint8)
        self.inventory.marks[where] = np.where(marks & k.BY_HAND != 0, marks, hidden)

    def apply_to_all(self) -> None:
        """The same of all slots. 1 M streams: 2-8 ms for each rule, of patterns 4 for all rules."""
        used, is_ruled_out = self.inventory.used, any_of(self._conditions_of_all())
        for start in range(0, used, BLOCK):
            self._apply(slice(start, min(start + BLOCK, used)), is_ruled_out)

    def _conditions_of_all(self) -> list[Condition]:
        """What the rules say, for parts that are all slots: what needs a look-up in other tables
        is looked up at once, and all ports together. 1 M streams with a match each: 4 ms rather
        than 60 for rules of patterns, 3 rather than 8 for 51 of ports."""
        inventory, rules = self.inventory, [rule for rule, _ in self.active]
        patterns = [int(rule.value) for rule in rules if rule.kind == "pattern"]
        ports = [int(rule.value) for rule in rules if rule.kind == "port"]
        found = [
            is_one_of_all(inventory, self.annotations.tagged(tag_of(str(rule.value))))
            if rule.kind == "tag"
            else condition
            for rule, condition in self.active
            if rule.kind not in ("pattern", "port")
        ]
        found += [holds_pattern_of_all(inventory, patterns)] if patterns else []
        return found + ([has_port_among(ports)] if ports else [])

    def would_hide(self, slot: int) -> bool:
        """Whether the rules, left alone, hide the stream in a slot."""
        return bool(self._first_rules(np.array([slot])))

    def reasons(self, slots: Slots) -> dict[int, str]:
        """Why streams are hidden, by position in `slots`; of those that are."""
        marks = self.inventory.marks[slots]
        hidden = np.flatnonzero(marks & k.HIDDEN)
        if not hidden.size:
            return {}
        rules = self._first_rules(slots[hidden])
        by_hand = (marks[hidden] & k.BY_HAND != 0).tolist()
        return {
            at: "hidden by hand" if hand else said(rules.get(i))
            for i, (at, hand) in enumerate(zip(hidden.tolist(), by_hand, strict=True))
        }

    def _first_rules(self, slots: Slots) -> dict[int, Rule]:
        """The first rule that hides each, by position in `slots`."""
        part = Part(self.inventory, slots)
        found: dict[int, Rule] = {}
        for rule, condition in reversed(self.active):
            found |= dict.fromkeys(np.flatnonzero(condition(part)).tolist(), rule)
        return found


def said(rule: Rule | None) -> str:
    """A reason, in the words of the rule."""
    return "hidden by a rule" if rule is None else f"rule {rule.id}: {rule.kind} {rule.value}"
