"""Compressed inputs, decompressed as they are read: gzip (RFC 1952) and zstd (RFC 8878).

Members and frames may follow one another. Memory is bounded whatever the input: gzip gives no
more than asked for, zstd is fed in pieces of 1 KiB, of which none can become more than 32 MiB,
and may use a window of 128 MiB. A decompression bomb is merely a long input. What could be
decompressed before damage or a missing end is given, then `problem` says what is wrong.
"""

import zlib
from typing import Protocol

import zstandard

from services.capture.inputs import Input

CHUNK_BYTES = 1 << 16
INPUT_MAX = 1 << 20  # compressed bytes looked at in one readinto, whatever comes out of them

GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW_BITS = 31  # zlib: a gzip header and the largest window
SALVAGE_STEPS = (4096, 64, 1)

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # behind a first byte of 0x50 to 0x5f
ZSTD_WINDOW_MAX = 1 << 27
ZSTD_PIECE = 1024
ZSTD_REPLAY_MAX = 1 << 18  # of a frame so far, kept to find out what comes before damage


class Codec(Protocol):
    """One compression format, without I/O."""

    name: str
    problem: str  # why it cannot go on; "" = it can

    def decode(self, data: memoryview, room: int) -> tuple[bytes, int]:
        """Decompress: (output, bytes of data used). Without either, it wants more data."""
        ...

    def inside(self) -> bool:
        """Would the input be cut short if it ended here?"""
        ...


def codec_of(head: bytes) -> Codec | None:
    """The codec for an input that begins with these bytes (4 are enough); None = not compressed."""
    if head[:2] == GZIP_MAGIC:
        return Gzip()
    if head[:4] == ZSTD_MAGIC or (head[:1] and head[0] >> 4 == 5 and head[1:4] == ZSTD_SKIPPABLE):
        return Zstd()
    return None


class Gzip:
    """Members one after another; zeros behind them are padding, as for gzip itself."""

    name = "gzip"

    def __init__(self) -> None:
        self.problem = ""
        self._member = zlib.decompressobj(GZIP_WINDOW_BITS)

    def decode(self, data: memoryview, room: int) -> tuple[bytes, int]:
        """At most room bytes come out."""
        if self._member.eof:
            return b"", self._next_member(data)
        # A zlib error loses the output of its call; a copy costs half a µs.
        before = self._member.copy()
        try:
            return self._decompress(data, room)
        except zlib.error as error:
            self._member = before
            return self._salvage(data, room, str(error).rpartition(": ")[2])

    def inside(self) -> bool:
        return not self._member.eof

    def _decompress(self, data: memoryview, room: int) -> tuple[bytes, int]:
        out = self._member.decompress(data, room)
        unused = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        return out, len(data) - len(unused)

    def _next_member(self, data: memoryview) -> int:
        """Between members: pass padding, begin the next member if there is one."""
        if bytes(data[:1]) == b"\0":
            return len(data) - len(bytes(data).lstrip(b"\0"))
        if data and not GZIP_MAGIC.startswith(bytes(data[:2])):
            self.problem = "something else follows the gzip data; it is not read"
        elif data:
            self._member = zlib.decompressobj(GZIP_WINDOW_BITS)
        return 0

    def _salvage(self, data: memoryview, room: int, error: str) -> tuple[bytes, int]:
        """What comes out before the byte that is wrong, found in ever smaller steps."""
        out, used = b"", 0
        for step in SALVAGE_STEPS:
            while used < len(data) and len(out) < room:
                before = self._member.copy()
                try:
                    more, taken = self._decompress(data[used : used + step], room - len(out))
                except zlib.error:
                    self._member = before
                    break
                out, used = out + more, used + taken
        if len(out) < room:
            self.problem = f"the gzip data is damaged ({error})"
        return out, used


class Zstd:
    """Frames one after another, skippable ones too."""

    name = "zstd"

    def __init__(self) -> None:
        self.problem = ""
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_MAX)
        self._begin()

    def decode(self, data: memoryview, room: int) -> tuple[bytes, int]:
        """Up to 32 MiB may come out, whatever the room."""
        piece = data[:ZSTD_PIECE]
        if not piece:
            return b"", 0
        try:
            out = self._frame.decompress(piece)
        except zstandard.ZstdError as error:
            self.problem = f"the zstd data is damaged ({str(error).rpartition(': ')[2]})"
            return self._salvage(piece), len(piece)
        if self._frame.eof:
            unused = len(self._frame.unused_data)
            self._begin()
            return out, len(piece) - unused
        self._fed += len(piece)
        if self._fed <= ZSTD_REPLAY_MAX:
            self._replay += piece
        return out, len(piece)

    def inside(self) -> bool:
        return self._fed > 0

    def _begin(self) -> None:
        self._frame = self._decompressor.decompressobj()
        self._fed = 0  # bytes of the frame
        self._replay = bytearray()

    def _salvage(self, piece: memoryview) -> bytes:
        """What comes out of a piece before its wrong byte. An error loses the output of its call,
        and the state: the frame is decompressed anew, if it was short enough to be kept.
        """
        if self._fed > ZSTD_REPLAY_MAX:
            return b""
        frame, out = self._decompressor.decompressobj(), bytearray()
        frame.decompress(self._replay)
        try:
            for at in range(len(piece)):
                out += frame.decompress(piece[at : at + 1])
        except zstandard.ZstdError:
            pass  # here it is
        return bytes(out)


class Decompressed:
    """An input that gives another one's bytes decompressed. `first`: those already read of it."""

    def __init__(self, stored: Input, codec: Codec, first: bytes) -> None:
        self.problem = ""
        self._stored = stored
        self._codec = codec
        self._chunk = bytearray(CHUNK_BYTES)
        self._held = memoryview(first)  # compressed, not used yet
        self._out = memoryview(b"")  # decompressed, not asked for yet

    @property
    def position(self) -> int:
        return self._stored.position

    @property
    def size(self) -> int:
        return self._stored.size

    def descriptors(self) -> list[int]:
        return self._stored.descriptors()

    def readinto(self, buffer: memoryview) -> int | None:
        """As much as the stored bytes at hand give, up to the buffer's size."""
        got, looked_at, eager = 0, 0, True
        while got < len(buffer):
            if not self._out and not self.problem:
                self._decode(len(buffer) - got)
            if self._out:
                size = min(len(self._out), len(buffer) - got)
                buffer[got : got + size] = self._out[:size]
                self._out = self._out[size:]
                got += size
            elif self.problem:
                break
            elif not self._held:
                if (got and not eager) or looked_at >= INPUT_MAX:
                    return got or None
                read = self._stored.readinto(memoryview(self._chunk))
                if not read:
                    return self._silence(got, read)
                self._held = memoryview(self._chunk)[:read]
                looked_at += read
                eager = read == CHUNK_BYTES  # else the next read may have to wait
        return got

    def _decode(self, room: int) -> None:
        out, used = self._codec.decode(self._held, room)
        self._out = memoryview(out)
        self._held = self._held[used:]
        self.problem = self._codec.problem

    def _silence(self, got: int, read: int | None) -> int | None:
        """No more stored bytes, for now (None) or for good (0)."""
        if read is None:
            return got or None
        if self._codec.inside():
            self.problem = f"the {self._codec.name} data is cut short"
        else:
            self.problem = self._stored.problem
        return got

    def close(self) -> None:
        self._stored.close()
