import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.coordinator.sinks import jsonl
from services.coordinator.sinks.jsonl import JsonlSink, open_output
from services.coordinator.sinks.resume import Written
from shared.columns import EVENT
from shared.errors import UserError


def events(count: int, first: int = 0) -> NDArray[np.void]:
    result = np.zeros(count, EVENT)
    result["stream_id"] = np.arange(first, first + count)
    result["family"], result["proto"] = 4, 6
    return result


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(jsonl, "CLOSE_S", 60.0)  # uncompiled, lines are slow
    return tmp_path / "out.jsonl"


def opened(target: Path) -> JsonlSink:
    return JsonlSink(open_output(str(target), str(target.parent)), str(target))


def wait_idle(sink: JsonlSink) -> None:
    with sink._changed:
        assert sink._changed.wait_for(lambda: sink.is_idle, 60)


def put(sink: JsonlSink, told: NDArray[np.void]) -> None:
    """All of them."""
    sink.put_events(told, np.arange(told.size))


def test_every_event_is_a_line_in_order(target: Path) -> None:
    sink = opened(target)
    for start in range(0, 1500, 300):
        put(sink, events(300, start))
    sink.put_record("health", {"run_status": "completed"})
    sink.close()
    written = lines(target)
    assert [int(line["stream_id_hex"], 16) for line in written[:-1]] == list(range(1500))
    assert list(written[-1])[:6] == [
        "ts_us", "event", "stream_id_hex", "protocol", "src", "dst",
    ]  # fmt: skip
    assert written[-1]["run_status"] == "completed"
    assert sink.numbers()["lines"] == 1501
    assert sink.numbers()["bytes"] == target.stat().st_size


def test_a_full_queue_says_so_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "QUEUE_BYTES_MAX", 1)
    reader, writer = os.pipe()
    sink = JsonlSink(writer, "pipe")
    put(sink, events(2000))  # more than a pipe takes
    assert not sink.wait_for_room(0.05)
    assert not sink.is_idle
    got = bytearray()
    taker = threading.Thread(target=lambda: got.extend(drain(reader)))
    taker.start()
    assert sink.wait_for_room(60)
    sink.close()
    taker.join(60)
    assert got.count(b"\n") == 2000


def drain(reader: int) -> bytes:
    with open(reader, "rb") as file:
        return file.read()


def test_a_pipe_that_is_not_blocking_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    sink = JsonlSink(writer, "pipe")
    put(sink, events(2000))
    got = bytearray()
    taker = threading.Thread(target=lambda: got.extend(drain(reader)))
    taker.start()
    wait_idle(sink)
    sink.close()
    taker.join(60)
    assert (got.count(b"\n"), sink.written.lost) == (2000, 0)


def test_a_failed_write_leaves_whole_lines_and_is_counted(
    target: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sink = opened(target)
    put(sink, events(3))
    wait_idle(sink)
    real, left = sink._file.write, [100]

    def partial(octets: memoryview) -> int:
        if left[0] == 0:
            raise OSError(28, "No space left on device")
        left[0] = 0
        return real(octets[:100])

    monkeypatch.setattr(sink._file, "write", partial)
    put(sink, events(5, 3))
    put(sink, events(2, 8))
    sink.put_record("health", {"run_status": "running"})
    wait_idle(sink)
    assert "no space left" in sink.trouble
    monkeypatch.setattr(sink._file, "write", real)
    put(sink, events(1, 10))
    sink.close()
    assert sink.trouble == ""
    assert [int(line["stream_id_hex"], 16) for line in lines(target)] == [0, 1, 2, 10]
    assert (sink.lines, sink.errors) == (4, 3)
    assert sink.written == Written(target.stat().st_size, 11, lost=7, records_lost=1)
    assert sum("no space left" in record.message for record in caplog.records) == 1


def test_a_reader_that_went_away_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    sink = JsonlSink(writer, "standard output")
    put(sink, events(10))
    wait_idle(sink)
    sink.close()
    assert sink.written.lost == 10
    assert "broken pipe" in caplog.text


def test_a_reader_that_does_not_read_cannot_stop_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jsonl, "CLOSE_S", 0.05)
    reader, writer = os.pipe()
    sink = JsonlSink(writer, "standard output")
    put(sink, events(2000))
    sink.close()
    assert "takes nothing" in caplog.text
    drain_and_close(reader, sink)


def drain_and_close(reader: int, sink: JsonlSink) -> None:
    """Let the thread end, so that the next test starts clean."""
    taker = threading.Thread(target=drain, args=(reader,))
    taker.start()
    sink._thread.join(60)
    os.close(sink._descriptor)
    taker.join(60)


@pytest.mark.parametrize("where", ["missing/out.jsonl", "."])
def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path: Path, where: str) -> None:
    with pytest.raises(UserError, match="--output"):
        open_output(str(tmp_path / where), str(tmp_path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no space left"):
        open_output("/dev/full", str(tmp_path))


def test_a_run_starts_with_an_empty_file_and_goes_on_after_a_restart(target: Path) -> None:
    target.write_text("of an earlier run\n")
    for first in (0, 3):
        sink = opened(target)
        put(sink, events(3, first))
        sink.close()
    assert [int(line["stream_id_hex"], 16) for line in lines(target)] == list(range(6))


def test_events_that_are_not_picked_have_no_line(target: Path) -> None:
    sink = opened(target)
    sink.put_events(events(5), np.array([0, 3]))
    sink.close()
    assert [int(line["stream_id_hex"], 16) for line in lines(target)] == [0, 3]
    assert sink.lines == 2
