"""How the run is: what `/api/health` says, and the sentences that say what is wrong right now."""

from collections import deque
from collections.abc import Sequence
from typing import Any

from services.coordinator.deltas import DeltaLog
from services.coordinator.lives import Lives, Notice
from services.coordinator.merge import Merger
from services.coordinator.shards import Shard, Shards
from services.coordinator.sinks import Sink
from services.coordinator.sources import Sources
from services.coordinator.view import Inventory
from shared.columns import DECODE_STATUSES, FRAGMENT_HELD, PARSED

RATE_WINDOW_S = 3.0
ENDED = ("completed", "failed")
# counters of shards that are summed in `totals`
SHARD_TOTALS = (
    "payload_bytes",
    "stream_bytes",
    "gaps",
    "gap_bytes",
    "retransmissions",
    "overlaps",
    "conflicts",
    "midstream",
)
# what was not analysed or kept, by reason
SHARD_DROPS = (
    "flows_evicted",
    "out_of_order_dropped",
    "out_of_window",
    "after_reset_bytes",
    "after_close_packets",
    "malformed_rows",
    "packets_lost",
    "packets_repeated",
)
FRAGMENT_DROPS = tuple(f"fragments_{why}" for why in ("expired", "evicted", "cut", "malformed"))
DECODE_DROPS = tuple(
    name for status, name in enumerate(DECODE_STATUSES) if status not in (PARSED, FRAGMENT_HELD)
)
CAPTURE_DROPS_PREFIX = "dropped_"  # by kernel, interface or queue, as the source names them
RING_LEFT_OUT = "packet_ring_left_out"  # analysed, but not kept
REFED = ("refed_packets", "not_refed_packets")  # to shards in the place of lost ones
RING_BUDGET = ("packet_ring_bytes", "packet_ring_bytes_max")


class Rates:
    """Differences over the last seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, dict[str, int]]] = deque()

    def sample(self, totals: dict[str, int], now: float) -> None:
        self._samples.append((now, totals))
        while len(self._samples) > 2 and self._samples[1][0] <= now - RATE_WINDOW_S:
            self._samples.popleft()

    def per_second(self) -> dict[str, float]:
        """`packets_per_s`, `bytes_per_s`, `events_per_s`."""
        if len(self._samples) < 2:
            return {f"{name}_per_s": 0.0 for name in ("packets", "bytes", "events")}
        (start, before), (stop, after) = self._samples[0], self._samples[-1]
        seconds = max(stop - start, 1e-3)
        return {
            f"{name}_per_s": round(max(0, after[name] - before[name]) / seconds, 1)
            for name in ("packets", "bytes", "events")
        }


def lost_shard(shard: Shard) -> str:
    """A sentence."""
    if not shard.instance:
        return f"shard {shard.index} has not registered"
    gone = "; the content it retains is out of reach" if shard.ended else ""
    return f"shard {shard.index} (pid {shard.pid} on {shard.host}) is not heard any more{gone}"


class Health:
    """Reads everybody's numbers; owns only the rates and what was said last."""

    def __init__(
        self,
        inventory: Inventory,
        shards: Shards,
        sources: Sources,
        merger: Merger,
        deltas: DeltaLog,
        sinks: Sequence[Sink],
    ) -> None:
        self.inventory, self.shards, self.sources = inventory, shards, sources
        self.merger, self.deltas, self.sinks = merger, deltas, sinks
        self.lives = Lives()
        self.before: dict[
            str, int
        ] = {}  # what an earlier coordinator wrote; empty = this is the first
        self.rates = Rates()
        self.malformed_messages = 0
        self.run_status = "waiting"
        self.is_finishing = False  # all has arrived, and sinks still write

    # --------------------------------------------------------------------------- status
    def advance(self) -> None:
        """Move the run on. It has ended when capture and all shards have, and every sink is idle
        after its last line, a `health`; it goes on when a new capture reports."""
        if not self.sources.ended:
            started = self.sources.has_started or self.merger.events > 0
            self.run_status = "running" if started else "waiting"
            self.is_finishing = False
        elif self.run_status in ENDED or not self.shards.all_ended:
            return
        elif not self.is_finishing:
            self.is_finishing = True
            self.say(self.stats() | {"run_status": self._outcome()})
        elif all(sink.is_idle for sink in self.sinks):
            self.run_status, self.is_finishing = self._outcome(), False

    def _outcome(self) -> str:
        return "failed" if self.sources.all_failed else "completed"

    def say(self, body: dict[str, Any]) -> None:
        """A `health` line in every sink."""
        for sink in self.sinks:
            sink.put_record("health", body)

    def troubles(self, now: float) -> list[str]:
        """What is wrong at this moment, a sentence each; the same trouble is the same sentence."""
        found = [lost_shard(shard) for shard in self.shards.all if shard.is_lost(now)]
        if self.shards.nobody_came(now):
            found.append("no shard has registered")
        if self.sources.is_silent(now):
            found.append(self.sources.trouble)
        if self.merger.team.state.trouble:
            found.append(self.merger.team.state.trouble)
        found += self.sources.troubles
        found += self.lives.troubles()
        return found + [sink.trouble for sink in self.sinks if sink.trouble]

    def status(self, now: float) -> str:
        if self.run_status == "failed":
            return "failed"
        return "degraded" if self.troubles(now) else "ok"

    # -------------------------------------------------------------------------- numbers
    def totals(self) -> dict[str, int]:
        """Since the start of the run. Packets and bytes are capture's, before decoding; and packets
        that shards have of a capture which was killed before it reported them."""
        sources, shards = self.sources, self.shards
        unreported = max(0, -self._balance()) if sources.restarts else 0
        return {
            "packets": sources.total("packets") + unreported or shards.total("packets"),
            "bytes": sources.total("bytes") or shards.total("bytes"),
            "filtered": sources.total("filtered"),
            **{name: sources.total(name) for name in REFED if name in sources.stats},
            "streams": self._streams(),
            "events": self.merger.events,
            **{name: shards.total(name) for name in SHARD_TOTALS},
            "attempts": shards.total("attempts") - shards.total("attempts_answered"),
        }

    def _streams(self) -> int:
        """Those that went before the coordinator was restarted have no number here any more."""
        before = self.before.get("streams", 0) - self.merger.streams_again
        return max(before, 0) + self.inventory.numbered

    def drops(self) -> dict[str, int]:
        """What was not analysed, kept or written, by reason; all reasons there are, 0 too."""
        found = {name: self.sources.total(f"decode_{name}") for name in DECODE_DROPS}
        told = [name for name in self.sources.stats if name.startswith(CAPTURE_DROPS_PREFIX)]
        told += [RING_LEFT_OUT] if RING_LEFT_OUT in self.sources.stats else []
        found |= {name: self.sources.total(name) for name in (*FRAGMENT_DROPS, *sorted(told))}
        found["dropped_not_sent"] = max(0, self._balance())
        found |= {name: self.shards.total(name) for name in SHARD_DROPS}
        found |= self.inventory.losses()
        found["event_messages_lost"] = sum(shard.messages_lost for shard in self.shards.all)
        found["output_lines_in_restart"] = self._lines_in_restart()
        found["messages_malformed"] = self.malformed_messages
        written = [sink.written for sink in self.sinks]
        found["output_lines"] = sum(each.lost for each in written)
        found["output_records"] = sum(each.records_lost for each in written)
        return found

    def _balance(self) -> int:
        return self.sources.balance(self.shards.told_packets())

    def _lines_in_restart(self) -> int:
        """Lines that shards told and a coordinator that was killed did not come to write: they are
        neither in its file nor were they given to the sinks since."""
        if not self.before:
            return 0
        told = self.shards.total("lines_told")
        return max(0, told - self.before["lines"] - self.merger.lines)

    def queues(self) -> dict[str, Any]:
        """What waits, how long capture was held back by it, and how late live packets were read."""
        numbers = [sink.numbers() for sink in self.sinks]
        has_ended = self.run_status in ENDED or self.shards.all_ended
        return {
            "shard_rows": 0 if has_ended else self.sources.queue_rows,
            "output_bytes": sum(each["waiting_bytes"] for each in numbers),
            "output_bytes_max": sum(each["waiting_bytes_max"] for each in numbers),
            "capture_backpressure_ms": self.sources.total("backpressure_ms"),
            "lag_ms": self.sources.stats.get("lag_ms", 0),
        }

    def budgets(self) -> dict[str, int]:
        """What is bounded, and how full it is."""
        return {
            "content_bytes": self.shards.total("content_used_bytes"),
            "content_bytes_max": self.shards.total("content_budget_bytes"),
            "flows": self.shards.total("flow_rows"),
            "flows_max": self.shards.total("flow_rows_max"),
            "streams": self.inventory.used,
            "streams_max": self.inventory.capacity,
            "delta_bytes": self.deltas.bytes,
            **{
                name: self.sources.stats[name] for name in RING_BUDGET if name in self.sources.stats
            },
        }

    def sample(self, now: float, at_us: int) -> None:
        """Take the numbers that rates are made of, and see how everybody is."""
        self.rates.sample(self.totals(), now)
        self.lives.see("capture", self.sources.state(now), at_us, self.sources.restarts)
        for shard in self.shards.all:
            self.lives.see(f"shard {shard.index}", shard.state(now), at_us, shard.restarts)

    def keep(self) -> dict[str, Any]:
        """What the next coordinator of this run could not learn from anybody."""
        written = self.sinks[0].written if self.sinks else None
        return {
            "shards": self.shards.keep(),
            "sources": self.sources.keep(),
            "lives": self.lives.describe(),
            "events": self.merger.events,
            "told_messages": self.merger.told_messages,
            "streams": self._streams(),
            "written": None if written is None else list(written),
        }

    def restore(self, kept: dict[str, Any], now: float, at_us: int) -> None:
        """Go on where another coordinator was killed."""
        self.shards.restore(kept["shards"], now)
        self.sources.restore(kept["sources"], now)
        self.lives.restore(kept["lives"])
        self.lives.see("coordinator", "restarted", at_us, self.lives.restarts("coordinator") + 1)
        self.merger.events, self.merger.told_messages = kept["events"], kept["told_messages"]
        lines = sum(sink.written.lines for sink in self.sinks)
        self.before = {"lines": lines, "streams": kept["streams"]}

    def notice(self, notice: Notice) -> None:
        """The launcher saw a process end, or started one."""
        self.lives.notice(notice)
        kind, _, index = notice.service.partition(" ")
        if notice.what == "ended" and kind == "capture":
            self.sources.note_death()
        elif notice.what == "ended" and kind == "shard" and index.isdecimal():
            self.shards.note_death(int(index), notice.pid)

    def report(self, now: float) -> dict[str, Any]:
        """The `/api/health` object."""
        return {
            "status": self.status(now),
            "run_status": self.run_status,
            "troubles": self.troubles(now),
            "services": self.lives.describe(),
            "sources": self.sources.describe(),
            "ledger": self.sources.ledger.describe(),
            "shards": [shard.describe(now) for shard in self.shards.all],
            "totals": self.totals(),
            "rates": self.rates.per_second(),
            "drops": self.drops(),
            "queues": self.queues(),
            "budgets": self.budgets(),
            "latest_cursor": self.deltas.latest,
        }

    def stats(self) -> dict[str, Any]:
        """What changes all the time: the body of a `stats` delta and of a health line."""
        return {
            "run_status": self.run_status,
            "totals": self.totals(),
            "rates": self.rates.per_second(),
            "drops": {reason: count for reason, count in self.drops().items() if count},
            "queues": self.queues(),
            "budgets": self.budgets(),
        }
