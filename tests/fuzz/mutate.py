"""Mutation fuzzing: `python -m tests.fuzz.mutate --count 100000 --seed 1 [corpus ...]`.

Case i of a seed is always the same bytes for the same corpus. Cases run in worker processes: one
that crashes or hangs is named by what it left in shared memory, and another one goes on behind it.
Failures are saved, with what went wrong beside them and the command that repeats them.
"""

import argparse
import ctypes
import faulthandler
import multiprocessing
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NoReturn

from shared import kernel_cache
from tests.fuzz import chain, seeds, shrink
from tests.fuzz.anatomy import Capture, load
from tests.fuzz.mutations import FILE_MUTATIONS, MOST_RECORDS, MUTATIONS, compress, damage_bytes

CASE_CPU_S = 2.0  # what one case may take
CASE_WALL_S = 60.0  # after that it hangs, however busy the machine is
CASE_RSS_BYTES = 256 << 20  # what one case may add to the process
ADDRESS_SPACE_BYTES = 8 << 30  # of a worker process: what goes wild ends in MemoryError
SAVED_OF_A_KIND = 3
CRASHES_MOST = 50  # then there is nothing more to learn
POLL_S = 0.05
PIECE_BYTES = 40_000  # most cases are at most this long
NOT_CAPTURES = (".json", ".md", ".txt", ".py")

PR_SET_THP_DISABLE = 41  # prctl(2)

Corpus = Sequence[Capture]
# What a worker shares with its parent
(CASE, STARTED_MS, DONE, FAILED, PACKETS, STREAMS, SLOWEST_MS, SLOWEST, SHARED) = range(9)


def main(argv: Sequence[str] | None = None) -> int:
    given = arguments(argv)
    if given.checked and os.environ.get("NUMBA_BOUNDSCHECK") != "1":
        check_bounds()
    if given.repeat or given.shrink:
        return shrink.main(given.repeat, given.shrink)
    corpus = read_corpus(given.corpus)
    given.failures.mkdir(parents=True, exist_ok=True)
    print(f"seed {given.seed}, {given.count} cases, {len(corpus)} captures", flush=True)
    return Fuzz(corpus, given).run()


def check_bounds() -> NoReturn:
    """Start again with kernels that check every index; they are kept apart from others."""
    checked = {"NUMBA_BOUNDSCHECK": "1", kernel_cache.VARIABLE: ""}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | checked)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.mutate", description=__doc__)
    parser.add_argument("corpus", nargs="*", type=Path, help="captures, or folders of them")
    parser.add_argument("--count", type=int, default=10_000, help="cases")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--procs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--checked", action="store_true", help="kernels check every index")
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--repeat", type=Path, nargs="+", default=[], help="run saved cases again")
    parser.add_argument("--shrink", type=Path, nargs="+", default=[], help="make them smaller")
    return parser.parse_args(argv)


def read_corpus(paths: Sequence[Path]) -> list[Capture]:
    """The captures given, those of folders too, and always the generated ones."""
    files: list[Path] = []
    for path in paths:
        files += sorted(path.rglob("*")) if path.is_dir() else [path]
    wanted = [file for file in files if file.is_file() and file.suffix not in NOT_CAPTURES]
    found = [load(file) for file in wanted]
    return seeds.captures() + [capture for capture in found if capture.records]


# -------------------------------------------------------------------------------------- cases
def case(seed: int, number: int, corpus: Corpus) -> bytes:
    """The bytes of one case."""
    chance = random.Random(f"{seed}/{number}")
    capture = piece_of(chance.choice(corpus), chance)
    for _ in range(chance.choice((1, 1, 2, 2, 3, 4, 6, 10, 20))):
        if not capture.records:
            break
        chance.choice(MUTATIONS)(capture, chance, corpus)
        del capture.records[MOST_RECORDS:]
    if capture.records and chance.random() < 0.3:
        chance.choice(FILE_MUTATIONS)(capture, chance, corpus)
    data = capture.join()
    kind = chance.random()
    if kind < 0.1:
        data = damage_bytes(data, chance)
    elif kind < 0.13:
        data += piece_of(chance.choice(corpus), chance).join()
    elif kind < 0.16:
        data = compress(data, chance)
        data = damage_bytes(data, chance) if chance.random() < 0.5 else data
    return data


def piece_of(capture: Capture, chance: random.Random) -> Capture:
    """A run of its records, in most cases short; the head stays."""
    limit = PIECE_BYTES if chance.random() < 0.98 else 10 * PIECE_BYTES
    limit = int(limit ** chance.uniform(0.75, 1.0))
    first, size, stop = 0, 0, 0
    if sum(map(len, capture.records)) > limit and chance.random() < 0.7:
        first = stop = chance.randrange(len(capture.records))
    while stop < len(capture.records) and (stop == first or size < limit):
        size += len(capture.records[stop])
        stop += 1
    records = capture.records[first : min(stop, first + MOST_RECORDS)]
    return Capture(capture.kind, capture.order, bytearray(capture.head), records, capture.frame_at)


# ------------------------------------------------------------------------------------ workers
class Fuzz:
    """The worker processes, and what they find."""

    def __init__(self, corpus: Corpus, given: argparse.Namespace) -> None:
        self.corpus, self.given = corpus, given
        self.context = multiprocessing.get_context("fork")
        self.shared = [self.context.RawArray("q", SHARED) for _ in range(given.procs)]
        self.workers: list[BaseProcess | None] = [None] * given.procs
        self.crashes = 0

    def run(self) -> int:
        began = shown = time.monotonic()
        last = self.given.first + self.given.count
        for slot in range(self.given.procs):
            self._start(slot, self.given.first + slot)
        while any(self.workers):
            time.sleep(POLL_S)
            for slot, worker in enumerate(self.workers):
                if worker is not None:
                    self._watch(slot, worker, last)
            if time.monotonic() - shown > 10:
                shown = time.monotonic()
                print(self._so_far(shown - began), flush=True)
        print(self._so_far(time.monotonic() - began))
        failed = self.crashes + self._total(FAILED)
        if failed:
            print(f"{failed} failures in {self.given.failures}; to repeat one:")
            print(f"  python -m tests.fuzz.mutate --repeat {self.given.failures}/FILE")
            print(f"  python -m tests.fuzz.mutate --shrink {self.given.failures}/FILE")
        return 1 if failed else 0

    def _start(self, slot: int, first: int) -> None:
        self.shared[slot][CASE], self.shared[slot][STARTED_MS] = -1, 0
        numbers = range(first, self.given.first + self.given.count, self.given.procs)
        worker = self.context.Process(
            target=work, args=(self, numbers, self.shared[slot]), daemon=True
        )
        worker.start()
        self.workers[slot] = worker

    def _watch(self, slot: int, worker: BaseProcess, last: int) -> None:
        """Replace a worker that crashed, end one that hangs."""
        number, started_ms = self.shared[slot][CASE], self.shared[slot][STARTED_MS]
        hangs = started_ms and monotonic_ms() - started_ms > CASE_WALL_S * 1000
        if hangs and worker.is_alive():
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGABRT)  # faulthandler says where it was
            worker.join()
        if worker.is_alive():
            return
        worker.join()
        self.workers[slot] = None
        if worker.exitcode == 0:
            return
        self.crashes += 1
        what = "hangs" if hangs else f"ended with {worker.exitcode}"
        log = self.given.failures / f"worker-{worker.pid}.txt"
        text = log.read_text() if log.exists() else ""
        log.unlink(missing_ok=True)
        save(self, number, "crash", f"{text}\n{what}")
        more = number + self.given.procs
        if number >= 0 and more < last and self.crashes < CRASHES_MOST:
            self._start(slot, more)

    def _total(self, what: int) -> int:
        return sum(int(shared[what]) for shared in self.shared)

    def _so_far(self, seconds: float) -> str:
        done, failed = self._total(DONE), self._total(FAILED) + self.crashes
        worst = max(self.shared, key=lambda shared: int(shared[SLOWEST_MS]))
        return (
            f"{done} cases, {done / seconds:.0f}/s, {self._total(PACKETS)} packets,"
            f" {self._total(STREAMS)} streams, {failed} failures;"
            f" slowest {worst[SLOWEST_MS]} ms (case {worst[SLOWEST]})"
        )


def small_pages() -> None:
    """A case touches little of large tables: zeroing huge pages would take half the time."""
    ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)


def work(fuzz: Fuzz, numbers: range, shared: "list[int]") -> None:
    """A worker process: its share of the cases."""
    log = fuzz.given.failures / f"worker-{os.getpid()}.txt"
    kinds: Counter[str] = Counter()
    with log.open("w") as file:
        faulthandler.enable(file)
        small_pages()
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        bystanders = chain.Bystanders()
        for number in numbers:
            shared[CASE], shared[STARTED_MS] = number, monotonic_ms()
            data = case(fuzz.given.seed, number, fuzz.corpus)
            problem = examine(data, bystanders, shared)
            shared[DONE] += 1
            if problem:
                shared[FAILED] += 1
                kind = kind_of(problem)
                kinds[kind] += 1
                if kinds[kind] <= SAVED_OF_A_KIND:
                    save(fuzz, number, "failure", problem)
    log.unlink()


def examine(data: bytes, bystanders: chain.Bystanders, shared: "list[int]") -> str:
    """Run one case; what is wrong with it, or nothing."""
    began, before = time.process_time(), peak_rss()
    try:
        outcome = chain.run(data, bystanders)
    except Exception:
        return traceback.format_exc()
    took = time.process_time() - began
    shared[PACKETS] += outcome.packets
    shared[STREAMS] += outcome.streams
    if took * 1000 > shared[SLOWEST_MS]:
        shared[SLOWEST_MS], shared[SLOWEST] = int(took * 1000), shared[CASE]
    if took > CASE_CPU_S:
        return f"took {took:.1f} s of CPU time\nslow"
    if (grown := peak_rss() - before) > CASE_RSS_BYTES:
        return f"the process grew by {grown >> 20} MiB\nlarge"
    return ""


def save(fuzz: Fuzz, number: int, what: str, problem: str) -> None:
    """Keep a case and what is wrong with it."""
    given = fuzz.given
    stem = given.failures / f"{what}-{given.seed}-{number}"
    stem.with_suffix(".pcap").write_bytes(case(given.seed, number, fuzz.corpus))
    stem.with_suffix(".txt").write_text(problem)
    print(f"case {number}: {kind_of(problem)}  [{stem}.pcap]", file=sys.stderr, flush=True)


def kind_of(problem: str) -> str:
    """What failures of one kind have in common: the exception and its place, or what happened."""
    lines = problem.strip().splitlines() or [""]
    raised = [line for line in lines if line and not line.startswith((" ", "rig:", "Traceback"))]
    places = [line.strip() for line in lines if line.startswith("  File ")]
    crashed = raised and raised[0].startswith("Fatal")  # the innermost call comes first
    return " ".join([*raised[-1:], *(places[:1] if crashed else places[-1:])])


def peak_rss() -> int:
    """Bytes; only grows."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def monotonic_ms() -> int:
    return int(time.monotonic() * 1000)


if __name__ == "__main__":
    sys.exit(main())
