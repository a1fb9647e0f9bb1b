"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) of a feed.

Each client reads the shared window at its own pace, so a slow one costs no memory: it falls behind,
is told that it missed something, and is dropped when it does not read at all.
"""

import asyncio
import time
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.api.feed import Feed

HEARTBEAT_S = 15.0
STALL_S = 10.0  # a client that takes nothing for so long is dropped
AT_ONCE = 256  # deltas sent in one piece
RETRY_MS = 1000


async def disconnected(receive: Receive) -> None:
    """Returns when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream(Response):
    """Sends deltas after `cursor` until the client or the server goes."""

    media_type = "text/event-stream"

    def __init__(self, feed: Feed, cursor: int) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._feed, self._cursor = feed, cursor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._feed.visitor():
            sending = asyncio.create_task(self._send(send))
            gone = asyncio.create_task(disconnected(receive))
            try:
                await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
                if sending.done():
                    with suppress(TimeoutError):  # it took nothing for too long: hang up
                        sending.result()
            finally:
                sending.cancel()
                gone.cancel()

    async def _send(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        await _send_in_time(send, b"retry: %d\n\n" % RETRY_MS)
        while not self._feed.closed:
            await _send_in_time(send, await self._next_events())
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next_events(self) -> bytes:
        """What there is, waited for; a comment when there is nothing for a while."""
        until = time.monotonic() + HEARTBEAT_S
        while (found := self._feed.window.after(self._cursor, AT_ONCE)) is not None:
            first, self._cursor = self._cursor + 1, self._cursor + len(found)
            if found:
                return b"".join(
                    b"id: %d\ndata: %s\n\n" % (first + i, delta) for i, delta in enumerate(found)
                )
            left = until - time.monotonic()
            if left <= 0 or self._feed.closed:
                return b": still there\n\n"
            await self._feed.next_look(left)
        self._cursor = self._feed.window.latest
        return b'id: %d\nevent: missed\ndata: {"cursor":%d}\n\n' % (self._cursor, self._cursor)


async def _send_in_time(send: Send, body: bytes) -> None:
    async with asyncio.timeout(STALL_S):
        await send({"type": "http.response.body", "body": body, "more_body": True})
