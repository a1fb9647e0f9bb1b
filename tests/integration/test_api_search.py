"""Search and matches: a real API in front of stand-ins that play the shards' part."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from services.api import matches, search
from shared.columns import MATCH
from shared.schema import Reply
from shared.wire import refusal
from tests.api_fakes import Answer, FakeCoordinator, FakeShard, event
from tests.api_server import Api, serving

pytestmark = pytest.mark.integration


class SearchedShard(FakeShard):
    """Has hits for a search that is begun; they are found three at a time."""

    def __init__(self, run_dir: str, index: int, hits: int) -> None:
        super().__init__(run_dir, index)
        self.found = [
            {
                "stream_id": 16 * index + 1, "row": 7, "direction": i % 2, "start": 100 + i,
                "end": 104 + i, "ts_us": i, "context_start": 98 + i, "context": b"a FLAG b",
            }
            for i in range(hits)
        ]  # fmt: skip
        self.begun: dict[str, dict[str, Any]] = {}
        self.cancelled: set[str] = set()
        self.refuses = ""
        self.operations |= {
            "search_start": self._start,
            "search_poll": self._poll,
            "search_cancel": self._cancel,
            "search_streams": self._streams,
            "matches": self._matches,
        }

    def _start(self, args: dict[str, Any]) -> Answer:
        if self.refuses:
            return refusal("bad_value", self.refuses), []
        self.begun[args["search"]] = args
        return self._told(args["search"], 0)

    def _poll(self, args: dict[str, Any]) -> Answer:
        if args["search"] not in self.begun:
            return refusal("not_found", "there is no such search"), []
        return self._told(args["search"], args["after"])

    def _cancel(self, args: dict[str, Any]) -> Answer:
        self.cancelled.add(args["search"])
        return self._poll(args | {"after": len(self.found)})

    def _streams(self, args: dict[str, Any]) -> Answer:
        if args["search"] not in self.begun:
            return refusal("not_found", "there is no such search"), []
        ids = {each["stream_id"] for each in self.found}
        return Reply(result={"ids": np.array(list(ids), "<u8").tobytes()}), []

    def _told(self, name: str, after: int) -> Answer:
        hits = self.found[after : after + 3]
        result = {
            "search": name, "hits": hits, "next": after + len(hits), "scanned_bytes": 10,
            "total_bytes": 20, "done": after + len(hits) == len(self.found),
            "cancelled": name in self.cancelled, "capped": False, "trouble": "",
        }  # fmt: skip
        return Reply(result=result), []

    def _matches(self, args: dict[str, Any]) -> Answer:
        rows = np.zeros(5, MATCH)
        rows["stream_id"], rows["pattern"], rows["kind"] = 1, 4, 2
        rows["start"] = np.arange(5) * 10
        rows["end"] = rows["start"] + 4
        rows["len"] = [4, 4, 4, 4, 0]
        page = rows[args["after"] : args["after"] + args["limit"]]
        result = {"matches": page.size, "total": 5, "next": args["after"] + page.size}
        return Reply(result=result), [page.tobytes(), b"FLAG"]


@pytest.fixture(scope="module")
def run_dir() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="fm-") as folder:
        yield folder


@pytest.fixture(scope="module")
def api(run_dir: str) -> Iterator[Api]:
    with serving(run_dir, MAX_STREAM_VIEW_MATCHES_PER_STREAM="4") as one:
        yield one


class Services:
    """A coordinator and two shards."""

    def __init__(self, run_dir: str) -> None:
        self.coordinator = FakeCoordinator(run_dir)
        self.coordinator.shard_indices = [0, 1]
        self.coordinator.add(event(stream_id=1, row=7), b"x", b"y")
        self.coordinator.operations |= {"select_rows": self._select, "pattern_list": self._patterns}
        self.shards = [SearchedShard(run_dir, 0, 7), SearchedShard(run_dir, 1, 2)]
        self.chosen: list[dict[str, Any]] = []

    def _select(self, args: dict[str, Any]) -> Answer:
        self.chosen.append(args["filter"])
        return Reply(result={"shards": [{"shard": 1, "count": 1}]}), [b"\1" * 12]

    def _patterns(self, args: dict[str, Any]) -> Answer:
        return Reply(result={"patterns": [{"id": 4, "name": "flag"}]}), []


@pytest.fixture
def services(run_dir: str) -> Iterator[Services]:
    one = Services(run_dir)
    with ExitStack() as stack:
        for service in (one.coordinator, *one.shards):
            stack.enter_context(service)
        yield one


def begin(api: Api, **wanted: Any) -> dict[str, Any]:
    response = api.client.post("/api/search", json={"value": "FLAG"} | wanted)
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    search.SearchBegun.model_validate(body)
    return body


def test_hits_of_all_shards_each_once(api: Api, services: Services) -> None:
    name = begin(api, direction="client", limit=50)["search_id"]
    for shard in services.shards:
        assert shard.begun[name]["everywhere"]
        assert (shard.begun[name]["direction"], shard.begun[name]["limit"]) == ("client", 50)
    found: list[Any] = []
    query: dict[str, str] = {}
    for _ in range(10):
        body = api.get(f"/api/search/{name}", **query)
        search.Hits.model_validate(body)
        found += body["hits"]
        query = {"after": body["next_cursor"]}
        if body["done"]:
            break
    assert body["done"]
    assert body["progress"] == {"scanned_bytes": 20, "total_bytes": 40}
    assert (body["missing"], body["trouble"]) == ([], [])
    assert len({(hit["stream_id_hex"], hit["start"]) for hit in found}) == len(found) == 9
    assert {hit["text"] for hit in found} == {"FLAG"}
    assert found[0]["context_text"] == "a FLAG b"
    assert (found[0]["direction"], found[0]["context_start"]) == ("a_to_b", 98)


def test_filters_choose_the_streams(api: Api, services: Services) -> None:
    name = begin(api, filters={"protocol": "tcp", "port": 80})["search_id"]
    assert services.chosen[0]["port"] == 80
    assert [shard.begun[name]["rows"] for shard in services.shards] == [b"", b"\1" * 12]
    assert not any(shard.begun[name]["everywhere"] for shard in services.shards)


def test_a_search_is_cancelled(api: Api, services: Services) -> None:
    name = begin(api)["search_id"]
    response = api.client.delete(f"/api/search/{name}")
    assert response.status_code == 200
    assert response.json()["cancelled"]
    assert api.get(f"/api/search/{name}")["cancelled"]


def test_a_search_that_there_is_not(api: Api, services: Services) -> None:
    for method in ("GET", "DELETE"):
        response = api.client.request(method, f"/api/search/{'0' * 16}")
        assert response.status_code == 404
    api.error("/api/search/xyz", 400)


def test_a_shard_that_knows_nothing_or_says_nothing_is_named(api: Api, services: Services) -> None:
    name = begin(api)["search_id"]
    del services.shards[1].begun[name]
    body = api.get(f"/api/search/{name}")
    assert ["shard 1" in each for each in body["missing"]] == [True]
    services.shards[0].silent = True
    body = begin(api)
    assert ["shard 0" in each for each in body["missing"]] == [True]
    services.shards[1].silent = True
    assert api.error(f"/api/search/{name}", 503)["code"] == "shard_unavailable"


LISTS = ("/api/streams", "/api/streams/timeline", "/api/streams/facets")


@pytest.mark.parametrize("path", LISTS)
def test_a_search_is_a_filter(api: Api, services: Services, path: str) -> None:
    name = begin(api)["search_id"]
    services.coordinator.asked.clear()
    api.get(path, search=name, port=80)
    asked = services.coordinator.operations_asked(path.rpartition("/")[2])[0]["filter"]
    assert asked["port"] == 80
    assert sorted(np.frombuffer(asked["among"], "<u8").tolist()) == [1, 17]
    del services.shards[1].begun[name]
    api.get(path, search=name)
    asked = services.coordinator.operations_asked(path.rpartition("/")[2])[1]["filter"]
    assert np.frombuffer(asked["among"], "<u8").tolist() == [1]
    error = api.error(path, 404, search="0" * 16)
    assert error["code"] == "not_found"
    assert api.error(path, 400, search="xyz")["message"].startswith("search:")


def test_a_shard_that_is_silent_leaves_time_for_the_list(api: Api, services: Services) -> None:
    name = begin(api)["search_id"]
    services.shards[0].silent = True
    api.get("/api/streams", search=name)
    (asked,) = services.coordinator.operations_asked("streams")
    assert np.frombuffer(asked["filter"]["among"], "<u8").tolist() == [17]
    services.coordinator.shard_indices = []
    assert api.error("/api/streams", 404, search=name)["code"] == "not_found"


@pytest.mark.parametrize(
    "body",
    [
        {}, {"value": ""}, {"value": "x", "kind": "magic"}, {"value": "x", "direction": "up"},
        {"value": "x", "limit": 0}, {"value": "x", "filters": {"colour": "red"}},
        {"value": "x", "filters": {"port": 70000}}, {"value": "x", "more": 1}, [], "x",
    ],
)  # fmt: skip
def test_searches_that_are_refused(api: Api, services: Services, body: Any) -> None:
    response = api.client.post("/api/search", json=body)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["code"] == "bad_value"


def test_a_pattern_that_is_none(api: Api, services: Services) -> None:
    services.shards[0].refuses = "search: missing ) at position 3"
    response = api.client.post("/api/search", json={"value": "(ab", "kind": "regex"})
    assert response.status_code == 400
    assert "position 3" in response.json()["error"]["message"]


def test_a_cursor_of_other_shards(api: Api, services: Services) -> None:
    name = begin(api)["search_id"]
    for after in ("1", "1.2.3", "x", "-1.0"):
        assert api.error(f"/api/search/{name}", 400, after=after)["code"] == "bad_value"


# ------------------------------------------------------------------------------------- matches
def test_pages_of_matches(api: Api, services: Services) -> None:
    path = "/api/streams/0000000000000001/matches"
    first = api.get(path)
    matches.Matches.model_validate(first)
    assert [each["start"] for each in first["matches"]] == [0, 10, 20, 30]
    assert (first["total"], first["next_cursor"]) == (5, 4)
    one = first["matches"][0]
    assert (one["pattern_name"], one["kind"], one["text"]) == ("flag", "binary", "FLAG")
    rest = api.get(path, cursor=4)
    assert [(each["start"], each["base64"]) for each in rest["matches"]] == [(40, "")]
    assert rest["next_cursor"] is None
    assert len(api.get(path, limit=2)["matches"]) == 2
    api.error(path, 400, limit=0)
