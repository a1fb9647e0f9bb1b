"""`/api/messages` and `/api/streams/{id}/messages`: what parsers found.

Across streams each shard gives its newest messages before a position; they are merged by time, and
the cursor is the position of every shard. A cursor means the same while messages come in.
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from services.api.backend import Answer, Peer, deadline
from services.api.deps import StreamId, TheBackend, json_response
from services.api.message_rows import Kind, Message, Row, Told, render, told
from services.api.models import Body, Count
from services.api.problems import EVICTED, RESPONSES, UNKNOWN_STREAM, bad_value
from services.api.reading import of_shard
from services.api.streams import find_stream
from shared.schema import MessageFilter, MessageSearch, SchemaError

ORDINAL_MAX = (1 << 32) - 1
MARGIN_S = 0.25  # a page is given as it is, rather than look on with less time than this
CURSOR = r"^(0|[1-9][0-9]{0,17})(\.(0|[1-9][0-9]{0,17})){0,63}$"

router = APIRouter()


class StreamMessages(Body):
    """A page of one stream's messages, in the order in which they began."""

    messages: list[Message]
    next_cursor: int | None = Field(description="ordinal of the next message")
    total: Count = Field(description="messages of the stream so far")
    first_ordinal: Count = Field(
        description="of the first message, from the cursor on, that is still kept"
    )


class MessagePage(Body):
    """A page of messages of all streams, newest first. It may be short and not be the last: a
    filter that lets little pass is answered with what was found in time."""

    messages: list[Message]
    next_cursor: str | None


class MessagesParameters(BaseModel):
    """Which messages; all filters given must hold, an empty value is none."""

    protocol: str | None = Field(
        None, max_length=64, description="http1, dns, tls, websocket, or an analyzer's name"
    )
    kind: Kind | None = None
    host: str | None = Field(
        None,
        max_length=256,
        description="Host of a request, name of a query, SNI: this one, or one below its domain",
    )
    status: int | None = Field(None, ge=0, le=65535, description="status code of a response")
    text: str | None = Field(
        None, max_length=512, description="in the summary or the name; case does not matter"
    )
    limit: int = Field(100, ge=1, le=512)
    cursor: str | None = Field(None, pattern=CURSOR, description="`next_cursor` of the page before")

    @property
    def filter(self) -> MessageFilter:
        return MessageFilter(**self.model_dump(include=set(MessageFilter.model_fields) - {"v"}))


@router.get(
    "/api/streams/{id}/messages",
    response_model=StreamMessages,
    responses=RESPONSES | UNKNOWN_STREAM | EVICTED,
)
async def list_stream_messages(
    backend: TheBackend,
    stream_id: StreamId,
    limit: Annotated[int, Query(ge=1, le=512)] = 100,
    cursor: Annotated[int, Query(ge=0, le=ORDINAL_MAX, description="ordinal to begin at")] = 0,
) -> Response:
    """Messages of one stream, oldest first; `cursor` is an ordinal."""
    until = deadline()
    stream = await find_stream(backend, stream_id, until)
    answer = await of_shard(backend, stream, "messages", until, first=cursor, limit=limit)
    found = understood(answer, backend.shard(stream.shard))
    return json_response(
        {
            "messages": await rendered(found),
            "next_cursor": answer.result["next"],
            "total": answer.result["total"],
            "first_ordinal": answer.result["first"],
        }
    )


@router.get("/api/messages", response_model=MessagePage, responses=RESPONSES)
async def list_messages(
    backend: TheBackend, parameters: Annotated[MessagesParameters, Query()]
) -> Response:
    """Messages of all streams, newest first."""
    until = deadline()
    indices = await backend.shard_indices(until)
    lanes = [Lane(backend.shard(index), parameters) for index in indices]
    for lane, before in zip(lanes, positions(parameters.cursor, len(lanes)), strict=True):
        lane.before = before
    page = await newest(lanes, parameters.limit, until)
    ended = all(lane.cursor == 0 for lane in lanes)
    return json_response(
        {
            "messages": await rendered(page),
            "next_cursor": None if ended else ".".join(str(lane.cursor) for lane in lanes),
        }
    )


def positions(cursor: str | None, count: int) -> list[int | None]:
    """The position of each shard; None = the newest."""
    if cursor is None:
        return [None] * count
    found = [int(part) for part in cursor.split(".")]
    if len(found) != count:
        raise bad_value("cursor", f"it is of {len(found)} shards, there are {count} now")
    return list(found)


class Lane:
    """One shard's messages on their way into a page. before: where to go on, 0 = at the end."""

    def __init__(self, peer: Peer, parameters: MessagesParameters) -> None:
        self.peer, self._parameters = peer, parameters
        self.before: int | None = None
        self.waiting: list[tuple[int, Told]] = []  # number and message, the newest last

    async def fill(self, until: float) -> None:
        """Ask for more when none waits and there may be some."""
        if self.waiting or self.before == 0:
            return
        search = MessageSearch(
            filter=self._parameters.filter, before=self.before, limit=self._parameters.limit
        )
        answer = await self.peer.ask("find_messages", search.model_dump(), until)
        found = zip(answer.result["numbers"], understood(answer, self.peer), strict=True)
        self.waiting = list(found)[::-1]
        self.before = answer.result["before"] or 0

    @property
    def cursor(self) -> int:
        """Where the next page goes on: behind the last one that was taken."""
        if self.waiting:
            return self.waiting[-1][0] + 1
        return self.before or 0

    @property
    def ts_ns(self) -> int:
        return int(self.waiting[-1][1].row["ts_ns"])


async def newest(lanes: list[Lane], limit: int, until: float) -> list[Told]:
    """The page. What a shard has not looked through in time is left to the next one."""
    clock = asyncio.get_running_loop().time
    page: list[Told] = []
    while len(page) < limit:
        hungry = [lane for lane in lanes if not lane.waiting and lane.before != 0]
        if hungry:
            if any(lane.before is not None for lane in hungry) and clock() > until - MARGIN_S:
                break
            await asyncio.gather(*(lane.fill(until) for lane in hungry))
            continue
        waiting = [lane for lane in lanes if lane.waiting]
        if not waiting:
            break
        _, message = max(waiting, key=lambda lane: lane.ts_ns).waiting.pop()
        page.append(message)
    return sorted(page, key=lambda message: -int(message.row["ts_ns"]))


def understood(answer: Answer, peer: Peer) -> list[Told]:
    """The messages of a shard's answer, with their headers. Problem 503 when it is none."""
    try:
        return told(answer.frames, answer.result["count"], answer.result["header_bytes"])
    except SchemaError as error:
        raise peer.unavailable(f"cannot be understood: {error}") from None


async def rendered(found: list[Told]) -> list[Row]:
    """In a thread: certificates among them take milliseconds."""
    return await asyncio.to_thread(lambda: [render(message) for message in found])
