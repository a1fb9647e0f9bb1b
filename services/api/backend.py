"""The services behind the API, asked over ZeroMQ: each answer in time, or a 503 that says who.

A peer is asked through a small pool of REQ sockets, one request at a time on each. A socket whose
answer did not come is closed, so that a late answer can never be taken for another one's.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, cast

import zmq
import zmq.asyncio

from services.api.problems import Problem
from shared.schema import Refusal, Reply, Request, SchemaError, unpack
from shared.wire import REQUEST_DEADLINE_MS, Address, Bus, open_socket

# The answer must be with the client within the deadline: a quarter of a second to get there.
DEADLINE_S = REQUEST_DEADLINE_MS / 1000 - 0.25
LOCATE_S, LOCATE_WAIT_S = 1.0, 0.5  # how long addresses of shards are taken for good, or asked for
SOCKETS = 16  # requests under way at one peer; more wait their turn, within their deadline
STATUS_OF_REFUSAL = {
    "bad_value": 400,
    "bad_pattern": 400,
    "built_in": 409,
    "too_many": 409,
    "disabled": 404,
    "not_found": 404,
    "evicted": 410,
    "internal": 500,
}

log = logging.getLogger("api")


class Answer(NamedTuple):
    """A reply's result and the columns behind it."""

    result: dict[str, Any]
    frames: list[bytes]


class Refused(Exception):  # noqa: N818  an answer too, only not the one hoped for
    """The peer answered that it will not."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal

    @property
    def problem(self) -> Problem:
        """The refusal as the API passes it on."""
        code = self.refusal.code
        status = STATUS_OF_REFUSAL.get(code, 503)
        return Problem(status, code, self.refusal.message, self.refusal.hint)


class Peer:
    """One service's request socket. `code` and `hint` go into the 503 when it does not answer.
    locate: says where it is now; until when (loop time) that may take is its argument. over: set
    once nobody is to be asked any more."""

    def __init__(
        self,
        context: zmq.asyncio.Context,
        bus: Bus,
        name: str,
        code: str,
        hint: str,
        locate: Callable[[float], Awaitable[Address]],
        over: asyncio.Event,
    ) -> None:
        self.name, self.code, self.hint = name, code, hint
        self._context, self._bus, self._locate, self._over = context, bus, locate, over
        self._address: Address | None = None
        self._idle: list[zmq.asyncio.Socket] = []
        self._turn = asyncio.Semaphore(SOCKETS)
        self._waits: set[asyncio.Timeout] = set()
        self.timeouts = 0

    async def ask(self, op: str, args: dict[str, Any], until: float) -> Answer:
        """Ask; `until` is loop time. Problem (503) when no answer came, Refused when it said no."""
        if self._over.is_set():
            raise self.unavailable("cannot be asked any more: the API ends")
        request = Request(op=op, args=args).pack()
        try:
            async with asyncio.timeout_at(until) as wait:
                self._waits.add(wait)
                try:
                    await self._go_where_it_is(until)
                    frames = await self._exchange(request)
                finally:
                    self._waits.discard(wait)
            reply = unpack(Reply, frames[0], f"replies of {self.name}")
        except TimeoutError:
            self.timeouts += 1
            raise self.unavailable("did not answer in time") from None
        except zmq.ZMQError as error:  # the sockets are closed: this process ends
            raise self.unavailable(f"cannot be asked any more: {error}") from None
        except SchemaError as error:
            log.warning("%s", error)
            raise self.unavailable(f"cannot be understood: {error}") from None
        if reply.error is not None:
            raise Refused(reply.error)
        return Answer(reply.result, frames[1:])

    async def _go_where_it_is(self, until: float) -> None:
        """Sockets that lead elsewhere are closed."""
        address = await self._locate(until)
        if address != self._address:
            self._address = address
            while self._idle:
                self._idle.pop().close(linger=0)

    async def _exchange(self, request: bytes) -> list[bytes]:
        async with self._turn:
            address = self._address
            socket = self._idle.pop() if self._idle else self._connect()
            try:
                await socket.send(request)
                frames = await socket.recv_multipart()
            except BaseException:  # cancelled at the deadline: the socket still awaits its answer
                socket.close(linger=0)
                raise
            if address == self._address:
                self._idle.append(socket)
            else:
                socket.close(linger=0)
            return frames

    def _connect(self) -> zmq.asyncio.Socket:
        socket = cast(zmq.asyncio.Socket, open_socket(cast(Any, self._context), zmq.REQ, 4))
        assert self._address is not None
        self._bus.connect(cast(Any, socket), self._address)
        return socket

    def unavailable(self, why: str) -> Problem:
        return Problem(503, self.code, f"{self.name} {why}", self.hint)

    def give_up(self) -> None:
        """End every wait now."""
        for wait in self._waits:
            if not wait.expired():
                wait.reschedule(0)


class Backend:
    """Coordinator and shards of one run. Lives in an event loop."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.context = zmq.asyncio.Context(io_threads=1)
        self._over = asyncio.Event()
        self.coordinator = Peer(
            self.context,
            bus,
            "the coordinator",
            "coordinator_unavailable",
            "it may be starting or being restarted: try again in a moment",
            self._locate_coordinator,
            self._over,
        )
        self._shards: dict[int, Peer] = {}
        self._located_at = -LOCATE_S
        self._locating = asyncio.Lock()

    def shard(self, index: int) -> Peer:
        if index not in self._shards:
            self._shards[index] = Peer(
                self.context,
                self.bus,
                f"shard {index}",
                "shard_unavailable",
                "it may be starting or being restarted, and what it retained is gone if it was",
                partial(self._locate_shard, index),
                self._over,
            )
        return self._shards[index]

    async def _locate_coordinator(self, until: float) -> Address:
        return self.bus.requests

    async def _locate_shard(self, index: int, until: float) -> Address:
        """Over TCP the coordinator is asked once in LOCATE_S; while it is away, where it was."""
        if self.bus.inline:
            async with self._locating:
                now = asyncio.get_running_loop().time()
                if now - self._located_at > LOCATE_S:
                    with suppress(Problem, Refused):
                        await self.shard_indices(min(until, now + LOCATE_WAIT_S))
        return self.bus.shard_requests(index)

    async def shard_indices(self, until: float) -> list[int]:
        """The shards that have registered, by their numbers."""
        answer = await self.coordinator.ask("topology", {}, until)
        self.bus.learn(answer.result["shards"])
        self._located_at = asyncio.get_running_loop().time()
        return sorted(int(shard["index"]) for shard in answer.result["shards"])

    @property
    def peers(self) -> list[Peer]:
        return [self.coordinator, *self._shards.values()]

    def subscribe(self) -> zmq.asyncio.Socket:
        """A subscription to the coordinator's deltas."""
        socket = cast(zmq.asyncio.Socket, open_socket(cast(Any, self.context), zmq.SUB, 1000))
        socket.subscribe(b"")
        self.bus.connect(cast(Any, socket), self.bus.deltas)
        return socket

    def give_up(self) -> None:
        """End every wait for an answer, and let none begin: the process is about to end, and so are
        those it asks. A request that comes meanwhile would wait until the server cuts it off."""
        self._over.set()
        for peer in self.peers:
            peer.give_up()

    def close(self) -> None:
        self.context.destroy(linger=0)


def deadline() -> float:
    """Loop time by which a request that begins now must have its answers."""
    return asyncio.get_running_loop().time() + DEADLINE_S
