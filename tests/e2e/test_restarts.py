"""Services that are killed at any moment: the others go on, the service comes back, packets are
each analysed once or counted as lost."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import builders as b
from tests.e2e.run import Row, Served, events_of, served
from tests.e2e.test_faults import pid_of
from tests.e2e.traffic import START_NS, STEP_NS

pytestmark = pytest.mark.e2e

STREAMS, PER_STREAM = 300, 40
PACKETS = STREAMS * PER_STREAM
TOLD_S = 2.0  # until health says what happened
SMALL = {"FLOWMATE_BATCH_SIZE": "64", "FLOWMATE_WORKER_QUEUE_DEPTH": "128"}


def frames() -> list[bytes]:
    """TCP data in order, all connections in turn."""
    return [
        b.tcp4(
            f"10.0.{stream >> 8}.{stream & 255}", 1024 + stream, "10.9.9.9", 80,
            b"%04d %04d" % (stream, number), seq=1 + 9 * number,
        )
        for number in range(PER_STREAM)
        for stream in range(STREAMS)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def restless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of known traffic."""
    path = tmp_path_factory.mktemp("restless") / "restless.pcap"
    path.write_bytes(b.pcap_bytes([(START_NS + i * STEP_NS, f) for i, f in enumerate(frames())]))
    return path


def total(health: Row, name: str) -> int:
    return sum(int(shard["stats"].get(name, 0)) for shard in health["shards"])


def accounted(health: Row) -> int:
    """Packets that were analysed or counted as lost, each once."""
    lost = total(health, "packets_lost") - total(health, "packets_repeated")
    return total(health, "packets") + lost


def life_of(health: Row, service: str) -> Row:
    return next((each for each in health["services"] if each["service"] == service), {})


def killed(run: Served, service: str) -> float:
    """Kill it; returns when."""
    os.kill(pid_of(run, service), signal.SIGKILL)
    return time.monotonic()


def held(run: Served) -> int:
    """Stop the shard, so that capture waits for it in the middle of its input; its pid."""
    shard = pid_of(run, "shard")
    os.kill(shard, signal.SIGSTOP)
    return shard


@pytest.fixture
def reading(restless: Path, tmp_path: Path) -> Iterator[Served]:
    """A run that reads the capture with little on its way at a time."""
    arguments = ("--pcap", restless, "--output", "out.jsonl", "--workers", "2")
    with served(*arguments, folder=tmp_path, env=SMALL) as run:
        yield run


def test_capture_that_is_killed_reads_on_and_no_packet_is_there_twice(
    restless: Path, tmp_path: Path
) -> None:
    arguments = ("--pcap", "fifo", "--pcap", restless, "--output", "out.jsonl")
    os.mkfifo(tmp_path / "fifo")
    with served(*arguments, folder=tmp_path, env=SMALL) as run:
        # nothing is read while nobody writes there, and all services are up
        run.wait_for(lambda health: all(each["state"] == "ready" for each in health["shards"]))
        shard = held(run)
        (tmp_path / "fifo").write_bytes(b.pcap_bytes([]))
        run.wait_for(lambda health: health["totals"]["packets"] > 0)
        at = killed(run, "capture")
        run.wait_for(lambda health: life_of(health, "capture").get("last_end"))
        assert time.monotonic() - at < TOLD_S
        os.kill(shard, signal.SIGCONT)
        health = run.wait_ended()
        assert life_of(health, "capture")["restarts"] == 1
        assert health["totals"]["packets"] == PACKETS
        assert accounted(health) == total(health, "packets") == PACKETS
        assert total(health, "packets_repeated") == total(health, "packets_lost") == 0
        rows = run.rows()
        assert [row["packets"] for row in rows] == [PER_STREAM] * STREAMS
    kinds = Counter(event["event"] for event in events_of(tmp_path / "out.jsonl"))
    assert kinds["stream_open"] == kinds["stream_close"] == STREAMS
