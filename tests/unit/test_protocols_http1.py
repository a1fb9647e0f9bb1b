"""HTTP/1 heads: octets in, detail out."""

import time
from typing import Any

import pytest

from services.api.protocols import explain

NONE = 2**64 - 1


def detail(octets: bytes | None, kind: str = "request", **columns: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"text": "", "name": "", "value": NONE, "code": 0, "framing": 0}
    row |= {"marks": 0} | columns
    return explain("http1", kind, octets, **row)


def test_a_request() -> None:
    head = b"POST /a?b=c HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3\r\nX:  y \r\n\r\n"
    assert detail(head, value=3, framing=1) == {
        "method": "POST",
        "target": "/a?b=c",
        "version": "HTTP/1.1",
        "host": "example.org",
        "status_code": None,
        "reason": None,
        "headers": [["Host", "example.org"], ["Content-Length", "3"], ["X", "y"]],
        "content_length": 3,
        "transfer_encoding": None,
        "content_encoding": None,
        "body_framing": "content_length",
    }


def test_a_response() -> None:
    head = (
        b"HTTP/1.0 404 Not Found\r\ntransfer-encoding: gzip\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Encoding: br\r\n\r\n"
    )
    found = detail(head, "response", code=404, framing=2)
    assert (found["version"], found["status_code"], found["reason"]) == (
        "HTTP/1.0",
        404,
        "Not Found",
    )
    assert (found["transfer_encoding"], found["content_encoding"]) == ("gzip, chunked", "br")
    assert (found["body_framing"], found["content_length"]) == ("chunked", None)
    assert (found["method"], found["target"], found["host"]) == (None, None, None)


@pytest.mark.parametrize(
    ("line", "method", "target", "version"),
    [
        (b"GET / HTTP/1.1", "GET", "/", "HTTP/1.1"),
        (b"GET /old", "GET", "/old", "HTTP/0.9"),
        (b"GET /a b c HTTP/1.1", "GET", "/a", "HTTP/1.1"),
        (b"GET /a b", "GET", "/a", "HTTP/0.9"),
        (b"OPTIONS", "OPTIONS", "", "HTTP/0.9"),
        (b"OPTIONS HTTP/1.1", "OPTIONS", "HTTP/1.1", "HTTP/0.9"),
        (b"GET  /two HTTP/1.0", "GET", "/two", "HTTP/1.0"),
        ("GET /ü HTTP/1.1".encode(), "GET", "/ü", "HTTP/1.1"),
        (b"GET /\xfc HTTP/1.1", "GET", "/ü", "HTTP/1.1"),
        (b"", None, None, "HTTP/0.9"),
    ],
)
def test_request_lines(line: bytes, method: str, target: str, version: str) -> None:
    found = detail(b"\r\n" + line + b"\r\n\r\n")
    assert (found["method"], found["target"], found["version"]) == (method, target, version)


def test_what_stands_behind_a_target_is_told() -> None:
    found = detail(b"GET /x;cat /etc/passwd|?a=b HTTP/1.1\r\n\r\n")
    assert (found["target"], found["note"]) == ("/x;cat", "behind the target: /etc/passwd|?a=b")
    assert "note" not in detail(b"GET /x HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    ("head", "host"),
    [
        (b"GET / HTTP/1.1\r\nhost: A:81\r\nHost: B\r\n\r\n", "A:81"),
        (b"GET http://proxy.me:8/x HTTP/1.1\r\n\r\n", "proxy.me:8"),
        (b"GET http://other/ HTTP/1.1\r\nHost: told\r\n\r\n", "told"),
        (b"CONNECT away:443 HTTP/1.1\r\n\r\n", "away:443"),
        (b"GET /redirect?to=http://x/ HTTP/1.1\r\n\r\n", None),
        (b"GET / HTTP/1.0\r\n\r\n", None),
    ],
)
def test_hosts(head: bytes, host: str | None) -> None:
    assert detail(head)["host"] == host


@pytest.mark.parametrize(
    ("field", "pair"),
    [
        (b"A: one\r\n two\r\n\tthree", ["A", "one two three"]),
        (b"A: b\n c", ["A", "b c"]),
        (b"A:", ["A", ""]),
        (b"no colon", ["no colon", ""]),
        (b"A: \xe4", ["A", "ä"]),
        (b"A: \xc3\xa4", ["A", "ä"]),
        (b"A: b: c", ["A", "b: c"]),
    ],
)
def test_fields(field: bytes, pair: list[str]) -> None:
    assert detail(b"GET / HTTP/1.1\r\n" + field + b"\r\n\r\nbody: no")["headers"] == [pair]


@pytest.mark.parametrize(
    ("framing", "name"),
    list(enumerate(["none", "content_length", "chunked", "close", "upgrade", "5"])),
)
def test_framings(framing: int, name: str) -> None:
    assert detail(b"GET / HTTP/1.1\r\n\r\n", framing=framing)["body_framing"] == name


def test_an_old_response_has_no_head() -> None:
    found = detail(b"", "response", framing=3)
    assert (found["version"], found["status_code"], found["headers"]) == ("HTTP/0.9", None, [])


def test_what_the_row_tells_without_octets() -> None:
    found = detail(None, text="GET /x HTTP/1.1", name="h", value=5, framing=1)
    assert (found["method"], found["target"], found["host"]) == ("GET", "/x", "h")
    assert found["content_length"] == 5
    assert "no longer retained" in found["note"]
    found = detail(None, "response", text="HTTP/1.1 200 OK", code=200)
    assert (found["status_code"], found["reason"]) == (200, "OK")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 1_000_000 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"a:\r\n" + b" x\r\n" * 1_000_000 + b"\r\n",
        b"GET / HTTP/1.1\r\na: " + b"b" * 65_536 + b"\r\n\r\n",
        b"\n" * 5_000_000,
    ],
    ids=["headers", "folds", "long", "empty"],
)
def test_large_heads_are_bounded(head: bytes) -> None:
    began = time.process_time()
    found = detail(head)
    assert time.process_time() - began < 0.5
    assert len(found["headers"]) <= 1000


def test_what_is_not_listed_is_said() -> None:
    found = detail(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 1001 + b"\r\n")
    assert len(found["headers"]) == 1000
    assert "only the first 1000 headers" in found["note"]
    assert "note" not in detail(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 1000 + b"\r\n")
