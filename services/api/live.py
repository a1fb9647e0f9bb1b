"""`/api/live`: what changed since a cursor, by long poll or as server-sent events.

A client without a cursor is told the latest one at once; it reads the rows it shows, then asks
for what follows that cursor. A client that was away for too long is told `missed` and the latest
cursor: it reads its rows again and goes on from there.
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.types import Receive

from services.api.deps import TheFeed
from services.api.event_stream import EventStream, disconnected
from services.api.feed import Feed
from services.api.models import INT64_MAX, Deltas
from services.api.problems import RESPONSES

EVENTS: dict[int | str, dict[str, object]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
    **{
        status: {
            "description": response["description"],
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}},
        }
        for status, response in RESPONSES.items()
    },
}

router = APIRouter()


class DeltasParameters(BaseModel):
    """Which changes, and how long to wait for them."""

    cursor: int | None = Field(
        None, ge=0, le=INT64_MAX, description="changes after this one; without, none"
    )
    limit: int = Field(512, ge=1, le=4096)
    wait_ms: int = Field(
        0, ge=0, le=30000, description="wait this long for a change if there is none"
    )


@router.get("/api/live/deltas", response_model=Deltas, responses=RESPONSES)
async def get_deltas(
    request: Request, feed: TheFeed, parameters: Annotated[DeltasParameters, Query()]
) -> Response:
    """Changes after `cursor`, oldest first."""
    return await changes(feed, parameters, request.receive)


async def changes(feed: Feed, asked: DeltasParameters, receive: Receive) -> Response:
    """Wait for them, but no longer than there is a client."""
    with feed.visitor():
        answer = asyncio.create_task(_deltas(feed, asked))
        gone = asyncio.create_task(disconnected(receive))
        try:
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
            return answer.result() if answer.done() else Response()  # nobody reads this one
        finally:
            answer.cancel()
            gone.cancel()


async def _deltas(feed: Feed, asked: DeltasParameters) -> Response:
    cursor = asked.cursor
    await feed.in_step(cursor or 0)
    if cursor is None:
        return _body(feed, feed.window.latest, [], missed=False)
    found = await feed.after(cursor, asked.limit, asked.wait_ms / 1000)
    if found is None:
        return _body(feed, feed.window.latest, [], missed=True)
    return _body(feed, cursor + len(found), found, missed=False)


def _body(feed: Feed, cursor: int, deltas: list[bytes], *, missed: bool) -> Response:
    """The deltas are JSON already."""
    head = b'{"cursor":%d,"latest":%d,"missed":%s,"deltas":[' % (
        cursor,
        feed.window.latest,
        b"true" if missed else b"false",
    )
    body = head + b",".join(deltas) + b"]}"
    return Response(body, 200, {"Cache-Control": "no-store"}, "application/json")


@router.get(
    "/api/live/events",
    status_code=200,
    response_class=EventStream,
    responses=EVENTS,
)
async def get_events(
    feed: TheFeed,
    cursor: Annotated[
        int | None,
        Query(ge=0, le=INT64_MAX, description="changes after this one; without, from now on"),
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="a reconnecting browser's cursor; goes before `cursor`")
    ] = None,
) -> Response:
    """Changes as server-sent events; each event's id is its cursor, its data one delta.

    An event named `missed` says that changes were lost: read the rows again. A comment is sent
    every 15 s when nothing changes. A client that does not read for 10 s is disconnected.
    """
    if last_event_id and last_event_id.isascii() and last_event_id.isdigit():
        cursor = int(last_event_id[:20])
    await feed.in_step(cursor or 0)
    return EventStream(feed, feed.window.latest if cursor is None else cursor)
