"""The service processes of one local run: started together, watched, ended in order."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from shared import parent
from shared.errors import EXIT_NOTHING_READ, EXIT_OK, UserError
from shared.patience import Patience
from shared.settings import Service, Settings, host_port, to_environ, variable

ROOT = Path(__file__).resolve().parent.parent
# numpy's linear algebra, which nobody uses here, would start a thread a core in every service.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# glibc would give each message of a megabyte fresh pages, and take them back at once: zeroing them
# was 40 % of the coordinator's time. With these it keeps and reuses them.
KEEP_PAGES = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "268435456",
    "MALLOC_TRIM_THRESHOLD_": "268435456",
    "MALLOC_TOP_PAD_": "8388608",
}


STDERR = 2
PORT_MAX = 65535
# Ports after the one that is given; each shard has one more.
METRICS_PORTS: tuple[Service, ...] = ("capture", "coordinator", "api", "shard")


class Child:
    """One service: its process, and those that came before it."""

    def __init__(
        self, service: Service, name: str, environ: Mapping[str, str], reads: bool, writes: bool
    ) -> None:
        """reads, writes: whether it may use the launcher's standard input and output."""
        self.service, self.name = service, name
        self.restarts = 0
        self.start_at: float | None = None  # it died, and is to be started again then
        self._patience = Patience()
        self._environ = dict(environ)
        self._stdin = None if reads else subprocess.DEVNULL
        self._stdout = None if writes else STDERR
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        # -P: a folder called `services` where the user happens to stand is not ours. A group of
        # its own: Ctrl-C reaches the launcher alone, which then ends the services in order.
        return subprocess.Popen(
            [sys.executable, "-P", "-m", f"services.{self.service}"],
            env=self._environ,
            stdin=self._stdin,
            stdout=self._stdout,
            process_group=0,
        )

    def plan_restart(self, now: float) -> bool:
        """It died: have it started again after a pause; False when it dies too often for that."""
        self.start_at = self._patience.next_start(now)
        return self.start_at is not None

    def restart_if_due(self, now: float) -> bool:
        """True when it was started again just now."""
        if self.start_at is None or now < self.start_at:
            return False
        self.start_at = None
        self.restarts += 1
        self.process = self._start()
        return True

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def ended_badly(self) -> bool:
        """True when it is gone and had no reason to go: only capture ends by itself."""
        status = self.process.poll()
        expected = (EXIT_OK, EXIT_NOTHING_READ) if self.service == "capture" else ()
        return status is not None and status not in expected

    def how_it_ended(self) -> str:
        """`exit status 3` or `killed by SIGSEGV`."""
        status = self.process.returncode
        if status >= 0:
            return f"exit status {status}"
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"

    def tell(self, number: signal.Signals) -> None:
        if self.running:
            self.process.send_signal(number)


def environment(settings: Settings) -> dict[str, str]:
    """What every child is told: the settings and nothing but the settings, as variables."""
    ours = {variable(name) for name in Settings.model_fields}
    result = ONE_THREAD | KEEP_PAGES | {k: v for k, v in os.environ.items() if k not in ours}
    result |= to_environ(settings)
    result[parent.VARIABLE] = str(os.getpid())
    if ROOT.name not in ("site-packages", "dist-packages"):  # a checkout, perhaps not installed
        rest = os.environ.get("PYTHONPATH")
        result["PYTHONPATH"] = f"{ROOT}{os.pathsep}{rest}" if rest else str(ROOT)
    return result


def start(settings: Settings) -> list[Child]:
    """All services of a run at once; they find each other in any order. `workers` is resolved."""
    told = environment(settings)
    dump, stdin = settings.mode == "dump", "-" in settings.pcap
    capture = Child("capture", "capture", told, reads=stdin, writes=dump)
    if dump:
        return [capture]
    own = told | metrics_of(settings, "coordinator")
    result = [capture, Child("coordinator", "coordinator", own, reads=False, writes=True)]
    for index in range(settings.workers):
        own = told | metrics_of(settings, "shard", index)
        own |= {variable("shard_index"): str(index)}
        result.append(Child("shard", f"shard {index}", own, reads=False, writes=False))
    if settings.api_listen:
        own = told | metrics_of(settings, "api")
        result.append(Child("api", "api", own, reads=False, writes=False))
    return result


def metrics_of(settings: Settings, service: Service, index: int = 0) -> dict[str, str]:
    """Where one process of a run serves its metrics: they cannot all have the port that is given.

    UserError when there is no such port.
    """
    if not settings.metrics_listen:
        return {}
    host, first = host_port(settings.metrics_listen, "metrics_listen")
    port = first + METRICS_PORTS.index(service) + index
    if port > PORT_MAX:
        raise UserError(
            f"--metrics-listen {settings.metrics_listen}: {service} would have port {port};"
            " give a lower one"
        )
    return {variable("metrics_listen"): f"[{host}]:{port}" if ":" in host else f"{host}:{port}"}


def kill(children: Iterable[Child]) -> None:
    """End those that would not."""
    for child in children:
        child.tell(signal.SIGKILL)
        child.process.wait()
