"""What every service process does the same: signals, a poll loop, logging, an orderly end."""

import gc
import logging
import os
import select
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

import zmq

from shared.command_line import resolve
from shared.errors import EXIT_INTERNAL, EXIT_USAGE, UserError
from shared.heap import keep_pages
from shared.parent import die_with_launcher
from shared.settings import Service, Settings


class Stop:
    """Set by SIGINT and SIGTERM; its descriptor wakes any poll that waits."""

    def __init__(self) -> None:
        self.requested = False
        self._read, self._write = socket.socketpair()
        for end in (self._read, self._write):
            end.setblocking(False)
        signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._request)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

    @property
    def descriptor(self) -> int:
        return self._read.fileno()

    def wait(self, seconds: float) -> None:
        """Sleep, but wake for a signal."""
        select.select([self._read], [], [], seconds)

    def drain(self) -> None:
        """Forget the wake-ups so far."""
        try:
            while self._read.recv(64):
                pass
        except BlockingIOError:
            pass


class Loop:
    """Calls handlers when their socket is readable and timers when their time has come."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop
        self._poller = zmq.Poller()
        self._poller.register(stop.descriptor, zmq.POLLIN)
        self._handlers: dict[Any, Callable[[], None]] = {}
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._due: list[float] = []

    def on_readable(self, waiting: zmq.Socket[bytes], handler: Callable[[], None]) -> None:
        self._poller.register(waiting, zmq.POLLIN)
        self._handlers[waiting] = handler

    def every(self, interval_s: float, handler: Callable[[], None]) -> None:
        self._timers.append((interval_s, handler))
        self._due.append(time.monotonic() + interval_s)

    def turn(self, longest_ms: int = 1000) -> None:
        """One wait and all handlers that are due; a wait ends early for a socket or a signal."""
        now = time.monotonic()
        wait = min([longest_ms / 1000, *(due - now for due in self._due)])
        for ready, _ in self._poller.poll(max(0, int(wait * 1000 + 0.999))):
            handler = self._handlers.get(ready)
            if handler is None:
                self.stop.drain()
            else:
                handler()
        now = time.monotonic()
        for i, (interval, timer) in enumerate(self._timers):
            if now >= self._due[i]:
                self._due[i] = now + interval
                timer()


def start_logging(service: str) -> logging.Logger:
    """Log lines go to stderr: time, service, text."""
    logging.basicConfig(
        stream=sys.stderr,
        level=os.environ.get("FLOWMATE_LOG_LEVEL", "WARNING").upper(),
        format=f"%(asctime)s {service} %(levelname)s %(message)s",
    )
    return logging.getLogger(service)


def share_with_group(run_dir: str) -> None:
    """In a run directory that a group may write, a group of users runs the services: what is made
    there (sockets, lanes) is the group's as well, and nobody else's."""
    with suppress(OSError):
        if os.stat(run_dir).st_mode & stat.S_IWGRP:
            os.umask(0o007)


def run_service(
    name: Service,
    main: Callable[[Settings, Stop], int],
    argv: Sequence[str] | None = None,
) -> int:
    """The `__main__` of a service: settings, logging, signals, exit status."""
    gc.freeze()  # what is imported stays
    gc.enable()
    keep_pages()
    start_logging(name)
    die_with_launcher()
    try:
        settings = resolve(sys.argv[1:] if argv is None else argv, name)
        share_with_group(settings.run_dir)
        return main(settings, Stop())
    except UserError as error:
        print(f"flowmate {name}: {error}", file=sys.stderr)
        return EXIT_USAGE
    except Exception:
        logging.getLogger(name).exception("stopped by a fault of its own")
        return EXIT_INTERNAL


def new_context() -> zmq.Context[zmq.Socket[bytes]]:
    """The process's ZeroMQ context: one I/O thread, as much as one machine's queues need."""
    return zmq.Context(io_threads=1)
