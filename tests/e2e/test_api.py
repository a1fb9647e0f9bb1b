"""The API in front of real services: every filter, every page, windows, changes, refusals."""

import base64
import ipaddress
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.run import Row, Served

pytestmark = pytest.mark.e2e

UNKNOWN = "/api/streams/00000000000000ff"


def addresses(row: Row) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    return [ipaddress.ip_address(row[end]["addr"]) for end in ("endpoint_a", "endpoint_b")]


def ports(row: Row) -> list[int]:
    return [row[end]["port"] for end in ("endpoint_a", "endpoint_b")]


def previews(row: Row) -> list[bytes]:
    return [base64.b64decode(side["preview_base64"]) for side in row["directions"].values()]


FILTERS: dict[str, Callable[[Row, Any], bool]] = {
    "protocol": lambda row, value: row["protocol"] == value,
    "service": lambda row, value: (row["service"]["name"] or "unknown") == value,
    "port": lambda row, value: value in ports(row),
    "addr": lambda row, value: any(
        addr in ipaddress.ip_network(value, strict=False) for addr in addresses(row)
    ),
    "content_kind": lambda row, value: row["content_kind"] == value,
    "status": lambda row, value: row["status"] == value,
    "min_bytes": lambda row, value: row["bytes"] >= value,
    "max_bytes": lambda row, value: row["bytes"] <= value,
    "since_us": lambda row, value: row["last_seen_us"] >= value,
    "until_us": lambda row, value: row["first_seen_us"] <= value,
    "text": lambda row, value: any(value.lower().encode() in p.lower() for p in previews(row)),
    "only_favorites": lambda row, value: value == "false" or row["favorite"],
    "only_matched": lambda row, value: value == "false" or row["match_count"] > 0,
    "include_hidden": lambda row, value: True,
}


def values(row: Row, rng: random.Random) -> Row:
    """A value for each filter, most of them such that the row passes."""
    addr = rng.choice(addresses(row))
    start = rng.randrange(4)
    return {
        "protocol": row["protocol"],
        "service": row["service"]["name"] or "unknown",
        "port": rng.choice(ports(row)),
        "addr": f"{addr}/{rng.randrange(addr.max_prefixlen + 1)}",
        "content_kind": row["content_kind"],
        "status": row["status"],
        "min_bytes": row["bytes"] + rng.randrange(2),
        "max_bytes": row["bytes"] - rng.randrange(2),
        "since_us": row["last_seen_us"] + rng.randrange(2),
        "until_us": row["first_seen_us"] - rng.randrange(2),
        "text": ((row["directions"]["a_to_b"]["preview_text"] or "")[start : start + 3] or "E"),
        "only_favorites": rng.choice(["false", "true"]),
        "only_matched": rng.choice(["false", "true"]),
        "include_hidden": rng.choice(["false", "true"]),
    }


@pytest.mark.parametrize("seed", range(8))
def test_filters_alone_and_together(run: Served, rows: list[Row], seed: int) -> None:
    rng = random.Random(seed)
    for name in FILTERS:
        others = rng.sample([other for other in FILTERS if other != name], rng.choice([0, 0, 1]))
        given = values(rng.choice(rows), rng)
        query = {key: given[key] for key in (name, *others)}
        wanted = [r for r in rows if all(FILTERS[key](r, query[key]) for key in query)]
        assert run.rows(**query) == wanted, query
        assert run.get("/api/streams", limit=1, **query)["total"] == len(wanted)


@pytest.mark.parametrize("limit", [1, 7, 512])
def test_pages_are_complete_in_both_orders(run: Served, rows: list[Row], limit: int) -> None:
    assert run.rows(limit=limit) == rows
    assert run.rows(limit=limit, order="newest") == rows[::-1]


def test_one_stream_is_its_row_and_what_is_retained(run: Served, rows: list[Row]) -> None:
    for row in rows:
        one = run.get(f"/api/streams/{row['stream_id_hex'].upper()}")
        retained = one.pop("content")
        assert one.pop("content_note") is None
        assert one == row
        assert retained["retained_bytes"] == row["stream_bytes"]
        assert retained["trimmed_bytes"] == retained["evicted_bytes"] == 0


def test_windows(run: Served, rows: list[Row]) -> None:
    row = next(row for row in rows if row["gap_bytes"] == 100)  # 0-100, a gap, 200-310
    path = f"/api/streams/{row['stream_id_hex']}/content"

    def window(**query: Any) -> tuple[list[Any], list[Any], Row]:
        body = run.get(path, direction="client", **query)
        found = [(s["start"], s["end"]) for s in body["segments"]]
        octets = b"".join(base64.b64decode(s["base64"]) for s in body["segments"])
        assert body["returned_bytes"] == len(octets) == sum(end - at for at, end in found)
        assert body["end_of_stream"] == 310
        return found, [(g["start"], g["end"]) for g in body["gaps"]], body

    assert window()[:2] == ([(0, 100)], [(100, 200)])
    assert window()[2]["truncated_by_limit"] is False  # nobody asked for more
    assert window(len=1000)[2]["truncated_by_limit"] is True
    assert window(start=50, len=120)[:2] == ([(50, 100)], [(100, 170)])
    assert window(start=150, len=60)[:2] == ([(200, 210)], [(150, 200)])
    assert window(start=300)[:2] == ([(300, 310)], [])
    assert window(start=400)[:2] == ([], [])
    assert window(start=2**63 - 1, len=2**63 - 1)[:2] == ([], [])
    assert window(len=0)[:2] == ([], [])
    views = {
        mode: window(start=98, len=104, mode=mode)[2]["segments"] for mode in ("text", "hex", "raw")
    }
    assert [[s["view"] for s in views[mode]] for mode in views] == [
        ["aa", "cc"],
        ["61 61", "63 63"],
        ["YWE=", "Y2M="],
    ]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/streams/xyz", 400, "bad_value"),
        ("GET", "/api/streams/%00%ff", 400, "bad_value"),
        ("GET", f"/api/streams/{'9' * 4000}", 400, "bad_value"),
        ("GET", UNKNOWN, 404, "not_found"),
        ("GET", f"{UNKNOWN}/content", 404, "not_found"),
        ("GET", "/api/streams?limit=513", 400, "bad_value"),
        ("GET", "/api/streams?cursor=99999999999999999999999", 400, "bad_value"),
        ("GET", "/api/streams?cursor=-1", 400, "bad_value"),
        ("GET", "/api/streams?status=asleep", 400, "bad_value"),
        ("GET", "/api/streams?addr=10.0.0.0/33", 400, "bad_value"),
        ("GET", "/api/streams?port=65536", 400, "bad_value"),
        ("GET", "/api/streams?since_us=1e6", 400, "bad_value"),
        ("GET", f"{UNKNOWN}/content?start=-1", 400, "bad_value"),
        ("GET", f"{UNKNOWN}/content?mode=colour", 400, "bad_value"),
        ("GET", "/api/live/deltas?wait_ms=30001", 400, "bad_value"),
        ("GET", "/api/nothing", 404, "not_found"),
        ("POST", "/api/streams", 405, "method_not_allowed"),
        ("DELETE", UNKNOWN, 405, "method_not_allowed"),
    ],
)
def test_refusals_have_one_shape(
    run: Served, method: str, path: str, status: int, code: str
) -> None:
    response = run.client.request(method, path)
    assert response.status_code == status
    assert response.json()["error"].keys() == {"code", "message", "hint"}
    assert response.json()["error"]["code"] == code


def test_changes(run: Served, rows: list[Row]) -> None:
    log = run.get("/api/live/deltas", cursor=0, limit=4096)
    assert log["missed"] is False
    assert [delta["cursor"] for delta in log["deltas"]] == list(range(1, log["cursor"] + 1))
    assert {"stats", "streams", "status"} <= {delta["kind"] for delta in log["deltas"]}
    told = {i for delta in log["deltas"] if delta["kind"] == "streams" for i in delta["ids"]}
    assert told == {row["stream_id_hex"] for row in rows}
    later = run.get("/api/live/deltas", cursor=log["latest"], wait_ms=10_000)
    assert later["deltas"][0]["cursor"] == log["latest"] + 1
    lost = run.get("/api/live/deltas", cursor=10**15)
    assert lost["missed"] is True
    assert lost["deltas"] == []
    assert lost["cursor"] == lost["latest"]


def test_changes_as_they_happen(run: Served) -> None:
    with run.client.stream("GET", "/api/live/events", headers={"Last-Event-ID": "0"}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        found = []
        for line in response.iter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: "))["cursor"])
            if len(found) == 3:
                break
    assert found == [1, 2, 3]


def test_what_it_says_of_itself(run: Served) -> None:
    routes = run.get("/api/openapi.json")["paths"]
    assert {"/api/health", "/api/streams", "/api/streams/{id}", "/api/streams/{id}/content"} <= (
        routes.keys()
    )
    metrics = list(text_string_to_metric_families(run.client.get("/metrics").text))
    assert metrics
    assert all(metric.name.startswith("flowmate_") for metric in metrics)
    health = run.get("/api/health")
    assert (health["status"], health["run_status"]) == ("ok", "completed")
    assert [source["status"] for source in health["sources"]] == ["done"]
