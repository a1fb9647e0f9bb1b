"""A process that is started for another one ends with it, however that one ends."""

import ctypes
import os
import signal
import sys

VARIABLE = "FLOWMATE_LAUNCHER_PID"
PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with(parent: int) -> None:
    """Ask Linux for SIGTERM when `parent`, which started this process, dies; or die now if it is
    gone already."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def die_with_launcher() -> None:
    """The same, with the launcher, if there is one."""
    if launcher := os.environ.get(VARIABLE):
        die_with(int(launcher))
