"""Clients of the API as people's browsers are: `python -m bench.crowd PORT CLIENTS`, a process.

Each client has two connections. On one it follows what changes: every other client with a long
poll, asked again as soon as it is answered, the rest with server-sent events. On the other it reads
the content of a stream that changed last, once in a second, each client at its own moment.

Ends when its standard input does, and prints one JSON object: milliseconds of each read from the
request to the last byte of the answer, answers by status, changes that came, its own CPU seconds.
"""

import asyncio
import json
import random
import re
import resource
import sys
import time
from collections import Counter
from contextlib import suppress

READ_S = 1.0  # between two reads of one client
WAIT_MS = 10_000
IDS = re.compile(rb'"ids":\[([^]]*)\]')
LATEST = 8192  # bytes of the newest changes that are looked at for streams
Answer = tuple[int, bytes]


class Connection:
    """HTTP/1.1, one request at a time."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.head: bytes = b""

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, path: str) -> int:
        """Send a request and read the head of its answer: the status."""
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        return int(self.head[9:12])

    async def get(self, path: str) -> Answer:
        """An answer of known length."""
        status = await self.ask(path)
        length = int(self.head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
        return status, await self.reader.readexactly(length)


class Client:
    """One person's browser."""

    def __init__(self, port: int, number: int) -> None:
        self.live, self.reads = Connection(port), Connection(port)
        self.by_poll = number % 2 == 0
        self.chance = random.Random(number)
        self.newest = b""
        self.ms: list[float] = []
        self.counts: Counter[str] = Counter()

    async def follow(self) -> None:
        await self.live.open()
        await (self._poll() if self.by_poll else self._events())

    async def _poll(self) -> None:
        path = "/api/live/deltas"
        while True:
            status, body = await self.live.get(path)
            cursor = int(body[10 : body.index(b",")])
            path = f"/api/live/deltas?cursor={cursor}&wait_ms={WAIT_MS}"
            self.counts["polls"] += 1
            self.counts["polls refused"] += status != 200
            self._note(body)

    async def _events(self) -> None:
        await self.live.ask("/api/live/events")
        while body := await self.live.reader.read(1 << 16):
            self._note(body)

    def _note(self, body: bytes) -> None:
        self.counts["changes"] += body.count(b'"kind":')
        self.counts["missed"] += body.count(b'"missed":true') + body.count(b"event: missed")
        self.newest = (self.newest + body)[-LATEST:]

    async def read(self) -> None:
        await self.reads.open()
        await asyncio.sleep(self.chance.random() * READ_S)
        due = time.perf_counter()
        while True:
            if found := IDS.findall(self.newest):
                stream = self.chance.choice(found[-1].split(b",")).strip(b'"').decode()
                if stream:
                    await self._read_one(stream)
            due += READ_S
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def _read_one(self, stream: str) -> None:
        side = self.chance.choice(("client", "server"))
        began = time.perf_counter()
        status, body = await self.reads.get(f"/api/streams/{stream}/content?direction={side}")
        self.ms.append((time.perf_counter() - began) * 1e3)
        self.counts[f"reads {status}"] += 1
        self.counts["read bytes"] += len(body)


async def crowd(port: int, count: int) -> dict[str, object]:
    before = resource.getrusage(resource.RUSAGE_SELF)
    clients = [Client(port, number) for number in range(count)]
    tasks = [asyncio.create_task(work) for one in clients for work in (one.follow(), one.read())]
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await asyncio.wait(
        [asyncio.create_task(reader.read()), *tasks], return_when=asyncio.FIRST_COMPLETED
    )
    for task in tasks:
        if task.done() and (error := task.exception()) is not None:
            raise error  # a client that gave up is no client
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "ms": [ms for one in clients for ms in one.ms],
        "counts": dict(sum((one.counts for one in clients), Counter())),
        "cpu_s": used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(crowd(int(sys.argv[1]), int(sys.argv[2])))))
