"""The whole list at a glance and any place in it, in front of real services."""

import time
from collections import Counter
from typing import Any

import pytest

from tests.e2e.run import Row, Served

pytestmark = pytest.mark.e2e

GIVEN: list[dict[str, Any]] = [
    {}, {"service": "http"}, {"protocol": "udp"}, {"content_kind": "binary"}, {"port": 80},
    {"text": "get /"}, {"text": "nobody said this"},
]  # fmt: skip


@pytest.mark.parametrize("given", GIVEN)
def test_the_timeline_has_every_stream_that_passes(
    run: Served, rows: list[Row], given: dict[str, Any]
) -> None:
    passing = run.rows(**given)
    whole = run.get("/api/streams/timeline", **given, buckets=40)
    start, width, count = whole["start_us"], whole["bucket_us"], len(whole["streams"])
    assert 1 <= count <= 40
    assert start % width == 0
    began = [row["first_seen_us"] for row in rows]
    assert start <= min(began) < start + width  # whatever the filter
    assert max(began) < start + count * width
    streams, octets = [0] * count, [0] * count
    for row in passing:
        streams[(row["first_seen_us"] - start) // width] += 1
        octets[(row["first_seen_us"] - start) // width] += row["bytes"]
    assert (whole["streams"], whole["bytes"], whole["earlier"]) == (streams, octets, 0)


def test_a_part_of_the_timeline(run: Served, rows: list[Row]) -> None:
    began = sorted(row["first_seen_us"] for row in rows)
    since, until = began[len(began) // 3], began[2 * len(began) // 3]
    part = run.get("/api/streams/timeline", since_us=since, until_us=until, buckets=100)
    assert since - part["bucket_us"] < part["start_us"] <= since
    passing = run.rows(since_us=since, until_us=until)
    earlier = sum(row["first_seen_us"] < part["start_us"] for row in passing)
    assert part["earlier"] == earlier
    assert sum(part["streams"]) == len(passing) - earlier


@pytest.mark.parametrize("given", GIVEN)
def test_facets_count_every_stream_that_passes(run: Served, given: dict[str, Any]) -> None:
    passing = run.rows(**given)
    facets = run.get("/api/streams/facets", **given)
    assert facets["total"] == len(passing)
    told = {field: {one["name"]: one["count"] for one in facets[field]} for field in FIELDS}
    assert told == {
        "services": Counter(row["service"]["name"] or "unknown" for row in passing),
        "protocols": Counter(row["protocol"] for row in passing),
        "statuses": Counter(row["status"] for row in passing),
        "content_kinds": Counter(row["content_kind"] for row in passing),
    }
    for service in facets["services"]:
        assert sum(service["spark"]) == service["count"]


FIELDS = ("services", "protocols", "statuses", "content_kinds")


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_any_place_of_the_list(run: Served, rows: list[Row], order: str) -> None:
    listed = rows if order == "oldest" else rows[::-1]
    for anchor in (0, len(listed) // 2, len(listed) - 1):
        for offset in (0, 1, len(listed) // 3, 10**6):
            page = run.get(
                "/api/streams", order=order, cursor=listed[anchor]["number"], offset=offset, limit=3
            )
            begin = min(anchor + 1 + offset, len(listed))
            assert page["streams"] == listed[begin : begin + 3]
            assert (page["before"], page["total"]) == (begin, len(listed))
            last = begin + 3 < len(listed)
            assert page["next_cursor"] == (listed[begin + 2]["number"] if last else None)


def test_what_a_search_found_is_a_filter(run: Served, rows: list[Row]) -> None:
    response = run.client.post("/api/search", json={"value": "HTTP/1.1 200", "limit": 1000})
    name = response.json()["search_id"]
    hits: set[str] = set()
    query: dict[str, str] = {}
    deadline = time.monotonic() + 20
    while True:
        body = run.get(f"/api/search/{name}", **query)
        hits |= {hit["stream_id_hex"] for hit in body["hits"]}
        query = {"after": body["next_cursor"]}
        if body["done"]:
            break
        assert time.monotonic() < deadline
    wanted = [row for row in rows if row["stream_id_hex"] in hits]
    assert 0 < len(wanted) < len(rows)
    assert run.rows(search=name) == wanted
    assert run.rows(search=name, protocol="udp") == []
    facets = run.get("/api/streams/facets", search=name)
    assert facets["total"] == len(wanted)
    timeline = run.get("/api/streams/timeline", search=name)
    assert sum(timeline["streams"]) == len(wanted)
    unknown = run.client.get("/api/streams", params={"search": "0" * 16})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")


def test_who_is_online(run: Served) -> None:
    run.wait_for(lambda health: health["clients"] == 0)
    with run.client.stream("GET", "/api/live/events") as response:
        assert response.status_code == 200
        run.wait_for(lambda health: health["clients"] == 1)
    run.wait_for(lambda health: health["clients"] == 0)
