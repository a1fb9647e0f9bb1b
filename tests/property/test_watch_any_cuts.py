"""A capture cut anyhow over files and time, in a folder that is watched: the same packets, in the
same order, each of them once, as of the capture in one piece."""

import gzip
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, note
from hypothesis import strategies as st

from shared.schema import FileReport
from tests.builders import pcap_bytes, pcapng_bytes
from tests.watching import Watcher, frames

pytestmark = pytest.mark.property

PACKETS = 60
MAKERS: dict[str, Callable[[int, int], bytes]] = {
    "pcap": lambda first, count: pcap_bytes(frames(first, count)),
    "big-endian pcap": lambda first, count: pcap_bytes(frames(first, count), byte_order=">"),
    "pcapng": lambda first, count: pcapng_bytes(frames(first, count)),
    "gzip": lambda first, count: gzip.compress(pcap_bytes(frames(first, count)), 1),
}
NOTHING, LOOK, RENAME, RESTART, BRING_AGAIN, KILL = range(6)


@st.composite
def rotations(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    """Files: how each is written, its first packet, how many."""
    cuts = draw(st.lists(st.integers(1, PACKETS - 1), max_size=6, unique=True).map(sorted))
    bounds = [0, *cuts, PACKETS]
    return [
        (draw(st.sampled_from(sorted(MAKERS))), first, stop - first)
        for first, stop in pairwise(bounds)
    ]


class Folder:
    """A folder that somebody writes to, and its watcher, which may be another one later."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.watcher = Watcher(path, batch_packets=7)
        self.found: list[int] = []
        self.renamed = 0
        self.reported: list[FileReport] = []  # what was told of captures some time ago

    def write(self, name: str, data: bytes, cuts: list[int], acts: list[int]) -> None:
        """In pieces, something else between them."""
        written = self.path / name
        bounds = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
        for n, (start, stop) in enumerate(pairwise(bounds)):
            with written.open("ab") as file:
                file.write(data[start:stop])
            written = self.act(written, acts[n % len(acts)])

    def act(self, file: Path, act: int) -> Path:
        """Returns where the file is now."""
        if act != KILL:
            self.reported = self.watcher.ledger.known()
        if act == LOOK:
            self.found += self.watcher.catch_up()
        elif act == RENAME:
            self.renamed += 1
            file = file.rename(self.path / f"renamed {self.renamed}")
        elif act == RESTART:
            self.found += self.watcher.catch_up()
            self.watcher = Watcher(self.path, self.watcher.close(), batch_packets=7)
        elif act == KILL:  # what was told is old; how far packets were taken is known
            self.watcher.read()
            self.found += self.watcher.numbers[self.watcher.taken :]
            given = self.watcher.given()
            for key, packets in self.watcher.seen.items():  # shards forget nothing
                given[key] = max(packets, given.get(key, 0))
            self.watcher.close()
            self.watcher = Watcher(self.path, self.reported, given, batch_packets=7)
        elif act == BRING_AGAIN:  # as rsync does
            self.found += self.watcher.catch_up()
            hidden = self.path / ".brought"
            hidden.write_bytes(file.read_bytes())
            hidden.rename(file)
        return file


@given(
    rotations(),
    st.lists(st.integers(0, 10_000), max_size=8),
    st.lists(st.sampled_from([NOTHING, LOOK, RENAME, RESTART, BRING_AGAIN, KILL]), min_size=1),
)
@example(  # a capture whose first inode has become that of another one, which was killed at that
    [("big-endian pcap", first, count) for first, count in ((0, 1), (1, 1), (2, 58))],
    [1, 2, 3],
    [NOTHING, BRING_AGAIN, NOTHING, KILL],
)
def test_any_cuts(files: list[tuple[str, int, int]], cuts: list[int], acts: list[int]) -> None:
    note(f"{files} {cuts} {acts}")
    with tempfile.TemporaryDirectory() as name:
        folder = Folder(Path(name))
        for n, (kind, first, count) in enumerate(files):
            folder.write(f"{n:03}", MAKERS[kind](first, count), cuts, acts[n % len(acts) :])
            if acts[n % len(acts)] != NOTHING:
                folder.found += folder.watcher.catch_up()
        folder.found += folder.watcher.catch_up()
        assert folder.found == list(range(PACKETS))
        told = folder.watcher.close()
        assert sum(each.packets for each in told) == PACKETS
        # the end of a run makes what is unfinished damage, and what is hardly begun is not known
        # again under another name in another place
        if not {RESTART, KILL} & set(acts) and not {RENAME, BRING_AGAIN} <= set(acts):
            assert sum(each.damaged for each in told) == 0


@given(st.binary(max_size=400), st.lists(st.integers(1, 400), max_size=4))
def test_any_bytes_in_a_file_harm_no_other(junk: bytes, cuts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Folder(Path(name))
        (folder.path / "good").write_bytes(MAKERS["pcap"](0, 20))
        for start in range(0, len(junk), max(cuts, default=400)):
            with (folder.path / "junk").open("ab") as file:
                file.write(junk[start : start + max(cuts, default=400)])
            folder.watcher.catch_up()
        folder.watcher.catch_up()
        folder.watcher.close()
        assert folder.watcher.numbers == list(range(20))
