"""A folder whose captures were read before, by an earlier run or by a capture service that was
killed: each packet once."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders import pcapng_bytes
from tests.watching import Watcher, capture, frames


def pcapng(first: int, count: int) -> bytes:
    return pcapng_bytes(frames(first, count))


@pytest.mark.parametrize("make", [capture, pcapng, lambda f, n: gzip.compress(capture(f, n))])
def test_another_run_goes_on_where_the_last_one_ended(
    tmp_path: Path, make: Callable[[int, int], bytes]
) -> None:
    path = tmp_path / "a"
    whole = make(0, 100)
    path.write_bytes(whole[: len(whole) // 2])
    (tmp_path / "done.pcap").write_bytes(capture(100, 5))
    found: list[int] = []
    known = None
    for size in (len(whole) // 2, len(whole) * 3 // 4, len(whole), len(whole)):
        with path.open("ab") as file:
            file.write(whole[path.stat().st_size : size])
        watcher = Watcher(tmp_path, known)
        found += watcher.catch_up()
        known = watcher.close()
    assert sorted(found) == list(range(105))


def test_without_what_is_remembered_it_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(capture(0, 5))
    for _ in range(2):
        assert Watcher(tmp_path).catch_up() == list(range(5))


def test_a_file_that_was_replaced_between_two_runs(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(capture(0, 5))
    watcher = Watcher(tmp_path)
    watcher.catch_up()
    known = watcher.close()
    (tmp_path / "a.pcap").write_bytes(capture(50, 50))
    assert Watcher(tmp_path, known).catch_up() == list(range(50, 100))


@pytest.mark.parametrize("make", [capture, pcapng])
def test_what_a_shard_lacks_is_given_out_again(
    tmp_path: Path, make: Callable[[int, int], bytes]
) -> None:
    """Of a capture service that was killed: what it told was more than what shards have."""
    (tmp_path / "a").write_bytes(make(0, 100))
    (tmp_path / "b").write_bytes(make(100, 10))
    first = Watcher(tmp_path)
    first.catch_up()
    known = first.ledger.known()
    first.close()
    assert [report.packets for report in known] == [100, 10]
    a, b = (report.id for report in known)
    second = Watcher(tmp_path)
    second.folder.recall(known, [{a: 60, b: 10}, {a: 80}])
    state = second.folder.state
    assert second.catch_up() == [*range(60, 110)], "b was read just now, and a shard has none of it"
    assert (state.input, state.upto, state.reported) == (b, 10, 10)
    assert state.packets == 0, "all of them were told by the first"
    (tmp_path / "a").write_bytes(make(0, 105))
    assert len(second.catch_up()) == 5
    assert (state.input, state.upto, state.packets) == (a, 105, 5)
    assert [report.packets for report in second.ledger.known()] == [105, 10]


def test_what_was_done_is_not_read_again(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(capture(0, 10))
    first = Watcher(tmp_path, quiet_s=0.0)
    first.catch_up()
    first.until(lambda: first.files()["a"].state == "done")
    second = Watcher(tmp_path)
    second.folder.recall(first.close(), [{}])
    assert second.catch_up() == []


def test_a_capture_that_nobody_told_of_but_shards_have_seen(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(capture(0, 10))
    first = Watcher(tmp_path)
    first.catch_up()
    second = Watcher(tmp_path, [], {first.folder.state.input: 7})
    assert second.catch_up() == [7, 8, 9]
    assert second.folder.state.packets == 10, "they were not counted before"
