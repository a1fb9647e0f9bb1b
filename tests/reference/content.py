"""The content log as lists of bytes: the twin of `store_groups` and `list_extents`.

Two rings: the first bytes of each direction go to one, all further ones to the other, so that long
streams push each other out and not the beginnings of all. A ring keeps what was written last.
"""

from dataclasses import dataclass, field

HEADER = 40


@dataclass
class Extent:
    """A piece of one direction. `at`: its place in all that its ring ever wrote."""

    stream: int
    side: int
    start: int  # logical offset
    ts_ns: int
    octets: bytes
    at: int


@dataclass
class Ring:
    """`size` bytes of memory, written round and round; no extent lies across the end."""

    size: int
    head: int = 0
    extents: list[Extent] = field(default_factory=list)

    def append(self, stream: int, side: int, start: int, ts_ns: int, octets: bytes) -> None:
        need = HEADER + -(-len(octets) // 8) * 8
        left = self.size - self.head % self.size
        if need > left:
            self.head += left
        self.extents.append(Extent(stream, side, start, ts_ns, octets, self.head))
        self.head += need

    def kept(self) -> list[Extent]:
        """Of which nothing was written over, oldest first."""
        return [extent for extent in self.extents if extent.at + self.size >= self.head]


@dataclass
class Log:
    """first_upto: logical offsets below it go to the first ring. cap: bytes of one stream."""

    sizes: tuple[int, int]
    first_upto: int
    longest: int
    cap: int
    rings: tuple[Ring, Ring] = field(init=False)

    def __post_init__(self) -> None:
        self.rings = Ring(self.sizes[0]), Ring(self.sizes[1])

    def store(self, stream: int, side: int, start: int, ts_ns: int, octets: bytes) -> None:
        """One group: as many extents as its length needs."""
        while octets:
            piece, octets = octets[: self.longest], octets[self.longest :]
            self.rings[start >= self.first_upto].append(stream, side, start, ts_ns, piece)
            start += len(piece)

    def retained(self, stream: int) -> list[Extent]:
        """Both directions of a stream: the newest of later bytes, then of first ones, up to cap."""
        result, left = [], self.cap
        for ring in reversed(self.rings):
            for extent in reversed(ring.kept()):
                if extent.stream != stream or left <= 0:
                    continue
                cut = max(0, len(extent.octets) - left)
                left -= len(extent.octets) - cut
                result.append(
                    Extent(
                        stream, extent.side, extent.start + cut, extent.ts_ns,
                        extent.octets[cut:], extent.at,
                    )
                )  # fmt: skip
        return result
