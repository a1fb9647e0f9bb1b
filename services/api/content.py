"""`/api/streams/{id}/content`: a window of one direction's reassembled bytes."""

from binascii import b2a_base64
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema

from services.api.backend import Answer, Backend, deadline
from services.api.context import Place
from services.api.deps import StreamId, TheBackend, TheSettings, json_response
from services.api.models import INT64_MAX, Content
from services.api.problems import EVICTED, RESPONSES, UNKNOWN_STREAM, Problem
from services.api.reading import of_shard
from services.api.streams import find_stream, locate
from services.api.transformed import PATTERN, TransformView, chain_of, profile_chain, transformed
from services.api.transforms import NAMES
from shared.schema import ContentQuery
from shared.settings import Settings

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
    transform: (
        Annotated[
            str,
            AfterValidator(lambda value: value if chain_of(value) else ""),
            WithJsonSchema({"type": "string", "pattern": PATTERN}),
        ]
        | None
    ) = Field(
        None,
        description=f"decoders, with commas: {', '.join(NAMES)}. http_body, websocket and auto take"
        " whole messages rather than the window, as far as they are retained",
    )


class TransformedContent(Content):
    """A window, and beside it what `transform` made of it."""

    transform: TransformView | None = Field(None, description="there when it was asked for")


@router.get(
    "/api/streams/{id}/content",
    response_model=TransformedContent,
    responses=RESPONSES | UNKNOWN_STREAM | EVICTED,
)
async def get_content(
    backend: TheBackend,
    settings: TheSettings,
    stream_id: StreamId,
    parameters: Annotated[ContentParameters, Query()],
) -> Response:
    """A window of one direction: its retained segments, and the gaps between them."""
    return await window_of(backend, settings, stream_id, parameters)


async def window_of(
    backend: Backend, settings: Settings, stream_id: str, parameters: ContentParameters
) -> Response:
    """Ask the stream's shard for the window, and show it."""
    until = deadline()
    stream = await locate(backend, stream_id, until)
    direction = direction_of(parameters.direction, stream.client)
    limit = settings.max_stream_slice_bytes
    asked = limit if parameters.len is None else parameters.len
    query = ContentQuery(
        **stream.address, direction=direction, start=parameters.start, len=min(asked, limit)
    )
    answer = await of_shard(backend, stream, "content", until, **query.model_dump())
    check_retained(answer.result, DIRECTIONS[direction], stream_id)
    window = _window(answer, VIEWS[parameters.mode])
    end, end_of_stream = window["requested_end"], window["end_of_stream"]
    window["truncated_by_limit"] |= end < min(parameters.start + asked, end_of_stream)
    if chain := chain_of(parameters.transform):
        octets = answer.frames[0]
        start, stop = window["requested_start"], window["requested_end"]
        bound = settings.max_http1_buffer_bytes
        place = Place(backend, stream, direction, start, stop, bound, until)
        profile = await _of_profile(backend, stream_id, until) if "profile" in chain else []
        found = await transformed(
            chain, octets, place, settings.max_stream_transform_bytes, profile
        )
        data = found.pop("octets")
        window["transform"] = found | {
            "view": VIEWS[parameters.mode](data), "base64": _base64(data)
        }  # fmt: skip
    return json_response(
        {"stream_id_hex": stream_id.lower(), "direction": DIRECTIONS[direction], **window}
    )


async def _of_profile(backend: Backend, stream_id: str, until: float) -> list[str]:
    """The decoders of the profile that the stream's row belongs to."""
    stream = await find_stream(backend, stream_id, until)
    return await profile_chain(backend, stream.row, until)


def direction_of(name: str, client: int) -> int:
    """0 or 1. client: the side, 0 or 1, that is the client."""
    if name in DIRECTIONS:
        return DIRECTIONS.index(name)
    return client if name == "client" else 1 - client


def check_retained(result: dict[str, Any], direction: str, stream_id: str) -> None:
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
    result, octets = answer.result, answer.frames[0]
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
        "highlights": [
            {"pattern_id": pattern, "start": start, "end": end, "segment": segment}
            for pattern, start, end, segment in result.get("highlights", [])
        ],
        "dropped_highlights": result.get("dropped_highlights", 0),
        "retained": result["retained"],
    }


def _base64(octets: bytes) -> str:
    return b2a_base64(octets, newline=False).decode("ascii")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _hex(octets: bytes) -> str:
    return octets.hex(" ")


VIEWS: dict[str, Callable[[bytes], str]] = {"text": _text, "hex": _hex, "raw": _base64}
