"""The coordinator as a process: shards, capture and an API are played by the test."""

import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq

from shared.columns import EVENT, EVENT_CLOSE, PREVIEW, PREVIEW_BYTES, VIEW
from tests.coordinator_site import FakeShard, Site, streams, written
from tests.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.integration


@pytest.fixture
def site() -> Iterator[Site]:
    # the path of a socket is short, longer than pytest's folders are not
    with tempfile.TemporaryDirectory(prefix="fm-") as folder, zmq.Context() as context:
        here = Site(Path(folder), context)
        try:
            yield here
        finally:
            here.close()


def test_a_whole_run(site: Site) -> None:
    coordinator = site.start()
    watcher = site.connect(zmq.SUB, site.bus.deltas)
    watcher.setsockopt(zmq.SUBSCRIBE, b"")
    shard = FakeShard(site)
    assert site.result("topology")["shards"][0]["ready"]
    site.capture("report", "reading", packets=5, bytes=50)
    text = b"GET /needle HTTP/1.1"
    piece = np.zeros(1, PREVIEW)
    piece["row"], piece["len"] = 3, len(text)
    shard.push(streams(1, 5), (piece, text), stats={"packets": 5, "gaps": 2})
    shard.push(streams(1, 5, EVENT_CLOSE))
    eventually(lambda: shard.beat()["acked_seq"] == 1)

    reply, (rows, view, previews) = site.ask("streams", filter={"text": "NEEDLE"})
    assert reply.result == {
        "count": 1, "total": 1, "hidden": 0, "before": 0, "next_cursor": None, "extras": [],
    }  # fmt: skip
    assert np.frombuffer(rows, EVENT)["stream_id"].tolist() == [3]
    assert np.frombuffer(view, VIEW)["closed"].tolist() == [1]
    assert len(previews) == 2 * PREVIEW_BYTES
    assert previews.startswith(text)

    site.capture("end", "done", packets=5, bytes=50)
    shard.push(kind="end", stats={"packets": 5, "gaps": 2})
    eventually(lambda: site.result("health")["run_status"] == "completed")
    health = site.result("health")
    assert (health["status"], health["shards"][0]["state"]) == ("ok", "ended")
    assert (health["totals"]["streams"], health["totals"]["gaps"]) == (5, 2)
    complete = site.output.read_bytes()
    lines = written(site.output)
    assert [line["event"] for line in lines] == ["stream_open"] * 5 + ["stream_close"] * 5
    assert written(site.output, "source_status")[-1]["status"] == "done"
    assert written(site.output, "health")[-1]["run_status"] == "completed"

    log = site.result("deltas", cursor=0, limit=1000)["deltas"]
    heard = []
    while watcher.poll(500):
        heard.append(msgpack.unpackb(watcher.recv()))
    assert heard
    assert all(delta in heard for delta in log if delta["cursor"] >= heard[0]["cursor"])
    changed = [delta for delta in log if delta["kind"] == "streams"]
    assert sorted(changed[0]["ids"])[0] == "0000000000000001"
    assert any(delta["kind"] == "status" for delta in log)
    assert site.stop(coordinator) == 0
    assert site.output.read_bytes() == complete


def test_a_shard_that_falls_silent_is_lost_and_replaced(site: Site) -> None:
    site.start()
    first = FakeShard(site, "first")
    first.push(streams(1, 3), stats={"packets": 3})
    eventually(lambda: first.beat()["acked_seq"] == 0)
    assert site.result("health")["status"] == "ok"
    health = eventually(lambda: degraded(site))
    assert health["shards"][0]["state"] == "lost"
    eventually(lambda: "shard 0 (pid 1 on h) is not heard any more" in site.log)
    deltas = site.result("deltas", cursor=0, limit=1000)["deltas"]
    assert [d for d in deltas if d["kind"] == "status" and d["status"] == "degraded"]

    second = eventually(lambda: taken_over(site))
    second.push(streams(10, 1), stats={"packets": 1})
    eventually(lambda: second.beat()["acked_seq"] == 0)
    health = site.result("health")
    assert (health["status"], health["totals"]["packets"]) == ("ok", 4)
    told = health["shards"][0]
    assert (told["restarts"], told["orphaned_streams"]) == (1, 3)
    assert site.result("streams")["total"] == 4


def degraded(site: Site) -> dict[str, Any] | None:
    health = site.result("health")
    return health if health["status"] == "degraded" else None


def taken_over(site: Site) -> FakeShard | None:
    reply, _ = site.ask("register", instance="second", pid=2, host="h", index=-1)
    return None if reply.error else FakeShard(site, "second")


def test_what_is_no_message_is_counted_and_said_once(site: Site) -> None:
    site.start()
    shard = FakeShard(site)
    for _ in range(3):
        shard.events.send_multipart([msgpack.packb({"v": 99})])
        shard.events.send_multipart([b"junk", b"more", b"", b"", b"", b""])
    eventually(lambda: site.result("health")["drops"]["messages_malformed"] == 6)
    shard.push(streams(1, 1))
    eventually(lambda: shard.beat()["acked_seq"] == 0)
    assert site.log.count("schema version 99, this service speaks") == 1


def test_requests_that_are_none_are_refused(site: Site) -> None:
    site.start()
    dealer = site.connect(zmq.DEALER, site.bus.requests)
    for frames in ([b"", b"junk"], [b""], [b"no envelope"], [b"", b"", b"", b""]):
        dealer.send_multipart(frames)
        assert dealer.poll(2000)
        reply = msgpack.unpackb(dealer.recv_multipart()[-1])
        assert reply["error"]["code"] == "bad_request"
    assert site.answers()


def test_a_coordinator_that_was_killed_is_rebuilt_by_the_shards(site: Site) -> None:
    coordinator = site.start()
    shard = FakeShard(site)
    shard.push(streams(1, 3))
    eventually(lambda: len(site.output.read_bytes().splitlines()) == 3)
    coordinator.kill()
    coordinator.wait(10)
    site.start()
    assert site.result("streams")["total"] == 0
    beat = shard.beat()
    assert beat["coordinator"] != shard.coordinator
    assert beat["acked_seq"] == -1
    shard.push(streams(1, 3), snapshot=True)
    shard.push(streams(4, 1))
    eventually(lambda: shard.beat()["acked_seq"] == 2)
    health = site.result("health")
    assert health["drops"]["event_messages_lost"] == 0
    assert site.result("streams")["total"] == 4
    eventually(lambda: len(written(site.output)) == 4)
    ids = [line["stream_id_hex"] for line in written(site.output)]
    assert sorted(ids) == [f"{i:016x}" for i in (1, 2, 3, 4)]


def test_a_slow_reader_holds_the_shards_back_but_not_the_answers(site: Site) -> None:
    coordinator = site.start("--output", "-", stdout=subprocess.PIPE)
    assert coordinator.stdout is not None
    shard = FakeShard(site)
    sent = 30
    for i in range(sent):  # 22 MB of rows: more than the queue of the sink holds
        shard.push(streams(4096 * i, 4096))
    time.sleep(2.5)  # nobody reads for longer than a shard may be silent
    health = site.result("health")
    assert health["queues"]["output_bytes"] >= health["queues"]["output_bytes_max"]
    assert health["status"] == "ok"
    assert health["totals"]["events"] < sent * 4096
    with coordinator.stdout, ThreadPoolExecutor(1) as reader:
        read = reader.submit(coordinator.stdout.read)
        eventually(lambda: shard.beat()["acked_seq"] == sent - 1)
        assert site.stop(coordinator) == 0
        assert read.result(10).count(b'"event":"stream_open"') == sent * 4096


def test_a_signal_ends_it_with_every_event_written(site: Site) -> None:
    coordinator = site.start()
    shard = FakeShard(site)
    for i in range(20):
        shard.push(streams(4096 * i, 4096))
    assert site.stop(coordinator) == 0
    assert len(written(site.output)) == 20 * 4096


def test_nothing_is_written_when_capture_dumps(site: Site) -> None:
    process = site.start(FLOWMATE_MODE="dump")
    FakeShard(site).push(streams(1, 1))
    assert site.stop(process) == 0
    assert not site.output.exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ("--output", "missing/out.jsonl"),
            "--output missing/out.jsonl: no such file or directory",
        ),
        (("--output", "/dev/full"), "--output /dev/full: no space left on device"),
        (("--metrics-listen", "nowhere"), "--metrics-listen nowhere: give HOST:PORT"),
        (("--run-dir", "/no/such/folder"), "--run-dir /no/such/folder: cannot bind there"),
    ],
)
def test_what_the_user_gave_wrong_is_said_in_one_line(
    site: Site, flags: tuple[str, ...], said: str
) -> None:
    assert site.launch(*flags).wait(PATIENCE_S) == 2
    assert site.log.startswith(f"flowmate coordinator: {said}")
    assert site.log.count("\n") == 1


def test_metrics_are_served_and_a_taken_port_is_said(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert site.launch("--metrics-listen", f"127.0.0.1:{port}").wait(PATIENCE_S) == 2
    assert "already in use" in site.log
    site.start("--metrics-listen", f"127.0.0.1:{port}", "--health-interval-ms", "50")
    FakeShard(site)
    text = eventually(lambda: scraped(port, 'flowmate_coordinator_shards{state="ready"} 1.0'))
    assert 'flowmate_coordinator_requests_total{op="register"} 1.0' in text


def scraped(port: int, wanted: str) -> str | None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        text = response.read().decode()
    return text if wanted in text else None
