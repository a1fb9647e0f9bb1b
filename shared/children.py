"""The service processes of one local run: started together, watched, ended in order.

To import settings, numpy and ZeroMQ takes 0.3 s of CPU: the launcher does that once, and each
service begins as a fork of it. One that died begins with an interpreter of its own, since the
launcher has threads by then.
"""

import gc
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from shared import parent
from shared.errors import EXIT_NOTHING_READ, EXIT_OK, UserError
from shared.forked import STDERR, Circumstances, Forked
from shared.patience import Patience
from shared.settings import Service, Settings, host_port, to_environ, variable

ROOT = Path(__file__).resolve().parent.parent
# numpy's linear algebra, which nobody uses here, would start a thread a core in every service.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
PORT_MAX = 65535
# Ports after the one that is given; each shard has one more.
METRICS_PORTS: tuple[Service, ...] = ("capture", "coordinator", "api", "shard")


class Child:
    """One service: its process, and those that came before it."""

    def __init__(
        self,
        service: Service,
        name: str,
        environ: Mapping[str, str],
        reads: bool = False,
        writes: bool = False,
    ) -> None:
        """reads, writes: whether it may use the launcher's standard input and output."""
        self.service, self.name = service, name
        self.restarts = 0
        self.start_at: float | None = None  # it died, and is to be started again then
        self._patience = Patience()
        # -P: a folder called `services` where the user happens to stand is not ours
        words = (sys.executable, "-P", "-m", f"services.{service}")
        self._found = Circumstances(words, dict(environ), reads, writes)
        self.process: Forked | subprocess.Popen[bytes] = Forked(
            partial(serve, service), self._found
        )

    def _execute(self) -> "subprocess.Popen[bytes]":
        """As a fork it has a group of its own: Ctrl-C reaches the launcher alone, which then ends
        the services in order."""
        return subprocess.Popen(
            self._found.words,
            env=self._found.environ,
            stdin=None if self._found.reads else subprocess.DEVNULL,
            stdout=None if self._found.writes else STDERR,
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
        self.process = self._execute()
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
        status = self.process.returncode or EXIT_OK
        if status >= 0:
            return f"exit status {status}"
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"

    def tell(self, number: signal.Signals) -> None:
        if self.running:
            self.process.send_signal(number)


def serve(service: Service) -> int:
    """Run a service in this process. Found by name, so that `shared` imports none of them."""
    from shared.service import run_service

    return run_service(service, importlib.import_module(f"services.{service}.__main__").main, ())


def import_common() -> None:
    """What all services import."""
    import shared.kernels
    import shared.schema
    import shared.tcp_bus  # noqa: F401


def environment(settings: Settings) -> dict[str, str]:
    """What every child is told: the settings and nothing but the settings, as variables."""
    ours = {variable(name) for name in Settings.model_fields}
    result = {k: v for k, v in os.environ.items() if k not in ours}
    result |= to_environ(settings)
    result[parent.VARIABLE] = str(os.getpid())
    if ROOT.name not in ("site-packages", "dist-packages"):  # a checkout, perhaps not installed
        rest = os.environ.get("PYTHONPATH")
        result["PYTHONPATH"] = f"{ROOT}{os.pathsep}{rest}" if rest else str(ROOT)
    return result


def start(settings: Settings) -> list[Child]:
    """All services of a run at once; they find each other in any order. `workers` is resolved."""
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)
    gc.disable()  # what is imported stays
    try:
        import_common()
        return _start(settings, environment(settings))
    finally:
        gc.freeze()  # nor is it looked through when the launcher ends, which took it 0.1 s
        gc.enable()


def _start(settings: Settings, told: Mapping[str, str]) -> list[Child]:
    def child(service: Service, index: int | None = None, **streams: bool) -> Child:
        own = {**told, **metrics_of(settings, service, index or 0)}
        if index is not None:
            own[variable("shard_index")] = str(index)
        name = service if index is None else f"{service} {index}"
        return Child(service, name, own, **streams)

    dump = settings.mode == "dump"
    result = [] if dump else [child("coordinator", writes=True)]  # all others wait for it
    result.append(child("capture", reads="-" in settings.pcap, writes=dump))
    if not dump:
        result += [child("shard", index) for index in range(settings.workers)]
        result += [child("api")] if settings.api_listen else []
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
