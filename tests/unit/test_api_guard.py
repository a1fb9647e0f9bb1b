"""Who is let in, and where the API may listen."""

import asyncio
import socket
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from services.api.auth import Guard, host_name, names_of
from services.api.edge import without_blanks
from services.api.listen import bind, listen
from shared.errors import UserError
from shared.settings import Settings

LOCAL = names_of("127.0.0.1")


def status(
    headers: dict[str, str],
    *,
    method: str = "GET",
    path: str = "/api/health",
    query: str = "",
    token: str = "",
    names: frozenset[str] | None = LOCAL,
) -> int:
    """Status of one request through a guard in front of an app that says yes."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
    }
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    asyncio.run(Guard(PlainTextResponse("yes"), token, names)(scope, receive, send))
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:33111", 200),
        ("127.0.0.1", 200),
        ("localhost:33111", 200),
        ("LOCALHOST", 200),
        ("[::1]:33111", 200),
        ("[::1]", 200),
        ("evil.example", 403),
        ("evil.example:33111", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("[::1].evil.example", 200),  # no name that could be looked up
        ("10.0.0.1", 403),
        ("", 403),
    ],
)
def test_host_on_loopback(host: str, expected: int) -> None:
    assert status({"Host": host}) == expected


def test_any_host_elsewhere() -> None:
    assert status({"Host": "flowmate.team.example"}, names=None) == 200


def test_the_bound_host_is_a_name() -> None:
    assert status({"Host": "127.0.0.9:1"}, names=names_of("127.0.0.9")) == 200
    assert host_name("[fe80::1]:80") == "[fe80::1]"


@pytest.mark.parametrize(
    ("method", "origin", "expected"),
    [
        ("POST", None, 200),
        ("POST", "http://localhost:1", 200),
        ("POST", "https://LOCALHOST:1", 200),
        ("POST", "http://localhost:2", 403),
        ("POST", "http://evil.example", 403),
        ("POST", "null", 403),
        ("DELETE", "http://evil.example", 403),
        ("PATCH", "file://localhost:1", 403),
        ("GET", "http://evil.example", 200),
    ],
)
def test_origin_of_changes(method: str, origin: str | None, expected: int) -> None:
    headers = {"Host": "localhost:1"} | ({"Origin": origin} if origin is not None else {})
    assert status(headers, method=method) == expected


@pytest.mark.parametrize(
    ("headers", "query", "expected"),
    [
        ({}, "", 401),
        ({"Authorization": "Bearer secret"}, "", 200),
        ({"Authorization": "bearer  secret"}, "", 200),
        ({"Authorization": "Basic secret"}, "", 401),
        ({"Authorization": "Bearer secre"}, "", 401),
        ({"Authorization": "Bearer secret2"}, "", 401),
        ({"Authorization": "Bearer"}, "", 401),
        ({}, "token=secret", 200),
        ({}, "a=b&token=s%65cret", 200),
        ({}, "token=", 401),
        ({}, "xtoken=secret", 401),
        ({}, "token=%ff%00", 401),
        ({"Authorization": "Bearer wrong"}, "token=secret", 200),
    ],
)
def test_token(headers: dict[str, str], query: str, expected: int) -> None:
    assert status(headers, query=query, token="secret", names=None) == expected
    assert status(headers, query=query, token="", names=None) == 200


def test_the_page_itself_needs_no_token() -> None:
    assert status({}, path="/", token="secret", names=None) == 200
    assert status({}, path="/api", token="secret", names=None) == 401


def test_token_of_any_characters() -> None:
    assert status({"Authorization": "Bearer pä✓"}, token="pä✓", names=None) == 200
    assert status({}, query="token=p%C3%A4%E2%9C%93", token="pä✓", names=None) == 200


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (b"", b""),
        (b"text=", b""),
        (b"text=&port=80&cursor=", b"port=80"),
        (b"a=b=&c", b"a=b="),
    ],
)
def test_blank_parameters_count_as_absent(query: bytes, kept: bytes) -> None:
    assert without_blanks(query) == kept


@pytest.mark.parametrize(
    ("listen", "token", "words"),
    [
        ("", "", "--api-listen"),
        ("nonsense", "", "HOST:PORT"),
        ("127.0.0.1:99999", "", "HOST:PORT"),
        ("127.0.0.1:x", "", "HOST:PORT"),
        ("no.such.host.invalid:80", "", "no.such.host.invalid"),
        ("0.0.0.0:33111", "", "--api-token"),
        ("[::]:33111", "", "--api-token"),
        ("192.0.2.77:33111", "t", "192.0.2.77"),  # not an address of this machine
    ],
)
def test_bad_addresses_are_told_in_one_line(listen: str, token: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        bind(Settings(api_listen=listen, api_token=token))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match="in use"):
            bind(Settings(api_listen=f"127.0.0.1:{port}"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_loopback_needs_no_token(host: str) -> None:
    family = socket.AF_INET6 if host == "[::1]" else socket.AF_INET
    try:
        with socket.create_server((host.strip("[]"), 0), family=family) as probe:
            port = probe.getsockname()[1]
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with bind(Settings(api_listen=f"{host}:{port}")) as listener:
        assert listener.getsockname()[1] == port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(listener.getsockname()[:2], 1)
        listen(listener, Settings(api_listen=f"{host}:{port}"))
        socket.create_connection(listener.getsockname()[:2], 1).close()


def test_the_quicker_one_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = Settings(api_listen=f"127.0.0.1:{port}")
    with bind(settings) as first, bind(settings) as second:
        listen(second, settings)
        with pytest.raises(UserError, match="in use"):
            listen(first, settings)
