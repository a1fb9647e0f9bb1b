"""A network namespace of this process's own with a pair of interfaces: what goes out of FROM comes
in at TO. Needs root and `ip`. All that is started afterwards runs in it; it goes with the last of
them.
"""

import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000
FROM, TO = "fm-out", "fm-in"


def enter() -> None:
    """Make it and go in, with the loopback and the pair up. OSError when that is not allowed. The
    kernel says nothing on the pair by itself."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", TO, "type", "veth", "peer", "name", FROM)
    for end in (FROM, TO):
        run("sysctl", "-qw", f"net.ipv6.conf.{end}.disable_ipv6=1")
        run("ip", "link", "set", end, "up")


def run(*command: str) -> None:
    subprocess.run(command, check=True)
