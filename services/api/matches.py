"""`/api/streams/{id}/matches`: where patterns were found in a stream, and their octets."""

from binascii import b2a_base64
from typing import Annotated, Literal, NamedTuple

import numpy as np
from fastapi import APIRouter, Query, Response
from numpy.typing import NDArray
from pydantic import Field

from services.api.backend import Backend, deadline
from services.api.deps import StreamId, TheBackend, TheSettings, json_response
from services.api.message_rows import DIRECTIONS
from services.api.models import Body, Count, DirectionName, Micros, StreamIdHex
from services.api.problems import EVICTED, RESPONSES, UNKNOWN_STREAM
from services.api.reading import of_shard
from services.api.rows import text_of
from services.api.streams import FoundStream, find_stream
from shared.columns import MATCH, PATTERN_KINDS
from shared.flow_key import hex_id

router = APIRouter()


class Match(Body):
    """A pattern found in a stream."""

    stream_id_hex: StreamIdHex
    pattern_id: int
    pattern_name: str = Field(description="empty when the pattern is gone by now")
    kind: Literal["substring", "regex", "binary"]
    direction: DirectionName
    start: Count = Field(description="logical offset in its direction")
    end: Count
    text: str | None = Field(description="its first bytes, when they are UTF-8 text")
    base64: str = Field(description="its first bytes, at most 256; empty when they are evicted")
    ts_us: Micros = Field(description="of the packet in which it ends")


class Matches(Body):
    """A page of one stream's matches, by direction and place."""

    matches: list[Match]
    total: Count = Field(description="matches of the stream that are kept")
    next_cursor: int | None


class Found(NamedTuple):
    """MATCH rows, their octets, how many the stream has, and where to go on."""

    rows: NDArray[np.void]
    octets: bytes
    total: int
    next: int


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
    cursor: Annotated[
        int, Query(ge=0, le=1 << 31, description="`next_cursor` of the page before")
    ] = 0,
) -> Response:
    """Where patterns were found in the stream."""
    until = deadline()
    stream = await find_stream(backend, stream_id, until)
    most = settings.max_stream_view_matches_per_stream
    found = await matches_of(backend, stream, min(limit or most, most), until, cursor)
    names = await _names(backend, until) if found.rows.size else {}
    return json_response(
        {
            "matches": _render(found, names),
            "total": found.total,
            "next_cursor": found.next if found.next < found.total else None,
        }
    )


async def _names(backend: Backend, until: float) -> dict[int, str]:
    answer = await backend.coordinator.ask("pattern_list", {}, until)
    return {pattern["id"]: pattern["name"] for pattern in answer.result["patterns"]}


async def matches_of(
    backend: Backend, stream: FoundStream, limit: int, until: float, after: int = 0
) -> Found:
    """The stream's matches behind the first `after`."""
    answer = await of_shard(backend, stream, "matches", until, limit=limit, after=after)
    rows = np.frombuffer(answer.frames[0], MATCH)
    return Found(rows, answer.frames[1], answer.result["total"], answer.result["next"])


def _render(found: Found, names: dict[int, str]) -> list[dict[str, object]]:
    rendered = []
    for row in found.rows:
        octets = found.octets[row["off"] :][: row["len"]]
        rendered.append(
            {
                "stream_id_hex": hex_id(int(row["stream_id"])),
                "pattern_id": int(row["pattern"]),
                "pattern_name": names.get(int(row["pattern"]), ""),
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
