"""The application: its routes, what they share while it runs, and the layers around it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from starlette.types import ASGIApp

from services.api import (
    bodies,
    captures,
    content,
    conversation,
    export,
    health,
    hide_rules,
    home,
    live,
    matches,
    messages,
    metrics,
    overview,
    patterns,
    problems,
    profiles,
    search,
    streams,
)
from services.api.auth import Guard
from services.api.backend import Backend, Refused
from services.api.direct import Direct
from services.api.edge import Edge
from services.api.feed import Feed
from services.api.openapi import Described
from services.api.ring import Ring
from shared.settings import Settings
from shared.tcp_bus import bus_of

DESCRIPTION = """
Streams of a run, their content, and what changes while it goes on.

Ids are 16 hex digits. Times are microseconds since the epoch. A parameter with an empty value
counts as not given, one that is not known is ignored. Every error has the shape
`{"error": {"code", "message", "hint"}}`. A request is answered within 2 s; only `/api/live` waits
longer, and only when asked to. A body of JSON has a bound, behind which it is refused with 413. A
server with a token wants it with every request, as `Authorization: Bearer TOKEN` or as
`?token=TOKEN`.
"""

# They are tried one after the other, which was 7 % of the API's time with 50 clients: what clients
# ask for all the time comes first.
RESOURCES = (
    live,
    content,
    health,
    overview,  # before what takes any word for an id
    streams,
    conversation,
    messages,
    bodies,
    matches,
    export,
    search,
    patterns,
    hide_rules,
    profiles,
    captures,
    metrics,
    home,
)


def create_app(settings: Settings) -> FastAPI:
    """The routes. `Backend` and `Feed` live as long as the app's lifespan."""
    app = Described(
        title="flowmate",
        version="1",
        description=DESCRIPTION.strip(),
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        lifespan=_lifespan,
    )
    app.state.settings = settings
    app.state.bus = bus_of(settings, "api")
    app.state.metrics = metrics.Metrics()
    problems.install(app)
    app.add_exception_handler(Refused, _of_refused)
    for resource in RESOURCES:
        app.include_router(resource.router)
    return app


def layered(app: FastAPI, names: frozenset[str] | None) -> ASGIApp:
    """The app as a server runs it. names: host names it answers to, None = any."""
    guarded = Guard(Direct(app), app.state.settings.api_token, names)
    return Edge(guarded, app.state.metrics)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    backend = Backend(app.state.bus)
    feed = Feed(backend, app.state.settings.api_delta_capacity)
    ring = Ring(app.state.settings.packet_ring)
    app.state.backend, app.state.feed, app.state.ring = backend, feed, ring
    app.state.metrics.watch(backend, feed)
    feed.start()
    try:
        yield
    finally:
        await feed.stop()
        ring.close()
        backend.close()


async def _of_refused(request: Request, error: Exception) -> Response:
    """A service behind the API said no: its reason is the answer."""
    assert isinstance(error, Refused)
    return problems.problem_response(error.problem)
