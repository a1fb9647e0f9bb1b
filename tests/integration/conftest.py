"""A server of the API in front of stand-ins for the services."""

import tempfile
from collections.abc import Iterator

import pytest

from shared.columns import SERVICE_BY_PAYLOAD, SERVICES
from tests.api_fakes import FakeCoordinator, FakeShard, event
from tests.api_server import ANSWER, REQUEST, Api, serving


@pytest.fixture
def run_dir() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="fm-") as folder:  # short: a socket's path is bounded
        yield folder


@pytest.fixture
def coordinator(run_dir: str) -> Iterator[FakeCoordinator]:
    with FakeCoordinator(run_dir) as fake:
        fake.add(
            event(
                stream_id=0xFEED_0000_0000_0001,
                row=7,
                service=SERVICES.index("http"),
                service_from=SERVICE_BY_PAYLOAD,
                content_kind=[[2, 1, 3]],
                packets=[[5, 6]],
            ),
            REQUEST,
            ANSWER[:256],
        )
        fake.add(event(stream_id=2, row=8, client=1, port_a=53, proto=17), b"\x00\x01", b"asked")
        fake.add(event(stream_id=3, row=9, shard=4), b"", b"")
        yield fake


@pytest.fixture
def shard(run_dir: str) -> Iterator[FakeShard]:
    with FakeShard(run_dir) as fake:
        fake.pieces[7] = ([(0, REQUEST)], [(0, ANSWER[:100]), (150, ANSWER[150:])])
        fake.ends[7] = (len(REQUEST), len(ANSWER))
        yield fake


@pytest.fixture
def api(run_dir: str) -> Iterator[Api]:
    with serving(run_dir) as one:
        yield one


@pytest.fixture(scope="module")
def alone() -> Iterator[Api]:
    """A server with nothing behind it, for what needs nothing: one for all tests."""
    with tempfile.TemporaryDirectory(prefix="fm-") as folder, serving(folder) as one:
        yield one
