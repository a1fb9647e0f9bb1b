"""What a ring gives back for one shard is what that shard would have been sent, in order."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.capture.capture_file import open_captures
from services.capture.packet_ring.refeed import WINDOW, packets_of
from services.capture.packet_ring.ring import PacketRing
from services.capture.pump import Pump
from shared.columns import PARSED
from shared.packet_ring import segments
from tests import builders as b
from tests.reference.flow_hash import shard_of
from tests.ring_site import A4, B4, BUDGET, Nowhere, ring, take, traffic


class Seen:
    """What one shard is sent: time, hash and payload of each packet."""

    def __init__(self, shards: int, shard: int) -> None:
        self.shards, self.shard = shards, shard
        self.packets: list[tuple[int, int, bytes]] = []

    def route(self, packets: NDArray[np.void], data: NDArray[np.uint8]) -> None:
        for row in packets:
            if row["status"] == PARSED and shard_of(int(row["hash"]), self.shards) == self.shard:
                start, size = int(row["payload_off"]), int(row["payload_len"])
                octets = data[start : start + size].tobytes()
                self.packets.append((int(row["ts_ns"]), int(row["hash"]), octets))


def sent(folder: Path, capture: bytes, shards: int, shard: int) -> Seen:
    """The truth: the whole capture, decoded, without a ring."""
    seen = Seen(shards, shard)
    (folder / "whole").write_bytes(capture)
    (source,) = open_captures([str(folder / "whole")])
    pump = Pump(seen)
    while (batch := source.read()) is not None:
        pump.take(batch)
    return seen


def refed(one: PacketRing, shards: int, shard: int, start: int = 0, stop: int = 1 << 62) -> Seen:
    seen, numbers = Seen(shards, shard), []
    pump = Pump(seen)
    for each in packets_of(one.flush(), shards, shard, start, stop):
        assert each.numbers.size == each.batch.records.size
        numbers += each.numbers.tolist()
        pump.take(each.batch)
    assert all(start <= number < stop for number in numbers)
    assert len(set(numbers)) == len(numbers)
    return seen


@pytest.fixture
def mixed() -> bytes:
    """Flows, fragments of datagrams among them, and what belongs to nobody."""
    packets = traffic(2000)
    for i in range(40):
        datagram = b.udp(4000 + i, 53, bytes([i]) * 1000)
        for at, piece in enumerate(b.fragments4(A4, B4, 17, datagram, 400, ident=i)):
            packets.insert(i * 37 + at * 3, (10**18 + i * 99 + at, b.ethernet(piece)))
    return b.pcap_bytes(packets, nanos=True)


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_each_shard_gets_what_it_was_sent(tmp_path: Path, mixed: bytes, shards: int) -> None:
    with ring(tmp_path / "ring") as one:
        take(one, tmp_path, mixed, batch=300)
        total = 0
        for shard in range(shards):
            seen = refed(one, shards, shard)
            assert seen.packets == sent(tmp_path, mixed, shards, shard).packets
            total += len(seen.packets)
        assert total > 1500


def test_from_a_number_to_another(tmp_path: Path) -> None:
    packets = traffic(9000)
    with ring(tmp_path / "ring") as one:
        take(one, tmp_path, b.pcap_bytes(packets, nanos=True))
        found = refed(one, 1, 0, start=1234, stop=7777).packets
    assert [ts for ts, _, _ in found] == [packets[i][0] for i in range(1234, 7777) if i % 7]


def test_what_the_ring_has_lost_is_left_out(tmp_path: Path) -> None:
    packets = [(10**18 + i, b.udp4(A4, i % 9, B4, 53, bytes(1400))) for i in range(20_000)]
    with ring(tmp_path / "ring", BUDGET) as one:
        take(one, tmp_path, b.pcap_bytes(packets, nanos=True))
        found = refed(one, 1, 0).packets
        assert 5000 < len(found) < 12_000
        assert [ts for ts, _, _ in found] == [ts for ts, _ in packets[-len(found) :]]
        oldest = segments(tmp_path / "ring")[0]
        (tmp_path / "ring" / f"packets-{oldest.serial:08d}.flows").unlink()
        assert len(refed(one, 1, 0).packets) < len(found)


def test_link_types_stay_together_within_a_window(tmp_path: Path) -> None:
    file = b.pcapng_section() + b.pcapng_interface(1, resolution=9)
    file += b.pcapng_interface(101, resolution=9)
    for i in range(3 * WINDOW):
        packet = b.ip4(A4, B4, 17, b.udp(i % 7, 53, b"%d" % i))
        frame = packet if i % 2 else b.ethernet(packet)
        file += b.pcapng_packet(10**18 + i, frame, interface=i % 2)
    with ring(tmp_path / "ring") as one:
        take(one, tmp_path, file)
        found = [int(octets) for _, _, octets in refed(one, 1, 0).packets]
    assert sorted(found) == list(range(3 * WINDOW))
    assert max(abs(place - i) for place, i in enumerate(found)) <= WINDOW
    assert found[::2] != sorted(found)[::2]


def test_nothing_was_kept(tmp_path: Path) -> None:
    with ring(tmp_path / "ring") as one:
        assert refed(one, 2, 1).packets == []
        Pump(Nowhere(), one)
