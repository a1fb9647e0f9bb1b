"""What goes wrong outside, and how a run ends: messages, exit status, and what is left behind."""

import os
import resource
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import builders as b
from tests.e2e.run import (
    COMMAND,
    LOOK_SECONDS,
    RUN_SECONDS,
    STOP_SECONDS,
    Row,
    Served,
    environ,
    events_of,
    flowmate,
    pid_of,
    processes_of,
    run_folder_of,
    served,
)
from tests.e2e.traffic import START_NS, STEP_NS

pytestmark = pytest.mark.e2e

FILE_LIMIT = 20_000  # bytes
ANSWER_S = 10.0  # the API's deadline of 2 s, on any machine


# ------------------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("--pcap missing.pcap", 1, "--pcap missing.pcap: no such file; check the path"),
        ("--pcap no/folder/x.pcap", 1, "--pcap no/folder/x.pcap: no such file"),
        ("--pcap .", 1, "--pcap .: is a folder; give the files in it"),
        ("--pcap=", 2, "--pcap has no file name"),
        ("--pcap traffic.pcap --run-dir /proc/nothing", 2, "--run-dir /proc/nothing"),
        ("--pcap traffic.pcap --flow-idle-timeout-ms 99999999999999999999", 2, "less than"),
        ("--pcap traffic.pcap --worker-queue-depth 9999999999", 2, "less than"),
    ],
)
def test_a_mistake_is_one_line(capture: Path, arguments: str, status: int, words: str) -> None:
    done = flowmate(*arguments.split(), folder=capture.parent)
    assert done.returncode == status
    [line] = done.stderr.decode().splitlines()
    assert words in line


def test_a_capture_is_never_written_over(capture: Path) -> None:
    before = capture.read_bytes()
    done = flowmate("--pcap", capture, "--output", capture, folder=capture.parent)
    assert done.returncode == 2
    assert b"is the capture itself; give another name" in done.stderr
    assert capture.read_bytes() == before


def test_memory_that_is_not_there(capture: Path) -> None:
    done = flowmate(
        *("--pcap", capture, "--output", "x.jsonl"),
        *("--max-stream-content-bytes", str(1 << 50)),
        folder=capture.parent,
    )
    assert done.returncode == 2
    assert b"there is not that much memory; give smaller numbers" in done.stderr
    assert b"Traceback" not in done.stderr


def test_an_output_that_fills_up(capture: Path, tmp_path: Path) -> None:
    """Whole lines as long as there is room; what is lost is counted, and the status says so."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, FILE_LIMIT))

    done = subprocess.run(
        [COMMAND, "--pcap", str(capture), "--output", "out.jsonl", "--transport", "inline"],
        check=False,
        cwd=tmp_path,
        env=environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=RUN_SECONDS,
        preexec_fn=limit,
    )
    text = done.stderr.decode()
    assert done.returncode == 2, text
    assert "events cannot be written to out.jsonl: file too large" in text
    assert "output_lines" in text
    assert len(events_of(tmp_path / "out.jsonl")) > 5
    assert (tmp_path / "out.jsonl").stat().st_size <= FILE_LIMIT


# -------------------------------------------------------------------------- while it reads
class Trickle:
    """A run that reads a pipe, and the pipe's other end."""

    def __init__(self, run: Served) -> None:
        self.run = run
        self.sent = 0
        self._send(b.pcap_bytes([]))

    def send(self, streams: int) -> None:
        """Some packets, each the first of a stream."""
        for _ in range(streams):
            self.sent += 1
            time_ns = START_NS + self.sent * STEP_NS
            frame = b.udp4("10.1.0.1", 10_000 + self.sent, "10.1.0.2", 53, b"hello")
            self._send(b.pcap_bytes([(time_ns, frame)])[24:])

    def end(self) -> Row:
        """The pipe ends; the health of the run then."""
        assert self.run.process.stdin is not None
        self.run.process.stdin.close()
        return self.run.wait_ended()

    def _send(self, octets: bytes) -> None:
        assert self.run.process.stdin is not None
        self.run.process.stdin.write(octets)
        self.run.process.stdin.flush()


@pytest.fixture
def trickle(tmp_path: Path) -> Iterator[Trickle]:
    with served(
        *("--pcap", "-", "--output", "out.jsonl"), folder=tmp_path, stdin=subprocess.PIPE
    ) as run:
        yield Trickle(run)


def assert_nothing_is_left(services: set[int], folder: Path) -> None:
    assert not folder.exists()
    assert not any(Path(f"/proc/{pid}").exists() for pid in services)


def test_streams_are_there_while_the_capture_is_read(trickle: Trickle, tmp_path: Path) -> None:
    run, seen = trickle.run, set[str]()
    cursor = None
    for wanted in (3, 9):
        trickle.send(wanted - trickle.sent)
        run.wait_for(lambda health, wanted=wanted: health["totals"]["streams"] == wanted)
        page = run.get("/api/streams", order="oldest", limit=2, cursor=cursor)
        seen |= {row["stream_id_hex"] for row in page["streams"]}
        cursor = page["next_cursor"]
    rest = {row["stream_id_hex"] for row in run.rows(cursor=cursor)}
    assert not seen & rest
    assert len(seen | rest) == 9
    assert run.get("/api/health")["run_status"] == "running"

    shard, row = pid_of(run, "shard"), run.rows()[0]
    os.kill(shard, signal.SIGSTOP)
    try:
        began = time.monotonic()
        response = run.client.get(f"/api/streams/{row['stream_id_hex']}/content")
        assert time.monotonic() - began < ANSWER_S
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "shard_unavailable"
        run.wait_for(lambda health: health["status"] == "degraded")
    finally:
        os.kill(shard, signal.SIGCONT)
    run.wait_for(lambda health: health["status"] == "ok")

    folder, services = run_folder_of(run.process.pid), processes_of(run.process.pid)
    assert len(services) >= 4
    assert run.stop(signal.SIGTERM) == 0
    kinds = Counter(event["event"] for event in events_of(tmp_path / "out.jsonl"))
    assert kinds["stream_open"] == kinds["stream_close"] == 9
    assert "flowmate: stopping" in run.said()
    assert_nothing_is_left(services, folder)


def test_services_that_are_told_to_stop_at_once_close_every_stream(tmp_path: Path) -> None:
    """As containers are: nobody knows who is told first."""
    (tmp_path / "run").mkdir()
    env = environ({"FLOWMATE_RUN_DIR": "run", "FLOWMATE_WORKERS": "2"})
    output = tmp_path / "out.jsonl"
    lines = ("coordinator --output out.jsonl", "shard", "shard", "capture --pcap -")
    with ExitStack() as stack:
        services = [
            stack.enter_context(
                subprocess.Popen(
                    [COMMAND, *line.split()], cwd=tmp_path, env=env, stdin=subprocess.PIPE
                )
            )
            for line in lines
        ]
        for service in services:
            stack.callback(service.kill)
        pipe = services[-1].stdin
        assert pipe is not None
        frames = [b.tcp4("10.0.0.1", port, "10.0.0.2", 80, b"mid") for port in range(1, 101)]
        pipe.write(b.pcap_bytes([(START_NS + i * STEP_NS, f) for i, f in enumerate(frames)]))
        pipe.flush()
        deadline = time.monotonic() + RUN_SECONDS
        while not (output.exists() and "stream_open" in output.read_text()):
            assert time.monotonic() < deadline
            time.sleep(LOOK_SECONDS)
        for service in services:
            service.send_signal(signal.SIGTERM)
        assert [service.wait(STOP_SECONDS) for service in services] == [0, 0, 0, 0]
    kinds = Counter(event["event"] for event in events_of(output))
    assert kinds["stream_open"] == kinds["stream_close"] == 100


def test_a_signal_when_all_is_done_changes_nothing(run: Served, tmp_path: Path) -> None:
    """One that comes while the services end is not a second one."""
    capture = run.log.parent / "traffic.pcap"
    with subprocess.Popen(
        [COMMAND, "--pcap", str(capture), "--output", "out.jsonl"],
        cwd=tmp_path,
        env=environ(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "completed after" in line:
                process.send_signal(signal.SIGINT)
        process.wait(30)
    assert process.returncode in (0, -signal.SIGINT)  # or it was gone already
