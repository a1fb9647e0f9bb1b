"""Kernels beside their plain twins in tests/reference, on packets of a capture."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.capture.bpf import compile_filter
from services.capture.capture_file import CaptureReader, open_captures
from services.capture.kernels.bpf_vm import MEMORY_WORDS, keep
from services.capture.kernels.dump_lines import LINE_BYTES, dump_lines
from services.capture.kernels.route import gather
from services.capture.source import SourceState
from services.coordinator.kernels.jsonl_lines import LINE_MAX, format_events
from services.coordinator.view import Inventory
from services.shard.tables import Tables
from services.shard.worker import Worker
from shared.columns import EVENT, PACKET, RECORD
from shared.flow_key import Endpoint
from shared.kernels.headers import decode
from shared.settings import Settings
from tests.builders import pcap_bytes
from tests.reference import bpf_vm, headers, inventory, jsonl_lines
from tests.reference import dump_lines as plain_dump
from tests.reference.records import read_capture
from tests.reference.streams import Packet, Tracker

ENOUGH_S = 0.2  # how long a kernel is called again and again
FILTER = "tcp port 80 or udp"
STREAM_PACKETS = 300  # the twin of the shard keeps a dict of bytes

Pair = Callable[["Sample"], dict[str, Any]]


@dataclass
class Sample:
    """The first packets of a capture, in every form that a kernel or a twin takes."""

    data: NDArray[np.uint8]
    records: NDArray[np.void]  # RECORD
    packets: NDArray[np.void]  # PACKET
    frames: list[tuple[int, int, int, bytes]]  # ts_ns, link, wirelen, bytes
    file: bytes  # the same as a pcap file

    @classmethod
    def of(cls, capture: Path, count: int) -> "Sample":
        source = open_captures([str(capture)])[0]
        frames: list[tuple[int, int, int, bytes]] = []
        while len(frames) < count and (batch := source.read()) is not None:
            frames += islice(frames_of(batch.data, batch.records), count - len(frames))
        source.close()
        return cls.from_frames(frames)

    @classmethod
    def from_frames(cls, frames: list[tuple[int, int, int, bytes]]) -> "Sample":
        data = np.frombuffer(b"".join(frame for *_, frame in frames), np.uint8)
        records = np.zeros(len(frames), RECORD)
        at = 0
        for i, (ts_ns, link, wirelen, frame) in enumerate(frames):
            records[i] = (ts_ns, at, len(frame), wirelen, link, 0)
            at += len(frame)
        packets = np.zeros(len(frames), PACKET)
        decode(data, records, packets, np.zeros(7, np.uint64))
        link = frames[0][1] if frames else 1
        file = pcap_bytes([(ts, frame, wire) for ts, _, wire, frame in frames], link)
        return cls(data, records, packets, frames, file)

    def events(self) -> NDArray[np.void]:
        """What a shard tells of these packets."""
        told: list[NDArray[np.void]] = []
        worker = Worker(small_tables(), 0, lambda batch: told.append(batch.events.copy()))
        worker.take(*self.routed(), int(self.packets["ts_ns"].max()))
        worker.finish()
        return np.concatenate([np.empty(0, EVENT), *told])

    def routed(self) -> tuple[NDArray[np.void], NDArray[np.uint8]]:
        """The parsed packets as a shard gets them."""
        rows, payload = np.zeros(self.packets.size, PACKET), np.zeros(self.data.size, np.uint8)
        fill = np.zeros(2, np.uint64)
        gather(self.packets, 0, self.data, 0, 1, rows, payload, fill)
        return rows[: int(fill[0])], payload[: int(fill[1])]


def frames_of(data: NDArray[np.uint8], records: NDArray[np.void]) -> Any:
    for record in records:
        off, caplen = int(record["off"]), int(record["caplen"])
        frame = data[off : off + caplen].tobytes()
        yield int(record["ts_ns"]), int(record["link"]), int(record["wirelen"]), frame


def small_tables() -> Tables:
    return Tables(Settings(max_flows=65536, max_stream_content_bytes=64 << 20), 1)


# ------------------------------------------------------------------------------------- timing
def again_and_again(function: Callable[[], Any], items: int) -> float:
    """ns an item, over many calls."""
    function()
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < ENOUGH_S:
        function()
        calls += 1
    return (time.perf_counter() - began) * 1e9 / max(1, calls * items)


def once(function: Callable[[], Any], items: int) -> float:
    began = time.perf_counter()
    function()
    return (time.perf_counter() - began) * 1e9 / max(1, items)


def row(kernel: str, twin: str, item: str, kernel_ns: float, twin_ns: float) -> dict[str, Any]:
    return {
        "kernel": kernel,
        "twin": twin,
        "item": item,
        "kernel_ns": kernel_ns,
        "twin_ns": twin_ns,
    }


# -------------------------------------------------------------------------------------- pairs
def records(sample: Sample) -> dict[str, Any]:
    """The walk over a file's records, with its reader."""

    def read() -> None:
        source = CaptureReader(SourceState("", ""), lambda: InMemory(sample.file), 0)
        while source.read() is not None:
            pass

    count = sample.records.size
    slow = once(lambda: read_capture(sample.file), count)
    name = "walk_pcap (whole reader)"
    return row(name, "records.read_capture", "packet", again_and_again(read, count), slow)


class InMemory:
    """An input of a reader."""

    problem = ""

    def __init__(self, data: bytes) -> None:
        self._left = memoryview(data)
        self.size, self.position = len(data), 0

    def readinto(self, buffer: memoryview) -> int:
        piece = self._left[: len(buffer)]
        buffer[: len(piece)] = piece
        self._left = self._left[len(piece) :]
        self.position += len(piece)
        return len(piece)

    def close(self) -> None:
        self._left = memoryview(b"")


def decoding(sample: Sample) -> dict[str, Any]:
    counts, rows, count = np.zeros(7, np.uint64), sample.packets.copy(), sample.records.size

    def plain() -> None:
        for _, link, wirelen, frame in sample.frames:
            headers.decode_one(link, frame, wirelen)

    fast = again_and_again(lambda: decode(sample.data, sample.records, rows, counts), count)
    return row("decode", "headers.decode_one", "packet", fast, once(plain, count))


def filtering(sample: Sample) -> dict[str, Any]:
    """One program, as for a capture of one link type."""
    link = sample.frames[0][1]
    program = compile_filter(FILTER, link)
    entries = np.zeros(65536, np.uint32)
    entries[link] = 1
    kept, count = np.empty(sample.records.size, RECORD), sample.records.size
    memory, cursor = np.zeros(MEMORY_WORDS, np.uint64), np.zeros(1, np.int64)

    def fast() -> None:
        keep(program.words, entries, sample.data, sample.records, 0, kept, 0, memory, cursor)

    def plain() -> None:
        for _, _, wirelen, frame in sample.frames:
            bpf_vm.run(program.instructions, frame, wirelen)

    slow = once(plain, count)
    return row(f"keep ({FILTER})", "bpf_vm.run", "packet", again_and_again(fast, count), slow)


def dumping(sample: Sample) -> dict[str, Any]:
    count = sample.records.size
    out = np.zeros(LINE_BYTES * count + 2 * sample.data.size + 4 * count, np.uint8)
    cursor = np.zeros(1, np.int64)

    def plain() -> None:
        for number, (ts_ns, link, wirelen, frame) in enumerate(sample.frames):
            plain_dump.dump_line(ts_ns, number, link, frame, wirelen)

    fast = again_and_again(
        lambda: dump_lines(sample.data, sample.records, 0, 1, out, cursor), count
    )
    return row("dump_lines", "dump_lines.dump_line", "packet", fast, once(plain, count))


def streams(sample: Sample) -> dict[str, Any]:
    """The shard's whole work on a batch, against the twin that keeps every byte in a dict."""
    rows, payload = sample.routed()
    now_ns = int(sample.packets["ts_ns"].max())
    timings = []
    for _ in range(5):
        worker = Worker(small_tables(), 0, lambda *_: None)
        began = time.perf_counter()
        worker.take(rows, payload, now_ns)
        worker.finish()
        timings.append((time.perf_counter() - began) * 1e9 / max(1, rows.size))
    plain = [plain_packet(packet, payload) for packet in rows[:STREAM_PACKETS]]
    slow = once(lambda: Tracker().take(plain), len(plain))
    return row("Worker.take (all of its kernels)", "streams.Tracker", "packet", min(timings), slow)


def plain_packet(packet: np.void, payload: NDArray[np.uint8]) -> Packet:
    """A PACKET row as the twin of the shard wants it."""
    a, b = (
        Endpoint(
            int(packet["family"]),
            (int(packet[f"addr_{side}_hi"]) << 64 | int(packet[f"addr_{side}_lo"])).to_bytes(16),
            int(packet[f"port_{side}"]),
        )
        for side in "ab"
    )
    src, dst = (b, a) if packet["dir"] else (a, b)
    off, length = int(packet["payload_off"]), int(packet["payload_len"])
    return Packet(
        src, dst, payload[off : off + length].tobytes(),
        int(packet["proto"]), int(packet["flags"]), int(packet["seq"]), int(packet["ack"]),
        int(packet["ts_ns"]), int(packet["payload_wire"]),
    )  # fmt: skip


def merging(sample: Sample) -> dict[str, Any]:
    events = sample.events()
    mine = Inventory(65536)
    plain = inventory.Inventory(65536)
    fast = again_and_again(lambda: mine.merge(0, events), events.size)
    slow = once(lambda: plain.merge(0, events), events.size)
    return row("merge_events", "inventory.Inventory", "event", fast, slow)


def lines(sample: Sample) -> dict[str, Any]:
    events = sample.events()[:512]
    out = np.zeros(max(1, events.size) * LINE_MAX, np.uint8)
    every = np.arange(events.size)
    fast = again_and_again(lambda: format_events(events, every, out), events.size)
    slow = once(lambda: jsonl_lines.format_events(events), events.size)
    return row("format_events", "jsonl_lines.format_events", "event", fast, slow)


PAIRS: Sequence[Pair] = (records, decoding, filtering, dumping, streams, merging, lines)
