"""What is answered in front of the framework, and that it makes no difference to a client."""

import asyncio
from typing import Any, cast

import pytest
from fastapi import FastAPI
from starlette.datastructures import State

from services.api.backend import Answer, Backend
from services.api.direct import Direct, plain
from services.api.feed import Feed
from services.api.problems import Problem
from shared.settings import Settings

ID = "00000000000000ab"
CONTENT = f"/api/streams/{ID}/content"
DELTAS = "/api/live/deltas"


class Coordinator:
    """Has no stream and no log."""

    async def ask(self, op: str, args: dict[str, Any], until: float) -> Answer:
        assert (op, args) == ("where", {"stream_id": 0xAB})
        return Answer({}, [])

    def unavailable(self, why: str) -> Problem:
        return Problem(503, "coordinator_unavailable", why)


class Services:
    """A backend with nothing but a coordinator."""

    coordinator = Coordinator()


class App:
    """Says that it was asked."""

    def __init__(self) -> None:
        self.state = State()
        self.state.settings = Settings()
        self.state.backend = Services()
        self.state.feed = Feed(cast(Backend, Services()), 16)
        self.state.feed.closed = True  # it waits for nothing

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 299, "headers": []})


def status(path: str, query: str = "", method: str = "GET") -> tuple[int, str | None]:
    """Of one request: 299 when it went to the app. And the route that it is counted for."""
    scope: dict[str, Any] = {
        "type": "http", "method": method, "path": path, "query_string": query.encode(),
        "headers": [],
    }  # fmt: skip
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    asyncio.run(Direct(cast(FastAPI, App()))(scope, receive, send))
    return sent[0]["status"], getattr(scope.get("route"), "path", None)


@pytest.mark.parametrize("query", ["", "cursor=5", "cursor=5&limit=9&wait_ms=100", "token=a-b&x=1"])
def test_a_poll_is_answered(query: str) -> None:
    assert status(DELTAS, query) == (503, DELTAS)  # by the feed, which has no coordinator


@pytest.mark.parametrize(
    "query", ["", "direction=server&start=5&len=10&mode=hex", "transform=gzip"]
)
def test_a_read_is_answered(query: str) -> None:
    assert status(CONTENT, query) == (404, "/api/streams/{id}/content")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (DELTAS, "cursor=x"),
        (DELTAS, "cursor=-1"),
        (DELTAS, "limit=0"),
        (DELTAS, "wait_ms=30001"),
        (DELTAS, "cursor=1&cursor=2"),
        (DELTAS, "cursor=%31"),
        (DELTAS, "cursor=+1"),
        (DELTAS + "/", ""),
        (CONTENT, "direction=up"),
        (CONTENT, "len=1&len=2"),
        (CONTENT, "transform=rot13"),
        ("/api/streams/ab/content", ""),
        (f"/api/streams/{ID}x/content", ""),
        (f"/api/streams/{ID}", ""),
        ("/api/health", ""),
    ],
)
def test_what_is_not_plain_goes_to_the_app(path: str, query: str) -> None:
    assert status(path, query) == (299, None)


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "DELETE"])
def test_other_methods_go_to_the_app(method: str) -> None:
    assert status(DELTAS, method=method) == (299, None)


def test_parameters() -> None:
    assert plain(b"") == {}
    assert plain(b"a=1&b=two,3-x.y_z") == {"a": "1", "b": "two,3-x.y_z"}
    for query in (b"a=%20", b"a=1+2", b"a=1&a=2", "a=ä".encode(), b"a=1;b=2"):
        with pytest.raises(ValueError, match=r"escapes|twice"):
            plain(query)
