"""Ports of this machine that nobody has, and that nobody is given meanwhile.

The system may give a port that it chose once to somebody else, before the service that is to listen
there does. So these are below those that the system chooses from, and each worker of pytest-xdist
has its own.
"""

import itertools
import os
import random
import socket

FIRST, EACH, WORKERS = 10_000, 1_000, 16
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % WORKERS
NUMBERS = itertools.count(random.randrange(EACH))  # other runs of the tests begin elsewhere


def free_port() -> int:
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of some successive ones."""
    for _ in range(EACH):
        places = [next(NUMBERS) % EACH for _ in range(count)]
        first = FIRST + WORKER * EACH + places[0]
        if places == sorted(places) and all(is_free(first + i) for i in range(count)):
            return first
    raise AssertionError("no port is free")


def is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
