"""The team's shared state as a whole: what belongs together, and what follows from a message.

One thread owns it, like the inventory. A change is in effect when the call returns, in the state
file a moment later.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.coordinator.annotations import Annotations, Notes
from services.coordinator.patterns import FLAGS, Patterns
from services.coordinator.profiles import Profiles
from services.coordinator.rules import HideRules
from services.coordinator.state import StateFile
from services.coordinator.view import Entered, Inventory
from shared.flow_key import hex_id
from shared.settings import Settings, flag
from shared.team import StreamNotes

CHANGED_MAX = 65536  # streams remembered between two looks

Slots = NDArray[np.int64]


class Matched:
    """Streams and patterns whose matches changed since the last look."""

    def __init__(self) -> None:
        self.streams: dict[int, None] = {}
        self.patterns: set[int] = set()
        self.others = 0  # changes of more streams than are remembered

    def add(self, pairs: NDArray[np.void]) -> None:
        """PAIR rows that changed something."""
        ids = dict.fromkeys(pairs["stream_id"].tolist())
        if len(self.streams) + len(ids) > CHANGED_MAX:
            self.others += len(ids)
        else:
            self.streams |= ids
        self.patterns.update(np.unique(pairs["pattern"]).tolist())


class Team:
    """All that people decided, and the inventory that it is about."""

    def __init__(self, inventory: Inventory, settings: Settings | None = None) -> None:
        """settings: None = those of a run that gives nothing."""
        settings = settings or Settings()
        self.inventory = inventory
        self.state = StateFile(settings.state_file)
        self.annotations = Annotations(inventory, self.state)
        self.patterns = Patterns(inventory.matches, self.state)
        for kind, name in FLAGS:
            self.patterns.add_given(kind, getattr(settings, name), flag(name))
        self.profiles = Profiles(settings.service_profile_file, self.state)
        self.rules = HideRules(inventory, self.annotations, self.state)
        self.matched = Matched()

    def close(self) -> None:
        """Everything is written."""
        self.state.close()

    # ------------------------------------------------------------- what a message leads to
    def entered(self, entered: Entered, pairs: NDArray[np.void]) -> None:
        """A message of a shard was merged: what holds for streams that came in or changed."""
        if len(self.annotations) and entered.fresh.size:
            self.annotations.apply(entered.fresh)
        matched = self._count(pairs) if pairs.size else None
        if self.rules.active:
            self.rules.apply(entered.slots)
            if matched is not None and self.rules.follows("pattern"):
                self.rules.apply(matched)

    def _count(self, pairs: NDArray[np.void]) -> Slots:
        """Enter counts of patterns that there are; the slots whose counts changed."""
        pairs = pairs[np.isin(pairs["pattern"], self.patterns.alive)]
        slots = self.inventory.find_all(pairs["stream_id"])
        changed = self.inventory.matches.put(pairs, slots)
        self.matched.add(pairs[changed])
        return slots[changed]

    def take_matched(self, most: int) -> dict[str, Any] | None:
        """The body of a `matches` delta, None when nothing changed since the last."""
        matched = self.matched
        if not matched.patterns:
            return None
        self.matched = Matched()
        ids = list(matched.streams)[-most:]
        return {
            "count": len(matched.streams) + matched.others,
            "ids": [hex_id(each) for each in ids],
            "pattern_ids": sorted(matched.patterns)[:most],
        }

    # -------------------------------------------------------------------------- changes
    def note(self, slot: int, stream_id: int, given: StreamNotes) -> Notes:
        """Note something on a stream of the inventory. RefusedError at a bound."""
        notes = self.annotations.change(stream_id, slot, given, lambda: self.rules.would_hide(slot))
        if self.rules.active:
            self.rules.apply(np.array([slot]))
        return notes

    def patterns_changed(self) -> None:
        """Matches came or went with a pattern: rules about patterns hold for others now."""
        if self.rules.follows("pattern"):
            self.rules.apply_to_all()

    # -------------------------------------------------------------------------- reading
    def extras(self, slots: Slots) -> list[list[Any]]:
        """What rows of some slots have beside their columns: `[position, {field: value}]`, of
        `match_count, pattern_ids, hidden_reason, comment, tags` those that are not empty."""
        found: dict[int, dict[str, Any]] = {}
        for at, listed in self.inventory.matches.of(slots).items():
            found[at] = {"match_count": listed.matches, "pattern_ids": listed.patterns}
        for at, reason in self.rules.reasons(slots).items():
            found.setdefault(at, {})["hidden_reason"] = reason
        if len(self.annotations):
            for at, stream_id in enumerate(self.inventory.columns["stream_id"][slots].tolist()):
                notes = self.annotations.of(stream_id)
                if notes.comment or notes.tags:
                    fields = {"comment": notes.comment, "tags": list(notes.tags)}
                    found.setdefault(at, {}).update(fields)
        return [[at, fields] for at, fields in sorted(found.items())]
