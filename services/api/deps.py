"""What the routes share: the services behind them, and parameters that several of them take."""

from typing import Annotated, Any, cast

import orjson
from fastapi import Depends, Path, Request, Response

from services.api.backend import Backend
from services.api.feed import Feed
from services.api.ring import Ring
from shared.settings import Settings

# Coroutines, though they wait for nothing: FastAPI sends plain functions through a thread, which is
# 0.2 ms of each request.


async def _backend(request: Request) -> Backend:
    return cast(Backend, request.app.state.backend)


async def _feed(request: Request) -> Feed:
    return cast(Feed, request.app.state.feed)


async def _ring(request: Request) -> Ring:
    return cast(Ring, request.app.state.ring)


async def _settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


TheBackend = Annotated[Backend, Depends(_backend)]
TheFeed = Annotated[Feed, Depends(_feed)]
TheRing = Annotated[Ring, Depends(_ring)]
TheSettings = Annotated[Settings, Depends(_settings)]
StreamId = Annotated[
    str,
    Path(
        alias="id",
        pattern="^[0-9a-fA-F]{16}$",
        description="the stream's id, 16 hex digits: its `stream_id_hex`",
    ),
]


def json_response(value: Any, status: int = 200) -> Response:
    """A JSON body, not validated again: the models only document it."""
    return Response(orjson.dumps(value), status, {"Cache-Control": "no-store"}, "application/json")
