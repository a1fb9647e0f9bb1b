"""One run in which things go wrong, and what must hold at its end."""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.coordinator.annotations import KIND
from tests.chaos.disk import small_disk
from tests.chaos.trouble import Trouble
from tests.conftest import ROOT, clean_environ
from tests.e2e import steady
from tests.e2e.run import Row, Served, served, total
from tests.state_files import documents
from tests.waiting import eventually

STREAMS, PER_STREAM = 200, 50
PACKETS = STREAMS * PER_STREAM
PORT = 9000
FAVORITES = 10
END_S = 90.0
PIPE_PACKETS_A_STEP, PIPE_STEP_S = 200, 0.02
ROTATED_PER_STREAM, ROTATION_S = 300, 1.0
NEVER = ("--regex", "never[0-9]{9}")  # a pattern that costs work and finds nothing


class Pipe(threading.Thread):
    """Writes a capture into a run's standard input again and again, slowly, until told to end."""

    def __init__(self, run: Served, capture: Path) -> None:
        super().__init__(daemon=True)
        assert run.process.stdin is not None
        self.file, self.sent = run.process.stdin, 0
        octets = capture.read_bytes()
        self.head, records = octets[:24], octets[24:]
        size = len(records) // PACKETS
        step = PIPE_PACKETS_A_STEP * size
        self.steps = [records[at : at + step] for at in range(0, len(records), step)]
        self.leaving = threading.Event()
        self.fault: OSError | None = None

    def run(self) -> None:
        try:
            self.file.write(self.head)
            while not self.leaving.is_set():
                self.file.write(self.steps[self.sent // PIPE_PACKETS_A_STEP % len(self.steps)])
                self.file.flush()
                self.sent += PIPE_PACKETS_A_STEP
                time.sleep(PIPE_STEP_S)  # the pace of the traffic
            self.file.close()
        except OSError as error:
            self.fault = error

    def end(self) -> int:
        """Packets in all."""
        self.leaving.set()
        self.join(END_S)
        assert not self.is_alive(), "capture does not read any more"
        assert self.fault is None, self.fault
        return self.sent


class Round:
    """A run with its trouble. Everything it does follows from the seed, but for timing."""

    def __init__(self, folder: Path, seed: str) -> None:
        self.rng = random.Random(seed)
        self.folder, self.seed = folder, seed
        self.capture = folder / "chaos.pcap"
        self.capture.write_bytes(steady.capture(steady.frames(STREAMS, PER_STREAM, PORT)))
        self.disk = folder / "disk"
        self.disk.mkdir()
        self.done: list[str] = []

    def of_files(self, seconds: float) -> str:
        """Captures that can be read again: each packet is taken once, or counted as lost."""
        files = max(10, int(seconds * 12))
        given = [word for _ in range(files) for word in ("--pcap", self.capture)]
        with self._run(*given, env=steady.SMALL) as run:
            self._disturb(run, seconds, ("capture", "shard", "coordinator", "api"))
            return self._check(run, files * PACKETS)

    def of_a_pipe(self, seconds: float) -> str:
        """What comes but once; capture, which has the pipe, is held up but not killed."""
        with self._run("--pcap", "-", stdin=subprocess.PIPE) as run:
            pipe = Pipe(run, self.capture)
            pipe.start()
            self._disturb(run, seconds, ("shard", "coordinator", "api"))
            return self._check(run, pipe.end())

    def of_a_folder(self, seconds: float) -> str:
        """Captures that come one after the other, and grow: read on where they were, whoever is
        killed. A watched folder has no end, so the run is looked at when all is read."""
        drop, rotated = self.folder / "drop", self.folder / "rotated.pcap"
        drop.mkdir()
        frames = steady.frames(STREAMS, ROTATED_PER_STREAM, PORT)
        rotated.write_bytes(steady.capture(frames))
        packets, files = STREAMS * ROTATED_PER_STREAM, max(1, round(seconds / ROTATION_S))
        words = [str(rotated), str(drop), str(files), str(ROTATION_S)]
        with (
            self._run("--watch", drop, env=steady.SMALL) as run,
            subprocess.Popen(
                [sys.executable, "-m", "tests.rotating_writer", *words],
                cwd=ROOT,
                env=clean_environ(),
            ) as writer,
        ):
            try:
                self._disturb(run, seconds, ("capture", "shard", "coordinator", "api"))
                assert writer.wait(END_S) == 0
            finally:
                writer.kill()
            return self._check(run, packets, has_end=False)

    @contextmanager
    def _run(
        self, *arguments: str | Path, env: dict[str, str] | None = None, stdin: int | None = None
    ) -> Iterator[Served]:
        with small_disk(self.disk) as self.can_fill:
            words = ("--output", self.disk / "out.jsonl", "--state-file", self.disk / "state.db")
            source = subprocess.DEVNULL if stdin is None else stdin
            with served(
                *(*arguments, *words, *NEVER, "--workers", str(self.rng.choice([1, 2, 3]))),
                folder=self.folder, env=env, stdin=source,
            ) as run:  # fmt: skip
                yield run

    def _disturb(self, run: Served, seconds: float, killable: tuple[str, ...]) -> None:
        run.wait_for(lambda health: health["totals"]["streams"] >= FAVORITES)
        self.favorites = [row["stream_id_hex"] for row in run.rows()[:FAVORITES]]
        for each in self.favorites:
            response = run.client.patch(f"/api/streams/{each}", json={"favorite": True})
            assert response.status_code == 200, response.text
        wanted = {(KIND, each) for each in self.favorites}
        eventually(lambda: wanted <= documents(self.disk / "state.db"))
        trouble = Trouble(self.rng, run, killable, self.disk if self.can_fill else None)
        self.done, self.trouble = trouble.done, trouble
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            trouble.next()
            assert run.process.poll() is None, f"the run ended: {run.said()}"

    def _check(self, run: Served, packets: int, *, has_end: bool = True) -> str:
        """Returns how it went."""
        # that lines could not be written is said until one can be, and there may be none any more
        must_be_well = "filled the disk" not in self.done
        health = wait_settled(run, must_be_well, has_end, packets)
        told, lost, repeated = (total(health, name) for name in COUNTS)
        assert health["totals"]["packets"] == packets, "capture counted each packet once"
        assert told + lost - repeated == packets, "each packet is analysed or counted as lost"
        self._check_rows(run, has_end or not self.trouble.lost_rows)
        assert [each["value"] for each in run.get("/api/patterns")["patterns"]] == [NEVER[1]]
        self._check_lines(health)
        restarts = {each["service"]: each["restarts"] for each in health["services"]}
        fill = "" if self.can_fill else "; the disk could not be filled: no right to mount one"
        return (
            f"{packets} packets: {told} analysed, {lost} lost with a shard, {repeated} twice;"
            f" restarts {restarts}; {len(self.done)} troubles{fill}"
        )

    def _check_rows(self, run: Served, are_all_there: bool) -> None:
        """All streams and favourites; where a lost shard's rows went with a coordinator, and no
        packets of them came since, those that are there, and the favourites in the state file."""
        kept = documents(self.disk / "state.db")
        assert {stream for kind, stream in kept if kind == KIND} == {*self.favorites}
        there = {*self.favorites}
        if are_all_there:  # shards may still be telling a new coordinator what they have
            eventually(lambda: len(run.rows()) == STREAMS)
        else:
            there &= {row["stream_id_hex"] for row in run.rows()}
        assert {row["stream_id_hex"] for row in run.rows(only_favorites=True)} == there

    def _check_lines(self, health: Row) -> None:
        """Whole lines; as many as were told, but for those that are counted as lost. How many a
        shard had told since the coordinator's last note nobody knows when both die."""
        lines = (self.disk / "out.jsonl").read_bytes().splitlines()
        kinds = [json.loads(line)["event"] for line in lines]
        written = sum(kind not in ("health", "source_status") for kind in kinds)
        drops, told = health["drops"], total(health, "lines_told")
        lost = drops["output_lines"] + drops["output_lines_in_restart"]
        if self.trouble.double_fault:
            return
        assert written + lost == told, (written, drops, told)


COUNTS = ("packets", "packets_lost", "packets_repeated")


def wait_settled(run: Served, must_be_well: bool, has_end: bool, packets: int) -> Row:
    """The health of the run when it has ended, or has accounted for so many packets and written
    what it told, and everybody is there."""
    deadline = time.monotonic() + END_S
    health: Row = {}
    while time.monotonic() < deadline:
        health = run.wait_for(lambda health: True)
        there = all(shard["state"] in ("ready", "ended") for shard in health["shards"])
        well = health["status"] == "ok" or (there and not must_be_well)
        is_over = health["run_status"] == "completed"
        if not has_end:
            told, lost, repeated = (total(health, name) for name in COUNTS)
            is_over = health["totals"]["packets"] == told + lost - repeated == packets
            is_over &= not health["queues"]["output_bytes"]
        if is_over and well:
            return health
        time.sleep(0.1)
    raise AssertionError(f"no end after {END_S:.0f} s: {health}\n{run.said()}")
