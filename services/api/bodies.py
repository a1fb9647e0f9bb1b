"""`/api/streams/{id}/messages/{message_id}/body`: octets of one message's body.

As they were sent, chunk framing included, or with all codings removed: transfer and content codings
of HTTP, mask and compression of WebSocket. What is shorter than it was is never passed off as the
whole: octets that are not retained are a 410, and a bound that cut the body is in a header.
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from services.api.backend import Backend, deadline
from services.api.context import Place, frames_to
from services.api.deps import StreamId, TheBackend, TheSettings
from services.api.message_rows import Told
from services.api.messages import understood
from services.api.problems import EVICTED, RESPONSES, ErrorBody, Problem
from services.api.protocols.http1 import FRAMINGS
from services.api.reading import (
    download,
    evicted,
    missing,
    octets,
    of_shard,
    retained,
    streamed,
    windows,
)
from services.api.streams import FoundStream, find_stream
from services.api.transforms import Context, Transformed, decode_body, transform
from services.api.transforms.frames import split_frames
from shared.columns import HTTP1, MESSAGE_OPEN, WEBSOCKET

BODY: dict[int | str, dict[str, object]] = {
    200: {
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        "description": "the octets",
        "headers": {
            "X-Flowmate-Decode": {
                "description": "the codings that were removed, each with how that went:"
                " `http_chunked=applied, gzip=applied`",
                "schema": {"type": "string"},
            },
            "X-Flowmate-Truncated": {
                "description": "`true`: a bound cut the body (--max-http1-buffer-bytes)",
                "schema": {"type": "string"},
            },
        },
    },
    404: {"model": ErrorBody, "description": "no such stream or message: `not_found`"},
}

MessageId = Annotated[
    str, Path(pattern="^(0|[1-9][0-9]{0,8})$", description="the message's `message_id`")
]

router = APIRouter()


@router.get(
    "/api/streams/{id}/messages/{message_id}/body",
    response_class=Response,
    responses=RESPONSES | EVICTED | BODY,
)
async def get_body(
    backend: TheBackend,
    settings: TheSettings,
    stream_id: StreamId,
    message_id: MessageId,
    decoded: Annotated[
        bool, Query(description="with transfer and content codings removed")
    ] = False,
) -> Response:
    """The octets of one message's body; of one that is open, what there is so far."""
    until = deadline()
    stream = await find_stream(backend, stream_id, until)
    message = await find_message(backend, stream, int(message_id), until)
    span = await body_span(backend, stream, message, until)
    headers = download(f"{stream_id.lower()}-{message_id}.bin")
    if not decoded:
        return await _as_sent(backend, stream, int(message.row["dir"]), span, headers)
    direction, limit = int(message.row["dir"]), settings.max_http1_buffer_bytes
    stop = min(span[1], span[0] + limit)
    place = Place(backend, stream, direction, span[0], stop, limit, until)
    result = await decode(place, message)
    headers["X-Flowmate-Decode"] = ", ".join(f"{s.name}={s.status}" for s in result.steps)
    if result.truncated_by_limit or stop < span[1]:
        headers["X-Flowmate-Truncated"] = "true"
    headers["Cache-Control"] = "no-store"
    return Response(result.data, 200, headers, "application/octet-stream")


async def find_message(backend: Backend, stream: FoundStream, ordinal: int, until: float) -> Told:
    """Problem 404 when there never was one, 410 when newer messages took its place."""
    answer = await of_shard(backend, stream, "messages", until, first=ordinal, limit=1)
    found = understood(answer, backend.shard(stream.shard))
    if found and int(found[0].row["ordinal"]) == ordinal:
        return found[0]
    if ordinal < answer.result["total"]:
        raise Problem(
            410,
            "evicted",
            f"message {ordinal} made room for newer ones",
            "raise --max-messages to keep more",
        )
    raise Problem(404, "not_found", f"the stream has no message {ordinal}")


async def body_span(
    backend: Backend, stream: FoundStream, message: Told, until: float
) -> tuple[int, int]:
    """Logical offsets of the body; of an open message up to what has come."""
    row = message.row
    start, stop = int(row["body_start"]), int(row["body_end"])
    if row["status"] != MESSAGE_OPEN:
        return start, max(start, stop)
    if row["header_end"] == row["start"]:
        return start, start
    far = await retained(backend, stream, int(row["dir"]), (start, start), until)
    return start, max(start, far.end_of_stream)


async def _as_sent(
    backend: Backend,
    stream: FoundStream,
    direction: int,
    span: tuple[int, int],
    headers: dict[str, str],
) -> Response:
    start, stop = span
    kept = await retained(backend, stream, direction, span, deadline())
    lost = missing(kept.segments, start, stop)
    if lost:
        raise evicted(lost)
    headers["Content-Length"] = str(stop - start)
    return await streamed(windows(backend, stream, direction, kept.segments), headers)


async def decode(place: Place, message: Told) -> Transformed:
    """The body without its codings. Input and output are at most as long as the place allows."""
    if message.row["protocol"] == WEBSOCKET:
        return await _frame(place, message)
    body = await octets(
        place.backend, place.stream, place.direction, (place.start, place.stop), place.until
    )
    if message.row["protocol"] != HTTP1 or not body:
        return Transformed(body)
    if message.header is None:
        raise evicted([(int(message.row["start"]), int(message.row["header_end"]))])
    framing = FRAMINGS[message.row["framing"]] if message.row["framing"] < len(FRAMINGS) else ""
    return await asyncio.to_thread(decode_body, message.header, body, place.limit, framing)


async def _frame(place: Place, message: Told) -> Transformed:
    """A WebSocket frame's message up to the frame: unmasked, joined, inflated."""
    payload = await octets(
        place.backend, place.stream, place.direction, (place.start, place.stop), place.until
    )
    frames, extensions = await frames_to(place, await place.messages())
    if not frames and message.header is not None:
        frames = split_frames(message.header + payload, int(message.row["start"]))
    context = Context(
        frames=frames, extensions=extensions, start=int(message.row["start"]), end=place.stop
    )
    return await asyncio.to_thread(transform, ["websocket"], payload, place.limit, context)
