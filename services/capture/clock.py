"""The time of a run: that of the source that is behind, so that no stream falls idle by the time
of another source.

Packet time stands still while nothing comes, except on live sources: what they do not bring did not
happen, so their time goes on by this machine's clock, LAG_NS behind it for what the system still
holds. Any other source that is silent for QUIET_S holds nobody up while there are others.
"""

import time
from dataclasses import dataclass

from services.capture.source import SourceState

LAG_NS = 1_000_000_000
QUIET_S = 30.0


@dataclass
class _Seen:
    ns: int  # of its last packet
    at: float  # monotonic seconds, when that came
    is_live: bool


class Clock:
    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def took(self, source: SourceState, ns: int) -> None:
        """The last packet of a source that is being read."""
        self._seen[source.name] = _Seen(ns, time.monotonic(), source.is_live)

    def over(self, source: SourceState) -> None:
        """A source has ended."""
        self._seen.pop(source.name, None)

    def now_ns(self) -> int:
        """Packet time of the run; 0 while nothing was read."""
        now, wall_ns = time.monotonic(), time.time_ns() - LAG_NS
        times: list[int] = []
        quiet: list[int] = []
        for each in self._seen.values():
            if each.is_live:
                times.append(max(each.ns, wall_ns))
            else:
                (times if now - each.at < QUIET_S else quiet).append(each.ns)
        return min(times or quiet, default=0)
