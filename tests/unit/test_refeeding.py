"""A shard in another's place gets what the ring has, then what is new, each packet once."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from services.capture.capture_file import open_captures
from services.capture.packet_ring.ring import PacketRing
from services.capture.pump import Pump
from services.capture.refeeding import Refeeding
from services.capture.router import Router
from shared.columns import PACKET
from shared.lanes import LaneSender
from tests import builders as b
from tests.reference.flow_hash import shard_of
from tests.ring_site import A4, B4, hash_of, ring, traffic

SHARDS = 2
START = 10**18


class Slot:
    def __init__(self) -> None:
        self.rows, self.payload = np.zeros(500, PACKET), np.zeros(1 << 18, np.uint8)


class Lane:
    """Whatever is sent is taken at once. got: refed or not, time of the batch, times of packets."""

    def __init__(self) -> None:
        self.slots = [Slot()]
        self.refed, self.waits, self.rows_sent = False, "", 0
        self.got: list[tuple[bool, int, list[int]]] = []
        self.said: list[tuple[str, bool, int]] = []

    def mark_refed(self, refed: bool) -> None:
        self.refed = refed

    def hear(self) -> str:
        return self.waits

    def acquire(self, timeout_ms: int) -> int:
        return 0

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
        assert (upto, others) == (("", 0), {})  # these packets have no numbers
        times = self.slots[index].rows["ts_ns"][:rows].tolist()
        self.got.append((self.refed, now_ns, times))
        self.rows_sent += 0 if self.refed else rows
        return True

    def say(self, kind: str, now_ns: int, timeout_ms: int) -> bool:
        self.said.append((kind, self.refed, now_ns))
        return True

    def times(self, refed: bool) -> list[int]:
        return [ts for was, _, times in self.got for ts in times if was == refed]


class Run:
    """A capture with a ring and two lanes."""

    def __init__(self, folder: Path, one: PacketRing, packets: list[tuple[int, bytes]]) -> None:
        (folder / "capture").write_bytes(b.pcap_bytes(packets, nanos=True))
        (self.source,) = open_captures([str(folder / "capture")], 500)
        self.lanes = [Lane() for _ in range(SHARDS)]
        self.router = Router(cast(list[LaneSender], self.lanes), lambda: False)
        self.pump = Pump(self.router, one)
        self.refeeding = Refeeding(one, self.router)

    def read(self, batches: int = 1 << 30, steps: int = 0) -> None:
        """So many batches, with steps of refeeding after each."""
        for _ in range(batches):
            if (batch := self.source.read()) is None:
                break
            self.pump.take(batch)
            for _ in range(steps):
                self.refeeding.step()

    def finish(self) -> None:
        self.source.close()
        while self.refeeding.step():
            pass
        self.router.flush()


def mine(packets: list[tuple[int, bytes]], shard: int) -> list[int]:
    """Times of the packets that a shard gets; every seventh of `traffic` is nobody's."""
    flows = [hash_of(6, (A4, 1000 + i), (B4, 80)) for i in range(50)]
    return [
        ts
        for i, (ts, _) in enumerate(packets)
        if i % 7 and shard_of(flows[i % 50], SHARDS) == shard
    ]


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("read_before", [0, 1, 7])
def test_all_of_it_comes_once_and_in_order(tmp_path: Path, steps: int, read_before: int) -> None:
    packets = traffic(9000)
    with ring(tmp_path / "ring") as one:
        run = Run(tmp_path, one, packets)
        run.read(read_before)
        run.router.flush()
        had = len(run.lanes[1].times(False))
        run.lanes[1].got.clear()
        run.refeeding.begin(1, had)
        run.read(steps=steps)
        run.finish()
        lost, other = run.lanes[1], run.lanes[0]
    wanted = mine(packets, 1)
    assert lost.times(True) == wanted[:had]
    assert lost.times(False) == wanted[had:]
    assert [was for was, _, _ in lost.got] == sorted((was for was, _, _ in lost.got), reverse=True)
    assert other.times(False) == mine(packets, 0)
    assert other.times(True) == []
    assert run.refeeding.stats() == {
        "refed_packets": had, "not_refed_packets": 0, "dropped_refeed": 0,
    }  # fmt: skip
    assert lost.said == [("tick", True, 0)]  # the marker: also where nothing is to be fed
    assert run.router.held == {}


def test_batches_have_the_time_of_their_packets(tmp_path: Path) -> None:
    """Old packets must not find their streams idle."""
    packets = [(START + i * 10**9, b.tcp4(A4, 1000 + i % 50, B4, 80, b"x")) for i in range(3000)]
    with ring(tmp_path / "ring") as one:
        run = Run(tmp_path, one, packets)
        run.read()
        run.refeeding.begin(1, 0)
        run.router.say("tick")
        assert run.lanes[1].said[-1][2] == 0
        assert run.lanes[0].said[-1][2] == packets[-1][0]
        run.lanes[1].got.clear()
        run.finish()
    refed = run.lanes[1].got
    assert len(refed) > 2
    assert all(now_ns - times[-1] < 1000 * 10**9 for _, now_ns, times in refed)
    assert refed[0][1] < packets[1000][0]


def test_another_loss_begins_it_anew(tmp_path: Path) -> None:
    packets = traffic(9000)
    with ring(tmp_path / "ring") as one:
        run = Run(tmp_path, one, packets)
        run.read(8)
        run.refeeding.begin(1, 0)
        run.refeeding.step()
        run.read(3)
        run.lanes[1].got.clear()
        run.refeeding.begin(1, 0)
        run.read(steps=1)
        run.finish()
    times = run.lanes[1].times(True) + run.lanes[1].times(False)
    assert times == mine(packets, 1)


def test_after_the_end_it_is_told_again(tmp_path: Path) -> None:
    with ring(tmp_path / "ring") as one:
        run = Run(tmp_path, one, traffic(600))
        run.read()
        run.router.say("end")
        assert run.refeeding.finish() == set()
        run.lanes[1].waits = "another process"
        assert run.refeeding.finish() == {1}
        assert run.refeeding.finish() == set()
        run.refeeding.say_end_again({1})
    assert [said[:2] for said in run.lanes[0].said] == [("end", False)]
    assert [said[:2] for said in run.lanes[1].said] == [
        ("end", False), ("tick", True), ("end", True),
    ]  # fmt: skip
    assert run.lanes[1].times(True) == mine(traffic(600), 1)


def test_what_the_ring_has_lost_is_counted(tmp_path: Path) -> None:
    packets = [(START + i, b.udp4(A4, i % 9, B4, 53, bytes(1400))) for i in range(20_000)]
    with ring(tmp_path / "ring") as one:
        run = Run(tmp_path, one, packets)
        run.read()
        run.router.flush()
        had = [len(lane.times(False)) for lane in run.lanes]
        assert sum(had) == len(packets)
        for shard in range(SHARDS):
            run.refeeding.begin(shard, had[shard])
        run.finish()
    told = run.refeeding.stats()
    assert told["refed_packets"] == sum(len(lane.times(True)) for lane in run.lanes)
    assert told["refed_packets"] + told["not_refed_packets"] == len(packets)
    assert 5000 < told["refed_packets"] < 12_000


def test_what_the_ring_did_not_keep_of_new_packets_is_counted(tmp_path: Path) -> None:
    packets = traffic(4000)
    with ring(tmp_path / "ring") as one:
        run = Run(tmp_path, one, packets)
        run.read(2)
        run.refeeding.begin(1, 0)
        taking = one.take
        cast(Any, one).take = lambda batch, *_: skipping(one, batch)
        run.read(2)
        cast(Any, one).take = taking
        run.read()
        run.finish()
    lane = run.lanes[1]
    missed = [ts for ts in mine(packets, 1) if ts not in lane.times(True) + lane.times(False)]
    assert run.refeeding.dropped == len(missed) > 100


def skipping(one: PacketRing, batch: Any) -> None:
    """As when the disk does not keep up."""
    one.next_number += batch.records.size
