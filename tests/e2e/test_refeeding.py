"""A shard is killed; the one in its place has all streams and their content, from the ring."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import builders as b
from tests.e2e import steady, traffic
from tests.e2e.run import RUN_SECONDS, Row, Served, events_of, pid_of, served
from tests.e2e.steady import PACKETS, PER_STREAM, SINGLY, STREAMS, accounted
from tests.ring_site import kept
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

RING = ("--packet-ring-bytes", str(16 << 20))


def octets_of(run: Served, row: Row) -> Any:
    """Both directions; None while the shard does not have the stream."""
    path = f"/api/streams/{row['stream_id_hex']}/export"
    response = run.client.get(path, params={"format": "json"})
    return response.json()["directions"] if response.status_code == 200 else None


def everything(run: Served) -> dict[str, tuple[Any, Any]]:
    """Rows and content by stream; not which row of a shard it is."""
    return {row["stream_id_hex"]: (row, octets_of(run, row)) for row in run.rows()}


def kill_shard(run: Served, index: int) -> Row:
    """Health when another process has its place."""
    shard = run.get("/api/health")["shards"][index]
    assert shard["pid"] > 1
    os.kill(shard["pid"], signal.SIGKILL)
    gone = (0, shard["pid"])

    def is_back(health: Row) -> bool:
        now = health["shards"][index]
        return now["state"] in ("ready", "ended") and now["pid"] not in gone

    return run.wait_for(is_back)


def test_after_the_end_nothing_is_missing(tmp_path: Path) -> None:
    capture = tmp_path / "traffic.pcap"
    capture.write_bytes(traffic.capture())
    output = tmp_path / "events.jsonl"
    where = ("--pcap", capture, "--output", output, "--workers", "2")
    with served(*where, "--packet-ring", tmp_path / "ring", *RING, folder=tmp_path) as run:
        before = run.wait_ended()["totals"]
        rows, written = everything(run), lines(output)
        for index in (0, 1):
            kill_shard(run, index)
            eventually(lambda: everything(run) == rows, RUN_SECONDS)
        after = run.get("/api/health")["totals"]
        assert after.pop("refed_packets") >= sum(row["packets"] for row, _ in rows.values())
        assert after.pop("not_refed_packets") == 0
        changed = {name for name in after if after[name] != before[name]}
        assert changed <= {"events"}  # those that were told again are counted
        assert lines(output) == written
        assert run.stop() == 0


def lines(output: Path) -> list[str]:
    """All but those that say how the run is."""
    return [line for line in output.read_text().splitlines() if '"event":"health"' not in line]


@pytest.mark.parametrize("inline", [False, True])
def test_in_the_middle_of_a_run_streams_go_on(tmp_path: Path, inline: bool) -> None:
    options = ("--transport", "inline") if inline else ()
    ports = range(1, 41)
    starts, goes_on = [], []
    for i, port in enumerate(ports):
        ends = ("10.0.0.1", port, "10.0.0.2", 80)
        starts.append((traffic.START_NS + i, b.tcp4(*ends, b"before ", seq=1)))
        goes_on.append((traffic.START_NS + 10**9 + i, b.tcp4(*ends, b"after", seq=8)))
    with served(
        *("--pcap", "-", "--workers", "2", "--output", tmp_path / "events.jsonl", *options),
        *("--packet-ring", tmp_path / "ring", *RING),
        folder=tmp_path,
        stdin=subprocess.PIPE,
    ) as run:
        pipe = run.process.stdin
        assert pipe is not None
        pipe.write(b.pcap_bytes(starts, nanos=True))
        pipe.flush()
        run.wait_for(lambda health: health["totals"]["streams"] == len(ports))
        kill_shard(run, 0)
        pipe.write(b.pcap_bytes(goes_on, nanos=True)[24:])
        pipe.close()
        health = run.wait_ended()
        rows = run.rows()
        assert len(rows) == len(ports)
        for row in rows:
            sides = octets_of(run, row)
            said = [side["segments"] for side in sides.values() if side["segments"]]
            assert [(each["start"], each["end"]) for each in said[0]] == [(0, 12)], row
            assert row["packets"] == 2
        assert health["totals"]["refed_packets"] > 5
        assert health["drops"]["dropped_refeed"] == 0
        assert run.stop() == 0
    kinds = [event["event"] for event in events_of(tmp_path / "events.jsonl")]
    assert kinds.count("stream_close") == len(ports)
    assert kinds.count("stream_open") == len(ports)


def test_killed_in_the_middle_of_a_file(tmp_path: Path) -> None:
    """Every stream is whole in the end, and every packet accounted for once."""
    packets = steady.timed(steady.frames())
    (tmp_path / "restless.pcap").write_bytes(b.pcap_bytes(packets, nanos=True))
    where = ("--pcap", "restless.pcap", "--workers", "2", "--packet-ring", "ring", *RING)
    with served(*where, "--output", "out.jsonl", folder=tmp_path, env=SINGLY) as run:
        health = run.wait_for(lambda health: health["totals"]["packets"] > 0)
        other = health["shards"][1]["pid"]
        assert other > 1
        os.kill(other, signal.SIGSTOP)  # so that capture waits in the middle of the file
        kill_shard(run, 0)
        os.kill(other, signal.SIGCONT)
        health = run.wait_ended()
        assert accounted(health) == PACKETS
        assert health["totals"]["refed_packets"] > 0
        assert health["totals"]["not_refed_packets"] == 0
        assert health["drops"]["dropped_refeed"] == 0
        rows = run.rows()
        assert len(rows) == STREAMS
        assert {row["packets"] for row in rows} == {PER_STREAM}
        for row in rows[:: STREAMS // 10]:
            said = [side["segments"] for side in octets_of(run, row).values() if side["segments"]]
            assert [(each["start"], each["end"]) for each in said[0]] == [(0, 9 * PER_STREAM)]
        assert run.stop() == 0


def test_a_capture_that_is_killed_keeps_no_packet_twice(tmp_path: Path) -> None:
    packets = steady.timed(steady.frames())
    (tmp_path / "restless.pcap").write_bytes(b.pcap_bytes(packets, nanos=True))
    where = ("--pcap", "restless.pcap", "--workers", "2", "--packet-ring", "ring", *RING)
    with served(*where, "--output", "out.jsonl", folder=tmp_path, env=SINGLY) as run:
        health = run.wait_for(lambda health: health["totals"]["packets"] > 0)
        shard = health["shards"][1]["pid"]
        assert shard > 1
        os.kill(shard, signal.SIGSTOP)  # so that capture waits in the middle of the file
        os.kill(pid_of(run, "capture"), signal.SIGKILL)
        os.kill(shard, signal.SIGCONT)
        assert accounted(run.wait_ended()) == PACKETS
        assert run.stop() == 0
    assert kept(tmp_path / "ring") == packets
