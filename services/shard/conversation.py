"""Operation `conversation`: what both sides said, in the order in which it could be read.

Bytes become readable when the hole before them is filled, so an extent counts from the latest time
of all extents up to it in its direction. At the same time the content log decides, which grows in
the order of the packets. Both hold within a direction whatever came late, so the order of a
direction's bytes is never changed.

A turn is contiguous bytes of one direction with nothing of the other between. Bytes that are not
retained are a turn of their own, at the time of what follows them. The cursor is the pair of
logical offsets that were told: it means the same however the stream grows, and whatever is evicted
meanwhile.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.shard.content import ContentReader, Extents
from services.shard.kernels import state as s
from services.shard.messages import MessageReader
from shared.columns import STARTED
from shared.schema import ConversationQuery, Reply

BYTES_MAX = 1 << 20  # of one reply
PIECES_MAX = 1 << 16  # extents and gaps that one reply puts together
MESSAGES_MAX = 512  # that one reply tells
GAP = -1  # as the place of a piece
START, STOP, TIME, LOG, PLACE, SIDE = range(6)  # rows of the columns of pieces
Columns = NDArray[np.int64]
EMPTY = np.empty(0, np.int64)
NOTHING = Extents(EMPTY, EMPTY, EMPTY, EMPTY, (0, 0))


@dataclass
class Turn:
    """Bytes [start, stop) of a direction; `continues`: the next turn is the rest of this one."""

    direction: int
    start: int
    stop: int
    ts_ns: int
    delta_ns: int  # since the turn before
    gap: bool
    continues: bool = False

    def row(self) -> list[Any]:
        return [
            self.direction, self.start, self.stop, self.ts_ns, self.delta_ns,
            self.gap, self.continues,
        ]  # fmt: skip


class Page:
    """Turns of one reply as they are put together."""

    def __init__(self, query: ConversationQuery, before_ns: int | None) -> None:
        self.limit, self.longest, self.left = query.limit, query.len, BYTES_MAX
        self.turns: list[Turn] = []
        self.octets: list[tuple[int, int]] = []  # place and length, in the order of the turns
        self.after = list(query.after)
        self._before_ns = before_ns  # time of what was said before

    def take(self, direction: int, start: int, stop: int, ts_ns: int, place: int) -> bool:
        """Add a piece, or as much of it as fits; False when the page is full."""
        at = start
        while at < stop:
            turn = self._turn(direction, at, ts_ns, place == GAP)
            if turn is None:
                return False
            length = stop - at
            if place != GAP:
                length = min(length, self.longest - (turn.stop - turn.start), self.left)
                self.octets.append((place + at - start, length))
                self.left -= length
            at += length
            turn.stop = self.after[direction] = at
        return True

    def _turn(self, direction: int, at: int, ts_ns: int, gap: bool) -> Turn | None:
        """The turn that a piece which begins at `at` belongs to; None when there is no room."""
        last = self.turns[-1] if self.turns else None
        joins = last is not None and (last.direction, last.stop, last.gap) == (direction, at, gap)
        if last is not None and joins:
            if gap or (self.left and last.stop - last.start < self.longest):
                return last
            last.continues = True
        if len(self.turns) == self.limit or (self.left == 0 and not gap):
            return None
        before = last.ts_ns if last is not None else self._before_ns
        delta = 0 if before is None else ts_ns - before
        self.turns.append(Turn(direction, at, at, ts_ns, delta, gap))
        return self.turns[-1]


class Conversations:
    """Reads both directions of a stream between two batches."""

    def __init__(self, content: ContentReader, messages: MessageReader) -> None:
        self.content, self.messages = content, messages

    def answer(self, args: dict[str, Any]) -> tuple[Reply, list[bytes]]:
        """`end`: these are the last turns there are now. `after`: where to go on. `first_seqs`: TCP
        sequence numbers of logical offset 0."""
        query = ConversationQuery.model_validate(args)
        self.content.check(query.row, query.stream_id)
        page, end = self._page(query)
        ring8 = self.content.tables.ring8
        octets = b"".join(ring8[at : at + length].tobytes() for at, length in page.octets)
        (low_a, low_b), (high_a, high_b) = query.after, page.after
        spans = np.array([low_a, high_a, low_b, high_b], np.uint64)
        numbers, _ = self.messages.listed(query.row, 0, MESSAGES_MAX, spans)
        told = self.messages.told(numbers, with_headers=False)
        result = {
            "turns": [turn.row() for turn in page.turns],
            "after": page.after,
            "end": end,
            "first_seqs": self._first_seqs(query.row),
            "messages": told.rows.size,
        }
        return Reply(result=result), [octets, told.rows.tobytes(), told.text]

    def _first_seqs(self, row: int) -> list[int]:
        result = []
        for side in (0, 1):
            direction = self.content.tables.dirs[2 * row + side]
            started = int(direction["next_seq"]) - int(direction["offset"])
            silent = int(direction["isn"]) + 1
            first = started if direction["marks"] & STARTED else silent
            result.append(first & 0xFFFFFFFF)
        return result

    def _page(self, query: ConversationQuery) -> tuple[Page, bool]:
        """The turns, and whether nothing is left behind them."""
        pieces = np.concatenate([self._pieces(query.row, side) for side in (0, 1)], axis=1)
        pieces = pieces[:, pieces[START] < pieces[STOP]]
        pieces = pieces[:, np.lexsort((pieces[LOG], pieces[TIME]))]
        after = np.minimum(np.array(query.after, np.uint64), np.uint64(1 << 62)).astype(np.int64)
        new = np.flatnonzero(pieces[STOP] > after[pieces[SIDE]])
        page = Page(query, int(pieces[TIME, new[0] - 1]) if new.size and new[0] else None)
        for i in new[:PIECES_MAX].tolist():
            start, stop, ts_ns, _, place, side = pieces[:, i].tolist()
            told = max(0, page.after[side] - start)
            place = place if place == GAP else place + told
            if not page.take(side, start + told, stop, ts_ns, place):
                return page, False
        return page, new.size <= PIECES_MAX

    def _pieces(self, row: int, side: int) -> Columns:
        """Of one direction: a gap, an extent, a gap, … some of them empty. One column a piece."""
        tables = self.content.tables
        end = self.content.emitted(row, side)
        found = self.content.extents(row, side) if tables.retains else NOTHING
        there = found.starts < end  # what is held out of order is not said yet
        starts, places = found.starts[there], found.places[there]
        stops = np.minimum(starts + found.lengths[there], end)
        result = np.zeros((6, 2 * starts.size + 1), np.int64)
        result[SIDE] = side
        result[START, 1::2], result[STOP, 1::2] = starts, stops
        result[START, 2::2], result[STOP, :-1:2], result[STOP, -1] = stops, starts, end
        result[PLACE, ::2], result[PLACE, 1::2] = GAP, places
        first_ns = int(tables.flows[row]["first_ns"])
        self._order(result, np.maximum.accumulate(found.times[there]), places, first_ns)
        return result

    def _order(self, pieces: Columns, times: Columns, places: Columns, first_ns: int) -> None:
        """Fill in the time and the place in the log; those of a gap are of what follows it."""
        if not times.size:
            pieces[TIME] = first_ns
            return
        log = np.maximum.accumulate(self._positions(places))
        for name, column in ((TIME, times), (LOG, log)):
            pieces[name, 1::2] = pieces[name, :-1:2] = column
            pieces[name, -1] = column[-1]

    def _positions(self, places: Columns) -> Columns:
        """Where in the log the bytes were written; ring 1, with later offsets, after ring 0."""
        state, config = self.content.tables.state, self.content.tables.config
        first, second = int(config[s.RING_0]), int(config[s.RING_1])
        in_second = places >= first
        size = np.where(in_second, max(1, second), first)
        heads = int(state[s.HEAD_0]), int(state[s.HEAD_1])
        head = np.where(in_second, heads[1], heads[0])
        age = (head - np.where(in_second, places - first, places)) % size
        result: Columns = head - age + np.where(in_second, 1 << 62, 0)
        return result
