"""Octets of a stream, read from its shard a window at a time, and sent on as they come.

What a shard evicts while it is read is told: before the answer has begun as a 410, later by hanging
up, so that nobody takes a part for the whole.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.api.backend import Answer, Backend, Refused, deadline
from services.api.problems import Problem
from services.api.streams import Located
from shared.flow_key import hex_id

WINDOW_BYTES = 1 << 20  # of one answer of a shard
STALL_S = 10.0  # a client that takes nothing for so long is dropped
Spans = list[tuple[int, int]]

log = logging.getLogger("api")


async def of_shard(backend: Backend, stream: Located, op: str, until: float, **args: Any) -> Answer:
    """Ask the shard that owns the stream. Problem 410 when it does not have it any more."""
    try:
        return await backend.shard(stream.shard).ask(op, stream.address | args, until)
    except Refused as refused:
        raise not_there(refused, hex_id(stream.address["stream_id"])) from None


def not_there(refused: Refused, stream_id: str) -> Problem:
    """The inventory still has the stream, its shard does not: its content was evicted."""
    refusal = refused.refusal
    if refusal.code != "not_found":
        return refused.problem
    return Problem(
        410, "evicted", f"content of {stream_id.lower()}: {refusal.message}", refusal.hint
    )


class Retained(NamedTuple):
    """Where the retained octets of a window are. more: only the first ones are named."""

    segments: Spans
    more: bool
    end: int
    end_of_stream: int
    kept: dict[str, Any]

    @property
    def octets(self) -> int:
        return sum(stop - start for start, stop in self.segments)


async def retained(
    backend: Backend, stream: Located, direction: int, span: tuple[int, int], until: float
) -> Retained:
    """What is retained of [start, stop) of a direction."""
    start, stop = span
    answer = await of_shard(
        backend, stream, "segments", until, direction=direction, start=start, len=stop - start
    )
    result = answer.result
    segments = [(low, high) for low, high in result["segments"]]
    return Retained(
        segments, result["more"], result["end"], result["end_of_stream"], result["retained"]
    )


def missing(segments: Spans, start: int, stop: int) -> Spans:
    """What the segments leave open of [start, stop)."""
    result, at = [], start
    for low, high in [*segments, (stop, stop)]:
        if low > at:
            result.append((at, low))
        at = max(at, high)
    return result


def spelled(spans: Spans, most: int = 64) -> str:
    """`0-10, 15-20` for a header or a sentence; ends are exclusive. Bounded."""
    words = [f"{start}-{stop}" for start, stop in spans[:most]]
    return ", ".join(words + ([f"and {len(spans) - most} more"] if len(spans) > most else []))


async def octets(
    backend: Backend, stream: Located, direction: int, span: tuple[int, int], until: float
) -> bytes:
    """All octets of [start, stop). Problem 410 when some are not retained."""
    at, stop = span
    pieces = []
    while at < stop:
        length = min(stop - at, WINDOW_BYTES)
        answer = await of_shard(
            backend, stream, "bytes", until, direction=direction, start=at, len=length
        )
        piece = b"".join(answer.frames)
        if len(piece) != length:
            raise evicted(missing([tuple(s) for s in answer.result["segments"]], at, at + length))
        pieces.append(piece)
        at += length
    return b"".join(pieces)


def evicted(spans: Spans) -> Problem:
    return Problem(
        410,
        "evicted",
        f"octets {spelled(spans, 8)} are not retained",
        "GET …/content shows what is left; raise --max-stream-content-bytes to keep more",
    )


async def windows(
    backend: Backend, stream: Located, direction: int, segments: Spans
) -> AsyncIterator[bytes]:
    """The octets of the segments, a window at a time, each with a deadline of its own."""
    for start, stop in segments:
        for at in range(start, stop, WINDOW_BYTES):
            span = at, min(at + WINDOW_BYTES, stop)
            yield await octets(backend, stream, direction, span, deadline())


class Streamed(Response):
    """Sends pieces as they come. What goes wrong behind the first one ends the connection."""

    def __init__(
        self, first: bytes, rest: AsyncIterator[bytes], headers: Mapping[str, str], media_type: str
    ) -> None:
        super().__init__(None, 200, {"Cache-Control": "no-store", **headers}, media_type=media_type)
        if "content-length" not in {name.lower() for name in headers}:
            del self.headers["content-length"]
        self._first, self._rest = first, rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        try:
            await _send_in_time(send, self._first)
            async for piece in self._rest:
                await _send_in_time(send, piece)
        except Problem as problem:
            log.warning("%s ended early: %s", scope["path"], problem.message)
            return
        except TimeoutError:
            return  # it took nothing for too long: hang up
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def streamed(
    pieces: AsyncIterator[bytes],
    headers: Mapping[str, str],
    media_type: str = "application/octet-stream",
) -> Response:
    """A response whose first piece is there; a Problem until then is the answer instead."""
    first = await anext(pieces, b"")
    return Streamed(first, pieces, headers, media_type)


async def _send_in_time(send: Send, body: bytes) -> None:
    async with asyncio.timeout(STALL_S):
        await send({"type": "http.response.body", "body": body, "more_body": True})


def download(name: str) -> dict[str, str]:
    """A browser saves it and never shows it: what was captured is not to be trusted."""
    return {"Content-Disposition": f'attachment; filename="{name}"'}
