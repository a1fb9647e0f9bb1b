"""A network namespace with a pair of interfaces: what goes out of one comes in at the other.

Needs root and `ip`. Names are this process's own, and are gone afterwards.
"""

import ctypes
import itertools
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

CLONE_NEWNET, ETH_P_ALL = 0x40000000, 3
OUTER, INNER = "fm-out", "fm-in"  # send on the first, capture on the second
NUMBERS = itertools.count()

needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None,
    reason="SKIP: live capture is not tested here: it needs root and ip (iproute2)",
)


class Site:
    """One namespace."""

    def __init__(self, name: str) -> None:
        self.name = name

    def ip(self, *words: str) -> None:
        subprocess.run(["ip", "-n", self.name, *words], check=True, capture_output=True)

    def inside(self, *command: str) -> list[str]:
        """The command as one that runs in the namespace."""
        return ["ip", "netns", "exec", self.name, *command]

    def plug(self) -> None:
        """Make the pair, and bring it up; the kernel says nothing on it by itself."""
        self.ip("link", "add", INNER, "type", "veth", "peer", "name", OUTER)
        for end in (INNER, OUTER):
            quiet = f"net.ipv6.conf.{end}.disable_ipv6=1"
            subprocess.run(self.inside("sysctl", "-qw", quiet), check=True)
            self.ip("link", "set", end, "up")

    def entered(self, make: Callable[[], socket.socket]) -> socket.socket:
        """A socket that is made inside, by a thread that enters for it."""
        made: list[socket.socket] = []

        def enter() -> None:
            with Path("/run/netns", self.name).open("rb") as there:
                if not ctypes.CDLL(None).setns(there.fileno(), CLONE_NEWNET):
                    made.append(make())

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        assert made, "the namespace could not be entered"
        return made[0]

    def socket(self, interface: str = OUTER, protocol: int = 0) -> socket.socket:
        """A packet socket: sends out of an interface, and receives what is of the protocol."""

        def make() -> socket.socket:
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            raw.bind((interface, protocol))
            return raw

        return self.entered(make)

    def send(self, frames: Sequence[bytes]) -> None:
        with self.socket() as raw:
            for frame in frames:
                raw.send(frame)

    def sockets(self) -> int:
        """Packet sockets of the namespace that capture. libpcap binds one first and gives it its
        ring then, which throws away what came in between."""
        told = subprocess.run(
            self.inside("ss", "-0", "-e", "-n"), check=True, capture_output=True, text=True
        )
        each = told.stdout.split("p_raw")[1:]
        return sum(" running " in one and "ring_rx(" in one for one in each)

    def filtered(self) -> int:
        """Those of them with a filter; libpcap's first one has one step, and lets nothing in while
        what came before is thrown away."""
        told = subprocess.run(
            self.inside("ss", "-0", "-b", "-n"), check=True, capture_output=True, text=True
        )
        return sum(int(steps) > 1 for steps in re.findall(r"bpf filter \((\d+)\)", told.stdout))


@contextmanager
def site() -> Iterator[Site]:
    """A namespace with the pair in it."""
    here = Site(f"fmt{os.getpid()}-{next(NUMBERS)}")
    subprocess.run(["ip", "netns", "add", here.name], check=True)
    try:
        here.plug()
        yield here
    finally:
        subprocess.run(["ip", "netns", "del", here.name], check=True)
