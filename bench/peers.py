"""flowmate and other tools on the same captures: `python -m bench.peers FILE... [--runs 3]`.

With $FLOWMATE_SHARED/bench/run_peers.py it is that program, with flowmate as one more contestant:
it knows more tools, gives slow ones a part of the file, and tells start-up apart. Without it, a
smaller loop here runs the tools of PEERS that are installed. Either way the last columns, or the
last table, are ratios to flowmate: above 1 the other one is slower, or uses more.

`python -m bench.peers --search [FILE...]` runs those that look for a flag in reassembled content:
gopacket with Go's regexp, tcpflow and then ripgrep over its files, and flowmate. Without FILE it
builds a capture with a flag in every tenth stream, and a peer that does not find them all is named.
"""

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.pipeline import count_packets
from bench.probe import (
    Measured,
    clean_environ,
    flowmate_command,
    measure,
    shared_bench,
    skip,
    warm,
)
from bench.search_peers import searching

OURS = "flowmate"
RATES = ("kpps", "kpps_core", "kpps_marg")
ONLY = "tcpdump,tcpflow,tshark,ngrep,nfstream,gopacket,flowmate"
GOPACKET = "gopk"
NFSTREAM = (
    "import sys\nfrom nfstream import NFStreamer\n"
    "s = NFStreamer(source=sys.argv[1], n_dissections=20, statistical_analysis=False)\n"
    "print(sum(1 for _ in s))\n"
)
# {pcap} and {work} are filled in. R reassembly, I a row a stream, C content, D dissection
PEERS = (
    ("tcpdump -w /dev/null", "reads and writes", ["tcpdump", "-r", "{pcap}", "-w", "/dev/null"]),
    ("tcpflow", "R I C", ["tcpflow", "-r", "{pcap}", "-o", "{work}", "-S", "enable_report=NO"]),
    ("tshark -z conv,tcp", "R I D", ["tshark", "-n", "-r", "{pcap}", "-q", "-z", "conv,tcp"]),
    ("ngrep", "search in packets", ["ngrep", "-q", "-I", "{pcap}", "flag[{]"]),
)  # fmt: skip


@dataclass(frozen=True)
class Peer:
    """One program in the comparison."""

    name: str
    does: str
    words: tuple[str, ...]

    def command(self, capture: Path, folder: Path) -> list[str]:
        places = {"{pcap}": str(capture), "{work}": str(folder)}
        words = []
        for word in self.words:
            for mark, value in places.items():
                word = word.replace(mark, value)
            words.append(word)
        return words


def main(argv: Sequence[str] | None = None) -> int:
    given = arguments(argv)
    if given.search:
        return searching(given)
    if not given.captures:
        sys.exit("python -m bench.peers: give FILE, or --search")
    program = shared_bench() / "run_peers.py"
    if program.is_file() and not given.own:
        return with_program(program, given)
    if not given.own:
        skip("the longer list of peers", f"{program} is not there; set FLOWMATE_SHARED")
    return own_loop(given)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("captures", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--search", action="store_true", help="a flag in reassembled content")
    parser.add_argument("--streams", type=int, default=300_000, help="of the capture it builds")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--only", default=ONLY, help="substrings of names; empty = all there are")
    parser.add_argument("--gopk", type=Path, help="the gopacket program, built")
    python = os.environ.get("PEERS_PYTHON", sys.executable)
    parser.add_argument("--python", default=python, help="a Python that has nfstream")
    parser.add_argument("--own", action="store_true", help="the loop here, whatever is installed")
    parser.add_argument("--budget", type=float, default=60, help="CPU s one run of a peer may take")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--md", type=Path)
    return parser.parse_args(argv)


def our_words(shards: int) -> list[str]:
    output = ["--output", "{work}/events.jsonl"]
    return [*flowmate_command(), "--pcap", "{pcap}", "--workers", str(shards), *output]


# ----------------------------------------------------------------------------- the long list
def with_program(program: Path, given: argparse.Namespace) -> int:
    """Run the program that knows many tools, then print its numbers as ratios to ours."""
    with tempfile.TemporaryDirectory(prefix="flowmate-peers-") as name:
        told = given.json or Path(name) / "peers.json"
        words = [sys.executable, str(program), *map(str, given.captures), "--no-limits"]
        words += ["--runs", str(given.runs), "--json", str(told), "--only", given.only]
        words += ["--python", given.python, "--work", f"{name}/work", "--timeout", "600"]
        words += ["--budget", str(given.budget), "--extra", f"{OURS}={our_line(given.shards)}"]
        words += ["--gopk", str(given.gopk)] if given.gopk else []
        words += ["--md", str(given.md)] if given.md else []
        status = subprocess.run(words, check=False, env=clean_environ()).returncode
        if status == 0:
            results = json.loads(told.read_text())["results"]
            print(ratios(results))
    return status


def our_line(shards: int) -> str:
    """A line for the shell; it ends with what was found, as that program shows it."""
    line = shlex.join(our_words(shards)).replace("'{pcap}'", "{pcap}")
    line = line.replace("'{work}/events.jsonl'", "{work}/events.jsonl")
    return f"{line} 2>/dev/null && echo events=$(wc -l < {{work}}/events.jsonl)"


def ratios(results: Sequence[dict[str, Any]]) -> str:
    """Our rates divided by theirs: how many times faster we are, by wall and by CPU."""
    lines = [
        "| file | peer | does | k packets/s | a core | a core less start-up"
        " | times slower | times more CPU | less start-up |",
        "|" + "---|" * 9,
    ]
    for row in results:
        ours = next((r for r in results if r["peer"] == OURS and r["file"] == row["file"]), None)
        times = [
            f"{ours[key] / row[key]:.2f}" if ours and ours[key] and row[key] else "-"
            for key in RATES
        ]
        note = "" if row["full"] else f" (first {row['packets']:,})"
        rates = [f"{row[key]:,.0f}" if row[key] else "-" for key in RATES]
        cells = [row["file"], row["peer"] + note, row["does"], *rates, *times]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


# ----------------------------------------------------------------------------- the short list
def own_loop(given: argparse.Namespace) -> int:
    """Every peer once in every round."""
    peers = [*installed(given), Peer(OURS, "R I C", tuple(our_words(given.shards)))]
    results = []
    for capture in given.captures:
        packets = count_packets(capture)
        runs: dict[str, list[Measured]] = {peer.name: [] for peer in peers}
        for _ in range(given.runs):
            for peer in peers:
                runs[peer.name].append(run_once(peer, capture))
        results += [result(peer, capture, packets, runs[peer.name]) for peer in peers]
    print(ratios(results))
    if given.json:
        given.json.write_text(json.dumps({"results": results}, indent=1) + "\n")
    if given.md:
        given.md.write_text(ratios(results) + "\n")
    return 0


def installed(given: argparse.Namespace) -> list[Peer]:
    found = []
    for name, does, words in PEERS:
        if shutil.which(words[0]):
            found.append(Peer(name, does, tuple(words)))
        else:
            skip(name, "not installed")
    gopk = given.gopk or (Path(path) if (path := shutil.which(GOPACKET)) else None)
    if gopk is not None and gopk.is_file():
        found.append(Peer("gopacket reassembly", "R I C S", (str(gopk), "{pcap}")))
    else:
        skip("gopacket", "no program; build it and give --gopk")
    has = [given.python, "-c", "import nfstream"]
    if subprocess.run(has, check=False, capture_output=True).returncode == 0:
        program = (given.python, "-c", NFSTREAM, "{pcap}")
        found.append(Peer("nfstream n_dissections=20", "I D", program))
    else:
        skip("nfstream", f"{given.python} has it not; give --python")
    return found


def run_once(peer: Peer, capture: Path) -> Measured:
    """One run in an empty folder, from a warm page cache."""
    warm(capture)
    with tempfile.TemporaryDirectory(prefix="flowmate-peers-") as name:
        run = measure(peer.command(capture.absolute(), Path(name)), clean_environ(), Path(name))
    if run.status not in (0, 1):
        print(f"{peer.name}: exit status {run.status}: {run.stderr[-300:]}", file=sys.stderr)
    return run


def result(peer: Peer, capture: Path, packets: int, runs: Sequence[Measured]) -> dict[str, Any]:
    wall = statistics.median(run.wall_s for run in runs)
    cpu = statistics.median(run.cpu_s for run in runs)
    return {
        "peer": peer.name,
        "does": peer.does,
        "file": capture.name,
        "packets": packets,
        "full": True,
        "wall": wall,
        "cpu": cpu,
        "rss": statistics.median(run.rss_bytes for run in runs),
        "kpps": packets / wall / 1e3,
        "kpps_core": packets / max(cpu, 1e-3) / 1e3,
        "kpps_marg": 0.0,  # start-up is not told apart here
    }


if __name__ == "__main__":
    sys.exit(main())
