"""Sockets: where services meet, high-water marks, requests.

On one machine addresses are `ipc://` files in one private folder, the run directory. Between
machines they are those of `shared/tcp_bus.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import zmq

from shared.schema import Reach, Refusal, Reply, Request, unpack

Frames = Sequence[bytes | memoryview | zmq.Frame]
REQUEST_DEADLINE_MS = 2000
RECONNECT_MS = 10
# Of the coordinator, then of each shard; whoever binds one is the server, all others connect.
Role = Literal[
    "requests", "events", "reports", "deltas", "packets", "credits", "content"
]  # fmt: skip


class Address(str):
    """Where a socket is bound, or connected to. role: which one of the run's it is."""

    __slots__ = ("role",)
    role: Role

    def __new__(cls, text: str, role: Role) -> "Address":
        result = super().__new__(cls, text)
        result.role = role
        return result


class Bus:
    """The addresses of one run whose services share a folder. inline: whether packets have to
    travel in the messages; refused: peers that were not let in."""

    inline = False
    refused = 0

    def __init__(self, run_dir: str) -> None:
        self.run_dir = Path(run_dir)

    def _of_coordinator(self, role: Role) -> Address:
        return Address(f"ipc://{self.run_dir / f'coordinator.{role}'}", role)

    def _of_shard(self, role: Role, shard: int) -> Address:
        name = "requests" if role == "content" else role
        return Address(f"ipc://{self.run_dir / f'shard-{shard}.{name}'}", role)

    @property
    def events(self) -> Address:
        """PULL of the coordinator: events of shards."""
        return self._of_coordinator("events")

    @property
    def reports(self) -> Address:
        """PULL of the coordinator: reports of capture."""
        return self._of_coordinator("reports")

    @property
    def requests(self) -> Address:
        """ROUTER of the coordinator."""
        return self._of_coordinator("requests")

    @property
    def deltas(self) -> Address:
        """PUB of the coordinator: the delta log as it grows."""
        return self._of_coordinator("deltas")

    def packets(self, shard: int) -> Address:
        """PULL of a shard."""
        return self._of_shard("packets", shard)

    def credits(self, shard: int) -> Address:
        """PUSH of a shard: slots given back."""
        return self._of_shard("credits", shard)

    def shard_requests(self, shard: int) -> Address:
        """ROUTER of a shard."""
        return self._of_shard("content", shard)

    def bind(self, socket: zmq.Socket[bytes], address: Address) -> None:
        """Serve an address. ZMQError when it cannot be had."""
        socket.bind(address)

    def connect(self, socket: zmq.Socket[bytes], address: Address) -> None:
        """Whoever is there, now or later."""
        socket.connect(address)

    def learn(self, shards: Iterable[Mapping[str, Any]]) -> set[int]:
        """Where shards are, from the coordinator's `topology`; those that can be reached."""
        return {int(shard["index"]) for shard in shards}

    def where(self, shard: int) -> Reach | None:
        """Where a shard is; None where its number says it."""
        return None

    @property
    def reach(self) -> Reach | None:
        """Where this process, a shard, is to be found; the same."""
        return None

    def ask(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        address: Address,
        op: str,
        args: dict[str, Any] | None = None,
        timeout_ms: int = REQUEST_DEADLINE_MS,
    ) -> tuple[Reply, list[bytes]]:
        """One request, waited for. TimeoutError when nobody answers."""
        socket = open_socket(context, zmq.REQ, 4)
        try:
            self.connect(socket, address)
            socket.send(Request(op=op, args=args or {}).pack())
            if not socket.poll(timeout_ms):
                raise TimeoutError(f"{address} did not answer {op} within {timeout_ms} ms")
            frames = socket.recv_multipart()
            return unpack(Reply, frames[0], address), frames[1:]
        finally:
            socket.close()


def open_socket(context: zmq.Context[zmq.Socket[bytes]], kind: int, hwm: int) -> zmq.Socket[bytes]:
    """A socket that holds at most `hwm` messages each way and never delays the process's end."""
    socket = context.socket(kind)
    socket.set_hwm(hwm)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)  # a peer of this machine that comes up late
    return socket


# --------------------------------------------------------------------------------- requests
def pack_reply(reply: Reply, columns: Sequence[Any] = ()) -> list[Any]:
    return [reply.pack(), *columns]


def refusal(code: str, message: str, hint: str = "") -> Reply:
    return Reply(error=Refusal(code=code, message=message, hint=hint))
