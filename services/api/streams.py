"""`/api/streams`: the inventory, a page at a time, and one stream."""

import asyncio
import ipaddress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from services.api.backend import Answer, Backend, Refused, deadline
from services.api.deps import StreamId, TheBackend, json_response
from services.api.models import (
    INT64_MAX,
    MICROS_MAX,
    ContentKind,
    ProtocolName,
    ServiceFilter,
    Status,
    Stream,
    StreamDetail,
    StreamPage,
)
from services.api.problems import RESPONSES, UNKNOWN_STREAM, Problem
from services.api.rows import Row, RowColumns
from shared.schema import SchemaError, StreamFilter, StreamsQuery
from shared.team import PROFILE_ID, StreamNotes

RETENTION_S = 1.0  # a row is worth having without it

router = APIRouter()


# The usual ways to write an address or a block. More is taken: whatever ipaddress can read.
OCTET, GROUP = "(25[0-5]|(2[0-4]|1[0-9]|[1-9])?[0-9])", "[0-9A-Fa-f]{1,4}"
ADDRESSES = [
    {"type": "string", "format": "ipv4"},
    {"type": "string", "format": "ipv6"},
    {"type": "string", "pattern": f"^{OCTET}([.]{OCTET}){{3}}/(3[0-2]|[12]?[0-9])$"},
    {"type": "string", "pattern": f"^{GROUP}(:{GROUP}){{0,6}}::/(12[0-8]|(1[01]|[1-9])?[0-9])$"},
]


def _address(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        message = "{value} is neither an address nor a block such as 10.1.0.0/16 or fe80::/10"
        raise PydanticCustomError("addr", message, {"value": repr(value)}) from None
    return value


class StreamFilters(BaseModel):
    """Which streams. All filters given must hold; an empty value is none."""

    only_favorites: bool = False
    only_matched: bool = Field(False, description="streams with a pattern's match")
    include_hidden: bool = False
    protocol: ProtocolName | None = None
    service: ServiceFilter | None = None
    port: int | None = Field(None, ge=0, le=65535, description="of either endpoint")
    addr: Annotated[str, AfterValidator(_address), WithJsonSchema({"anyOf": ADDRESSES})] | None = (
        Field(None, description="of either endpoint: an address or a CIDR block")
    )
    content_kind: ContentKind | None = None
    status: Status | None = None
    min_bytes: int | None = Field(None, ge=0, le=INT64_MAX, description="on the wire")
    max_bytes: int | None = Field(None, ge=0, le=INT64_MAX, description="on the wire")
    since_us: int | None = Field(None, ge=-MICROS_MAX, le=MICROS_MAX, description="seen after this")
    until_us: int | None = Field(
        None, ge=-MICROS_MAX, le=MICROS_MAX, description="seen before this"
    )
    tag: str | None = Field(None, max_length=256)
    pattern_id: int | None = Field(
        None, ge=1, le=INT64_MAX, description="streams with a match of this pattern"
    )
    profile: str | None = Field(
        None, pattern=PROFILE_ID.pattern, description="streams that this profile describes"
    )
    text: str | None = Field(
        None,
        max_length=1024,
        description="in the summary or a preview, ASCII letters in both cases; what is printable"
        " of the first bytes of a binary direction counts as its summary, put together",
    )

    @property
    def filter(self) -> StreamFilter:
        return StreamFilter(**self.model_dump(include=set(StreamFilter.model_fields) - {"v"}))


class StreamsParameters(StreamFilters):
    """Filters, order and place of a page."""

    order: Literal["newest", "oldest"] = "newest"
    limit: int = Field(100, ge=1, le=512)
    cursor: int | None = Field(
        None, ge=0, le=INT64_MAX, description="`next_cursor` of the page before"
    )

    def query(self) -> StreamsQuery:
        return StreamsQuery(
            filter=self.filter, order=self.order, limit=self.limit, cursor=self.cursor
        )


@router.get("/api/streams", response_model=StreamPage, responses=RESPONSES)
async def list_streams(
    backend: TheBackend, parameters: Annotated[StreamsParameters, Query()]
) -> Response:
    """One page of the inventory, newest streams first unless told otherwise."""
    query = parameters.query().model_dump()
    answer = await backend.coordinator.ask("streams", query, deadline())
    return json_response(
        {
            "streams": _columns(backend, answer).render(),
            "next_cursor": answer.result["next_cursor"],
            "total": answer.result["total"],
            "hidden": answer.result["hidden"],
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


class FoundStream:
    """A stream of the inventory. `shard` and `address` say where its content is."""

    def __init__(self, columns: RowColumns) -> None:
        self.event = event = columns.events[0]
        self.shard, self.client = int(event["shard"]), int(event["client"])
        self.address = {"stream_id": int(event["stream_id"]), "row": int(event["row"])}
        self._columns = columns

    @property
    def row(self) -> Row:
        return self._columns.render()[0]


async def find_stream(backend: Backend, id_hex: str, until: float) -> FoundStream:
    """Problem 404 when the inventory has no such stream."""
    answer = await backend.coordinator.ask("stream", {"stream_id": int(id_hex, 16)}, until)
    columns = _columns(backend, answer)
    if len(columns) == 0:
        raise Problem(
            404,
            "not_found",
            f"no stream {id_hex.lower()}",
            "the inventory is bounded: it may have made room for newer ones (--max-streams)",
        )
    return FoundStream(columns)


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
