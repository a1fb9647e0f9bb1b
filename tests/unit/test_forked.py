"""A fork that goes on as a service: what it finds, and how it is watched."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import clean_environ

PROGRAM = r"""
import os, signal, sys
from shared.forked import Circumstances, Forked
{before}

def main():
    {main}

words = (sys.executable, "-m", "services.nothing")
forked = Forked(main, Circumstances(words, {{"ONLY": "this"}}, {reads}, {writes}))
{after}
print(forked.wait(), flush=True)
"""


def started(
    folder: Path, main: str, before: str = "", after: str = "", reads: bool = False,
    writes: bool = True, closed: str = "",
) -> "subprocess.Popen[str]":  # fmt: skip
    """A process of its own that forks: one that runs tests has threads."""
    program = folder / "program.py"
    program.write_text(
        PROGRAM.format(main=main, before=before, after=after, reads=reads, writes=writes)
    )
    return subprocess.Popen(
        ["sh", "-c", f'exec "$0" "$1" {closed}', sys.executable, program],
        env=clean_environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(
    folder: Path, main: str, before: str = "", **more: Any
) -> "subprocess.CompletedProcess[str]":
    """The same to its end."""
    with started(folder, main, before, **more) as process:
        out, err = process.communicate("said\n", timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.mark.parametrize(
    ("main", "status"),
    [
        ("return 0", 0),
        ("return 3", 3),
        ("sys.exit(5)", 5),
        ("sys.exit('words')", 70),
        ("raise ValueError", 70),
        ("os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("os.kill(os.getpid(), signal.SIGTERM)", -15),
    ],
)
def test_how_it_ended(tmp_path: Path, main: str, status: int) -> None:
    assert run(tmp_path, main).stdout == f"{status}\n"


def test_a_fault_is_told(tmp_path: Path) -> None:
    said = run(tmp_path, "raise ValueError('of its own')").stderr
    assert said.endswith("ValueError: of its own\n")
    assert "Traceback" in said


def test_what_is_above_on_the_stack_is_not_its_own(tmp_path: Path) -> None:
    """Neither what is still to be said there, nor what happens at the end."""
    before = "import atexit\natexit.register(print, 'end')\nprint('begin')"
    assert run(tmp_path, "print('main'); return 0", before).stdout == "begin\nmain\n0\nend\n"


@pytest.mark.parametrize("reads", [True, False])
def test_standard_input(tmp_path: Path, reads: bool) -> None:
    done = run(tmp_path, "print(repr(os.read(0, 9))); return 0", reads=reads)
    assert done.stdout == ("b'said\\n'\n0\n" if reads else "b''\n0\n")


def test_standard_output_that_is_another_ones(tmp_path: Path) -> None:
    done = run(tmp_path, "print('mine'); return 0", writes=False)
    assert (done.stdout, done.stderr) == ("0\n", "mine\n")


@pytest.mark.parametrize("writes", [True, False])
def test_standard_streams_that_are_closed(tmp_path: Path, writes: bool) -> None:
    main = "os.write(2, repr(os.read(0, 9)).encode()); return 0"
    done = run(tmp_path, main, writes=writes, closed="<&- >&-")
    assert (done.returncode, done.stderr) == (0, "b''")


def test_it_has_its_own_variables_group_and_descriptors(tmp_path: Path) -> None:
    before = "held = os.open(os.devnull, os.O_RDONLY)"
    main = "print(dict(os.environ), os.getpgid(0) == os.getpid(), os.listdir('/proc/self/fd'))"
    text = run(tmp_path, f"{main}; return 0", before).stdout
    assert text == "{'ONLY': 'this'} True ['0', '1', '2', '3']\n0\n"  # 3 is the listing's own


def test_signals_are_as_at_the_start_of_a_process(tmp_path: Path) -> None:
    """Those that the other one has handlers for, and wakes itself with."""
    before = (
        "for one in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):\n"
        "    signal.signal(one, lambda *_: print('handled'))\n"
        "import socket; ends = socket.socketpair(); ends[1].setblocking(False)\n"
        "signal.set_wakeup_fd(ends[1].fileno())"
    )
    main = (
        "print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, signal.set_wakeup_fd(-1),"
        " signal.pthread_sigmask(signal.SIG_BLOCK, ()));"
        " return 0"
    )
    done = run(tmp_path, main, before)
    assert done.stdout.startswith("True -1 set()\n")
    assert done.stdout.endswith("0\n"), done.stderr


def test_it_shows_its_own_command_line(tmp_path: Path) -> None:
    main = "print(open('/proc/self/cmdline').read().split(chr(0))[0]); return 0"
    assert run(tmp_path, main).stdout == f"{sys.executable} -m services.nothing\n0\n"


def test_it_is_told_to_end(tmp_path: Path) -> None:
    after = "forked.send_signal(signal.SIGTERM)"
    assert run(tmp_path, "signal.pause()", after=after).stdout == "-15\n"
    twice = f"{after}; forked.wait(); {after}; print(forked.poll())"  # whoever has its pid now
    assert run(tmp_path, "signal.pause()", after=twice).stdout == "-15\n-15\n"


def test_it_runs_until_it_ends(tmp_path: Path) -> None:
    after = "print(forked.poll(), forked.pid, flush=True)"
    with started(tmp_path, "signal.pause()", after=after) as process:
        assert process.stdout is not None
        running, pid = process.stdout.readline().split()
        assert running == "None"
        os.kill(int(pid), signal.SIGKILL)
        assert process.stdout.readline() == "-9\n"
