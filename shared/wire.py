"""Sockets: where services meet, high-water marks, requests.

Addresses are `ipc://` files in one private folder, the run directory.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import zmq

from shared.schema import Refusal, Reply, Request, unpack

Frames = Sequence[bytes | memoryview | zmq.Frame]
REQUEST_DEADLINE_MS = 2000


class Bus:
    """The addresses of one run."""

    def __init__(self, run_dir: str) -> None:
        self.run_dir = Path(run_dir)

    def _address(self, name: str) -> str:
        return f"ipc://{self.run_dir / name}"

    @property
    def events(self) -> str:
        """PULL of the coordinator: events of shards."""
        return self._address("coordinator.events")

    @property
    def reports(self) -> str:
        """PULL of the coordinator: reports of capture."""
        return self._address("coordinator.reports")

    @property
    def requests(self) -> str:
        """ROUTER of the coordinator."""
        return self._address("coordinator.requests")

    @property
    def deltas(self) -> str:
        """PUB of the coordinator: the delta log as it grows."""
        return self._address("coordinator.deltas")

    def packets(self, shard: int) -> str:
        """PULL of a shard."""
        return self._address(f"shard-{shard}.packets")

    def credits(self, shard: int) -> str:
        """PUSH of a shard: slots given back."""
        return self._address(f"shard-{shard}.credits")

    def shard_requests(self, shard: int) -> str:
        """ROUTER of a shard."""
        return self._address(f"shard-{shard}.requests")


def open_socket(context: zmq.Context[zmq.Socket[bytes]], kind: int, hwm: int) -> zmq.Socket[bytes]:
    """A socket that holds at most `hwm` messages each way and never delays the process's end."""
    socket = context.socket(kind)
    socket.set_hwm(hwm)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RECONNECT_IVL, 10)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
    return socket


# --------------------------------------------------------------------------------- requests
def pack_reply(reply: Reply, columns: Sequence[Any] = ()) -> list[Any]:
    return [reply.pack(), *columns]


def refusal(code: str, message: str, hint: str = "") -> Reply:
    return Reply(error=Refusal(code=code, message=message, hint=hint))


def ask(
    context: zmq.Context[zmq.Socket[bytes]],
    address: str,
    op: str,
    args: dict[str, Any] | None = None,
    timeout_ms: int = REQUEST_DEADLINE_MS,
) -> tuple[Reply, list[bytes]]:
    """One request, waited for. TimeoutError when nobody answers."""
    socket = open_socket(context, zmq.REQ, 4)
    try:
        socket.connect(address)
        socket.send(Request(op=op, args=args or {}).pack())
        if not socket.poll(timeout_ms):
            raise TimeoutError(f"{address} did not answer {op} within {timeout_ms} ms")
        frames = socket.recv_multipart()
        return unpack(Reply, frames[0], address), frames[1:]
    finally:
        socket.close()
