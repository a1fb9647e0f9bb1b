"""What changed, as clients of the API follow it: long polls and server-sent events."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.api import models
from shared.schema import Reply
from tests.api_fakes import FakeCoordinator
from tests.api_server import SOON_S, Api, background, metric, serving
from tests.waiting import eventually

pytestmark = pytest.mark.integration


def test_without_a_cursor_the_latest_is_told_at_once(
    api: Api, coordinator: FakeCoordinator
) -> None:
    for _ in range(3):
        coordinator.say()
    eventually(lambda: api.get("/api/live/deltas")["latest"] == 3)
    assert api.get("/api/live/deltas", wait_ms=30000) == {
        "cursor": 3,
        "latest": 3,
        "missed": False,
        "deltas": [],
    }


def test_deltas_page_on(api: Api, coordinator: FakeCoordinator) -> None:
    for i in range(5):
        coordinator.say("streams", stream_ids_hex=[f"{i:016x}"])
    body = api.get("/api/live/deltas", cursor=0, limit=2, wait_ms=1000)
    eventually(lambda: api.get("/api/live/deltas", cursor=0)["latest"] == 5)
    body = api.get("/api/live/deltas", cursor=0, limit=2)
    models.Deltas.model_validate(body)
    assert [delta["cursor"] for delta in body["deltas"]] == [1, 2]
    assert body["deltas"][1]["stream_ids_hex"] == ["0000000000000001"]
    assert (body["cursor"], body["latest"], body["missed"]) == (2, 5, False)
    body = api.get("/api/live/deltas", cursor=body["cursor"])
    assert [delta["cursor"] for delta in body["deltas"]] == [3, 4, 5]
    assert api.get("/api/live/deltas", cursor=5)["deltas"] == []


def test_the_log_before_the_start_is_read(run_dir: str, coordinator: FakeCoordinator) -> None:
    for _ in range(3000):
        coordinator.log.append({"cursor": len(coordinator.log) + 1, "kind": "stats"})
    with serving(run_dir, API_DELTA_CAPACITY="3000") as api:
        body = api.get("/api/live/deltas", cursor=1500, limit=4096)
        assert [delta["cursor"] for delta in body["deltas"]] == list(range(1501, 3001))
        assert api.get("/api/live/deltas", cursor=10)["missed"]


def test_a_long_poll_wakes(api: Api, coordinator: FakeCoordinator) -> None:
    with background(api, "/api/live/deltas", 20, cursor=0, wait_ms=20000) as polls:
        eventually(lambda: metric(api, "flowmate_api_waiting_clients") == 20)
        looks = len(coordinator.operations_asked("deltas"))
        started = time.monotonic()
        coordinator.say("status", run_status="completed")
        for poll in polls:
            body = poll.result().json()
            assert body["deltas"] == coordinator.log
        took = time.monotonic() - started
        # one look for the bell and perhaps one a second for the clock, however many wait
        assert len(coordinator.operations_asked("deltas")) - looks <= 3 + took


def test_a_long_poll_ends_in_time(api: Api, coordinator: FakeCoordinator) -> None:
    eventually(lambda: api.client.get("/api/live/deltas").status_code == 200)
    started = time.monotonic()
    body = api.get("/api/live/deltas", cursor=0, wait_ms=300)
    assert 0.29 < time.monotonic() - started < SOON_S
    assert body == {"cursor": 0, "latest": 0, "missed": False, "deltas": []}


def test_missed(run_dir: str, coordinator: FakeCoordinator) -> None:
    with serving(run_dir, API_DELTA_CAPACITY="16") as api:
        api.get("/api/live/deltas")
        for _ in range(40):
            coordinator.say()
        eventually(lambda: api.get("/api/live/deltas")["latest"] == 40)
        assert api.get("/api/live/deltas", cursor=10) == {
            "cursor": 40,
            "latest": 40,
            "missed": True,
            "deltas": [],
        }
        assert len(api.get("/api/live/deltas", cursor=24)["deltas"]) == 16
        assert api.get("/api/live/deltas", cursor=41)["missed"]
        assert metric(api, "flowmate_api_window_deltas") == 16


def test_a_cursor_that_is_news_is_no_miss(api: Api, coordinator: FakeCoordinator) -> None:
    api.get("/api/live/deltas")
    for _ in range(20):
        coordinator.log.append({"cursor": len(coordinator.log) + 1, "kind": "stats"})  # no bell
        cursor = api.get("/api/health")["latest_cursor"]
        body = api.get("/api/live/deltas", cursor=cursor)
        assert (body["missed"], body["cursor"]) == (False, cursor)


@pytest.mark.parametrize(
    ("result", "status"),
    [({}, 503), ({"cursor": 1, "latest": 1, "missed": False, "deltas": [{"kind": "x"}]}, 500)],
)
def test_the_feed_survives_nonsense(
    api: Api, coordinator: FakeCoordinator, result: dict[str, Any], status: int
) -> None:
    api.get("/api/live/deltas")
    sound = coordinator.operations["deltas"]
    coordinator.operations["deltas"] = lambda _: (Reply(result=result), [])
    coordinator.say()
    eventually(lambda: api.client.get("/api/live/deltas").status_code == status)
    coordinator.operations["deltas"] = sound
    eventually(lambda: api.client.get("/api/live/deltas").status_code == 200)
    assert api.get("/api/live/deltas", cursor=1)["missed"] is False


def test_a_restarted_coordinator(run_dir: str, api: Api) -> None:
    with FakeCoordinator(run_dir) as before:
        for _ in range(10):
            before.say()
        eventually(lambda: api.client.get("/api/live/deltas").json().get("latest") == 10)
    with FakeCoordinator(run_dir, "two") as after:
        for _ in range(3):
            after.say()
        eventually(lambda: api.client.get("/api/live/deltas").json().get("latest") == 3)
        body = api.get("/api/live/deltas", cursor=10, wait_ms=5000)
        assert (body["missed"], body["cursor"]) == (True, 3)
        assert api.get("/api/live/deltas", cursor=1)["missed"]  # of the old log, as far as we know
        after.say()
        body = api.get("/api/live/deltas", cursor=3, wait_ms=5000)
        assert [delta["cursor"] for delta in body["deltas"]] == [4]


def test_a_coordinator_that_restarted_and_ran_ahead(api: Api, coordinator: FakeCoordinator) -> None:
    """Its log is longer than what we knew of the old one: only the instance gives it away."""
    coordinator.say()
    eventually(lambda: api.get("/api/live/deltas")["latest"] == 1)
    coordinator.instance = "two"
    for _ in range(5):
        coordinator.say()
    eventually(lambda: api.get("/api/live/deltas")["latest"] == 6)
    assert api.get("/api/live/deltas", cursor=1)["missed"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("wait_ms", "30001"), ("wait_ms", "-1"), ("cursor", "-1"), ("limit", "0"), ("limit", "9999")],
)
def test_delta_parameters(alone: Api, field: str, value: str) -> None:
    assert field in alone.error("/api/live/deltas", 400, **{field: value})["message"]


def test_a_client_that_leaves_is_forgotten(api: Api, coordinator: FakeCoordinator) -> None:
    api.get("/api/live/deltas")
    for path in ("/api/live/deltas?cursor=0&wait_ms=30000", "/api/live/events"):
        with socket.create_connection(("127.0.0.1", api.port)) as leaving:
            leaving.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            eventually(lambda: metric(api, "flowmate_api_waiting_clients") == 1)
        eventually(lambda: metric(api, "flowmate_api_waiting_clients") == 0)


def events(response: httpx.Response) -> Iterator[dict[str, str]]:
    """Server-sent events, comments left out."""
    found: dict[str, str] = {}
    for line in response.iter_lines():
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            found[name] = value
        elif not line and found:
            yield found
            found = {}


def test_server_sent_events(api: Api, coordinator: FakeCoordinator) -> None:
    for _ in range(3):
        coordinator.say()
    eventually(lambda: api.get("/api/live/deltas")["latest"] == 3)
    with api.client.stream("GET", "/api/live/events", headers={"Last-Event-ID": "1"}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        stream = events(response)
        assert "retry" in next(stream)
        assert [next(stream)["id"], next(stream)["id"]] == ["2", "3"]
        coordinator.say("status", run_status="completed")
        news = next(stream)
        assert json.loads(news["data"]) == coordinator.log[3]
        assert news["id"] == "4"


def test_server_sent_events_that_were_missed(run_dir: str, coordinator: FakeCoordinator) -> None:
    with serving(run_dir, API_DELTA_CAPACITY="16") as api:
        for _ in range(40):
            coordinator.say()
        eventually(lambda: api.get("/api/live/deltas")["latest"] == 40)
        with api.client.stream("GET", "/api/live/events", params={"cursor": 2}) as response:
            stream = events(response)
            next(stream)
            assert next(stream) == {"id": "40", "event": "missed", "data": '{"cursor":40}'}
            coordinator.say()
            assert next(stream)["id"] == "41"
