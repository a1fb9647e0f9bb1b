"""The inventory's bookkeeping: which stream has which slot, and its newest numbers.

A *slot* is a place in the inventory's columns. Slots are given out in a ring, so numbers grow
along it; when all are taken the oldest stream goes, unless it is a favourite. Three ways lead to
a slot: its position, the stream's id (`index`, open addressing), and the row in the shard's flow
table (`binding`, one for each shard). All counts are unsigned: signed ones would cost checks.
"""

from typing import Any

import numpy as np

from shared.columns import (
    EVENT,
    EVENT_OPEN,
    U32,
    U64,
    OutI64,
    OutU8,
    OutU16,
    OutU32,
    OutU64,
)
from shared.kernels import inlined, kernel

# positions in `state`
(
    NUMBERED,  # streams ever entered: the newest one's number
    HEAD,  # slot to be given out next
    USED,  # slots ever given out
    EVICTED,  # streams that had to go
    AFTER_EVICTION,  # events of streams that had gone
    BAD_PREVIEWS,  # pieces that point outside of what they may
    LATE_PREVIEWS,  # pieces of streams that had gone
    LAPPED_COUNT,  # favourites that the ring has passed over, evictions not yet taken off
    SALT_LOW,  # odd secrets: nobody can choose streams that crowd the index
    SALT_HIGH,
    FRESH,  # slots that the last call gave to another stream, or to another teller
    STATE_LEN,
) = range(12)

# bits of `marks`
FAVORITE, HIDDEN, LAPPED, CHANGED, ORPHANED, NEW_TEXT, BY_HAND = 1, 2, 4, 8, 16, 32, 64
# BY_HAND: a person said whether the stream is hidden, so no rule does

# An EVENT row is kept cut lengthwise, so that a filter reads only the bytes it asks for.
EVENT_WORDS = EVENT.itemsize // 8
IDS, ADDRESSES, TIMES, WIRE_BYTES, COUNTERS, SMALL, MESSAGES = 0, 1, 5, 7, 9, 20, 22
PLANES = (
    (IDS, 1),
    (ADDRESSES, 4),
    (TIMES, 2),
    (WIRE_BYTES, 2),
    (COUNTERS, 11),
    (SMALL, 2),
    (MESSAGES, 1),
)
KEPT_WORDS = EVENT_WORDS
ROW_WORD, KIND_WORD, SHARD_WORD = 19, 20, 21
assert EVENT.fields is not None
assert EVENT_WORDS == MESSAGES + 1 == sum(width for _, width in PLANES)
assert [EVENT.fields[name][1] for name in ("row", "kind", "shard")] == [
    8 * ROW_WORD,
    8 * KIND_WORD + 6,
    8 * SHARD_WORD + 7,
]
KIND_SHIFT, SHARD_SHIFT = np.uint64(48), np.uint64(56)

ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)
LOW, HASH_SHIFT, BYTE = np.uint64(0xFFFFFFFF), np.uint64(24), np.uint64(255)
WITHOUT_SHARD = np.uint64((1 << 56) - 1)
TEN, ELEVEN, THIRTY_TWO = np.uint64(10), np.uint64(11), np.uint64(32)


@inlined
def home(stream_id: Any, index: Any, state: Any) -> Any:
    """Where in the index the search for a stream begins."""
    mixed = ((stream_id & LOW) * state[SALT_LOW]) ^ ((stream_id >> THIRTY_TWO) * state[SALT_HIGH])
    return (mixed >> HASH_SHIFT) & (np.uint64(index.size) - ONE)


@inlined
def place_of(stream_id: Any, planes: Any, index: Any, state: Any) -> Any:
    """Where in the index the stream is, or the free place where it would be."""
    mask = np.uint64(index.size) - ONE
    at = home(stream_id, index, state)
    while index[at] != 0 and planes[np.uint64(index[at]) - ONE] != stream_id:
        at = (at + ONE) & mask
    return at


@inlined
def remove(stream_id: Any, planes: Any, index: Any, state: Any) -> None:
    """Take a stream off the index and close the hole (Knuth 6.4, algorithm R)."""
    size = np.uint64(index.size)
    mask = size - ONE
    hole = place_of(stream_id, planes, index, state)
    at = hole
    while True:
        at = (at + ONE) & mask
        if index[at] == 0:
            break
        start = home(planes[np.uint64(index[at]) - ONE], index, state)
        if (at + size - start) & mask >= (at + size - hole) & mask:
            index[hole] = index[at]
            hole = at
    index[hole] = 0


@inlined
def owner(slot: Any, planes: Any, capacity: Any) -> Any:
    """Shard and row of the stream in a slot, in one number."""
    row = planes[capacity * np.uint64(COUNTERS) + slot * ELEVEN + TEN] & LOW
    small = capacity * np.uint64(SMALL) + slot * TWO
    return (planes[small + ONE] >> SHARD_SHIFT) << THIRTY_TWO | row


@inlined
def take_slot(planes: Any, marks: Any, index: Any, state: Any) -> Any:
    """The next slot of the ring, emptied. Favourites are passed over while there is another slot;
    at most half of the slots are favourites, so that is one step more for each on the average."""
    capacity = np.uint64(marks.size)
    slot = state[HEAD]
    if state[USED] < capacity:
        state[USED] += ONE
    else:
        passed = ZERO
        while marks[slot] & FAVORITE and passed < capacity:
            if marks[slot] & LAPPED == 0:
                marks[slot] |= np.uint8(LAPPED)
                state[LAPPED_COUNT] += ONE
            slot = (slot + ONE) % capacity
            passed += ONE
        if marks[slot] & LAPPED:
            state[LAPPED_COUNT] -= ONE
        remove(planes[slot], planes, index, state)
        state[EVICTED] += ONE
    state[HEAD] = (slot + ONE) % capacity
    return slot


@inlined
def copy(words: Any, start: Any, count: Any, planes: Any, to: Any) -> None:
    """`count` words, a constant."""
    for i in range(count):
        planes[to + np.uint64(i)] = words[start + np.uint64(i)]


@inlined
def keep(slot: Any, words: Any, base: Any, shard: Any, planes: Any, capacity: Any) -> None:
    """Cut an EVENT row into the planes."""
    planes[slot] = words[base]
    copy(words, base + np.uint64(ADDRESSES), 4, planes, capacity + slot * np.uint64(4))
    at = capacity * np.uint64(TIMES) + slot * TWO
    copy(words, base + np.uint64(TIMES), 2, planes, at)
    at = capacity * np.uint64(WIRE_BYTES) + slot * TWO
    copy(words, base + np.uint64(WIRE_BYTES), 2, planes, at)
    at = capacity * np.uint64(COUNTERS) + slot * ELEVEN
    copy(words, base + np.uint64(COUNTERS), 11, planes, at)
    at = capacity * np.uint64(SMALL) + slot * TWO
    planes[at] = words[base + np.uint64(KIND_WORD)]
    planes[at + ONE] = words[base + np.uint64(SHARD_WORD)] & WITHOUT_SHARD | shard << SHARD_SHIFT
    at = capacity * np.uint64(MESSAGES) + slot
    if planes[at] != words[base + np.uint64(MESSAGES)]:  # a page that nobody needs stays untouched
        planes[at] = words[base + np.uint64(MESSAGES)]


@kernel
def merge_events(
    words: U64,
    shard: int,
    planes: OutU64,
    number: OutU64,
    preview_len: OutU16,
    marks: OutU8,
    index: OutU32,
    binding: OutU32,
    state: OutU64,
    slots: OutU32,
    fresh: OutU32,
) -> int:
    """Enter the events of one shard, in their order; returns how many found a slot.

    words: n EVENT rows as n * EVENT_WORDS words; `row` of each is below binding.size.
    planes: KEPT_WORDS * capacity words. number, marks: (capacity,). preview_len: (2 * capacity,).
    index: a power of two, at least 2 * capacity, of 1 + slot; 0 = free. binding: 1 + slot of each
    row of the shard's flow table; 0 = never told of. An update of a stream that had to go stays
    out; of one whose opening was never seen, it enters. slots, fresh: (n,) or more; filled with the
    slot of each event that found one, and with the state[FRESH] slots of them whose stream is new
    there or told by another process or row.
    """
    capacity = np.uint64(marks.size)
    me = np.uint64(shard)
    entered = ZERO
    state[FRESH] = ZERO
    for i in range(words.size // EVENT_WORDS):
        base = np.uint64(i) * np.uint64(EVENT_WORDS)
        stream_id = words[base]
        row = words[base + np.uint64(ROW_WORD)] & LOW
        opens = (words[base + np.uint64(KIND_WORD)] >> KIND_SHIFT) & BYTE == EVENT_OPEN
        bound = np.uint64(binding[row])
        mine = bound != ZERO and owner(bound - ONE, planes, capacity) == (me << THIRTY_TWO | row)
        if mine and planes[bound - ONE] == stream_id:
            slot = bound - ONE
        else:
            at = place_of(stream_id, planes, index, state)
            if index[at] != 0:  # told of by an earlier instance, or forgotten by the flow table
                slot = np.uint64(index[at]) - ONE
                preview_len[slot * TWO] = 0
                preview_len[slot * TWO + ONE] = 0
                marks[slot] |= np.uint8(NEW_TEXT)
            elif not opens and bound != ZERO and not mine:
                state[AFTER_EVICTION] += ONE
                continue
            else:
                slot = take_slot(planes, marks, index, state)
                planes[slot] = stream_id
                index[place_of(stream_id, planes, index, state)] = np.uint32(slot + ONE)
                state[NUMBERED] += ONE
                number[slot] = state[NUMBERED]
                preview_len[slot * TWO] = 0
                preview_len[slot * TWO + ONE] = 0
                marks[slot] = NEW_TEXT
            binding[row] = np.uint32(slot + ONE)
            fresh[state[FRESH]] = np.uint32(slot)
            state[FRESH] += ONE
        keep(slot, words, base, me, planes, capacity)
        marks[slot] = np.uint8((marks[slot] & (255 - ORPHANED)) | CHANGED)
        slots[entered] = np.uint32(slot)
        entered += ONE
    return int(entered)


@kernel
def find_slots(ids: U64, planes: U64, index: U32, state: U64, slots: OutI64) -> int:
    """The slot of each stream, -1 where it is not in the inventory; returns how many are.

    ids, slots: (n,).
    """
    found = 0
    for i in range(ids.size):
        at = place_of(ids[i], planes, index, state)
        slots[i] = int(index[at]) - 1
        found += int(index[at] != 0)
    return found
