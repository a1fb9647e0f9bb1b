"""A packet ring stays within its bytes, and survives a kill, damage and a full disk."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.capture.numbers import Numbering
from services.capture.packet_ring import ring as ring_module
from services.capture.packet_ring.ring import PacketRing, open_ring
from services.capture.packet_ring.segments import BLOCK, Page, Room, Segments
from services.capture.source import Batch
from shared.columns import PACKET, RECORD, RING_ROW
from shared.errors import UserError
from shared.packet_ring import HEADER_BYTES, LOCK, segments
from shared.settings import Settings
from tests import builders as b
from tests.ring_site import (
    A4,
    B4,
    BUDGET,
    FOREVER,
    disk_bytes,
    found_in,
    hash_of,
    kept,
    ring,
    take,
    traffic,
)


# ---------------------------------------------------------------------------------- bounds
@pytest.mark.property
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.sampled_from((1, 1, 1, 101, 113, 12, 14, 0)), st.integers(1, 5999),
                  st.sampled_from((16, 76, 1514))),
        min_size=60, max_size=160,
    ),
    st.sampled_from((BUDGET, BUDGET + 12345, 20 << 20)),
)  # fmt: skip
def test_the_ring_is_never_larger_than_it_may_be(
    tmp_path: Path, pages: list[tuple[int, int, int]], budget: int
) -> None:
    folder = tmp_path / "bounded"
    shutil.rmtree(folder, ignore_errors=True)
    ring_files = Segments(folder, budget, keep=False)
    room = Room(budget)
    number, newest = 0, 0
    for link, count, size in pages:
        count = min(count, room.octets // size, room.rows)
        page = Page(count * size, count)
        page.link, page.count, page.used = link, count, count * size
        page.octets[:] = link
        page.flows[:] = number
        page.rows["number"] = number + np.arange(count)
        page.rows["off"] = 16 + np.arange(count) * size
        page.rows["caplen"], page.rows["ts_ns"] = size - 16, number
        number += count
        ring_files.append(page)
        assert disk_bytes(folder) <= ring_files.bytes + BLOCK * 3 <= budget + BLOCK * 3
        assert ring_files.bytes <= budget
        there = segments(folder)
        newest = max(segment.last for segment in there)
        assert newest == number - 1  # what came last is there
        assert len(ring_files.open) <= 4
    ring_files.close()
    assert disk_bytes(folder) <= budget
    reopened = Segments(folder, budget // 2 if budget > BUDGET * 2 else BUDGET, keep=True)
    assert reopened.last == newest
    assert disk_bytes(folder) <= reopened.bytes <= reopened.budget
    reopened.close()


def test_the_oldest_packets_go_first(tmp_path: Path) -> None:
    folder = tmp_path / "ring"
    packets = [(10**18 + i, b.udp4(A4, i % 9, B4, 53, bytes(1400))) for i in range(20_000)]
    with ring(folder) as one:
        take(one, tmp_path, b.pcap_bytes(packets, nanos=True))
    left = kept(folder)
    assert 5000 < len(left) < 12_000
    assert left == packets[-len(left) :]
    assert one.stats()["packet_ring_kept"] == len(packets)
    assert disk_bytes(folder) <= BUDGET


# ------------------------------------------------------------------------- what goes wrong
KILLED = """
import os, sys
from pathlib import Path
from services.capture.capture_file import open_captures
from services.capture.packet_ring.ring import PacketRing, open_ring
from services.capture.pump import Pump

class Nowhere:
    def route(self, packets, data):
        pass

ring = PacketRing(Path(sys.argv[1]), 16 << 20)
pump = Pump(Nowhere(), ring)
(source,) = open_captures([sys.argv[2]], 100)
while (batch := source.read()) is not None:
    pump.take(batch)
ring.flush()
os.kill(os.getpid(), 9)
"""


def test_a_ring_that_was_killed_is_whole(tmp_path: Path) -> None:
    folder, packets = tmp_path / "ring", traffic(12_000)
    capture = tmp_path / "capture"
    capture.write_bytes(b.pcap_bytes(packets, nanos=True))
    child = subprocess.run([sys.executable, "-c", KILLED, folder, capture], check=False)
    assert child.returncode == -9
    assert kept(folder) == packets
    last = segments(folder)[-1]
    with last.pcap.open("r+b") as file:  # as if it had died in the middle of a page
        file.seek(last.octets)
        file.write(b"torn" * 999)
    with ring(folder, keep=True) as one:
        assert kept(folder) == packets
        assert segments(folder)[-1].pcap.stat().st_size == last.octets
        assert one.next_number == len(packets)
        more = [(2 * 10**18, b.udp4(A4, 1, B4, 2, b"later"))]
        take(one, tmp_path, b.pcap_bytes(more, nanos=True))
    assert kept(folder) == packets + more
    assert segments(folder)[-1].last == len(packets)


def test_an_input_that_is_read_again_is_not_kept_twice(tmp_path: Path) -> None:
    letters = b"abcdefgh"
    frames = np.frombuffer(letters, np.uint8)
    records = np.zeros(8, RECORD)
    records["off"], records["caplen"], records["wirelen"], records["link"] = range(8), 1, 1, 1

    def read(one: PacketRing, name: str, start: int, stop: int) -> None:
        """Of letters [start, stop) a filter leaves all but the b."""
        every = records[start:stop]
        some = every[every["off"] != 1]
        rows = np.zeros(some.size, PACKET)
        one.take(Batch(frames, some, 8), rows, [], Numbering(name, 1 + start, every, some))

    with ring(tmp_path) as one:
        read(one, "first", 0, 3)
        read(one, "first", 3, 6)
        read(one, "", 0, 1)
    with ring(tmp_path, keep=True) as one:
        for start in range(0, 8, 2):
            read(one, "first", start, start + 2)
        read(one, "second", 0, 2)
        read(one, "", 0, 1)
    assert b"".join(frame for _, frame in kept(tmp_path)) == b"acdefaghaa"
    numbers = np.concatenate([segment.rows()["number"] for segment in segments(tmp_path)])
    assert numbers.tolist() == list(range(10))


def test_a_run_goes_on_with_its_own_ring(tmp_path: Path) -> None:
    """As a capture does that is started again; the next run begins with nothing."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    chosen = Settings(packet_ring=str(tmp_path / "ring"), run_dir=str(tmp_path / "one"))
    for count in (10, 20):
        one = open_ring(chosen)
        assert one is not None
        take(one, tmp_path, b.pcap_bytes(traffic(10)))
        one.close()
        assert len(kept(tmp_path / "ring")) == count
    one = open_ring(chosen.model_copy(update={"run_dir": str(tmp_path / "two")}))
    assert one is not None
    one.close()
    assert kept(tmp_path / "ring") == []
    assert open_ring(Settings()) is None


def test_what_an_earlier_run_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "ring"
    with ring(folder) as one:
        take(one, tmp_path, b.pcap_bytes(traffic(2000)))
    mine = folder / "packets-of-mine.pcap"
    mine.write_bytes(b"precious")
    (folder / "packets-00009999.pcap").write_bytes(b"left alone by its index")
    with ring(folder) as one:
        assert sorted(path.name for path in folder.iterdir()) == [LOCK, mine.name]
        take(one, tmp_path, b.pcap_bytes(traffic(10)))
    assert len(kept(folder)) == 10
    assert mine.read_bytes() == b"precious"


@pytest.mark.parametrize("broken", ["packets-00000000.rows", "packets-00000000.flows"])
@pytest.mark.parametrize("octets", [b"", b"flowring", bytes(64), b"\xff" * 4096])
def test_damaged_segments_are_passed_over(tmp_path: Path, broken: str, octets: bytes) -> None:
    folder = tmp_path / "ring"
    with ring(folder) as one:
        take(one, tmp_path, b.pcap_bytes(traffic(1000)))
    (folder / broken).write_bytes(octets)
    flow = hash_of(6, (A4, 1001), (B4, 80))
    found_in(segments(folder), flow, *FOREVER)
    with ring(folder, keep=True) as one:
        take(one, tmp_path, b.pcap_bytes(traffic(1000)))


def test_offsets_beyond_the_file_are_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "ring"
    with ring(folder) as one:
        take(one, tmp_path, b.pcap_bytes(traffic(1000)))
    rows = np.memmap(folder / "packets-00000000.rows", RING_ROW, "r+", HEADER_BYTES)
    rows["off"] = 0xFFFFFFF0
    assert found_in(segments(folder), hash_of(6, (A4, 1001), (B4, 80)), *FOREVER) == []


def test_two_cannot_write_into_one_folder(tmp_path: Path) -> None:
    with ring(tmp_path), pytest.raises(UserError, match="another flowmate"):
        PacketRing(tmp_path, BUDGET)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--packet-ring .*file/ring: .*; give a folder"):
        PacketRing(tmp_path / "file" / "ring", BUDGET)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(path)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here: a full disk is not tried")
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_full_disk_stops_the_ring_and_nothing_else(
    tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring_module, "RETRY_S", 0.05)
    packets = [(10**18 + i, b.udp4(A4, i % 9, B4, 53, bytes(1400))) for i in range(9_000)]
    ballast = small_disk / "ballast"
    with ring(small_disk / "ring") as one:
        ballast.write_bytes(bytes(4 << 20))
        take(one, tmp_path, b.pcap_bytes(packets, nanos=True), batch=100)
        one.flush()
        assert "no space left on device" in one.trouble
        told = one.stats()
        assert told["packet_ring_left_out"] > 0
        assert told["packet_ring_kept"] + told["packet_ring_left_out"] == len(packets)
        there = kept(small_disk / "ring")
        assert len(there) == told["packet_ring_kept"]
        assert set(there) <= set(packets)
        ballast.unlink()
        deadline = time.monotonic() + 10
        while one.trouble:
            assert time.monotonic() < deadline, "it is not written again"
            take_more(one, 2 * 10**18)
            one.flush()
    assert kept(small_disk / "ring")[-1][0] == 2 * 10**18


def take_more(one: PacketRing, ts_ns: int) -> None:
    """One more packet."""
    frame = np.frombuffer(b.udp4(A4, 1, B4, 53, b"again"), np.uint8)
    record, row = np.zeros(1, RECORD), np.zeros(1, PACKET)
    record["ts_ns"], record["caplen"], record["wirelen"] = ts_ns, frame.size, frame.size
    record["link"] = 1
    one.take(Batch(frame, record, frame.size), row, [])
