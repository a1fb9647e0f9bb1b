"""Capture's router: each flow to one shard, in order, and no faster than the shard takes it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import zmq
from numpy.typing import NDArray

from services.capture.numbers import Numbering
from services.capture.pump import Pump
from services.capture.router import INPUTS_TOLD, Router, StoppedError
from services.capture.source import Batch
from shared.columns import MALFORMED, PACKET, RECORD
from shared.lanes import LaneReceiver, LaneSender
from shared.schema import BatchHeader, unpack
from shared.wire import Bus
from tests import builders
from tests.reference.flow_hash import shard_of
from tests.reference.streams import Packet
from tests.shard_harness import ends, rows_of

ROWS, PAYLOAD, DEPTH = 10, 100, 2
Sent = tuple[NDArray[np.void], bytes]


class FakeLane:
    """A lane with two slots; `taken` empties it."""

    def __init__(self) -> None:
        self.slots = [FakeSlot() for _ in range(DEPTH)]
        self.free = list(range(DEPTH))
        self.sent: list[Sent] = []
        self.said: list[tuple[str, int]] = []
        self.times: list[int] = []
        self.waiting: list[int] = []
        self.stuck = False
        self.uptos: list[tuple[str, int]] = []
        self.others: list[dict[str, int]] = []

    def acquire(self, timeout_ms: int) -> int | None:
        return self.free.pop(0) if self.free else None

    def send(
        self,
        index: int,
        rows: int,
        payload: int,
        now_ns: int,
        timeout_ms: int,
        upto: tuple[str, int],
        others: dict[str, int],
    ) -> bool:
        if self.stuck:
            return False
        self.uptos.append(upto)
        self.others.append(dict(others))
        slot = self.slots[index]
        self.sent.append((slot.rows[:rows].copy(), slot.payload[:payload].tobytes()))
        self.times.append(now_ns)
        self.waiting.append(index)
        return True

    def say(self, kind: str, now_ns: int, timeout_ms: int) -> bool:
        if self.stuck:
            return False
        self.said.append((kind, now_ns))
        return True

    def taken(self) -> None:
        self.free, self.waiting = self.free + self.waiting, []


class FakeSlot:
    def __init__(self, rows: int = ROWS) -> None:
        self.rows = np.zeros(rows, PACKET)
        self.payload = np.zeros(PAYLOAD, np.uint8)


class Site:
    """A router, its lanes, and somebody who empties them as soon as it waits."""

    def __init__(self, shards: int) -> None:
        self.lanes = [FakeLane() for _ in range(shards)]
        self.asked = 0
        self.patience = 1 << 30  # times it may be asked
        self.router = Router(self.lanes, self._should_stop)  # type: ignore[arg-type]

    def _should_stop(self) -> bool:
        self.asked += 1
        for lane in self.lanes:
            lane.taken()
        return self.asked > self.patience

    def route(self, packets: Sequence[Packet]) -> None:
        self.router.route(*rows_of(packets))

    def payloads(self, shard: int) -> list[bytes]:
        """Of all packets that a shard was sent, in order."""
        return [
            octets[row["payload_off"] :][: row["payload_len"]]
            for rows, octets in self.lanes[shard].sent
            for row in rows
        ]


def packet(flow: int, payload: bytes = b"", at_ns: int = 0) -> Packet:
    return Packet(ends("10.0.0.1", 1000 + flow), ends("10.0.0.2", 80), payload, ts_ns=at_ns)


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_each_packet_arrives_once_at_its_shard_in_order(shards: int) -> None:
    site = Site(shards)
    packets = [packet(i % 23, b"%d" % i) for i in range(500)]
    for first in range(0, 500, 60):
        site.route(packets[first : first + 60])
    site.router.flush()
    rows, _ = rows_of(packets)
    for shard in range(shards):
        wanted = [
            sent.payload
            for sent, row in zip(packets, rows, strict=True)
            if shard_of(int(row["hash"]), shards) == shard
        ]
        assert site.payloads(shard) == wanted
        assert all(row_count <= ROWS for row_count in map(rows_count, site.lanes[shard].sent))


def rows_count(sent: Sent) -> int:
    return sent[0].size


def test_a_batch_is_full_by_rows_or_by_bytes() -> None:
    site = Site(1)
    site.route([packet(0, b"x") for _ in range(25)])
    assert [rows_count(sent) for sent in site.lanes[0].sent] == [10, 10]
    site.router.flush()
    site.route([packet(0, bytes(40)) for _ in range(5)])
    site.router.flush()
    assert [rows_count(sent) for sent in site.lanes[0].sent] == [10, 10, 5, 2, 2, 1]
    assert site.router.batches == 6


def test_a_payload_longer_than_a_batch_is_cut_as_a_snap_length_would() -> None:
    site = Site(1)
    site.route([packet(0, b"a"), packet(0, bytes(range(200))), packet(0, b"b")])
    site.router.flush()
    rows = np.concatenate([rows for rows, _ in site.lanes[0].sent])
    assert rows["payload_len"].tolist() == [1, PAYLOAD, 1]
    assert rows["payload_wire"].tolist() == [1, 200, 1]
    assert site.payloads(0) == [b"a", bytes(range(PAYLOAD)), b"b"]


def test_what_was_not_decoded_stays_here() -> None:
    site = Site(2)
    rows, data = rows_of([packet(0, b"bad"), packet(0, b"good")])
    rows["status"][0] = MALFORMED
    site.router.route(rows, data)
    site.router.flush()
    assert site.payloads(0) + site.payloads(1) == [b"good"]


def numbering(name: str, first: int, kept: list[int], of: int) -> Numbering:
    """A batch of records of which a filter kept some."""
    records = np.zeros(of, RECORD)
    records["off"] = np.arange(of) * 40 + 16
    return Numbering(name, first, records, records[kept])


def test_every_batch_says_up_to_which_number_it_goes() -> None:
    site = Site(1)
    kept = [i for i in range(40) if i % 3]  # 26 of them
    rows, data = rows_of([packet(0, b"%02d" % i) for i in kept])
    site.router.numbers = numbering("files", 101, kept, 40)
    site.router.route(rows, data)
    site.router.flush()
    # behind each batch the number before that of the next packet that was kept
    uptos = [100 + kept[10], 100 + kept[20], 140]
    assert site.lanes[0].uptos == [("files", upto) for upto in uptos]


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("cut", [1, 57, 100, 101, 119, 140, 200])
def test_what_a_shard_has_is_not_sent_again(shards: int, cut: int) -> None:
    """Whatever the filter kept, and wherever the batches began before."""
    kept = [i for i in range(40) if i % 3]
    packets = [packet(i % 7, b"%02d" % i) for i in kept]
    rows, data = rows_of(packets)
    numbers = numbering("files", 101, kept, 40)
    whole, rest = Site(shards), Site(shards)
    rest.router = Router(rest.lanes, lambda: False, [{"files": cut}] * shards)  # type: ignore[arg-type]
    for site in (whole, rest):
        site.router.numbers = numbers
        for lane in site.lanes:
            lane.slots = [FakeSlot(40) for _ in range(DEPTH)]
        site.router.route(rows, data)
        site.router.flush()
    number = {b"%02d" % i: 101 + i for i in kept}
    for shard in range(shards):
        left = [octets for octets in whole.payloads(shard) if number[octets] > cut]
        assert rest.payloads(shard) == left


def test_a_batch_is_of_one_input() -> None:
    site = Site(1)
    for name, first in (("files", 1), ("upload a", 1), ("", 0), ("", 0), ("files", 3)):
        rows, data = rows_of([packet(0, b"a"), packet(0, b"b")])
        site.router.numbers = numbering(name, first, [0, 1], 2)
        site.router.route(rows, data)
    site.router.flush()
    assert site.lanes[0].uptos == [("files", 2), ("upload a", 2), ("", 0), ("files", 4)]
    before = {"files": 2, "upload a": 2}
    assert site.lanes[0].others == [{}, {"files": 2}, before, {"upload a": 2}]


def test_only_the_newest_inputs_before_are_told() -> None:
    site = Site(1)
    for number in range(INPUTS_TOLD + 3):
        rows, data = rows_of([packet(0, b"a")])
        site.router.numbers = numbering(f"file {number}", 1, [0], 1)
        site.router.route(rows, data)
        site.lanes[0].taken()
    site.router.flush()
    names = [f"file {number}" for number in range(2, INPUTS_TOLD + 2)]
    assert [*site.lanes[0].others[-1].items()] == [(name, 1) for name in names]


def test_nothing_is_sent_of_nothing() -> None:
    site = Site(2)
    site.router.route(np.zeros(0, PACKET), np.zeros(0, np.uint8))
    site.router.flush()
    assert site.lanes[0].sent == site.lanes[1].sent == []


def test_the_time_that_is_told_is_never_later_than_what_comes() -> None:
    """A shard closes by that time what is idle: packets that it will get must not be older."""
    site = Site(2)
    packets = [packet(i, b"x", at_ns=1000 * i) for i in range(300)]
    for first in range(0, 300, 50):
        site.route(packets[first : first + 50])
    site.router.flush()
    for lane in site.lanes:
        following = [int(rows["ts_ns"].min()) for rows, _ in lane.sent[1:]]
        assert all(told <= later for told, later in zip(lane.times, following, strict=False))
    site.router.say("tick")
    assert [lane.said for lane in site.lanes] == [[("tick", 299_000)]] * 2


def test_a_full_lane_is_waited_for() -> None:
    site = Site(1)
    site.route([packet(0) for _ in range(100)])
    assert site.asked > 0
    assert site.router.waited_s > 0
    site.router.flush()
    assert len(site.payloads(0)) == 100


def test_waiting_ends_when_it_is_time_to_stop() -> None:
    site = Site(1)
    site.lanes[0].stuck = True
    site.patience = 3
    with pytest.raises(StoppedError):
        site.route([packet(0) for _ in range(100)])
    assert site.asked == 4


def test_every_shard_is_told_even_when_one_takes_nothing() -> None:
    site = Site(3)
    site.lanes[1].stuck = True
    site.patience = 2
    with pytest.raises(StoppedError):
        site.router.say("end")
    assert [len(lane.said) for lane in site.lanes] == [1, 0, 1]


# ------------------------------------------------------------------------------------ real lanes


@pytest.fixture
def context() -> Iterator["zmq.Context[zmq.Socket[bytes]]"]:
    with zmq.Context() as opened:
        yield opened
        opened.destroy(linger=0)


@pytest.mark.parametrize("inline", [True, False])
def test_over_a_real_lane(
    context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path, inline: bool
) -> None:
    bus, got, in_vain = Bus(str(tmp_path)), b"", 0
    receiver = LaneReceiver(context, bus, 0, 4)
    lane = LaneSender(context, bus, 0, rows=ROWS, payload=PAYLOAD, depth=DEPTH, inline=inline)

    def take_one() -> bool:
        """Called whenever the router waits: the shard's turn."""
        nonlocal got, in_vain
        in_vain += not receiver.socket.poll(1000)
        assert in_vain < 30, "nothing comes any more"
        batch = receiver.receive()
        if batch is not None:
            for row in batch.rows:
                got += batch.payload[row["payload_off"] :][: row["payload_len"]].tobytes()
            receiver.done(batch)
            receiver.pay()
            del batch
        return False

    router = Router([lane], take_one)
    packets = [packet(0, b"%03d." % i) for i in range(60)]
    router.route(*rows_of(packets))
    router.flush()
    wanted = b"".join(sent.payload for sent in packets)
    while len(got) < len(wanted):
        take_one()
    assert got == wanted
    assert lane.max_rows == DEPTH * ROWS
    assert lane.peak_rows == DEPTH * ROWS
    lane.close()
    receiver.close()


def test_headers_have_numbers_without_holes(
    context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path
) -> None:
    bus = Bus(str(tmp_path))
    pull = context.socket(zmq.PULL)
    pull.bind(bus.packets(3))
    lane = LaneSender(context, bus, 3, rows=ROWS, payload=PAYLOAD, depth=4, inline=True)
    router = Router([lane], lambda: False)
    rows, data = rows_of([packet(0, b"x", at_ns=5)])
    router.route(rows, data)
    router.flush()
    router.say("tick")
    router.say("end")
    headers = [unpack(BatchHeader, pull.recv_multipart()[0], "test") for _ in range(3)]
    assert [header.seq for header in headers] == [0, 1, 2]
    assert [header.kind for header in headers] == ["packets", "tick", "end"]
    assert [header.now_ns for header in headers] == [5, 5, 5]
    lane.close()
    pull.close(linger=0)


# ------------------------------------------------------------------------------------- the pump


def test_the_pump_decodes_and_counts() -> None:
    good = builders.ethernet(builders.ip4("10.0.0.1", "10.0.0.2", 17, builders.udp(1, 2, b"hi")))
    frames = [good, good[:20], builders.ethernet(b"?", 0x0806)]
    data = np.frombuffer(b"".join(frames), np.uint8)
    records = np.zeros(3, RECORD)
    records["caplen"] = records["wirelen"] = [len(frame) for frame in frames]
    records["off"] = np.cumsum(records["caplen"]) - records["caplen"]
    records["link"] = 1
    site = Site(1)
    pump = Pump(site.router)
    pump.take(Batch(data, records, data.size))
    pump.take(Batch(data, records[:0], data.size))
    site.router.flush()
    assert site.payloads(0) == [b"hi"]
    stats = pump.stats()
    assert stats["packets"] == 3
    assert stats["bytes"] == data.size
    assert stats["decode_parsed"] == stats["decode_truncated"] == stats["decode_non_ip"] == 1
