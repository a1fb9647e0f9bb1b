"""Operations on the team's shared state: each changes it, and tells everybody at once.

A `state` delta says `what` (favorite, hidden, comment, tags, rule, pattern, profile), what was done
(`action`: changed, added, removed) and to which one (`stream_id_hex` or `id`); and, where it is
short, what holds now, in a field that is called as `what` says.
"""

from collections.abc import Callable
from typing import Any

from pydantic import Field

from services.coordinator.arguments import Answer, Arguments, Nothing, Operation
from services.coordinator.deltas import DeltaLog
from services.coordinator.kernels.inventory import HIDDEN
from services.coordinator.rules import Rule
from services.coordinator.shards import RefusedError
from services.coordinator.team import Team
from shared.flow_key import hex_id
from shared.team import (
    NewPattern,
    NewRule,
    PatternChange,
    Profile,
    ProfileChange,
    RuleChange,
    StreamNotes,
)


class Noted(Arguments):
    stream_id: int = Field(ge=0, le=(1 << 64) - 1)
    notes: StreamNotes


class PatternChanged(Arguments):
    id: int
    change: PatternChange


class RuleChanged(Arguments):
    id: int
    change: RuleChange


class ProfileChanged(Arguments):
    id: str
    change: ProfileChange


class Numbered(Arguments):
    id: int


class Named(Arguments):
    id: str


class TeamRequests:
    """row: the answer with the stream in a slot."""

    def __init__(self, team: Team, deltas: DeltaLog, row: Callable[[int], Answer]) -> None:
        self.team, self.deltas, self._row = team, deltas, row
        self.table: dict[str, Operation] = {
            "annotate": self._annotate,
            "patterns": self._patterns,
            "pattern_list": self._pattern_list,
            "pattern_add": self._pattern_add,
            "pattern_change": self._pattern_change,
            "pattern_remove": self._pattern_remove,
            "rule_list": self._rule_list,
            "rule_add": self._rule_add,
            "rule_change": self._rule_change,
            "rule_remove": self._rule_remove,
            "profile_list": self._profile_list,
            "profile_add": self._profile_add,
            "profile_change": self._profile_change,
            "profile_remove": self._profile_remove,
        }

    def _tell(self, what: str, action: str, **more: Any) -> None:
        self.deltas.append("state", {"what": what, "action": action} | more)

    # -------------------------------------------------------------------------- streams
    def _annotate(self, args: dict[str, Any]) -> Answer:
        wanted = Noted.model_validate(args)
        slot = self.team.inventory.find(wanted.stream_id)
        if slot < 0:
            raise RefusedError(
                "not_found",
                f"no stream {hex_id(wanted.stream_id)}",
                "the inventory is bounded: it may have made room for newer ones (--max-streams)",
            )
        before = self.team.annotations.of(wanted.stream_id)
        notes = self.team.note(slot, wanted.stream_id, wanted.notes)
        shown = {
            "favorite": notes.favorite,
            "hidden": bool(self.team.inventory.marks[slot] & HIDDEN),
            "tags": list(notes.tags),
        }
        for what in ("favorite", "hidden", "comment", "tags"):
            if getattr(notes, what) != getattr(before, what):
                value = {what: shown[what]} if what in shown else {}
                self._tell(what, "changed", stream_id_hex=hex_id(wanted.stream_id), **value)
        return self._row(slot)

    # ------------------------------------------------------------------------- patterns
    def _patterns(self, args: dict[str, Any]) -> Answer:
        """For shards: more arguments than it needs are no harm."""
        return self.team.patterns.told(), ()

    def _pattern_list(self, args: dict[str, Any]) -> Answer:
        Nothing.model_validate(args)
        return {"patterns": self.team.patterns.describe()}, ()

    def _pattern_add(self, args: dict[str, Any]) -> Answer:
        pattern = self.team.patterns.add(NewPattern.model_validate(args))
        return self._changed_pattern(pattern.id, "added")

    def _pattern_change(self, args: dict[str, Any]) -> Answer:
        wanted, patterns = PatternChanged.model_validate(args), self.team.patterns
        version = patterns.version
        patterns.change(wanted.id, wanted.change)
        if patterns.version == version:
            return patterns.describe([wanted.id])[0], ()
        return self._changed_pattern(wanted.id, "changed")

    def _changed_pattern(self, number: int, action: str) -> Answer:
        self.team.patterns_changed()
        described = self.team.patterns.describe([number])[0]
        told = {name: described[name] for name in ("name", "kind", "color", "enabled")}
        self._tell("pattern", action, id=number, pattern=told)
        return described, ()

    def _pattern_remove(self, args: dict[str, Any]) -> Answer:
        pattern = self.team.patterns.remove(Numbered.model_validate(args).id)
        self.team.patterns_changed()
        self._tell("pattern", "removed", id=pattern.id)
        return {}, ()

    # ---------------------------------------------------------------------------- rules
    def _rule_list(self, args: dict[str, Any]) -> Answer:
        Nothing.model_validate(args)
        rules = [rule.model_dump() for rule in self.team.rules.all.values()]
        return {"hide_rules": rules}, ()

    def _rule_add(self, args: dict[str, Any]) -> Answer:
        rule, is_new = self.team.rules.add(NewRule.model_validate(args))
        self._tell_rule(rule, "added" if is_new else "changed")
        return rule.model_dump(), ()

    def _rule_change(self, args: dict[str, Any]) -> Answer:
        wanted, rules = RuleChanged.model_validate(args), self.team.rules
        before = rules.of(wanted.id)
        rule = rules.change(wanted.id, wanted.change.given().get("enabled", before.enabled))
        if rule != before:
            self._tell_rule(rule, "changed")
        return rule.model_dump(), ()

    def _tell_rule(self, rule: Rule, action: str) -> None:
        self._tell("rule", action, id=rule.id, rule=rule.model_dump(exclude={"id"}))

    def _rule_remove(self, args: dict[str, Any]) -> Answer:
        rule = self.team.rules.remove(Numbered.model_validate(args).id)
        self._tell("rule", "removed", id=rule.id)
        return {}, ()

    # ------------------------------------------------------------------------- profiles
    def _profile_list(self, args: dict[str, Any]) -> Answer:
        Nothing.model_validate(args)
        return {"profiles": self.team.profiles.describe()}, ()

    def _profile_add(self, args: dict[str, Any]) -> Answer:
        wanted = Profile.model_validate(args)
        is_new = wanted.id not in self.team.profiles.all
        self.team.profiles.put(wanted)
        return self._changed_profile(wanted.id, "added" if is_new else "changed")

    def _profile_change(self, args: dict[str, Any]) -> Answer:
        wanted = ProfileChanged.model_validate(args)
        self.team.profiles.change(wanted.id, wanted.change)
        return self._changed_profile(wanted.id, "changed")

    def _changed_profile(self, key: str, action: str) -> Answer:
        described = self.team.profiles.described(key)
        told = {name: described[name] for name in ("name", "enabled")}
        self._tell("profile", action, id=key, profile=told)
        return described, ()

    def _profile_remove(self, args: dict[str, Any]) -> Answer:
        key = Named.model_validate(args).id
        self.team.profiles.remove(key)
        self._tell("profile", "changed" if key in self.team.profiles.all else "removed", id=key)
        return {}, ()
