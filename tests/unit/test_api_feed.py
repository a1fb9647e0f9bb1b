"""Following the coordinator's deltas: what rings, who is woken and when."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgpack
import pytest
import zmq

from services.api.backend import Answer, Backend
from services.api.feed import (
    ALL_WOKEN_S,
    LONGEST_REST_S,
    REST_S,
    WOKEN_AT_ONCE,
    Feed,
    is_urgent,
    rest_s,
)
from services.api.problems import Problem


class Coordinator:
    """A log, a bell, and a count of how often it was read."""

    def __init__(self) -> None:
        self.latest = self.asked = 0
        self.rung: asyncio.Queue[None] = asyncio.Queue()

    def append(self, *, rings: bool = True) -> None:
        self.latest += 1
        if rings:
            self.rung.put_nowait(None)

    async def ask(self, op: str, args: dict[str, Any], until: float) -> Answer:
        assert op == "deltas"
        self.asked += 1
        behind = range(args["cursor"] + 1, min(args["cursor"] + args["limit"], self.latest) + 1)
        page = {"cursor": behind.stop - 1, "latest": self.latest, "missed": False}
        return Answer(page | {"deltas": [{"cursor": i} for i in behind]}, [])

    def unavailable(self, why: str) -> Problem:
        return Problem(503, "coordinator_unavailable", why)

    async def recv_multipart(self, flags: int = 0) -> list[bytes]:
        if flags == zmq.NOBLOCK:
            if self.rung.empty():
                raise zmq.Again
            self.rung.get_nowait()
        else:
            await self.rung.get()
        return [b""]

    def close(self, linger: int) -> None:
        pass


class Services:
    """A backend with nothing but a coordinator."""

    def __init__(self) -> None:
        self.coordinator = Coordinator()

    def subscribe(self) -> Coordinator:
        return self.coordinator


def followed(act: Callable[[Feed, Coordinator], Awaitable[None]]) -> None:
    """Run `act` with a feed that has looked at the log once and rests."""

    async def run() -> None:
        services = Services()
        feed = Feed(cast(Backend, services), 1000)
        feed.start()
        await feed.in_step(0)
        await act(feed, services.coordinator)
        await feed.stop()

    asyncio.run(run())


def test_a_change_after_a_rest_is_told_at_once() -> None:
    async def act(feed: Feed, coordinator: Coordinator) -> None:
        await asyncio.sleep(1.2 * REST_S)
        coordinator.append()
        assert await feed.next_look(REST_S / 2)
        assert feed.window.latest == 1

    followed(act)


def test_the_changes_of_a_busy_run_are_told_together() -> None:
    """However many come, waiting clients are woken only so often, and miss none."""

    async def act(feed: Feed, coordinator: Coordinator) -> None:
        looks, loop = 0, asyncio.get_running_loop()
        until = loop.time() + 4 * REST_S
        while loop.time() < until:
            coordinator.append()
            looks += await feed.next_look(0.01)
        assert 1 <= looks <= 5
        assert coordinator.latest > 10 * looks
        await feed.in_step(coordinator.latest)
        assert feed.window.after(0, 1000) is not None
        assert feed.window.latest == coordinator.latest

    followed(act)


@pytest.mark.parametrize(
    ("many", "least_s", "most_s"),
    [
        (WOKEN_AT_ONCE, 0, ALL_WOKEN_S / 2),
        (400, ALL_WOKEN_S * 0.9, REST_S),
    ],  # else a look is missed
)
def test_many_are_woken_in_groups_and_all_of_them_before_the_next_look(
    many: int, least_s: float, most_s: float
) -> None:
    async def act(feed: Feed, coordinator: Coordinator) -> None:
        woken: list[float] = []

        async def wait() -> None:
            assert await feed.next_look(5)
            woken.append(asyncio.get_running_loop().time())

        waiting = [asyncio.create_task(wait()) for _ in range(many)]
        await asyncio.sleep(1.2 * REST_S)
        coordinator.append()
        await asyncio.gather(*waiting)
        assert least_s <= woken[-1] - woken[0] < most_s

    followed(act)


def test_who_knows_of_more_need_not_wait() -> None:
    """A cursor that another API gave: the log is looked at although nothing rang."""

    async def act(feed: Feed, coordinator: Coordinator) -> None:
        coordinator.append(rings=False)
        async with asyncio.timeout(REST_S / 2):
            await feed.in_step(1)
        assert feed.window.latest == 1

    followed(act)


@pytest.mark.parametrize(
    ("packed", "urgent"),
    [
        (msgpack.packb({"kind": "state"}), True),
        (msgpack.packb({"kind": "status"}), True),
        (msgpack.packb({"kind": "stats"}), False),
        (msgpack.packb([1]), False),
        (b"", False),
        (b"\xc1", False),
    ],
)
def test_what_somebody_did_is_told_at_once(packed: bytes, urgent: bool) -> None:
    assert is_urgent(packed) is urgent


def test_the_rest_grows_with_who_waits() -> None:
    assert [rest_s(waiting) for waiting in (0, 10, 1000)] == [REST_S, REST_S, LONGEST_REST_S]
    assert REST_S < rest_s(40) < LONGEST_REST_S
