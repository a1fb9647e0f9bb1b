"""The content log as lists of bytes: the twin of `store_groups`, `list_extents`, `set_favorites`.

Two rings: the first bytes of each direction go to one, all further ones to the other, so that long
streams push each other out and not the beginnings of all. A ring keeps what was written last, and
longest what is of favourites: it writes that again instead of losing it.
"""

from dataclasses import dataclass, field

HEADER = 40


@dataclass
class Extent:
    """A piece of one direction. `at`: its place in all that its ring ever wrote. number: in the
    order in which extents came."""

    stream: int
    side: int
    start: int  # logical offset
    ts_ns: int
    octets: bytes
    number: int
    at: int = 0

    @property
    def need(self) -> int:
        return HEADER + -(-len(self.octets) // 8) * 8


@dataclass
class Ring:
    """`size` bytes of memory, written round and round; no extent lies across the end.

    extents: those there are, in the order of their places.
    """

    size: int
    head: int = 0
    extents: list[Extent] = field(default_factory=list)

    def place(self, need: int) -> int:
        """Where the next extent is to be."""
        left = self.size - self.head % self.size
        return self.head + left if need > left else self.head

    def put(self, extent: Extent) -> None:
        extent.at = self.place(extent.need)
        self.head = extent.at + extent.need
        self.extents.append(extent)

    def has_room(self, need: int) -> bool:
        end = self.place(need) + need
        return not self.extents or self.extents[0].at + self.size >= end


@dataclass
class Log:
    """first_upto: logical offsets below it go to the first ring. cap: bytes of one stream."""

    sizes: tuple[int, int]
    first_upto: int
    longest: int
    cap: int
    rings: tuple[Ring, Ring] = field(init=False)
    favorites: set[int] = field(default_factory=set)
    number: int = 0

    def __post_init__(self) -> None:
        self.rings = Ring(self.sizes[0]), Ring(self.sizes[1])

    def store(self, stream: int, side: int, start: int, ts_ns: int, octets: bytes) -> None:
        """One group: as many extents as its length needs."""
        while octets:
            piece, octets = octets[: self.longest], octets[self.longest :]
            self.number += 1
            extent = Extent(stream, side, start, ts_ns, piece, self.number)
            self._append(int(start >= self.first_upto), extent)
            start += len(piece)

    def _append(self, which: int, extent: Extent) -> None:
        """Favourites that are the oldest are written again, no more than a whole ring at once."""
        ring, movable = self.rings[which], self.rings[which].size
        while not ring.has_room(extent.need):
            oldest = ring.extents[0]
            stays = self._stays(which, oldest) and oldest.need <= movable
            ring.extents.pop(0)
            if stays:
                movable -= oldest.need
                ring.put(oldest)
        ring.put(extent)

    def _stays(self, which: int, extent: Extent) -> bool:
        """Whether an extent is a favourite's that is within its bounds."""
        ring = self.rings[which]
        room = sum(each.need for each in ring.extents if each.stream in self.favorites)
        newer = sum(
            len(each.octets)
            for other in self.rings[which:]
            for each in other.extents
            if each.stream == extent.stream and each is not extent
        )
        is_favorite = extent.stream in self.favorites
        return is_favorite and newer < self.cap and room <= ring.size - ring.size // 4

    def retained(self, stream: int) -> list[Extent]:
        """Both directions of a stream: the newest of later bytes, then of first ones, up to cap."""
        result, left = [], self.cap
        for ring in reversed(self.rings):
            for extent in sorted(ring.extents, key=lambda each: -each.number):
                if extent.stream != stream or left <= 0:
                    continue
                cut = max(0, len(extent.octets) - left)
                left -= len(extent.octets) - cut
                result.append(
                    Extent(
                        stream, extent.side, extent.start + cut, extent.ts_ns,
                        extent.octets[cut:], extent.number, extent.at,
                    )
                )  # fmt: skip
        return result
