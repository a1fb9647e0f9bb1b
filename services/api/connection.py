"""A client's connection: HTTP/1.1 by uvicorn, whose answers leave in one piece.

uvicorn writes the head of an answer and its body apart. Each is a call into the system, a packet,
and a client that is woken; both together were 19 % of this process's time with reads of content. So
what is written in one turn of the event loop is sent together, at its end.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

AT_ONCE = 1 << 16  # so much is sent before the turn ends: the transport says when it is enough


class Joined:
    """A transport that sends at the end of a turn; all else is the transport's own."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        if not self._pieces:
            self._loop.call_soon(self._send)
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= AT_ONCE:
            self._send()

    def close(self) -> None:
        """What was written before is still sent."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._pieces:
            data = b"".join(self._pieces)
            self._pieces, self._size = [], 0
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Connection(H11Protocol):
    """One client's."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, Joined(transport, self.loop)))
