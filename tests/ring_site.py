"""Packet rings filled from capture files, and what is in them."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dpkt
import numpy as np
from numpy.typing import NDArray

from services.capture.capture_file import open_captures
from services.capture.packet_ring.ring import PacketRing
from services.capture.pump import Pump
from shared.flow_key import Endpoint, FlowKey
from shared.packet_ring import Segment, segments
from shared.packet_ring.reading import look_up, spans
from tests import builders as b

BUDGET = 16 << 20
A4, B4 = "10.0.0.1", "10.0.0.2"
FOREVER = (-(1 << 62), 1 << 62)
Frames = list[tuple[int, bytes]]  # time and frame


class Nowhere:
    """Packets are not analysed here."""

    def route(self, packets: NDArray[np.void], data: NDArray[np.uint8]) -> None:
        pass


@contextmanager
def ring(folder: Path, budget: int = BUDGET, keep: bool = False) -> Iterator[PacketRing]:
    one = PacketRing(folder, budget, keep)
    try:
        yield one
    finally:
        one.close()


def take(one: PacketRing, folder: Path, *files: bytes, batch: int = 8192) -> None:
    """Capture files go through the pump into the ring."""
    pump = Pump(Nowhere(), one)
    for i, octets in enumerate(files):
        path = folder / f"input-{i}"
        path.write_bytes(octets)
        (source,) = open_captures([str(path)], batch)
        while (found := source.read()) is not None:
            pump.take(found)


def kept(folder: Path) -> Frames:
    """Every packet in the segments' files."""
    result: Frames = []
    for segment in segments(folder):
        octets = segment.pcap.read_bytes()[: segment.octets]
        with segment.pcap.open("rb") as file:
            magic = file.read(4)
        assert magic == bytes.fromhex("4d3cb2a1")
        at = 24
        while at < len(octets):
            seconds, nanos, size, _ = np.frombuffer(octets, "<u4", 4, at).tolist()
            result.append((seconds * 10**9 + nanos, octets[at + 16 : at + 16 + size]))
            at += 16 + size
    return result


def by_dpkt(file: Path) -> list[bytes]:
    return [frame for _, frame in dpkt.pcap.Reader(io.BytesIO(file.read_bytes()))]


def found_in(
    looked_up: list[Segment], flow: int, since: int, until: int, most: int = 999
) -> Frames:
    looked = look_up(looked_up, flow, since, until, most, time.monotonic() + 10)
    result: Frames = []
    for place in looked.places:
        for span in spans(place):
            for row in span.rows:
                start = int(row["off"])
                frame = span.data[start : start + int(row["caplen"])]
                result.append((int(row["ts_ns"]), frame))
    return result


def hash_of(proto: int, a: tuple[str, int], to: tuple[str, int]) -> int:
    return FlowKey.of(proto, Endpoint.of(*a), Endpoint.of(*to))[0].hash()


def traffic(count: int = 3000) -> Frames:
    """Packets of 50 flows and of none, with times that are not always in order."""
    result = []
    for i in range(count):
        payload = bytes([i % 251]) * (i * 37 % 1200)
        frame = b.tcp4(A4, 1000 + i % 50, B4, 80, payload)
        result.append((10**18 + i * 1000 + (i % 3) * 7001, frame if i % 7 else b.ethernet(payload)))
    return result


def disk_bytes(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.iterdir())
