"""Readers of capture files and their twin find the same packets and the same damage in any bytes,
however the input is cut and however small the batches are."""

import gzip
import struct
from dataclasses import dataclass, field

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from services.capture.capture_file import CaptureReader
from services.capture.source import PROBLEMS_KEPT, SourceState
from tests.reference.records import Packet, read_capture

READS_MAX = 100_000
U16, U32, U64 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)


@dataclass
class Pieces:
    """An input that comes in pieces of the given sizes, over and over; 0 = nothing arrived."""

    data: bytes
    sizes: list[int]
    position: int = 0
    problem: str = ""
    turn: int = 0
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = len(self.data)

    def readinto(self, buffer: memoryview) -> int | None:
        assert len(buffer) > 0
        self.turn += 1
        wanted = min(self.sizes[self.turn % len(self.sizes)], len(buffer))
        piece = self.data[self.position : self.position + wanted]
        if not wanted and self.position < len(self.data):
            return None
        buffer[: len(piece)] = piece
        self.position += len(piece)
        return len(piece)

    def close(self) -> None:
        self.sizes = []


@dataclass
class Found:
    packets: list[Packet]
    state: SourceState


def read_all(
    data: bytes, sizes: list[int], batch_packets: int = 8192, batch_bytes: int = 1 << 20
) -> Found:
    """Everything a reader gives; checks what it promises of every batch."""
    reader = CaptureReader(
        SourceState("test", "file"), lambda: Pieces(data, sizes), 7, batch_packets, batch_bytes
    )
    packets: list[Packet] = []
    for _ in range(READS_MAX):
        batch = reader.read()
        if batch is None:
            break
        assert len(batch.records) <= batch_packets
        assert batch.used == len(batch.data)
        for record in batch.records:
            off, end = int(record["off"]), int(record["off"]) + int(record["caplen"])
            assert end <= batch.used
            assert record["source"] == 7
            frame = batch.data[off:end].tobytes()
            packets.append(
                Packet(int(record["ts_ns"]), int(record["link"]), int(record["wirelen"]), frame)
            )
    else:
        raise AssertionError("the reader does not end")
    assert reader.read() is None
    assert reader.state.packets == len(packets)
    assert reader.state.bytes == sum(len(packet.data) for packet in packets)
    return Found(packets, reader.state)


def assert_same(data: bytes, sizes: list[int], batch_packets: int, batch_bytes: int) -> None:
    found = read_all(data, sizes, batch_packets, batch_bytes)
    want = read_capture(data)
    assert found.packets == want.packets
    assert [p.offset for p in found.state.problems] == want.damaged[:PROBLEMS_KEPT]
    assert found.state.damaged == len(want.damaged)
    failed = bool(want.damaged) and not want.packets
    assert found.state.status == ("failed" if failed else "done")


cuts = st.tuples(
    st.lists(st.integers(0, 70), min_size=1, max_size=5).filter(any),
    st.integers(1, 5),
    st.integers(1, 300),
)


@st.composite
def pcap_files(draw: st.DrawFn) -> bytes:
    order = draw(st.sampled_from("<>"))
    magic = draw(st.sampled_from([0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34]))
    snaplen = draw(st.sampled_from([0, 64, 262144, 1 << 20, 1 << 31, 2**32 - 1]))
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, draw(U32))
    for _ in range(draw(st.integers(0, 6))):
        frame = draw(st.binary(max_size=40))
        wirelen = draw(st.one_of(st.just(len(frame)), U32))
        data += struct.pack(order + "IIII", draw(U32), draw(U32), len(frame), wirelen)
        data += bytes(8 if magic == 0xA1B2CD34 else 0) + frame
    return data


@st.composite
def blocks(draw: st.DrawFn, order: str) -> bytes:
    """One pcapng block, sound in most ways."""
    frame = draw(st.binary(max_size=20))
    number = draw(st.sampled_from([0, 0, 0, 1, 2, 65536]))
    length = draw(st.sampled_from([len(frame)] * 6 + [0, len(frame) + 1, 2**32 - 1]))
    wirelen = draw(st.one_of(st.just(len(frame)), U32))
    kind = draw(st.sampled_from([1, 2, 3, 6, 6, 6, 5, 4, 0x0BAD, 0x80000001]))
    if kind == 1:
        body = struct.pack(order + "HHI", draw(U16), 0, draw(st.sampled_from([0, 0, 5, 65535])))
        for _ in range(draw(st.integers(0, 3))):
            body += draw(options(order))
    elif kind == 2:
        body = struct.pack(order + "HHQII", number & 0xFFFF, 0, draw(U64), length, wirelen) + frame
    elif kind == 3:
        body = struct.pack(order + "I", length) + frame
    elif kind == 6:
        body = struct.pack(order + "IQII", number, draw(U64), length, wirelen) + frame
    else:
        body = frame
    body += bytes(-len(body) % 4)
    return frame_block(order, kind, body, draw(st.sampled_from([0, 0, 0, 0, 0, 4])))


def frame_block(order: str, kind: int, body: bytes, trailing_error: int = 0) -> bytes:
    total = len(body) + 12
    head, tail = struct.pack(order + "II", kind, total), struct.pack(order + "I", total)
    if trailing_error:
        tail = struct.pack(order + "I", total + trailing_error)
    return head + body + tail


@st.composite
def options(draw: st.DrawFn, order: str) -> bytes:
    code = draw(st.sampled_from([0, 2, 9, 9, 14]))
    value = draw(st.binary(max_size=9))
    if code == 9:
        value = bytes([draw(st.sampled_from([0, 3, 6, 9, 12, 28, 29, 127, 128, 0x9E, 0xBE, 0xFF]))])
    if code == 14:
        value = struct.pack(order + "q", draw(st.integers(-(2**63), 2**63 - 1)))
    length = draw(st.sampled_from([len(value)] * 5 + [len(value) + 1, 65535]))
    return struct.pack(order + "HH", code, length) + value + bytes(-len(value) % 4)


@st.composite
def pcapng_files(draw: st.DrawFn) -> bytes:
    data = b""
    for _ in range(draw(st.integers(1, 2))):
        order = draw(st.sampled_from("<>"))
        version = draw(st.sampled_from([1] * 9 + [2]))
        data += frame_block(
            order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, version, 0, -1)
        )
        if draw(st.integers(0, 9)):
            data += frame_block(order, 1, struct.pack(order + "HHI", 1, 0, 0))
        for _ in range(draw(st.integers(0, 6))):
            data += draw(blocks(order))
    return data


@st.composite
def harmed(draw: st.DrawFn, files: st.SearchStrategy[bytes]) -> bytes:
    """A file with some bytes changed and its end cut off, or not."""
    data = bytearray(draw(files))
    for _ in range(draw(st.integers(0, 3))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))])


@pytest.mark.property
@given(harmed(pcap_files()), cuts)
def test_pcap(data: bytes, cut: tuple[list[int], int, int]) -> None:
    assert_same(data, *cut)


@pytest.mark.property
@given(harmed(pcapng_files()), cuts)
def test_pcapng(data: bytes, cut: tuple[list[int], int, int]) -> None:
    assert_same(data, *cut)


STARTS = [
    b"",
    struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1),
    struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28),
]


@pytest.mark.property
@given(st.sampled_from(STARTS), st.binary(max_size=200), cuts)
def test_any_bytes(start: bytes, rest: bytes, cut: tuple[list[int], int, int]) -> None:
    if (start + rest)[:2] != b"\x1f\x8b":
        assert_same(start + rest, *cut)


@pytest.mark.property
@given(st.sampled_from([pcap_files(), pcapng_files()]).flatmap(lambda f: f), cuts, st.data())
def test_compressed_is_as_uncompressed(
    data: bytes, cut: tuple[list[int], int, int], draw: st.DataObject
) -> None:
    at = draw.draw(st.integers(0, len(data)))
    press = draw.draw(st.sampled_from([gzip.compress, zstandard.compress]))
    members = press(data[:at]) + press(data[at:])  # type: ignore[operator]
    found, want = read_all(members, *cut), read_all(data, [1 << 20])
    assert found.packets == want.packets
    assert found.state.problems == want.state.problems


@pytest.mark.property
@given(
    st.sampled_from([b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"]),
    st.binary(max_size=200),
    cuts,
)
def test_any_bytes_as_compressed(start: bytes, rest: bytes, cut: tuple[list[int], int, int]) -> None:
    read_all(start + rest, *cut)


@pytest.mark.property
@given(pcap_files(), cuts, st.data())
def test_damaged_compression_gives_a_beginning(
    data: bytes, cut: tuple[list[int], int, int], draw: st.DataObject
) -> None:
    press = draw.draw(st.sampled_from([gzip.compress, zstandard.compress]))
    pressed = bytearray(press(data))  # type: ignore[operator]
    at = draw.draw(st.integers(4, len(pressed) - 1))
    pressed[at] = draw.draw(st.integers(0, 255))
    found = read_all(bytes(pressed), *cut).packets
    cut_off = read_all(bytes(pressed[: draw.draw(st.integers(4, len(pressed)))]), *cut).packets
    assert cut_off[: len(found)] == found[: len(cut_off)]
