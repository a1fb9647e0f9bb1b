"""WebSocket messages out of frames: unmasked, joined, decompressed (RFC 6455, RFC 7692).

Rules: control frames may stand between the fragments of a message (RFC 6455, 5.4) and are messages
of their own. RSV1 marks the first frame of a compressed message (RFC 7692, 6). With context
takeover a message builds on the 32 KiB before it, also past a final block, which ends a deflate
stream but not the context (7.2.3.5).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from services.api.transforms.compression import FEED_BYTES, Feed, Zlib, pulled
from services.api.transforms.frames import CLOSE, CONTINUATION, WsFrame, split_frames
from services.api.transforms.model import Context, Decoded, Status, noted

DEFLATE = "permessage-deflate"
TAIL = b"\x00\x00\xff\xff"  # taken off each compressed message by its sender (RFC 7692, 7.2.1)
BEHIND_FINAL = (b"", TAIL, b"\x00" + TAIL)  # nothing more, after a final block
FINAL_BLOCKS_MAX = 100  # of one message
WINDOW_BYTES = 1 << 15
WORK_BYTES = 64 << 20  # inflated for their context alone: messages in front of the slice
NOTES_MAX = 3


@dataclass(frozen=True)
class WsMessage:
    """One message or control frame; opcode of its first frame, 0 = its beginning is missing.

    start, end: logical offsets. limited: there is more than the limit let through.
    """

    opcode: int
    data: bytes
    compressed: bool
    start: int
    end: int
    note: str = ""
    limited: bool = False


class Inflation:
    """The decompressor of one direction. takeover: whether it keeps its context."""

    def __init__(self, takeover: bool) -> None:
        self.takeover = takeover
        self.window = b""

    def inflate(self, payload: bytes, limit: int) -> tuple[bytes, str]:
        """One message's octets, a few more than the limit at most; and what is wrong with it."""
        out, note, left = bytearray(), "", payload + TAIL
        for _ in range(FINAL_BLOCKS_MAX):
            found = pulled(self._engine, left, limit - len(out), FEED_BYTES)
            out += found.data
            self.window = (self.window + found.data[-WINDOW_BYTES:])[-WINDOW_BYTES:]
            note = found.error
            left = left[found.used :] if found.whole else b""
            if note or left in BEHIND_FINAL or len(out) > limit:
                break
        if not self.takeover:
            self.window = b""
        return bytes(out), f"{DEFLATE}: {note}" if note else ""

    def _engine(self, feed: Feed) -> Zlib:
        return Zlib(feed, -15, window=self.window)


def messages(
    frames: Iterable[WsFrame],
    extensions: str | None,
    limit: int,
    start: int = 0,
    end: int = 0,
) -> Iterator[WsMessage]:
    """The messages of one direction's frames, in the order in which they end.

    extensions: the agreed Sec-WebSocket-Extensions, None = unknown: then RSV1 is taken for
    compression. limit: octets of all messages; the one that reaches it is the last. start, end:
    messages that lie elsewhere are only read for the context they give; end 0 = all.
    """
    reader = _Reader(extensions, limit)
    for group, note in _grouped(frames):
        head, last = group[0], group[-1]
        if end and head.start >= end:
            return
        message = reader.read(group, wanted=not end or last.end > start)
        if message is not None:
            yield replace(message, note=noted(note, message.note))
            if message.limited:
                return


def _grouped(frames: Iterable[WsFrame]) -> Iterator[tuple[list[WsFrame], str]]:
    """The frames of each message, and what is missing of it."""
    fragments: list[WsFrame] = []
    for frame in frames:
        if frame.opcode >= CLOSE:
            yield [frame], ""
            continue
        if frame.opcode != CONTINUATION and fragments:
            yield fragments, "its end is missing"
            fragments = []
        fragments.append(frame)
        if frame.fin:
            yield fragments, "its beginning is missing" if fragments[0].opcode == 0 else ""
            fragments = []
    if fragments:
        yield fragments, "its end is missing"


class _Reader:
    """One direction: its decompressor, and what is left of the bounds."""

    def __init__(self, extensions: str | None, limit: int) -> None:
        self.agreed = DEFLATE if extensions is None else extensions.lower()
        self.room, self.work = limit, WORK_BYTES
        self.inflation: Inflation | None = None

    def read(self, frames: list[WsFrame], wanted: bool) -> WsMessage | None:
        """The message of these frames; None when it is not wanted."""
        head, last = frames[0], frames[-1]
        compressed = head.rsv1 and head.opcode < CLOSE and DEFLATE in self.agreed
        if not (wanted or compressed):
            return None
        data, note = b"".join(frame.unmasked() for frame in frames), ""
        if compressed:
            data, note = self._inflated(data, head, self.room if wanted else self.work)
        if not wanted:
            self.work -= min(self.work, len(data))
            return None
        limited = len(data) > self.room
        data = data[: self.room]
        self.room -= len(data)
        note = noted(note, "stopped at the limit" if limited else "")
        return WsMessage(head.opcode, data, compressed, head.start, last.end, note, limited)

    def _inflated(self, data: bytes, head: WsFrame, limit: int) -> tuple[bytes, str]:
        """data decompressed, as far as that is possible, and what is wrong with it."""
        if self.inflation is None:
            side = "client" if head.key else "server"  # clients mask (RFC 6455, 5.3)
            self.inflation = Inflation(f"{side}_no_context_takeover" not in self.agreed)
        if self.inflation.takeover and not self.work:
            return data, f"more than {WORK_BYTES} bytes are compressed in front of it"
        found, note = self.inflation.inflate(data, limit)
        return (found, note) if found or not note else (data, note)


def decode(data: bytes, limit: int, context: Context) -> Decoded:
    """All data messages of the slice, one after the other."""
    frames = context.frames or split_frames(data)
    if not frames:
        return Decoded(data, "failed", "no frames")
    out, notes, count, limited = bytearray(), [], 0, False
    for message in messages(frames, context.extensions, limit, context.start, context.end):
        limited |= message.limited
        if message.opcode < CLOSE:
            out += message.data
            count += 1
        if message.note:
            notes.append(f"message at {message.start}: {message.note}")
    if not count:
        return Decoded(data, "noop", "no data messages, control frames only")
    status: Status = "partial" if notes or limited else "applied"
    return Decoded(bytes(out), status, noted(f"{count} messages", *notes[:NOTES_MAX]), limited)
