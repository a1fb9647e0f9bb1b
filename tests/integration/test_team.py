"""The team's shared state through the API: real coordinator and server, shards played here."""

import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import zmq

from services.api import models
from services.api.hide_rules import HideRuleList
from services.api.patterns import Pattern, PatternList
from services.api.profiles import ProfileList
from shared.columns import ENDPOINTS, MATCH, MESSAGE
from shared.schema import PatternReport
from tests.conftest import ROOT, clean_environ
from tests.coordinator_site import FakeShard, Site, streams, written
from tests.ports import free_port
from tests.state_files import documents
from tests.team_site import pairs_of
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.integration
ONE, TWO = f"{1:016x}", f"{2:016x}"
SEEN_S = 0.25  # how soon everybody sees what one has changed, unless the machine is busy


class TeamOfSite(Site):
    """A coordinator with a state file, one shard, and a server in front."""

    state: Path
    client: httpx.Client

    def begin(self, *flags: str) -> "subprocess.Popen[bytes]":
        self.state = self.folder / "team.state"
        return self.start("--state-file", str(self.state), *flags)

    @contextmanager
    def serving(self) -> Iterator[httpx.Client]:
        port = free_port()
        server = subprocess.Popen(
            [sys.executable, "-m", "services.api"],
            env=clean_environ()
            | {"FLOWMATE_RUN_DIR": str(self.folder), "FLOWMATE_API_LISTEN": f"127.0.0.1:{port}"},
            cwd=ROOT,
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=40) as client:
                eventually(lambda: is_up(client))
                self.client = client
                yield client
        finally:
            server.kill()
            server.wait(10)

    def call(self, method: str, path: str, status: int = 200, **body: Any) -> Any:
        """The body of a response, of the status expected."""
        response = self.client.request(method, path, json=body or None)
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    def error(self, method: str, path: str, status: int, **body: Any) -> str:
        error = self.call(method, path, status, **body)["error"]
        assert list(error) == ["code", "message", "hint"]
        return f"{error['code']}: {error['message']} ({error['hint']})"

    def shown(self, **wanted: Any) -> list[str]:
        page = self.client.get("/api/streams", params=wanted | {"order": "oldest"}).json()
        models.StreamPage.model_validate(page)
        return [row["stream_id_hex"] for row in page["streams"]]


def is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/api/health").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def site() -> Iterator[TeamOfSite]:
    with tempfile.TemporaryDirectory(prefix="fm-") as folder, zmq.Context() as context:
        here = TeamOfSite(Path(folder), context)
        try:
            yield here
        finally:
            here.close()


def test_a_killed_coordinator_has_everything_again(site: TeamOfSite) -> None:
    coordinator = site.begin("--pattern", "given")
    shard = FakeShard(site)
    shard.push(streams(1, 3))
    shard.arrives()
    with site.serving():
        site.call("PATCH", f"/api/streams/{ONE}", favorite=True, comment="first", tags=["A "])
        site.call("PATCH", f"/api/streams/{TWO}", hidden=True)
        added = site.call("POST", "/api/patterns", 201, kind="regex", value="flag{.*?}")
        rule = site.call("POST", "/api/hide-rules", 201, kind="stream", value=f"{3:016x}")
        site.call("PATCH", "/api/profiles/dns", priority=99)
        before = {
            path: site.call("GET", f"/api/{path}")
            for path in ("patterns", "hide-rules", "profiles")
        }
        eventually(lambda: ("profile", "dns") in documents(site.state))  # nothing else makes it so
        coordinator.kill()
        coordinator.wait(10)
        site.begin("--pattern", "given")
        shard.beat()
        shard.push(streams(1, 3), snapshot=True)
        shard.arrives()
        eventually(lambda: is_up(site.client))
        for path, listed in before.items():
            assert site.call("GET", f"/api/{path}") == listed
        assert (added["id"], rule["id"]) == (2, 1)
        assert site.shown() == [ONE]
        rows = {row["stream_id_hex"]: row for row in everything(site)}
        assert (rows[ONE]["favorite"], rows[ONE]["comment"], rows[ONE]["tags"]) == (
            True, "first", ["a"],
        )  # fmt: skip
        assert rows[TWO]["hidden_reason"] == "hidden by hand"
        assert rows[f"{3:016x}"]["hidden_reason"] == f"rule 1: stream {3:016x}"
        assert site.call("POST", "/api/patterns", 201, kind="substring", value="x")["id"] == 3


def everything(site: TeamOfSite) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = site.call("GET", "/api/streams?include_hidden=true")["streams"]
    return rows


def test_two_clients_see_each_others_changes(site: TeamOfSite) -> None:
    site.begin()
    shard = FakeShard(site)
    shard.push(streams(1, 2))
    shard.arrives()
    with site.serving() as first, httpx.Client(base_url=first.base_url, timeout=40) as second:
        cursor = second.get("/api/live/deltas").json()["cursor"]
        sent: list[dict[str, Any]] = []
        heard = threading.Thread(
            target=listen, args=(str(first.base_url), sent, cursor), daemon=True
        )
        heard.start()
        changes: list[tuple[str, str, int, dict[str, Any]]] = [
            ("PATCH", f"/api/streams/{ONE}", 200, {"favorite": True}),
            ("PATCH", f"/api/streams/{ONE}", 200, {"hidden": True}),
            ("PATCH", f"/api/streams/{ONE}", 200, {"comment": "look"}),
            ("PATCH", f"/api/streams/{ONE}", 200, {"tags": ["x"]}),
            ("POST", "/api/hide-rules", 201, {"kind": "port", "value": 1}),
            ("POST", "/api/patterns", 201, {"kind": "binary", "value": "00 ff"}),
            ("PATCH", "/api/profiles/tls", 200, {"enabled": False}),
        ]
        took = []
        for method, path, status, body in changes:
            began = time.monotonic()
            site.call(method, path, status, **body)
            told = next_state(second, cursor)
            cursor = told["cursor"]
            took.append(time.monotonic() - began)
        assert statistics.median(took) < SEEN_S
        whats = ["favorite", "hidden", "comment", "tags", "rule", "pattern", "profile"]
        eventually(lambda: [each["what"] for each in sent] == whats)
        heard.join(10)
        assert sent[0]["stream_id_hex"] == ONE
        assert (sent[0]["favorite"], sent[3]["tags"], sent[4]["rule"]["value"]) == (True, ["x"], 1)
        site.call("PATCH", f"/api/streams/{ONE}", favorite=True)  # which it is
        assert all(
            delta["kind"] != "state"
            for delta in second.get("/api/live/deltas", params={"cursor": cursor}).json()["deltas"]
        )


def next_state(client: httpx.Client, cursor: int) -> dict[str, Any]:
    """The next change of shared state after a cursor, waited for."""
    deadline = time.monotonic() + 5
    while True:
        assert time.monotonic() < deadline, "no change was told"
        page = client.get("/api/live/deltas", params={"cursor": cursor, "wait_ms": 1000}).json()
        for delta in page["deltas"]:
            cursor = delta["cursor"]
            if delta["kind"] == "state":
                state: dict[str, Any] = delta
                return state


def listen(base_url: str, heard: list[dict[str, Any]], cursor: int) -> None:
    """Seven changes of shared state, as server-sent events."""
    with httpx.stream("GET", f"{base_url}/api/live/events?cursor={cursor}", timeout=20) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                delta = json.loads(line[6:])
                if delta["kind"] == "state":
                    heard.append(delta)
            if len(heard) == 7:
                return


def test_a_pattern_from_beginning_to_end(site: TeamOfSite) -> None:
    site.begin("--regex", "flag{[a-z]+}", "--max-pattern-matches-total", "2")
    shard = FakeShard(site)
    shard.push(streams(1, 3))
    version = shard.beat()["patterns_version"]
    told = site.result("patterns")
    assert (told["version"], [each["value"] for each in told["patterns"]]) == (
        version, ["flag{[a-z]+}"],
    )  # fmt: skip
    with site.serving():
        pattern = site.call("POST", "/api/patterns", 201, kind="substring", value="GET", name="get")
        Pattern.model_validate(pattern)
        assert shard.beat()["patterns_version"] > version
        report = PatternReport(id=2, matches=3, scanned_bytes=30, todo_bytes=10, state="scanning")
        shard.beat(patterns=[report.model_dump()])
        listed = site.call("GET", "/api/patterns")
        PatternList.model_validate(listed)
        status = listed["patterns"][1]["status"]
        assert (status["matches"], status["progress"], status["state"]) == (3, 0.75, "scanning")

        shard.push(columns={"pairs": pairs_of((1, 2, 3), (2, 1, 1), (3, 2, 1), (99, 2, 1))})
        shard.arrives()
        assert site.shown(only_matched=True) == site.shown(profile="matched") == [ONE, TWO]
        assert site.shown(pattern_id=2) == [ONE]
        row = site.call("GET", f"/api/streams/{ONE}")
        assert (row["match_count"], row["pattern_ids"]) == (3, [2])
        drops = site.result("health")["drops"]
        assert (drops["match_counts_over_limit"], drops["match_counts_after_eviction"]) == (1, 1)
        matched = eventually(lambda: deltas(site, "matches"))
        assert matched[0]["count"] == 2
        assert (matched[0]["ids"], matched[0]["pattern_ids"]) == ([ONE, TWO], [1, 2])

        site.call("PATCH", "/api/patterns/2", enabled=False)
        assert site.shown(only_matched=True) == [TWO]
        site.call("DELETE", "/api/patterns/1", 204)
        assert site.shown(only_matched=True) == []
        assert "not_found: no pattern 1" in site.error("DELETE", "/api/patterns/1", 404)
        assert "pattern_id 1 is no pattern" in site.error("GET", "/api/streams?pattern_id=1", 400)


def deltas(site: Site, kind: str) -> list[dict[str, Any]]:
    log = site.result("deltas", cursor=0, limit=4096)["deltas"]
    return [delta for delta in log if delta["kind"] == kind]


def test_rules_and_profiles(site: TeamOfSite) -> None:
    site.begin()
    shard = FakeShard(site)
    shard.push(streams(1, 3))
    shard.arrives()
    with site.serving():
        rule = site.call("POST", "/api/hide-rules", 201, kind="port", value=80)
        page = site.call("GET", "/api/streams")
        assert (page["streams"], page["total"], page["hidden"]) == ([], 0, 3)
        assert everything(site)[0]["hidden_reason"] == "rule 1: port 80"
        again = site.call("POST", "/api/hide-rules", 201, kind="port", value="80")
        assert again == rule
        HideRuleList.model_validate(site.call("GET", "/api/hide-rules"))
        shown = site.call("PATCH", f"/api/streams/{ONE}", hidden=False)
        models.Stream.model_validate(shown)
        assert (shown["hidden"], site.shown()) == (False, [ONE])
        site.call("PATCH", "/api/hide-rules/1", enabled=False)
        assert len(site.shown()) == 3
        site.call("DELETE", "/api/hide-rules/1", 204)
        assert site.call("GET", "/api/hide-rules") == {"hide_rules": []}

        ProfileList.model_validate(site.call("GET", "/api/profiles"))
        profile = site.call(
            "POST", "/api/profiles", 201, id="mine", ports=[80],
            hide_rules=[{"kind": "stream", "value": TWO}],
        )  # fmt: skip
        assert (profile["source"], profile["name"]) == ("api", "mine")
        assert site.shown(profile="mine") == [ONE, f"{3:016x}"]
        assert "built_in: profile http" in site.error("DELETE", "/api/profiles/http", 409)
        site.call("PATCH", "/api/profiles/mine", enabled=False)
        assert "'mine' is disabled" in site.error("GET", "/api/streams?profile=mine", 400)
        site.call("DELETE", "/api/profiles/mine", 204)
        assert "not_found" in site.error("PATCH", "/api/profiles/mine", 404, priority=1)
        assert "'mine' is not known" in site.error("GET", "/api/streams?profile=mine", 400)


@pytest.mark.parametrize(
    ("method", "path", "status", "body", "said"),
    [
        ("PATCH", f"/api/streams/{'f' * 16}", 404, {"favorite": True}, "not_found: no stream"),
        ("PATCH", f"/api/streams/{ONE}", 400, {"favorite": "yes"}, "bad_value: favorite"),
        ("PATCH", f"/api/streams/{ONE}", 400, {"star": True}, "bad_value: star"),
        ("PATCH", f"/api/streams/{ONE}", 400, {"comment": "x" * 4097}, "bad_value: comment"),
        ("PATCH", f"/api/streams/{ONE}", 400, {"tags": ["x"] * 33}, "bad_value: tags"),
        ("PATCH", f"/api/streams/{ONE}", 400, {"tags": ["x" * 65]}, "bad_value: tags.0"),
        ("PATCH", f"/api/streams/{ONE}", 400, {"tags": [" "]}, "bad_value: tags.0"),
        ("PATCH", f"/api/streams/{ONE}", 400, {"tags": ["a\0b"]}, "bad_value: tags.0"),
        ("PATCH", f"/api/streams/{ONE}", 400, {"comment": None}, "bad_value: comment"),
        ("POST", "/api/patterns", 400, {"kind": "regex", "value": "a("}, "bad_pattern: missing"),
        ("POST", "/api/patterns", 400, {"kind": "binary", "value": "a"}, "at position 0"),
        ("POST", "/api/patterns", 400, {"kind": "substring", "value": ""}, "bad_value: value"),
        ("POST", "/api/patterns", 400, {"kind": "glob", "value": "*"}, "bad_value: kind"),
        ("POST", "/api/patterns", 400, {"value": "x"}, "bad_value: kind"),
        (
            "POST", "/api/patterns", 400,
            {"kind": "substring", "value": "x", "color": "red;"}, "bad_value: color",
        ),
        (
            "POST", "/api/patterns", 400,
            {"kind": "substring", "value": "x", "services": ["gopher"]}, "services.0: one of http",
        ),
        ("PATCH", "/api/patterns/7", 404, {"enabled": False}, "not_found: no pattern 7"),
        ("POST", "/api/hide-rules", 400, {"kind": "port", "value": 70000}, "port '70000' is none"),
        ("POST", "/api/hide-rules", 400, {"kind": "service", "value": "x"}, "service 'x' is not"),
        ("POST", "/api/hide-rules", 400, {"kind": "colour", "value": "x"}, "bad_value: kind"),
        ("POST", "/api/hide-rules", 400, {"kind": "addr", "value": "here"}, "is no address"),
        ("POST", "/api/hide-rules", 400, {"kind": "stream", "value": "xyz"}, "stream 'xyz'"),
        ("POST", "/api/hide-rules", 400, {"kind": "tag", "value": True}, "bad_value: value"),
        ("PATCH", "/api/hide-rules/7", 404, {"enabled": False}, "not_found: no hide rule 7"),
        ("DELETE", "/api/hide-rules/0", 400, {}, "bad_value: id"),
        ("POST", "/api/profiles", 400, {"id": "No Spaces"}, "bad_value: id"),
        ("POST", "/api/profiles", 400, {"id": "x", "ports": [1, -1]}, "bad_value: ports.1"),
        ("DELETE", "/api/profiles/gopher", 404, {}, "not_found: no profile 'gopher'"),
        ("GET", "/api/streams?profile=NO%20PROFILE", 400, {}, "bad_value: profile"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    team: TeamOfSite, method: str, path: str, status: int, body: dict[str, Any], said: str
) -> None:
    assert said in team.error(method, path, status, **body)


def test_a_body_that_is_no_text_or_no_json_is_refused(team: TeamOfSite) -> None:
    for octets in (b'{"comment": "\\ud800"}', b"{", b"", b"[]", b"null", b"\xff"):
        response = team.client.request(
            "PATCH",
            f"/api/streams/{ONE}",
            content=octets,
            headers={"content-type": "application/json"},
        )
        assert response.status_code == 400, (octets, response.text)
        assert response.json()["error"]["code"] in ("bad_value", "bad_request")


@pytest.fixture(scope="module")
def team() -> Iterator[TeamOfSite]:
    """One for all tests that change nothing."""
    with tempfile.TemporaryDirectory(prefix="fm-") as folder, zmq.Context() as context:
        here = TeamOfSite(Path(folder), context)
        try:
            here.begin()
            shard = FakeShard(here)
            shard.push(streams(1, 3))
            shard.arrives()
            with here.serving():
                yield here
        finally:
            here.close()


def test_rows_of_a_filter_are_selected_for_a_search(site: TeamOfSite) -> None:
    site.begin()
    shard = FakeShard(site)
    shard.push(streams(1, 3))
    shard.arrives()
    site.result("annotate", stream_id=2, notes={"hidden": True})
    packed = np.dtype([("row", "<u4"), ("stream_id", "<u8")])
    for wanted, ids in (({}, [1, 3]), ({"include_hidden": True}, [1, 2, 3]), ({"port": 9}, [])):
        reply, frames = site.ask("select_rows", filter=wanted)
        assert reply.result["total"] == len(ids)
        assert [each["count"] for each in reply.result["shards"]] == [len(ids)] * bool(ids)
        found = np.frombuffer(b"".join(frames), packed)
        assert (found["row"].tolist(), found["stream_id"].tolist()) == (ids, ids)


def test_messages_and_matches_are_told_and_written_once(site: TeamOfSite) -> None:
    site.begin("--pattern", "flag")
    shard = FakeShard(site)
    message, match = np.zeros(1, MESSAGE), np.zeros(1, MATCH)
    ends = np.zeros(1, ENDPOINTS)
    ends["family"], ends["proto"], ends["addr_b_lo"], ends["port_b"] = 4, 6, 1, 80
    message["stream_id"], message["text_len"] = 1, 5
    match["stream_id"], match["pattern"], match["len"], match["dir"] = 1, 1, 4, 1
    text, octets = (np.frombuffer(each, np.uint8) for each in (b"GET /", b"flag"))
    columns: dict[str, Any] = {
        "messages": message, "message_ends": ends, "message_text": text,
        "matches": match, "match_ends": ends, "match_bytes": octets,
    }  # fmt: skip
    rows = streams(1, 1)
    rows["messages"] = 1
    shard.push(rows, columns=columns)
    shard.push(rows, columns=columns, snapshot=True)
    shard.arrives()
    told = eventually(lambda: deltas(site, "messages"))
    assert [(delta["count"], delta["total"]) for delta in told] == [(1, 1)]
    found = eventually(lambda: written(site.output, "message") and written(site.output, "pattern"))
    assert len(found) == 1
    assert (found[0]["pattern_id"], found[0]["pattern_name"]) == (1, "flag")
    said = written(site.output, "message")
    assert [line["summary"] for line in said] == ["GET /"]
    with site.serving():
        assert site.call("GET", f"/api/streams/{ONE}")["message_count"] == 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--regex", "a("), "--regex 'a(': missing ), at position 2"),
        (("--state-file", "missing/team.state"), "--state-file missing/team.state: unable to open"),
        (("--state-file", "out.jsonl", "--output", "out.jsonl"), "is out.jsonl itself"),
        (("--service-profile-file", "none.yaml"), "none.yaml: no such file or directory"),
    ],
)
def test_what_the_user_gave_wrong_is_said_in_one_line(
    site: TeamOfSite, flags: tuple[str, ...], said: str
) -> None:
    assert site.launch(*flags).wait(PATIENCE_S) == 2
    assert said in site.log
    assert site.log.count("\n") == 1


def test_a_damaged_state_file_is_set_aside_and_the_run_goes_on(site: TeamOfSite) -> None:
    (site.folder / "team.state").write_bytes(b"no state at all" * 500)
    coordinator = site.begin()
    assert "and a new one is begun" in site.log
    assert len(list(site.folder.glob("team.state.damaged-*"))) == 1
    site.result("rule_add", kind="port", value=1)
    assert site.stop(coordinator) == 0
    with sqlite3.connect(site.state) as database:
        kinds = database.execute("SELECT kind FROM documents ORDER BY kind").fetchall()
    database.close()
    assert kinds == [("nextrule",), ("opened",), ("rule",)]
