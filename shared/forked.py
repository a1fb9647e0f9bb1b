"""A process that goes on as a service, with what this one has imported already.

Only before this one has threads, as ZeroMQ starts one: a fork has none of them.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from setproctitle import setproctitle

from shared.errors import EXIT_INTERNAL

STDIN, STDOUT, STDERR = range(3)
ENDS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Circumstances:
    """What a process that is executed finds. words: its command line, as `ps` shows it."""

    words: Sequence[str]
    environ: Mapping[str, str]
    reads: bool  # whether standard input is this process's
    writes: bool  # the same of standard output; else that is standard error


class Forked:
    """To be watched like a `subprocess.Popen`."""

    def __init__(self, main: Callable[[], int], found: Circumstances) -> None:
        """main: what it does; the exit status comes of it."""
        self.returncode: int | None = None
        flush()
        # this process's handlers are not the other one's, not even for a moment
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                become(main, found)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
        with suppress(OSError):  # both do it: whoever comes first
            os.setpgid(self.pid, self.pid)

    def poll(self) -> int | None:
        """The exit status, less than zero for a signal; None while it runs."""
        return self._await(os.WNOHANG)

    def wait(self) -> int | None:
        return self._await(0)

    def _await(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def become(main: Callable[[], int], found: Circumstances) -> None:
    """Do that in the process that has just been forked; it never returns."""
    status = EXIT_INTERNAL
    try:
        os.setpgid(0, 0)
        inherit(found)
        status = main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else EXIT_INTERNAL
    except BaseException:  # what the interpreter would say
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(OSError, ValueError):
            flush()
        os._exit(status)  # what is above on the stack belongs to the other process


def flush() -> None:
    """What was said goes out once, from the process that said it."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # it was closed from the start
            stream.flush()


def inherit(found: Circumstances) -> None:
    """Have what a process that is executed has, and nothing else of the other one's."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    os.closerange(STDERR + 1, os.sysconf("SC_OPEN_MAX"))
    if not found.reads:
        nothing = os.open(os.devnull, os.O_RDONLY)
        if nothing != STDIN:
            os.dup2(nothing, STDIN)
            os.close(nothing)
    if not found.writes:
        os.dup2(STDERR, STDOUT)
    setproctitle(" ".join(found.words))  # it needs the variables where they were at the start
    os.environ.clear()
    os.environ.update(found.environ)
    sys.argv = list(found.words)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
