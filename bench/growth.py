"""What grows of the processes of a run: memory, descriptors and threads over time, with a slope."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.probe import command_line, descendants, memory, names_in, service_of

MINUTE_S = 60.0
HEAD = """\
| | MB first | MB half-way | MB last | kB/min of the second half | descriptors | threads |
|---|---|---|---|---|---|---|"""


@dataclass
class Grown:
    """One process over time, a value for each look."""

    name: str
    at_s: list[float] = field(default_factory=list)
    rss_bytes: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def row(self) -> str:
        """A row of the table. descriptors, threads: half-way, and last."""
        half = len(self.at_s) // 2
        slope, error = slope_of(self.at_s[half:], self.rss_bytes[half:])
        mb = (self.rss_bytes[0] / 1e6, self.rss_bytes[half] / 1e6, self.rss_bytes[-1] / 1e6)
        return (
            f"| {self.name} | {mb[0]:,.1f} | {mb[1]:,.1f} | {mb[2]:,.1f}"
            f" | {slope * MINUTE_S / 1e3:+,.1f} ± {error * MINUTE_S / 1e3:,.1f}"
            f" | {self.descriptors[half]} to {self.descriptors[-1]}"
            f" | {self.threads[half]} to {self.threads[-1]} |"
        )


class Growth(threading.Thread):
    """Looks at a process and all below it every `every_s` until `end`."""

    def __init__(self, root: int, every_s: float) -> None:
        super().__init__(daemon=True)
        self.root, self.every_s = root, every_s
        self._by_pid: dict[int, Grown] = {}
        self._began = time.monotonic()
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(self.every_s):
            self.look()

    def end(self) -> list[Grown]:
        """Stop; each process that was seen, in the order of their names."""
        self._done.set()
        self.join()
        return self.all()

    def all(self) -> list[Grown]:
        return sorted(self._by_pid.values(), key=lambda each: each.name)

    def look(self) -> None:
        at_s = time.monotonic() - self._began
        for pid in descendants(self.root):
            rss = memory(pid)[1]
            if rss:
                one = self._by_pid.get(pid) or self._meet(pid)
                one.at_s.append(at_s)
                one.rss_bytes.append(rss)
                one.descriptors.append(len(names_in(f"/proc/{pid}/fd")))
                one.threads.append(len(names_in(f"/proc/{pid}/task")))

    def _meet(self, pid: int) -> Grown:
        service = service_of(command_line(pid))
        taken = {each.name for each in self._by_pid.values()}
        name = next(name for name in names_like(service) if name not in taken)
        return self._by_pid.setdefault(pid, Grown(name))


def names_like(service: str) -> Iterator[str]:
    yield service
    number = 2
    while True:
        yield f"{service} {number}"
        number += 1


def slope_of(at: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Of the line with the least squares, a second, and its standard error, which takes each look
    for independent of the one before."""
    if len(at) < 3:
        return 0.0, float("inf")
    x, y = np.asarray(at) - np.mean(at), np.asarray(values, float) - np.mean(values)
    slope = float((x @ y) / (x @ x))
    left = y - slope * x
    return slope, float(np.sqrt((left @ left) / (len(at) - 2) / (x @ x)))


def table(found: Sequence[Grown]) -> str:
    return "\n".join([HEAD, *(one.row() for one in found)])
