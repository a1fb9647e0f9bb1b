"""The packet ring: captured packets on disk, in a folder bounded in bytes; what it looks like.

The ring is a row of *segments*; the oldest goes when a new one needs room. Each is three files:

- `packets-00000012.pcap`: an ordinary pcap file with nanoseconds, of one link type. Not pcapng:
  libpcap reads no pcapng file of several link types, and a record there is 16 bytes longer.
- `packets-00000012.flows`: for each packet the hash of its flow, the two lowest bits being what
  the row is: FRAME, FRAGMENT (hash of what its datagram is known by) or ALIAS.
- `packets-00000012.rows`: a HEADER, then for each packet a RING_ROW.

An ALIAS row says that the fragments of another hash, its `child`, belong to this one: it is
written when a datagram has been put together, whose last fragment is a FRAME of the flow.

The files are preallocated, so that a full disk shows when a segment begins. The header is written
after what it counts, and what is behind its counts is not there: so another process may read while
this one is written, and one that was killed leaves a ring that is whole. Files only ever grow
behind their counts, are cut to them, or are removed.
"""

import os
import re
import struct
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.columns import RING_ROW

FRAME, FRAGMENT, ALIAS = range(3)
KIND_BITS = 3
FRAME_MAX = 262144  # libpcap takes a file with a longer one for damaged
RECORD_HEADER = 16  # of pcap: seconds, nanoseconds, caplen, wirelen
FILE_HEADER = 24
MAGIC = b"flowring"
LAYOUT = 1
HEADER = np.dtype(
    [
        ("magic", "S8"),
        ("layout", "<u4"),
        ("link", "<u4"),
        ("count", "<u8"),  # rows
        ("octets", "<u8"),  # of the pcap file
        ("first", "<u8"),  # numbers of its first and last packet
        ("last", "<u8"),
        ("min_ns", "<i8"),  # times of its packets
        ("max_ns", "<i8"),
        ("input", "<u8"),  # `input_hash` of what the newest of them came from,
        ("upto", "<u8"),  # and number in it up to which everything is in the ring
    ]
)
HEADER_BYTES = HEADER.itemsize
ALIAS_ROW = np.dtype([("number", "<u8"), ("ts_ns", "<i8"), ("child", "<u8")])
FLOW_BYTES, ROW_BYTES = 8, RING_ROW.itemsize
SUFFIXES = (".pcap", ".flows", ".rows")
NAME = re.compile(r"packets-(\d{8,18})\.(?:pcap|flows|rows)")
LOCK = "lock"

assert HEADER_BYTES == 80
assert ALIAS_ROW.itemsize == RING_ROW.itemsize


def file_header(link: int) -> bytes:
    """Of a pcap file with nanoseconds (draft-ietf-opsawg-pcap §4)."""
    return struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, FRAME_MAX, link)


class Segment(NamedTuple):
    """One that is there, and how much of it."""

    folder: Path
    serial: int
    link: int
    row_count: int
    octets: int
    first: int
    last: int
    min_ns: int
    max_ns: int
    input: int
    upto: int

    @property
    def pcap(self) -> Path:
        return segment_files(self.folder, self.serial)[0]

    def flows(self) -> NDArray[np.uint64]:
        """(row_count,) hashes, mapped. OSError when the segment is gone."""
        return np.memmap(
            segment_files(self.folder, self.serial)[1], np.uint64, "r", shape=(self.row_count,)
        )

    def rows(self) -> NDArray[np.void]:
        """(row_count,) RING_ROW, mapped. OSError when the segment is gone."""
        path = segment_files(self.folder, self.serial)[2]
        return np.memmap(path, RING_ROW, "r", HEADER_BYTES, shape=(self.row_count,))


def segment_files(folder: Path, serial: int) -> tuple[Path, Path, Path]:
    pcap, flows, rows = (folder / f"packets-{serial:08d}{suffix}" for suffix in SUFFIXES)
    return pcap, flows, rows


def input_hash(name: str) -> int:
    """What a header has of an input's name; 0 = an input that cannot be read again."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little") if name else 0


def serials(folder: Path) -> list[int]:
    """Numbers of the segments of which a folder has a file, the oldest first."""
    names: Iterable[str] = os.listdir(folder) if folder.is_dir() else ()
    return sorted({int(found[1]) for name in names if (found := NAME.fullmatch(name))})


def segments(folder: Path) -> list[Segment]:
    """Those with packets, the oldest first; what is gone meanwhile or damaged is not among them."""
    found = (read_header(folder, serial) for serial in serials(folder))
    return [segment for segment in found if segment is not None and segment.row_count]


def read_header(folder: Path, serial: int) -> Segment | None:
    """None when there is no such segment, or its files are not what they say."""
    pcap, flows, rows = segment_files(folder, serial)
    try:
        with rows.open("rb") as file:
            octets = file.read(HEADER_BYTES)
        sizes = [path.stat().st_size for path in (pcap, flows, rows)]
    except OSError:
        return None
    if len(octets) < HEADER_BYTES:
        return None
    header = np.frombuffer(octets, HEADER)[0]
    link, count, used = int(header["link"]), int(header["count"]), int(header["octets"])
    needed = (used, count * FLOW_BYTES, HEADER_BYTES + count * ROW_BYTES)
    known = header["magic"] == MAGIC and header["layout"] == LAYOUT
    if not known or any(there < need for there, need in zip(sizes, needed, strict=True)):
        return None
    return Segment(
        folder, serial, link, count, used,
        *(int(header[name]) for name in ("first", "last", "min_ns", "max_ns", "input", "upto")),
    )  # fmt: skip
