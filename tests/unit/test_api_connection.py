"""Writes of one turn leave together, in their order, and none is lost."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from services.api.connection import AT_ONCE, Joined


class Transport:
    """Keeps what it was told to do."""

    def __init__(self) -> None:
        self.did: list[Any] = []

    def write(self, data: bytes) -> None:
        self.did.append(data)

    def close(self) -> None:
        self.did.append("close")

    def is_closing(self) -> bool:
        return "close" in self.did


def did(act: Callable[[Joined], None]) -> tuple[list[Any], list[Any]]:
    """What reached the transport before the turn was over, and after it."""

    async def run() -> tuple[list[Any], list[Any]]:
        transport = Transport()
        act(Joined(cast(asyncio.Transport, transport), asyncio.get_running_loop()))
        before = list(transport.did)
        await asyncio.sleep(0)
        return before, transport.did

    return asyncio.run(run())


def test_writes_of_a_turn_are_one() -> None:
    def head_and_body(joined: Joined) -> None:
        joined.write(b"head")
        joined.write(b"body")

    assert did(head_and_body) == ([], [b"headbody"])


def test_close_comes_behind_what_was_written() -> None:
    def answer_and_close(joined: Joined) -> None:
        joined.write(b"last")
        joined.close()
        assert joined.is_closing()

    assert did(answer_and_close) == ([b"last", "close"], [b"last", "close"])


def test_much_is_sent_at_once() -> None:
    """Else what never waits would fill the memory before the transport can say that it is full."""

    def much(joined: Joined) -> None:
        joined.write(b"a")
        joined.write(bytes(AT_ONCE))
        joined.write(b"z")

    assert did(much) == ([b"a" + bytes(AT_ONCE)], [b"a" + bytes(AT_ONCE), b"z"])


def test_turns_are_apart() -> None:
    async def run() -> list[Any]:
        transport = Transport()
        joined = Joined(cast(asyncio.Transport, transport), asyncio.get_running_loop())
        for piece in (b"one", b"two"):
            joined.write(piece)
            await asyncio.sleep(0)
        return transport.did

    assert asyncio.run(run()) == [b"one", b"two"]
