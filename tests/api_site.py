"""An API in front of real shards: their streams and messages are put there by the test.

Shards run in the test's process, each behind a socket of its own; the coordinator is a stand-in
that has the rows which they told.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from services.shard.requests import Requests
from shared.columns import EVENT_OPEN, HTTP1, PREVIEW_BYTES, REQUEST
from shared.schema import Reply, Request, unpack
from shared.wire import Bus
from tests.api_fakes import Answer, FakeCoordinator, FakeService
from tests.message_ring import add_message
from tests.reference.streams import ACK, SYN, Packet
from tests.shard_harness import ShardRun, ends, small

CLIENT, SERVER = "10.0.0.1", "10.0.0.2"


class Operations(dict[str, Any]):
    """Every operation is the shard's own."""

    def __init__(self, requests: Requests) -> None:
        super().__init__()
        self.requests = requests

    def __getitem__(self, op: str) -> Any:
        def answer(args: dict[str, Any]) -> Answer:
            head, *frames = self.requests.answer(Request(op=op, args=args).pack())
            return unpack(Reply, head, "test"), [bytes(frame) for frame in frames]

        return answer


class RealShard(FakeService):
    """One shard."""

    def __init__(self, run_dir: str, index: int, **settings: Any) -> None:
        chosen = {"max_messages": 4096, "max_stream_content_bytes": 1 << 24} | settings
        self.run, self.index = ShardRun(small(**chosen)), index
        self.run.worker.tables.parses = False  # the test alone fills the ring
        worker = self.run.worker
        operations = Operations(Requests(self.run.reader, 65536, worker.patterns, worker.searches))
        super().__init__(Bus(run_dir).shard_requests(index), operations)


class Site:
    """A run directory with its coordinator and shards. Fill it, then ask."""

    def __init__(self, run_dir: str, shards: int = 1, **settings: Any) -> None:
        self.coordinator = FakeCoordinator(run_dir)
        self.shards = [RealShard(run_dir, index, **settings) for index in range(shards)]
        self.coordinator.shard_indices = list(range(shards))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for service in (self.coordinator, *self.shards):
            self._stack.enter_context(service)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def stream(self, *said: tuple[int, bytes], port: int = 40000, shard: int = 0) -> "Streamed":
        """A stream in which sides (0 = client) say octets, a microsecond after one another."""
        run = self.shards[shard].run
        where = ends(CLIENT, port), ends(SERVER, 80)
        told = len(run.events(EVENT_OPEN))
        offsets = [1, 1]
        packets = [Packet(*where, b"", seq=0, flags=SYN, ts_ns=1_000_000)]
        for step, (side, octets) in enumerate(said):
            packets.append(
                Packet(
                    where[side],
                    where[1 - side],
                    octets,
                    seq=offsets[side],
                    ack=offsets[1 - side],
                    flags=ACK,
                    ts_ns=1_001_000 + 1000 * step,
                )
            )
            offsets[side] += len(octets)
        for at in range(0, len(packets), 64):
            run.take(packets[at : at + 64])
        event = run.events(EVENT_OPEN)[told].reshape(1).copy()
        event["shard"] = shard
        first = [b"".join(o for s, o in said if s == side)[:PREVIEW_BYTES] for side in (0, 1)]
        self.coordinator.add(event, *first)
        return Streamed(self.shards[shard], int(event["stream_id"][0]), int(event["row"][0]))


class Streamed:
    """A stream of the site."""

    def __init__(self, shard: RealShard, stream_id: int, row: int) -> None:
        self.shard, self.row, self.id = shard, row, f"{stream_id:016x}"
        self.path = f"/api/streams/{self.id}"

    def message(self, text: bytes = b"", name: bytes = b"", **fields: Any) -> int:
        """A message of it; returns its number in the shard's ring."""
        values = {"protocol": HTTP1, "kind": REQUEST} | fields
        return add_message(self.shard.run.tables, self.row, text, name, **values)


@contextmanager
def site(run_dir: str, shards: int = 1, **settings: Any) -> Iterator[Site]:
    with Site(run_dir, shards, **settings) as one:
        yield one
