"""A run over TCP with CURVE keys gives what a local one gives; who has no key gets nothing; a shard
that comes in another's place is found at its new address."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from shared import curve
from shared.settings import EVERY, Settings
from shared.tcp_bus import TcpBus
from shared.wire import open_socket
from tests import builders as b
from tests.cluster import Cluster
from tests.e2e.run import COMMAND, Row, Served, events_of, total
from tests.e2e.steady import PACKETS, PER_STREAM, STREAMS, accounted
from tests.e2e.test_faults import Trickle
from tests.e2e.test_streams import last_words
from tests.ports import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

SILENCE_MS = 1500


class Site:
    """A cluster of two shards that reads a pipe, unless told another `pcap`, and its API."""

    def __init__(self, folder: Path, pcap: str | Path = "-", **settings: Any) -> None:
        self.cluster, self.pcap = Cluster(folder), pcap
        self.settings = {"workers": 2, "max_flows": 5000} | settings
        port = free_port()
        start = self.cluster.start
        start("coordinator", output=folder / "events.jsonl", **self.settings)
        for name in ("shard-a", "shard-b"):
            start("shard", name, **self.settings)
        start("api", api_listen=f"127.0.0.1:{port}", **self.settings)
        self.run = Served(self.capture(), port, self.cluster.log("capture"))
        self.run.wait_up()

    def capture(self) -> "subprocess.Popen[bytes]":
        """It stays for uploads when its input has ended."""
        more = {"pcap": self.pcap, "upload_dir": self.cluster.folder / "up"}
        return self.cluster.start("capture", stdin=subprocess.PIPE, **self.settings | more)

    def close(self) -> None:
        self.run.client.close()
        self.cluster.close()

    def feed(self, octets: bytes) -> None:
        assert self.run.process.stdin is not None
        self.run.process.stdin.write(octets)
        self.run.process.stdin.close()

    def replace(self, name: str) -> None:
        """Kill a shard, and start one elsewhere."""
        self.cluster.kill(name)
        self.cluster.start("shard", f"{name}-again", **self.settings)
        self.run.wait_for(
            lambda health: (
                any(shard["restarts"] for shard in health["shards"])
                and all(shard["state"] == "ready" for shard in health["shards"])
            )
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, capture: Path) -> Iterator[Site]:
    """It has read the conversations of `traffic`."""
    one = Site(tmp_path_factory.mktemp("cluster"))
    try:
        one.feed(capture.read_bytes())
        one.run.wait_ended()
        yield one
    finally:
        one.close()


def content(run: Served, row: Row) -> Row:
    return dict(
        run.get(f"/api/streams/{row['stream_id_hex']}/content", direction="a_to_b", len=100)
    )


def test_the_streams_are_those_of_a_local_run(
    site: Site, run: Served, rows: list[Row], events: list[Row]
) -> None:
    assert last_words(events_of(site.cluster.folder / "events.jsonl")) == last_words(events)
    found = {row["stream_id_hex"]: row for row in site.run.rows()}
    assert len(found) == len(rows)
    assert {row["shard"] for row in found.values()} == {0, 1}
    for row in rows:
        other = found[row["stream_id_hex"]]
        where = {"shard": None, "number": None}  # of whichever came first
        assert other | where == row | where
        assert content(site.run, other) == content(run, row)
    health = site.run.get("/api/health")
    assert health["status"] == "ok"
    assert accounted(health) == total(health, "packets") > 0


@pytest.mark.parametrize("service", EVERY)
def test_the_check_of_a_container_says_that_it_works(site: Site, service: str) -> None:
    listen = f"127.0.0.1:{site.run.port}"
    done = subprocess.run(
        [COMMAND, "healthcheck", service],
        env=site.cluster.environ("check", api_listen=listen),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_the_queue_of_packets_is_bounded_and_told(site: Site) -> None:
    assert site.run.get("/api/health")["queues"]["shard_rows"] == 0
    peak = eventually(lambda: metric(site, "flowmate_capture_queue_rows_peak"))
    assert 0 < peak <= metric(site, "flowmate_capture_queue_rows_max")


def test_who_has_keys_of_another_cluster_gets_nothing(site: Site, tmp_path: Path) -> None:
    curve.make(tmp_path / "keys")
    for service in EVERY:  # what is public may be known
        public = (site.cluster.keys / f"{service}.public").read_bytes()
        (tmp_path / "keys" / f"{service}.public").write_bytes(public)
    strange, known = zmq.curve_keypair()
    (tmp_path / "keys" / "api.secret").write_bytes(known)
    (tmp_path / "keys" / "api.public").write_bytes(strange)
    there = Settings(
        coordinator=f"127.0.0.1:{site.cluster.port}", curve_keys=str(tmp_path / "keys")
    )
    assert_gets_nothing(site, TcpBus(there, "api"))
    refused = site.cluster.said("coordinator")
    assert "refused a peer at 127.0.0.1: its key is none of --curve-keys" in refused
    eventually(lambda: metric(site, "flowmate_coordinator_refused_peers_total") >= 2)


def test_a_key_is_good_for_what_its_service_does_and_no_more(site: Site) -> None:
    there = Settings(
        coordinator=f"127.0.0.1:{site.cluster.port}", curve_keys=str(site.cluster.keys)
    )
    bus = TcpBus(there, "api")
    with zmq.Context() as context:
        reply, _ = bus.ask(context, bus.requests, "topology")
        bus.learn(reply.result["shards"])
        events = open_socket(context, zmq.PUSH, 1)
        bus.connect(events, bus.events)
        packets = open_socket(context, zmq.PUSH, 1)
        bus.connect(packets, bus.packets(0))
        for socket in (events, packets):  # goes nowhere, or would be told to be malformed
            socket.send(b"no message")
        refused = "refused a peer at 127.0.0.1: api has nothing to do with"
        for each, names in (("events", ["coordinator"]), ("packets", ["shard-a", "shard-b"])):
            wanted = f"{refused} {each}"
            eventually(lambda: any(wanted in site.cluster.said(name) for name in names))  # noqa: B023
        for socket in (events, packets):
            socket.close(linger=0)
    for name in ("coordinator", "shard-a", "shard-b"):
        assert "not a msgpack message" not in site.cluster.said(name)


def assert_gets_nothing(site: Site, bus: TcpBus) -> None:
    """Neither answers nor what is published."""
    with zmq.Context() as context:
        deltas = open_socket(context, zmq.SUB, 10)
        deltas.subscribe(b"")
        bus.connect(deltas, bus.deltas)
        with pytest.raises(TimeoutError):
            bus.ask(context, bus.requests, "health", timeout_ms=SILENCE_MS)
        row = site.run.rows()[0]
        path = f"/api/streams/{row['stream_id_hex']}"
        site.run.client.patch(path, json={"comment": "seen?"}).raise_for_status()
        assert not deltas.poll(SILENCE_MS)
        context.destroy(linger=0)


def metric(site: Site, name: str) -> float:
    """The newest value."""
    text = site.run.client.get("/metrics").text
    return sum(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


def test_a_shard_in_anothers_place_is_found_at_its_address(tmp_path: Path) -> None:
    site = Site(tmp_path, metrics_listen="")
    try:
        trickle = Trickle(site.run)
        trickle.send(50)
        site.run.wait_for(lambda health: total(health, "packets") == 50)
        before = {row["stream_id_hex"] for row in site.run.rows()}
        site.replace("shard-a")
        trickle.send(50)
        health = site.run.wait_for(lambda health: accounted(health) == 100)
        assert total(health, "packets_lost") == 0
        for row in site.run.rows():
            if row["stream_id_hex"] not in before:
                assert content(site.run, row)["end_of_stream"] == 5
        health = trickle.end()
        assert health["totals"]["packets"] == accounted(health) == 100
        assert health["status"] == "ok"
    finally:
        site.close()


def test_packets_on_their_way_to_a_shard_that_is_lost_are_counted(tmp_path: Path) -> None:
    site = Site(tmp_path, batch_size=16, worker_queue_depth=32)
    try:
        trickle = Trickle(site.run)
        trickle.send(50)
        site.run.wait_for(lambda health: total(health, "packets") == 50)
        site.cluster.kill("shard-b")
        trickle.send(500)
        site.run.wait_for(lambda health: health["queues"]["shard_rows"] > 0)
        site.replace("shard-b")
        trickle.send(50)
        health = trickle.end()
        assert health["totals"]["packets"] == accounted(health) == 600
        assert 0 < total(health, "packets_lost") <= 250, "what the lane held, and no more"
    finally:
        site.close()


def test_a_shard_that_is_lost_is_fed_again_from_the_packet_ring(tmp_path: Path) -> None:
    site = Site(tmp_path, packet_ring=tmp_path / "ring", packet_ring_bytes=1 << 24)
    try:
        trickle = Trickle(site.run)
        trickle.send(50)
        site.run.wait_for(lambda health: total(health, "packets") == 50)
        site.replace("shard-a")
        trickle.send(50)
        health = trickle.end()
        assert health["totals"]["packets"] == accounted(health) == 100
        assert health["totals"]["refed_packets"] > 0
        assert health["totals"]["not_refed_packets"] == 0
        rows = site.run.rows()
        assert len(rows) == 100
        assert all(content(site.run, row)["end_of_stream"] == 5 for row in rows)
    finally:
        site.close()


def test_a_capture_that_is_killed_reads_on(restless: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    site = Site(
        tmp_path, f"{tmp_path / 'fifo'},{restless}", batch_size=1, worker_queue_depth=2
    )  # the file is read once the pipe has begun
    try:
        (tmp_path / "fifo").write_bytes(b.pcap_bytes([]))
        # until its end is known: the next capture would wait for more of it
        site.run.wait_for(lambda health: health["sources"][0]["status"] == "done")
        held = site.cluster.processes["shard-a"]
        held.send_signal(signal.SIGSTOP)  # so that capture waits in the middle of the file
        site.run.wait_for(lambda health: 0 < health["totals"]["packets"] < PACKETS)
        site.cluster.kill("capture")
        site.run.process = site.capture()
        held.send_signal(signal.SIGCONT)
        health = site.run.wait_ended()
        assert health["totals"]["packets"] == PACKETS
        assert accounted(health) == total(health, "packets") == PACKETS
        assert total(health, "packets_repeated") == total(health, "packets_lost") == 0
        assert [row["packets"] for row in site.run.rows()] == [PER_STREAM] * STREAMS
    finally:
        site.close()
