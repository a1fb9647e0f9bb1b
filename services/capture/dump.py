"""Dump mode: one JSON line a packet, and no analysis.

`{"ts_us", "event": "packet", "number", "linktype", "caplen", "wirelen", "base64"}`; numbers count
from 1 what the filter lets through, over all sources. Lines are written as they are made, in
pieces of at most a few MiB, or as long as the longest packet needs.
"""

import io
import logging
import math
import os
from contextlib import closing

import numpy as np

from services.capture.bpf import CaptureFilter
from services.capture.kernels.dump_lines import LINE_BYTES, dump_lines
from services.capture.reading import Reading
from services.capture.source import Batch, PacketSource
from services.capture.sources import open_sources
from shared.errors import EXIT_NOTHING_READ, EXIT_OK, UserError
from shared.output import check_not_an_input, output_path
from shared.service import Stop
from shared.settings import Settings

log = logging.getLogger(__name__)

STDOUT = "-"
STDOUT_FD = 1
BUFFER_BYTES = 1 << 21


class DumpWriter:
    """Writes batches to a file as lines. UserError when it cannot be written, naming it.

    BrokenPipeError passes: whoever read the lines has seen enough.
    """

    def __init__(self, file: io.RawIOBase, name: str) -> None:
        self.packets = 0
        self._file = file
        self._name = name
        self._buffer = np.empty(BUFFER_BYTES, np.uint8)
        self._cursor = np.zeros(1, np.int64)

    def write(self, batch: Batch) -> None:
        """One line for each record."""
        done, total = 0, len(batch.records)
        while done < total:
            size = dump_lines(
                batch.data, batch.records, done, self.packets + 1, self._buffer, self._cursor
            )
            if int(self._cursor[0]) == done:
                self._make_room(int(batch.records[done]["caplen"]))
            done = int(self._cursor[0])
            self._put(self._buffer.data[:size])
        self.packets += total

    def _make_room(self, caplen: int) -> None:
        self._buffer = np.empty(LINE_BYTES + (caplen + 2) // 3 * 4, np.uint8)

    def _put(self, piece: memoryview) -> None:
        try:
            while piece:
                piece = piece[self._file.write(piece) or 0 :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise cannot_write(self._name, error) from None


class Dump:
    """A run in dump mode: all sources to the output."""

    def __init__(self, settings: Settings, stop: Stop) -> None:
        self._stop = stop
        self._max_packets = settings.max_packets
        self._output = output_path(settings)
        self._filter = CaptureFilter(settings.capture_filter) if settings.capture_filter else None
        self._sources = open_sources(settings)
        check_not_an_input(self._output, settings.pcap)

    def run(self) -> int:
        """Until the sources or --max-packets end, or a signal; returns the exit status."""
        reading = Reading(self._sources, lambda: None, self._stop.descriptor, lambda: math.inf)
        with open_output(self._output) as file, closing(reading):
            writer = DumpWriter(file, self._output)
            try:
                for source, batch in reading:
                    if source is not None and batch is not None:
                        self._dump(batch, writer)
                    elif source is not None:
                        self._over(source)
                    if self._stop.requested or not self._room(writer):
                        break
            except BrokenPipeError:
                log.info("nobody reads %s any more", self._output)
        failed = all(source.state.status == "failed" for source in self._sources)
        return EXIT_NOTHING_READ if failed else EXIT_OK

    def _dump(self, batch: Batch, writer: DumpWriter) -> None:
        if self._filter is not None:
            batch = self._filter.apply(batch)
        if self._max_packets:
            batch = batch._replace(records=batch.records[: self._room(writer)])
        writer.write(batch)

    def _over(self, source: PacketSource) -> None:
        source.close()
        for problem in source.state.problems:
            where = f" byte {problem.offset}:" if problem.offset else ""
            log.warning("%s:%s %s", source.state.name, where, problem.reason)

    def _room(self, writer: DumpWriter) -> int:
        """Packets that may still be written."""
        return self._max_packets - writer.packets if self._max_packets else 1


def open_output(path: str) -> io.FileIO:
    """The file to write to, emptied; `-` = standard output. UserError if it cannot be opened."""
    try:
        return io.FileIO(os.dup(STDOUT_FD) if path == STDOUT else path, "w")
    except OSError as error:
        raise cannot_write(path, error) from None


def cannot_write(path: str, error: OSError) -> UserError:
    reason = (error.strerror or str(error)).lower()
    return UserError(f"--output {path}: cannot be written ({reason}); free space or give another")
