"""What a container engine is told of a service: whether the coordinator hears of it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from shared import healthcheck
from shared.schema import Reply
from shared.settings import Settings
from shared.wire import Bus


@contextmanager
def coordinator(folder: Path, result: dict[str, Any]) -> Iterator[Settings]:
    """One that answers one request."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    asked = context.socket(zmq.REP)
    asked.bind(Bus(str(folder)).requests)

    def answer() -> None:
        asked.recv()
        asked.send(Reply(result=result).pack())

    thread = threading.Thread(target=answer)
    thread.start()
    yield Settings(run_dir=str(folder))
    thread.join()
    context.destroy(linger=0)


@pytest.mark.parametrize(
    ("age_ms", "ended", "problem"),
    [
        (200, False, ""),
        (5000, False, "not heard of for 5000 ms"),
        (5000, True, ""),
    ],
)
def test_a_capture_that_is_not_heard(
    tmp_path: Path, age_ms: int, ended: bool, problem: str
) -> None:
    told = {"capture": {"age_ms": age_ms, "ended": ended}}
    with coordinator(tmp_path, told) as settings:
        assert healthcheck.check("capture", settings) == problem


@pytest.mark.parametrize(
    ("host", "age_ms", "problem"),
    [
        (socket.gethostname(), 200, ""),
        (socket.gethostname(), 4000, "not heard of for 4000 ms"),
        ("elsewhere.invalid", 200, "the coordinator knows no shard of this host"),
    ],
)
def test_a_shard_that_is_not_heard(tmp_path: Path, host: str, age_ms: int, problem: str) -> None:
    with coordinator(tmp_path, {"shards": [{"host": host, "age_ms": age_ms}]}) as settings:
        assert healthcheck.check("shard", settings) == problem
