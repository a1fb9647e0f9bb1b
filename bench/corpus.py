"""Makes the captures that are measured: `python -m bench.corpus [--folder DIR] [name ...]`.

- http_small: 160,000 short HTTP connections, 3.5 M packets; what a team box sees
- bulk: four connections of 2 GB in all; what a file server sees
- mixed: HTTP, TLS, DNS and binary protocols, IPv6, reordering and retransmission; 1.2 GB
- real: a real capture again and again, each time with other addresses; 1 GB

The generator is $FLOWMATE_SHARED/bench/make_big.py; where it is not, nothing is made.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.probe import shared_bench, skip

FULL = {
    "http_small": ["--flows", "160000"],
    "bulk": ["--size", "2G"],
    "mixed": ["--size", "1200M"],
    "real": ["--size", "1G", "--ports"],
}
SMALL = {
    "http_small": ["--flows", "3000"],
    "bulk": ["--size", "40M"],
    "mixed": ["--size", "24M"],
    "real": ["--size", "20M", "--ports"],
}
REAL_CAPTURE = Path("corpus") / "ndpi__wechat.pcap"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.corpus",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="name", help="of " + ", ".join(FULL))
    usual = Path(tempfile.gettempdir()) / "flowmate-big"
    parser.add_argument("--folder", type=Path, default=usual, help=f"default {usual}")
    parser.add_argument("--small", action="store_true", help="of a few ten MB, to try things")
    parser.add_argument("--real", type=Path, help="the capture that is repeated")
    given = parser.parse_args(argv)
    if unknown := set(given.names) - FULL.keys():
        parser.error(f"no such capture: {', '.join(sorted(unknown))}")
    generator = shared_bench() / "make_big.py"
    if not generator.is_file():
        return skip("captures", f"{generator} is not there; set FLOWMATE_SHARED")
    given.folder.mkdir(parents=True, exist_ok=True)
    status = 0
    for name in given.names or FULL:
        status |= make(name, given, generator)
    return status


def make(name: str, given: argparse.Namespace, generator: Path) -> int:
    """One capture, unless it is there already."""
    target = given.folder / f"{name}.pcap"
    if target.exists():
        print(f"{target}: is there")
        return 0
    options = (SMALL if given.small else FULL)[name]
    what = [name]
    if name == "real":
        real = given.real or shared_bench().parent / REAL_CAPTURE
        if not real.is_file():
            return skip("real", f"{real} is not there; give another with --real")
        what = ["loop", str(real)]
    # under another name until it is whole
    part = target.with_suffix(".part")
    truth = target.with_suffix(".json")
    command = [sys.executable, str(generator), *what, "-o", str(part), "--truth", str(truth)]
    status = subprocess.run([*command, *options], check=False).returncode
    if status == 0:
        part.rename(target)
        print(f"{target}: {target.stat().st_size:,} bytes")
    return status


if __name__ == "__main__":
    sys.exit(main())
