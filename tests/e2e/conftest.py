"""One run that many tests look at: the conversations of `traffic`, read and served."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import steady, traffic
from tests.e2e.run import Row, Served, events_of, served


@pytest.fixture(scope="session")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The capture of `traffic`."""
    path = tmp_path_factory.mktemp("e2e") / "traffic.pcap"
    path.write_bytes(traffic.capture())
    return path


@pytest.fixture(scope="session")
def run(capture: Path) -> Iterator[Served]:
    """A completed run over it, with two shards."""
    with served(
        *("--pcap", capture, "--output", "events.jsonl", "--workers", "2"),
        *("--max-stream-slice-bytes", "200", "--health-interval-ms", "200"),
        folder=capture.parent,
    ) as run:
        run.wait_ended()
        yield run


@pytest.fixture(scope="session")
def rows(run: Served) -> list[Row]:
    """All its rows, oldest first."""
    return run.rows()


@pytest.fixture(scope="session")
def events(run: Served, capture: Path) -> list[Row]:
    """All its events."""
    return events_of(capture.parent / "events.jsonl")


@pytest.fixture(scope="session")
def restless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of `steady`, for runs whose services are not left alone."""
    path = tmp_path_factory.mktemp("restless") / "restless.pcap"
    path.write_bytes(steady.capture(steady.frames()))
    return path
