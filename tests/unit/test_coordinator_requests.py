from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.coordinator.deltas import DeltaLog
from services.coordinator.health import Health
from services.coordinator.merge import Merger
from services.coordinator.requests import Requests
from services.coordinator.shards import Shards
from services.coordinator.sources import Sources
from services.coordinator.team import Team
from services.coordinator.view import Inventory
from shared.columns import EVENT, PREVIEW_BYTES, VIEW
from shared.schema import SCHEMA_VERSION, Reach, Reply, Request, unpack

HEALTH_FIELDS = [
    "status", "run_status", "troubles", "services", "sources", "ledger", "shards", "totals",
    "rates", "drops",
    "queues", "budgets", "latest_cursor",
]  # fmt: skip


class Peer:
    """Asks a coordinator without sockets; `now` is its clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.inventory = Inventory(16)
        self.deltas = DeltaLog("c1", 10, lambda packed: None)
        shards, sources = Shards(2, 0.0, self.inventory.forget_rows), Sources()
        self.team = Team(self.inventory)
        merger = Merger(self.inventory, shards, [], self.team)
        health = Health(self.inventory, shards, sources, merger, self.deltas, [])
        self.requests = Requests(
            "c1",
            self.inventory,
            shards,
            health,
            self.deltas,
            lambda: self.now,
            self.team,
            lambda: b"a_metric 1\n",
        )

    def ask(self, op: str, **args: Any) -> tuple[dict[str, Any], list[bytes]]:
        reply, frames = self.reply(Request(op=op, args=args).pack())
        assert reply.error is None, reply.error
        return reply.result, frames

    def refused(self, op: str, **args: Any) -> str:
        reply, frames = self.reply(Request(op=op, args=args).pack())
        assert reply.error is not None
        assert not frames
        return f"{reply.error.code}: {reply.error.message} ({reply.error.hint})"

    def reply(self, frame: bytes) -> tuple[Reply, list[bytes]]:
        head, *frames = self.requests.answer(frame)
        return unpack(Reply, head, "test"), frames


@pytest.fixture
def peer() -> Peer:
    return Peer()


def test_a_shard_registers_beats_and_shows(peer: Peer) -> None:
    result, _ = peer.ask("register", instance="x", pid=7, host="h", index=-1)
    taken = {"told_packets": 0, "rows": 0, "seen": {}, "sent": None}
    assert result == {"index": 0, "shards": 2, "coordinator": "c1"} | taken
    topology, _ = peer.ask("topology")
    assert topology["expected"] == 2
    assert topology["capture"] == {"age_ms": int(peer.now * 1000), "ended": False}
    assert [shard["ready"] for shard in topology["shards"]] == [False]
    peer.now = 1.0
    beat, _ = peer.ask("heartbeat", shard=0, instance="x", seq=0)
    version = peer.team.patterns.version
    assert beat == {
        "coordinator": "c1", "acked_seq": -1, "patterns_version": version, "favorites_version": 0,
    }  # fmt: skip
    peer.now = 1.25
    topology, _ = peer.ask("topology")
    wanted = {"index": 0, "instance": "x", "pid": 7, "host": "h", "ready": True, "age_ms": 250}
    assert topology["shards"] == [wanted | {"reach": None}]


def test_where_a_shard_is_goes_with_the_process(peer: Peer) -> None:
    peer.ask("register", instance="x", pid=7, host="h", index=-1)
    reach = Reach(host="10.0.0.1", packets=1, credits=2, content=3).model_dump()
    peer.ask("heartbeat", shard=0, instance="x", seq=0, reach=reach)
    [shard] = peer.ask("topology")[0]["shards"]
    assert shard["reach"] == reach
    peer.now = 10.0  # it is gone, and another has its number but is not there yet
    peer.ask("register", instance="y", pid=8, host="h", index=0)
    [shard] = peer.ask("topology")[0]["shards"]
    assert (shard["reach"], shard["ready"]) == (None, False)
    bad = reach | {"packets": 0}
    reply, _ = peer.reply(
        Request(op="heartbeat", args={"shard": 0, "instance": "y", "reach": bad}).pack()
    )
    assert reply.error is not None
    assert reply.error.code == "bad_value"


def test_health_has_the_fields_of_the_api(peer: Peer) -> None:
    health, _ = peer.ask("health")
    assert list(health) == HEALTH_FIELDS
    assert (health["status"], health["run_status"]) == ("ok", "waiting")
    assert [shard["state"] for shard in health["shards"]] == ["starting", "starting"]


def test_streams_come_as_columns(peer: Peer) -> None:
    events = np.zeros(3, EVENT)
    events["stream_id"], events["row"], events["family"] = (1, 2, 1 << 63), (1, 2, 3), 4
    peer.inventory.merge(0, events)
    result, (rows, view, previews) = peer.ask("streams", limit=2, filter={"addr": "0.0.0.0/0"})
    assert result == {
        "count": 2, "total": 3, "hidden": 0, "before": 0, "next_cursor": 2, "extras": [],
    }  # fmt: skip
    assert np.frombuffer(rows, EVENT)["stream_id"].tolist() == [1 << 63, 2]
    assert np.frombuffer(view, VIEW)["number"].tolist() == [3, 2]
    assert len(previews) == 2 * 2 * PREVIEW_BYTES
    result, (_, view, _) = peer.ask("streams", limit=2, cursor=3, offset=1)
    assert (result["count"], result["before"], result["next_cursor"]) == (1, 2, None)
    assert np.frombuffer(view, VIEW)["number"].tolist() == [1]
    result, (rows, _, _) = peer.ask("stream", stream_id=1 << 63)
    assert result["count"] == 1
    assert np.frombuffer(rows, EVENT)["stream_id"].tolist() == [1 << 63]


def test_overviews_of_some_streams(peer: Peer) -> None:
    events = np.zeros(3, EVENT)
    events["stream_id"], events["row"], events["port_a"] = (1, 2, 3), (1, 2, 3), (80, 80, 53)
    events["first_ns"] = (0, 10**9, 2 * 10**9)
    peer.inventory.merge(0, events)
    among = np.array([1, 3, 99], "<u8").tobytes()
    timeline, _ = peer.ask("timeline", filter={"among": among}, buckets=3)
    assert (timeline["start_us"], timeline["bucket_us"]) == (0, 1_000_000)
    assert timeline["streams"] == [1, 0, 1]
    facets, _ = peer.ask("facets", filter={"among": among, "port": 80})
    assert (facets["total"], facets["services"][0]["name"]) == (1, "unknown")


@pytest.mark.parametrize("buckets", [1, 2, 512])
def test_times_that_no_capture_has(peer: Peer, buckets: int) -> None:
    events = np.zeros(3, EVENT)
    events["stream_id"], events["row"] = (1, 2, 3), (1, 2, 3)
    events["first_ns"] = (-5, 0, (1 << 63) - 1)
    events["last_ns"] = (1 << 63) - 1
    peer.inventory.merge(0, events)
    wide = {"since_us": -(1 << 63), "until_us": (1 << 63) - 1}
    for one in ({}, wide, {"since_us": wide["until_us"]}):
        timeline, _ = peer.ask("timeline", filter=one, buckets=buckets)
        assert timeline["earlier"] + sum(timeline["streams"]) == 3
        assert peer.ask("facets", filter=one)[0]["total"] == 3
    assert peer.ask("timeline", filter=wide)[0]["earlier"] == 1  # it began before 1970


def test_an_empty_inventory_has_empty_overviews(peer: Peer) -> None:
    timeline, _ = peer.ask("timeline")
    assert (timeline["streams"], timeline["matches"], timeline["earlier"]) == ([0], [], 0)
    facets, _ = peer.ask("facets")
    assert (facets["total"], facets["services"], facets["tags"]) == (0, [], [])


def test_where_a_streams_content_is(peer: Peer) -> None:
    events = np.zeros(2, EVENT)
    events["stream_id"], events["row"], events["client"] = (5, 1 << 63), (7, 8), (0, 1)
    peer.inventory.merge(3, events)
    assert peer.ask("where", stream_id=1 << 63)[0] == {"shard": 3, "row": 8, "client": 1}
    assert peer.ask("where", stream_id=6) == ({}, [])


def test_a_stream_that_is_not_there_is_an_empty_answer(peer: Peer) -> None:
    result, frames = peer.ask("stream", stream_id=77)
    assert (result["count"], frames) == (0, [b"", b"", b""])


def test_deltas_are_read_from_a_cursor(peer: Peer) -> None:
    peer.deltas.append("stats", {"n": 1})
    result, _ = peer.ask("deltas", cursor=0, limit=5)
    assert (result["latest"], result["missed"], len(result["deltas"])) == (1, False, 1)


@pytest.mark.parametrize(
    ("op", "args", "said"),
    [
        ("streams", {"filter": {"protocol": "sctp"}}, "bad_value: protocol 'sctp' is not known"),
        ("streams", {"filter": {"port": 70000}}, "bad_value: filter.port 70000"),
        ("streams", {"filter": {"prot": "tcp"}}, "bad_value: filter.prot 'tcp'"),
        ("streams", {"filter": {"among": b"123"}}, "bad_value: among: these bytes are no list"),
        ("streams", {"offset": -1}, "bad_value: offset -1"),
        ("timeline", {"buckets": 513}, "bad_value: buckets 513"),
        ("facets", {"buckets": 1}, "bad_value: buckets"),
        ("streams", {"limit": 513}, "less than or equal to 512"),
        ("streams", {"order": "random"}, "'newest' or 'oldest'"),
        ("stream", {}, "bad_value: stream_id"),
        ("stream", {"stream_id": -1}, "greater than or equal to 0"),
        ("deltas", {"cursor": "first"}, "valid integer"),
        ("register", {"instance": "x", "index": 5}, "the same --workers"),
        ("heartbeat", {"shard": 9, "instance": "x"}, "register first"),
        ("health", {"now": 1}, "bad_value: now"),
        ("frobnicate", {}, "unknown_op: no operation 'frobnicate' (one of register, heartbeat"),
    ],
)
def test_what_is_wrong_is_refused_with_a_hint(
    peer: Peer, op: str, args: dict[str, Any], said: str
) -> None:
    assert said in peer.refused(op, **args)


def test_another_version_is_named(peer: Peer) -> None:
    reply, _ = peer.reply(msgpack.packb({"v": 99, "op": "health", "args": {}}))
    assert reply.error is not None
    assert "99" in reply.error.message
    assert str(SCHEMA_VERSION) in reply.error.message


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
operations = st.sampled_from(
    [
        "register",
        "heartbeat",
        "topology",
        "health",
        "streams",
        "stream",
        "deltas",
        "timeline",
        "facets",
        "select_rows",
        "annotate",
        "patterns",
        "pattern_add",
        "pattern_change",
        "pattern_remove",
        "rule_add",
        "rule_change",
        "rule_remove",
        "profile_add",
        "profile_change",
        "profile_remove",
    ]
)
names = st.sampled_from(
    [
        "instance",
        "index",
        "shard",
        "seq",
        "filter",
        "cursor",
        "stream_id",
        "id",
        "change",
        "notes",
        "kind",
        "value",
        "enabled",
        "services",
        "patterns",
    ]
)


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=40), anything.map(msgpack.packb)))
def test_no_bytes_are_a_fault(frame: bytes) -> None:
    reply, _ = Peer().reply(frame)
    assert reply.error is not None
    assert reply.error.code == "bad_request"


@settings(deadline=None)
@given(operations, st.dictionaries(names, anything, max_size=4))
def test_no_arguments_are_a_fault(op: str, args: dict[str, Any]) -> None:
    reply, _ = Peer().reply(msgpack.packb({"v": SCHEMA_VERSION, "op": op, "args": args}))
    refusals = ("bad_value", "bad_request", "taken", "not_found", "bad_pattern")
    assert reply.error is None or reply.error.code in refusals


def test_metrics_are_asked_for_like_all_else(peer: Peer) -> None:
    assert peer.ask("metrics") == ({}, [b"a_metric 1\n"])
