"""Bombs through the API: what they cost is the bound, not what they unpack to, and it is said."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.columns import RESPONSE
from shared.settings import Settings
from tests import bombs
from tests.api_server import Api, serving
from tests.api_site import Site, Streamed, site
from tests.conftest import peak_bytes_of

pytestmark = pytest.mark.integration

BODY_LIMIT = Settings().max_http1_buffer_bytes
VIEW_LIMIT = Settings().max_stream_transform_bytes
CPU_S = 1.5  # of one request: reading ten MiB from the shard is most of it
GROWTH_BYTES = 128 << 20  # of the process: input, pieces, output, the answer
SEGMENT = 60_000
CHUNKED, LENGTH = 2, 1  # framings of http1
MOST = [
    ("gzip", bombs.gzip),
    ("gzip", bombs.gzip_members),
    ("deflate", bombs.deflate),
    ("br", bombs.brotli_stream),
    ("zstd", bombs.zstd),
    ("zstd", bombs.zstd_frames),
]
NAMES = {"br": "brotli"}  # of a coding's transform, where it is another one
each_bomb = pytest.mark.parametrize(("coding", "build"), MOST)


@pytest.fixture(scope="module")
def run_dir() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="fm-") as folder:
        yield folder


@pytest.fixture(scope="module")
def api(run_dir: str) -> Iterator[Api]:
    with serving(run_dir) as one:
        yield one


@contextmanager
def bounded(api: Api) -> Iterator[None]:
    """What happens meanwhile costs the server no more than a bound."""
    stat = Path(f"/proc/{api.process.pid}/stat")
    tick = os.sysconf("SC_CLK_TCK")

    def cpu_s() -> float:
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / tick

    before, peak = cpu_s(), peak_bytes_of(api.process.pid)
    yield
    assert cpu_s() - before < CPU_S
    assert peak_bytes_of(api.process.pid) - peak < GROWTH_BYTES


def answer(one: Site, coding: str, body: bytes, framing: int) -> Streamed:
    """A response with this body, and its message."""
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\n".encode()
    head += b"Transfer-Encoding: chunked\r\n\r\n" if framing == CHUNKED else b"\r\n"
    sent = head + body
    pieces = [(1, sent[at : at + SEGMENT]) for at in range(0, len(sent), SEGMENT)]
    stream = one.stream((0, b"GET / HTTP/1.1\r\n\r\n"), *pieces)
    stream.message(
        b"200 OK", dir=1, kind=RESPONSE, code=200, header_end=len(head), body_start=len(head),
        body_end=len(sent), end=len(sent), framing=framing, value=2**64 - 1,
    )  # fmt: skip
    return stream


@each_bomb
@pytest.mark.parametrize("framing", [LENGTH, CHUNKED])
def test_a_body(
    api: Api, run_dir: str, coding: str, build: Callable[[], bytes], framing: int
) -> None:
    body = bombs.chunked(build()) if framing == CHUNKED else build()
    with site(run_dir, max_stream_content_bytes=1 << 25) as one:
        stream = answer(one, coding, body, framing)
        with bounded(api):
            found = api.client.get(f"{stream.path}/messages/0/body", params={"decoded": "true"})
        sent = api.client.get(f"{stream.path}/messages/0/body")
    assert found.status_code == 200
    assert found.content == bytes(BODY_LIMIT)
    assert found.headers["x-flowmate-truncated"] == "true"
    assert found.headers["x-flowmate-decode"].endswith(f"{NAMES.get(coding, coding)}=partial")
    assert sent.content == body


@each_bomb
@pytest.mark.parametrize("transform", ["coding", "http_body", "auto"])
def test_a_view(
    api: Api, run_dir: str, coding: str, build: Callable[[], bytes], transform: str
) -> None:
    """Of the first slice of the body, or of the whole message."""
    own = NAMES.get(coding, coding)
    with site(run_dir, max_stream_content_bytes=1 << 25) as one:
        stream = answer(one, coding, build(), LENGTH)
        body = api.get(f"{stream.path}/messages")["messages"][0]["body_start"]
        with bounded(api):
            found = api.get(
                f"{stream.path}/content",
                direction="server",
                start=body if transform == "coding" else 0,
                mode="hex",
                transform=own if transform == "coding" else transform,
            )
    view, (step, *more) = found["transform"], found["transform"]["steps"]
    assert view["truncated_by_limit"]
    assert (step["status"], step["output_bytes"]) == ("partial", VIEW_LIMIT)
    assert f"stopped at {VIEW_LIMIT} bytes" in step["note"]
    assert view["returned_bytes"] == VIEW_LIMIT
    assert set(view["view"]) == {"0", " "}
    assert [one["name"] for one in more] == []


def test_codings_upon_codings(api: Api, run_dir: str) -> None:
    """Each is bounded by itself: what the first lets through is all that the next one gets."""
    body = bombs.gzip()
    with site(run_dir, max_stream_content_bytes=1 << 25) as one:
        stream = answer(one, ", ".join(["gzip"] * 8), body, LENGTH)
        with bounded(api):
            found = api.client.get(f"{stream.path}/messages/0/body", params={"decoded": "true"})
    assert found.headers["x-flowmate-truncated"] == "true"
    first, *rest = found.headers["x-flowmate-decode"].split(", ")
    assert first == "gzip=partial"
    assert set(rest) == {"gzip=failed"}
    assert found.content == bytes(BODY_LIMIT)
