"""Who the shards are: their numbers, whether they are heard, what they sent and what is missing.

Rules. A number (index) belongs to one instance, a process; the same instance always gets its
number again. Another one may take a number over once its holder has not been heard for
TAKEOVER_AFTER_S. A shard is heard by anything it says. One that is silent for LOST_AFTER_S is
lost, until it is heard again or another takes its place; after its end too, since it is there for
the content it retains. Counters are totals of an instance; what earlier instances counted is
carried, so that sums never fall. What a process that was replaced still had to say is not entered:
its successor counts as lost what was sent to it and not told.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared import stats
from shared.schema import EventsHeader, Reach

TAKEOVER_AFTER_S = 2.0
GATHER_S = 2.0  # no further shard came for so long: these are all
SHARDS_MAX = 1024
DEAD_S = TAKEOVER_AFTER_S + 0.1  # as if it had been silent for so long
LOST_AFTER_S = 1.8  # heartbeats come every half second; less than 2 s, the time health has to tell
START_GRACE_S = 10.0  # for a shard to register at all
COMPILE_GRACE_S = 300.0  # where kernels have to be compiled first
GONE_KEPT = 16
INPUTS_KEPT = 1024
KEPT = (
    "instance", "pid", "host", "ended", "stats", "carried", "restarts", "events", "messages_lost",
    "messages_repeated", "orphaned_streams", "rows", "seen",
)  # fmt: skip
GAUGES = stats.GAUGES["shard"]


class RefusedError(Exception):
    """A shard cannot have what it asks for."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code, self.hint = code, hint


@dataclass
class Shard:
    """One number and who holds it. heard_at: seconds, monotonic. next_seq: None = not known."""

    index: int
    heard_at: float
    start_grace_s: float = START_GRACE_S
    instance: str = ""
    pid: int = 0
    host: str = ""
    reach: Reach | None = None  # over TCP
    ready: bool = False
    ended: bool = False
    is_dead: bool = False  # somebody saw its process end
    next_seq: int | None = None
    stats: Mapping[str, int] = field(default_factory=dict)
    carried: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    events: int = 0
    messages_lost: int = 0
    messages_repeated: int = 0
    orphaned_streams: int = 0
    rows: int = 0  # packets that it has taken, of those that were sent to this number
    seen: dict[str, int] = field(default_factory=dict)  # by input: up to which number, then
    gone: deque[str] = field(default_factory=lambda: deque(maxlen=GONE_KEPT))  # instances before

    def note_seen(self, name: str, upto: int) -> None:
        """It has taken all of an input up to a number. The newest inputs are kept."""
        if name:
            self.seen[name] = max(upto, self.seen.pop(name, 0))
            while len(self.seen) > INPUTS_KEPT:
                del self.seen[next(iter(self.seen))]

    def silent_s(self, now: float) -> float:
        return max(now - self.heard_at, DEAD_S if self.is_dead else 0.0)

    def is_lost(self, now: float) -> bool:
        return self.silent_s(now) > (LOST_AFTER_S if self.instance else self.start_grace_s)

    def state(self, now: float) -> str:
        if self.is_lost(now):
            return "lost"
        if self.ended:
            return "ended"
        return "ready" if self.ready else "starting"

    def total(self, name: str) -> int:
        """A counter over all instances."""
        return self.stats.get(name, 0) + self.carried[name]

    def totals(self) -> dict[str, int]:
        """Counters over all instances, gauges of the present one."""
        return {
            name: self.stats.get(name, 0) if name in GAUGES else self.total(name)
            for name in self.stats.keys() | self.carried.keys()
        }

    @property
    def told_packets(self) -> int:
        """Packets of this number that were told to be analysed, or lost."""
        lost = self.total("packets_lost") - self.total("packets_repeated")
        return self.total("packets") + lost

    def describe(self, now: float) -> dict[str, Any]:
        """As in health."""
        return {
            "index": self.index,
            "state": self.state(now),
            "instance": self.instance,
            "pid": self.pid,
            "host": self.host,
            "age_ms": int(self.silent_s(now) * 1000),
            "restarts": self.restarts,
            "events": self.events,
            "messages_lost": self.messages_lost,
            "orphaned_streams": self.orphaned_streams,
            "stats": self.totals(),
        }


class Shards:
    """All numbers there are. replaced: told of a number whose instance is another one now, and
    says how many of its streams were left open. start_grace_s: how long a shard may take to
    register. expected: 0 = as many as come before the first of them is given a number."""

    def __init__(
        self,
        expected: int,
        now: float,
        replaced: Callable[[int], int],
        start_grace_s: float = START_GRACE_S,
    ) -> None:
        self.all = [Shard(index, now, start_grace_s) for index in range(expected)]
        self.input_ended = False  # no packet will come to anybody
        self._replaced = replaced
        self._start_grace_s, self._began = start_grace_s, now
        self._gathered: dict[str, float] | None = {} if not expected else None
        self._reserved: dict[int, str] = {}  # numbers that were held before

    @property
    def expected(self) -> int:
        """How many there have to be before packets are sent."""
        return max(1, len(self.all))

    def nobody_came(self, now: float) -> bool:
        return not self.all and now - self._began > self._start_grace_s

    def _gather(self, instance: str, index: int, now: float) -> None:
        """Count who comes, until nobody does any more. Who had a number (of a coordinator that was
        killed before it could leave word) has it again."""
        if self._gathered is None:
            return
        if len(self._gathered) < SHARDS_MAX:
            self._gathered.setdefault(instance, now)
            if 0 <= index < SHARDS_MAX:
                self._reserved[index] = instance
        if now - max(self._gathered.values()) < GATHER_S:
            raise RefusedError("wait", "shards are still being counted", "ask again")
        count = max(len(self._gathered), 1 + max(self._reserved, default=0))
        self.all = [Shard(each, now, self._start_grace_s) for each in range(count)]
        self._gathered = None

    def go_on(self) -> None:
        """There is more input: the ends that shards have told are not the last ones."""
        for shard in self.all:
            shard.ended = False

    # ----------------------------------------------------------------------- who is who
    def register(self, instance: str, pid: int, host: str, index: int, now: float) -> Shard:
        """A number for the instance: the one it had, the one it wants, or (-1) a free one."""
        self._gather(instance, index, now)
        shard = self._held_by(instance) or self._free(instance, index, now)
        self._hold(shard, instance, now)
        shard.pid, shard.host = pid, host
        if instance in shard.gone:
            shard.gone.remove(instance)
        return shard

    def _held_by(self, instance: str) -> Shard | None:
        return next((shard for shard in self.all if shard.instance == instance), None)

    def _free(self, instance: str, index: int, now: float) -> Shard:
        if index >= len(self.all) or index < -1:
            raise RefusedError(
                "bad_value",
                f"shard {index} is none of the {len(self.all)} expected",
                "give the coordinator and the shards the same --workers",
            )
        wanted = self.all if index < 0 else [self.all[index]]
        for shard in sorted(wanted, key=lambda shard: shard.instance != ""):
            if not shard.instance and self._reserved.get(shard.index, instance) != instance:
                continue
            if not shard.instance or shard.silent_s(now) > TAKEOVER_AFTER_S:
                return shard
        which = "all numbers are" if index < 0 else f"shard {index} is"
        raise RefusedError(
            "taken",
            f"{which} held by shards that were heard in the last {TAKEOVER_AFTER_S:.0f} s",
            "try again, or raise --workers",
        )

    def _hold(self, shard: Shard, instance: str, now: float) -> None:
        """The instance holds the number, and was heard."""
        shard.heard_at = now
        if shard.instance == instance:
            return
        if shard.instance:
            shard.restarts += 1
            shard.carried.update({name: n for name, n in shard.stats.items() if name not in GAUGES})
            shard.orphaned_streams += self._replaced(shard.index)
            shard.gone.append(shard.instance)
        shard.instance, shard.stats = instance, {}
        shard.ready, shard.next_seq, shard.is_dead = False, None, False
        shard.reach = None
        # who comes after the input has ended is sent nothing, not even an end
        shard.ended = self.input_ended and shard.restarts > 0

    # ---------------------------------------------------------------------- what they say
    def heartbeat(
        self, index: int, instance: str, seq: int, now: float, reach: Reach | None = None
    ) -> int:
        """Returns the last message of events that arrived, -1 = none. seq: of the next it sends."""
        if not 0 <= index < len(self.all):
            raise RefusedError("unknown_shard", f"there is no shard {index}", "register first")
        shard = self.all[index]
        other = shard.instance not in ("", instance)
        if instance in shard.gone or (other and shard.silent_s(now) <= TAKEOVER_AFTER_S):
            raise RefusedError("taken", f"shard {index} is another process now", "register again")
        self._hold(shard, instance, now)
        shard.ready, shard.reach = True, reach
        if shard.next_seq is None and seq == 0:
            shard.next_seq = 0
        return -1 if shard.next_seq is None else shard.next_seq - 1

    def arrived(self, header: EventsHeader, now: float) -> bool:
        """Note a message of events; False when it must not be entered: it was before, or its
        sender's rows mean other streams by now."""
        if header.shard >= len(self.all):
            return False
        shard = self.all[header.shard]
        stale = shard.instance not in ("", header.instance)
        if header.instance in shard.gone or (stale and shard.silent_s(now) <= TAKEOVER_AFTER_S):
            shard.messages_lost += 1
            return False
        self._hold(shard, header.instance, now)
        expected = header.seq if shard.next_seq is None else shard.next_seq
        if header.seq < expected:
            shard.messages_repeated += 1
            return False
        shard.messages_lost += header.seq - expected
        shard.next_seq = header.seq + 1
        shard.ready, shard.ended = True, header.kind == "end"
        shard.stats = header.stats
        shard.events += header.events
        shard.rows = header.rows
        for name, upto in header.seen.items():
            shard.note_seen(name, upto)
        return True

    def note_death(self, index: int, pid: int) -> None:
        """Its process is known to be gone: its number is free at once."""
        if 0 <= index < len(self.all) and self.all[index].pid == pid:
            self.all[index].is_dead = True

    # ------------------------------------------------------------------ over a restart of ours
    def keep(self) -> list[dict[str, Any]]:
        """What the next coordinator cannot learn from the shards."""
        return [{name: getattr(shard, name) for name in KEPT} for shard in self.all]

    def restore(self, kept: list[dict[str, Any]], now: float) -> None:
        if self._gathered is not None and kept:
            self.all = [Shard(index, now, self._start_grace_s) for index in range(len(kept))]
            self._gathered = None
        for shard, numbers in zip(self.all, kept, strict=False):
            for name in KEPT:
                setattr(shard, name, numbers[name])
            shard.carried = Counter(shard.carried)

    def excuse(self, now: float) -> None:
        """Nobody could be heard, because the coordinator itself did not listen."""
        for shard in self.all:
            if not shard.is_lost(now):
                shard.heard_at = now

    # ---------------------------------------------------------------------------- totals
    def total(self, name: str) -> int:
        """A counter over all shards, or a gauge over those there are."""
        if name in GAUGES:
            return sum(shard.stats.get(name, 0) for shard in self.all)
        return sum(shard.total(name) for shard in self.all)

    def told_packets(self) -> list[int]:
        """Of each number."""
        return [shard.told_packets for shard in self.all]

    @property
    def all_ended(self) -> bool:
        return bool(self.all) and all(shard.ended for shard in self.all)

    def may_tell_more(self, now: float) -> bool:
        """Whether a shard is there that has not told its end."""
        return any(s.instance and not s.ended and not s.is_lost(now) for s in self.all)
