"""Writes that leave the page cache: the same bytes, whatever the system makes of the wish."""

import errno
import mmap
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.coordinator.sinks import passing
from services.coordinator.sinks.passing import Passing

PIECES = [b"a" * 10, b"b" * 3 * mmap.PAGESIZE, b"c", b"d" * (2 * mmap.PAGESIZE - 11), b"e" * 70000]


def write_all(file: Passing, octets: bytes) -> None:
    left = memoryview(octets)
    while left:
        left = left[file.write(left) :]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out"


def opened(target: Path, flags: int = os.O_TRUNC) -> Passing:
    return Passing(os.open(target, os.O_WRONLY | os.O_CREAT | flags, 0o600))


class Wish:
    """Stands for the system's `pwritev` with the flag, which not every file system knows."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.ends: list[int] = []
        self.seconds, self.now = seconds, 0.0

    def pwritev(self, descriptor: int, parts: Sequence[memoryview], at: int, flags: int) -> int:
        assert (at, flags) == (-1, passing.DONT_CACHE)
        self.now += self.seconds
        done = os.write(descriptor, parts[0])
        self.ends.append(os.lseek(descriptor, 0, os.SEEK_CUR))
        return done


@pytest.fixture
def wish(monkeypatch: pytest.MonkeyPatch) -> Wish:
    wish = Wish()
    monkeypatch.setattr(os, "pwritev", wish.pwritev)
    monkeypatch.setattr("time.monotonic", lambda: wish.now)
    return wish


@pytest.mark.parametrize("flags", [os.O_TRUNC, os.O_APPEND])
def test_what_is_written_is_in_the_file(target: Path, flags: int) -> None:
    target.write_bytes(b"" if flags == os.O_TRUNC else b"before")
    file = opened(target, flags)
    for piece in PIECES:
        write_all(file, piece)
    before = b"before" if flags == os.O_APPEND else b""
    assert target.read_bytes() == before + b"".join(PIECES)


def test_only_whole_pages_leave_the_cache(target: Path, wish: Wish) -> None:
    file = opened(target)
    for piece in PIECES:
        write_all(file, piece)
    assert target.read_bytes() == b"".join(PIECES)
    assert wish.ends
    assert all(end % mmap.PAGESIZE == 0 for end in wish.ends)


@pytest.mark.parametrize("reason", passing.REFUSED)
def test_a_system_that_refuses_is_asked_once(
    target: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    asked = []

    def refuse(*_: object) -> int:
        asked.append(1)
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "pwritev", refuse)
    file = opened(target)
    for piece in PIECES:
        write_all(file, piece)
    assert target.read_bytes() == b"".join(PIECES)
    assert (len(asked), file.passes) == (1, False)


def test_a_full_disk_is_told(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwritev", fill)
    file = opened(target)
    with pytest.raises(OSError, match="No space left"):
        file.write(memoryview(bytes(mmap.PAGESIZE)))
    assert file.passes


def test_the_cache_helps_a_slow_disk_for_a_while(target: Path, wish: Wish) -> None:
    file, piece = opened(target), bytes(1 << 20)
    spans = passing.SPAN_BYTES // len(piece)
    wish.seconds = 2 * len(piece) / passing.LEAST_BYTES_S  # half as fast as it has to be
    for _ in range(spans):
        write_all(file, piece)
    assert len(wish.ends) == spans
    wish.seconds = 0.0
    for _ in range(passing.REST_BYTES // len(piece)):
        write_all(file, piece)
    assert len(wish.ends) == spans  # all of it went to the cache
    for _ in range(2 * spans):
        write_all(file, piece)
    assert len(wish.ends) == 3 * spans


def test_a_pipe_is_written_as_ever(wish: Wish) -> None:
    reader, writer = os.pipe()
    write_all(Passing(writer), bytes(2 * mmap.PAGESIZE))
    assert len(os.read(reader, 1 << 16)) == 2 * mmap.PAGESIZE
    assert not wish.ends
