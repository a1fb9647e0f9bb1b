"""The API as a client meets it: a real server process in front of stand-ins for the services."""

import base64
import concurrent.futures
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from services.api import models
from services.api.health import Health
from shared.columns import SERVICE_BY_PAYLOAD, SERVICES
from shared.schema import SCHEMA_VERSION, Reply, StreamFilter
from tests.api_fakes import FakeCoordinator, FakeShard, event
from tests.conftest import ROOT, clean_environ
from tests.ports import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.integration

DEADLINE_S = 2.0
SOON_S = 10.0  # far more than any deadline of the server, far less than for ever
REQUEST = b"GET /flag HTTP/1.1\r\nHost: team\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(range(256))


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


@pytest.fixture
def api(run_dir: str) -> Iterator[Api]:
    with serving(run_dir) as one:
        yield one


@pytest.fixture(scope="module")
def alone() -> Iterator[Api]:
    """A server with nothing behind it, for what needs nothing: one for all tests."""
    with tempfile.TemporaryDirectory(prefix="fm-") as folder, serving(folder) as one:
        yield one


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


# ---------------------------------------------------------------------- health and inventory
def test_health(api: Api, coordinator: FakeCoordinator) -> None:
    body = api.get("/api/health")
    Health.model_validate(body)
    assert body["run_status"] == "running"
    assert body["totals"] == {"packets": 3}
    assert body["clients"] == 0


def test_health_counts_who_looks_on(api: Api, coordinator: FakeCoordinator) -> None:
    cursor = api.get("/api/health")["latest_cursor"]
    polling = background(api, "/api/live/deltas", 2, cursor=cursor, wait_ms=30000)
    with api.client.stream("GET", "/api/live/events"), polling as polls:
        eventually(lambda: api.get("/api/health")["clients"] == 3)
        coordinator.say()
        assert [poll.result().status_code for poll in polls] == [200, 200]
    eventually(lambda: api.get("/api/health")["clients"] == 0)


def test_streams(api: Api, coordinator: FakeCoordinator) -> None:
    coordinator.next_cursor = 17
    body = api.get("/api/streams")
    models.StreamPage.model_validate(body)
    assert (body["total"], body["hidden"], body["next_cursor"]) == (3, 0, 17)
    assert [row["number"] for row in body["streams"]] == [1, 2, 3]
    first, second, _ = body["streams"]
    assert first["stream_id_hex"] == "feed000000000001"
    assert first["summary"] == "GET /flag HTTP/1.1"
    assert first["directions"]["b_to_a"]["preview_text"] is None
    assert second["client"] == "b"
    assert second["summary"] == "asked"


def test_filters_reach_the_coordinator(api: Api, coordinator: FakeCoordinator) -> None:
    given = {
        "only_favorites": True,
        "only_matched": True,
        "include_hidden": True,
        "protocol": "tcp",
        "service": "http",
        "port": 80,
        "addr": "10.0.0.0/8",
        "content_kind": "text",
        "status": "closed",
        "min_bytes": 1,
        "max_bytes": 2,
        "since_us": -3,
        "until_us": 4,
        "tag": "t",
        "text": "flag{ & ü",
        "profile": "http",
        "pattern_id": 7,
    }
    assert given.keys() == StreamFilter.model_fields.keys() - {"v", "among"}
    api.get("/api/streams", **given, order="oldest", limit=512, cursor=9, offset=10**6)
    api.get("/api/streams")
    asked, plain = coordinator.operations_asked("streams")
    assert asked["filter"] == given | {"v": SCHEMA_VERSION, "among": None}
    assert (asked["order"], asked["limit"], asked["cursor"]) == ("oldest", 512, 9)
    assert asked["offset"] == 10**6
    assert plain["filter"] == StreamFilter().model_dump()
    assert (plain["order"], plain["limit"], plain["cursor"]) == ("newest", 100, None)
    assert plain["offset"] == 0
    api.get("/api/streams/timeline", **given, buckets=7)
    api.get("/api/streams/facets", **given)
    (timeline,), (facets,) = map(coordinator.operations_asked, ("timeline", "facets"))
    assert timeline == {"v": SCHEMA_VERSION, "filter": asked["filter"], "buckets": 7}
    assert facets == {"v": SCHEMA_VERSION, "filter": asked["filter"]}


def test_blank_and_unknown_parameters_are_no_filters(
    api: Api, coordinator: FakeCoordinator
) -> None:
    api.get("/api/streams?cursor=&protocol=&port=&text=&unheard_of=1")
    assert coordinator.operations_asked("streams")[0]["filter"] == StreamFilter().model_dump()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limit", "0"),
        ("limit", "513"),
        ("limit", "many"),
        ("cursor", "-1"),
        ("cursor", "99999999999999999999"),
        ("order", "sideways"),
        ("protocol", "sctp"),
        ("service", "gopher"),
        ("status", "ajar"),
        ("content_kind", "poetry"),
        ("port", "65536"),
        ("addr", "10.0.0.0/33"),
        ("addr", "somewhere"),
        ("only_favorites", "perhaps"),
        ("min_bytes", "-1"),
        ("since_us", "9223372036854775807"),
        ("offset", "-1"),
        ("search", "everything"),
    ],
)
def test_bad_values_name_their_field(alone: Api, field: str, value: str) -> None:
    error = alone.error("/api/streams", 400, **{field: value})
    assert error["code"] == "bad_value"
    assert field in error["message"]


def test_overviews(api: Api, coordinator: FakeCoordinator) -> None:
    timeline = api.get("/api/streams/timeline")
    models.Timeline.model_validate(timeline)
    assert timeline["streams"] == [0, 3]
    facets = api.get("/api/streams/facets")
    models.Facets.model_validate(facets)
    assert facets["total"] == 3
    assert coordinator.operations_asked("stream") == []  # they were not taken for ids
    for buckets in ("0", "513", "some"):
        error = api.error("/api/streams/timeline", 400, buckets=buckets)
        assert error["message"].startswith("buckets:")
    error = api.error("/api/streams/facets", 400, port="65536")
    assert error["message"].startswith("port:")


def test_a_refusal_of_the_coordinator_is_passed_on(api: Api, coordinator: FakeCoordinator) -> None:
    from shared.wire import refusal

    coordinator.operations["streams"] = lambda _: (refusal("bad_value", "cursor: gone", "x"), [])
    assert api.error("/api/streams", 400) == {
        "code": "bad_value",
        "message": "cursor: gone",
        "hint": "x",
    }


def test_one_stream(api: Api, coordinator: FakeCoordinator, shard: FakeShard) -> None:
    body = api.get("/api/streams/FEED000000000001")
    models.StreamDetail.model_validate(body)
    assert body["stream_id_hex"] == "feed000000000001"
    assert body["content"]["a_to_b"]["retained_bytes"] == len(REQUEST)
    assert body["content_note"] is None


def test_one_stream_without_its_shard(api: Api, coordinator: FakeCoordinator) -> None:
    started = time.monotonic()
    body = api.get("/api/streams/0000000000000003")
    models.StreamDetail.model_validate(body)
    assert time.monotonic() - started < SOON_S
    assert body["content"] is None
    assert "shard 4" in body["content_note"]


def test_one_stream_that_its_shard_forgot(
    api: Api, coordinator: FakeCoordinator, shard: FakeShard
) -> None:
    body = api.get("/api/streams/0000000000000002")
    assert (body["content"], body["content_note"]) == (None, "it made room for newer ones")


@pytest.mark.parametrize("route", ["", "/content"])
def test_ids(api: Api, coordinator: FakeCoordinator, route: str) -> None:
    error = api.error(f"/api/streams/00000000000000ff{route}", 404)
    assert error["code"] == "not_found"
    assert "00000000000000ff" in error["message"]
    for bad in ("1", "x" * 16, "0" * 17, "0x00000000000000", "%00" * 16):
        error = api.error(f"/api/streams/{bad}{route}", 400)
        assert (error["code"], error["message"][:3]) == ("bad_value", "id:")


# ---------------------------------------------------------------------------------- content
STREAM = "/api/streams/feed000000000001/content"


def test_content_as_text_hex_and_raw(
    api: Api, coordinator: FakeCoordinator, shard: FakeShard
) -> None:
    views = {
        "text": "HTTP/1.1",
        "hex": "48 54 54 50 2f 31 2e 31",
        "raw": base64.b64encode(ANSWER[:8]).decode(),
    }
    for mode, view in views.items():
        body = api.get(STREAM, direction="b_to_a", len=8, mode=mode)
        models.Content.model_validate(body)
        assert body["segments"] == [
            {"start": 0, "end": 8, "base64": base64.b64encode(ANSWER[:8]).decode(), "view": view}
        ]
    wild = api.get(STREAM, direction="b_to_a", start=200, len=10)
    assert wild["segments"][0]["view"] == ANSWER[200:210].decode("utf-8", "replace")


def test_content_shows_gaps_and_pages(
    api: Api, coordinator: FakeCoordinator, shard: FakeShard
) -> None:
    body = api.get(STREAM, direction="b_to_a", start=90, len=70)
    assert (body["requested_start"], body["requested_end"]) == (90, 160)
    assert [(s["start"], s["end"]) for s in body["segments"]] == [(90, 100), (150, 160)]
    assert body["gaps"] == [{"start": 100, "end": 150}]
    assert body["returned_bytes"] == 20
    assert body["end_of_stream"] == len(ANSWER)
    assert not body["truncated_by_limit"]
    assert body["retained"]["b_to_a"]["retained_bytes"] == len(ANSWER) - 50
    for length in (1, 7, 40, 1000):
        assert read_all(api, length) == ANSWER[:100] + ANSWER[150:]


def read_all(api: Api, length: int) -> bytes:
    """As a client pages: on from `requested_end` until the end."""
    octets, start = b"", 0
    while True:
        body = api.get(STREAM, direction="server", start=start, len=length, mode="raw")
        octets += b"".join(base64.b64decode(segment["view"]) for segment in body["segments"])
        if body["requested_end"] >= body["end_of_stream"]:
            return octets
        assert body["requested_end"] > start
        start = body["requested_end"]


def test_content_of_client_and_server(
    api: Api, coordinator: FakeCoordinator, shard: FakeShard
) -> None:
    assert api.get(STREAM)["segments"][0]["view"] == REQUEST.decode()
    assert api.get(STREAM, direction="server")["direction"] == "b_to_a"
    shard.pieces[8] = ([(0, b"\x00\x01")], [(0, b"asked")])
    shard.ends[8] = (2, 5)
    turned = api.get("/api/streams/0000000000000002/content", direction="client")
    assert (turned["direction"], turned["segments"][0]["view"]) == ("b_to_a", "asked")


def test_content_beyond_the_end(api: Api, coordinator: FakeCoordinator, shard: FakeShard) -> None:
    body = api.get(STREAM, start=10**6)
    assert (body["requested_start"], body["requested_end"]) == (10**6, 10**6)
    assert (body["segments"], body["gaps"]) == ([], [])
    empty = api.get(STREAM, start=3, len=0)
    assert (empty["requested_end"], empty["segments"]) == (3, [])


def test_content_is_cut_at_the_limit(
    run_dir: str, coordinator: FakeCoordinator, shard: FakeShard
) -> None:
    with serving(run_dir, MAX_STREAM_SLICE_BYTES="16") as api:
        cut = api.get(STREAM, len=20)
        assert (cut["requested_end"], cut["returned_bytes"], cut["truncated_by_limit"]) == (
            16,
            16,
            True,
        )
        assert not api.get(STREAM)["truncated_by_limit"]
        near_the_end = api.get(STREAM, start=len(REQUEST) - 5, len=1000)
        assert (near_the_end["returned_bytes"], near_the_end["truncated_by_limit"]) == (5, False)


@pytest.mark.parametrize(
    ("field", "value"),
    [("direction", "up"), ("start", "-1"), ("start", "x"), ("len", "-1"), ("mode", "morse")],
)
def test_content_parameters(alone: Api, field: str, value: str) -> None:
    error = alone.error(STREAM, 400, **{field: value})
    assert error["code"] == "bad_value"
    assert field in error["message"]


def test_evicted_content(api: Api, coordinator: FakeCoordinator, shard: FakeShard) -> None:
    error = api.error("/api/streams/0000000000000002/content", 410)
    assert error["code"] == "evicted"
    assert error["hint"] == "raise --max-flows"


def test_content_of_which_nothing_is_left(
    api: Api, coordinator: FakeCoordinator, shard: FakeShard
) -> None:
    """The stream is there, its bytes made room for others; what was never captured is a gap."""
    shard.pieces[7] = ([], [(0, b"answer")])
    shard.ends[7], shard.dropped[7] = (100, 50), (60, 44)
    error = api.error(STREAM, 410)
    assert error["code"] == "evicted"
    assert "--max-stream-content-bytes" in error["hint"]
    for window in ({"start": 100}, {"len": 0}):
        assert api.get(STREAM, **window)["returned_bytes"] == 0
    assert api.get(STREAM, direction="server", start=6)["gaps"] == [{"start": 6, "end": 50}]
    shard.dropped[7] = (0, 0)
    assert api.get(STREAM)["gaps"] == [{"start": 0, "end": 100}]


def test_content_of_a_run_that_retains_none(
    api: Api, coordinator: FakeCoordinator, shard: FakeShard
) -> None:
    shard.pieces[7], shard.enabled = ([], []), False
    error = api.error(STREAM, 410)
    assert error["code"] == "content_disabled"
    assert "--disable-stream-content" in error["hint"]
    assert api.get(STREAM, start=10**6)["gaps"] == []


# ------------------------------------------------------------------ services that are not there
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


# ------------------------------------------------------------------------------------- deltas
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


# --------------------------------------------------------------------------- the server itself
def test_unknown_routes_and_methods(alone: Api) -> None:
    for path in ("/api/nothing", "/api", "/api/streams/", "/nothing", "/docs", "/redoc"):
        assert alone.error(path, 404)["code"] == "not_found"
    for path in ("/api/streams", "/api/health", "/"):
        response = alone.client.post(path)
        assert shape(response, 405)["code"] == "method_not_allowed"
        assert response.headers["allow"] == "GET, HEAD"


def test_head_is_answered_as_get_without_the_body(api: Api, coordinator: FakeCoordinator) -> None:
    for path in ("/", "/metrics", "/api/health", "/api/streams", "/api/streams/x", "/nothing"):
        head, get = api.client.head(path), api.client.get(path)
        assert head.status_code == get.status_code, path
        assert head.content == b""
        same = ("content-type", "content-security-policy")
        assert [head.headers[name] for name in same] == [get.headers[name] for name in same]
        if path != "/metrics":  # it counts itself
            assert head.headers["content-length"] == str(len(get.content))


def test_head_of_what_never_ends_does(api: Api, coordinator: FakeCoordinator) -> None:
    head = api.client.head("/api/live/events", timeout=5)
    assert head.headers["content-type"].startswith("text/event-stream")
    eventually(lambda: "flowmate_api_waiting_clients 0.0" in api.client.get("/metrics").text)
    assert api.get("/api/health")["status"] == "ok"


def test_security_headers_are_on_every_response(api: Api, coordinator: FakeCoordinator) -> None:
    paths = ["/", "/metrics", "/api/health", "/api/streams", "/nothing", "/api/streams/x"]
    responses = [api.client.get(path) for path in paths]
    responses.append(api.client.get("/", headers={"Host": "evil.example"}))
    assert [response.status_code for response in responses] == [200, 200, 200, 200, 404, 400, 403]
    for response in responses:
        policy = response.headers["content-security-policy"]
        for rule in ("default-src 'self'", "object-src 'none'", "base-uri 'none'"):
            assert rule in policy
        assert "frame-ancestors 'none'" in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert "server" not in response.headers


def test_other_names_are_refused_on_loopback(alone: Api) -> None:
    response = alone.client.get("/api/health", headers={"Host": "evil.example"})
    assert shape(response, 403)["code"] == "forbidden_host"
    response = alone.client.post("/api/health", headers={"Origin": "http://evil.example"})
    assert shape(response, 403)["code"] == "forbidden_origin"


def test_the_token(run_dir: str, coordinator: FakeCoordinator) -> None:
    with serving(run_dir, API_TOKEN="geheim") as api:
        assert api.error("/api/health", 401)["code"] == "unauthorized"
        response = api.client.get("/api/nothing")
        assert shape(response, 401)
        assert response.headers["www-authenticate"] == "Bearer"
        assert api.get("/api/health", token="geheim")
        assert api.client.get("/api/health", headers={"Authorization": "Bearer geheim"}).is_success
        assert api.client.get("/").is_success


def test_the_home_page(alone: Api) -> None:
    page = alone.client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "flowmate" in page.text
    # nothing that its own policy would stop, whether it is the UI or the page in its place
    assert not re.search(r"<script(?![^>]* src=\"/)|<style| style=| on\w+=|https?://", page.text)


def test_metrics(api: Api, coordinator: FakeCoordinator) -> None:
    api.get("/api/health")
    api.get("/api/streams/0000000000000002")
    api.error("/api/streams/zz", 400)
    for i in range(3):
        api.error(f"/made/up/{i}", 404)
    requests = "flowmate_api_requests_total"
    assert metric(api, f'{requests}{{route="/api/health",status="2xx"}}') == 1
    assert metric(api, f'{requests}{{route="/api/streams/{{id}}",status="2xx"}}') == 1
    assert metric(api, f'{requests}{{route="/api/streams/{{id}}",status="4xx"}}') == 1
    assert metric(api, f'{requests}{{route="other",status="4xx"}}') == 3
    seconds = "flowmate_api_request_duration_seconds_count"
    assert metric(api, f'{seconds}{{route="/api/health"}}') == 1
    assert metric(api, "flowmate_api_process_resident_bytes") > 1 << 20
    assert api.client.get("/metrics").headers["content-type"].startswith("text/plain")


def test_metrics_are_of_the_whole_run_as_long_as_the_coordinator_is_there(
    api: Api, coordinator: FakeCoordinator
) -> None:
    assert metric(api, "flowmate_shard_gaps_total") == 3
    assert metric(api, "flowmate_api_coordinator_up") == 1
    coordinator.silent = True
    text = api.client.get("/metrics").text
    assert "flowmate_api_coordinator_up 0.0" in text
    assert "flowmate_shard" not in text


def test_metrics_on_an_address_of_their_own(run_dir: str) -> None:
    port = free_port()
    with serving(run_dir, METRICS_LISTEN=f"127.0.0.1:{port}") as api:
        api.error("/nothing", 404)
        text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert 'flowmate_api_requests_total{route="other",status="4xx"} 1.0' in text


def test_messages_without_services(alone: Api) -> None:
    alone.error("/api/messages", 503)
    alone.error("/api/messages", 400, limit=0)


def test_openapi_names_every_route_and_only_the_one_error(alone: Api) -> None:
    schema = alone.get("/api/openapi.json")
    assert set(schema["paths"]) == {
        "/api/health",
        "/api/streams",
        "/api/streams/timeline",
        "/api/streams/facets",
        "/api/streams/{id}",
        "/api/streams/{id}/content",
        "/api/streams/{id}/conversation",
        "/api/streams/{id}/export",
        "/api/streams/{id}/matches",
        "/api/streams/{id}/messages",
        "/api/streams/{id}/messages/{message_id}/body",
        "/api/messages",
        "/api/search",
        "/api/search/{id}",
        "/api/captures",
        "/api/live/deltas",
        "/api/live/events",
        "/api/patterns",
        "/api/patterns/{id}",
        "/api/hide-rules",
        "/api/hide-rules/{id}",
        "/api/profiles",
        "/api/profiles/{id}",
    }
    for operations in schema["paths"].values():
        for operation in operations.values():
            assert "422" not in operation["responses"]
            for status, response in operation["responses"].items():
                if not status.startswith("2"):
                    content = response["content"]["application/json"]["schema"]
                    assert content == {"$ref": "#/components/schemas/ErrorBody"}
    text = json.dumps(schema)
    assert "HTTPValidationError" not in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_everything_open(
    api: Api, coordinator: FakeCoordinator, number: signal.Signals
) -> None:
    api.get("/api/live/deltas")
    with (
        background(api, "/api/live/deltas", 3, cursor=0, wait_ms=30000) as polls,
        background(api, "/api/live/events", 2) as streams,
        background(api, "/api/streams/0000000000000003/content") as (lost,),
    ):
        eventually(lambda: metric(api, "flowmate_api_waiting_clients") == 5)
        eventually(lambda: coordinator.operations_asked("where"))
        api.process.send_signal(number)
        status = api.process.wait(SOON_S)
        assert [poll.result().json()["deltas"] for poll in polls] == [[]] * 3
        assert all(stream.result().is_success for stream in streams)
        shape(lost.result(), 503)
    assert status == 0
    assert api.process.stderr is not None
    assert api.process.stderr.read() == ""


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"API_LISTEN": "0.0.0.0:1"}, "--api-token"),
        ({"API_LISTEN": "nonsense"}, "HOST:PORT"),
        ({"API_LISTEN": ""}, "--api-listen"),
        ({"RUN_DIR": ""}, "--run-dir"),
        ({"METRICS_LISTEN": "nonsense"}, "HOST:PORT"),
    ],
)
def test_bad_settings_are_one_line(run_dir: str, settings: dict[str, str], words: str) -> None:
    process = spawn(run_dir, f"127.0.0.1:{free_port()}", **settings)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 2
    assert words in said
    assert said.count("\n") == 1


def test_a_port_in_use_is_one_line(run_dir: str, alone: Api) -> None:
    process = spawn(run_dir, f"127.0.0.1:{alone.port}")
    _, said = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "in use" in said
    assert said.count("\n") == 1
