"""What can be asked of streams: conditions on the columns of some slots.

A *part* of the inventory is a block of slots, whose columns are views, or any slots, whose columns
are gathered once. A condition takes a part and says of each of its slots whether it holds. Filters,
hide rules and profiles are all made of these.
"""

import ipaddress
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.coordinator.view import Inventory
from shared.columns import CONTENT_KINDS, PROTOCOLS, SERVICES, STATUSES

NS_MAX, U64_MAX = (1 << 63) - 1, (1 << 64) - 1

Mask = NDArray[np.bool_]


class BadValueError(ValueError):
    """A filter's value that means nothing; `hint` says what would."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Part:
    """Some slots of an inventory: `part("port_a")` is a column of EVENT, `part("marks")` marks."""

    def __init__(self, inventory: Inventory, where: slice | NDArray[Any]) -> None:
        self.inventory, self.where = inventory, where
        self._gathered: dict[str, NDArray[Any]] = {}

    def __call__(self, name: str) -> NDArray[Any]:
        column = self._gathered.get(name)
        if column is None:
            whole = self.inventory.marks if name == "marks" else self.inventory.columns[name]
            column = self._gathered[name] = whole[self.where]
        return column

    @property
    def slots(self) -> NDArray[np.int64]:
        """The slots by number."""
        if isinstance(self.where, slice):
            return np.arange(self.where.start, self.where.stop, dtype=np.int64)
        return self.where.astype(np.int64)


Condition = Callable[[Part], Mask]


def any_of(conditions: list[Condition]) -> Condition:
    """True where at least one holds; of no conditions, nowhere."""

    def condition(part: Part) -> Mask:
        found = np.zeros(part("marks").size, bool)
        for one in conditions:
            found |= one(part)
        return found

    return condition


def has_port(port: int) -> Condition:
    """Either endpoint's."""
    return lambda part: (part("port_a") == port) | (part("port_b") == port)


def has_port_among(ports: list[int]) -> Condition:
    """Either endpoint's is one of these."""
    wanted = np.zeros(65536, bool)
    wanted[ports] = True
    return lambda part: wanted[part("port_a")] | wanted[part("port_b")]


def is_among(name: str, codes: list[int]) -> Condition:
    """A column of bytes has one of these."""
    wanted = np.zeros(256, bool)
    wanted[codes] = True
    return lambda part: wanted[part(name)]


def is_matched(part: Part) -> Mask:
    """A match of any pattern."""
    found: Mask = part.inventory.matches.head[part.where] != 0
    return found


def is_stream(stream_id: int) -> Condition:
    return lambda part: part("stream_id") == np.uint64(stream_id)


def is_one_of(part: Part, ids: NDArray[np.uint64]) -> Mask:
    """Which are one of some streams; ids are sorted. The fewer are looked up in the more: 65536 ids
    and 4096 streams 0.1 ms, 1 M streams 0.1 s."""
    column = part("stream_id")
    if ids.size < column.size:
        return is_one_of_all(part.inventory, ids)(part)
    at = np.searchsorted(ids, column)
    return ids[np.minimum(at, ids.size - 1)] == column if ids.size else np.zeros(column.size, bool)


def is_one_of_all(inventory: Inventory, ids: NDArray[np.uint64]) -> Condition:
    """The same for parts that are all slots, one after the other: looked up once."""
    slots, mask = inventory.find_all(ids), np.zeros(inventory.used, bool)
    mask[slots[slots >= 0]] = True
    return within_mask(mask)


def holds_pattern(pattern: int) -> Condition:
    """A match of the pattern; for parts, since a stream that has matches costs a look-up."""
    return lambda part: part.inventory.matches.holds(part.slots, pattern)


def holds_pattern_of_all(inventory: Inventory, patterns: list[int]) -> Condition:
    """A match of one of them, for parts that are all slots: one look at all pairs."""
    return within_mask(inventory.matches.holders(patterns, inventory.used))


def within_mask(mask: Mask) -> Condition:
    """What was found for all slots before."""
    return lambda part: mask[part.where]


def clamped(ns: int) -> int:
    """The nearest time that the columns can hold."""
    return max(-NS_MAX, min(ns, NS_MAX))


def total_bytes(part: Part) -> NDArray[np.uint64]:
    """Bytes of both directions, on the wire."""
    both = part("bytes")
    result: NDArray[np.uint64] = both[:, 0] + both[:, 1]
    return result


def equals(name: str, code: int) -> Condition:
    return lambda part: part(name) == code


def has_content(code: int) -> Condition:
    """The kind of the stream as a whole."""
    return lambda part: part("content_kind")[:, 0] == code


def within(text: str) -> Condition:
    """An endpoint inside an address block, `10.0.0.0/8` or `2001:db8::/32`, or one address."""
    try:
        block = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise BadValueError(
            f"addr {text!r} is no address and no block", "such as 10.1.2.3, 10.0.0.0/8, fe80::/10"
        ) from None
    net, bits = int(block.network_address), int(block.netmask)
    if block.version == 4:
        bits |= ((1 << 96) - 1) << 32  # IPv4 lies right-aligned in 16 bytes
    halves = [(net >> shift & U64_MAX, bits >> shift & U64_MAX) for shift in (64, 0)]

    def condition(part: Part) -> Mask:
        found: Mask = ends_within(part, "a", halves) | ends_within(part, "b", halves)
        found &= part("family") == block.version
        return found

    return condition


def ends_within(part: Part, end: str, halves: list[tuple[int, int]]) -> Mask:
    """Endpoint a or b: both halves of the address agree under the mask."""
    (high_net, high_bits), (low_net, low_bits) = halves
    result: Mask = part(f"addr_{end}_lo") & np.uint64(low_bits) == np.uint64(low_net)
    if high_bits:
        high: Mask = part(f"addr_{end}_hi") & np.uint64(high_bits) == np.uint64(high_net)
        result &= high
    return result


def code_of(field: str, value: str, codes: dict[str, int]) -> int:
    """The number that stands for a name in the columns."""
    if value not in codes:
        raise BadValueError(f"{field} {value!r} is not known", "one of " + ", ".join(codes))
    return codes[value]


PROTOCOL_CODES = {name: number for number, name in PROTOCOLS.items()}
SERVICE_CODES = {name or "unknown": code for code, name in enumerate(SERVICES)}
STATUS_CODES = {name: code for code, name in enumerate(STATUSES)}
CONTENT_CODES = {name: code for code, name in enumerate(CONTENT_KINDS)}
