"""Who goes when the table is full, and what is told when: dicts and sorted lists.

The twin of `evict` and `free_victims`, and of `collect_events`. The ends that `sweep` and
`close_all` give to streams are in `streams`; `snapshot_rows` has every stream told again as new.
"""

from dataclasses import dataclass, field


@dataclass
class FlowTable:
    """Room for so many streams; one flow has one stream here. Times differ from each other."""

    rows: int
    present: dict[int, tuple[int, int]] = field(default_factory=dict)  # incarnation, last seen
    following: dict[int, int] = field(default_factory=dict)  # incarnation after eviction
    evicted: list[tuple[int, int]] = field(default_factory=list)

    def see(self, key: int, now_ns: int) -> None:
        """A packet: the streams that were not seen for longest go where there is no room."""
        if key not in self.present and len(self.present) == self.rows:
            for old in sorted(self.present, key=lambda key: self.present[key][1])[: self.at_once]:
                incarnation, _ = self.present.pop(old)
                self.following[old] = incarnation + 1
                self.evicted.append((old, incarnation))
        incarnation, _ = self.present.get(key, (self.following.get(key, 0), 0))
        self.present[key] = incarnation, now_ns

    @property
    def at_once(self) -> int:
        """An eighth of the table, so that room is made rarely."""
        return max(1, min(1024, self.rows // 8))


@dataclass
class Teller:
    """What is told of one open stream, batch after batch."""

    update_packets: int
    update_bytes: int
    told: tuple[int, int] | None = None  # packets and bytes when something was told last

    def after_batch(self, packets: int, octets: int, changed: bool = False) -> str:
        """Totals after a batch that had packets of the stream; "" = nothing is told."""
        if self.told is None:
            kind = "stream_open"
        elif (
            packets - self.told[0] >= self.update_packets
            or octets - self.told[1] >= self.update_bytes
        ):
            kind = "stream_update"
        elif changed:
            kind = "stream_change"
        else:
            return ""
        self.told = packets, octets
        return kind
