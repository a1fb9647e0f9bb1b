"""`/api/streams/{id}/matches`: where patterns were found in a stream, and their octets."""

from binascii import b2a_base64
from typing import Annotated, Literal, NamedTuple

import numpy as np
from fastapi import APIRouter, Query, Response
from numpy.typing import NDArray
from pydantic import Field

from services.api.backend import Backend, Refused, deadline
from services.api.deps import StreamId, TheBackend, TheSettings, json_response
from services.api.message_rows import DIRECTIONS
from services.api.models import Body, Count, DirectionName, Micros, StreamIdHex
from services.api.problems import EVICTED, RESPONSES, UNKNOWN_STREAM
from services.api.reading import not_there
from services.api.rows import text_of
from services.api.streams import FoundStream, find_stream
from shared.columns import MATCH, PATTERN_KINDS
from shared.flow_key import hex_id

NO_MATCHES = ("disabled", "unknown_op")  # refusals of a shard that looks for no patterns

router = APIRouter()


class Match(Body):
    """A pattern found in a stream."""

    stream_id_hex: StreamIdHex
    pattern_id: int
    kind: Literal["substring", "regex", "binary"]
    direction: DirectionName
    start: Count = Field(description="logical offset in its direction")
    end: Count
    text: str | None = Field(description="its first bytes, when they are UTF-8 text")
    base64: str = Field(description="its first bytes, at most 256")
    ts_us: Micros = Field(description="of the packet in which it ends")


class Matches(Body):
    """Matches of one stream by direction and place."""

    matches: list[Match]
    dropped: Count = Field(description="matches that are not listed: over a limit, or evicted")


class Found(NamedTuple):
    """MATCH rows, their octets, and how many more there were."""

    rows: NDArray[np.void]
    octets: bytes
    dropped: int


@router.get(
    "/api/streams/{id}/matches",
    response_model=Matches,
    responses=RESPONSES | UNKNOWN_STREAM | EVICTED,
)
async def list_matches(
    backend: TheBackend,
    settings: TheSettings,
    stream_id: StreamId,
    limit: Annotated[
        int | None,
        Query(ge=1, le=1 << 16, description="at most, and by default, the server's own limit"),
    ] = None,
) -> Response:
    """Where patterns were found in the stream."""
    until = deadline()
    stream = await find_stream(backend, stream_id, until)
    most = settings.max_stream_view_matches_per_stream
    found = await matches_of(backend, stream, min(limit or most, most), until)
    return json_response({"matches": _render(found), "dropped": found.dropped})


async def matches_of(backend: Backend, stream: FoundStream, limit: int, until: float) -> Found:
    """The stream's first matches."""
    try:
        answer = await backend.shard(stream.shard).ask(
            "matches", stream.address | {"limit": limit}, until
        )
    except Refused as refused:
        if refused.refusal.code in NO_MATCHES:
            return Found(np.empty(0, MATCH), b"", 0)
        raise not_there(refused, hex_id(stream.address["stream_id"])) from None
    rows = np.frombuffer(answer.frames[0], MATCH)
    return Found(rows, answer.frames[1], int(answer.result["dropped"]))


def _render(found: Found) -> list[dict[str, object]]:
    rendered = []
    for row in found.rows:
        octets = found.octets[row["off"] :][: row["len"]]
        rendered.append(
            {
                "stream_id_hex": hex_id(int(row["stream_id"])),
                "pattern_id": int(row["pattern"]),
                "kind": PATTERN_KINDS[row["kind"]],
                "direction": DIRECTIONS[row["dir"]],
                "start": int(row["start"]),
                "end": int(row["end"]),
                "text": text_of(octets),
                "base64": b2a_base64(octets, newline=False).decode(),
                "ts_us": int(row["ts_ns"]) // 1000,
            }
        )
    return rendered
