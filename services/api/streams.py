"""`/api/streams`: the inventory, a page at a time, and one stream."""

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from services.api.backend import Answer, Backend, Refused, deadline
from services.api.deps import StreamId, TheBackend, json_response
from services.api.filters import ListFilters, chosen
from services.api.models import INT64_MAX, Stream, StreamDetail, StreamPage
from services.api.problems import RESPONSES, UNKNOWN_SEARCH, UNKNOWN_STREAM, Problem
from services.api.rows import Row, RowColumns
from shared.schema import SchemaError, StreamsQuery
from shared.team import StreamNotes

RETENTION_S = 1.0  # a row is worth having without it

router = APIRouter()


class StreamsParameters(ListFilters):
    """Filters, order and place of a page."""

    order: Literal["newest", "oldest"] = "newest"
    limit: int = Field(100, ge=1, le=512)
    cursor: int | None = Field(
        None,
        ge=0,
        le=INT64_MAX,
        description="`next_cursor` of the page before, or the `number` of any stream: what comes"
        " after it in this order",
    )
    offset: int = Field(
        0,
        ge=0,
        le=INT64_MAX,
        description="streams behind the cursor to pass over: with it a page"
        " can be anywhere in the list",
    )


@router.get("/api/streams", response_model=StreamPage, responses=RESPONSES | UNKNOWN_SEARCH)
async def list_streams(
    backend: TheBackend, parameters: Annotated[StreamsParameters, Query()]
) -> Response:
    """One page of the inventory, newest streams first unless told otherwise."""
    until = deadline()
    query = StreamsQuery(
        filter=await chosen(backend, parameters, until),
        order=parameters.order,
        limit=parameters.limit,
        cursor=parameters.cursor,
        offset=parameters.offset,
    )
    answer = await backend.coordinator.ask("streams", query.model_dump(), until)
    return json_response(
        {
            "streams": _columns(backend, answer).render(),
            "next_cursor": answer.result["next_cursor"],
            "total": answer.result["total"],
            "hidden": answer.result["hidden"],
            "before": answer.result["before"],
        }
    )


@router.get("/api/streams/{id}", response_model=StreamDetail, responses=RESPONSES | UNKNOWN_STREAM)
async def get_stream(backend: TheBackend, stream_id: StreamId) -> Response:
    """One stream's row, and what its shard retains of its content."""
    until = deadline()
    stream = await find_stream(backend, stream_id, until)
    content, note = await _retention(backend, stream, until)
    return json_response(stream.row | {"content": content, "content_note": note})


@router.patch("/api/streams/{id}", response_model=Stream, responses=RESPONSES | UNKNOWN_STREAM)
async def patch_stream(backend: TheBackend, stream_id: StreamId, notes: StreamNotes) -> Response:
    """Note something on a stream, for everybody: fields that are not given stay as they are."""
    args = {"stream_id": int(stream_id, 16), "notes": notes.given()}
    answer = await backend.coordinator.ask("annotate", args, deadline())
    return json_response(_columns(backend, answer).render()[0])


class Located:
    """Where a stream's content is: `shard`, and `address` there. client: which side it is."""

    def __init__(self, stream_id: int, shard: int, row: int, client: int) -> None:
        self.shard, self.client = shard, client
        self.address = {"stream_id": stream_id, "row": row}


class FoundStream(Located):
    """A stream of the inventory."""

    def __init__(self, columns: RowColumns) -> None:
        self.event = event = columns.events[0]
        super().__init__(*(int(event[name]) for name in ("stream_id", "shard", "row", "client")))
        self._columns = columns

    @property
    def row(self) -> Row:
        return self._columns.render()[0]


async def locate(backend: Backend, id_hex: str, until: float) -> Located:
    """For who wants a stream's content alone: a row costs the coordinator ten times as much.
    Problem 404 when the inventory has no such stream."""
    stream_id = int(id_hex, 16)
    found = (await backend.coordinator.ask("where", {"stream_id": stream_id}, until)).result
    if not found:
        raise _unknown(id_hex)
    return Located(stream_id, found["shard"], found["row"], found["client"])


async def find_stream(backend: Backend, id_hex: str, until: float) -> FoundStream:
    """Problem 404 when the inventory has no such stream."""
    answer = await backend.coordinator.ask("stream", {"stream_id": int(id_hex, 16)}, until)
    columns = _columns(backend, answer)
    if len(columns) == 0:
        raise _unknown(id_hex)
    return FoundStream(columns)


def _unknown(id_hex: str) -> Problem:
    return Problem(
        404,
        "not_found",
        f"no stream {id_hex.lower()}",
        "the inventory is bounded: it may have made room for newer ones (--max-streams)",
    )


def _columns(backend: Backend, answer: Answer) -> RowColumns:
    try:
        return RowColumns(answer.frames, answer.result["count"], answer.result.get("extras", ()))
    except SchemaError as error:
        raise backend.coordinator.unavailable(f"cannot be understood: {error}") from None


async def _retention(
    backend: Backend, stream: FoundStream, until: float
) -> tuple[dict[str, Any] | None, str | None]:
    """What is retained of the content, else None and why that is not known."""
    soon = min(until, asyncio.get_running_loop().time() + RETENTION_S)
    try:
        answer = await backend.shard(stream.shard).ask("retention", stream.address, soon)
    except Problem as problem:
        return None, problem.message
    except Refused as refused:
        return None, refused.refusal.message
    return answer.result, None
