"""Read packets from anything that holds a capture file: the format is told by its first bytes.

`open_captures` makes a source of every path given; each opens its file when it is first read, so
that many files need one descriptor. Pipes are open-ended sources. Other readers (a folder that is
watched, a socket) use `CaptureReader` on an input of their own.
"""

import errno
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from services.capture.compressed import Decompressed, codec_of
from services.capture.inputs import STDIN, Input, Seekable, check_stdin, is_open_ended, open_input
from services.capture.pcap_file import FILE_HEADER, VARIANTS, Format, PcapFile, Walked
from services.capture.pcapng import MAGIC as PCAPNG_MAGIC
from services.capture.pcapng import PcapngFile
from services.capture.source import (
    BATCH_BYTES,
    BATCH_PACKETS,
    EMPTY_BATCH,
    Batch,
    SourceState,
)
from services.capture.window import Window
from shared.columns import RECORD

MAGIC_BYTES = 4
STRANGER_BYTES = 8  # looked at to say what an input is instead
TURNS = 4  # through the window in one read: recognise, decompress, recognise, find records

HEADER = "a file header"  # what is missing at the end of an input
SOURCES = 1 << 16  # numbers of sources that a record can name

# What people give by mistake, by its first bytes, and what helps.
STRANGERS = (
    (b"snoop\0\0\0", "is a Solaris snoop file; convert it with editcap"),
    (b"BZh", "is compressed with bzip2; decompress it first"),
    (b"\xfd7zXZ\0", "is compressed with xz; decompress it first"),
    (b"\x04\x22\x4d\x18", "is compressed with lz4; decompress it first"),
    (b"PK\x03\x04", "is a zip archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it first"),
)
WHY_NOT = {
    errno.ENOENT: "no such file",
    errno.EACCES: "permission denied; make it readable",
    errno.EISDIR: "is a folder; give the files in it",
}


def open_captures(
    paths: Sequence[str],
    batch_packets: int = BATCH_PACKETS,
    batch_bytes: int = BATCH_BYTES,
    index: int = 0,
) -> list["CaptureReader"]:
    """A source for every path, `-` = standard input.

    Their records carry index, index + 1 … as `source`, modulo 65536. A path that cannot be read
    makes a source that fails and says why in its state. UserError: standard input asked for twice,
    closed, or a terminal.
    """
    check_stdin(list(paths))
    return [
        CaptureReader(
            SourceState(
                "stdin" if path == STDIN else path,
                "stdin" if path == STDIN else "file",
                is_open_ended=is_open_ended(path),
            ),
            partial(open_input, path),
            (index + number) % SOURCES,
            batch_packets,
            batch_bytes,
        )
        for number, path in enumerate(paths)
    ]


class Place(NamedTuple):
    """How far one capture was read: packets given out, and the byte behind the last of them,
    counted after decompression."""

    packets: int = 0
    offset: int = 0


class CaptureReader:
    """A PacketSource over an input that holds one capture, compressed or not.

    Packet bytes are never copied: a batch is a view of the buffer they were read into. One read
    does a bounded amount of work, and the buffer is batch_bytes, or what the longest record needs
    (64 MiB at most). `after`: what was given out before is passed over, without reading it where
    input and format allow that.
    """

    def __init__(
        self,
        state: SourceState,
        open_input: Callable[[], Input],
        index: int,
        batch_packets: int = BATCH_PACKETS,
        batch_bytes: int = BATCH_BYTES,
        after: Place = Place(),
    ) -> None:
        self.state = state
        self.place = after  # how far the capture is read, by this reader and before it
        self._to_pass = after.packets  # that were given out before
        self._open_input = open_input
        self._index = index
        self._batch_bytes = batch_bytes
        self._batch_packets = batch_packets
        self._records = np.empty(0, RECORD)
        self._window: Window | None = None
        self._format: Format | None = None
        self._ended = False
        self._is_silent = False  # there was nothing in the input when it was last read
        self._codec = ""  # ", gzip" and such, once it is known to be compressed

    def read(self) -> Batch | None:
        """The next batch; one without records if nothing is there now; None at the end."""
        self._is_silent = False
        try:
            window = self._window or self._open()
            for _ in range(TURNS):
                if window is None or self._ended:
                    break
                batch = self._turn(window)
                if batch is not None:
                    return batch
        except OSError as error:
            self._fail(WHY_NOT.get(error.errno or 0, error.strerror or "cannot be read"))
        if not self._ended:
            return EMPTY_BATCH
        self.close()
        return None

    def descriptors(self) -> list[int]:
        return self._window.input.descriptors() if self._window and self._is_silent else []

    def due(self) -> float:
        """At once, unless there was nothing in the input."""
        return math.inf if self._is_silent else 0.0

    def held(self) -> bool:
        """No: an end that is wanted comes at once, in a file as in a pipe."""
        return False

    def close(self) -> None:
        """Let go of the input and the buffer."""
        self._ended = True
        if self._window is not None:
            self._window.input.close()
            self._window = None
            self.state.end()

    @property
    def wants(self) -> str:
        """What is missing if the input ends here; empty when it may."""
        window = self._window
        if window is None:
            return ""
        if self._format is None:
            return HEADER
        if window.skipping or window.left:
            return "the rest of a record"
        is_inside = isinstance(window.input, Decompressed) and window.input.is_cut_short
        return "more of its compressed data" if is_inside else ""

    def _open(self) -> Window | None:
        if self._ended:
            return None
        source = self._open_input()
        self._window = Window(source, self._batch_bytes)
        self._records = np.empty(self._batch_packets, RECORD)
        self.state.size = source.size
        return self._window

    def _turn(self, window: Window) -> Batch | None:
        """Find records in the window, else read on. None = take another turn, or it has ended."""
        if self._format is None:
            need = self._recognise(window)
        else:
            walked = self._format.walk(window, self._records, self._counts)
            self._ended, need = walked.ended, walked.need
            if walked.found:
                return self._batch(window, walked)
        if not need:
            return None
        got = window.fill(need)
        self.state.position = window.input.position
        if got is None:
            self._is_silent = True
            return EMPTY_BATCH
        if not got:
            self._cut_short(window, need)
            self._ended = True
            return None
        self.state.status = "reading"  # a pipe waits until somebody writes to it
        return None

    @property
    def _counts(self) -> SourceState:
        """Where damage is counted: nowhere before packets that were given out before."""
        if self._to_pass <= self._records.size:
            return self.state
        return SourceState(self.state.name, self.state.kind, link_types=self.state.link_types)

    def _recognise(self, window: Window) -> int:
        """Choose the format by the first bytes; how many are needed for that, 0 = chosen."""
        head = window.head(FILE_HEADER)
        need = FILE_HEADER if head[:MAGIC_BYTES] in VARIANTS else MAGIC_BYTES
        if len(head) < need:
            return need
        codec = codec_of(head)
        if codec and not self._codec:
            self._codec = f", {codec.name}"
            window.replace(Decompressed(window.input, codec, window.head(window.left)))
            return MAGIC_BYTES
        if len(head) < STRANGER_BYTES and head[:MAGIC_BYTES] != PCAPNG_MAGIC:
            return STRANGER_BYTES
        try:
            self._format = self._format_of(head)
        except ValueError as error:
            self._fail(str(error))
            return 0
        if need == FILE_HEADER:
            window.start += FILE_HEADER
        self.state.format = self._format.name + self._codec
        self._go_on_after(window)
        return 0

    def _go_on_after(self, window: Window) -> None:
        """Behind the header of a plain pcap file: go to where it was read to."""
        is_plain = isinstance(self._format, PcapFile) and isinstance(window.input, Seekable)
        if self._to_pass and self.place.offset and is_plain:
            window.seek(self.place.offset)
            self._to_pass = 0

    def _format_of(self, head: bytes) -> Format:
        if head[:MAGIC_BYTES] in VARIANTS:
            return PcapFile(head, self._index, self._batch_bytes)
        if head[:MAGIC_BYTES] == PCAPNG_MAGIC:
            return PcapngFile(self._index, self._batch_bytes)
        raise ValueError(describe_stranger(head))

    def _batch(self, window: Window, walked: Walked) -> Batch | None:
        records = self._records[: walked.found]
        captured = walked.captured
        if self._to_pass:
            again = min(walked.found, self._to_pass)
            self._to_pass -= again
            captured -= int(records["caplen"][:again].sum(dtype=np.int64))
            records = records[again:]
            if not records.size:
                return None
        self.place = Place(self.place.packets + records.size, window.offset + window.start)
        self.state.packets += records.size
        self.state.bytes += captured
        used = window.start - walked.base
        return Batch(window.data[walked.base : window.start], records, used)

    def _cut_short(self, window: Window, need: int) -> None:
        """The input is over: say so if that is in the middle of something."""
        if window.input.problem:
            self.state.report(window.offset + window.stop, window.input.problem)
        elif self._format is None:
            told = f"is only {window.left} bytes long" if window.left else "is empty"
            self._fail(f"{told}; not a pcap or pcapng file")
        elif window.skipping:
            self.state.report(window.position, "ends inside a block")
        elif window.left:
            self.state.report(
                window.position, f"ends inside a record: {window.left} of {need} bytes are there"
            )

    def _fail(self, reason: str) -> None:
        self.state.report(self._window.position if self._window else 0, reason)
        self.state.end()
        self._ended = True


def describe_stranger(head: bytes) -> str:
    """Why an input that begins like this cannot be read, and what helps."""
    for magic, told in STRANGERS:
        if head.startswith(magic):
            return told
    if codec := codec_of(head):
        return f"is compressed twice; decompress it once ({codec.name} inside)"
    start = head[:STRANGER_BYTES].hex(" ")
    return f"is not a pcap or pcapng file (begins with {start}); editcap may be able to convert it"
