"""The inventory: the newest numbers and the first bytes of every stream, as columns.

Rules. One writer. A stream has a *slot*, its place in the columns, and a *number*, its position
in the inventory, from 1; numbers only grow, so they are the paging cursor. Slots are given out in
a ring, so numbers grow along it, but for favourites that the ring has passed over: those are
older than all others. When every slot is taken the oldest stream goes, favourites last. All
columns are allocated for `max_streams` at once and cost memory only as they fill: 701 bytes a
stream, 12 more for the ways to find it; 32 for each preview that is no text; with matches 4 more,
and 28 for each pattern. What the process is measured to need stands in `bench/RESULTS.md`.
"""

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.coordinator.kernels import inventory as k
from services.coordinator.kernels import previews as p
from services.coordinator.kernels.text_search import SLACK
from services.coordinator.matches import Matches
from shared.columns import EVENT, EVENT_CLOSE, PREVIEW_BYTES, VIEW
from shared.errors import UserError
from shared.memory import Filling, Pages, zeros

ROWS_MAX = 1 << 26  # rows a shard's flow table can have
STREAMS_MAX = 1 << 31  # slots that 32 bits can name, with room
BLOCK = 65536  # slots that are counted together
MATCHES_MAX = 1_000_000  # pairs of stream and pattern, when nothing else is said
AHEAD = 512  # streams of a message that pages are had for; others come as they are touched
PREVIEWS = 2 * PREVIEW_BYTES  # of a stream
NO_PIECES = np.empty(0, np.uint8)


class Entered(NamedTuple):
    """Slots that a message wrote to, some perhaps twice, and those of them whose stream is new
    there, or told by another process. Good until the next message."""

    slots: NDArray[np.uint32]
    fresh: NDArray[np.uint32]


def too_many(streams: int) -> UserError:
    return UserError(f"--max-streams {streams}: more than can be held here; give a smaller number")


class Inventory:
    """Streams in columns, entered and updated by the events of shards.

    columns: (max_streams,) of every field of EVENT but padding, by name; `number` and `marks`
    beside them. Only slots below `used` mean anything. matches: what patterns found in them.
    """

    def __init__(self, max_streams: int, max_matches: int = MATCHES_MAX) -> None:
        if max_streams > STREAMS_MAX:
            raise too_many(max_streams)
        self.capacity = max_streams
        index_size = 1 << (2 * max_streams - 1).bit_length()
        try:
            planes, previews = (
                Pages(8 * k.KEPT_WORDS * max_streams),
                Pages(PREVIEWS * max_streams + SLACK),
            )
            self._planes, self.previews = planes.bytes.view(np.uint64), previews.bytes
            self.number = zeros(8 * max_streams).view(np.uint64)
            self.marks = zeros(max_streams)
            self.preview_len = zeros(4 * max_streams).view(np.uint16)
            self.printables = zeros(16 * p.ORDER_WORDS * max_streams).view(np.uint64)
            self._index = zeros(4 * index_size).view(np.uint32)
            self.matches = Matches(max_streams, max_matches, self.marks)
        except (MemoryError, OSError, OverflowError, ValueError):  # as more and more is asked for
            raise too_many(max_streams) from None
        self._state = np.zeros(k.STATE_LEN, np.uint64)
        self._state[[k.SALT_LOW, k.SALT_HIGH]] = secrets.randbits(32) | 1, secrets.randbits(32) | 1
        self._spare = np.zeros(PREVIEWS, np.uint8)
        self._slots, self._fresh = np.zeros(0, np.uint32), np.zeros(0, np.uint32)
        self._bindings: dict[int, NDArray[np.uint32]] = {}
        self._parts = [
            self._planes[at * max_streams : (at + width) * max_streams].reshape(-1, width)
            for at, width in k.PLANES
        ]
        self._filling = [(Filling(previews), PREVIEWS)]
        for at, width in k.PLANES:
            place, row = 8 * at * max_streams, 8 * width
            self._filling.append((Filling(planes, place, row * max_streams), row))
        self.columns = self._name_columns()

    def _name_columns(self) -> dict[str, NDArray[Any]]:
        """Every field of EVENT as a view on the plane that holds it."""
        result: dict[str, NDArray[Any]] = {}
        for (word, width), part in zip(k.PLANES, self._parts, strict=True):
            inside = range(8 * word, 8 * (word + width))
            fields = {n: f for n, f in (EVENT.fields or {}).items() if f[1] in inside}
            row = np.dtype(
                {
                    "names": list(fields),
                    "formats": [field[0] for field in fields.values()],
                    "offsets": [field[1] - 8 * word for field in fields.values()],
                    "itemsize": 8 * width,
                }
            )
            rows = part.reshape(-1).view(row)
            result |= {name: rows[name] for name in fields if name != "pad"}
        return result

    def words(self, plane: int) -> NDArray[np.uint64]:
        """A plane of the streams there are, one after the other: those that begin at this word of
        EVENT (`SMALL`, `WIRE_BYTES`, ...)."""
        part = self._parts[[word for word, _ in k.PLANES].index(plane)]
        return part[: self.used].reshape(-1)

    # ------------------------------------------------------------------------- numbers
    @property
    def used(self) -> int:
        """Slots in use; streams in the inventory."""
        return int(self._state[k.USED])

    @property
    def numbered(self) -> int:
        """Streams ever entered; the newest one's number."""
        return int(self._state[k.NUMBERED])

    def losses(self) -> dict[str, int]:
        """What did not find a place, by reason."""
        return {
            "streams_evicted": int(self._state[k.EVICTED]),
            "events_after_eviction": int(self._state[k.AFTER_EVICTION]),
            "previews_after_eviction": int(self._state[k.LATE_PREVIEWS]),
            "previews_malformed": int(self._state[k.BAD_PREVIEWS]),
            **self.matches.losses(),
        }

    # ------------------------------------------------------------------------- writing
    def merge(
        self,
        shard: int,
        events: NDArray[np.void],
        pieces: NDArray[np.void] | None = None,
        octets: NDArray[np.uint8] = NO_PIECES,
    ) -> Entered:
        """Enter one message of a shard: EVENT rows, then PREVIEW rows and the bytes they mean.

        Events of rows from ROWS_MAX on are the caller's mistake.
        """
        binding = self._binding(shard, int(events["row"].max()) if events.size else 0)
        words = events.view(np.uint64).reshape(-1)
        marks, state = self.marks, self._state
        for part, row in self._filling:
            part.reach((self.used + min(events.size, AHEAD)) * row)
        if events.size > self._slots.size:
            self._slots, self._fresh = (np.zeros(2 * events.size, np.uint32) for _ in range(2))
        count = k.merge_events(
            words, shard, self._planes, self.number, self.preview_len, marks, self._index,
            binding, state, self._slots, self._fresh,
        )  # fmt: skip
        entered = Entered(self._slots[:count], self._fresh[: int(state[k.FRESH])])
        self.matches.forget_slots(entered.fresh)
        if pieces is not None and pieces.size:
            p.store_previews(
                pieces, octets, shard, self._planes, self.preview_len, self.previews,
                self.printables, self._spare, marks, binding, state,
            )  # fmt: skip
        return entered

    def _binding(self, shard: int, row: int) -> NDArray[np.uint32]:
        """Slots of the shard's rows, with room for `row`."""
        assert row < ROWS_MAX
        binding = self._bindings.get(shard, np.zeros(0, np.uint32))
        if row >= binding.size:
            grown = np.zeros(max(4096, 1 << row.bit_length()), np.uint32)
            grown[: binding.size] = binding
            self._bindings[shard] = binding = grown
        return binding

    def forget_rows(self, shard: int) -> int:
        """The shard's process is another one: its rows mean other streams from now on.

        Streams of the old one that were not closed stay, marked as orphaned; returns how many.
        """
        self._bindings.pop(shard, None)
        used = slice(0, self.used)
        mine = (self.columns["shard"][used] == shard) & (self.marks[used] & k.ORPHANED == 0)
        left = np.flatnonzero(mine & (self.columns["kind"][used] != EVENT_CLOSE))
        self.marks[left] |= np.uint8(k.ORPHANED)
        return left.size

    def take_changed(self, most: int) -> tuple[int, list[int]]:
        """How many streams changed since the last call, and the ids of the newest of them."""
        marks = self.marks[: self.used]
        slots = self.in_order(marks & k.CHANGED != 0)
        marks &= np.uint8(255 - k.CHANGED)
        ids: list[int] = self.columns["stream_id"][slots[max(0, slots.size - most) :]].tolist()
        return slots.size, ids

    # ------------------------------------------------------------------------- reading
    def find(self, stream_id: int) -> int:
        """The stream's slot, -1 when it is not here."""
        if not 0 <= stream_id < 1 << 64:
            return -1
        return int(self.find_all([stream_id])[0])

    def find_all(self, ids: Sequence[int] | NDArray[np.uint64]) -> NDArray[np.int64]:
        """The slot of each stream, -1 of those that are not here."""
        wanted = np.ascontiguousarray(ids, np.uint64)
        slots = np.zeros(wanted.size, np.int64)
        k.find_slots(wanted, self._planes, self._index, self._state, slots)
        return slots

    def in_order(self, mask: NDArray[np.bool_]) -> NDArray[np.intp]:
        """The slots where mask (used,) is true, oldest stream first."""
        old, mask, runs = self._runs(mask)
        parts = [np.flatnonzero(mask[start:stop]) + start for start, stop in runs]
        return np.concatenate([old, *parts]) if old.size or len(parts) > 1 else parts[0]

    def window(
        self, mask: NDArray[np.bool_], skip: int, most: int, newest: bool
    ) -> NDArray[np.intp]:
        """The slots where mask (used,) is true behind the first `skip`, at most so many: oldest
        stream first, or newest.

        To list the slots of 1 M streams takes 3 ms, to count them 0.1: only the blocks that the
        window lies in are listed.
        """
        old, mask, runs = self._runs(mask)
        step = -1 if newest else 1
        blocks = [
            (at, min(at + BLOCK, stop)) for start, stop in runs for at in range(start, stop, BLOCK)
        ]
        found = [np.empty(0, np.intp)]
        for start, stop in [(0, 0), *blocks][::step]:  # the first one stands for `old`
            count = int(np.count_nonzero(mask[start:stop])) if stop else old.size
            if count > skip and most:
                slots = np.flatnonzero(mask[start:stop]) + start if stop else old
                found.append(slots[::step][skip : skip + most])
                most -= found[-1].size
            skip = max(0, skip - count)
        return np.concatenate(found)

    def _runs(
        self, mask: NDArray[np.bool_]
    ) -> tuple[NDArray[np.intp], NDArray[np.bool_], list[tuple[int, int]]]:
        """Slots of the mask that the ring has passed over, oldest stream first; the mask without
        them; and where the others lie that came after, in their order."""
        head, used = int(self._state[k.HEAD]), self.used
        runs = [(0, used)] if used < self.capacity else [(head, used), (0, head)]
        if not self._state[k.LAPPED_COUNT]:
            return np.empty(0, np.intp), mask, runs
        lapped = self.marks[:used] & k.LAPPED != 0
        old = np.flatnonzero(mask & lapped)
        return old[np.argsort(self.number[old])], mask & ~lapped, runs

    def rows(
        self, slots: NDArray[np.intp]
    ) -> tuple[NDArray[np.void], NDArray[np.void], NDArray[np.uint8]]:
        """EVENT (n,), VIEW (n,) and previews (n, 2, PREVIEW_BYTES) of some slots, as copies."""
        events = np.zeros(slots.size, EVENT)
        words = events.view(np.uint64).reshape(-1, k.EVENT_WORDS)
        for (at, width), part in zip(k.PLANES, self._parts, strict=True):
            words[:, at : at + width] = part[slots]
        view = np.zeros(slots.size, VIEW)
        view["number"] = self.number[slots]
        view["preview_len"] = self.preview_len.reshape(-1, 2)[slots] & p.LENGTH
        view["favorite"] = self.marks[slots] & k.FAVORITE != 0
        view["hidden"] = self.marks[slots] & k.HIDDEN != 0
        view["closed"] = events["kind"] == EVENT_CLOSE
        view["close_reason"] = events["reason"]
        kept = np.zeros((slots.size, 2, PREVIEW_BYTES), np.uint8)
        p.read_previews(
            np.ascontiguousarray(slots, np.int64), self.preview_len, self.previews,
            self.printables, kept.reshape(-1),
        )  # fmt: skip
        return events, view, kept
