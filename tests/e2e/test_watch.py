"""Whole runs over folders that are watched and PCAP-over-IP servers: what is found is what is found
in the same capture in one piece, whatever happens to files, servers and the run in between."""

import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT, clean_environ
from tests.e2e.run import Row, Served, events_of, flowmate, free_port, served
from tests.e2e.test_reading import octets_of
from tests.rotating_writer import parts_of

pytestmark = pytest.mark.e2e

FIELDS = (
    "protocol", "a", "b", "client", "service", "packets", "bytes", "stream_bytes", "gap_bytes",
    "retransmissions", "first_us", "last_us", "message_count",
)  # fmt: skip


@pytest.fixture(scope="module")
def truth(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Row]]:
    """Packets, and streams with their octets, of the capture in one piece."""
    folder = tmp_path_factory.mktemp("truth")
    with served("--pcap", capture, "--output", "t.jsonl", folder=folder) as run:
        packets = run.wait_ended()["totals"]["packets"]
        return packets, streams_of(run)


def streams_of(run: Served) -> dict[str, Row]:
    """By id: the fields that a capture decides, and both directions' octets."""
    return {
        row["stream_id_hex"]: {name: row[name] for name in FIELDS if name in row}
        | octets_of(run, row["stream_id_hex"])
        for row in run.rows()
    }


def wait_packets(run: Served, packets: int) -> Row:
    health = run.wait_for(lambda health: health["totals"]["packets"] >= packets)
    assert health["totals"]["packets"] == packets
    return health


def ledger_of(health: Row) -> dict[str, Row]:
    return {file["name"]: file for file in health["ledger"]["files"]}


def test_a_rotation_that_is_being_written(
    capture: Path, truth: tuple[int, dict[str, Row]], tmp_path: Path
) -> None:
    """Streams go on over files; the run ends on Ctrl-C, with every event written."""
    packets, streams = truth
    drop = tmp_path / "drop"
    drop.mkdir()
    with served("--watch", drop, folder=tmp_path) as run:
        writer = subprocess.Popen(
            [sys.executable, "-m", "tests.rotating_writer", capture, drop, "6", "1"],
            cwd=ROOT,
            env=clean_environ(),
        )
        assert writer.wait(60) == 0
        health = wait_packets(run, packets)
        assert streams_of(run) == streams
        assert [file["packets"] > 0 for file in health["ledger"]["files"]] == [True] * 6
        assert health["sources"][0]["damaged"] == 0
        assert run.stop() == 0, run.said()
    events = events_of(tmp_path / "live.jsonl")
    closed = [row["stream_id_hex"] for row in events if row["event"] == "stream_close"]
    assert sorted(closed) == sorted(streams)
    told = [row for row in events if row.get("kind") == "watched_file"]
    assert {row["name"] for row in told} == {f"r{number:05}.pcap" for number in range(6)}


def test_a_folder_with_everything_that_can_go_wrong(
    capture: Path, truth: tuple[int, dict[str, Row]], tmp_path: Path
) -> None:
    """Renamed, brought by rsync, overwritten, damaged, no capture at all."""
    packets, streams = truth
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
        health = wait_packets(run, packets)
        assert streams_of(run) == streams
        told = ledger_of(health)
        assert set(told) == {"a.old", "b.pcap", "c.pcap", "notes.txt", "sub"}
        assert told["notes.txt"]["state"] == told["sub"]["state"] == "rejected"
        assert "the rest is not read" in told["c.pcap"]["reason"]
        assert health["ledger"]["states"]["rejected"] == 2


def test_another_run_goes_on_where_this_one_ended(
    capture: Path, truth: tuple[int, dict[str, Row]], tmp_path: Path
) -> None:
    """With a state file: each packet is read once, also of files that have grown meanwhile."""
    packets, _ = truth
    drop, data = tmp_path / "drop", capture.read_bytes()
    drop.mkdir()
    first, second = parts_of(data, 2)
    arguments = ("--watch", drop, "--state-file", tmp_path / "state.sqlite")
    (drop / "1.pcap").write_bytes(first)
    (drop / "2.pcap").write_bytes(second[: len(second) // 2])
    read = []
    for end in (len(second) // 2, len(second), len(second)):
        (drop / "2.pcap").open("ab").write(second[(drop / "2.pcap").stat().st_size : end])
        with served(*arguments, folder=tmp_path) as run:
            health = run.wait_for(
                lambda health: (
                    sum(f["size"] for f in health["ledger"]["files"]) == len(first) + end  # noqa: B023
                    and all(f["offset"] == f["size"] for f in health["ledger"]["files"])
                )
            )
            read.append(health["totals"]["packets"])
            assert run.stop() == 0, run.said()
    assert sum(read) == packets
    assert read[2] == 0


class PcapServer:
    """A PCAP-over-IP server on a fixed port: sends a capture to whoever connects, once."""

    def __init__(self, port: int, data: bytes) -> None:
        self.listening = socket.create_server(("127.0.0.1", port))
        self.connection: socket.socket | None = None
        threading.Thread(target=self._serve, args=(data,), daemon=True).start()

    def _serve(self, data: bytes) -> None:
        try:
            self.connection, _ = self.listening.accept()
            self.connection.sendall(data)
        except OSError:
            return

    def close(self) -> None:
        self.listening.close()
        if self.connection is not None:
            self.connection.close()


@contextmanager
def serving(port: int, data: bytes) -> Iterator[PcapServer]:
    server = PcapServer(port, data)
    try:
        yield server
    finally:
        server.close()


def test_two_servers_and_a_restart_of_one(
    capture: Path, truth: tuple[int, dict[str, Row]], tmp_path: Path
) -> None:
    packets, streams = truth
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
                health = wait_packets(run, packets)
                assert [source["status"] for source in health["sources"]] == ["reading"] * 2
                assert streams_of(run) == streams
        assert run.stop(signal.SIGTERM) == 0, run.said()
    told = [row for row in events_of(tmp_path / "live.jsonl") if row["event"] == "source_status"]
    statuses = [row["status"] for row in told if row["name"] == addresses[0]]
    assert statuses == ["waiting", "reading", "waiting", "reading", "done"]


def test_an_upload_is_in_the_ledger_too(capture: Path, tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    with served("--watch", drop, folder=tmp_path) as run:
        sent = run.client.post(
            "/api/captures", content=capture.read_bytes(), params={"name": "mine.pcap"}
        )
        assert sent.status_code in (200, 201, 202), sent.text
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
