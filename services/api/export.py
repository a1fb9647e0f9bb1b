"""`/api/streams/{id}/export`: what is retained of a stream, as octets, JSON or packets.

All forms are streamed: at no time is more than a window of the stream in memory.
"""

from binascii import b2a_base64
from collections.abc import AsyncIterator
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from services.api.backend import Backend, deadline
from services.api.content import check_retained, direction_of
from services.api.deps import StreamId, TheBackend, TheRing
from services.api.message_rows import DIRECTIONS
from services.api.packet_export import Wanted, packet_file
from services.api.problems import EVICTED, RESPONSES, UNKNOWN_STREAM, Problem
from services.api.reading import (
    Retained,
    download,
    missing,
    retained,
    spelled,
    streamed,
    windows,
)
from services.api.streams import FoundStream, find_stream

WHOLE = (0, 1 << 62)
BINARY = {"schema": {"type": "string", "format": "binary"}}
FILES: dict[int | str, dict[str, object]] = {
    200: {
        "description": "raw: the octets of the direction, holes left out, `X-Flowmate-Gaps` says"
        " where they were. json: both directions, base64. pcap: captured packets, as far as"
        " they are kept; `X-Flowmate-Note` says which ones are captured.",
        "content": {
            "application/octet-stream": BINARY,
            "application/json": {"schema": {"type": "object"}},
            "application/x-pcapng": BINARY,
        },
    }
}

router = APIRouter()


class ExportParameters(BaseModel):
    """The form, and of which direction."""

    format: Literal["raw", "json", "pcap"] = "raw"
    direction: Literal["a_to_b", "b_to_a", "client", "server", "both"] | None = Field(
        None, description="raw has one, `client` unless told; the others have both unless told"
    )
    packets: Wanted = Field(
        "auto",
        description="of pcap. captured: those in the packet ring, see `--packet-ring`; synthesised:"
        " made of the stream; auto: captured ones as far as they are there, what was said before"
        " them synthesised. Captured packets are always of both directions.",
    )


@router.get(
    "/api/streams/{id}/export",
    response_class=Response,
    responses=RESPONSES | UNKNOWN_STREAM | EVICTED | FILES,
)
async def export_stream(
    backend: TheBackend,
    ring: TheRing,
    stream_id: StreamId,
    parameters: Annotated[ExportParameters, Query()],
) -> Response:
    """All that is retained of the stream, or of one direction of it."""
    stream = await find_stream(backend, stream_id, deadline())
    name, wanted = stream_id.lower(), parameters.direction
    if parameters.format == "raw":
        if wanted == "both":
            raise Problem(
                400, "bad_value", "direction: raw has no both", "use format=json or format=pcap"
            )
        return await _raw(backend, stream, direction_of(wanted or "client", stream.client), name)
    whole = wanted is None or wanted == "both"
    chosen = [0, 1] if whole else [direction_of(wanted or "client", stream.client)]
    if parameters.format == "json":
        pieces = _json(backend, stream, chosen)
        return await streamed(pieces, download(f"{name}.json"), "application/json")
    file = await packet_file(backend, ring, stream, chosen, parameters.packets)
    headers = download(f"{name}.pcapng") | {"X-Flowmate-Note": file.note}
    return await streamed(file.pieces, headers, "application/x-pcapng")


async def _raw(backend: Backend, stream: FoundStream, direction: int, name: str) -> Response:
    kept = await _retained(backend, stream, direction)
    gaps = spelled(missing(kept.segments, 0, kept.end_of_stream))
    headers = download(f"{name}-{DIRECTIONS[direction]}.bin") | {
        "Content-Length": str(kept.octets),
        "X-Flowmate-Gaps": gaps or "none",
    }
    return await streamed(windows(backend, stream, direction, kept.segments), headers)


async def _retained(backend: Backend, stream: FoundStream, direction: int) -> Retained:
    """All segments of the direction. Problem 410 when there is none any more."""
    kept = await retained(backend, stream, direction, WHOLE, deadline())
    asked = {"requested_start": 0, "requested_end": kept.end, "retained": kept.kept}
    check_retained(asked, DIRECTIONS[direction], stream.row["stream_id_hex"])
    segments, more, end = list(kept.segments), kept.more, kept
    while more:
        rest = await retained(backend, stream, direction, (segments[-1][1], WHOLE[1]), deadline())
        segments, more, end = segments + rest.segments, rest.more, rest
    return end._replace(segments=segments)


async def _json(backend: Backend, stream: FoundStream, sides: list[int]) -> AsyncIterator[bytes]:
    """`{stream, directions: {a_to_b: {end_of_stream, gaps, segments: [{start, end, base64}]}}}`."""
    opening = b'{"stream":' + orjson.dumps(stream.row) + b',"directions":{'
    for side in sides:
        kept = await retained(backend, stream, side, WHOLE, deadline())
        gaps = missing(kept.segments, 0, kept.end_of_stream)
        head = {
            "end_of_stream": kept.end_of_stream,
            "gaps": [{"start": start, "end": end} for start, end in gaps],
        }
        yield opening + b'"%s":' % DIRECTIONS[side].encode() + orjson.dumps(head)[:-1]
        opening, comma = b"]},", b',"segments":['
        for start, stop in kept.segments:
            at = start
            async for octets in windows(backend, stream, side, [(start, stop)]):
                yield comma + b'{"start":%d,"end":%d,"base64":"%s"}' % (
                    at, at + len(octets), b2a_base64(octets, newline=False),
                )  # fmt: skip
                at, comma = at + len(octets), b","
        if not kept.segments:
            yield comma
    yield b"]}}}"
