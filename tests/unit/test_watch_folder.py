"""A drop folder: each capture is read once, whatever its writer does with the file."""

import gzip
import os
import select
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from services.capture.watch.listing import printable
from tests.builders import pcap_bytes, pcapng_bytes
from tests.watching import Watcher, capture, frames, records


def pcapng(first: int, count: int) -> bytes:
    return pcapng_bytes(frames(first, count))


def test_what_lies_there_is_read_in_the_order_of_its_packets(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(capture(200, 100))
    (tmp_path / "b.pcap").write_bytes(capture(100, 100))
    (tmp_path / "c.pcapng").write_bytes(pcapng(0, 100))
    watcher = Watcher(tmp_path)
    assert watcher.catch_up() == list(range(300))
    assert watcher.catch_up() == []
    assert watcher.folder.state.packets == 300


def test_a_file_grows_in_odd_pieces(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path)
    data = capture(0, 50)
    found = []
    with (tmp_path / "grows.pcap").open("ab", buffering=0) as file:
        for at in range(0, len(data), 37):
            file.write(data[at : at + 37])
            found += watcher.catch_up()
    assert found == list(range(50))
    assert watcher.folder.state.damaged == 0


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_compressed_file_grows(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    watcher = Watcher(tmp_path)
    data = pack(capture(0, 50)) + pack(records(50, 50))
    found = []
    with (tmp_path / "grows.gz").open("ab", buffering=0) as file:
        for at in range(0, len(data), 99):
            file.write(data[at : at + 99])
            found += watcher.catch_up()
    assert found == list(range(100))
    assert watcher.close()[0].damaged == 0


def test_a_rotation_is_read_file_after_file(tmp_path: Path) -> None:
    """The last packets of a file come with the next file."""
    watcher = Watcher(tmp_path)
    found = []
    for n in range(5):
        data = capture(n * 100, 100)
        (tmp_path / f"r{n}.pcap").write_bytes(data[:1000])
        found += watcher.catch_up()
        with (tmp_path / f"r{n}.pcap").open("ab") as file:
            file.write(data[1000:])
    found += watcher.catch_up()
    assert found == list(range(500))


def test_two_rotations_are_read_beside_each_other(tmp_path: Path) -> None:
    """Captures of the same time: none gets far ahead of the other."""
    second = 1_000_000_000
    for name, shift in (("eth0", 0), ("eth1", 1)):
        for part in range(3):
            numbers = range(part * 100 + shift, part * 100 + 100, 2)
            (tmp_path / f"{name}-{part}.pcap").write_bytes(
                pcap_bytes(frames(n, 1, second)[0] for n in numbers)
            )
    watcher = Watcher(tmp_path, batch_packets=5)
    found = watcher.catch_up()
    assert sorted(found) == list(range(300))
    assert max(abs(number - at) for at, number in enumerate(found)) <= 15


@pytest.mark.parametrize("make", [capture, pcapng])
def test_a_renamed_file_is_the_same_one(tmp_path: Path, make: Callable[[int, int], bytes]) -> None:
    watcher = Watcher(tmp_path)
    (tmp_path / "now.pcap").write_bytes(make(0, 10))
    assert watcher.catch_up() == list(range(10))
    (tmp_path / "now.pcap").rename(tmp_path / "1.pcap")
    (tmp_path / "now.pcap").write_bytes(make(10, 10))
    assert watcher.catch_up() == list(range(10, 20))
    (tmp_path / "1.pcap").rename(tmp_path / "2.pcap")
    assert watcher.catch_up() == []
    assert set(watcher.files()) == {"2.pcap", "now.pcap"}


def test_what_rsync_brings(tmp_path: Path) -> None:
    """A hidden name until it is whole; brought again, with more in it, it is another file."""
    watcher = Watcher(tmp_path)
    (tmp_path / ".a.pcap.Xy12").write_bytes(capture(0, 3))
    assert watcher.catch_up() == []
    (tmp_path / ".a.pcap.Xy12").rename(tmp_path / "a.pcap")
    assert watcher.catch_up() == [0, 1, 2]
    (tmp_path / ".a.pcap.Qr34").write_bytes(capture(0, 7))
    (tmp_path / ".a.pcap.Qr34").rename(tmp_path / "a.pcap")
    assert watcher.catch_up() == [3, 4, 5, 6]
    assert len(watcher.ledger.known()) == 1


def test_other_content_in_the_same_file_is_another_capture(tmp_path: Path) -> None:
    """tcpdump -W begins its first file anew."""
    watcher = Watcher(tmp_path)
    for first in (0, 100, 200):
        (tmp_path / "ring.pcap").write_bytes(capture(first, 20 + first))
        assert watcher.catch_up() == list(range(first, 2 * first + 20))
    assert [each.state for each in watcher.ledger.known()] == ["done", "done", "reading"]
    assert watcher.folder.state.damaged == 0


def test_what_was_overwritten_unread_is_counted(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path)
    data = capture(0, 20)
    (tmp_path / "ring.pcap").write_bytes(data[:-5])
    assert len(watcher.catch_up()) == 19
    (tmp_path / "ring.pcap").write_bytes(capture(100, 1))
    assert watcher.catch_up() == [100]
    first = watcher.ledger.known()[0]
    assert first.damaged == 1
    assert "written over" in first.reason


def test_the_same_content_again_is_not_read_again(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path)
    data = capture(0, 20)
    for at in (len(data), 0, 10, 30, 500, len(data)):
        (tmp_path / "a.pcap").write_bytes(data[:at])
        watcher.catch_up()
    with (tmp_path / "a.pcap").open("ab") as file:
        file.write(records(20, 5))
    watcher.catch_up()
    assert watcher.numbers == list(range(25))


def test_a_file_that_is_removed_while_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(capture(0, 1000))
    watcher = Watcher(tmp_path, batch_packets=100, quiet_s=0.0)
    watcher.until(lambda: watcher.payloads)
    (tmp_path / "a.pcap").unlink()
    assert watcher.catch_up()
    watcher.until(lambda: watcher.files()["a.pcap"].state == "done")
    assert watcher.numbers == list(range(1000))
    assert not watcher.folder._opener.open


def test_a_file_that_is_removed_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(capture(0, 10))
    (tmp_path / "b.pcap").write_bytes(capture(10, 10))
    watcher = Watcher(tmp_path, batch_packets=1)
    watcher.until(lambda: watcher.payloads)
    (tmp_path / "b.pcap").unlink()
    watcher.catch_up()
    assert watcher.numbers == list(range(10))
    assert watcher.files()["b.pcap"].state == "gone"
    assert watcher.folder.state.damaged == 1
    assert "b.pcap: was removed before" in watcher.folder.state.problems[0].reason


def test_not_a_capture(tmp_path: Path) -> None:
    (tmp_path / "live.jsonl").write_text('{"event": "health"}\n')
    (tmp_path / "dump").write_bytes(b"BZh91AY&SY")
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "good.pcap").write_bytes(capture(0, 3))
    watcher = Watcher(tmp_path)
    assert watcher.catch_up() == [0, 1, 2]
    told = {name: (each.state, each.reason) for name, each in watcher.files().items()}
    assert told["good.pcap"][0] == "reading"
    assert {told[name][0] for name in ("live.jsonl", "dump", "sub", "pipe")} == {"rejected"}
    assert "bzip2" in told["dump"][1]
    assert "not a pcap" in told["live.jsonl"][1]
    assert "is a folder" in told["sub"][1]
    assert "not a regular file" in told["pipe"][1]
    assert watcher.folder.state.damaged == 2


def test_a_damaged_file_ends_there_and_the_others_go_on(tmp_path: Path) -> None:
    data = capture(0, 3) + b"\xff" * 100
    (tmp_path / "a.pcap").write_bytes(data)
    (tmp_path / "b.pcap").write_bytes(capture(3, 3))
    watcher = Watcher(tmp_path)
    assert watcher.catch_up() == list(range(6))
    told = watcher.files()["a.pcap"]
    assert (told.state, told.damaged, told.packets) == ("done", 1, 3)
    assert "the rest is not read" in told.reason
    with (tmp_path / "a.pcap").open("ab") as file:
        file.write(records(9, 3))
    assert watcher.catch_up() == []


def test_a_short_last_record_is_damage_when_the_next_file_has_begun(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path, quiet_s=0.0)
    (tmp_path / "r1.pcap").write_bytes(capture(0, 3)[:-4])
    assert watcher.catch_up() == [0, 1]
    assert watcher.files()["r1.pcap"].reason == "waits for the rest of a record"
    (tmp_path / "other.pcap").write_bytes(capture(5, 3))
    watcher.catch_up()
    assert watcher.files()["r1.pcap"].damaged == 0
    (tmp_path / "r2.pcap").write_bytes(capture(8, 3))
    watcher.catch_up()
    watcher.until(lambda: watcher.files()["r1.pcap"].state == "done")
    assert watcher.files()["r1.pcap"].damaged == 1
    with (tmp_path / "r1.pcap").open("ab") as file:
        file.write(capture(0, 3)[-4:])
    assert watcher.catch_up() == [2]


def test_the_end_of_the_run_ends_short_files(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(capture(0, 3)[:-4])
    (tmp_path / "b.pcap").write_bytes(capture(0, 3)[:10])
    watcher = Watcher(tmp_path)
    watcher.catch_up()
    assert watcher.folder.state.damaged == 0
    watcher.close()
    told = watcher.files()
    assert (told["a.pcap"].state, told["b.pcap"].state) == ("done", "rejected")
    assert watcher.folder.state.damaged == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read whatever the permissions say")
def test_a_file_that_becomes_readable_later(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(capture(0, 3))
    path.chmod(0)
    watcher = Watcher(tmp_path)
    assert watcher.catch_up() == []
    assert "permission denied" in watcher.files()["a.pcap"].reason
    path.chmod(0o600)
    assert watcher.catch_up() == [0, 1, 2]


def test_a_file_that_cannot_be_opened_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root sees it: the system refuses, then does not."""
    (tmp_path / "a.pcap").write_bytes(capture(0, 3))
    watcher = Watcher(tmp_path)
    really_open = os.open

    def refuse(path: str, *more: int) -> int:
        if str(path).endswith("a.pcap"):
            raise PermissionError(13, "Permission denied", path)
        return really_open(path, *more)

    monkeypatch.setattr(os, "open", refuse)
    assert watcher.catch_up() == []
    assert watcher.files()["a.pcap"].state == "waiting"
    assert "permission denied" in watcher.files()["a.pcap"].reason
    monkeypatch.undo()
    (tmp_path / "a.pcap").chmod(0o640)
    assert watcher.catch_up() == [0, 1, 2]


def test_hostile_names(tmp_path: Path) -> None:
    names = [b"\xff\xfe.pcap", b"a\nb\x1b[31m.pcap", "ü\u202e.pcap".encode(), b"-rf"]
    for n, name in enumerate(names):
        path = os.path.join(os.fsencode(tmp_path), name)
        with open(path, "wb") as file:
            file.write(capture(n, 1))
    watcher = Watcher(tmp_path)
    assert watcher.catch_up() == [0, 1, 2, 3]
    told = watcher.close()
    assert all(each.name.isprintable() for each in told)
    assert {r"\xff\xfe.pcap", r"a\nb\x1b[31m.pcap"} <= {each.name for each in told}
    for each in told:
        each.pack()
    assert printable("plain.pcap") == "plain.pcap"


def test_two_names_of_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(capture(0, 3))
    os.link(tmp_path / "a.pcap", tmp_path / "b.pcap")
    (tmp_path / "c.pcap").symlink_to(tmp_path / "a.pcap")
    (tmp_path / "d.pcap").symlink_to("nowhere")
    assert Watcher(tmp_path).catch_up() == [0, 1, 2]


def test_more_files_than_descriptors(tmp_path: Path) -> None:
    """All of them grow, and lie at the same time."""
    watcher = Watcher(tmp_path, batch_packets=3)
    files = [(tmp_path / f"{n}.pcapng").open("ab", buffering=0) for n in range(40)]
    whole = [pcapng(n * 10, 10) for n in range(40)]
    for part in range(4):
        for file, data in zip(files, whole, strict=True):
            step = len(data) // 4 + 1
            file.write(data[part * step : (part + 1) * step])
        watcher.catch_up()
        assert len(watcher.folder._opener.open) <= 16
    for file in files:
        file.close()
    assert sorted(watcher.numbers) == list(range(400))


def test_a_folder_that_comes_late_and_goes(tmp_path: Path) -> None:
    place = tmp_path / "drop"
    watcher = Watcher(place)
    watcher.read()
    assert "no such file" in watcher.folder.state.trouble
    for first in (0, 10):
        place.mkdir()
        (place / "a.pcap").write_bytes(capture(first, 10))
        watcher.until(lambda: len(watcher.payloads) == first + 10)  # noqa: B023
        assert watcher.folder.state.trouble == ""
        (place / "a.pcap").unlink()
        place.rmdir()
        watcher.until(lambda: watcher.folder.state.trouble)


def test_without_inotify_it_is_looked_at_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    watcher = Watcher(tmp_path)
    assert watcher.source.descriptors() == []
    assert "no inotify" in caplog.text
    watcher.read()
    (tmp_path / "a.pcap").write_bytes(capture(0, 5))
    watcher.until(lambda: len(watcher.payloads) == 5)


def test_the_bell_wakes_who_waits(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path)
    watcher.catch_up()
    (tmp_path / "a.pcap").write_bytes(capture(0, 5))
    assert select.select(watcher.source.descriptors(), [], [], 5)[0]


def test_no_more_files_are_known_than_there_is_room_for(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path, quiet_s=0.0)
    watcher.folder._catalogue._files_max = 10
    for n in range(15):
        (tmp_path / f"{n:02}.pcap").write_bytes(capture(n, 1))
    assert len(watcher.catch_up()) == 10
    assert "5 wait for room" in watcher.folder.state.trouble
    for path in sorted(tmp_path.iterdir())[:5]:
        path.unlink()
    watcher.until(lambda: len(watcher.numbers) == 15)
    assert watcher.numbers == list(range(15))
    assert watcher.folder.state.trouble == ""
    assert len(watcher.folder._catalogue.entries) == 10
