"""A server of the API as a process, and a client for it."""

import concurrent.futures
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.conftest import ROOT, clean_environ
from tests.ports import free_port
from tests.waiting import eventually

DEADLINE_S = 2.0
SOON_S = 10.0  # far more than any deadline of the server, far less than for ever
REQUEST = b"GET /flag HTTP/1.1\r\nHost: team\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(range(256))
STREAM = "/api/streams/feed000000000001/content"  # of `REQUEST` and most of `ANSWER`


class Api:
    """A server process and a client for it."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=40)

    def get(self, path: str, /, **parameters: Any) -> Any:
        """The body of a success."""
        response = self.client.get(path, params=parameters)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/json"
        return response.json()

    def error(self, path: str, status: int, /, **parameters: Any) -> dict[str, str]:
        """What is in the one shape of an error."""
        return shape(self.client.get(path, params=parameters), status)


def shape(response: httpx.Response, status: int) -> dict[str, str]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["error"]
    assert list(body["error"]) == ["code", "message", "hint"]
    assert all(isinstance(value, str) for value in body["error"].values())
    assert "Traceback" not in response.text
    error: dict[str, str] = body["error"]
    return error


def spawn(run_dir: str, listen: str, **settings: str) -> subprocess.Popen[str]:
    given = {"RUN_DIR": run_dir, "API_LISTEN": listen} | settings
    return subprocess.Popen(
        [sys.executable, "-m", "services.api"],
        env=clean_environ() | {f"FLOWMATE_{name}": value for name, value in given.items()},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def serving(run_dir: str, **settings: str) -> Iterator[Api]:
    port = free_port()
    process = spawn(run_dir, f"127.0.0.1:{port}", **settings)
    try:
        eventually(lambda: answers(port) or process.poll() is not None)
        api = Api(process, port)
        with api.client:
            yield api
    finally:
        process.kill()
        process.communicate()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True


@contextmanager
def background(api: Api, path: str, count: int = 1, **parameters: Any) -> Iterator[Any]:
    """`count` requests at the same time, from a client of their own: yields their futures."""
    limits = httpx.Limits(max_connections=None)
    with (
        httpx.Client(base_url=api.client.base_url, timeout=40, limits=limits) as client,
        concurrent.futures.ThreadPoolExecutor(count) as pool,
    ):
        yield [pool.submit(client.get, path, params=parameters) for _ in range(count)]


def metric(api: Api, line: str) -> float:
    """The value of one sample of /metrics; 0 when it is not there."""
    for found in api.client.get("/metrics").text.splitlines():
        if found.startswith(line + " "):
            return float(found.rpartition(" ")[2])
    return 0.0
