"""Who is read when: many sources that may never end, files one after the other, uploads.

Sources that may never end are read in rounds, each of them that has something once. Files, and
then uploads, are read one after the other: alone where there is nothing else, else in between, for
FINITE_S whenever nothing arrives elsewhere or OPEN_ENDED_S are over. So an interface is not kept
waiting by a large file, and a file is read while an interface is busy.

Nothing here waits except for all of it at once: the descriptors of all sources, the moments at
which they are due, whoever takes the packets, and the wish to stop.
"""

import math
import select
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence

from services.capture.source import Batch, PacketSource

OPEN_ENDED_S, FINITE_S = 0.2, 0.05  # longest turns
LAST_S = 0.5  # for what the system still holds when the end is wanted
LOOK_S = 0.2  # between two looks for uploads
# After a round that brought little the next one waits a moment: 4 KiB that a writer puts into a
# pipe at a time cost as much as 64.
GATHER_BYTES, GATHER_MS = 1 << 15, 2

# A source and its batch, which is None at its end; no source: a wait is over
Turn = tuple[PacketSource | None, Batch | None]
IDLE: Turn = (None, None)


class Reading:
    """One pass over sources until all have ended, uploads included that come until then.

    next_upload: the next one, None = there is none now. stop: a descriptor that ends any wait.
    wake: time.monotonic() until when a wait may last.
    """

    def __init__(
        self,
        sources: Sequence[PacketSource],
        next_upload: Callable[[], PacketSource | None],
        stop: int,
        wake: Callable[[], float],
    ) -> None:
        self.open_ended = [source for source in sources if source.state.is_open_ended]
        self._finite = deque(source for source in sources if not source.state.is_open_ended)
        self._next_upload, self._stop, self._wake = next_upload, stop, wake
        self._looked = -math.inf
        self._told: list[str] = []  # the statuses of those that are open-ended

    def __iter__(self) -> Iterator[Turn]:
        until = 0.0
        brought = 1
        while self.open_ended or self._upcoming() is not None:
            brought = yield from self._round(brought)
            if self._upcoming() is not None and (not brought or time.monotonic() >= until):
                brought += yield from self._finite_turn()
                until = time.monotonic() + OPEN_ENDED_S

    def has_news(self) -> bool:
        """Whether the status of one that is open-ended is another than when last asked."""
        before, self._told = self._told, [source.state.status for source in self.open_ended]
        return self._told != before

    def held(self) -> Iterator[Turn]:
        """What has come already from sources that were told to stop; LAST_S at most."""
        until = time.monotonic() + LAST_S
        for source in self.open_ended:
            while source.held() and time.monotonic() < until:
                batch = source.read()
                if batch is None:
                    break
                yield source, batch
                if not batch.records.size:
                    self._await(source, until)

    def _await(self, source: PacketSource, until: float) -> None:
        poll = select.poll()
        for descriptor in source.descriptors():
            poll.register(descriptor, select.POLLIN)
        poll.poll(max(0.0, min(source.due(), until) - time.monotonic()) * 1000)

    def close(self) -> None:
        """Let go of all sources that have not ended."""
        for source in (*self.open_ended, *self._finite):
            source.close()

    # ---------------------------------------------------------------------- open-ended
    def _round(self, brought: int) -> Generator[Turn, None, int]:
        """One batch of each that has something; the bytes and records that came."""
        if not self.open_ended:
            return 0
        ready = self._ready(may_wait=not brought and not self._finite)
        if not ready:
            yield IDLE
        elif brought < GATHER_BYTES and not self._finite:
            self._pause(GATHER_MS)
        brought = 0
        for source in ready:
            batch = source.read()
            yield source, batch
            if batch is None:
                self.open_ended.remove(source)
            else:
                brought += batch.used + batch.records.size
        return brought

    def _ready(self, may_wait: bool) -> list[PacketSource]:
        """Those that have something to do; may wait for it."""
        poll = select.poll()
        poll.register(self._stop, select.POLLIN)
        owners: dict[int, PacketSource] = {}
        due = math.inf
        for source in self.open_ended:
            due = min(due, source.due())
            for descriptor in source.descriptors():
                poll.register(descriptor, select.POLLIN)
                owners[descriptor] = source
        until = min(due, self._wake(), self._looked + LOOK_S)
        wait_s = max(0.0, until - time.monotonic()) if may_wait else 0.0
        found = {id(owners[fd]) for fd, _ in poll.poll(wait_s * 1000) if fd in owners}
        now = time.monotonic()
        return [each for each in self.open_ended if id(each) in found or each.due() <= now]

    def _pause(self, wait_ms: int) -> None:
        poll = select.poll()
        poll.register(self._stop, select.POLLIN)
        poll.poll(wait_ms)

    # -------------------------------------------------------------------------- finite
    def _upcoming(self) -> PacketSource | None:
        """The file or upload whose turn it is."""
        now = time.monotonic()
        if not self._finite and (not self.open_ended or now - self._looked >= LOOK_S):
            self._looked = now
            if (upload := self._next_upload()) is not None:
                self._finite.append(upload)
        return self._finite[0] if self._finite else None

    def _finite_turn(self) -> Generator[Turn, None, int]:
        """Batches of one for a while, or all of them if nobody else waits; 1, as something was
        read, so that nobody waits after it."""
        source = self._finite[0]
        until = time.monotonic() + FINITE_S
        while (batch := source.read()) is not None:
            yield source, batch
            if self.open_ended and time.monotonic() > until:
                return 1
        self._finite.popleft()
        yield source, None
        return 1
