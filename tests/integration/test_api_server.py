"""The server of the API itself: methods, headers, tokens, metrics, its end."""

import json
import re
import signal

import httpx
import pytest

from tests.api_fakes import FakeCoordinator
from tests.api_server import SOON_S, Api, background, metric, serving, shape, spawn
from tests.ports import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.integration


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
