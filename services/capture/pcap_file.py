"""The pcap format: a file header, then records (draft-ietf-opsawg-pcap).

Micro- and nanosecond files in both byte orders, and the "modified" format of Alexey Kuznetzov
with its 24-byte record headers. A captured length above the file's snapshot length is believed up
to 262144 bytes, as libpcap does; above that, or above 64 MiB whatever the header says, the file
is damaged there and cannot be followed any further: a record does not say where the next begins.
"""

import struct
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from services.capture.kernels.records import (
    BLOCK_MAX,
    CAPTURED,
    CURSOR_SIZE,
    NEED,
    PCAP_CAPLEN,
    POS,
    STOP,
    TOO_LONG,
    walk_pcap,
)
from services.capture.source import SourceState
from services.capture.window import Window

FILE_HEADER = 24
VERSION_MAJOR = 2
SNAPLEN_MAX = 262144  # libpcap's MAXIMUM_SNAPLEN
INT32_MAX = (1 << 31) - 1


class Variant(NamedTuple):
    """What a magic number says of the file."""

    order: str  # of struct
    tick_ns: int  # nanoseconds in one unit of a record's fraction of a second
    record_header: int  # bytes


VARIANTS = {
    bytes.fromhex("d4c3b2a1"): Variant("<", 1000, 16),
    bytes.fromhex("a1b2c3d4"): Variant(">", 1000, 16),
    bytes.fromhex("4d3cb2a1"): Variant("<", 1, 16),
    bytes.fromhex("a1b23c4d"): Variant(">", 1, 16),
    bytes.fromhex("34cdb2a1"): Variant("<", 1000, 24),
    bytes.fromhex("a1b2cd34"): Variant(">", 1000, 24),
}


class Walked(NamedTuple):
    """What one walk over a window found."""

    base: int  # where in the window's data the records' offsets count from
    found: int  # records filled
    captured: int  # their bytes
    need: int  # unused bytes that must be in the window before a walk can find more
    ended: bool  # the file cannot be followed any further


class Format(Protocol):
    """A capture file format: finds the records in a window."""

    name: str

    def walk(self, window: Window, records: NDArray[np.void], state: SourceState) -> Walked:
        """Fill records from the window and move its start; damage goes to the state."""
        ...


class PcapFile:
    """A pcap file behind its header. ValueError if the header is not one to go by."""

    name = "pcap"

    def __init__(self, head: bytes, source: int, batch_bytes: int) -> None:
        self._variant = VARIANTS[head[:4]]
        major, minor, _, _, snaplen, link = struct.unpack(self._variant.order + "HHiIII", head[4:])
        if major != VERSION_MAJOR:
            raise ValueError(f"is pcap version {major}.{minor}; only version 2 can be read")
        self.link = link & 0xFFFF  # the upper half holds the FCS length
        believed = snaplen if snaplen <= INT32_MAX else 0
        self._caplen_max = min(max(believed, SNAPLEN_MAX), BLOCK_MAX - self._variant.record_header)
        self._source = source
        self._batch_bytes = batch_bytes
        self._cursor = np.zeros(CURSOR_SIZE, np.int64)

    def walk(self, window: Window, records: NDArray[np.void], state: SourceState) -> Walked:
        state.link_types.add(self.link)
        cursor, base = self._cursor, window.start
        found = walk_pcap(
            window.data,
            window.start,
            window.stop,
            self._variant.record_header,
            self._variant.order == ">",
            self._variant.tick_ns,
            self._caplen_max,
            self.link,
            self._source,
            self._batch_bytes,
            records,
            cursor,
        )
        window.start = int(cursor[POS])
        ended = bool(cursor[STOP] == TOO_LONG)
        if ended:
            state.report(window.position, self._too_long(window))
        return Walked(base, found, int(cursor[CAPTURED]), int(cursor[NEED]), ended)

    def _too_long(self, window: Window) -> str:
        header = window.head(self._variant.record_header)
        caplen = struct.unpack_from(self._variant.order + "I", header, PCAP_CAPLEN)[0]
        return f"a record of {caplen} bytes, more than {self._caplen_max}; the rest is not read"
