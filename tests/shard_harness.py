"""A shard without sockets: packets from a simple description in; events, previews, content out."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.capture.kernels.route import gather
from services.shard.content import ContentReader, Window
from services.shard.kernels import state as s
from services.shard.tables import Tables
from services.shard.worker import Worker
from shared.batch import EventBatch
from shared.columns import (
    CONTENT_KINDS,
    EVENT_CLOSE,
    EVENT_OPEN,
    LACKS_BEGIN,
    LACKS_TAILS,
    LIVE,
    PACKET,
    PARSED,
    REASONS,
    SERVICE_SOURCES,
    SERVICES,
    STATUSES,
)
from shared.flow_key import Endpoint, FlowKey
from shared.settings import Settings
from tests.reference.flow_hash import flow_hash
from tests.reference.reassembly import Limits
from tests.reference.streams import Packet, Stream, Tracker

Batch = tuple[NDArray[np.void], NDArray[np.uint8]]  # PACKET rows, payload


def small(**changed: Any) -> Settings:
    """Settings of a shard that starts at once."""
    chosen = {"batch_size": 64, "max_flows": 256, "max_stream_content_bytes": 1 << 20} | changed
    return Settings(**chosen)


def limits_of(tables: Tables) -> Limits:
    """The bounds a shard works with, as its twin takes them."""
    config = tables.config
    return Limits(
        idle_ns=int(config[s.IDLE_NS]),
        held_segments=int(config[s.MAX_HELD_SEGMENTS]),
        held_bytes=int(config[s.MAX_HELD_BYTES]),
        piece_bytes=int(config[s.MAX_EXTENT]),
        preview_bytes=int(config[s.PREVIEW_UPTO]),
    )


def rows_of(packets: Sequence[Packet]) -> Batch:
    """Packets as they come from capture, their payloads one behind the other."""
    rows = np.zeros(len(packets), PACKET)
    at = 0
    for row, packet in zip(rows, packets, strict=True):
        key, row["dir"] = FlowKey.of(packet.proto, packet.src, packet.dst)
        a, b = ((int.from_bytes(end.address, "big"), end.port) for end in (key.a, key.b))
        for side, (address, port) in (("a", a), ("b", b)):
            row[f"addr_{side}_hi"], row[f"addr_{side}_lo"] = divmod(address, 1 << 64)
            row[f"port_{side}"] = port
        row["hash"] = flow_hash(a, b, packet.proto)
        row["proto"], row["family"] = packet.proto, key.a.family
        row["ts_ns"], row["seq"], row["ack"] = packet.ts_ns, packet.seq, packet.ack
        row["flags"] = packet.flags
        row["payload_off"], row["payload_len"] = at, len(packet.payload)
        row["payload_wire"] = packet.wire_payload
        row["wirelen"] = row["caplen"] = packet.wirelen
        row["status"] = PARSED
        at += len(packet.payload)
    data = b"".join(packet.payload for packet in packets)
    return rows, np.frombuffer(data, np.uint8)


def spread(batch: Batch, shards: int) -> list[Batch]:
    """One batch for each shard, as capture's router cuts them."""
    packets, data = batch
    result = []
    for shard in range(shards):
        rows, payload = np.zeros(packets.size, PACKET), np.zeros(max(1, data.size), np.uint8)
        fill = np.zeros(2, np.uint64)
        came = gather(packets, 0, data, shard, shards, rows, payload, fill)
        assert came == packets.size
        result.append((rows[: int(fill[0])], payload[: int(fill[1])]))
    return result


def in_batches(packets: Sequence[Packet], cuts: Iterable[int]) -> Iterator[Sequence[Packet]]:
    """Batches that end before the packets numbered in `cuts`."""
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(packets)}), len(packets)]
    for start, stop in pairwise(edges):
        yield packets[start:stop]


class ShardRun:
    """One shard: feed it, then look at what it told and kept."""

    def __init__(self, settings: Settings | None = None, shard: int = 0, shards: int = 1) -> None:
        self.tables = Tables(settings or small(), shards)
        self.messages: list[NDArray[np.void]] = []  # the events of each
        self.worker = Worker(self.tables, shard, self._tell)
        self.reader = ContentReader(self.tables)
        self.now_ns = 0
        self.found: list[tuple[np.void, bytes]] = []  # MESSAGE rows as told, and their texts
        self.preview: dict[tuple[int, int], dict[int, int]] = {}  # (stream id, side) -> bytes
        self.matched: list[tuple[np.void, bytes]] = []  # MATCH rows as told, and their bytes
        self.pairs: dict[tuple[int, int], int] = {}  # (stream id, pattern) -> count as told

    def _tell(self, told: EventBatch) -> None:
        events, previews, octets = told.events, told.previews, told.preview_bytes
        self.messages.append(np.array(events))
        for row in told.messages:
            begin = int(row["text"])
            words = told.message_text[begin : begin + int(row["text_len"])].tobytes()
            self.found.append((row.copy(), words))
        for row in told.matches:
            octets_of_it = told.match_bytes[int(row["off"]) :][: int(row["len"])].tobytes()
            self.matched.append((row.copy(), octets_of_it))
        for pair in told.pairs:
            self.pairs[int(pair["stream_id"]), int(pair["pattern"])] = int(pair["count"])
        for event in events[events["kind"] == EVENT_OPEN]:  # perhaps told again
            for side in (0, 1):
                self.preview.pop((int(event["stream_id"]), side), None)
        for piece in previews:
            stream_id = int(self.tables.flows[int(piece["row"])]["stream_id"])
            text = self.preview.setdefault((stream_id, int(piece["dir"])), {})
            begin, length = int(piece["off"]), int(piece["len"])
            for i, byte in enumerate(octets[begin : begin + length].tolist()):
                assert int(piece["start"]) + i not in text, "a preview byte is told twice"
                text[int(piece["start"]) + i] = byte

    # ------------------------------------------------------------------------------ feed
    def take(self, packets: Sequence[Packet]) -> None:
        """One batch."""
        self.take_untold(packets)
        self.worker.tick(self.now_ns)

    def take_untold(self, packets: Sequence[Packet]) -> None:
        """One batch; what changed waits, unless there is no room for it."""
        rows, payload = rows_of(packets)
        self.now_ns = max(self.now_ns, max((packet.ts_ns for packet in packets), default=0))
        self.worker.take_untold(rows, payload, self.now_ns)

    def take_rows(self, rows: NDArray[np.void], payload: NDArray[np.uint8], now_ns: int) -> None:
        self.now_ns = max(self.now_ns, now_ns)
        self.worker.take(rows, payload, self.now_ns)

    def take_in_batches(self, packets: Sequence[Packet], cuts: Iterable[int]) -> None:
        for batch in in_batches(packets, cuts):
            self.take(batch)

    def finish(self) -> None:
        self.worker.finish()

    # ---------------------------------------------------------------------------- results
    def events(self, kind: int | None = None) -> list[np.void]:
        """All events, or those of a kind, in the order they were told."""
        return [
            event
            for message in self.messages
            for event in message
            if kind is None or event["kind"] == kind
        ]

    def final(self) -> dict[int, dict[str, Any]]:
        """Numbers of each stream's close, by its id."""
        return {int(event["stream_id"]): readable(event) for event in self.events(EVENT_CLOSE)}

    def row(self, stream_id: int) -> int:
        """Where a stream is in the table. KeyError when it left."""
        for row in np.flatnonzero(self.tables.flows["stream_id"] == np.uint64(stream_id)):
            if self.tables.flows[int(row)]["marks"] & LIVE:
                return int(row)
        raise KeyError(stream_id)

    def window(self, stream_id: int, side: int, start: int = 0, length: int = 1 << 40) -> Window:
        return self.reader.window(self.row(stream_id), side, start, length)

    def segments(self, stream_id: int, side: int) -> list[tuple[int, bytes]]:
        """All that is retained of a direction."""
        window, at, result = self.window(stream_id, side), 0, []
        for low, high in window.segments:
            result.append((low, window.data[at : at + high - low]))
            at += high - low
        assert at == len(window.data)
        return result

    def stats(self) -> dict[str, int]:
        return self.worker.stats()


def readable(event: np.void) -> dict[str, Any]:
    """An event in the words of the twin."""
    result = {
        name: event[name].tolist()
        for name in (
            "packets", "bytes", "payload_bytes", "stream_bytes", "gaps", "gap_bytes", "conflicts",
            "retransmissions", "stream_id", "incarnation", "first_ns", "last_ns", "client",
        )
    }  # fmt: skip
    return result | {
        "status": STATUSES[event["status"]],
        "reason": REASONS[event["reason"]],
        "content_kind": [CONTENT_KINDS[kind] for kind in event["content_kind"]],
        "service": SERVICES[event["service"]],
        "service_from": SERVICE_SOURCES[event["service_from"]],
        "midstream": bool(event["lacks"] & LACKS_BEGIN),
        "snaplen_cut": bool(event["lacks"] & LACKS_TAILS),
    }


ABOUT_MEMORY = {
    "flow_rows", "flow_rows_max", "content_used_bytes", "content_budget_bytes", "content_bytes",
    "groups",
}  # fmt: skip

ABOUT_MESSAGES = {
    "messages", "messages_over_limit", "messages_untold", "parser_gaps", "parser_errors",
    "parser_states_full", "parser_content_lost",
}  # fmt: skip


def assert_same(packets: Sequence[Packet], cuts: Sequence[int], settings: Settings) -> None:
    """One shard, its batches cut at `cuts`, against the twin, after each batch and at the end."""
    run = ShardRun(settings)
    twin = Tracker(limits_of(run.tables))
    for batch in in_batches(packets, cuts):
        run.take(batch)
        twin.take(batch)
        for stream in twin.streams:
            if stream.reason or not stream.is_idle(run.now_ns):  # else the sweep may be ahead
                assert_same_content(run, stream)
    run.finish()
    twin.finish(run.now_ns)
    assert run.final() == twin.final()
    check_events(run)
    check_totals(run)
    stats = run.stats()
    assert {name: stats[name] for name in twin.counters} == twin.counters
    unseen = set(stats) - set(twin.counters) - ABOUT_MEMORY - ABOUT_MESSAGES
    assert {name: stats[name] for name in unseen} == dict.fromkeys(unseen, 0)
    for stream in twin.streams:
        assert_same_content(run, stream)


def assert_same_content(run: ShardRun, stream: Stream) -> None:
    for side in (0, 1):
        direction = stream.directions[side]
        assert run.segments(stream.stream_id, side) == direction.segments()
        assert run.window(stream.stream_id, side).end_of_stream == direction.next
        assert run.preview.get((stream.stream_id, side), {}) == stream.preview(side)


def check_events(run: ShardRun) -> None:
    """One open before all else, one close after all else, and numbers that only grow."""
    seen: dict[int, np.void] = {}
    closed: set[int] = set()
    for event in run.events():
        stream_id = int(event["stream_id"])
        assert stream_id not in closed, "an event after the close"
        assert (event["kind"] == EVENT_OPEN) == (stream_id not in seen), "one open, and first"
        before = seen.get(stream_id)
        if before is not None:
            for name in ("packets", "bytes", "payload_bytes", "gaps", "gap_bytes", "conflicts"):
                assert (event[name] >= before[name]).all(), name
            assert event["row"] == before["row"]
        seen[stream_id] = event
        assert (event["kind"] == EVENT_CLOSE) == (event["reason"] != 0)
        if event["kind"] == EVENT_CLOSE:
            closed.add(stream_id)
    assert closed == set(seen), "a stream that was not closed"


def check_totals(run: ShardRun) -> None:
    """Nothing is lost without a counter."""
    stats = run.stats()
    closes = run.events(EVENT_CLOSE)
    assert stats["flows"] == len(closes) == stats["closed"]
    packets = sum(int(event["packets"].sum()) for event in closes)
    assert packets + stats["after_close_packets"] == stats["packets"]
    for name in ("stream_bytes", "gap_bytes", "gaps", "retransmissions", "conflicts"):
        assert sum(int(event[name].sum()) for event in closes) == stats[name], name
    assert stats["held_segments"] == 0
    assert stats["content_used_bytes"] <= run.tables.budget


def ends(text: str, port: int) -> Endpoint:
    """An endpoint, in short."""
    return Endpoint.of(text, port)
