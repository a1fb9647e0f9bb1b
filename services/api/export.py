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
from services.api.deps import StreamId, TheBackend
from services.api.message_rows import DIRECTIONS
from services.api.packets import NOTE, Ends, Synthesis, file_header
from services.api.problems import EVICTED, RESPONSES, UNKNOWN_STREAM, Problem
from services.api.reading import (
    WINDOW_BYTES,
    Retained,
    download,
    missing,
    of_shard,
    retained,
    spelled,
    streamed,
    windows,
)
from services.api.streams import FoundStream, find_stream
from shared.columns import PROTOCOLS, TCP, UDP

WHOLE = (0, 1 << 62)
BINARY = {"schema": {"type": "string", "format": "binary"}}
FILES: dict[int | str, dict[str, object]] = {
    200: {
        "description": "raw: the octets of the direction, holes left out, `X-Flowmate-Gaps` says"
        " where they were. json: both directions, base64. pcap: packets made of the stream.",
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


@router.get(
    "/api/streams/{id}/export",
    response_class=Response,
    responses=RESPONSES | UNKNOWN_STREAM | EVICTED | FILES,
)
async def export_stream(
    backend: TheBackend, stream_id: StreamId, parameters: Annotated[ExportParameters, Query()]
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
    ends = ends_of(stream)
    headers = download(f"{name}.pcapng") | {"X-Flowmate-Note": NOTE}
    return await streamed(_pcap(backend, stream, ends, chosen), headers, "application/x-pcapng")


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


def ends_of(stream: FoundStream) -> Ends:
    """The endpoints as packets have them. Problem 400 for what is neither TCP nor UDP."""
    event = stream.event
    proto = int(event["proto"])
    if proto not in (TCP, UDP):
        raise Problem(
            400,
            "bad_value",
            f"format: there are no packets to be made of {PROTOCOLS.get(proto, proto)}",
            "use format=raw or format=json",
        )
    addresses = [
        b"".join(int(event[f"addr_{side}_{half}"]).to_bytes(8, "big") for half in ("hi", "lo"))
        for side in "ab"
    ]
    if event["family"] == 4:
        addresses = [address[12:] for address in addresses]
    ports = int(event["port_a"]), int(event["port_b"])
    first, second = addresses
    return Ends(proto, (first, second), ports, stream.client, stream.row["status"])


async def _pcap(
    backend: Backend, stream: FoundStream, ends: Ends, sides: list[int]
) -> AsyncIterator[bytes]:
    """The file, a page of the conversation at a time."""
    packets = Synthesis(ends, last_ns=int(stream.event["first_ns"]))
    yield file_header()
    after, ended = [0, 0], False
    while not ended:
        answer = await of_shard(
            backend, stream, "conversation", deadline(), after=after, limit=512, len=WINDOW_BYTES
        )
        made: list[bytes] = []
        octets, at = answer.frames[0], 0
        for direction, start, stop, ts_ns, _, gap, _ in answer.result["turns"]:
            length = 0 if gap else stop - start
            if not gap and direction in sides:
                made += packets.turn(direction, start, octets[at : at + length], ts_ns)
            at += length
        yield b"".join(made)
        after, ended = answer.result["after"], answer.result["end"]
    yield b"".join(packets.end((after[0], after[1])))
