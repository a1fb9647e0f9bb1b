"""What parsers and patterns cost a whole run: `python -m bench.layers FILE... [--runs 3]`.

The same capture without parsers, with them, with 3 and with 50 patterns, taking turns; CPU and wall
seconds of all processes, median and least, less the least of three runs over a sample of some
hundred packets. On a machine that is not quiet only the least of many runs means something.
"""

import argparse
import random
import resource
import statistics
import string
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.probe import clean_environ, flowmate_command

HEAD = """| capture | layer | CPU s | least | wall s | CPU : first layer | least |
|---|---|---|---|---|---|---|"""
THREE = ["--regex", "[A-Z0-9]{31}=", "--pattern", "flag{", "--binary-pattern", "deadbeef00"]


def fifty() -> list[str]:
    """Rare words, short expressions and bytes; the same at each call."""
    rng = random.Random(1)
    words = list(THREE)
    for _ in range(24):
        words += ["--pattern", "".join(rng.choice(string.ascii_letters) for _ in range(10))]
    for _ in range(12):
        letters = "".join(rng.choice(string.ascii_lowercase) for _ in range(5))
        words += ["--regex", f"{letters[:4]}[0-9]{{2,8}}{letters[4]}"]
    for _ in range(11):
        words += ["--binary-pattern", "".join(rng.choice("0123456789abcdef") for _ in range(12))]
    return words


LAYERS = {
    "no parsers": ["--disable-stream-parser"],
    "parsers": [],
    "3 patterns": THREE,
    "50 patterns": fifty(),
}


def run(capture: Path, options: Sequence[str], folder: Path) -> tuple[float, float]:
    """CPU and wall seconds of one run."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    words = [*flowmate_command(), "--pcap", str(capture), "--workers", "1", *options]
    words += ["--output", str(folder / "events.jsonl")]
    subprocess.run(words, check=True, env=clean_environ(), stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, time.monotonic() - began


def least(capture: Path, options: Sequence[str], folder: Path) -> tuple[float, float]:
    """CPU and wall seconds, each the least of three runs: what comes from outside only adds."""
    pairs = [run(capture, options, folder) for _ in range(3)]
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.layers", description=__doc__)
    parser.add_argument("captures", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--layers", nargs="*", choices=LAYERS, default=list(LAYERS))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sample = folder / "sample.pcap"
        subprocess.run([*flowmate_command(), "sample", "-o", str(sample)], check=True)
        start = {layer: least(sample, LAYERS[layer], folder) for layer in given.layers}
        print(HEAD)
        for capture in given.captures:
            table(capture, given.runs, folder, start)


def table(capture: Path, runs: int, folder: Path, start: dict[str, tuple[float, float]]) -> None:
    """Lines of one capture."""
    taken: dict[str, list[tuple[float, float]]] = {layer: [] for layer in start}
    for _ in range(runs):
        for layer, pairs in taken.items():
            pairs.append(run(capture, LAYERS[layer], folder))
    first: list[float] = []
    for layer, pairs in taken.items():
        spent = [pair[0] - start[layer][0] for pair in pairs]
        wall = statistics.median(pair[1] for pair in pairs) - start[layer][1]
        numbers = [statistics.median(spent), min(spent)]
        first = first or numbers
        cells = " | ".join(f"{n:.2f}" for n in (*numbers, wall))
        ratios = " | ".join(f"{a / b:.2f}" for a, b in zip(numbers, first, strict=True))
        print(f"| {capture.name} | {layer} | {cells} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
