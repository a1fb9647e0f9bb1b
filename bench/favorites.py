"""What favourites cost a shard: `python -m bench.favorites FILE [--packets 2000000]`.

One worker reads the capture's first packets. Every tenth batch the streams seen so far are made
favourites in some share; with "as many as may be" all of them are, so that they fill their three
quarters of the content memory and each byte stored moves three others. Only the worker is timed;
the memory is small, so that it is written many times over.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.patterns import batches
from services.shard.favorites import Favorites
from services.shard.kernels import state as s
from services.shard.search import STREAM_REF
from services.shard.tables import Tables
from services.shard.worker import Worker
from shared.settings import Settings

CASES = (("none", 0.0), ("every hundredth stream", 0.01), ("as many as may be", 1.0))
STAR_EVERY = 10  # batches
FAVORITES_MAX = 16384  # as the coordinator allows


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.favorites",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("capture", type=Path, metavar="FILE")
    parser.add_argument("--packets", type=int, default=2_000_000)
    parser.add_argument("--content-bytes", type=int, default=64 << 20)
    given = parser.parse_args(argv)
    print("| favourites | shard, ns/packet | longest batch, ms | longest star, ms | theirs, MB |")
    print("|---|---|---|---|---|")
    measured(
        "", 0.0, argparse.Namespace(**(vars(given) | {"packets": 20_000}))
    )  # loads the kernels
    for name, share in CASES:
        print(measured(name, share, given), flush=True)
    return 0


def measured(name: str, share: float, given: argparse.Namespace) -> str:
    """One run; a row of the table."""
    settings = Settings(max_stream_content_bytes=given.content_bytes)
    tables = Tables(settings, 1)
    worker, favorites = Worker(tables, 0, lambda told: None), Favorites(tables)
    took, starred, packets = [], [0.0], 0
    for number, (rows, payload, now_ns) in enumerate(
        batches(str(given.capture), given.packets, settings)
    ):
        began = time.perf_counter()
        worker.take(rows, payload, now_ns)
        took.append(time.perf_counter() - began)
        packets += rows.size
        if share and number % STAR_EVERY == 0:
            began = time.perf_counter()
            favorites.set(chosen(tables, share))
            starred.append(time.perf_counter() - began)
    theirs = int(tables.state[s.FAVORITE_0] + tables.state[s.FAVORITE_1])
    return (
        f"| {name} | {sum(took) / packets * 1e9:.0f} | {max(took[1:]) * 1e3:.1f}"
        f" | {max(starred) * 1e3:.1f} | {theirs / 1e6:.1f} |"
    )


def chosen(tables: Tables, share: float) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """A share of the streams, the newest first."""
    used = int(tables.state[s.USED_ROWS])
    rows = np.arange(used)[:: -max(1, round(1 / share))][:FAVORITES_MAX]
    refs = np.zeros(rows.size, STREAM_REF)
    refs["row"], refs["stream_id"] = rows, tables.flows["stream_id"][rows]
    return refs


if __name__ == "__main__":
    sys.exit(main())
