"""Which streams: what the filters of a list, a search and an overview are, and what they mean."""

import asyncio
import ipaddress
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from services.api.all_shards import ask_all
from services.api.backend import Backend
from services.api.models import (
    INT64_MAX,
    MICROS_MAX,
    ContentKind,
    ProtocolName,
    ServiceFilter,
    Status,
)
from services.api.problems import Problem
from shared.schema import StreamFilter
from shared.team import PROFILE_ID

HITS_S = 1.0  # shards may take so long to say where there are hits; the list waits for it
SEARCH_ID = "^[0-9a-f]{16}$"

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


class ListFilters(StreamFilters):
    """Which streams of a list or an overview."""

    search: str | None = Field(
        None,
        pattern=SEARCH_ID,
        description="a `search_id` of POST /api/search: streams in which it has hits so far. Shards"
        " that it says are `missing` have none",
    )


async def chosen(backend: Backend, filters: ListFilters, until: float) -> StreamFilter:
    """The filter as the coordinator takes it. Problem 404 when there is no such search, 503 when
    no shard says in which streams it has hits."""
    if filters.search is None:
        return filters.filter
    shards = await backend.shard_indices(until)
    soon = min(until, asyncio.get_running_loop().time() + HITS_S)
    args = {shard: {"search": filters.search} for shard in shards}
    told, _ = await ask_all(backend, "search_streams", args, soon)
    if not told:
        raise Problem(404, "not_found", f"there is no search {filters.search!r}")
    ids = b"".join(each["ids"] for each in told.values())
    return filters.filter.model_copy(update={"among": ids})
