"""What patterns that backtrack for ever cost at ingest: `python -m bench.redos FILE...`.

Each capture, and one in which such patterns do backtrack (every packet is a hit of five of them),
without patterns, with ten harmless ones and with ten of the other kind, taking turns; packets a
second from the first packet to the end, in a run that has been started before, and the share of the
speed without patterns.
"""

import argparse
import statistics
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.ingest import ingest
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
HEAD = struct.Struct("<IHHiIII")


def regexes(values: tuple[str, ...]) -> list[str]:
    return [word for value in values for word in ("--regex", value)]


LAYERS = {"none": [], "10 harmless": regexes(HARMLESS), "10 that backtrack": regexes(EVIL)}


def build(path: Path, streams: int) -> None:
    """A capture of 100 s: TCP streams that say PIECES, a thousand at a time."""
    count, size = streams * len(PIECES), 14 + 20 + 20 + len(PIECES[0])
    numbers = np.arange(count, dtype=np.uint32)
    stream, piece = numbers % 1000 + numbers // (1000 * len(PIECES)) * 1000, numbers // 1000 % 4
    frame = np.zeros((count, 16 + size), np.uint8)
    times_us = numbers.astype(np.uint64) * 100_000_000 // count
    frame[:, 0:4] = octets((1_700_000_000 + times_us // 1_000_000).astype("<u4"), 4)
    frame[:, 4:8] = octets((times_us % 1_000_000).astype("<u4"), 4)
    frame[:, 8:16] = np.frombuffer(np.full(2, size, "<u4").tobytes(), np.uint8)
    frame[:, 28:30] = 8, 0  # IPv4
    total = (size - 14).to_bytes(2, "big")
    frame[:, 30:42] = np.frombuffer(b"\x45\0" + total + bytes([0, 0, 64, 0, 64, 6, 0, 0]), np.uint8)
    frame[:, 42:46] = octets((0x0A000000 + stream % 200_000).astype(">u4"), 4)
    frame[:, 46:50] = 10, 200, 0, 1
    frame[:, 50:52] = octets((20_000 + stream // 200_000).astype(">u2"), 2)
    frame[:, 52:54] = 31, 144  # port 8080
    frame[:, 54:58] = octets((1000 + piece * len(PIECES[0])).astype(">u4"), 4)
    frame[:, 62:64] = 0x50, 0x18  # header of 20 bytes; ACK, PSH
    frame[:, 64] = 255
    frame[:, 70:] = np.frombuffer(b"".join(PIECES), np.uint8).reshape(len(PIECES), -1)[piece]
    path.write_bytes(HEAD.pack(0xA1B2C3D4, 2, 4, 0, 0, 262144, 1) + frame.tobytes())


def octets(values: NDArray[Any], width: int) -> NDArray[np.uint8]:
    return np.frombuffer(values.tobytes(), np.uint8).reshape(-1, width)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.redos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("captures", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--streams", type=int, default=300_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fm-bench-") as name:
        built = Path(name) / "backtracks.pcap"
        build(built, given.streams)
        print("| capture | patterns | k packets/s | least | most | of none |")
        print("|---|---|---|---|---|---|")
        for capture in [*given.captures, built]:
            warm(capture)
            table(capture, given.runs)


def table(capture: Path, runs: int) -> None:
    """Lines of one capture."""
    rates: dict[str, list[float]] = {layer: [] for layer in LAYERS}
    for _ in range(runs):
        for layer, options in LAYERS.items():
            rates[layer].append(ingest(capture.absolute(), 1, 0, *options).rate / 1e3)
    none = statistics.median(rates["none"])
    for layer, found in rates.items():
        middle = statistics.median(found)
        cells = f"{middle:,.0f} | {min(found):,.0f} | {max(found):,.0f} | {middle / none:.0%}"
        print(f"| {capture.name} | {layer} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
