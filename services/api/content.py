"""`/api/streams/{id}/content`: a window of one direction's reassembled bytes."""

from binascii import b2a_base64
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from services.api.backend import Answer, Refused, deadline
from services.api.deps import StreamId, TheBackend, TheSettings, json_response
from services.api.models import INT64_MAX, Content
from services.api.problems import EVICTED, RESPONSES, UNKNOWN_STREAM, Problem
from services.api.streams import find_stream
from shared.schema import ContentQuery

DIRECTIONS = ("a_to_b", "b_to_a")

router = APIRouter()


class ContentParameters(BaseModel):
    """The window, and how its bytes are shown."""

    direction: Literal["a_to_b", "b_to_a", "client", "server"] = Field(
        "client", description="whose bytes: client and server stand for what they sent"
    )
    start: int = Field(0, ge=0, le=INT64_MAX, description="first logical offset")
    len: int | None = Field(
        None,
        ge=0,
        le=INT64_MAX,
        description="length of the window; at most, and by default, max_stream_slice_bytes",
    )
    mode: Literal["text", "hex", "raw"] = "text"


@router.get(
    "/api/streams/{id}/content",
    response_model=Content,
    responses=RESPONSES | UNKNOWN_STREAM | EVICTED,
)
async def get_content(
    backend: TheBackend,
    settings: TheSettings,
    stream_id: StreamId,
    parameters: Annotated[ContentParameters, Query()],
) -> Response:
    """A window of one direction: its retained segments, and the gaps between them."""
    until = deadline()
    stream = await find_stream(backend, stream_id, until)
    direction = _direction(parameters.direction, stream.client)
    limit = settings.max_stream_slice_bytes
    asked = limit if parameters.len is None else parameters.len
    query = ContentQuery(
        **stream.address, direction=direction, start=parameters.start, len=min(asked, limit)
    )
    try:
        answer = await backend.shard(stream.shard).ask("content", query.model_dump(), until)
    except Refused as refused:
        raise _not_there(refused, stream_id) from None
    _check_retained(answer.result, DIRECTIONS[direction], stream_id)
    window = _window(answer, VIEWS[parameters.mode])
    end, end_of_stream = window["requested_end"], window["end_of_stream"]
    window["truncated_by_limit"] |= end < min(parameters.start + asked, end_of_stream)
    return json_response(
        {"stream_id_hex": stream_id.lower(), "direction": DIRECTIONS[direction], **window}
    )


def _direction(name: str, client: int) -> int:
    """0 or 1. client: the side, 0 or 1, that is the client."""
    if name in DIRECTIONS:
        return DIRECTIONS.index(name)
    return client if name == "client" else 1 - client


def _not_there(refused: Refused, stream_id: str) -> Problem:
    """The inventory still has the stream, its shard does not: its content was evicted."""
    refusal = refused.refusal
    if refusal.code != "not_found":
        return refused.problem
    return Problem(
        410, "evicted", f"content of {stream_id.lower()}: {refusal.message}", refusal.hint
    )


def _check_retained(result: dict[str, Any], direction: str, stream_id: str) -> None:
    """Problem 410 when bytes are asked for and not one of the direction's is retained any more.

    What was never captured is no reason: its gaps are the answer.
    """
    kept = result["retained"]
    if result["requested_start"] == result["requested_end"] or kept[direction]["retained_bytes"]:
        return
    if not kept["enabled"]:
        raise Problem(
            410,
            "content_disabled",
            f"content of {stream_id.lower()}: this run retains no payload",
            "run without --disable-stream-content, and with --max-stream-content-bytes not 0",
        )
    if kept[direction]["dropped_bytes"]:
        raise Problem(
            410,
            "evicted",
            f"content of {stream_id.lower()}: {direction} made room for newer content",
            "raise --max-stream-content-bytes or --max-stream-content-bytes-per-stream",
        )


def _window(answer: Answer, view: Callable[[bytes], str]) -> dict[str, Any]:
    """The part of the body that the shard knows."""
    result, octets = answer.result, b"".join(answer.frames)
    segments, at = [], 0
    for start, end in result["segments"]:
        piece = octets[at : at + end - start]
        at += end - start
        segments.append({"start": start, "end": end, "base64": _base64(piece), "view": view(piece)})
    return {
        "requested_start": result["requested_start"],
        "requested_end": result["requested_end"],
        "returned_bytes": at,
        "truncated_by_limit": result["truncated_by_limit"],
        "end_of_stream": result["end_of_stream"],
        "segments": segments,
        "gaps": [{"start": start, "end": end} for start, end in result["gaps"]],
        "highlights": [],
        "dropped_highlights": 0,
        "retained": result["retained"],
    }


def _base64(octets: bytes) -> str:
    return b2a_base64(octets, newline=False).decode("ascii")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _hex(octets: bytes) -> str:
    return octets.hex(" ")


VIEWS: dict[str, Callable[[bytes], str]] = {"text": _text, "hex": _hex, "raw": _base64}
