"""A local run: all four services as processes of this machine, in a private folder.

A service that dies is started again. It ends when the input is read and every event is written, or,
with an API, on Ctrl-C. Ctrl-C and
SIGTERM end it in order: capture stops reading, what is on its way arrives, then the rest goes; a
second one kills. Only events may go to standard output.
"""

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any

from shared import children, kernel_cache, summary
from shared.children import Child
from shared.errors import EXIT_INTERNAL, EXIT_NOTHING_READ, EXIT_OK, EXIT_USAGE, UserError
from shared.notices import Notices
from shared.output import output_path
from shared.progress import Progress
from shared.run_dir import run_dir
from shared.service import Stop
from shared.settings import Settings, flag, host_port, worker_count
from shared.sources import NOTHING_TO_READ, check_folders, has_input, may_never_end
from shared.token import needs_token, new_token

EXIT_INTERRUPTED = 130
POLL_S = 0.05
ANSWER_MS = 250
LAST_PACKETS_S = 10.0  # after a signal: for what capture read already to arrive
GOODBYE_S = 5.0  # for a service to end
STALL_S = 30.0  # capture is gone and nothing moves: its last word was lost
QUIET_S = 1.5  # the same, when the end is wanted anyway
ENDED = ("completed", "failed")


def say(text: str) -> None:
    """A line on standard error, in one piece: the services write there too."""
    write(f"flowmate: {text}")


def write(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def run(settings: Settings) -> int:
    """All services as local processes; the exit status of the run."""
    check(settings)
    problems = [unreadable(path) for path in settings.pcap]
    if all(problems) and not may_never_end(settings):
        for path, problem in zip(settings.pcap, problems, strict=True):
            say(f"--pcap {path}: {problem}")
        return EXIT_NOTHING_READ
    shards = worker_count(settings)
    with run_dir(settings.run_dir, shards) as folder:
        resolved = {"workers": shards, "run_dir": str(folder), "output": output_path(settings)}
        if needs_token(settings):
            resolved["api_token"] = new_token()
        stop = Stop()
        signal.signal(signal.SIGCHLD, lambda *_: None)  # it wakes whoever waits, as `stop` does
        if kernel_cache.is_cold():
            say("compiling kernels, first run only (one or two minutes)")
            kernel_cache.warm_apart(lambda: stop.requested)
        local = Run(settings.model_copy(update=resolved), stop)
        try:
            return local.until_the_end()
        finally:
            local.close()


def check(settings: Settings) -> None:
    """What only the launcher can tell is wrong."""
    if settings.coordinator:
        raise UserError(
            f"{flag('coordinator')} is for services on several machines, which are started one by"
            " one (flowmate shard ...); leave it out"
        )
    if not has_input(settings):
        raise UserError(NOTHING_TO_READ)
    if "" in settings.pcap:
        raise UserError("--pcap has no file name; give a capture (- is standard input)")
    check_folders(settings)
    for server in settings.pcap_over_ip:
        host_port(server, "pcap_over_ip")
    if settings.api_listen and settings.mode == "dump":
        raise UserError("--mode dump has nothing to show: leave --api-listen out")
    if settings.api_listen:
        _check_free(settings.api_listen)
    children.metrics_of(settings, "shard", worker_count(settings) - 1)  # the last port of all


def unreadable(path: str) -> str:
    """Why an input cannot be read, and what to do about it; empty when it seems that it can."""
    if path == "-":
        return ""
    if not os.path.exists(path):
        return "no such file; check the path"
    if os.path.isdir(path):
        return "is a folder; give the files in it"
    return "" if os.access(path, os.R_OK) else "permission denied; make it readable for this user"


def _check_free(listen: str) -> None:
    host, port = host_port(listen, "api_listen")
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"--api-listen {listen}: {reason}; choose another") from None


class Run:
    """One local run: its processes, what the coordinator said last, and what was printed."""

    def __init__(self, settings: Settings, stop: Stop) -> None:
        self.settings, self.stop = settings, stop
        self.children = children.start(settings)
        # imported while the services start: ZeroMQ comes with it
        from shared.remote import Remote

        self.remote = Remote(settings.run_dir)
        self.notices = Notices()
        self.progress = Progress(sys.stderr)
        self.health: dict[str, Any] = {}
        self.started = time.monotonic()
        self.reading_s = 0.0  # from the first packet to the last event
        self._waiting_at = self.started  # when no packet had been read for certain
        self._is_reading = False
        self.moved = self.started  # when the run was last seen to get on
        self.announced = False
        self.stopping = False  # somebody asked for the end
        self._is_hurried = False  # and asked again

    def close(self) -> None:
        """Leave nothing behind."""
        children.kill(self.children)
        self.remote.close()

    @property
    def capture(self) -> Child:
        return next(child for child in self.children if child.service == "capture")

    @property
    def ended(self) -> bool:
        return self.health.get("run_status") in ENDED

    def until_the_end(self) -> int:
        """Watch until the run is over, say how it went, end the services."""
        if self.settings.mode == "dump":
            return self._dump()
        status = self._watch()
        if status in (None, EXIT_INTERNAL):
            self._report()
        if status is None and self.settings.api_listen and not self.stopping:
            status = self._linger()
            self.stopping = True
        if status == EXIT_INTERRUPTED or self._end():
            return EXIT_INTERRUPTED
        return self._status() if status is None else status

    def _status(self) -> int:
        """The exit status of a run that no service failed in."""
        if self.health.get("run_status") == "failed":
            return EXIT_NOTHING_READ
        lost = self.health.get("drops", {}).get("output_lines", 0)
        # who reads standard output may have seen enough of it
        return EXIT_USAGE if lost and self.settings.output != "-" else EXIT_OK

    def _told_to_stop(self) -> bool:
        """True once for each signal."""
        told, self.stop.requested = self.stop.requested, False
        return told

    def _watch(self) -> int | None:
        """Until the input is done with or somebody wants to stop: None; or a status to end with.

        When a service is gone the others still end in order: what was read is written.
        """
        fault: int | None = None
        deadline = float("inf")
        while not self.ended:
            if fault is None and (fault := self._fault()) is not None:
                if fault == EXIT_USAGE:
                    return fault
                deadline = self._begin_to_stop()
            if self._told_to_stop():
                if self.stopping:
                    return EXIT_INTERRUPTED if fault is None else fault
                say("stopping; a second Ctrl-C kills")
                deadline = self._begin_to_stop()
            if self.stopping and not self.capture.running and self._still_for(QUIET_S):
                break  # it never came to reading, or not all can end
            if time.monotonic() > deadline:
                say("what was on its way did not arrive in time; ending all the same")
                break
            self._look()
            self._pause()
        self.progress.clear()
        return fault

    def _begin_to_stop(self) -> float:
        """Have capture end what it reads; returns until when to wait for what is on its way."""
        self.stopping = True
        self.progress.clear()
        self.capture.tell(signal.SIGTERM)
        return time.monotonic() + LAST_PACKETS_S

    def _linger(self) -> int | None:
        """Keep the API up until somebody wants to stop: None; or a status to end with."""
        while not self._told_to_stop():
            if (status := self._fault()) is not None:
                return status
            self._announce()
            self.notices.deliver(self.remote)
            self._pause()
        return None

    def _dump(self) -> int:
        """Capture alone writes the lines; its status is the run's."""
        while self.capture.running:
            if self._told_to_stop():
                self.capture.tell(signal.SIGKILL if self.stopping else signal.SIGTERM)
                self.stopping = True
            self._pause()
        status = self.capture.process.returncode
        if status in (EXIT_OK, EXIT_NOTHING_READ, EXIT_USAGE):
            return int(status)
        say(f"capture ended early ({self.capture.how_it_ended()})")
        return EXIT_INTERNAL

    def _pause(self) -> None:
        """Wait a little; a signal ends it at once."""
        select.select([self.stop.descriptor], [], [], POLL_S)
        self.stop.drain()

    def _look(self) -> None:
        """Ask the coordinator how far the run is."""
        self._announce()
        health = self.remote.ask("health", timeout_ms=ANSWER_MS)
        self.notices.deliver(self.remote, health is not None)
        if health is not None:
            before, self.health = self._position(), health
            self._note(time.monotonic(), self._position() != before)
        self.progress.update(self.health)

    def _note(self, now: float, moved: bool) -> None:
        """Keep the times: of the last movement, and of reading."""
        if moved:
            self.moved = now
        if self.health.get("run_status") == "waiting":
            self._waiting_at = now
        elif not self._is_reading:  # all services are up
            self._is_reading = True
            kernel_cache.note_warm()
        self.reading_s = self.moved - self._waiting_at

    def _position(self) -> tuple[Any, ...]:
        return tuple(self.health.get(part) for part in ("run_status", "totals", "queues"))

    def _fault(self) -> int | None:
        """The status to end with when a service cannot be kept up or nothing moves any more, else
        None. One that died is started again, unless the end is wanted."""
        for child in self.children:
            if (status := self._tend(child)) is not None:
                return status
        if not self.capture.running and not self.ended and self._still_for(STALL_S):
            say(f"capture is done, but nothing has moved for {STALL_S:.0f} s; stopping")
            return EXIT_INTERNAL
        return None

    def _tend(self, child: Child) -> int | None:
        """Look after one service; a status when the run cannot go on without it."""
        now = time.monotonic()
        if child.restart_if_due(now):
            self.moved = now
            self.notices.add(child, "started")
        if child.start_at is not None or not child.ended_badly:
            return None
        if self.stopping and child is self.capture:
            return None
        self.progress.clear()
        if child.process.returncode == EXIT_USAGE and not child.restarts:  # it said what is wrong
            return EXIT_USAGE
        how = child.how_it_ended()
        if self.stopping:
            say(f"{child.name} ended early ({how})")
            return EXIT_INTERNAL
        if not child.plan_restart(now):
            say(f"{child.name} ended early ({how}), too often within a minute; stopping")
            return EXIT_INTERNAL
        say(f"{child.name} ended early ({how}); starting it again")
        self.notices.add(child, "ended", how)
        return None

    def _still_for(self, seconds: float) -> bool:
        return time.monotonic() > self.moved + seconds

    def _announce(self) -> None:
        """Say the API's address, once it is up."""
        if self.announced or not self.settings.api_listen:
            return
        host, port = host_port(self.settings.api_listen, "api_listen")
        here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  to connect to
        try:
            socket.create_connection((here, port), 0.2).close()
        except OSError:
            return
        self.announced = True
        self.progress.clear()
        shown = f"[{here}]" if ":" in here else here
        token = f"?token={self.settings.api_token}" if self.settings.api_token else ""
        write(f"API http://{shown}:{port}/{token}  (Ctrl-C ends)")

    def _report(self) -> None:
        """The summary table."""
        protocols, services = self.remote.count_streams()
        seconds = self.moved - self.started
        times = summary.Times(seconds, max(self.reading_s, POLL_S))
        text = summary.table(self.health, protocols, services, times, self.settings.output)
        write(text)

    def _end(self) -> bool:
        """End the services, the coordinator last, since events reach it. True = told to hurry."""
        others = [child for child in self.children if child.service != "coordinator"]
        for group in (others, self.children):
            for child in group:
                child.tell(signal.SIGTERM)
            if not self._wait(group):
                if self._is_hurried:
                    return True
                late = ", ".join(child.name for child in group if child.running)
                say(f"{late} did not end in time; killed")
                children.kill(group)
        return False

    def _wait(self, group: Sequence[Child]) -> bool:
        """True when all are gone within the time; False at once when told to stop again."""
        deadline = time.monotonic() + GOODBYE_S
        while any(child.running for child in group):
            if self._told_to_stop():  # the first time that is what happens anyway
                self._is_hurried, self.stopping = self.stopping, True
            if self._is_hurried or time.monotonic() > deadline:
                return False
            self._pause()
        return True
