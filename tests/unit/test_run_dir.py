"""The folder of a run: private, short enough for sockets, gone at the end."""

import os
from pathlib import Path

import pytest

from shared.errors import UserError
from shared.run_dir import LONGEST_NAME, SOCKET_PATH_MAX, run_dir


def test_a_run_dir_is_private_and_short_lived() -> None:
    with run_dir("", 1) as path:
        assert path.stat().st_mode & 0o777 == 0o700
        assert len(os.fsencode(path)) + LONGEST_NAME <= SOCKET_PATH_MAX
    assert not path.exists()


def test_a_given_run_dir_is_kept(tmp_path: Path) -> None:
    with run_dir(str(tmp_path / "run"), 1) as path:
        (path / "something").touch()
    assert (path / "something").exists()


def test_a_long_run_dir_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="too long; 86 bytes at most"), run_dir("/" + "x" * 87, 1):
        pass


def test_without_room_in_memory_it_lies_in_the_temporary_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with run_dir("", 1 << 40) as path:
        assert path.parent in (tmp_path, Path("/tmp"))


def test_what_a_killed_run_left_is_removed() -> None:
    with run_dir("", 1) as first:
        parent = first.parent
    abandoned = parent / "flowmate-abandoned"
    abandoned.mkdir()
    (abandoned / "lock").touch()
    os.utime(abandoned, (0, 0))
    with run_dir("", 1) as alive:
        os.utime(alive, (0, 0))
        assert not abandoned.exists()
        with run_dir("", 1):
            assert alive.exists()
