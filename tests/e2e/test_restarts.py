"""Services that are killed at any moment: the others go on, the service comes back, packets are
each analysed once or counted as lost."""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from shared.remote import Remote
from tests import builders as b
from tests.e2e.run import (
    COMMAND,
    Row,
    Served,
    environ,
    events_of,
    pid_of,
    served,
    total,
)
from tests.e2e.steady import (
    ON_THE_WAY,
    PACKETS,
    PER_STREAM,
    SINGLY,
    SMALL,
    STREAMS,
    accounted,
    held,
    life_of,
)
from tests.e2e.test_faults import Trickle
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

FULL = 1000  # packets that are more than fit before a shard


def kill(run: Served, service: str) -> None:
    os.kill(pid_of(run, service), signal.SIGKILL)


@pytest.fixture
def trickle(tmp_path: Path) -> Iterator[Trickle]:
    """A run of two shards that reads a pipe, with some streams in it."""
    arguments = ("--pcap", "-", "--output", "out.jsonl", "--workers", "2")
    with served(*arguments, folder=tmp_path, stdin=subprocess.PIPE) as run:
        writer = Trickle(run)
        writer.send(50)
        run.wait_for(lambda health: health["totals"]["streams"] == 50)
        yield writer


def test_a_shard_that_is_killed_comes_back_and_what_went_with_it_is_counted(
    trickle: Trickle, tmp_path: Path
) -> None:
    run = trickle.run
    kill(run, "shard")
    trickle.send(50)  # some of them while nobody is there
    health = run.wait_for(
        lambda health: (
            any(each["restarts"] for each in health["shards"])
            and all(each["state"] == "ready" for each in health["shards"])
        )
    )
    [name] = [each["service"] for each in health["services"] if each["restarts"]]
    assert life_of(health, name)["last_end"] == "killed by SIGKILL"
    trickle.send(50)
    health = trickle.end()
    assert health["status"] == "ok"
    assert health["totals"]["packets"] == 150
    assert accounted(health) == 150
    assert f"{name} ended early (killed by SIGKILL); starting it again" in run.said()
    orphaned = sum(each["orphaned_streams"] for each in health["shards"])
    assert orphaned > 0
    said = [line for line in events_of(tmp_path / "out.jsonl") if line["event"] == "health"]
    told = [line["reason"] for line in said if line.get("status") == "degraded"]
    assert any(name in reason for reason in told)


def test_a_coordinator_that_is_killed_goes_on_with_the_same_file(
    trickle: Trickle, tmp_path: Path
) -> None:
    run = trickle.run
    state = run.rows()[0]["stream_id_hex"]
    for number in (1, 2):
        kill(run, "coordinator")
        trickle.send(50)
        health = run.wait_for(lambda health: health["totals"]["streams"] == 50 + number * 50)  # noqa: B023
        # the launcher tells of it by itself
        run.wait_for(lambda health: life_of(health, "coordinator").get("restarts") == number)  # noqa: B023
        health = run.wait_for(lambda health: life_of(health, "coordinator")["last_end"])
        assert life_of(health, "coordinator")["last_end"] == "killed by SIGKILL"
    health = trickle.end()
    assert health["totals"]["packets"] == accounted(health) == 150
    assert {row["stream_id_hex"] for row in run.rows()} >= {state}
    assert all(row["directions"]["a_to_b"]["preview_text"] == "hello" for row in run.rows())
    kinds = Counter(event["event"] for event in events_of(tmp_path / "out.jsonl"))
    assert kinds["stream_close"] == 150, "each stream's last word, once"
    assert kinds["stream_open"] <= 150
    written = sum(kinds.values()) - kinds["health"] - kinds["source_status"]
    lost = health["drops"]["output_lines_in_restart"]
    assert written + lost == total(health, "lines_told") == 450  # a message of each stream as well


def test_a_coordinator_that_is_killed_after_the_end_knows_that_it_was_the_end(
    trickle: Trickle,
) -> None:
    before = trickle.end()
    kill(trickle.run, "coordinator")
    health = trickle.run.wait_for(
        lambda health: (
            health["run_status"] == "completed" and life_of(health, "coordinator")["restarts"] == 1
        )
    )
    for name in ("packets", "streams", "events"):
        assert health["totals"][name] == before["totals"][name]


def test_an_api_that_is_killed_comes_back_at_the_same_address(trickle: Trickle) -> None:
    run = trickle.run
    kill(run, "api")
    health = run.wait_for(lambda health: life_of(health, "api").get("restarts"))
    assert life_of(health, "api")["state"] == "up"
    trickle.send(1)
    assert trickle.end()["totals"]["streams"] == 51


def test_a_pipe_cannot_be_read_on_and_that_is_said(trickle: Trickle) -> None:
    run = trickle.run
    kill(run, "capture")
    health = run.wait_ended()
    [source] = health["sources"]
    assert source["status"] == "failed"
    assert source["packets"] == health["totals"]["packets"] == accounted(health) == 50
    assert "capture was killed while it read this" in source["problems"][-1]["reason"]
    assert len(run.rows()) == 50


def test_what_capture_took_along_that_no_shard_was_sent_is_counted(tmp_path: Path) -> None:
    """The shard takes nothing, so capture stands in the middle of a batch that it has counted."""
    arguments = ("--pcap", "-", "--output", "out.jsonl")
    with served(*arguments, folder=tmp_path, env=SMALL, stdin=subprocess.PIPE) as run:
        trickle = Trickle(run)
        trickle.send(1)
        run.wait_for(lambda health: accounted(health) == 1)
        shard = held(run)
        trickle.send(FULL)
        run.wait_for(lambda health: health["totals"]["packets"] > 1 + ON_THE_WAY)
        kill(run, "capture")
        os.kill(shard, signal.SIGCONT)
        health = run.wait_ended()
        lost = health["drops"]["dropped_not_sent"]
        assert lost > 0
        assert health["totals"]["packets"] == accounted(health) + lost <= trickle.sent


def test_capture_that_is_killed_reads_on_and_no_packet_is_there_twice(
    restless: Path, tmp_path: Path
) -> None:
    arguments = ("--pcap", "fifo", "--pcap", restless, "--output", "out.jsonl")
    os.mkfifo(tmp_path / "fifo")
    with served(*arguments, folder=tmp_path, env=SINGLY) as run:
        (tmp_path / "fifo").write_bytes(b.pcap_bytes([]))
        # until its end is known: the next capture would wait for more of it
        run.wait_for(lambda health: health["sources"][0]["status"] == "done")
        shard = held(run)
        run.wait_for(lambda health: 0 < health["totals"]["packets"] < PACKETS)
        kill(run, "capture")
        run.wait_for(lambda health: life_of(health, "capture").get("last_end"))
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


def test_any_number_of_replicas_and_each_may_be_killed(restless: Path, tmp_path: Path) -> None:
    """As containers are: nobody says how many, and an engine starts what died."""
    (tmp_path / "run").mkdir()
    env = environ({"FLOWMATE_RUN_DIR": "run"})
    remote = Remote(str(tmp_path / "run"))

    def health() -> Row:
        return remote.ask("health") or {}

    with ExitStack() as stack:
        stack.callback(remote.close)

        def start(line: str) -> "subprocess.Popen[bytes]":
            process = stack.enter_context(
                subprocess.Popen(
                    [COMMAND, *line.split()], cwd=tmp_path, env=env, stdin=subprocess.DEVNULL
                )
            )
            stack.callback(process.kill)
            return process

        coordinator = start("coordinator --output out.jsonl")
        shards = [start("shard") for _ in range(3)]
        eventually(lambda: len(health().get("shards", [])) == 3, 60)
        coordinator.kill()
        shards[1].kill()
        start("coordinator --output out.jsonl")
        start("shard")
        eventually(lambda: [s["state"] for s in health().get("shards", [])] == ["ready"] * 3, 60)
        start(f"capture --pcap {restless}")
        eventually(lambda: health().get("run_status") == "completed", 60)
        last = health()
        assert last["totals"]["packets"] == accounted(last) == PACKETS
        assert total(last, "packets") == PACKETS
        taken = [shard["stats"]["packets"] for shard in last["shards"]]
        assert all(taken), taken
        budgets = {shard["stats"]["content_budget_bytes"] for shard in last["shards"]}
        assert len(budgets) == 1, "each has its share of one budget"
