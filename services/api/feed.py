"""The coordinator's deltas, followed once for all clients of this process.

What the coordinator publishes only rings a bell: the log itself is then read on from where the
window ends. So a message that was dropped on the way, a late start, and a coordinator that was
restarted are all the same case, and any number of clients costs the coordinator one copy. What
somebody did, and a change that comes after a rest, is told at once, those of a busy run twice a
second: whoever waits is woken for each look, and 50 clients woken ten times a second take a
third of a core. From 25 clients on the rest grows with them, up to a second, so that more who look
on are told later rather than take more of what reads the capture.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgpack
import orjson
import zmq
from pydantic import BaseModel, ValidationError

from services.api.backend import Backend, Refused, deadline
from services.api.problems import Problem, internal_fault
from services.api.window import Window

URGENT = ("state", "status")  # kinds of deltas
PAGE = 1024  # deltas read at a time
REST_S, LONGEST_REST_S = 0.5, 1.0  # between two looks: what comes meanwhile is told together
REST_OF_CLIENT_S = 0.02  # for each who waits, where that is more
BELL_S = 0.5  # after a rest: without a bell the log is looked at all the same
# Who waits is woken in groups: an answer is a millisecond of this process, and whoever asks for
# something else meanwhile would wait for 50 of them.
WOKEN_AT_ONCE, BETWEEN_S, ALL_WOKEN_S = 8, 0.01, 0.25
WINDOW_BYTES = 64 << 20
WAITING_MAX = 1024  # clients that may wait at a time

log = logging.getLogger("api")


class Page(BaseModel):
    """The coordinator's answer to `deltas`."""

    cursor: int
    latest: int
    missed: bool
    deltas: list[dict[str, Any]]
    coordinator: str = ""  # the instance; another one has another log


class Feed:
    """Follows the log in the background; tells all who wait after each look at it."""

    def __init__(self, backend: Backend, capacity: int) -> None:
        self.window = Window(capacity, WINDOW_BYTES)
        self.closed = False
        self.waiting = 0
        self._backend = backend
        self._coordinator: str | None = None
        self._trouble: Problem | None = backend.coordinator.unavailable("has not answered yet")
        self._bell = asyncio.Event()
        self._hurry = asyncio.Event()  # somebody knows that there is more
        self._look = asyncio.Event()
        self._woken = 0  # since the last look
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._follow())]

    async def stop(self) -> None:
        self.close()
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def close(self) -> None:
        """Send everybody who waits home."""
        self.closed = True
        self._tell()

    # ------------------------------------------------------------------ for those who wait
    @contextmanager
    def visitor(self) -> Iterator[None]:
        """Count somebody in who may wait. Problem when too many do."""
        if self.waiting >= WAITING_MAX:
            raise Problem(
                503, "too_many_clients", f"{WAITING_MAX} clients wait already", "try again later"
            )
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    async def next_look(self, timeout_s: float) -> bool:
        """Wait until the log was looked at again. False when that took longer."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._look.wait()
        except TimeoutError:
            return False
        group, self._woken = self._woken // WOKEN_AT_ONCE, self._woken + 1
        if group and not self.closed:
            await asyncio.sleep(min(group * BETWEEN_S, ALL_WOKEN_S))
        return True

    async def in_step(self, cursor: int) -> None:
        """Be sure to know the log at least up to `cursor`, as far as it goes.

        A cursor may be news: it came from the coordinator, or from another API. Problem when the
        log cannot be read within the deadline.
        """
        until = deadline()
        while self._trouble is not None and not self.closed:
            if not await self.next_look(until - asyncio.get_running_loop().time()):
                raise self._trouble
        for _ in range(2):  # a look that is under way may be too early, the one after is not
            if cursor > self.window.latest and not self.closed:
                self._bell.set()
                self._hurry.set()
                await self.next_look(until - asyncio.get_running_loop().time())
        if self._trouble is not None:
            raise self._trouble

    async def after(self, cursor: int, limit: int, wait_s: float) -> list[bytes] | None:
        """Deltas after `cursor`, waited for if there are none; None when some were missed."""
        now = asyncio.get_running_loop().time
        until = now() + wait_s
        while True:
            found = self.window.after(cursor, limit)
            if found is None or found or self.closed or now() >= until:
                return found
            await self.next_look(until - now())
            if self._trouble is not None:
                raise self._trouble

    # ----------------------------------------------------------------------- the followers
    async def _listen(self) -> None:
        """Ring the bell for each message."""
        socket = self._backend.subscribe()
        try:
            while True:
                heard = [await socket.recv_multipart()]
                with suppress(zmq.Again):  # one bell for all that wait
                    while True:
                        heard.append(await socket.recv_multipart(zmq.NOBLOCK))
                self._bell.set()
                if any(is_urgent(message[-1]) for message in heard):
                    self._hurry.set()
        finally:
            socket.close(linger=0)

    async def _follow(self) -> None:
        """Read the log on whenever the bell rings."""
        while True:
            self._bell.clear()
            try:
                await self._catch_up()
                self._trouble = None
            except Refused as refused:
                self._trouble = refused.problem
            except Problem as problem:
                self._trouble = problem
            except Exception:  # whatever it was, all who wait here depend on the next look
                log.exception("the delta log could not be read")
                self._trouble = internal_fault()
            self._tell()
            with suppress(TimeoutError):
                async with asyncio.timeout(rest_s(self.waiting)):
                    await self._hurry.wait()
            self._hurry.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(BELL_S):
                    await self._bell.wait()

    def _tell(self) -> None:
        self._look.set()
        self._look, self._woken = asyncio.Event(), 0

    async def _catch_up(self) -> None:
        if self._coordinator is None:
            page = await self._read(0, 1)
            self._coordinator = page.coordinator
            self.window.start_at(max(0, page.latest - self.window.capacity // 2))
        while True:
            page = await self._read(self.window.latest, PAGE)
            self._take(page)
            if page.latest <= self.window.latest:
                return

    async def _read(self, cursor: int, limit: int) -> Page:
        coordinator = self._backend.coordinator
        args = {"cursor": cursor, "limit": limit}
        answer = await coordinator.ask("deltas", args, deadline())
        try:
            return Page.model_validate(answer.result)
        except ValidationError as error:
            raise coordinator.unavailable(f"cannot be understood: {error}") from None

    def _take(self, page: Page) -> None:
        latest = self.window.latest
        restarted = page.coordinator != self._coordinator or page.latest < latest
        self._coordinator = page.coordinator
        if restarted or page.missed or (page.latest > latest and not page.deltas):
            # A new log: cursors of the old one must not find their like in it.
            self.window.start_at(page.latest)
            return
        for delta in page.deltas:
            self.window.append(int(delta["cursor"]), orjson.dumps(delta))


def rest_s(waiting: int) -> float:
    """How long the log rests after a look, with so many clients."""
    return min(max(REST_S, waiting * REST_OF_CLIENT_S), LONGEST_REST_S)


def is_urgent(packed: bytes) -> bool:
    """Whether a published delta is told at once; one that cannot be read is not."""
    try:
        delta = msgpack.unpackb(packed)
    except ValueError:
        return False
    return isinstance(delta, dict) and delta.get("kind") in URGENT
