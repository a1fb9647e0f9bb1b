"""Who may ask: the token, and the two checks that keep other web sites out.

A browser on this machine can be made to send requests here by any page it shows. A page whose name
was rebound to 127.0.0.1 gives itself away by its Host header, so on a loopback address only our own
names are answered. A page elsewhere that sends a changing request gives itself away by its Origin.
"""

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.problems import Problem, problem_response

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Refuses requests before any route sees them.

    token: every /api request must carry it, empty = none needed. names: host names that the server
    answers to, None = any.
    """

    def __init__(self, app: ASGIApp, token: str, names: frozenset[str] | None) -> None:
        self._app, self._token, self._names = app, token.encode(), names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._problem(scope) if scope["type"] == "http" else None
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await problem_response(problem)(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        if self._names is not None and host_name(headers.get("host", "")) not in self._names:
            return Problem(
                403,
                "forbidden_host",
                "this server does not answer to the name in the Host header",
                f"use one of {', '.join(sorted(self._names))}",
            )
        if scope["method"] not in READING and not same_origin(headers):
            return Problem(
                403,
                "forbidden_origin",
                "a page of another origin may not change anything here",
                "send the request from this server's own pages, or without a browser",
            )
        if self._token and is_api(scope["path"]) and not self._knows_token(scope, headers):
            return Problem(
                401,
                "unauthorized",
                "this API needs its token",
                "send it as `Authorization: Bearer TOKEN`, or as `?token=TOKEN`",
                {"WWW-Authenticate": "Bearer"},
            )
        return None

    def _knows_token(self, scope: Scope, headers: Mapping[str, str]) -> bool:
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        given = [secret.strip()] if scheme.lower() == "bearer" else []
        # Latin-1 both ways: the octets stay what they were, whatever they are.
        query = parse_qs(scope["query_string"].decode("latin-1"), encoding="latin-1")
        given += query.get("token", [])
        # compare_digest: how long it takes tells nothing about our token.
        return any(hmac.compare_digest(one.encode("latin-1"), self._token) for one in given)


def is_api(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")


def host_name(host: str) -> str:
    """`[::1]:8080` -> `[::1]`, `localhost:8080` -> `localhost`."""
    host = host.strip().lower()
    return host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]


def same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a browser's Origin is this server; other clients send none."""
    origin = headers.get("origin")
    if origin is None:
        return True
    scheme, _, host = origin.lower().partition("://")
    return scheme in ("http", "https") and host == headers.get("host", "").strip().lower()


def names_of(host: str) -> frozenset[str]:
    """The names that a server bound to the loopback address `host` answers to."""
    bound = host.lower()
    return LOOPBACK_NAMES | {f"[{bound}]" if ":" in bound else bound}
