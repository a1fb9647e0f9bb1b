"""Dump mode: lines as a JSON library would write them, and an output that cannot be written."""

import base64
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.capture.dump import BUFFER_BYTES, Dump, DumpWriter
from services.capture.kernels.dump_lines import LINE_BYTES, dump_lines
from services.capture.source import Batch
from shared.columns import RECORD
from shared.errors import EXIT_NOTHING_READ, EXIT_OK, UserError
from shared.service import Stop
from shared.settings import Settings
from tests.builders import pcap_bytes, pcapng_bytes, tcp4, udp4
from tests.reference.dump_lines import dump_line

INT64 = st.integers(-(2**63), 2**63 - 1)
Row = tuple[int, int, int, bytes]  # time, wire length, link type, frame
rows = st.lists(
    st.tuples(INT64, st.integers(0, 2**32 - 1), st.integers(0, 65535), st.binary(max_size=50)),
    max_size=8,
)


class NoStop:
    requested = False
    descriptor = -1  # never waited for: files do not make anybody wait


def batch_of(packets: list[Row]) -> Batch:
    records = np.zeros(len(packets), RECORD)
    records["ts_ns"] = [packet[0] for packet in packets]
    records["wirelen"] = [packet[1] for packet in packets]
    records["link"] = [packet[2] for packet in packets]
    records["caplen"] = [len(packet[3]) for packet in packets]
    records["off"] = np.cumsum(records["caplen"]) - records["caplen"]
    data = np.frombuffer(b"".join(packet[3] for packet in packets), np.uint8)
    return Batch(data, records, data.size)


@pytest.mark.property
@given(rows, st.integers(1, 2**63 - 100), st.integers(0, 900))
def test_lines_against_the_twin(packets: list[Row], first: int, capacity: int) -> None:
    """Whatever the room, it is never passed, and what fits is written."""
    batch = batch_of(packets)
    out, cursor = np.full(capacity + 8, 0x55, np.uint8), np.zeros(1, np.int64)
    lines, done = b"", 0
    while done < len(packets):
        size = dump_lines(batch.data, batch.records, done, first, out[:capacity], cursor)
        assert size <= capacity
        assert (out[capacity:] == 0x55).all()
        if cursor[0] == done:
            assert capacity < LINE_BYTES + (len(packets[done][3]) + 2) // 3 * 4
            break
        done = int(cursor[0])
        lines += out[:size].tobytes()
    assert lines == b"".join(
        dump_line(ts_ns, first + i, link, frame, wirelen)
        for i, (ts_ns, wirelen, link, frame) in enumerate(packets[:done])
    )


def test_a_packet_longer_than_the_buffer() -> None:
    frame = bytes(range(256)) * (BUFFER_BYTES // 256 + 1)
    file = io.BytesIO()
    writer = DumpWriter(cast(io.RawIOBase, file), "out")
    for _ in range(2):
        writer.write(batch_of([(0, 1, 1, b"x"), (0, 1, 1, frame), (0, 1, 1, b"y")]))
    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert base64.b64decode(lines[4]["base64"]) == frame


def test_a_file_that_takes_little_at_a_time() -> None:
    class Slow(io.BytesIO):
        def write(self, piece: "memoryview[int]") -> int:  # type: ignore[override]
            return super().write(piece[:7])

    file = Slow()
    DumpWriter(cast(io.RawIOBase, file), "out").write(batch_of([(5000, 9, 1, b"abc")] * 3))
    assert file.getvalue().count(b"\n") == 3
    assert file.getvalue().startswith(dump_line(5000, 1, 1, b"abc", 9))


# ------------------------------------------------------------------------------ whole runs

FRAMES = [udp4("10.0.0.1", 5, "10.0.0.2", 53, b"?"), tcp4("10.0.0.1", 6, "10.0.0.2", 80, b"GET")]
Run = Callable[..., tuple[int, list[dict[str, object]]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Dump the given captures; exit status and lines."""
    output = tmp_path / "out.jsonl"

    def dump(*captures: bytes, **settings: object) -> tuple[int, list[dict[str, object]]]:
        paths = [str(tmp_path / f"{number}.pcap") for number in range(len(captures))]
        for path, data in zip(paths, captures, strict=True):
            Path(path).write_bytes(data)
        given = {"pcap": paths, "mode": "dump", "output": str(output)} | settings
        status = Dump(Settings.model_validate(given), cast(Stop, NoStop())).run()
        return status, [json.loads(line) for line in output.read_text().splitlines()]

    return dump


def test_one_line_a_packet_over_all_captures(run: Run) -> None:
    captures = pcap_bytes([(1_000_000, FRAMES[0])]), pcapng_bytes([(2_000_000, FRAMES[1], 900)])
    status, lines = run(*captures)
    assert status == EXIT_OK
    assert lines == [
        {
            "ts_us": (number + 1) * 1000,
            "event": "packet",
            "number": number + 1,
            "linktype": 1,
            "caplen": len(frame),
            "wirelen": [len(FRAMES[0]), 900][number],
            "base64": base64.b64encode(frame).decode(),
        }
        for number, frame in enumerate(FRAMES)
    ]


def test_filter_and_limit(run: Run) -> None:
    capture = pcap_bytes([(n, FRAMES[n % 2]) for n in range(10)])
    _, lines = run(capture, capture, capture_filter="tcp", batch_size=3)
    assert [line["number"] for line in lines] == list(range(1, 11))
    assert {line["caplen"] for line in lines} == {len(FRAMES[1])}
    _, lines = run(capture, capture, capture_filter="udp", batch_size=3, max_packets=7)
    assert len(lines) == 7


def test_damage_is_logged_and_the_rest_dumped(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    capture = pcap_bytes([(0, FRAMES[0]), (0, FRAMES[1])])
    status, lines = run(capture[:-1], b"nonsense", capture)
    assert (status, len(lines)) == (EXIT_OK, 3)
    assert "0.pcap: byte 83: ends inside a record" in caplog.text
    assert "1.pcap: is not a pcap or pcapng file" in caplog.text


def test_nothing_that_could_be_read(run: Run) -> None:
    assert run(b"nonsense", b"") == (EXIT_NOTHING_READ, [])


def test_a_full_disk_is_named(run: Run) -> None:
    with pytest.raises(UserError, match=r"/dev/full: cannot be written \(no space left"):
        run(pcap_bytes([(0, FRAMES[0])]), output="/dev/full")


def test_a_folder_that_is_not_there(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or directory"):
        run(pcap_bytes([]), output=str(tmp_path / "no" / "out.jsonl"))


def test_the_capture_is_never_written_over(run: Run, tmp_path: Path) -> None:
    capture = pcap_bytes([(0, FRAMES[0])])
    with pytest.raises(UserError, match="is the capture itself"):
        run(capture, output=str(tmp_path / "0.pcap"))
    assert (tmp_path / "0.pcap").read_bytes() == capture


def test_without_an_output_it_goes_beside_the_capture(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap_bytes([(0, FRAMES[0])]))
    settings = Settings.model_validate({"pcap": [str(path)], "mode": "dump"})
    assert Dump(settings, cast(Stop, NoStop())).run() == EXIT_OK
    assert (tmp_path / "a.pcap.jsonl").read_bytes().count(b"\n") == 1


def test_a_reader_that_has_seen_enough_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap_bytes([(0, FRAMES[0])] * 1000))
    read_end, write_end = os.pipe()
    os.close(read_end)
    monkeypatch.setattr("services.capture.dump.STDOUT_FD", write_end)
    settings = Settings.model_validate({"pcap": [str(path)], "mode": "dump", "output": "-"})
    assert Dump(settings, cast(Stop, NoStop())).run() == EXIT_OK
    os.close(write_end)
