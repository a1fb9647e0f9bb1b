"""Capture on a real interface: the same as from a file, and every packet accounted for."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import builders as b
from tests.e2e.run import COMMAND, RUN_SECONDS, environ, events_of, flowmate, processes_of
from tests.live_site import INNER, OUTER, Site, needs_namespaces, site
from tests.waiting import eventually

pytestmark = [pytest.mark.e2e, needs_namespaces]

BACKENDS = ["ring", "pcap"]
VLAN = 0x8100


@pytest.fixture(scope="module")
def here() -> Iterator[Site]:
    with site() as made:
        yield made


def frames() -> list[bytes]:
    """Conversations over UDP and TCP, some of them in a VLAN or in one within another."""
    found = []
    for number in range(40):
        tag = number // 2 % 4
        ends = ("10.1.0.1", 2000 + number), ("10.1.0.2", 80 + number % 3)
        for turn in range(5):
            (src, sport), (dst, dport) = ends if turn % 2 == 0 else ends[::-1]
            payload = b"%d of stream %d " % (turn, number) * 20
            if number % 2:
                frame = b.udp4(src, sport, dst, dport, payload)
            else:
                frame = b.tcp4(src, sport, dst, dport, payload, seq=1 + len(payload) * (turn // 2))
            found.append(tagged(frame, tag))
    return found


def tagged(frame: bytes, tags: int) -> bytes:
    """An Ethernet frame with none, one or two tags; three: one of IEEE 802.1ad."""
    tag = {0: "", 1: "81000007", 2: "88a80005 81000007", 3: "88a80009"}[tags]
    return frame[:12] + bytes.fromhex(tag) + frame[12:]


class Live:
    """A run that captures; its events so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: Path, log: Path) -> None:
        self.process, self.output, self.log = process, output, log

    def statuses(self) -> list[str]:
        return [row["status"] for row in self.events("source_status")]

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [row for row in self.all_events() if row["event"] == kind]

    def all_events(self) -> list[dict[str, Any]]:
        whole = self.output.read_text().rpartition("\n")[0] if self.output.exists() else ""
        part = self.output.with_suffix(".part")
        part.write_text(f"{whole}\n" if whole else "")
        return events_of(part)

    def wait_status(self, *wanted: str) -> None:
        """Until the source went through these, the last of them just now."""
        eventually(
            lambda: self.statuses()[-len(wanted) :] == [*wanted] or self.process.poll() is not None,
            told=lambda: f"{self.statuses()} {self.log.read_text()}",
        )
        assert self.process.poll() is None, self.log.read_text()

    def capture(self) -> int:
        """The process that captures."""
        for pid in processes_of(self.process.pid):
            if b"services.capture" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise AssertionError("there is none")

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(RUN_SECONDS)


@contextmanager
def live(where: Site, folder: Path, *arguments: str) -> Iterator[Live]:
    """A run inside; ended whatever happens."""
    output, log = folder / "live.jsonl", folder / "stderr.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            where.inside(COMMAND, "--iface", INNER, *arguments),
            cwd=folder,
            env=environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    try:
        yield Live(process, output, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(RUN_SECONDS)


def streams(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What was analysed, without the times."""
    without = ("ts_us", "first_seen_us", "last_seen_us")
    return {
        row["stream_id_hex"]: {key: value for key, value in row.items() if key not in without}
        for row in rows
        if row["event"] == "stream_close"
    }


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_interface_is_read_as_a_file_is(here: Site, tmp_path: Path, backend: str) -> None:
    """It goes down in between and comes back; the same streams as of a file of the same frames."""
    sent = frames()
    half = len(sent) // 2
    with live(here, tmp_path, "--capture-backend", backend) as run:
        run.wait_status("reading")
        here.send(sent[:half])
        here.ip("link", "set", INNER, "down")
        run.wait_status("reading", "waiting")
        assert "down" in run.events("source_status")[-1]["trouble"]
        here.ip("link", "set", INNER, "up")
        run.wait_status("reading", "waiting", "reading")
        here.send(sent[half:])
        assert run.stop() == 0, run.log.read_text()
        found = run.all_events()
    path = tmp_path / "same.pcap"
    path.write_bytes(b.pcap_bytes([(i * 10**6, frame) for i, frame in enumerate(sent)]))
    assert flowmate("--pcap", path, "--output", "same.jsonl", folder=tmp_path).returncode == 0
    assert len(streams(found)) == 40
    assert streams(found) == streams(events_of(tmp_path / "same.jsonl"))
    ended = [row for row in found if row["event"] == "source_status"][-1]
    assert (ended["status"], ended["packets"]) == ("done", len(sent))
    assert (ended["dropped_kernel"], ended["dropped_ours"]) == (0, 0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_packet_is_read_or_counted(here: Site, tmp_path: Path, backend: str) -> None:
    """More than the system holds while nobody reads."""
    frame = b.udp4("10.1.0.1", 1, "10.1.0.2", 2, bytes(1000))
    with live(
        here, tmp_path, "--capture-backend", backend, "--capture-buffer-size", "1048576"
    ) as run:
        run.wait_status("reading")
        capture = run.capture()
        os.kill(capture, signal.SIGSTOP)
        here.send([frame] * 5000)
        os.kill(capture, signal.SIGCONT)
        here.send([frame] * 100)
        assert run.stop() == 0, run.log.read_text()
        source = run.events("source_status")[-1]
        health = run.events("health")[-1]
    assert source["dropped_kernel"] > 1000
    assert source["packets"] + source["dropped_kernel"] + source["dropped_ours"] == 5100
    assert source["last_drop_us"] > 0
    assert health["drops"]["dropped_kernel"] == source["dropped_kernel"]
    assert health["totals"]["packets"] == source["packets"]


def test_streams_fall_idle_while_nothing_comes(here: Site, tmp_path: Path) -> None:
    """No packet moves the time, so the clock does; and what came is told at once."""
    with live(here, tmp_path, "--flow-idle-timeout-ms", "1500") as run:
        run.wait_status("reading")
        here.send([b.udp4("10.1.0.1", 1, "10.1.0.2", 2, b"only one")])
        eventually(lambda: len(run.events("stream_open")) == 1)
        eventually(lambda: len(run.events("stream_close")) == 1)
        [closed] = run.events("stream_close")
    assert (closed["reason"], closed["packets"]) == ("idle", 1)


# -------------------------------------------------------------------- capture alone: dump
@contextmanager
def dumping(where: Site, folder: Path, *arguments: str) -> "Iterator[subprocess.Popen[bytes]]":
    """A dump of the interface, from the moment when it captures."""
    has_filter = "--capture-filter" in arguments

    def looks() -> int:
        return min(where.sockets(), where.filtered()) if has_filter else where.sockets()

    before = looks()
    process = subprocess.Popen(
        where.inside(
            COMMAND, "capture", "--mode", "dump", "--output", "dump.jsonl", "--iface", INNER,
            *arguments,
        ),
        cwd=folder, env=environ(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        eventually(lambda: looks() > before or process.poll() is not None)
        yield process
    finally:
        process.kill()
        process.communicate()


def dumped(process: "subprocess.Popen[bytes]", folder: Path) -> list[dict[str, Any]]:
    """The lines, when the process has ended."""
    assert process.wait(RUN_SECONDS) == 0
    return events_of(folder / "dump.jsonl")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("expression", ["udp", "not udp", "vlan 7", "not vlan", "greater 300"])
def test_a_filter_means_what_it_means_for_files(
    here: Site, tmp_path: Path, backend: str, expression: str
) -> None:
    sent = frames()
    path = tmp_path / "same.pcap"
    path.write_bytes(b.pcap_bytes([(i, frame) for i, frame in enumerate(sent)]))
    told = ("--mode", "dump", "--capture-filter", expression)
    assert flowmate("--pcap", path, *told, "--output", "same", folder=tmp_path).returncode == 0
    wanted = [(row["base64"], row["wirelen"]) for row in events_of(tmp_path / "same")]
    assert 0 < len(wanted) <= len(sent)
    with dumping(
        here, tmp_path, "--capture-backend", backend, "--capture-filter", expression,
        "--max-packets", str(len(wanted)),
    ) as process:  # fmt: skip
        here.send(sent)
        found = dumped(process, tmp_path)
    assert [(row["base64"], row["wirelen"]) for row in found] == wanted


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_snapshot_length_cuts(here: Site, tmp_path: Path, backend: str) -> None:
    sent = frames()
    with dumping(
        here, tmp_path, "--capture-backend", backend, "--capture-snaplen", "100",
        "--max-packets", str(len(sent)),
    ) as process:  # fmt: skip
        here.send(sent)
        found = dumped(process, tmp_path)
    assert [row["wirelen"] for row in found] == [len(frame) for frame in sent]
    assert {row["caplen"] for row in found} == {100}


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_interface_that_is_made_anew_is_found_again(
    here: Site, tmp_path: Path, backend: str
) -> None:
    frame = b.udp4("10.1.0.1", 1, "10.1.0.2", 2, b"x")
    with dumping(here, tmp_path, "--capture-backend", backend, "--max-packets", "2") as process:
        here.send([frame])
        here.ip("link", "del", OUTER)
        eventually(lambda: here.sockets() == 0)
        here.plug()
        eventually(lambda: here.sockets() > 0)
        here.send([frame])
        assert len(dumped(process, tmp_path)) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_signal_ends_it_without_traffic(
    here: Site, tmp_path: Path, backend: str, number: signal.Signals
) -> None:
    """The longest wait of libpcap is a minute here; nothing waits for it."""
    with dumping(
        here, tmp_path, "--capture-backend", backend, "--capture-read-timeout-ms", "60000"
    ) as process:
        process.send_signal(number)
        assert process.wait(30) == 0


# --------------------------------------------------------------------------------- mistakes
def test_an_interface_that_is_not_there(here: Site, tmp_path: Path) -> None:
    done = subprocess.run(
        here.inside(COMMAND, "capture", "--mode", "dump", "--iface", "nowhere0"),
        cwd=tmp_path, env=environ(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "flowmate capture: --iface nowhere0: no such interface; there are"
        f" {INNER}, {OUTER}, lo and any"
    ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_filter_that_is_none(here: Site, tmp_path: Path, backend: str) -> None:
    done = subprocess.run(
        here.inside(
            COMMAND, "capture", "--mode", "dump", "--iface", INNER, "--capture-backend", backend,
            "--capture-filter", "tcp porrt 80",
        ),
        cwd=tmp_path, env=environ(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.endswith('at "porrt" (column 5)')


@pytest.mark.parametrize("backend", ["auto", *BACKENDS])
def test_without_permission(tmp_path: Path, backend: str) -> None:
    """Root of a user namespace of its own has no rights over interfaces outside of it."""
    if subprocess.run(["unshare", "-r", "true"], check=False, capture_output=True).returncode:
        pytest.skip("SKIP: not tested here: no user namespaces (unshare -r)")
    done = subprocess.run(
        ["unshare", "-r", COMMAND, "capture", "--mode", "dump", "--iface", "lo",
         "--capture-backend", backend],
        cwd=tmp_path, env=environ(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("flowmate capture: --iface lo: capturing is not permitted; run it as")


def test_the_list_of_interfaces(here: Site, tmp_path: Path) -> None:
    here.ip("addr", "add", "10.9.8.7/24", "dev", OUTER)
    done = subprocess.run(
        here.inside(COMMAND, "--list-interfaces"),
        cwd=tmp_path, env=environ(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["NAME", "FLAGS", "ADDRESSES", "DESCRIPTION"]
    assert [line.split()[0] for line in lines] == ["any", INNER, OUTER, "lo"]
    [outer] = [line for line in lines if line.startswith(OUTER)]
    assert "up running" in outer
    assert "10.9.8.7/24" in outer
    assert outer.endswith("Ethernet")
