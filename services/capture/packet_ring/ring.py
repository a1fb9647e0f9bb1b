"""The packet ring as capture sees it: packets go in, and it never holds them up for long.

Capture fills pages; a thread appends them to the segments, since a disk may take its time. When no
page is free capture waits a moment, so that a file is read no faster than it is written. A ring
that has not caught up by then is passed over until it has: analysis is never the one to wait. Nor
does it end with a disk that is full: that is said, and tried again. What was not kept is counted.
"""

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np
from numpy.typing import NDArray

from services.capture.fragments import Joined
from services.capture.kernels.ring_pages import (
    OCTETS,
    PAGE_FIELDS,
    ROWS,
    TOO_LONG,
    fill_page,
)
from services.capture.numbers import NO_NUMBERS, Numbering
from services.capture.packet_ring.segments import Page, Segments
from services.capture.source import Batch
from shared.columns import UNSUPPORTED_LINK
from shared.packet_ring import ALIAS, ALIAS_ROW, KIND_BITS, Segment, input_hash, segments
from shared.settings import Settings

PAGES = 8
PAGE_BYTES, PAGE_ROWS = 1 << 20, 8192
WAIT_S = 1.0  # for a page; a buffer of the system's for live packets lasts as long
RETRY_S = 5.0  # after the disk refused
FLUSH_S = 10.0
RUN_MARK = "packet-ring"  # file in the run directory, of the folder that this run uses

log = logging.getLogger(__name__)


def open_ring(settings: Settings) -> "PacketRing | None":
    """The ring that is asked for; it goes on with what a capture of this run left that died."""
    if not settings.packet_ring:
        return None
    folder, mark = Path(settings.packet_ring), Path(settings.run_dir) / RUN_MARK
    keep = mark.is_file() and mark.read_text() == str(folder.absolute())
    ring = PacketRing(folder, settings.packet_ring_bytes, keep)
    mark.write_text(str(folder.absolute()))
    return ring


class PacketRing:
    """Owns the segments in a folder. budget: bytes on disk. keep: go on with those of this run,
    of a capture that died; else the folder's are removed. UserError when it cannot be used."""

    def __init__(self, folder: Path, budget: int, keep: bool = False) -> None:
        self.folder = folder
        self.segments = Segments(folder, budget, keep)
        room = self.segments.room
        shape = min(PAGE_BYTES, room.octets), min(PAGE_ROWS, room.rows)
        self.kept = self.left_out = 0
        self.trouble = ""  # a sentence
        self.next_number = self.segments.last + 1
        self._free: SimpleQueue[Page] = SimpleQueue()
        for _ in range(PAGES):
            self._free.put(Page(*shape))
        self._full: SimpleQueue[Page | None] = SimpleQueue()
        self._behind = False
        self._retry_at = 0.0
        self._refused = 0  # packets
        self._thread = threading.Thread(target=self._write, name="packet-ring", daemon=True)
        self._thread.start()

    # ---------------------------------------------------------------------------- capture
    def take(
        self,
        batch: Batch,
        packets: NDArray[np.void],
        joined: Sequence[Joined],
        numbers: Numbering = NO_NUMBERS,
    ) -> None:
        """Keep a batch. packets: (n,) PACKET, what was decoded of it; numbers: of its input, if
        that can be read again. What the process before kept of it is not kept twice."""
        source = input_hash(numbers.name)
        seen = self.segments.seen.get(source) if source else None
        known = numbers.row_behind(seen) if seen is not None else 0
        first = self.next_number - known
        links = self._links(batch, packets, known)
        for link in links:
            whole = numbers if link == links[-1] else NO_NUMBERS
            self._take(batch, packets, known, link, first, whole)
        self._join(batch, [each for each in joined if each.row >= known], first)
        self.next_number += max(0, batch.records.size - known)

    def _links(self, batch: Batch, packets: NDArray[np.void], start: int) -> list[int]:
        """The link types of packets [start, …). Those that cannot be decoded belong to no flow, and
        there are as many of them as somebody makes up: they are left out."""
        links, status = batch.records["link"][start:], packets["status"][start:]
        if not links.size or ((links == links[0]).all() and status[0] != UNSUPPORTED_LINK):
            return [int(links[0])] if links.size else []
        known = status != UNSUPPORTED_LINK
        self.left_out += int(np.count_nonzero(~known))
        found: list[int] = np.unique(links[known]).tolist()
        return found

    def _take(
        self,
        batch: Batch,
        packets: NDArray[np.void],
        at: int,
        link: int,
        first: int,
        numbers: Numbering,
    ) -> None:
        """Packets [at, …) of one link type. numbers: if all others are taken."""
        data, records = batch.data[: batch.used], batch.records
        told = np.zeros(PAGE_FIELDS, np.uint64)
        while at < records.size:
            page = self._page(link)
            if page is None:
                self.left_out += int(np.count_nonzero(records["link"][at:] == link))
                break
            told[ROWS] = told[OCTETS] = 0
            at = fill_page(
                data, records, packets, at, link, first, page.octets, page.flows, page.rows, told
            )
            if numbers.name:
                page.input, page.upto = input_hash(numbers.name), numbers.upto(at)
            self._hand_over(page, int(told[ROWS]), int(told[OCTETS]))
        self.left_out += int(told[TOO_LONG])

    def _join(self, batch: Batch, joined: Sequence[Joined], first: int) -> None:
        """The rows by which the fragments of datagrams are found."""
        while joined:
            page = self._page(int(batch.records["link"][joined[0].row]))
            if page is None:
                return  # the last fragment is not kept either, and counted
            now, joined = joined[: page.flows.size], joined[page.flows.size :]
            rows = page.rows[: len(now)].view(ALIAS_ROW)
            for i, (row, parent, child) in enumerate(now):
                page.flows[i] = parent & ~KIND_BITS | ALIAS
                rows[i] = first + row, batch.records["ts_ns"][row], child
            self._hand_over(page, len(now), 0)

    def _page(self, link: int) -> Page | None:
        """A page to fill; None when the disk does not keep up."""
        if self._behind and self._free.qsize() < PAGES:
            return None
        try:
            page = self._free.get(timeout=WAIT_S)
        except Empty:
            self._behind = True
            return None
        self._behind = False
        page.link, page.input = link, 0
        return page

    def _hand_over(self, page: Page, count: int, used: int) -> None:
        page.count, page.used = count, used
        (self._full if count else self._free).put(page)

    # ----------------------------------------------------------------------------- thread
    def _write(self) -> None:
        try:
            while (page := self._full.get()) is not None:
                self._append(page)
                self._free.put(page)
        except BaseException:
            self.trouble = "the packet ring has ended by a fault of its own; packets are not kept"
            raise

    def _append(self, page: Page) -> None:
        packets = page.count if page.used else 0  # an alias is no packet
        if time.monotonic() < self._retry_at:
            self._refused += packets
            return
        try:
            self.segments.append(page)
        except OSError as error:
            self._refused += packets
            self._stop(error.strerror or str(error))
            return
        self.kept += packets
        if self.trouble:
            log.warning("the packet ring is written again")
            self.trouble = ""

    def _stop(self, reason: str) -> None:
        self._retry_at = time.monotonic() + RETRY_S
        trouble = (
            f"the packet ring in {self.folder} cannot be written: {reason.lower()}; packets are"
            " analysed and not kept until it can: free space there"
        )
        if trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble

    # ----------------------------------------------------------------------------- others
    def stats(self) -> dict[str, int]:
        """Totals by their metric names; bytes and their bound are gauges."""
        return {
            "packet_ring_kept": self.kept,
            "packet_ring_left_out": self.left_out + self._refused,
            "packet_ring_bytes": self.segments.bytes,
            "packet_ring_bytes_max": self.segments.budget,
        }

    def flush(self, seconds: float = FLUSH_S) -> list[Segment]:
        """Wait until what was taken is on disk, at most so long; returns what can be read."""
        deadline = time.monotonic() + seconds
        while self._free.qsize() < PAGES and time.monotonic() < deadline:
            time.sleep(0.001)
        return segments(self.folder)

    def close(self) -> None:
        """Write what waits and cut the files to their size. The packets stay on disk."""
        self._full.put(None)
        self._thread.join(FLUSH_S)
        if not self._thread.is_alive():
            self.segments.close()
