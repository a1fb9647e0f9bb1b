"""What patterns that backtrack for ever cost at ingest: `python -m bench.redos FILE...`.

Each capture, and one in which such patterns do backtrack (every packet is a hit of five of them),
without patterns, with ten harmless ones and with ten of the other kind, taking turns; packets a
second from the first packet to the end, in a run that has been started before, and the share of the
speed without patterns. Beside it the CPU of the shard, which says what patterns cost where other
programs had a part of the cores.

What a bad pattern costs until it is found out it costs once a run: of a run of a second that is a
larger share than of traffic that goes on. So the built capture is one of some seconds; --streams
says another length.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np

from bench.built import write_streams
from bench.ingest import Ingest, ingest
from bench.probe import warm

EVIL = (
    r"(a+)+$",
    r"(a|aa)+$",
    r"(a|a?)+$",
    r"^(a*)*c",
    r"(.*a){12}$",
    r"(\w+\s?)+;$",
    r"([a-zA-Z]+)*!",
    r"(x+x+)+y",
    r"(\d+)+x$",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
)
HARMLESS = tuple(f"evil{number}[0-9]{{2,8}};" for number in range(10))
PIECES = (b"a" * 256, b"a" * 256, b"a" * 255 + b"b", b"a" * 200 + b"!" + b"a" * 55)


def regexes(values: tuple[str, ...]) -> list[str]:
    return [word for value in values for word in ("--regex", value)]


LAYERS = {"none": [], "10 harmless": regexes(HARMLESS), "10 that backtrack": regexes(EVIL)}


def build(path: Path, streams: int) -> None:
    """TCP streams that say PIECES."""
    pieces = np.frombuffer(b"".join(PIECES), np.uint8).reshape(1, len(PIECES), -1)
    write_streams(path, np.broadcast_to(pieces, (streams, *pieces.shape[1:])))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.redos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("captures", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--streams", type=int, default=600_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fm-bench-") as name:
        built = Path(name) / "backtracks.pcap"
        build(built, given.streams)
        print(
            "| capture | patterns | k packets/s | least | most | of none | shard, CPU s | others |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for capture in [*given.captures, built]:
            warm(capture)
            table(capture, given.runs)


def table(capture: Path, runs: int) -> None:
    """Lines of one capture."""
    found: dict[str, list[Ingest]] = {layer: [] for layer in LAYERS}
    for _ in range(runs):
        for layer, options in LAYERS.items():
            found[layer].append(ingest(capture.absolute(), 1, 0, *options))
    none = statistics.median(one.rate for one in found["none"])
    for layer, taken in found.items():
        rates = [one.rate / 1e3 for one in taken]
        middle = statistics.median(rates)
        cells = f"{middle:,.0f} | {min(rates):,.0f} | {max(rates):,.0f} | {middle * 1e3 / none:.0%}"
        shard = statistics.median(one.cpu_s["shard"] for one in taken)
        others = statistics.median(one.others_cores for one in taken)
        print(f"| {capture.name} | {layer} | {cells} | {shard:.2f} | {others:.2f} |", flush=True)


if __name__ == "__main__":
    main()
