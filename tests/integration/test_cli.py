"""The command as a user has it: captures in, a table, events and an exit status out."""

import gzip
import json
import os
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from shared.frames import ACK, PSH, Conversation, Recording
from tests.conftest import Flowmate, clean_environ

pytestmark = pytest.mark.integration

Event = dict[str, Any]


def events(path: Path) -> list[Event]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def last_words(rows: list[Event]) -> dict[str, Event]:
    """The close of each stream, by id; each stream has exactly one open and one close."""
    for kind in ("stream_open", "stream_close"):
        assert set(Counter(r["stream_id_hex"] for r in rows if r["event"] == kind).values()) == {1}
    return {row["stream_id_hex"]: row for row in rows if row["event"] == "stream_close"}


def test_the_sample(flowmate: Flowmate, sample_capture: Path, tmp_path: Path) -> None:
    done = flowmate("--pcap", sample_capture, "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "flowmate: completed after" in done.stderr
    assert re.search(r"packets +1,889 ·", done.stderr)
    assert re.search(r"streams +159 · tcp 96 · udp 62 · icmp 1\n", done.stderr)
    assert re.search(r"services +dns 60 · http 51", done.stderr)
    assert re.search(r"output +out.jsonl\n", done.stderr)
    closed = last_words(events(tmp_path / "out.jsonl"))
    assert len(closed) == 159
    assert Counter(row["status"] for row in closed.values())["attempt"] == 40
    [download] = [row for row in closed.values() if row["gap_bytes"]]
    assert download["gap_bytes"] == 1200
    assert download["stream_bytes"] > 58_000


def test_events_lie_beside_the_capture(
    flowmate: Flowmate, sample_capture: Path, tmp_path: Path
) -> None:
    here = tmp_path / "here.pcap"
    here.write_bytes(sample_capture.read_bytes())
    assert flowmate("--pcap", "here.pcap").returncode == 0
    assert (tmp_path / "here.pcap.jsonl").stat().st_size > 0


def test_any_number_of_shards_finds_the_same(
    flowmate: Flowmate, sample_capture: Path, tmp_path: Path
) -> None:
    found = []
    for workers in ("1", "3"):
        done = flowmate("--pcap", sample_capture, "--output", "out.jsonl", "--workers", workers)
        assert done.returncode == 0, done.stderr
        closed = last_words(events(tmp_path / "out.jsonl"))
        for row in closed.values():
            row.pop("shard", None)
        found.append(closed)
    assert found[0] == found[1]


def test_events_on_standard_output_and_nothing_else(
    flowmate: Flowmate, sample_capture: Path
) -> None:
    done = flowmate("--pcap", sample_capture, "--output", "-")
    assert done.returncode == 0, done.stderr
    kinds = Counter(json.loads(line)["event"] for line in done.stdout.splitlines())
    assert kinds["stream_close"] == 159
    assert "flowmate: completed" in done.stderr


@pytest.mark.parametrize("how", ["plain", "gzip"])
def test_standard_input(command: list[str], sample_capture: Path, tmp_path: Path, how: str) -> None:
    data = sample_capture.read_bytes()
    done = subprocess.run(
        [*command, "--pcap", "-", "--output", "out.jsonl"],
        input=gzip.compress(data) if how == "gzip" else data,
        env=clean_environ(),
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert len(last_words(events(tmp_path / "out.jsonl"))) == 159


def test_dump_mode(flowmate: Flowmate, sample_capture: Path) -> None:
    done = flowmate("--pcap", sample_capture, "--mode", "dump", "--output", "-")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 1889
    assert {line["event"] for line in lines} == {"packet"}


def test_settings_come_from_the_environment(
    flowmate: Flowmate, sample_capture: Path, tmp_path: Path
) -> None:
    done = flowmate(FLOWMATE_PCAP=str(sample_capture), FLOWMATE_OUTPUT="env.jsonl", FLOWMATE_BPF="")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "env.jsonl").exists()


def test_a_filter(flowmate: Flowmate, sample_capture: Path) -> None:
    done = flowmate("--pcap", sample_capture, "--bpf", "udp port 53", "--output", "o.jsonl")
    assert re.search(r"streams +60 · udp 60\n", done.stderr)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--bpf", "udp prot 53"], "udp prot 53"),
        (["--output", "no/such/folder/o.jsonl"], "no such file or directory"),
        (["--workers", "-1"], "--workers -1"),
    ],
)
def test_what_the_user_got_wrong_is_status_2(
    flowmate: Flowmate, sample_capture: Path, arguments: list[str], words: str
) -> None:
    done = flowmate("--pcap", sample_capture, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_that_could_be_read_is_status_1(flowmate: Flowmate, tmp_path: Path) -> None:
    (tmp_path / "junk.pcap").write_bytes(b"this is no capture at all" * 9)
    for name in ("missing.pcap", "junk.pcap"):
        done = flowmate("--pcap", name, "--output", "o.jsonl")
        assert done.returncode == 1, done.stderr
        assert name in done.stderr
        assert "Traceback" not in done.stderr


def test_one_bad_capture_does_not_spoil_the_others(
    flowmate: Flowmate, sample_capture: Path
) -> None:
    done = flowmate("--pcap", "missing.pcap", "--pcap", sample_capture, "--output", "o.jsonl")
    assert done.returncode == 0, done.stderr
    assert re.search(r"packets +1,889 ·", done.stderr)
    assert re.search(r"problems +missing.pcap", done.stderr)


def test_a_cut_capture_says_where(flowmate: Flowmate, sample_capture: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.pcap").write_bytes(sample_capture.read_bytes()[:400_000])
    done = flowmate("--pcap", "cut.pcap")
    assert done.returncode == 0, done.stderr
    assert re.search(r"problems +cut.pcap at byte [\d,]+: ", done.stderr)


def endless(writer: int) -> None:
    """The head of a capture whose last connection goes on."""
    recording = Recording()
    talk = Conversation(recording, ("10.0.0.1", 1), ("10.0.0.2", 80), 1_768_640_400_000_000)
    talk.open()
    talk.packet(0, ACK | PSH, b"GET / HTTP/1.1\r\n\r\n")
    with os.fdopen(writer, "wb", closefd=False) as pipe:
        recording.write(pipe)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_every_event(
    command: list[str], tmp_path: Path, number: signal.Signals
) -> None:
    reader, writer = os.pipe()
    output = tmp_path / "out.jsonl"
    with subprocess.Popen(
        [*command, "--pcap", "-", "--output", str(output)],
        stdin=reader,
        env=clean_environ(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(reader)
        endless(writer)
        while not (output.exists() and "stream_open" in output.read_text()):
            assert process.poll() is None
        process.send_signal(number)
        stderr = process.communicate(timeout=30)[1]
        os.close(writer)
    assert process.returncode == 0, stderr
    assert len(last_words(events(output))) == 1
    assert "flowmate: stopping" in stderr
