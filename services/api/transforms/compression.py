"""gzip, deflate, brotli and zstd, decompressed in small pieces until the limit is reached.

Rules: what a bomb costs is the limit, not what it unpacks to. The libraries give nothing of a piece
that has an error in it, so after an error the input is decoded once more, its last piece octet by
octet: what comes before the error is kept.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import brotli
import zstandard

from services.api.transforms.model import Context, Decoded, noted

MEMBERS_MAX = 10_000  # gzip members or zstd frames in a row; an empty one has some 10 octets
FEED_BYTES = 1 << 12  # handed to zlib and brotli at once
OUT_BYTES = 1 << 16  # asked of zlib at once
ZSTD_WINDOW_MAX = 1 << 27  # zstd's own bound for streams; touched only as far as output goes
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZSTD_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")  # RFC 8878, 3.1.2
ERRORS = (zlib.error, brotli.error, zstandard.ZstdError)


class Feed:
    """Input in pieces of `piece` octets, behind `calm` in single ones."""

    def __init__(self, data: bytes, piece: int, calm: int | None = None) -> None:
        self.data, self.piece = data, piece
        self.calm = len(data) if calm is None else calm
        self.at = self.before = 0

    def next(self) -> bytes:
        """The next piece; b"" at the end."""
        size = self.piece if self.at < self.calm else 1
        self.before = self.at
        self.at = min(self.at + size, len(self.data))
        return self.data[self.before : self.at]

    def back(self, octets: bytes) -> None:
        """Give back what was not used of the last piece."""
        self.at -= len(octets)


class Inflater(Protocol):
    """Decompressed pieces of a feed; whole: it came to the end of the format, not of the input."""

    whole: bool

    def __iter__(self) -> Iterator[bytes]: ...


class Zlib:
    """The formats of zlib, told by `wbits`. Up to `members` of them follow each other."""

    def __init__(self, feed: Feed, wbits: int, members: int = 1, window: bytes = b"") -> None:
        self.feed, self.wbits, self.members, self.window = feed, wbits, members, window
        self.whole = False

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self.members):
            yield from self._member()
            follows = self.feed.data[self.feed.at : self.feed.at + 2]
            if not self.whole or follows != GZIP_MAGIC:
                break

    def _member(self) -> Iterator[bytes]:
        engine = zlib.decompressobj(self.wbits, zdict=self.window)
        self.whole = False
        while not engine.eof:
            octets = engine.unconsumed_tail or self.feed.next()
            found = engine.decompress(octets, OUT_BYTES)
            if found:
                yield found
            elif not octets:
                return
        self.whole = True
        self.feed.back(engine.unused_data)


class Brotli:
    """RFC 7932. Without a limit the library unpacks a bomb at once; with one it gives 32 KiB.

    It accepts more input as soon as it has consumed the last, even when output is still due.
    """

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.whole = False

    def __iter__(self) -> Iterator[bytes]:
        engine = brotli.Decompressor()
        while not engine.is_finished():
            octets = self.feed.next() if engine.can_accept_more_data() else b""
            found = engine.process(octets, output_buffer_limit=1)
            if found:
                yield found
            elif not octets and engine.can_accept_more_data():
                return
        self.whole = True


class Zstd:
    """RFC 8878, frames in a row. A block of 4 octets unpacks to 128 KiB, so the feed is small."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.whole = False

    def __iter__(self) -> Iterator[bytes]:
        engine = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_MAX)
        for _ in range(MEMBERS_MAX):
            frame = engine.decompressobj(write_size=1 << 14)
            self.whole = False
            while not frame.eof:
                octets = self.feed.next()
                if not octets:
                    return
                found = frame.decompress(octets)
                if found:
                    yield found
            self.whole = True
            self.feed.back(frame.unused_data)
            follows = self.feed.data[self.feed.at : self.feed.at + 4]
            if follows != ZSTD_MAGIC and not ZSTD_SKIPPABLE.fullmatch(follows):
                return


@dataclass(frozen=True)
class Pulled:
    """Output to its end, to an error or until it is beyond a limit. used: octets of the input."""

    data: bytearray
    error: str
    whole: bool
    used: int


def pulled(make: Callable[[Feed], Inflater], data: bytes, limit: int, piece: int) -> Pulled:
    """What comes out of `data`; little more than the limit. make: a new inflater for a feed."""
    feed = Feed(data, piece)
    found = _pull(make(feed), feed, limit)
    if found.error:
        feed = Feed(data, piece, calm=feed.before)
        found = _pull(make(feed), feed, limit)
    return found


def _pull(inflater: Inflater, feed: Feed, limit: int) -> Pulled:
    out, problem = bytearray(), ""
    try:
        for found in inflater:
            out += found
            if len(out) > limit:
                break
    except ERRORS as error:
        problem = str(error)
    return Pulled(out, problem, inflater.whole, feed.at)


def inflated(
    make: Callable[[Feed], Inflater], data: bytes, limit: int, piece: int = FEED_BYTES
) -> Decoded:
    """All that comes out of `data`, up to the limit."""
    found = pulled(make, data, limit, piece)
    size = len(found.data)
    if size > limit:
        return Decoded(bytes(found.data[:limit]), "partial", f"stopped at {limit} bytes", True)
    if found.whole and not found.error:
        behind = len(data) - found.used
        note = f"{behind} bytes follow the end" if behind else ""
        return Decoded(bytes(found.data), "applied", note)
    reason = found.error or "cut off"
    if not size:
        return Decoded(data, "failed", f"nothing can be decoded: {reason}")
    return Decoded(bytes(found.data), "partial", f"{reason} behind {size} decoded bytes")


def gzip(data: bytes, limit: int, context: Context) -> Decoded:
    """RFC 1952, all members."""
    if not data.startswith(GZIP_MAGIC):
        return Decoded(data, "failed", "no gzip header")
    return inflated(lambda feed: Zlib(feed, 31, MEMBERS_MAX), data, limit)


def deflate(data: bytes, limit: int, context: Context) -> Decoded:
    """zlib's format as HTTP means it (RFC 9110, 8.4.1.2); raw deflate, as some servers send it."""
    if len(data) > 1 and data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0:
        found = inflated(lambda feed: Zlib(feed, 15), data, limit)
        if found.status != "failed":
            return found
    found = inflated(lambda feed: Zlib(feed, -15), data, limit)
    return Decoded(found.data, found.status, noted("raw", found.note), found.limited)


def br(data: bytes, limit: int, context: Context) -> Decoded:
    """RFC 7932."""
    return inflated(Brotli, data, limit)


def zstd(data: bytes, limit: int, context: Context) -> Decoded:
    """RFC 8878."""
    return inflated(Zstd, data, limit, piece=64)
