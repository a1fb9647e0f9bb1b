"""The API where a service is not there, or answers nonsense."""

import time
from typing import Any

import pytest

from shared.schema import Reply
from tests.api_fakes import FakeCoordinator
from tests.api_server import DEADLINE_S, SOON_S, STREAM, Api, background, metric, shape
from tests.waiting import eventually

pytestmark = pytest.mark.integration


def test_the_shard_does_not_answer(api: Api, coordinator: FakeCoordinator) -> None:
    started = time.monotonic()
    error = api.error("/api/streams/0000000000000003/content", 503)
    assert time.monotonic() - started < SOON_S
    assert error["code"] == "shard_unavailable"
    assert "shard 4" in error["message"]
    assert metric(api, 'flowmate_api_backend_timeouts_total{service="shard"}') == 1


@pytest.mark.parametrize(
    "path",
    ["/api/health", "/api/streams", "/api/streams/0000000000000001", "/api/live/deltas", STREAM],
)
def test_the_coordinator_does_not_answer(alone: Api, path: str) -> None:
    started = time.monotonic()
    error = alone.error(path, 503)
    assert time.monotonic() - started < SOON_S
    assert error["code"] == "coordinator_unavailable"
    assert "coordinator" in error["message"]
    assert error["hint"]


def test_many_requests_without_a_coordinator(alone: Api) -> None:
    """More than there are sockets: those that wait their turn keep their deadline too."""
    started = time.monotonic()
    with background(alone, "/api/health", 50) as requests:
        for one in requests:
            shape(one.result(), 503)
    assert time.monotonic() - started < SOON_S


def test_the_coordinator_comes_back(run_dir: str, api: Api) -> None:
    with FakeCoordinator(run_dir):
        eventually(lambda: api.client.get("/api/health").status_code == 200)
    api.error("/api/health", 503)
    with FakeCoordinator(run_dir, "two"):
        api.get("/api/health")
        api.get("/api/live/deltas")


def test_a_late_answer_is_nobody_elses(api: Api, coordinator: FakeCoordinator) -> None:
    def slow(args: dict[str, Any]) -> tuple[Reply, list[bytes]]:
        coordinator.operations["health"] = health
        time.sleep(DEADLINE_S + 0.2)
        return Reply(result={"late": True}), []

    health = coordinator.operations["health"]
    coordinator.operations["health"] = slow
    api.error("/api/health", 503)
    for _ in range(20):
        assert "late" not in api.get("/api/health")


def test_an_answer_that_cannot_be_understood(api: Api, coordinator: FakeCoordinator) -> None:
    answer = Reply(result={"count": 2, "total": 2, "hidden": 0, "next_cursor": None})
    coordinator.operations["streams"] = lambda _: (answer, [b"", b"x", b""])
    error = api.error("/api/streams", 503)
    assert error["code"] == "coordinator_unavailable"


def test_a_fault_of_our_own(api: Api, coordinator: FakeCoordinator) -> None:
    coordinator.operations["streams"] = lambda _: (Reply(result={"count": 0}), [b"", b"", b""])
    error = api.error("/api/streams", 500)
    assert error["code"] == "internal"
    assert "total" not in error["message"]
    assert api.get("/api/health")
