"""The services behind the API, asked while it ends."""

import asyncio
from pathlib import Path

import pytest

from services.api.backend import Backend, Peer, deadline
from services.api.problems import Problem
from shared.wire import Bus

SOON_S = 1.0  # an answer takes `deadline()` otherwise, which is longer


@pytest.mark.parametrize("who", ["coordinator", "known shard", "new shard", "waiting"])
def test_who_asks_while_the_api_ends_hears_so_at_once(who: str, tmp_path: Path) -> None:
    """Nobody listens: a wait that had begun ends, one that would begin does not."""

    async def ask() -> Problem:
        backend = Backend(Bus(str(tmp_path)))

        async def of(peer: Peer) -> Problem:
            with pytest.raises(Problem) as raised:
                await peer.ask("stream", {}, deadline())
            return raised.value

        try:
            if who == "waiting":
                wait = asyncio.create_task(of(backend.coordinator))
                await asyncio.sleep(0)
                backend.give_up()
                return await asyncio.wait_for(wait, SOON_S)
            known = backend.shard(0)
            backend.give_up()
            peer = {"coordinator": backend.coordinator, "known shard": known}.get(who)
            return await asyncio.wait_for(of(peer or backend.shard(1)), SOON_S)
        finally:
            backend.close()

    problem = asyncio.run(ask())
    assert problem.status == 503
    assert problem.code in ("coordinator_unavailable", "shard_unavailable")
