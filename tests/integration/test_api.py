"""Health, inventory and content of streams, from a real server process in front of stand-ins."""

import base64
import time

import pytest

from services.api import models
from services.api.health import Health
from shared.schema import SCHEMA_VERSION, StreamFilter
from tests.api_fakes import FakeCoordinator, FakeShard
from tests.api_server import (
    ANSWER,
    REQUEST,
    SOON_S,
    STREAM,
    Api,
    background,
    serving,
)
from tests.waiting import eventually

pytestmark = pytest.mark.integration


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
