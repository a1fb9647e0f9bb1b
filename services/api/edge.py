"""The outermost layer of the app: what holds for every response, whatever answered."""

import logging
import time

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.auth import READING
from services.api.metrics import OTHER, Metrics
from services.api.problems import BODY_MAX, internal_fault, problem_response

UNBOUNDED = frozenset({"/api/captures"})  # its route bounds what it takes, and keeps it on disk
HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]

log = logging.getLogger("api")


class Edge:
    """Counts each request, bounds its body, adds the security headers, and lets no exception out.

    HEAD is answered as GET, without the body (RFC 9110 §9.3.2): no route needs to know it.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def respond(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        method, query = scope["method"], without_blanks(scope["query_string"])
        scope = {**scope, "query_string": query}
        if method not in READING and scope["path"] not in UNBOUNDED:
            receive = bounded(receive, scope)
        if method == "HEAD":
            scope["method"], send = "GET", bodiless(send)
        try:
            await self._app(scope, receive, respond)
        except Exception:
            log.exception("%s %s failed", method, scope["path"])
            if not status:
                await problem_response(internal_fault())(scope, receive, respond)
        finally:
            self._metrics.request(_route(scope), status or 500, time.perf_counter() - started)


def bounded(receive: Receive, scope: Scope) -> Receive:
    """A body of BODY_MAX octets at most: whoever reads a longer one meets a 413, at once where its
    length is declared, else when so much has come."""
    declared = dict(scope["headers"]).get(b"content-length", b"")
    is_long = declared.isdigit() and int(declared[:20]) > BODY_MAX
    came = 0

    async def more() -> Message:
        nonlocal came
        if not is_long:
            message = await receive()
            came += len(message.get("body", b""))
            if came <= BODY_MAX:
                return message
        raise HTTPException(413)

    return more


def bodiless(send: Send) -> Send:
    """A response that is over with its headers. To the app the client is gone then, so that one
    which would go on for ever ends too."""

    async def tell(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return tell


def _route(scope: Scope) -> str:
    """The template of the route that matched: a closed set, unlike the path."""
    return getattr(scope.get("route"), "path", OTHER)


def without_blanks(query: bytes) -> bytes:
    """A query string without the parameters that have no value: a form's empty field is none."""
    return b"&".join(part for part in query.split(b"&") if part.partition(b"=")[2])
