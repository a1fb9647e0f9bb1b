"""pcap files: byte orders, resolutions, limits, damage; and how inputs of any kind are opened."""

import json
import os
import struct
import threading
from pathlib import Path

import pytest

from services.capture.capture_file import open_captures
from services.capture.inputs import check_stdin
from services.capture.source import PROBLEMS_KEPT, Problem
from shared.errors import UserError
from tests.builders import pcap_bytes
from tests.captures import drain, read_all
from tests.reference.records import Packet

FRAMES = [b"first", b"", b"the third frame"]
TIMES_NS = [1_700_000_000_123_456_000, 0, 4_294_967_295_999_999_000]  # the last is in 2106
CAPTURE = pcap_bytes(zip(TIMES_NS, FRAMES, strict=True))
PACKETS = [Packet(ts, 1, len(frame), frame) for ts, frame in zip(TIMES_NS, FRAMES, strict=True)]


def record(caplen: int, data: bytes = b"", seconds: int = 1, fraction: int = 2) -> bytes:
    return struct.pack("<IIII", seconds, fraction, caplen, caplen) + data


def header(
    snaplen: int = 65535, link: int = 1, magic: int = 0xA1B2C3D4, major: int = 2, order: str = "<"
) -> bytes:
    return struct.pack(order + "IHHiIII", magic, major, 4, 0, 0, snaplen, link)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanos", [False, True])
def test_byte_orders_and_resolutions(order: str, nanos: bool) -> None:
    times = [ns + 789 * nanos for ns in TIMES_NS]
    data = pcap_bytes(zip(times, FRAMES, strict=True), byte_order=order, nanos=nanos)
    found = read_all(data)
    assert [packet.ts_ns for packet in found.packets] == times
    assert [packet.data for packet in found.packets] == FRAMES
    assert (found.state.status, found.state.format, found.state.link_types) == ("done", "pcap", {1})
    assert (found.state.position, found.state.size) == (len(data), len(data))


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_modified_format_has_longer_record_headers(order: str) -> None:
    data = header(magic=0xA1B2CD34, order=order)
    for frame in FRAMES:
        data += struct.pack(order + "IIIIIHBx", 1, 5, len(frame), len(frame), 3, 0x800, 0) + frame
    assert [packet.data for packet in read_all(data).packets] == FRAMES


@pytest.mark.parametrize("size", [1, 2, 3, 5, 16, 24, 1000])
def test_pieces_of_any_size_and_pauses_make_no_difference(size: int) -> None:
    assert read_all(CAPTURE, [size, 0]).packets == PACKETS


@pytest.mark.parametrize("batch_bytes", [1, 16, 17, 40, 1000])
@pytest.mark.parametrize("batch_packets", [1, 2, 3])
def test_batches_of_any_size(batch_packets: int, batch_bytes: int) -> None:
    assert read_all(CAPTURE, [1000], batch_packets, batch_bytes).packets == PACKETS


def test_cut_at_every_byte() -> None:
    """All whole records are given; what is behind them is told with its place."""
    starts = [24, 24 + 21, 24 + 21 + 16, len(CAPTURE)]
    for size in range(len(CAPTURE)):
        found = read_all(CAPTURE[:size])
        whole = sum(start <= size for start in starts[1:])
        assert found.packets == PACKETS[:whole]
        if size < 24:
            assert found.state.status == "failed"
        elif size in starts:
            assert found.state.problems == []
        else:
            assert [p.offset for p in found.state.problems] == [starts[whole]]
            assert found.state.problems[0].reason.startswith("ends inside a record: ")
            assert found.state.damaged == 1


def test_a_record_longer_than_the_batch() -> None:
    big = bytes(range(256)) * 1000
    data = pcap_bytes([(1000, b"small"), (2000, big), (3000, b"small again")])
    found = read_all(data, [777], batch_bytes=300)
    assert [packet.data for packet in found.packets] == [b"small", big, b"small again"]


@pytest.mark.parametrize(
    ("snaplen", "caplen", "readable"),
    [
        (65535, 262144, True),
        (65535, 262145, False),
        (0, 262145, False),
        (300_000, 262145, True),
        (300_000, 300_001, False),
        (2**31 - 1, 300_001, True),
        (2**31 - 1, (64 << 20) - 15, False),
        (2**32 - 1, 262145, False),
    ],
)
def test_how_long_a_record_may_be(snaplen: int, caplen: int, readable: bool) -> None:
    data = header(snaplen) + record(1, b"a") + record(caplen, bytes(min(caplen, 400_000)))
    found = read_all(data + record(1, b"z"))
    assert [packet.data[:1] for packet in found.packets] == [b"a", b"\0", b"z"][: 1 + 2 * readable]
    if not readable:
        assert found.state.problems[0].offset == 24 + 17
        assert f"a record of {caplen} bytes" in found.state.problems[0].reason


def test_a_captured_length_above_the_wire_length_is_believed() -> None:
    data = header() + struct.pack("<IIII", 1, 2, 5, 3) + b"hello"
    assert read_all(data).packets == [Packet(1_000_002_000, 1, 5, b"hello")]


def test_a_fraction_of_more_than_a_second_is_added() -> None:
    data = header(magic=0xA1B23C4D) + record(0, seconds=7, fraction=3_000_000_001)
    assert read_all(data).packets[0].ts_ns == 10_000_000_001


def test_the_upper_half_of_the_link_type_is_something_else() -> None:
    """It holds the length of the frame check sequence."""
    assert read_all(header(link=0x5400_0071) + record(0)).packets[0].link == 0x71


def test_a_capture_of_nothing_is_not_damaged() -> None:
    found = read_all(header())
    assert (found.state.status, found.state.damaged) == ("done", 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"\xd4\xc3", "is only 2 bytes long"),
        (header()[:23], "is only 23 bytes long"),
        (header(major=543), "pcap version 543.4"),
        (b"snoop\0\0\0\0\0\0\2", "snoop file; convert it with editcap"),
        (b"BZh91AY&SY", "bzip2; decompress it first"),
        (b"\xfd7zXZ\0\0\4", "xz; decompress it first"),
        (b"PK\x03\x04....", "zip archive; unpack it first"),
        (b"<!DOCTYPE html>", "begins with 3c 21 44 4f 43 54 59 50"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    for sizes in ([100], [1, 0]):
        found = read_all(data, sizes)
        assert found.packets == []
        assert (found.state.status, found.state.damaged) == ("failed", 1)
        assert found.state.problems[0].offset == 0
        assert reason in found.state.problems[0].reason


# ------------------------------------------------------------------------------- opening


def test_several_files_one_after_the_other(tmp_path: Path) -> None:
    """One that cannot be read is reported, the others are read all the same."""
    for name in ("a.pcap", "b.txt"):
        (tmp_path / name).write_bytes(CAPTURE)
    paths = [str(tmp_path / name) for name in ("a.pcap", "missing", ".", "b.txt")]
    sources = open_captures(paths, index=5)
    assert [source.state.status for source in sources] == ["waiting"] * 4
    batch = sources[0].read()
    assert batch is not None
    assert batch.records["source"].tolist() == [5, 5, 5]
    sources[0].close()
    found = [drain(source) for source in sources[1:]]
    assert [each.state.status for each in found] == ["failed", "failed", "done"]
    assert found[0].state.problems == [Problem(0, "no such file")]
    assert "folder" in found[1].state.problems[0].reason
    assert found[2].packets == PACKETS
    assert [source.state.name for source in sources] == paths


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    found = drain(open_captures([str(tmp_path / "secret.pcap")])[0])
    assert found.state.problems == [Problem(0, "permission denied; make it readable")]


def test_a_disk_that_fails_ends_the_file() -> None:
    from services.capture.capture_file import CaptureReader
    from services.capture.source import SourceState

    class Failing:
        position, size, problem = 0, 0, ""

        def descriptors(self) -> list[int]:
            return []

        def readinto(self, buffer: memoryview) -> int:
            if self.position:
                raise OSError(5, "Input/output error")
            buffer[: len(CAPTURE) - 3] = CAPTURE[:-3]
            self.position = len(CAPTURE) - 3
            return self.position

        def close(self) -> None:
            self.size = -1

    failing = Failing()
    found = drain(CaptureReader(SourceState("disk", "file"), lambda: failing, 0))
    assert found.packets == PACKETS[:2]
    assert found.state.problems == [Problem(61, "Input/output error")]
    assert failing.size == -1


def test_a_pipe_gives_what_has_arrived(tmp_path: Path) -> None:
    """A FIFO is opened before anybody writes; half a capture is read before the rest is written."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    [source] = open_captures([str(path)])
    batch = source.read()
    assert batch is not None
    assert batch.records.size == 0
    with path.open("wb", buffering=0) as writer:
        writer.write(CAPTURE[:50])
        batch = source.read()
        while batch is not None and not batch.records.size:
            batch = source.read()
        assert batch is not None
        assert batch.records.size == 1
        writer.write(CAPTURE[50:])
    rest = 0
    while (batch := source.read()) is not None:
        rest += batch.records.size
    assert rest == 2
    assert (source.state.status, source.state.damaged) == ("done", 0)
    assert (source.state.position, source.state.size) == (len(CAPTURE), 0)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    read_end, write_end = os.pipe()
    monkeypatch.setattr("services.capture.inputs.STDIN_FD", read_end)

    def write() -> None:
        os.write(write_end, CAPTURE)
        os.close(write_end)

    writer = threading.Thread(target=write)
    writer.start()
    [source] = open_captures(["-"])
    found = drain(source)
    writer.join()
    assert found.packets == PACKETS
    assert (found.state.name, found.state.kind) == ("stdin", "stdin")
    os.close(read_end)


def test_standard_input_misused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="only once"):
        check_stdin(["-", "a.pcap", "-"])
    with monkeypatch.context() as patch:
        patch.setattr(os, "isatty", lambda fd: True)
        with pytest.raises(UserError, match="is a terminal"):
            check_stdin(["-"])
        check_stdin(["a.pcap"])
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UserError, match="is closed"):
        check_stdin(["-"])


def test_closed_early(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CAPTURE)
    [source] = open_captures([str(tmp_path / "a")], batch_packets=1)
    assert source.read() is not None
    source.close()
    source.close()
    assert source.read() is None
    assert (source.state.status, source.state.packets) == ("done", 1)


def test_only_the_first_problems_are_kept() -> None:
    data = pcap_bytes([(0, b"")])
    found = read_all(data)
    for _ in range(40):
        found.state.report(1, "wrong")
    assert found.state.damaged == 40
    assert len(found.state.problems) == PROBLEMS_KEPT


def test_the_corpus_holds_as_many_packets_as_counted_by_others(corpus: Path) -> None:
    """Counted by an independent walk, or, where the container ends early, by tshark."""
    wrong = {}
    for path in [*corpus.glob("*.*"), *corpus.glob("bad/*.*")]:
        truth = corpus / "truth" / f"{path.name}.json"
        if not truth.exists() or path.suffix == ".json":
            continue
        told = json.loads(truth.read_text())
        counted = {told["container"]["packets"], told["counts"].get("packets")}
        packets = len(drain(open_captures([str(path)])[0]).packets)
        if packets not in counted:
            wrong[path.name] = (packets, counted)
    assert wrong == {}
