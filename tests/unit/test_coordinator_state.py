"""The state file: what comes back, what is set aside, what is refused."""

import logging
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from services.coordinator import state
from services.coordinator.state import StateFile, check_is_no_input
from shared.errors import UserError
from tests.chaos.disk import filled, small_disk
from tests.state_files import documents
from tests.waiting import eventually


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "team.state"


def test_documents_come_back_the_newest_of_each(path: Path) -> None:
    first = StateFile(str(path))
    first.put("rule", "1", {"a": 1})
    first.put("rule", "1", {"a": 2})
    first.put("rule", "2", {"b": "é\n\0"})
    first.put("stream", "00ff", {"c": None})
    first.put("stream", "00ff", None)
    first.close()
    second = StateFile(str(path))
    assert second.load("rule") == {"1": {"a": 2}, "2": {"b": "é\n\0"}}
    assert second.load("stream") == {}
    second.close()


WRITER = """
import sys, time
from services.coordinator.state import StateFile
kept = StateFile(sys.argv[1])
kept.put("rule", "1", {"a": 1})
while kept._waiting:
    time.sleep(0.01)
print("written", flush=True)
time.sleep(60)
"""


def test_what_a_killed_one_left_on_a_full_disk_is_read(tmp_path: Path) -> None:
    """And written to again once there is room."""
    with small_disk(tmp_path) as is_mounted:
        if not is_mounted:
            pytest.skip("a disk cannot be mounted here")
        path = tmp_path / "team.state"
        words = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"written\n"
            writer.kill()
        with filled(tmp_path):
            kept = StateFile(str(path))
            assert kept.load("rule") == {"1": {"a": 1}}
            assert kept.trouble == (
                f"the state file {path} cannot be written: database or disk is full"
            )
            with pytest.raises(UserError, match="give a file that can be written"):
                StateFile(str(tmp_path / "another"))
        eventually(lambda: not kept.trouble)
        kept.close()


def test_a_change_is_on_disk_a_moment_later(path: Path) -> None:
    kept = StateFile(str(path))
    for i in range(500):
        kept.put("rule", str(i), {"n": i})
    rules = {("rule", str(i)) for i in range(500)}
    eventually(lambda: rules <= documents(path))
    copy = path.with_name("copy")  # as it is after a kill: nobody closed it
    copy.write_bytes(path.read_bytes())
    copy.with_name("copy-wal").write_bytes(path.with_name("team.state-wal").read_bytes())
    again = StateFile(str(copy))
    assert len(again.load("rule")) == 500
    again.close()
    kept.close()


def test_without_a_path_nothing_is_kept() -> None:
    kept = StateFile("")
    kept.put("rule", "1", {})
    assert kept.load("rule") == {}
    kept.close()


def other_database(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()


def overwritten(path: Path) -> None:
    kept = StateFile(str(path))
    for i in range(300):
        kept.put("rule", str(i), {"text": "x" * 200})
    kept.close()
    octets = bytearray(path.read_bytes())
    octets[4096:20000] = b"\xa5" * (20000 - 4096)
    path.write_bytes(octets)


def cut(path: Path) -> None:
    overwritten(path)
    path.write_bytes(path.read_bytes()[:4096])


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"no database, but as long as one" * 80),
        lambda path: path.write_bytes(b"\0" * 5000),
        other_database,
        overwritten,
        cut,
    ],
    ids=["text", "zeros", "another program's", "overwritten", "cut"],
)  # fmt: skip
def test_what_is_damaged_or_not_ours_is_set_aside(
    path: Path,
    damage: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    damage(path)
    before = path.read_bytes()
    for _ in range(2):
        with caplog.at_level(logging.ERROR):
            kept = StateFile(str(path))
        assert kept.load("rule") == {}
        kept.put("rule", "9", {"new": True})
        kept.close()
        aside = list(path.parent.glob("team.state.damaged-*"))
        assert [file.read_bytes() for file in aside] == [before] * len(aside)
        assert aside
        assert "a new one is begun" in caplog.text
        path.write_bytes(before)
    assert len(aside) == 2


def test_a_document_that_is_none_is_left_out(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = StateFile(str(path))
    kept.put("rule", "1", {"a": 1})
    kept.close()
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO documents VALUES ('rule', '2', '{')")
        database.execute("INSERT INTO documents VALUES ('rule', '3', '[]')")
    database.close()
    with caplog.at_level(logging.ERROR):
        again = StateFile(str(path))
    assert again.load("rule") == {"1": {"a": 1}}
    assert caplog.text.count("is damaged and left out") == 2
    again.close()


def test_a_file_of_a_newer_release_is_refused_and_stays(path: Path) -> None:
    StateFile(str(path)).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(UserError, match="newer release"):
        StateFile(str(path))
    assert not list(path.parent.glob("*.damaged-*"))


def test_a_file_has_one_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "BUSY_S", 0.05)
    kept = StateFile(str(path))
    with pytest.raises(UserError, match="another run uses it"):
        StateFile(str(path))
    kept.close()
    StateFile(str(path)).close()


@pytest.mark.parametrize("name", ["missing/team.state", "."])
def test_a_file_that_cannot_be_written_is_the_users(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="give a file that can be written"):
        StateFile(str(tmp_path / name))


def test_what_cannot_be_written_is_said_once_and_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(state, "RETRY_S", 0.02)
    kept = StateFile(str(path))
    kept._connection.execute("PRAGMA query_only = 1")
    with caplog.at_level(logging.WARNING):
        kept.put("rule", "1", {"a": 1})
        eventually(lambda: kept.trouble)
        kept.put("rule", "2", {"a": 2})
        time.sleep(0.1)
        kept._connection.execute("PRAGMA query_only = 0")
        eventually(lambda: not kept.trouble)
    kept.close()
    assert caplog.text.count("it is tried again") == 1
    again = StateFile(str(path))
    assert again.load("rule") == {"1": {"a": 1}, "2": {"a": 2}}
    again.close()


def test_the_capture_and_the_output_are_no_state_file(tmp_path: Path) -> None:
    capture = tmp_path / "a.pcap"
    capture.write_bytes(b"packets")
    for given in (str(capture), f"{tmp_path}/./a.pcap"):
        with pytest.raises(UserError, match=r"is .*a\.pcap itself"):
            check_is_no_input(given, (str(capture),))
    with pytest.raises(UserError, match="itself"):
        check_is_no_input(str(tmp_path / "new"), (str(tmp_path / "new"),))
    check_is_no_input(str(tmp_path / "b"), (str(capture), "-"))
    check_is_no_input("", ("",))
