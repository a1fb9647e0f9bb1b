"""What a lost shard had and this one gets once more, from capture's packet ring: nothing is counted
twice, or told to the sinks twice.

A shard in another's place stands back until it is fed: what it is sent meanwhile is in the ring as
well, and comes from there in its turn. Without a ring it begins at once.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from shared.schema import BatchHeader

Stats = dict[str, int]


class Again:
    """waits: whether it stands back. gauges: names of numbers that are no counters."""

    def __init__(self, gauges: Collection[str]) -> None:
        self.waits = False
        self._gauges = gauges
        self._twice: Counter[str] = Counter()  # counted of packets that were counted before

    def follow(self, registered: dict[str, Any]) -> None:
        """registered: the coordinator's answer, which knows of a predecessor."""
        self.waits = bool(registered.get("told_packets") or registered.get("rows"))

    def stands_back(self, header: BatchHeader) -> bool:
        """Whether this is not to be taken now, since it will come again; an end as well."""
        self.waits = self.waits and header.ring
        return self.waits

    @contextmanager
    def fed(self, header: BatchHeader, stats: Callable[[], Stats]) -> Iterator[None]:
        """While packets of a lost shard are taken."""
        before = stats()
        yield
        after = stats()
        self._twice.update({name: after[name] - before.get(name, 0) for name in after})
        self._twice["refed_packets"] += header.rows

    def once(self, stats: Stats) -> Stats:
        """Counters without what was counted before."""
        refed = {"refed_packets": self._twice["refed_packets"]}
        if not self._twice:  # nearly always: each message has all numbers in it
            return refed | stats
        return refed | {
            name: value if name in self._gauges else value - self._twice[name]
            for name, value in stats.items()
        }
