"""The way of a capture through reader, decoder, fragments, router and shards, in one process.

`run` feeds any bytes to all rigs. It raises what a rig raises, and `InvariantError` when one of
these does not hold:

1. A record lies within its batch, a routed payload within its slot, a preview within its bytes.
2. Every packet gets one decode status, and every parsed one is counted by exactly one stream.
3. A stream is opened once, closed once, and its close is its last event.
4. Nothing is held when the input has ended, and no out-of-order node is lost.
5. A window of content is sorted, disjoint, and as long as it says; what was not evicted is there.
6. Neither the number of shards nor the size of batches changes ids, final numbers or content.
7. A single shard and its plain twin agree on numbers and content.
"""

import hashlib
import io
import logging
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.capture.bpf import CaptureFilter
from services.capture.capture_file import CaptureReader
from services.capture.dump import DumpWriter
from services.capture.kernels.route import gather
from services.capture.pump import Pump
from services.capture.source import Batch, SourceState
from services.shard.content import ContentReader, Window
from services.shard.kernels.reassembly import COMPARED_EXTENTS
from services.shard.kernels.state import IDLE_NS, RESERVED_NODES, USED_ROWS
from services.shard.tables import Tables
from services.shard.worker import Worker
from shared.batch import EventBatch
from shared.columns import (
    CLOSE_SENT,
    EVENT,
    EVENT_CLOSE,
    EVENT_OPEN,
    LIVE,
    PACKET,
    PARSED,
    PREVIEW_BYTES,
)
from shared.settings import Settings
from tests.fuzz.twin import Recorder, differences

READS_A_BYTE = 2  # a reader that takes more turns than that does not come forward
READS_AT_LEAST = 1000
STREAMS_READ = 64
TWIN_OF = 4  # one capture of so many is compared with the twin
NEVER_NS = 9_200_000_000_000_000_000  # more packet time than there is, and than can be asked for
FILTER = "tcp or (udp and not port 53) or ip6 or icmp"
# Of a close event: where the stream lives, which depends on the number of shards
PLACE_FIELDS = ("row", "shard", "pad")


class InvariantError(AssertionError):
    """An invariant does not hold."""


def require(holds: object, what: str) -> None:
    if not holds:
        raise InvariantError(what)


@dataclass(frozen=True)
class Rig:
    """One way to run a capture."""

    name: str
    settings: Settings
    shards: int = 1
    batch_bytes: int = 1 << 20
    slot_bytes: int = 1 << 20
    roomy: bool = True  # nothing is evicted and nothing becomes idle


RIGS = (
    Rig(
        "whole",
        Settings(
            max_flows=4096,
            max_stream_content_bytes=16 << 20,
        ),
    ),
    Rig(
        "split",
        Settings(
            batch_size=7,
            max_flows=4096,
            max_stream_content_bytes=48 << 20,
        ),
        shards=3,
        batch_bytes=4096,
    ),
    Rig(
        "narrow",
        Settings(
            batch_size=5,
            max_flows=3,
            flow_idle_timeout_ms=1,
            max_tcp_buffered_bytes_per_flow=600,
            max_tcp_out_of_order_segments_per_direction=2,
            stream_preview_bytes=16,
            stream_update_packets=1,
            max_stream_content_bytes=8192,
            max_stream_content_bytes_per_stream=1000,
        ),
        shards=2,
        batch_bytes=1 << 16,
        slot_bytes=2000,
        roomy=False,
    ),
)


class Memory:
    """An Input over bytes."""

    problem = ""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self.size = len(data)
        self.position = 0

    def descriptors(self) -> list[int]:
        return []

    def readinto(self, buffer: memoryview) -> int | None:
        got = self._file.readinto(buffer)
        self.position += got
        return got

    def close(self) -> None:
        self._file.close()


class Nowhere(io.RawIOBase):
    """Takes what is written and forgets it."""

    def write(self, data: object) -> int:
        return len(data)  # type: ignore[arg-type]


@dataclass
class Stream:
    """What the events of one stream said so far."""

    opened: int = 0
    closed: int = 0
    packets: int = 0


@dataclass
class Told:
    """All that one shard told."""

    shard: int
    rows_max: int
    streams: dict[int, Stream] = field(default_factory=dict)
    closes: list[NDArray[np.void]] = field(default_factory=list)

    def __call__(self, told: EventBatch) -> None:
        events, previews, octets = told.events, told.previews, told.preview_bytes
        ends = previews["off"].astype(np.int64) + previews["len"]
        kept = previews["start"].astype(np.int64) + previews["len"]
        require(not previews.size or ends.max() <= octets.size, "a preview beyond its bytes")
        require(not previews.size or kept.max() <= PREVIEW_BYTES, "a preview longer than is kept")
        require(not previews.size or previews["row"].max() < self.rows_max, "preview of no row")
        require(not events.size or events["row"].max() < self.rows_max, "event of no row")
        require(bool((events["shard"] == self.shard).all()), "event of another shard")
        packets = events["packets"].sum(axis=1, dtype=np.uint64)
        ids, kinds = events["stream_id"].tolist(), events["kind"].tolist()
        for stream_id, kind, count in zip(ids, kinds, packets.tolist(), strict=True):
            self._event(self.streams.setdefault(stream_id, Stream()), kind, count)
        self.closes.append(events[events["kind"] == EVENT_CLOSE].copy())

    def _event(self, stream: Stream, kind: int, packets: int) -> None:
        require(not stream.closed, "an event after the close")
        require((kind == EVENT_OPEN) == (not stream.opened), "not opened first, or opened twice")
        require(packets >= stream.packets, "packets went down")
        stream.opened, stream.packets = 1, packets
        stream.closed = int(kind == EVENT_CLOSE)


class Shards:
    """The sink of a `Pump`: routes to workers as `Router` does, without sockets."""

    def __init__(self, rig: Rig, twin: bool = False) -> None:
        rows = rig.settings.batch_size
        self.rig, self.now_ns = rig, 0
        self.tables = [Tables(rig.settings, rig.shards) for _ in range(rig.shards)]
        for tables in self.tables:
            if rig.roomy:
                tables.config[IDLE_NS] = NEVER_NS
        self.told = [Told(i, rig.settings.max_flows) for i in range(rig.shards)]
        self.workers = [Worker(self.tables[i], i, self.told[i]) for i in range(rig.shards)]
        self.rows = [np.zeros(rows, PACKET) for _ in range(rig.shards)]
        self.payload = [np.empty(rig.slot_bytes, np.uint8) for _ in range(rig.shards)]
        self.fill = [np.zeros(2, np.uint64) for _ in range(rig.shards)]
        self.recorder = Recorder() if twin else None

    def route(self, packets: NDArray[np.void], data: NDArray[np.uint8]) -> None:
        for shard in range(self.rig.shards):
            at = 0
            while True:
                before = at
                at = gather(
                    packets, at, data, shard, self.rig.shards, self.rows[shard],
                    self.payload[shard], self.fill[shard],
                )  # fmt: skip
                if at >= packets.size:
                    break
                require(at > before or self.fill[shard][0], "a packet fits no batch")
                self.send(shard)
        if packets.size:
            self.now_ns = max(self.now_ns, int(packets["ts_ns"].max()))

    def send(self, shard: int) -> None:
        count, octets = (int(n) for n in self.fill[shard])
        rows = self.rows[shard][:count]
        ends = rows["payload_off"].astype(np.int64) + rows["payload_len"]
        require(not count or ends.max() <= octets, "a payload beyond its slot")
        if self.recorder is not None:
            self.recorder.take(rows, self.payload[shard])
        self.workers[shard].take(rows, self.payload[shard][:octets], self.now_ns)
        self.fill[shard][:] = 0

    def finish(self) -> None:
        for shard, worker in enumerate(self.workers):
            self.send(shard)
            worker.now_ns = max(worker.now_ns, self.now_ns)
            worker.finish()

    def total(self, name: str) -> int:
        return sum(worker.stats()[name] for worker in self.workers)


class Bystanders:
    """What else looks at batches: a capture filter and the dump mode. One each a process."""

    def __init__(self) -> None:
        logging.getLogger("services.capture.bpf").setLevel(logging.ERROR)  # each strange link type
        self._filter = CaptureFilter(FILTER)
        self._dump = DumpWriter(Nowhere(), "nowhere")

    def look(self, batch: Batch) -> None:
        kept = self._filter.apply(batch)
        require(kept.records.size <= batch.records.size, "the filter made packets")
        self._dump.write(kept)


@dataclass
class Outcome:
    """What one rig made of a capture."""

    packets: int
    streams: int
    closes: NDArray[np.void]  # EVENT rows in the order of ids; empty unless the rig is roomy
    contents: dict[int, bytes]  # by id: digest of what is retained


def batches(data: bytes, rig: Rig) -> Iterator[Batch]:
    """Everything the reader finds."""
    state = SourceState("case", "file")
    source = CaptureReader(state, lambda: Memory(data), 0, rig.settings.batch_size, rig.batch_bytes)
    found = 0
    for _ in range(READS_AT_LEAST + READS_A_BYTE * len(data)):
        batch = source.read()
        if batch is None:
            break
        ends = batch.records["off"].astype(np.int64) + batch.records["caplen"]
        require(not ends.size or ends.max() <= batch.used, "a record beyond its batch")
        require(batch.used <= batch.data.size, "a batch longer than its bytes")
        found += batch.records.size
        yield batch
    else:
        raise InvariantError("the reader does not come to an end")
    require(source.read() is None, "the end did not stay")
    require(state.packets == found, "the source miscounts")
    require(state.status in ("done", "failed"), "the source is not done")


def run_rig(data: bytes, rig: Rig, bystanders: Bystanders | None = None) -> Outcome:
    """One capture through one rig."""
    # the twin is slow: some captures, always the same ones
    shards = Shards(rig, rig.shards == 1 and zlib.crc32(data) % TWIN_OF == 0)
    pump = Pump(shards)
    for batch in batches(data, rig):
        if bystanders is not None:
            bystanders.look(batch)
        pump.take(batch)
    shards.finish()
    check_counts(pump, shards)
    contents: dict[int, bytes] = {}
    for tables in shards.tables:
        check_left_over(tables)
        contents |= check_content(tables, rig)
    if shards.recorder is not None and shards.recorder.comparable:
        check_twin(shards, shards.recorder)
    streams = sum(len(told.streams) for told in shards.told)
    if not rig.roomy:
        return Outcome(pump.packets, streams, np.empty(0, EVENT), {})
    return Outcome(pump.packets, streams, final_events(shards), contents)


def run(data: bytes, bystanders: Bystanders | None = None) -> Outcome:
    """One capture through all rigs."""
    outcomes = []
    for number, rig in enumerate(RIGS):
        try:
            outcomes.append(run_rig(data, rig, None if number else bystanders))
        except Exception as error:
            error.add_note(f"rig: {rig.name}")
            raise
    first, *others = (one for one, rig in zip(outcomes, RIGS, strict=True) if rig.roomy)
    for other in others:
        check_same(first, other)
    return first


# --------------------------------------------------------------------------------- invariants
def check_counts(pump: Pump, shards: Shards) -> None:
    """Rules 2 and 3."""
    require(int(pump.counts.sum()) == pump.packets, "decode statuses do not add up")
    # a length on the wire that no packet has passes the decoder; the shard refuses and counts it
    parsed = int(pump.counts[PARSED]) - shards.total("malformed_rows")
    require(shards.total("packets") == parsed, "packets were lost between capture and shards")
    streams = [stream for told in shards.told for stream in told.streams.values()]
    require(all(stream.closed for stream in streams), "a stream was not closed")
    told = sum(stream.packets for stream in streams)
    require(told + shards.total("after_close_packets") == parsed, "streams miss packets")
    require(shards.total("flows") == len(streams), "streams were not told")


def check_left_over(tables: Tables) -> None:
    """Rule 4."""
    require(not tables.dirs["held"].any(), "something is still held")
    require(not tables.dirs["held_count"].any(), "held pieces are miscounted")
    require(int(tables.state[RESERVED_NODES]) == 0, "out-of-order nodes were lost")


def check_content(tables: Tables, rig: Rig) -> dict[int, bytes]:
    """Rule 5, for some streams; a digest of what each of them retains."""
    reader, result = ContentReader(tables), {}
    flows = tables.flows[: int(tables.state[USED_ROWS])]
    for row in np.flatnonzero(flows["marks"] & (LIVE | CLOSE_SENT))[:STREAMS_READ].tolist():
        digest = hashlib.blake2b(digest_size=16)
        for direction in (0, 1):
            window = reader.window(row, direction, 0, reader.emitted(row, direction))
            missing = check_window(window)
            if rig.roomy:
                gap_bytes = int(tables.dirs[2 * row + direction]["gap_bytes"])
                require(missing == gap_bytes, "content is missing that was not evicted")
            digest.update(repr(window.segments).encode() + window.data)
        result[int(flows[row]["stream_id"])] = digest.digest()
    return result


def check_window(window: Window) -> int:
    """One whole direction; how many of its bytes are not there."""
    at = -1
    for low, high in window.segments:
        require(at < low < high <= window.end_of_stream, "segments out of order")
        at = high
    have = sum(high - low for low, high in window.segments)
    require(have == len(window.data), "content is not as long as its segments")
    missing = sum(high - low for low, high in window.gaps)
    require(have + missing == window.end_of_stream, "segments and gaps do not make the whole")
    return missing


def final_events(shards: Shards) -> NDArray[np.void]:
    """All closes, whatever shard and row they come from, in the order of ids."""
    pieces = [batch for told in shards.told for batch in told.closes]
    closes = np.concatenate([np.empty(0, EVENT), *pieces])
    return closes[np.argsort(closes["stream_id"], kind="stable")]


def check_twin(shards: Shards, recorder: Recorder) -> None:
    """Rule 7."""
    closes = final_events(shards)
    told = differences(recorder, shards.tables[0], closes, shards.now_ns)
    require(not told, "; ".join(["the twin differs", *told[:5]]))


def check_same(one: Outcome, other: Outcome) -> None:
    """Rule 6."""
    same_ids = one.closes["stream_id"].tolist() == other.closes["stream_id"].tolist()
    require(same_ids, "shards or batches change the streams")
    short = one.closes["packets"].sum(axis=1) <= COMPARED_EXTENTS
    for name in EVENT.names or ():
        if name in PLACE_FIELDS:
            continue
        # only so many extents are looked at for a conflict, and batches decide how long those are
        which = short if name == "conflicts" else slice(None)
        same = np.array_equal(one.closes[name][which], other.closes[name][which])
        require(same, f"shards or batches change {name}")
    for stream_id in one.contents.keys() & other.contents.keys():
        same = one.contents[stream_id] == other.contents[stream_id]
        require(same, "shards or batches change the content")
