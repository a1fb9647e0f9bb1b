"""Runs a command and measures it with all its child processes: wall, CPU and memory by service.

CPU of the whole tree is exact: it is what `wait4` says of the command and of all that it waited
for. CPU of one service is read from /proc, thread by thread, every SAMPLE_S until the process is
gone; a zombie still says its last number, so that most are read after the end. What the samples
missed is told as `unseen_cpu_s` and belongs to no service. Memory is the peak the kernel kept
(VmHWM) when last looked at; a page that two services share counts in both.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_S = 0.02
TICKS_S = os.sysconf("SC_CLK_TCK")
SERVICES = ("capture", "shard", "coordinator", "api", "launcher")
ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Usage:
    """What one process, or all processes of one service, used."""

    cpu_s: float = 0.0
    rss_bytes: int = 0  # of several processes: the sum of their peaks


@dataclass
class Measured:
    """One run of a command."""

    wall_s: float
    cpu_s: float  # of the whole tree
    status: int  # exit status; negative: the signal
    services: dict[str, Usage]
    unseen_cpu_s: float  # of the tree, but of no service
    rss_bytes: int  # the largest sum over the tree that was sampled, or the command's own peak
    others_cores: float  # cores that other programs kept busy meanwhile
    stderr: str = ""


@dataclass
class Process:
    """One process of the tree, as it was last seen."""

    service: str
    threads_ns: dict[int, int] = field(default_factory=dict)  # CPU time by thread
    rss_bytes: int = 0
    now_bytes: int = 0


class Sampler(threading.Thread):
    """Looks at a process and its descendants until it is told to stop."""

    def __init__(self, root: int, service_of: Callable[[str], str]) -> None:
        super().__init__(daemon=True)
        self.processes: dict[int, Process] = {}
        self.peak_bytes = 0
        self._root, self._service_of = root, service_of
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(SAMPLE_S):
            self.look()

    def look(self) -> None:
        for pid in descendants(self._root):
            self._look_at(pid)
        self.peak_bytes = max(
            self.peak_bytes, sum(process.now_bytes for process in self.processes.values())
        )

    def end(self) -> None:
        self._done.set()
        self.join()

    def _look_at(self, pid: int) -> None:
        process = self.processes.get(pid)
        if process is None or process.service == "launcher":
            # right after a fork a child still has its parent's command line
            service = "launcher" if pid == self._root else self._service_of(command_line(pid))
            process = self.processes.setdefault(pid, Process(service))
            process.service = service
        process.threads_ns |= thread_times(pid)
        peak, process.now_bytes = memory(pid)
        process.rss_bytes = max(process.rss_bytes, peak)

    def by_service(self) -> dict[str, Usage]:
        result: dict[str, Usage] = {}
        for process in self.processes.values():
            usage = result.setdefault(process.service, Usage())
            usage.cpu_s += sum(process.threads_ns.values()) / 1e9
            usage.rss_bytes += process.rss_bytes
        return result


def service_of(line: str) -> str:
    """The service that a command line starts."""
    for service in SERVICES:
        if f"services.{service}" in line:
            return service
    return "launcher"


class Running:
    """A command that is being measured."""

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self._busy = busy_s()
        self._began = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=None if environ is None else dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._stderr: list[bytes] = []
        self._wanted, self._seen_s, self._seen = b"", 0.0, threading.Event()
        self._drain = threading.Thread(target=self._read_stderr, daemon=True)
        self._drain.start()
        self.sampler = Sampler(self.process.pid, service_of)
        self.sampler.start()

    def _read_stderr(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._stderr.append(line)
            if self._wanted and self._wanted in line and not self._seen.is_set():
                self._seen_s = time.perf_counter() - self._began
                self._seen.set()
        self._seen.set()

    def until(self, text: str) -> float:
        """Wait for a line on standard error; s of wall time until it came. Ask before it can."""
        self._wanted = text.encode()
        self._seen.wait()
        return self._seen_s

    def end(self) -> Measured:
        """Wait for it."""
        _, status, used = os.wait4(self.process.pid, 0)
        wall_s = time.perf_counter() - self._began
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.sampler.end()
        busy = busy_s() - self._busy
        self._drain.join(1.0)
        cpu_s = used.ru_utime + used.ru_stime
        services = self.sampler.by_service()
        seen = sum(usage.cpu_s for usage in services.values())
        return Measured(
            wall_s=wall_s,
            cpu_s=cpu_s,
            status=self.process.returncode,
            services=services,
            unseen_cpu_s=cpu_s - seen,
            rss_bytes=max(self.sampler.peak_bytes, used.ru_maxrss * 1024),
            others_cores=max(0.0, busy - cpu_s) / wall_s,
            stderr=b"".join(self._stderr[-40:]).decode(errors="replace"),
        )


def measure(
    command: Sequence[str],
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Measured:
    """Run a command to its end."""
    return Running(command, environ, folder).end()


# --------------------------------------------------------------------------------------- /proc
def text_of(path: str) -> str:
    """A file of /proc; empty when the process is gone."""
    try:
        with open(path, "rb") as file:
            return file.read().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def names_in(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants(root: int) -> list[int]:
    """A process and all below it."""
    found = [root]
    for pid in found:
        for thread in names_in(f"/proc/{pid}/task"):
            found += map(int, text_of(f"/proc/{pid}/task/{thread}/children").split())
    return found


def command_line(pid: int) -> str:
    return text_of(f"/proc/{pid}/cmdline").replace("\0", " ")


def thread_times(pid: int) -> dict[int, int]:
    """CPU time of each thread in ns. Without schedstat: of the process, in ticks, as one thread."""
    found = {}
    for thread in names_in(f"/proc/{pid}/task"):
        if words := text_of(f"/proc/{pid}/task/{thread}/schedstat").split():
            found[int(thread)] = int(words[0])
    if found:
        return found
    fields = text_of(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return {pid: (int(fields[11]) + int(fields[12])) * 10**9 // TICKS_S} if fields else {}


def memory(pid: int) -> tuple[int, int]:
    """Peak and present resident bytes; 0 of a zombie."""
    found = {"VmHWM": 0, "VmRSS": 0}
    for line in text_of(f"/proc/{pid}/status").splitlines():
        name, _, rest = line.partition(":")
        if name in found:
            found[name] = int(rest.split()[0]) * 1024
    return found["VmHWM"], found["VmRSS"]


def busy_s() -> float:
    """CPU time that the whole machine has spent not idle."""
    fields = [int(word) for word in text_of("/proc/stat").split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS_S


# ----------------------------------------------------------------------------------- what to run
def flowmate_command() -> list[str]:
    """The console script of this Python; from a checkout without one, the module."""
    script = Path(sys.executable).with_name("flowmate")
    return [str(script)] if script.exists() else [sys.executable, "-m", "shared.launcher"]


def clean_environ() -> dict[str, str]:
    """No settings from outside; services are found in this tree."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLOWMATE_")}
    rest = kept.get("PYTHONPATH")
    return kept | {"PYTHONPATH": f"{ROOT}{os.pathsep}{rest}" if rest else str(ROOT)}


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def shared_bench() -> Path:
    """The folder of measuring programs that live outside the repository."""
    return Path(os.environ.get("FLOWMATE_SHARED") or ROOT.parent / "shared") / "bench"


def warm(path: Path) -> None:
    """Read a file, so that it lies in the page cache."""
    with path.open("rb") as file:
        while file.read(1 << 22):
            pass


def skip(what: str, why: str) -> int:
    """Say that something is not measured, and why. The exit status of a skipped program."""
    print(f"SKIP {what}: {why}", file=sys.stderr)
    return 0
