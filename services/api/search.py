"""`/api/search`: looking for something once, in all that is retained.

Every shard searches its own content between packets and keeps its hits; they are read here, shard
by shard, and the cursor is how many of each were read. A shard that does not answer, or that was
restarted, is named: its streams were not searched.
"""

import secrets
from binascii import b2a_base64
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from services.api.all_shards import Told, ask_all
from services.api.backend import Backend, deadline
from services.api.deps import TheBackend, json_response
from services.api.filters import SEARCH_ID, StreamFilters
from services.api.message_rows import DIRECTIONS
from services.api.models import Body, Count, DirectionName, Micros, StreamIdHex
from services.api.problems import RESPONSES, UNKNOWN_SEARCH, bad_value
from services.api.rows import text_of
from shared.flow_key import hex_id
from shared.schema import SearchStart

CURSOR = r"^(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){0,63}$"
HIT_BYTES = 256
SearchId = Annotated[
    str, Path(alias="id", pattern=SEARCH_ID, description="the `search_id` of the search")
]

router = APIRouter()


class SearchFilters(StreamFilters):
    """Which streams are searched; without any, all that are retained."""

    model_config = ConfigDict(extra="forbid")


class NewSearch(BaseModel):
    """What is looked for, and where."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["substring", "regex", "binary"] = "substring"
    value: str = Field(
        min_length=1, max_length=4096, description="text, a regular expression, or hexadecimal"
    )
    direction: Literal["any", "client", "server"] = "any"
    filters: SearchFilters = SearchFilters()
    limit: int = Field(1000, ge=1, le=10000, description="hits of one shard, at most")


class SearchBegun(Body):
    """A search that is under way. It is forgotten when nobody asks for its hits for a minute."""

    search_id: str
    missing: list[str] = Field(description="shards that do not answer: they are not searched")


class Hit(Body):
    """A place where it was found, and the bytes around it."""

    stream_id_hex: StreamIdHex
    direction: DirectionName
    start: Count = Field(description="logical offset in its direction")
    end: Count
    ts_us: Micros = Field(description="of the packet in which it ends")
    text: str | None = Field(description="its first bytes, when they are UTF-8 text")
    base64: str = Field(description="its first bytes, at most 256")
    context_start: Count
    context_text: str | None
    context_base64: str


class SearchProgress(Body):
    scanned_bytes: Count
    total_bytes: Count


class Hits(Body):
    """Hits since `after`, and how far the search is. Ask again with `next_cursor` as `after`."""

    search_id: str
    hits: list[Hit]
    next_cursor: str
    progress: SearchProgress
    done: bool = Field(description="there will be no more hits behind `next_cursor`")
    cancelled: bool
    capped: bool = Field(description="a shard stopped at `limit` hits")
    trouble: list[str] = Field(description="what shards could not do; a sentence each")
    missing: list[str] = Field(description="shards that do not answer, or do not know the search")


@router.post("/api/search", status_code=201, response_model=SearchBegun, responses=RESPONSES)
async def start_search(backend: TheBackend, search: NewSearch) -> Response:
    """Look for something in what is retained; nothing is kept of it but the hits."""
    until = deadline()
    name, chosen = secrets.token_hex(8), search.filters.filter
    rows = None
    if search.filters.model_dump(exclude_defaults=True):
        rows = await _rows_of(backend, chosen.model_dump(), until)

    def args_of(shard: int) -> dict[str, Any]:
        mine = b"" if rows is None else rows.get(shard, b"")
        return SearchStart(
            search=name, kind=search.kind, value=search.value, direction=search.direction,
            everywhere=rows is None, rows=mine, limit=search.limit,
        ).model_dump()  # fmt: skip

    shards = await backend.shard_indices(until)
    _, missing = await ask_all(backend, "search_start", {i: args_of(i) for i in shards}, until)
    return _created({"search_id": name, "missing": missing})


def _created(body: dict[str, Any]) -> Response:
    response = json_response(body)
    response.status_code = 201
    return response


async def _rows_of(backend: Backend, chosen: dict[str, Any], until: float) -> dict[int, bytes]:
    """The streams of a filter by shard, packed as `SearchStart` wants them."""
    answer = await backend.coordinator.ask("select_rows", {"filter": chosen}, until)
    shards = [int(each["shard"]) for each in answer.result["shards"]]
    return dict(zip(shards, answer.frames, strict=True))


@router.get("/api/search/{id}", response_model=Hits, responses=RESPONSES | UNKNOWN_SEARCH)
async def get_hits(
    backend: TheBackend,
    search_id: SearchId,
    after: Annotated[
        str | None, Query(pattern=CURSOR, description="`next_cursor` of the answer before")
    ] = None,
) -> Response:
    """Hits that were found since, and progress."""
    until = deadline()
    shards = await backend.shard_indices(until)
    counts = [int(part) for part in after.split(".")] if after else [0] * len(shards)
    if len(counts) != len(shards):
        raise bad_value("after", f"it is of {len(counts)} shards, there are {len(shards)} now")
    args = {
        shard: {"search": search_id, "after": count}
        for shard, count in zip(shards, counts, strict=True)
    }
    told, missing = await ask_all(backend, "search_poll", args, until)
    nexts = [told[shard]["next"] if shard in told else args[shard]["after"] for shard in shards]
    return json_response(
        {
            "search_id": search_id,
            "hits": [_hit(hit) for each in told.values() for hit in each["hits"]],
            "next_cursor": ".".join(str(count) for count in nexts) or "0",
            **_progress(told),
            "missing": missing,
        }
    )


@router.delete("/api/search/{id}", response_model=Hits, responses=RESPONSES | UNKNOWN_SEARCH)
async def cancel_search(backend: TheBackend, search_id: SearchId) -> Response:
    """End a search. The hits that it found so far can still be read."""
    until = deadline()
    shards = await backend.shard_indices(until)
    args = {shard: {"search": search_id} for shard in shards}
    told, missing = await ask_all(backend, "search_cancel", args, until)
    nexts = [told[shard]["next"] if shard in told else 0 for shard in shards]
    return json_response(
        {
            "search_id": search_id,
            "hits": [],
            "next_cursor": ".".join(str(count) for count in nexts) or "0",
            **_progress(told),
            "missing": missing,
        }
    )


def _progress(told: Told) -> dict[str, Any]:
    """What all shards say together."""
    every = told.values()
    return {
        "progress": {
            "scanned_bytes": sum(each["scanned_bytes"] for each in every),
            "total_bytes": sum(each["total_bytes"] for each in every),
        },
        "done": all(each["done"] for each in every),
        "cancelled": any(each["cancelled"] for each in every),
        "capped": any(each["capped"] for each in every),
        "trouble": [
            f"shard {shard}: {each['trouble']}" for shard, each in told.items() if each["trouble"]
        ],
    }


def _hit(hit: dict[str, Any]) -> dict[str, Any]:
    """As `Hit`."""
    context = hit["context"]
    begin = hit["start"] - hit["context_start"]
    octets = context[begin : begin + min(hit["end"] - hit["start"], HIT_BYTES)]
    return {
        "stream_id_hex": hex_id(hit["stream_id"]),
        "direction": DIRECTIONS[hit["direction"]],
        "start": hit["start"],
        "end": hit["end"],
        "ts_us": hit["ts_us"],
        "text": text_of(octets),
        "base64": b2a_base64(octets, newline=False).decode(),
        "context_start": hit["context_start"],
        "context_text": text_of(context),
        "context_base64": b2a_base64(context, newline=False).decode(),
    }
