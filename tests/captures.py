"""Capture files read to their end through the front door, from inputs cut as a test likes."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from services.capture.capture_file import CaptureReader
from services.capture.source import PacketSource, SourceState
from tests.reference.records import Packet

READS_MAX = 100_000


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

    def descriptors(self) -> list[int]:
        return []

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
    data: bytes,
    sizes: Iterable[int] = (1 << 20,),
    batch_packets: int = 8192,
    batch_bytes: int = 1 << 20,
) -> Found:
    """Everything a reader gives of an input that arrives in pieces of these sizes."""
    state = SourceState("test", "file")
    pieces = Pieces(data, list(sizes))
    return drain(CaptureReader(state, lambda: pieces, 7, batch_packets, batch_bytes), batch_packets)


def drain(reader: PacketSource, batch_packets: int = 8192) -> Found:
    """Read to the end; checks what a source promises of every batch."""
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
