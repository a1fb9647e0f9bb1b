"""Stand-ins for the services behind the API: they answer over real sockets in a run directory."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import msgpack
import numpy as np
import zmq
from numpy.typing import NDArray

from services.api.health import LedgerSums
from services.coordinator.lives import Lives
from services.coordinator.shards import Shard
from services.coordinator.sources import describe
from shared.columns import CLOSED, EVENT, PREVIEW_BYTES, TCP, VIEW
from shared.schema import Reply, Request, SourceReport, unpack
from shared.wire import Bus, refusal

Answer = tuple[Reply, list[bytes]]
Operation = Callable[[dict[str, Any]], Answer]


class FakeService:
    """Answers requests in a thread; `operations` may be changed while it runs."""

    def __init__(self, address: str, operations: dict[str, Operation]) -> None:
        self.operations = operations
        self.asked: list[Request] = []
        self.silent = False
        self._stop = threading.Event()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(address)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self.close()

    def close(self) -> None:
        self._socket.close()
        self._context.term()

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._socket.poll(20):
                peer, empty, frame = self._socket.recv_multipart()
                assert empty == b""
                request = unpack(Request, frame, "test")
                self.asked.append(request)
                if not self.silent:
                    reply, frames = self.operations[request.op](request.args)
                    self._socket.send_multipart([peer, b"", reply.pack(), *frames])


class FakeCoordinator(FakeService):
    """An inventory and a delta log."""

    def __init__(self, run_dir: str, instance: str = "one") -> None:
        self.events: NDArray[np.void] = np.zeros(0, EVENT)
        self.views: NDArray[np.void] = np.zeros(0, VIEW)
        self.previews: list[tuple[bytes, bytes]] = []
        self.log: list[dict[str, Any]] = []
        self.forgotten = 0  # deltas up to this cursor are no longer held
        self.instance = instance
        self.next_cursor: int | None = None
        self.shard_indices = [0]
        bus = Bus(run_dir)
        super().__init__(
            bus.requests,
            {
                "health": self._health,
                "metrics": lambda args: (Reply(), [b"flowmate_shard_gaps_total 3.0\n"]),
                "streams": self._streams,
                "stream": self._stream,
                "where": self._where,
                "deltas": self._deltas,
                "timeline": self._timeline,
                "facets": self._facets,
                "topology": self._topology,
            },
        )
        self._publisher = self._context.socket(zmq.PUB)
        self._publisher.setsockopt(zmq.LINGER, 0)
        self._publisher.bind(bus.deltas)

    def close(self) -> None:
        self._publisher.close()
        super().close()

    def add(self, event: NDArray[np.void], *previews: bytes, **view: int) -> None:
        """Add one stream to the inventory."""
        row = np.zeros(1, VIEW)
        row["number"] = len(self.events) + 1
        row["preview_len"][0] = [len(piece) for piece in previews]
        for name, value in view.items():
            row[name] = value
        self.events = np.concatenate([self.events, event])
        self.views = np.concatenate([self.views, row])
        self.previews.append((previews[0], previews[1]))

    def say(self, kind: str = "stats", **fields: Any) -> int:
        """Append a delta and publish it."""
        cursor = len(self.log) + 1
        self.log.append(
            {"cursor": cursor, "coordinator": self.instance, "kind": kind, "ts_us": 1, **fields}
        )
        self._publisher.send(msgpack.packb(self.log[-1]))
        return cursor

    def operations_asked(self, op: str) -> list[dict[str, Any]]:
        return [request.args for request in self.asked if request.op == op]

    def _health(self, args: dict[str, Any]) -> Answer:
        return Reply(
            result={
                "status": "ok",
                "run_status": "running",
                "troubles": [],
                "services": Lives().describe(),
                "sources": [describe(SourceReport(name="a.pcap", kind="pcap", status="reading"))],
                "ledger": {
                    "files": [],
                    "older": dict.fromkeys(LedgerSums.model_fields, 0),
                    "states": {},
                },
                "shards": [Shard(0, heard_at=0.0, ready=True).describe(0.0)],
                "totals": {"packets": 3},
                "rates": {"packets_per_s": 1.5},
                "drops": {},
                "queues": {},
                "budgets": {},
                "latest_cursor": len(self.log),
            }
        ), []

    def _rows(self, chosen: list[int]) -> list[bytes]:
        previews = b"".join(
            piece.ljust(PREVIEW_BYTES, b"\0") for i in chosen for piece in self.previews[i]
        )
        return [self.events[chosen].tobytes(), self.views[chosen].tobytes(), previews]

    def _streams(self, args: dict[str, Any]) -> Answer:
        chosen = list(range(len(self.events)))[: args["limit"]]
        result = {
            "count": len(chosen),
            "total": len(self.events),
            "hidden": 0,
            "before": 0,
            "next_cursor": self.next_cursor,
        }
        return Reply(result=result), self._rows(chosen)

    def _timeline(self, args: dict[str, Any]) -> Answer:
        """Two buckets, whatever is asked for."""
        count = len(self.events)
        matches = [{"pattern_id": 4, "counts": [0, 1]}]
        result = {
            "start_us": 0, "bucket_us": 1000, "streams": [0, count], "bytes": [0, 9], "earlier": 0,
            "matches": matches,
        }  # fmt: skip
        return Reply(result=result), []

    def _facets(self, args: dict[str, Any]) -> Answer:
        count = len(self.events)
        result = {
            "total": count,
            "hidden": 0,
            "favorites": 1,
            "services": [{"name": "unknown", "count": count, "spark": [count] + [0] * 15}],
            **{name: [] for name in ("protocols", "statuses", "content_kinds", "patterns", "tags")},
        }
        return Reply(result=result), []

    def _stream(self, args: dict[str, Any]) -> Answer:
        chosen = np.flatnonzero(self.events["stream_id"] == np.uint64(args["stream_id"])).tolist()
        result = {"count": len(chosen), "total": 0, "hidden": 0, "next_cursor": None}
        return Reply(result=result), self._rows(chosen)

    def _where(self, args: dict[str, Any]) -> Answer:
        found = self.events[self.events["stream_id"] == np.uint64(args["stream_id"])]
        names = ("shard", "row", "client") if len(found) else ()
        return Reply(result={name: int(found[0][name]) for name in names}), []

    def _topology(self, args: dict[str, Any]) -> Answer:
        shards = [{"index": index, "ready": True} for index in self.shard_indices]
        return Reply(result={"expected": len(shards), "shards": shards}), []

    def _deltas(self, args: dict[str, Any]) -> Answer:
        latest, cursor = len(self.log), args["cursor"]
        missed = cursor > latest or cursor < self.forgotten
        deltas = [] if missed else self.log[cursor : cursor + args["limit"]]
        result = {
            "cursor": latest if missed else cursor + len(deltas),
            "latest": latest,
            "missed": missed,
            "deltas": deltas,
            "coordinator": self.instance,
        }
        return Reply(result=result), []


class FakeShard(FakeService):
    """Content of streams by table row: `pieces[row][direction]` = [(start, bytes)], and an end."""

    def __init__(self, run_dir: str, index: int = 0) -> None:
        self.pieces: dict[int, tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]]] = {}
        self.ends: dict[int, tuple[int, int]] = {}
        self.dropped: dict[int, tuple[int, int]] = {}  # bytes that are not retained any more
        self.enabled = True
        operations: dict[str, Operation] = {"content": self._content, "retention": self._retention}
        super().__init__(Bus(run_dir).shard_requests(index), operations)

    def _retained(self, row: int) -> dict[str, Any]:
        kept = [sum(len(octets) for _, octets in pieces) for pieces in self.pieces[row]]
        return {"enabled": self.enabled} | {
            name: {"retained_bytes": kept[i], "dropped_bytes": self.dropped.get(row, (0, 0))[i]}
            for i, name in enumerate(("a_to_b", "b_to_a"))
        }

    def _retention(self, args: dict[str, Any]) -> Answer:
        if args["row"] not in self.pieces:
            return refusal("not_found", "it made room for newer ones"), []
        return Reply(result=self._retained(args["row"])), []

    def _content(self, args: dict[str, Any]) -> Answer:
        row, direction, start = args["row"], args["direction"], args["start"]
        if row not in self.pieces:
            return refusal("not_found", "it made room for newer ones", "raise --max-flows"), []
        end = self.ends[row][direction]
        stop = max(start, min(start + args["len"], end))
        segments, gaps, octets, at = [], [], b"", start
        for first, piece in self.pieces[row][direction]:
            low, high = max(first, start), min(first + len(piece), stop)
            if low < high:
                gaps += [[at, low]] if low > at else []
                segments.append([low, high])
                octets += piece[low - first : high - first]
                at = high
        gaps += [[at, stop]] if at < stop else []
        result = {
            "requested_start": start,
            "requested_end": stop,
            "end_of_stream": end,
            "truncated_by_limit": False,
            "segments": segments,
            "gaps": gaps,
            "retained": self._retained(row),
        }
        return Reply(result=result), [octets]


def event(**fields: Any) -> NDArray[np.void]:
    """One EVENT row: a closed TCP stream between 10.0.0.1:40000 and 10.0.0.2:80, or as told."""
    row = np.zeros(1, EVENT)
    values = {
        "stream_id": 0x1234,
        "addr_a_lo": 0x0A000001,
        "addr_b_lo": 0x0A000002,
        "port_a": 40000,
        "port_b": 80,
        "proto": TCP,
        "family": 4,
        "status": CLOSED,
    }
    for name, value in (values | fields).items():
        row[name] = value
    return row
