"""Who is read when, that nothing of anybody is left out, and that a wait ends when it should."""

import math
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from services.capture import reading
from services.capture.capture_file import open_captures
from services.capture.clock import LAG_NS, QUIET_S, Clock
from services.capture.reading import Reading, Turn
from services.capture.source import EMPTY_BATCH, Batch, PacketSource, SourceState
from shared.columns import RECORD
from tests import builders as b

FRAME = b.udp4("10.0.0.1", 1, "10.0.0.2", 2, b"x")


class Source:
    """Gives batches of so many records each; 0 = nothing arrived. It is always ready."""

    def __init__(self, name: str, batches: Sequence[int], open_ended: bool = True) -> None:
        self.state = SourceState(name, "stdin", is_open_ended=open_ended)
        self._batches = iter(batches)
        self.closed = False

    def read(self) -> Batch | None:
        count = next(self._batches, None)
        if count is None:
            return None
        return EMPTY_BATCH._replace(records=np.zeros(count, RECORD))

    def descriptors(self) -> list[int]:
        return []

    def due(self) -> float:
        return 0.0

    def held(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


class Ticking:
    """Each look at this clock is `step` seconds after the one before."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 1000.0, step

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def stop() -> Iterator[tuple[int, int]]:
    """Both ends of what ends a wait: to read, to write."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def shown(turns: Iterator[Turn]) -> list[str]:
    """Who was read, turn by turn: `own 3` = three records of own, `own -` = its end."""
    return [
        f"{source.state.name} {'-' if batch is None else batch.records.size}"
        for source, batch in turns
        if source is not None
    ]


def order(
    own: Sequence[Source], uploads: Sequence[Source], step: float, stop: tuple[int, int]
) -> list[str]:
    waiting = iter(uploads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "time", Ticking(step))
        patch.setattr(reading, "GATHER_MS", 0)
        turns = Reading(own, lambda: next(waiting, None), stop[0], lambda: math.inf)
        return shown(iter(turns))


def test_a_source_alone(stop: tuple[int, int]) -> None:
    found = order([Source("own", [2, 0, 3])], [], 1.0, stop)
    assert found == ["own 2", "own 0", "own 3", "own -"]


def test_files_are_read_one_after_the_other_and_then_uploads(stop: tuple[int, int]) -> None:
    files = [Source("a", [1, 0, 1], False), Source("b", [2], False)]
    found = order(files, [Source("up", [1], False)], 1.0, stop)
    assert found == ["a 1", "a 0", "a 1", "a -", "b 2", "b -", "up 1", "up -"]


def test_sources_that_may_never_end_take_turns(stop: tuple[int, int]) -> None:
    found = order([Source("a", [1, 2, 3]), Source("b", [4]), Source("c", [5, 6])], [], 0.001, stop)
    assert found == [
        "a 1", "b 4", "c 5", "a 2", "b -", "c 6", "a 3", "c -", "a -",
    ]  # fmt: skip


def test_a_file_is_read_beside_an_interface(stop: tuple[int, int]) -> None:
    """Four times as long for what may never end as for a file; each look takes 5 ms."""
    live, file = Source("live", [1] * 60), Source("file", [1] * 1000, False)
    found = order([live, file], [], 0.005, stop)
    during = found[: found.index("live -")]
    assert 3 < during.count("file 1") < during.count("live 1")
    assert found[-1] == "file -"
    assert found.count("file 1") == 1000


def test_an_upload_is_read_while_nothing_arrives(stop: tuple[int, int]) -> None:
    own = Source("own", [1, *[0] * 40, 1])
    uploads = [Source("a", [2, 2], False), Source("b", [3], False)]
    found = order([own], uploads, 0.06, stop)
    rest = [each for each in found if not each.startswith("own")]
    assert rest == ["a 2", "a 2", "a -", "b 3", "b -"]
    assert found.index("b -") < found.index("own 1", 1)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_left_out(seed: int, stop: tuple[int, int]) -> None:
    chance = np.random.default_rng(seed)
    batches = {name: chance.integers(0, 3, 30).tolist() for name in "abcdef"}
    own = [Source(name, batches[name], name < "c") for name in "abcd"]
    uploads = [Source(name, batches[name], False) for name in "ef"]
    found = order(own, uploads, 0.01, stop)
    for name, counts in batches.items():
        mine = [word[2:] for word in found if word.startswith(name)]
        assert mine == [*map(str, counts), "-"]


def test_a_status_that_lasts_a_moment_is_news(stop: tuple[int, int]) -> None:
    sources = [Source("a", []), Source("b", [])]
    read = Reading(sources, lambda: None, stop[0], lambda: math.inf)
    assert [read.has_news(), read.has_news()] == [True, False]
    sources[1].state.status = "reading"
    assert [read.has_news(), read.has_news()] == [True, False]


# -------------------------------------------------------------------------------- for real
def capture_of(frames: int) -> bytes:
    return b.pcap_bytes([(i, FRAME) for i in range(frames)])


@pytest.mark.parametrize("order_written", [(0, 1), (1, 0)])
def test_two_pipes_are_read_at_once(
    tmp_path: Path, stop: tuple[int, int], order_written: tuple[int, int]
) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        os.mkfifo(path)
    sources: list[PacketSource] = [*open_captures([*map(str, paths)])]
    assert all(source.state.is_open_ended for source in sources)
    read = Reading(sources, lambda: None, stop[0], lambda: math.inf)

    def write() -> None:
        pipes = [path.open("wb", buffering=0) for path in paths]
        for which in order_written:
            pipes[which].write(capture_of(3))
        for which in order_written:
            pipes[which].close()

    writer = threading.Thread(target=write)
    writer.start()
    records = [batch.records.size for _, batch in read if batch is not None]
    writer.join()
    assert sum(records) == 6
    assert [source.state.status for source in sources] == ["done", "done"]


def test_a_wait_ends_when_the_end_is_wanted(tmp_path: Path, stop: tuple[int, int]) -> None:
    """Nothing comes, nobody wakes: without the descriptor this would wait for ever."""
    os.mkfifo(tmp_path / "quiet")
    turns = iter(
        Reading(
            [*open_captures([str(tmp_path / "quiet")])], lambda: None, stop[0], lambda: math.inf
        )
    )
    os.write(stop[1], b"!")
    assert any(source is None for source, _ in (next(turns) for _ in range(4)))


def test_a_wait_ends_when_something_is_due(tmp_path: Path, stop: tuple[int, int]) -> None:
    os.mkfifo(tmp_path / "quiet")
    wanted = time.monotonic() + 0.05
    source = open_captures([str(tmp_path / "quiet")])
    turns = iter(Reading([*source], lambda: None, stop[0], lambda: wanted))
    while next(turns)[0] is not None:
        pass
    assert time.monotonic() >= wanted - 0.01


# ------------------------------------------------------------------------------- the clock
class Now:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.s = 1000.0

    def monotonic(self) -> float:
        return self.s

    def time_ns(self) -> int:
        return int(self.s * 1e9)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Now:
    hands = Now()
    monkeypatch.setattr("services.capture.clock.time", hands)
    return hands


def test_the_source_that_is_behind_has_the_time(now: Now) -> None:
    clock, early, late = Clock(), SourceState("early", "file"), SourceState("late", "file")
    assert clock.now_ns() == 0
    clock.took(late, 900)
    clock.took(early, 100)
    assert clock.now_ns() == 100
    clock.took(early, 150)
    assert clock.now_ns() == 150
    clock.over(early)
    assert clock.now_ns() == 900


def test_only_live_sources_grow_older_while_nothing_comes(now: Now) -> None:
    clock = Clock()
    live, pipe = SourceState("eth0", "live", is_live=True), SourceState("-", "stdin")
    clock.took(live, int(1000e9))
    now.s += 60
    assert clock.now_ns() == int(1060e9) - LAG_NS
    clock.took(pipe, 5)
    now.s += QUIET_S - 1
    assert clock.now_ns() == 5
    now.s += 2
    assert clock.now_ns() == int(now.s * 1e9) - LAG_NS
    clock.over(live)
    assert clock.now_ns() == 5
