"""How many matches each stream has of each pattern: a pool of pairs and two ways to one.

A *pair* is a slot of the inventory, a pattern and a count. From a slot a doubly linked chain leads
to all its pairs; from slot and pattern a hash table leads to one. Both ways hold 1 + position in
the pool, 0 = nothing. A pair that is free has pattern 0, which no pattern is.
"""

from typing import Any, NamedTuple

import numpy as np

from services.coordinator.kernels.inventory import CHANGED
from shared.columns import I64, U8, U32, OutU8, OutU32, OutU64, Pairs
from shared.kernels import inlined, kernel

# positions in `state`
(
    HIGH,  # pairs of the pool ever used
    FREE,  # 1 + the first free one below HIGH; they are linked by `next`
    USED,
    DROPPED,  # pairs that found the pool full
    LATE,  # pairs of streams that are not in the inventory
    SALT_SLOT,  # odd secrets of 32 bits: nobody can choose streams that crowd the table
    SALT_PATTERN,
    STATE_LEN,
) = range(8)

ZERO, ONE, FOLD = np.uint64(0), np.uint64(1), np.uint64(21)
FEW = np.uint64(4)  # less than one of so many pairs is taken off the table one by one


class PairColumns(NamedTuple):
    """slot, pattern, found (how many), next, previous: (pairs,). head: (slots,). table: a power of
    two, at least 2 * pairs. state: (STATE_LEN,)."""

    slot: OutU32
    pattern: OutU32
    found: OutU32
    next: OutU32
    previous: OutU32
    head: OutU32
    table: OutU32
    state: OutU64


@inlined
def home(slot: Any, pattern: Any, c: Any) -> Any:
    """Where in the table the search for a pair begins."""
    mixed = (slot * c.state[SALT_SLOT]) ^ (pattern * c.state[SALT_PATTERN])
    return (mixed ^ (mixed >> FOLD)) & (np.uint64(c.table.size) - ONE)


@inlined
def place_of(slot: Any, pattern: Any, c: Any) -> Any:
    """Where in the table the pair is, or the free place where it would be."""
    mask = np.uint64(c.table.size) - ONE
    at = home(slot, pattern, c)
    while c.table[at] != 0:
        pair = np.uint64(c.table[at]) - ONE
        if np.uint64(c.slot[pair]) == slot and np.uint64(c.pattern[pair]) == pattern:
            break
        at = (at + ONE) & mask
    return at


@inlined
def close_hole(hole: Any, c: Any) -> None:
    """Take what lies there off the table (Knuth 6.4, algorithm R)."""
    size = np.uint64(c.table.size)
    mask = size - ONE
    at = hole
    while True:
        at = (at + ONE) & mask
        if c.table[at] == 0:
            break
        pair = np.uint64(c.table[at]) - ONE
        start = home(np.uint64(c.slot[pair]), np.uint64(c.pattern[pair]), c)
        if (at + size - start) & mask >= (at + size - hole) & mask:
            c.table[hole] = c.table[at]
            hole = at
    c.table[hole] = 0


@inlined
def unlink(pair: Any, c: Any) -> None:
    """Free a pair that is in the table no more."""
    after, before = np.uint64(c.next[pair]), np.uint64(c.previous[pair])
    if before != ZERO:
        c.next[before - ONE] = np.uint32(after)
    else:
        c.head[np.uint64(c.slot[pair])] = np.uint32(after)
    if after != ZERO:
        c.previous[after - ONE] = np.uint32(before)
    c.pattern[pair] = 0
    c.next[pair] = np.uint32(c.state[FREE])
    c.state[FREE] = pair + ONE
    c.state[USED] -= ONE


@inlined
def remove(at: Any, c: Any) -> None:
    """Free the pair at this place of the table."""
    pair = np.uint64(c.table[at]) - ONE
    close_hole(at, c)
    unlink(pair, c)


@inlined
def build_table(c: Any) -> None:
    """Enter all pairs in an empty table."""
    for i in range(c.table.size):
        c.table[np.uint64(i)] = 0
    for i in range(c.state[HIGH]):
        pair = np.uint64(i)
        if c.pattern[pair] != 0:
            at = place_of(np.uint64(c.slot[pair]), np.uint64(c.pattern[pair]), c)
            c.table[at] = np.uint32(pair + ONE)


@inlined
def take(c: Any) -> Any:
    """1 + a free pair; 0 when there is none."""
    if c.state[FREE] != ZERO:
        pair = c.state[FREE]
        c.state[FREE] = np.uint64(c.next[pair - ONE])
    elif c.state[HIGH] < np.uint64(c.slot.size):
        c.state[HIGH] += ONE
        pair = c.state[HIGH]
    else:
        return ZERO
    c.state[USED] += ONE
    return pair


@kernel
def merge_pairs(pairs: Pairs, slots: I64, c: PairColumns, marks: OutU8, changed: OutU8) -> int:
    """Enter counts, the last of a pair is the one that holds, 0 = none; returns how many changed.

    pairs: (n,), patterns not 0. slots: (n,), of their streams, -1 = not there. marks: (slots,) of
    the inventory. changed: (n,), set to 1 or 0.
    """
    total = 0
    for i in range(pairs.size):
        changed[i] = 0
        if slots[i] < 0:
            c.state[LATE] += ONE
            continue
        slot, pattern = np.uint64(slots[i]), np.uint64(pairs[i]["pattern"])
        count = pairs[i]["count"]
        at = place_of(slot, pattern, c)
        if c.table[at] != 0:
            pair = np.uint64(c.table[at]) - ONE
            if c.found[pair] == count:
                continue
            if count == 0:
                remove(at, c)
            else:
                c.found[pair] = count
        elif count == 0:
            continue
        else:
            taken = take(c)
            if taken == ZERO:
                c.state[DROPPED] += ONE
                continue
            pair = taken - ONE
            first = np.uint64(c.head[slot])
            c.slot[pair], c.pattern[pair] = np.uint32(slot), np.uint32(pattern)
            c.found[pair] = count
            c.next[pair], c.previous[pair] = np.uint32(first), np.uint32(0)
            if first != ZERO:
                c.previous[first - ONE] = np.uint32(taken)
            c.head[slot] = np.uint32(taken)
            c.table[at] = np.uint32(taken)
        marks[slot] |= np.uint8(CHANGED)
        changed[i] = 1
        total += 1
    return total


@kernel
def forget_slots(slots: U32, c: PairColumns) -> int:
    """Free all pairs of some slots; returns how many there were."""
    total = 0
    for i in range(slots.size):
        slot = np.uint64(slots[i])
        while c.head[slot] != 0:
            pair = np.uint64(c.head[slot]) - ONE
            remove(place_of(slot, np.uint64(c.pattern[pair]), c), c)
            total += 1
    return total


@kernel
def forget_pattern(pattern: int, c: PairColumns, marks: OutU8) -> int:
    """Free all pairs of a pattern, not 0; returns how many there were. marks: as above.

    Of many pairs the table is made anew from what stays: all of 1 M 73 -> 4 ms.
    """
    wanted, total = np.uint64(pattern), 0
    for i in range(int(c.state[HIGH])):
        total += int(np.uint64(c.pattern[np.uint64(i)]) == wanted)
    anew = np.uint64(total) * FEW > c.state[USED]
    for i in range(int(c.state[HIGH])):
        pair = np.uint64(i)
        if np.uint64(c.pattern[pair]) == wanted:
            slot = np.uint64(c.slot[pair])
            if not anew:
                close_hole(place_of(slot, wanted, c), c)
            unlink(pair, c)
            marks[slot] |= np.uint8(CHANGED)
    if anew:
        build_table(c)
    return total


@kernel
def list_pairs(
    slots: I64, c: PairColumns, most: int, patterns: OutU32, listed: OutU32, matches: OutU64
) -> int:
    """The patterns of some slots, and how many matches they have; returns how many are listed.

    slots, listed, matches: (n,). patterns: (n * most,); the first listed[i] of row i are filled,
    newest first; of more than `most` the rest is left out, but is in matches[i].
    """
    total = 0
    for i in range(slots.size):
        count, matches[i] = np.uint64(0), np.uint64(0)
        at = np.uint64(c.head[np.uint64(slots[i])])
        while at != ZERO:
            pair = at - ONE
            if count < np.uint64(most):
                patterns[np.uint64(i) * np.uint64(most) + count] = c.pattern[pair]
                count += ONE
            matches[i] += np.uint64(c.found[pair])
            at = np.uint64(c.next[pair])
        listed[i] = np.uint32(count)
        total += int(count)
    return total


@kernel
def mark_holders(slots: I64, pattern: int, c: PairColumns, held: OutU8) -> int:
    """Whether each of some slots has a match of a pattern; returns how many have.

    slots, held: (n,).
    """
    total = 0
    wanted = np.uint64(pattern)
    for i in range(slots.size):
        slot = np.uint64(slots[i])
        held[i] = 0
        if c.head[slot] != 0 and c.table[place_of(slot, wanted, c)] != 0:
            held[i] = 1
            total += 1
    return total


@kernel
def mark_all_holders(wanted: U8, c: PairColumns, held: OutU8) -> int:
    """Mark the slots that have a match of one of some patterns; returns how many pairs are such.

    wanted: 1 at the numbers of these patterns, 0 elsewhere. held: (slots,), or those in use.
    """
    total = 0
    for i in range(int(c.state[HIGH])):
        pair = np.uint64(i)
        pattern = np.uint64(c.pattern[pair])
        if pattern < np.uint64(wanted.size) and wanted[pattern] != 0:
            held[np.uint64(c.slot[pair])] = 1
            total += 1
    return total
