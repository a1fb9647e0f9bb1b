"""What people noted on streams: favourites, hidden or shown by hand, comments, tags.

Rules. Notes are kept by stream id, so they hold again when the stream shows up again: after a
restart, in another reading of the same capture. They are bounded; at the bound those of streams
that are not in the inventory go, oldest first, and if there are none the change is refused.
"""

import itertools
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from services.coordinator.kernels import inventory as k
from services.coordinator.shards import RefusedError
from services.coordinator.state import StateFile
from services.coordinator.view import Inventory
from shared.flow_key import hex_id
from shared.team import StreamNotes

NOTED_MAX = 65536  # streams
TEXT_MAX = 64 << 20  # characters of all comments and tags
FAVORITES_MAX = 16384
LOOK_FOR_ROOM = 64  # notes looked at, to find one that may go
KIND = "stream"

log = logging.getLogger("coordinator")


@dataclass(frozen=True)
class Notes:
    """On one stream. hidden: None = the hide rules decide."""

    favorite: bool = False
    hidden: bool | None = None
    comment: str = ""
    tags: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return len(self.comment) + sum(map(len, self.tags))


NONE = Notes()


class Tags(NamedTuple):
    """names: of the tags. name, stream: (n,), one for each tag of each stream: which name, whose
    id."""

    names: list[str]
    name: NDArray[np.intp]
    stream: NDArray[np.uint64]


class Annotations:
    """Notes by stream id, and their marks in the inventory."""

    def __init__(self, inventory: Inventory, state: StateFile) -> None:
        self.inventory, self.state = inventory, state
        self.favorites_max = max(1, min(FAVORITES_MAX, inventory.capacity // 2))
        self._noted: dict[int, Notes] = {}
        self._size = 0
        self._tagged: dict[str, NDArray[np.uint64]] = {}  # remembered until a tag changes
        self._tags: Tags | None = None  # the same
        for key, body in itertools.islice(state.load(KIND).items(), NOTED_MAX):
            self._restore(key, body)

    def _restore(self, key: str, body: dict[str, Any]) -> None:
        try:
            by_hand = body.get("hidden") is not None
            notes = StreamNotes.model_validate(body | {"hidden": body.get("hidden") or False})
            hidden = notes.hidden if by_hand else None
            kept = Notes(notes.favorite, hidden, notes.comment, tuple(notes.tags))
            stream_id = int(key, 16)
        except (ValidationError, ValueError):
            log.error("the state file's notes on stream %s mean nothing", key)
            return
        self._noted[stream_id] = kept
        self._size += kept.size

    def __len__(self) -> int:
        return len(self._noted)

    # ------------------------------------------------------------------------- reading
    def of(self, stream_id: int) -> Notes:
        return self._noted.get(stream_id, NONE)

    def tagged(self, tag: str) -> NDArray[np.uint64]:
        """Ids of the streams with a tag, sorted."""
        if tag not in self._tagged:
            ids = [stream for stream, notes in self._noted.items() if tag in notes.tags]
            if len(self._tagged) >= NOTED_MAX:
                self._tagged.clear()
            self._tagged[tag] = np.sort(np.array(ids, np.uint64))
        return self._tagged[tag]

    def tags(self) -> Tags:
        """Every tag, and the streams that have it. After a change it takes 0.4 µs for each."""
        if self._tags is None:
            codes: dict[str, int] = {}
            tagged = [(each, notes.tags) for each, notes in self._noted.items() if notes.tags]
            name = [codes.setdefault(tag, len(codes)) for _, tags in tagged for tag in tags]
            sizes = [len(tags) for _, tags in tagged]
            stream = np.array([each for each, _ in tagged], np.uint64)
            self._tags = Tags(list(codes), np.array(name, np.intp), np.repeat(stream, sizes))
        return self._tags

    # ------------------------------------------------------------------------- writing
    def change(
        self, stream_id: int, slot: int, given: StreamNotes, is_ruled_out: Callable[[], bool]
    ) -> Notes:
        """Note something on a stream of the inventory; fields that are not given stay.

        is_ruled_out: whether hide rules would hide it. RefusedError at a bound.
        """
        before = self.of(stream_id)
        wanted: dict[str, Any] = given.given()
        if "tags" in wanted:
            wanted["tags"] = tuple(dict.fromkeys(wanted["tags"]))
        if wanted.get("hidden") is False:  # whatever hides it now
            wanted["hidden"] = False if is_ruled_out() else None
        notes = replace(before, **wanted)
        if notes == before:
            return notes
        if notes.favorite and not before.favorite:
            self._check_favorites()
        if before is NONE or notes.size > before.size:
            self._make_room(stream_id, before is NONE, notes.size - before.size)
        self._keep(stream_id, notes, before)
        self._mark(slot, notes)
        self.inventory.marks[slot] |= np.uint8(k.CHANGED)
        return notes

    def apply(self, slots: NDArray[np.uint32]) -> None:
        """Mark streams that have just come in. 60 ns for each of them, where there are notes."""
        noted = self._noted
        ids = self.inventory.columns["stream_id"][slots].tolist()
        found = [at for at, stream_id in enumerate(ids) if stream_id in noted]
        if not found:
            return
        room = self.favorites_max - self._favorites()
        for at in found:
            notes, slot = noted[ids[at]], int(slots[at])
            if notes.favorite and not self.inventory.marks[slot] & k.FAVORITE:
                if room <= 0:
                    notes = replace(notes, favorite=False)
                room -= 1
            self._mark(slot, notes)

    def _mark(self, slot: int, notes: Notes) -> None:
        marks = int(self.inventory.marks[slot]) & ~(k.FAVORITE | k.BY_HAND)
        if notes.favorite:
            marks |= k.FAVORITE
        if notes.hidden is not None:
            marks = marks & ~k.HIDDEN | k.BY_HAND | (k.HIDDEN if notes.hidden else 0)
        elif self.inventory.marks[slot] & k.BY_HAND:
            marks &= ~k.HIDDEN  # the rules would have shown it
        self.inventory.marks[slot] = marks

    def _favorites(self) -> int:
        used = self.inventory.marks[: self.inventory.used]
        return int(np.count_nonzero(used & k.FAVORITE))

    def _check_favorites(self) -> None:
        if self._favorites() >= self.favorites_max:
            raise RefusedError(
                "too_many",
                f"there are {self.favorites_max} favourites, as many as may be",
                "take the star off another stream first, or use a tag",
            )

    def _keep(self, stream_id: int, notes: Notes, before: Notes) -> None:
        self._size += notes.size - before.size
        if notes.tags != before.tags:
            self._tagged.clear()
            self._tags = None
        if notes == NONE:
            del self._noted[stream_id]
        else:
            self._noted[stream_id] = notes
        body = None if notes == NONE else asdict(notes) | {"tags": list(notes.tags)}
        self.state.put(KIND, hex_id(stream_id), body)

    def _make_room(self, stream_id: int, is_new: bool, more: int) -> None:
        """Be sure that so many characters more, and perhaps a stream more, are within bounds."""
        looked = 0
        while len(self._noted) + is_new > NOTED_MAX or self._size + more > TEXT_MAX:
            oldest = next(iter(self._noted), None)
            if looked == LOOK_FOR_ROOM or oldest is None:
                raise RefusedError(
                    "too_many",
                    f"there are notes on {len(self._noted)} streams, as much as may be",
                    "take comments or tags off other streams first",
                )
            looked += 1
            notes = self._noted[oldest] = self._noted.pop(oldest)  # to the end
            if oldest != stream_id and self.inventory.find(oldest) < 0:
                self._keep(oldest, NONE, notes)
