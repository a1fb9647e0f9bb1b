"""A place where a shard runs as a process: capture and coordinator are played by the test."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from services.shard.search import STREAM_REF
from shared.batch import event_batch
from shared.columns import EVENT
from shared.lanes import LaneSender
from shared.schema import EventsHeader, Pattern, Reply, Request, unpack
from shared.wire import Bus, open_socket, pack_reply, refusal
from tests.conftest import ROOT, clean_environ
from tests.reference.streams import Packet
from tests.shard_harness import ends, rows_of
from tests.waiting import PATIENCE_S, eventually

START_S = 120.0  # the first start may have kernels to compile
ROWS, PAYLOAD = 64, 1 << 16
UDP, PSH_ACK = 17, 24
Context = zmq.Context[zmq.Socket[bytes]]


@dataclass
class Told:
    """One message of events."""

    header: EventsHeader
    events: NDArray[np.void]
    previews: list[tuple[int, int, int, bytes]] = field(default_factory=list)
    matches: list[tuple[int, int, bytes]] = field(default_factory=list)  # pattern, start, bytes
    pairs: list[tuple[int, int]] = field(default_factory=list)  # pattern, count


class Coordinator(threading.Thread):
    """Answers shards and collects what they tell. reads: whether it takes events off its queue.
    refuses: a code with which every request is refused."""

    def __init__(self, bus: Bus, name: str, refuses: str = "") -> None:
        super().__init__(daemon=True)
        self.bus, self.id, self.refuses = bus, name, refuses
        self.context: Context = zmq.Context()
        self.told: list[Told] = []
        self.patterns: tuple[int, list[Pattern]] | None = None  # version, list
        self.favorites: tuple[int, list[tuple[int, int]]] = 0, []  # version, rows with their ids
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.reads = threading.Event()
        self.reads.set()
        self.leaving = threading.Event()
        self.ready = threading.Event()

    def __enter__(self) -> "Coordinator":
        self.start()
        assert self.ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.leaving.set()
        self.join(PATIENCE_S)

    def run(self) -> None:
        events = open_socket(self.context, zmq.PULL, 2)
        requests = open_socket(self.context, zmq.ROUTER, 100)
        events.bind(self.bus.events)
        requests.bind(self.bus.requests)
        self.ready.set()
        while not self.leaving.is_set():
            if requests.poll(5):
                *envelope, frame = requests.recv_multipart()
                requests.send_multipart([*envelope, *self.answer(frame)])
            while self.reads.is_set() and events.poll(0):
                self.told.append(read(events.recv_multipart()))
        self.context.destroy(linger=0)

    def answer(self, frame: bytes) -> list[Any]:
        request = unpack(Request, frame, "test")
        self.asked.append((request.op, request.args))
        if self.refuses:
            return pack_reply(refusal(self.refuses, "there is no number left"))
        if request.op == "register":
            return pack_reply(Reply(result={"index": 0, "shards": 1, "coordinator": self.id}))
        version, favorites = self.favorites
        if request.op == "select_rows":
            assert request.args["filter"] == {"only_favorites": True, "include_hidden": True}
            rows = np.array(favorites, STREAM_REF)
            shards = [{"shard": 0, "count": rows.size}] if favorites else []
            result = {"shards": shards, "total": rows.size, "left_out": 0}
            return pack_reply(Reply(result=result), [rows.tobytes()] if favorites else [])
        result = {"coordinator": self.id, "acked_seq": 0, "favorites_version": version}
        if self.patterns is not None:
            version, patterns = self.patterns
            result["patterns_version"] = version
            if request.op == "patterns":
                words = [pattern.model_dump() for pattern in patterns]
                result = {"version": version, "patterns": words}
        return pack_reply(Reply(result=result))

    def count(self, op: str) -> int:
        return sum(asked == op for asked, _ in self.asked)

    def events(self, kind: int) -> list[np.void]:
        return [event for told in self.told for event in told.events if event["kind"] == kind]

    def ended(self) -> EventsHeader | None:
        """The newest end that was told."""
        ends_ = [told.header for told in self.told if told.header.kind == "end"]
        return ends_[-1] if ends_ else None


def read(frames: Sequence[bytes]) -> Told:
    header = unpack(EventsHeader, frames[0], "test")
    if header.kind == "end":
        return Told(header, np.empty(0, EVENT))
    told = event_batch(header, frames[1:], "test")
    octets = told.preview_bytes.tobytes()
    previews = [
        (int(p["row"]), int(p["dir"]), int(p["start"]), octets[p["off"] :][: p["len"]])
        for p in told.previews
    ]
    found = told.match_bytes.tobytes()
    matches = [
        (int(m["pattern"]), int(m["start"]), found[m["off"] :][: m["len"]]) for m in told.matches
    ]
    pairs = [(int(pair["pattern"]), int(pair["count"])) for pair in told.pairs]
    return Told(header, told.events, previews, matches, pairs)


class Site:
    """A run directory, shards in it, and the end of capture's lane."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bus = folder, Bus(str(folder))
        self.context: Context = zmq.Context()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.lanes: list[LaneSender] = []

    def shard(self, **settings: Any) -> "subprocess.Popen[bytes]":
        chosen = {
            "run_dir": self.folder, "batch_size": ROWS, "max_flows": 5000,
            "max_stream_content_bytes": 1 << 24, "workers": 1,
        } | settings  # fmt: skip
        environ = {f"FLOWMATE_{name.upper()}": str(value) for name, value in chosen.items()}
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "services.shard"],
                env=clean_environ() | environ, cwd=ROOT, stderr=log,
            )  # fmt: skip
        self.processes.append(process)
        return process

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def lane(self, inline: bool = False, depth: int = 4) -> LaneSender:
        sender = LaneSender(
            self.context, self.bus, 0, rows=ROWS, payload=PAYLOAD, depth=depth, inline=inline
        )
        self.lanes.append(sender)
        return sender

    def ask(self, op: str, **args: Any) -> tuple[Reply, list[bytes]]:
        return self.bus.ask(self.context, self.bus.shard_requests(0), op, args)

    def content(self, event: np.void, side: int) -> bytes:
        reply, (data,) = self.ask(
            "content", stream_id=int(event["stream_id"]), row=int(event["row"]), direction=side
        )
        assert reply.error is None, reply.error
        return data

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for lane in self.lanes:
            lane.socket.close(linger=0)
            lane.credits.close(linger=0)
        self.context.destroy(linger=0)


def send(lane: LaneSender, packets: Sequence[Packet]) -> None:
    """One batch, as the router sends it."""
    slot = eventually(lambda: (lane.acquire(20),) if lane.free or lane_waits(lane) else None)[0]
    assert slot is not None
    rows, payload = rows_of(packets)
    lane.slots[slot].rows[: rows.size] = rows
    lane.slots[slot].payload[: payload.size] = payload
    now_ns = max(packet.ts_ns for packet in packets)
    eventually(lambda: lane.send(slot, rows.size, payload.size, now_ns, 100))


def lane_waits(lane: LaneSender) -> bool:
    """Whether a slot came back."""
    slot = lane.acquire(20)
    if slot is not None:
        lane.free.append(slot)
    return slot is not None


def say(lane: LaneSender, kind: Any, now_ns: int = 0) -> None:
    eventually(lambda: lane.say(kind, now_ns, 100))


def message(flow: int, number: int, octets: bytes) -> Packet:
    """In-order data on one of many connections; all messages of a test are of one length."""
    return Packet(
        ends("10.0.0.1", 2000 + flow), ends("10.0.0.2", 80), octets, 6, PSH_ACK,
        number * len(octets), ts_ns=number + 1,
    )  # fmt: skip


def started(coordinator: Coordinator) -> None:
    eventually(lambda: coordinator.count("heartbeat"), START_S)
