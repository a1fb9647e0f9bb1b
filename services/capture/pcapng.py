"""The pcapng format: sections, interfaces, packet blocks (draft-ietf-opsawg-pcapng).

Every section has its own byte order and its own interfaces; an interface has a link type, a time
resolution (if_tsresol, decimal or binary) and an offset (if_tsoffset). Enhanced, simple and the
obsolete packet blocks are read, all others are passed over. A packet block that is wrong in
itself is counted and passed over; a block length that makes no sense ends the file, since
nothing says where the next block begins.
"""

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.capture.kernels.records import (
    BAD_LENGTH,
    CAPTURED,
    CURSOR_SIZE,
    DAMAGED,
    DIVIDE,
    DOES_NOT_FIT,
    FAULTS_KEPT,
    FOUND,
    FULL,
    INTERFACE_FIELDS,
    LENGTHS_DIFFER,
    MORE,
    MULTIPLY,
    NEED,
    NO_BYTE_ORDER,
    NO_SUCH_INTERFACE,
    POS,
    SECTION,
    SHIFT,
    SKIP,
    STOP,
    TIME_MAX_NS,
    TOO_LONG,
    TOO_SHORT,
    walk_pcapng,
)
from services.capture.pcap_file import Walked
from services.capture.source import SourceState
from services.capture.window import Window

MAGIC = bytes.fromhex("0a0d0d0a")
BYTE_ORDER_BIG = bytes.fromhex("1a2b3c4d")
VERSION_MAJOR = 1
INTERFACES_MAX = 65536  # in a section
STEPS = 4096  # sections and interfaces that one walk reads before others get their turn
OPTIONS_MAX = 1024  # of an interface; those behind are not looked at
OPT_END, IF_TSRESOL, IF_TSOFFSET = 0, 9, 14

FAULTS = {
    NO_SUCH_INTERFACE: "a packet of an interface that was not described",
    TOO_SHORT: "a packet block too short for its own header",
    DOES_NOT_FIT: "a packet longer than its block",
    LENGTHS_DIFFER: "a block whose two lengths differ",
}
ENDS = {
    TOO_LONG: "a block longer than 64 MiB; the rest is not read",
    BAD_LENGTH: "a block length that cannot be; the rest is not read",
    NO_BYTE_ORDER: "a section header without its byte-order magic; the rest is not read",
}


class Interface(NamedTuple):
    """What an interface description block says; times become ns as `unit` and `amount` say."""

    link: int
    snaplen: int
    unit: int
    amount: int
    offset_ns: int


class PcapngFile:
    """A pcapng file, from its first section header on."""

    name = "pcapng"

    def __init__(self, source: int, batch_bytes: int) -> None:
        self._big = False
        self._table = np.zeros(4 * INTERFACE_FIELDS, np.uint64)
        self._offsets_ns = np.zeros(4, np.int64)
        self._interfaces = 0
        self._source = source
        self._batch_bytes = batch_bytes
        self._cursor = np.zeros(CURSOR_SIZE, np.int64)

    def walk(self, window: Window, records: NDArray[np.void], state: SourceState) -> Walked:
        base, count, captured, need, ended = window.start, 0, 0, 0, False
        for _ in range(STEPS):
            if need or ended:
                break
            count = self._walk_blocks(window, base, count, records)
            self._report_faults(window, state)
            captured += int(self._cursor[CAPTURED])
            window.start = int(self._cursor[POS])
            stop = int(self._cursor[STOP])
            if stop == FULL:
                if count:
                    break
                base = window.start  # a batch's worth of blocks without a packet
            elif stop == MORE:
                need = int(self._cursor[NEED])
            elif stop == SKIP:
                window.skip(int(self._cursor[NEED]))
            else:
                ended = self._block(stop, window, state)
        return Walked(base, count, captured, need, ended)

    def _walk_blocks(self, window: Window, base: int, count: int, records: NDArray[np.void]) -> int:
        return walk_pcapng(
            window.data,
            window.start,
            window.stop,
            base,
            self._big,
            self._table,
            self._offsets_ns,
            self._interfaces,
            self._source,
            self._batch_bytes,
            count,
            records,
            self._cursor,
        )

    def _report_faults(self, window: Window, state: SourceState) -> None:
        found = int(self._cursor[DAMAGED])
        kept = min(found, FAULTS_KEPT)
        for at in range(FOUND, FOUND + 2 * kept, 2):
            state.report(window.offset + int(self._cursor[at]), FAULTS[int(self._cursor[at + 1])])
        state.damaged += found - kept

    def _block(self, stop: int, window: Window, state: SourceState) -> bool:
        """Take the section or interface block the walk stopped at; True if the file ends there."""
        if stop in ENDS:
            state.report(window.position, ENDS[stop])
            return True
        block = window.head(int(self._cursor[NEED]))
        error = self._section(block) if stop == SECTION else self._interface(block, state)
        if error:
            state.report(window.position, error)
            return True
        window.start += len(block)
        return False

    def _section(self, block: bytes) -> str:
        """§4.1. The interfaces of the section before are gone. Why it cannot be read, or ""."""
        self._big = block[8:12] == BYTE_ORDER_BIG
        self._interfaces = 0
        major, minor = struct.unpack_from(self._order + "HH", block, 12)
        if major != VERSION_MAJOR:
            return f"pcapng version {major}.{minor}; only version 1 can be read"
        return ""

    def _interface(self, block: bytes, state: SourceState) -> str:
        """§4.2. Its number is its place. Why it cannot be read, or ""."""
        if self._interfaces == INTERFACES_MAX:
            return f"more than {INTERFACES_MAX} interfaces; the rest is not read"
        told = read_interface(block, self._order)
        number = self._interfaces
        if number == self._offsets_ns.size:
            self._table = np.concatenate([self._table, self._table])
            self._offsets_ns = np.concatenate([self._offsets_ns, self._offsets_ns])
        row = number * INTERFACE_FIELDS
        self._table[row : row + INTERFACE_FIELDS] = told[:INTERFACE_FIELDS]
        self._offsets_ns[number] = told.offset_ns
        self._interfaces += 1
        state.link_types.add(told.link)
        return ""

    @property
    def _order(self) -> str:
        return ">" if self._big else "<"


def read_interface(block: bytes, order: str) -> Interface:
    """An interface description block, whole; order is that of struct. Options that make no sense
    are taken for absent.
    """
    link, _, snaplen = struct.unpack_from(order + "HHI", block, 8)
    resolution, offset_s = 6, 0
    at, end = 16, len(block) - 4
    for _ in range(OPTIONS_MAX):
        if at + 4 > end:
            break
        code, length = struct.unpack_from(order + "HH", block, at)
        value = block[at + 4 : min(at + 4 + length, end)]
        if code == OPT_END:
            break
        if code == IF_TSRESOL and length == len(value) == 1:
            resolution = value[0]
        elif code == IF_TSOFFSET and length == len(value) == 8:
            (offset_s,) = struct.unpack(order + "q", value)
        at += 4 + (length + 3 & ~3)
    offset_ns = max(-TIME_MAX_NS, min(offset_s * 1_000_000_000, TIME_MAX_NS))
    return Interface(link, snaplen, *time_unit(resolution), offset_ns)


def time_unit(resolution: int) -> tuple[int, int]:
    """if_tsresol as (unit, amount) of the kernel: a unit is 10^-n s, or 2^-n s with the top bit."""
    exponent = resolution & 0x7F
    if resolution & 0x80:
        return SHIFT, exponent
    if exponent <= 9:
        return MULTIPLY, 10 ** (9 - exponent)
    # beyond 10^19 a 64-bit number of units is less than a nanosecond: 0 stands for that
    return DIVIDE, 10 ** (exponent - 9) if exponent - 9 <= 19 else 0
