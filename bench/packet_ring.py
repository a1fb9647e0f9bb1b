"""What a packet ring costs capture, and how fast a flow comes out of it.

`python -m bench.packet_ring FILE [--folder DIR] [--ring-bytes N] [--passes 3]`

The capture is read and decoded once with a ring and once without, in turns; the difference is what
the ring costs, as CPU of capture's thread, of the thread that writes, and of the kernel alone.
Then flows are looked up in what is there, and the packets of the largest are made into a file.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from services.api.ring import Kept, blocks_of
from services.capture.capture_file import open_captures
from services.capture.packet_ring.ring import PacketRing
from services.capture.pump import Pump
from shared.packet_ring import segments
from shared.packet_ring.reading import look_up
from tests.ring_site import FOREVER, Nowhere

PACKETS_MAX = 1 << 20


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.packet_ring",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("capture", type=Path, metavar="FILE")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--ring-bytes", type=int, default=4 << 30)
    parser.add_argument("--passes", type=int, default=3)
    given = parser.parse_args(argv)
    folder = given.folder / f"flowmate-bench-ring-{os.getpid()}"
    try:
        cost(given.capture, folder, given.ring_bytes, given.passes)
        take_out(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def cost(capture: Path, folder: Path, budget: int, passes: int) -> None:
    """Both ways, in turns."""
    once(capture, None)  # warms the page cache
    print("| ring | capture's thread, ns/packet | with the writing thread | wall s | left out |")
    print("|---|---|---|---|---|")
    told: dict[bool, list[tuple[float, float, float, int]]] = {False: [], True: []}
    for _ in range(passes):
        for with_ring in (False, True):
            one = PacketRing(folder, budget) if with_ring else None
            told[with_ring].append(once(capture, one))
    for with_ring, rows in told.items():
        own, whole, wall = (statistics.median(row[i] for row in rows) for i in range(3))
        left_out = max(row[3] for row in rows)
        name = "on" if with_ring else "off"
        print(f"| {name} | {own:.1f} | {whole:.1f} | {wall:.2f} | {left_out} |", flush=True)


def once(capture: Path, one: PacketRing | None) -> tuple[float, float, float, int]:
    """ns of CPU a packet of this thread and of the process; seconds; packets left out."""
    pump = Pump(Nowhere(), one)
    (source,) = open_captures([str(capture)])
    own, whole, began = time.thread_time(), time.process_time(), time.perf_counter()
    while (batch := source.read()) is not None:
        pump.take(batch)
    own = time.thread_time() - own
    if one is not None:
        one.close()
    wall = time.perf_counter() - began
    whole = time.process_time() - whole
    ns = 1e9 / max(1, pump.packets)
    return own * ns, whole * ns, wall, 0 if one is None else one.stats()["packet_ring_left_out"]


def take_out(folder: Path) -> None:
    """Look flows up, and make a file of the largest."""
    ring = segments(folder)
    rows = sum(segment.row_count for segment in ring)
    kinds, counts = np.unique(ring[-1].flows(), return_counts=True)
    some = kinds[:: max(1, kinds.size // 20)].tolist()
    took = []
    for flow in some:
        began = time.perf_counter()
        look_up(ring, flow, *FOREVER, PACKETS_MAX, time.monotonic() + 60)
        took.append(time.perf_counter() - began)
    middle, most = statistics.median(took) * 1e3, max(took) * 1e3
    print(
        f"\n{rows:,} packets in {len(ring)} segments; a look-up takes {middle:.1f} ms, at most"
        f" {most:.1f}: {middle / rows * 1e6:.2f} ms a million packets"
    )
    largest = int(kinds[np.argmax(counts)])
    began = time.perf_counter()
    looked = look_up(ring, largest, *FOREVER, PACKETS_MAX, time.monotonic() + 60)
    octets = sum(map(len, blocks_of(Kept(looked, looked.packets))))
    seconds = time.perf_counter() - began
    print(
        f"the largest flow: {looked.packets:,} packets, {octets / 1e6:.1f} MB in {seconds:.2f} s,"
        f" {seconds / max(1, looked.packets) * 1e6:.2f} µs a packet"
    )


if __name__ == "__main__":
    sys.exit(main())
