"""Whole runs over folders that are watched and PCAP-over-IP servers: what is found is what is found
in the same capture in one piece, whatever happens to files, servers and the run in between."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT, clean_environ
from tests.e2e.run import Row, Served, events_of, flowmate, pid_of, served, total
from tests.e2e.steady import (
    ON_THE_WAY,
    PACKETS,
    PER_STREAM,
    SMALL,
    STREAMS,
    accounted,
    held,
    life_of,
)
from tests.e2e.test_reading import octets_of
from tests.pcap_server import serving
from tests.ports import free_port
from tests.rotating_writer import parts_of
from tests.waiting import eventually

pytestmark = pytest.mark.e2e


class Truth:
    """What is found in the capture in one piece."""

    def __init__(self, packets: int, closed: dict[str, Row], octets: dict[str, Row]) -> None:
        self.packets, self.closed, self.octets = packets, closed, octets

    def wait(self, run: Served) -> Row:
        """Until all packets were read, and the streams hold what they should; that health."""
        health = run.wait_for(lambda health: health["totals"]["packets"] >= self.packets)
        assert health["totals"]["packets"] == self.packets
        run.wait_for(lambda _: octets_in(run, self.octets) == self.octets)
        return health

    def check(self, output: Path) -> None:
        """The events of a run that has ended."""
        assert closed_in(output) == self.closed


def closed_in(output: Path) -> dict[str, Row]:
    """The last word on each stream, by id, without what depends on how it was read."""
    rows = [row for row in events_of(output) if row["event"] == "stream_close"]
    dropped = ("ts_us", "shard", "reason", "source")
    return {
        row["stream_id_hex"]: {name: row[name] for name in row if name not in dropped}
        for row in rows
    }


def octets_in(run: Served, streams: Iterable[str]) -> dict[str, Row]:
    """Both directions of each stream that is there."""
    there = {row["stream_id_hex"] for row in run.rows()}
    return {stream: octets_of(run, stream) for stream in streams if stream in there}


@pytest.fixture(scope="module")
def truth(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Truth:
    folder = tmp_path_factory.mktemp("truth")
    with served("--pcap", capture, "--output", "t.jsonl", folder=folder) as run:
        packets = run.wait_ended()["totals"]["packets"]
        whole = [row["stream_id_hex"] for row in run.rows() if not row["gap_bytes"]]
        return Truth(packets, closed_in(folder / "t.jsonl"), octets_in(run, whole))


def ledger_of(health: Row) -> dict[str, Row]:
    return {file["name"]: file for file in health["ledger"]["files"]}


def test_a_rotation_that_is_being_written(capture: Path, truth: Truth, tmp_path: Path) -> None:
    """Streams go on over files; the run ends on Ctrl-C, with every event written."""
    drop = tmp_path / "drop"
    drop.mkdir()
    with served("--watch", drop, folder=tmp_path) as run:
        writer = subprocess.Popen(
            [sys.executable, "-m", "tests.rotating_writer", capture, drop, "6", "1"],
            cwd=ROOT,
            env=clean_environ(),
        )
        assert writer.wait(60) == 0
        health = truth.wait(run)
        assert [file["packets"] > 0 for file in health["ledger"]["files"]] == [True] * 6
        assert health["sources"][0]["damaged"] == 0
        assert run.stop() == 0, run.said()
    events = events_of(tmp_path / "live.jsonl")
    truth.check(tmp_path / "live.jsonl")
    told = [row for row in events if row.get("kind") == "watched_file"]
    assert {row["name"] for row in told} == {f"r{number:05}.pcap" for number in range(6)}


def test_a_folder_with_everything_that_can_go_wrong(
    capture: Path, truth: Truth, tmp_path: Path
) -> None:
    """Renamed, brought by rsync, overwritten, damaged, no capture at all."""
    parts = parts_of(capture.read_bytes(), 4)
    drop = tmp_path / "drop"
    (drop / "sub").mkdir(parents=True)
    (drop / "notes.txt").write_text("not a capture, and a long one at that\n")
    with served("--watch", drop, folder=tmp_path) as run:
        (drop / "a.pcap").write_bytes(parts[0])
        run.wait_for(lambda health: ledger_of(health).get("a.pcap", {}).get("packets"))
        (drop / "a.pcap").rename(drop / "a.old")
        (drop / ".b.pcap.Tmp").write_bytes(parts[1])
        (drop / ".b.pcap.Tmp").rename(drop / "b.pcap")
        run.wait_for(lambda health: ledger_of(health).get("b.pcap", {}).get("packets"))
        (drop / "b.pcap").write_bytes(parts[2])  # tcpdump -W comes round
        run.wait_for(lambda health: len(health["ledger"]["files"]) == 5)
        (drop / "c.pcap").write_bytes(parts[3] + b"\xff" * 200)
        health = truth.wait(run)
        told = ledger_of(health)
        assert set(told) == {"a.old", "b.pcap", "c.pcap", "notes.txt", "sub"}
        assert told["notes.txt"]["state"] == told["sub"]["state"] == "rejected"
        assert "the rest is not read" in told["c.pcap"]["reason"]
        assert health["ledger"]["states"]["rejected"] == 2
        assert run.stop() == 0, run.said()
    truth.check(tmp_path / "live.jsonl")


def test_another_run_goes_on_where_this_one_ended(
    capture: Path, truth: Truth, tmp_path: Path
) -> None:
    """With a state file: each packet is read once, also of files that have grown meanwhile."""
    drop, data = tmp_path / "drop", capture.read_bytes()
    drop.mkdir()
    first, second = parts_of(data, 2)
    arguments = ("--watch", drop, "--state-file", tmp_path / "state.sqlite")
    (drop / "1.pcap").write_bytes(first)
    (drop / "2.pcap").write_bytes(second[: len(second) // 2])
    read = []
    for end in (len(second) // 2, len(second), len(second)):
        with (drop / "2.pcap").open("ab") as file:
            file.write(second[file.tell() : end])
        with served(*arguments, folder=tmp_path) as run:
            health = run.wait_for(
                lambda health: (
                    sum(f["size"] for f in health["ledger"]["files"]) == len(first) + end  # noqa: B023
                    and all(f["offset"] == f["size"] for f in health["ledger"]["files"])
                )
            )
            read.append(health["totals"]["packets"])
            assert run.stop() == 0, run.said()
    assert sum(read) == truth.packets
    assert read[2] == 0


def test_two_servers_and_a_restart_of_one(capture: Path, truth: Truth, tmp_path: Path) -> None:
    parts = parts_of(capture.read_bytes(), 3)
    ports = free_port(), free_port()
    addresses = [f"127.0.0.1:{port}" for port in ports]
    arguments = [word for each in addresses for word in ("--pcap-over-ip", each)]
    with served(*arguments, folder=tmp_path) as run:
        run.wait_for(
            lambda health: all("refused" in source["trouble"] for source in health["sources"])
        )
        with serving(ports[0], parts[0]):
            run.wait_for(lambda health: health["sources"][0]["packets"])
        run.wait_for(lambda health: "refused" in health["sources"][0]["trouble"])
        with serving(ports[1], parts[1]):
            run.wait_for(lambda health: health["sources"][1]["packets"])
            with serving(ports[0], parts[2]):
                health = truth.wait(run)
                assert [source["status"] for source in health["sources"]] == ["reading"] * 2
                assert run.stop(signal.SIGTERM) == 0, run.said()
    truth.check(tmp_path / "live.jsonl")
    told = [row for row in events_of(tmp_path / "live.jsonl") if row["event"] == "source_status"]
    statuses = [row["status"] for row in told if row["name"] == addresses[0]]
    assert statuses == ["waiting", "reading", "waiting", "reading", "done"]


def test_capture_and_a_server_that_are_killed(restless: Path, tmp_path: Path) -> None:
    """What capture had read and not sent is lost, and is counted: a server sends nothing twice."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    with served("--pcap-over-ip", address, folder=tmp_path, env=SMALL) as run:
        shard = held(run)
        with serving(port, restless.read_bytes()):
            run.wait_for(lambda health: health["totals"]["packets"] > ON_THE_WAY)
            os.kill(pid_of(run, "capture"), signal.SIGKILL)
            os.kill(shard, signal.SIGCONT)
        with serving(port, restless.read_bytes()):
            health = run.wait_for(
                lambda health: (
                    health["sources"][0]["packets"] == PACKETS
                    and health["totals"]["packets"]
                    == accounted(health) + health["drops"]["dropped_not_sent"]
                )
            )
        assert life_of(health, "capture")["restarts"] == 1
        assert health["drops"]["dropped_not_sent"] > 0
        assert health["totals"]["packets"] > PACKETS + ON_THE_WAY
        assert run.stop() == 0, run.said()


def test_an_upload_is_in_the_ledger_too(capture: Path, tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    with served("--watch", drop, folder=tmp_path) as run:

        def post() -> httpx.Response:
            return run.client.post(
                "/api/captures", content=capture.read_bytes(), params={"name": "mine.pcap"}
            )

        # the API may be there before capture is: it says so, and to try again
        sent = eventually(lambda: (found := post()).status_code != 503 and found)
        assert sent.status_code == 201, sent.text
        name = sent.json()["source"]
        health = run.wait_for(lambda health: ledger_of(health).get(name, {}).get("state") == "done")
        assert ledger_of(health)[name]["source"] == "uploads"
        assert ledger_of(health)[name]["packets"] == health["totals"]["packets"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--watch", "missing"), "--watch missing: no such folder; make it first"),
        (("--watch", "file"), "--watch file: is no folder; a file is read with --pcap"),
        (("--watch", "drop", "--watch", "./drop"), "--watch ./drop: is given twice"),
        (("--pcap-over-ip", "nowhere"), "--pcap-over-ip nowhere: give HOST:PORT"),
        ((), "a folder with --watch DIR"),
    ],
)
def test_what_cannot_be_is_said_at_once(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    (tmp_path / "drop").mkdir()
    (tmp_path / "file").touch()
    done = flowmate(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1


def test_dump_mode_of_a_folder(capture: Path, tmp_path: Path) -> None:
    """As many lines as packets, then it is stopped: a folder does not end."""
    drop = tmp_path / "drop"
    drop.mkdir()
    shutil.copy(capture, drop)
    whole = flowmate("--pcap", capture, "--mode", "dump", "--output", "-", folder=tmp_path)
    count = len(whole.stdout.splitlines())
    done = flowmate(
        *("--watch", drop, "--mode", "dump", "--output", "-", "--max-packets", str(count)),
        folder=tmp_path,
    )
    assert done.stdout == whole.stdout
    assert done.returncode == 0


def has_open(pid: int, name: str) -> bool:
    """Whether a process has a file of this name open."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if descriptor.readlink().name == name:
                return True
        except OSError:
            continue  # closed meanwhile
    return False


def test_capture_that_is_killed_goes_on_in_every_file(restless: Path, tmp_path: Path) -> None:
    """A shard is stopped, so that packets are on their way; what it lacks is read again, what it
    has is not sent again, and nothing is counted twice."""
    drop, parts = tmp_path / "drop", parts_of(restless.read_bytes(), 6)
    drop.mkdir()
    sent = 0
    with served("--watch", drop, "--workers", "2", folder=tmp_path, env=SMALL) as run:
        for number, part in enumerate(parts):
            name, shard, capture = f"{number:02}.pcap", held(run), pid_of(run, "capture")
            (drop / name).write_bytes(part[: len(part) // 2])
            eventually(partial(has_open, capture, name))
            if number % 2:
                os.kill(capture, signal.SIGKILL)
            with (drop / name).open("ab") as file:
                file.write(part[len(part) // 2 :])
            os.kill(shard, signal.SIGCONT)
            sent += PACKETS // len(parts)
            # all of it: by then a capture that was started again has met the shards as well
            run.wait_for(lambda health: accounted(health) >= sent)  # noqa: B023
        health = run.wait_for(lambda health: health["totals"]["packets"] >= PACKETS)
        assert life_of(health, "capture")["restarts"] == len(parts) // 2
        assert health["totals"]["packets"] == accounted(health) == PACKETS
        assert total(health, "packets_lost") == total(health, "packets_repeated") == 0
        assert health["sources"][0]["packets"] == PACKETS
        assert sum(file["packets"] for file in health["ledger"]["files"]) == PACKETS
        assert run.stop() == 0, run.said()
    closed = closed_in(tmp_path / "live.jsonl").values()
    assert [row["packets"] for row in closed] == [PER_STREAM] * STREAMS
    assert [row["retransmissions"] for row in closed] == [0] * STREAMS
