"""A watched folder read by hand: packets out, and what the ledger says of each file."""

import select
import time
from pathlib import Path
from typing import Any

from services.capture.ledger import Ledger
from services.capture.source import PacketSource
from services.capture.watch.folder import WatchedFolder
from shared.schema import FileReport
from tests.builders import Captured, pcap_bytes, udp4

DEADLINE_S = 20.0


def frames(first: int, count: int, step_ns: int = 1_000_000) -> list[Captured]:
    """Packets that differ, numbered from `first`; so are their times, in steps of `step_ns`."""
    return [
        (n * step_ns, udp4("10.0.0.1", 1000 + n % 60000, "10.0.0.2", 53, f"packet {n}".encode()))
        for n in range(first, first + count)
    ]


def capture(first: int, count: int, **how: Any) -> bytes:
    return pcap_bytes(frames(first, count), **how)


def records(first: int, count: int) -> bytes:
    """The same without the file's header."""
    return capture(first, count)[24:]


class Reader:
    """Takes what a source gives; `payloads` are those of all packets so far."""

    def __init__(self, source: PacketSource) -> None:
        self.source = source
        self.seen: dict[str, int] = {}  # what shards have of each input is not sent to them
        self.payloads: list[str] = []
        self.taken = 0  # of those that a test looked at

    @property
    def numbers(self) -> list[int]:
        return [int(each.split()[1]) for each in self.payloads]

    def read(self) -> bool:
        """One batch; False at the end."""
        batch = self.source.read()
        if batch is None:
            return False
        state = self.source.state
        first = state.upto - batch.records.size
        known = self.seen.get(state.input, 0) - first if state.input else 0
        for record in batch.records[max(0, known) :]:
            off = int(record["off"])
            frame = batch.data[off : off + int(record["caplen"])].tobytes()
            self.payloads.append(frame[42:].decode())
        return True

    def wait(self) -> None:
        """Until the source has something to do, a second at most."""
        poll = select.poll()
        for descriptor in self.source.descriptors():
            poll.register(descriptor, select.POLLIN)
        poll.poll(max(0.0, min(1.0, self.source.due() - time.monotonic())) * 1000)

    def until(self, told: Any) -> None:
        """Read until told() holds."""
        deadline = time.monotonic() + DEADLINE_S
        while not told():
            assert time.monotonic() < deadline, "it does not come to that"
            self.wait()
            self.read()


class Watcher(Reader):
    """A folder, its ledger and what is read of it."""

    def __init__(
        self,
        folder: Path,
        known: list[FileReport] | None = None,
        seen: dict[str, int] | None = None,
        **how: Any,
    ) -> None:
        self.ledger = Ledger()
        self.folder = WatchedFolder(str(folder), 7, self.ledger, **how)
        self.folder.recall(known or [], None if seen is None else [seen])
        super().__init__(self.folder)
        self.seen = seen or {}

    def catch_up(self) -> list[int]:
        """Read all that is there now; the packets that this brought."""
        before = self.taken
        deadline = time.monotonic() + DEADLINE_S
        for _ in range(2):  # what a look finds, and what came while it was read
            self.folder._is_stale = True
            while self.folder._is_stale or self.folder.due() <= time.monotonic():
                assert time.monotonic() < deadline, "there is no end of it"
                self.wait()
                self.read()
        self.taken = len(self.payloads)
        return self.numbers[before:]

    def files(self) -> dict[str, FileReport]:
        """What the ledger says last, by name; the newest of a name."""
        return {report.name: report for report in self.ledger.known()}

    def given(self) -> dict[str, int]:
        """Packets of each capture that were given out, by its id."""
        return {report.id: report.packets for report in self.ledger.known() if report.packets}

    def close(self) -> list[FileReport]:
        """The end of the run; what a state file would keep."""
        self.folder.close()
        assert self.folder.read() is None
        return self.ledger.known()
