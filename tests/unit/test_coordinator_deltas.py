import msgpack
import pytest

from services.coordinator import deltas
from services.coordinator.deltas import DeltaLog


def log_of(count: int, capacity: int = 100) -> tuple[DeltaLog, list[bytes]]:
    published: list[bytes] = []
    log = DeltaLog("c1", capacity, published.append)
    for i in range(count):
        log.append("stats", {"n": i})
    return log, published


def test_cursors_count_from_one_and_all_get_the_same_bytes() -> None:
    log, published = log_of(3)
    answer = log.after(0, 10)
    assert [delta["cursor"] for delta in answer["deltas"]] == [1, 2, 3]
    assert [msgpack.unpackb(packed) for packed in published] == answer["deltas"]
    assert answer["deltas"][0]["kind"] == "stats"
    assert (answer["cursor"], answer["latest"], answer["missed"]) == (3, 3, False)


def test_a_reader_goes_on_where_it_was() -> None:
    log, _ = log_of(5)
    first = log.after(0, 2)
    assert [delta["n"] for delta in first["deltas"]] == [0, 1]
    assert [delta["n"] for delta in log.after(first["cursor"], 9)["deltas"]] == [2, 3, 4]
    assert log.after(5, 9) == {
        "latest": 5, "coordinator": "c1", "cursor": 5, "missed": False, "deltas": [],
    }  # fmt: skip


@pytest.mark.parametrize("cursor", [0, 5, 21, 1 << 63])
def test_a_reader_outside_of_the_window_missed_some(cursor: int) -> None:
    log, _ = log_of(20, capacity=10)
    answer = log.after(cursor, 100)
    assert (answer["missed"], answer["cursor"], answer["deltas"]) == (True, 20, [])


def test_the_edge_of_the_window_is_inside() -> None:
    log, _ = log_of(20, capacity=10)
    answer = log.after(10, 100)
    assert [delta["cursor"] for delta in answer["deltas"]] == list(range(11, 21))


def test_the_log_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deltas, "LOG_BYTES_MAX", 1000)
    log, published = log_of(100)
    assert log.bytes <= 1000
    assert log.bytes == sum(len(packed) for packed in published[-len(log) :])


def test_what_is_kept_is_what_was_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long each is, and wherever in memory it comes to lie."""
    monkeypatch.setattr(deltas, "LOG_BYTES_MAX", 1000)
    log, published = log_of(0, capacity=6)
    lengths = [0, 300, 7, 900, 1, 450, 460, 20, 899, 30, *range(40, 140, 3), *range(60)]
    for length in lengths:
        log.append("state", {"comment": "x" * length})
        assert 1 <= len(log) <= 6
        kept = [msgpack.unpackb(packed) for packed in published[-len(log) :]]
        assert log.after(log.latest - len(log), 100)["deltas"] == kept
        assert log.bytes == sum(len(packed) for packed in published[-len(log) :])
    assert len(log) == 6


def test_an_answer_is_bounded_in_bytes_but_never_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    log, _ = log_of(3)
    monkeypatch.setattr(deltas, "REPLY_BYTES_MAX", 1)
    assert log.after(0, 10)["cursor"] == 1
