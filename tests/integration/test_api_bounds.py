"""Bodies of requests are bounded: a server process, and clients that send too much."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from services.api.problems import BODY_MAX
from tests.api_server import Api, shape

pytestmark = pytest.mark.integration

LEAST = b'{"kind":"substring","value":"x","name":"'


def pattern(size: int) -> bytes:
    """A body of this many octets; the name of the pattern fills it."""
    return LEAST + b"n" * (size - len(LEAST) - 2) + b'"}'


def pieces(body: bytes) -> Iterator[bytes]:
    yield from (body[at : at + 5000] for at in range(0, len(body), 5000))


def posted(api: Api, path: str, body: bytes, chunked: bool, method: str = "POST") -> httpx.Response:
    """chunked: without a length."""
    headers = {"Content-Type": "application/json"}
    content = pieces(body) if chunked else body
    return api.client.request(method, path, content=content, headers=headers)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/patterns"),
        ("PATCH", "/api/patterns/1"),
        ("POST", "/api/search"),
        ("POST", "/api/profiles"),
        ("POST", "/api/hide-rules"),
        ("PATCH", "/api/streams/00000000000000aa"),
    ],
)
def test_a_body_that_is_too_long(alone: Api, method: str, path: str, chunked: bool) -> None:
    error = shape(posted(alone, path, pattern(BODY_MAX + 1), chunked, method), 413)
    assert error["code"] == "too_long"
    assert str(BODY_MAX) in error["message"]
    schema = alone.get("/api/openapi.json")["paths"]
    operation = schema[path.replace("/1", "/{id}").replace("/00000000000000aa", "/{id}")]
    assert "413" in operation[method.lower()]["responses"]


@pytest.mark.parametrize("chunked", [False, True])
def test_the_longest_body_is_read(alone: Api, chunked: bool) -> None:
    error = shape(posted(alone, "/api/patterns", pattern(BODY_MAX), chunked), 400)
    assert error["message"].startswith("name: ")


def test_a_body_that_never_ends_is_refused_when_it_is_too_long(alone: Api) -> None:
    """Nobody waits for the rest, nor keeps it."""
    with socket.create_connection(("127.0.0.1", alone.port), 5) as client:
        client.sendall(
            b"POST /api/patterns HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        piece = b"%x\r\n%s\r\n" % (1 << 16, b"[" * (1 << 16))
        for _ in range(BODY_MAX // (1 << 16) + 1):
            client.sendall(piece)
        assert client.recv(12) == b"HTTP/1.1 413"


def test_a_length_that_is_declared_is_enough(alone: Api) -> None:
    with socket.create_connection(("127.0.0.1", alone.port), 5) as client:
        client.sendall(
            b"POST /api/patterns HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 10000000000\r\n\r\n"
        )
        assert client.recv(12) == b"HTTP/1.1 413"


def test_what_is_read_without_a_body_takes_no_notice_of_one(alone: Api) -> None:
    assert alone.client.request("GET", "/", content=bytes(BODY_MAX + 1)).status_code == 200
