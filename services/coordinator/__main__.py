"""The coordinator service: events and reports in; inventory, health and deltas to whoever asks.

One thread writes all state, so nothing is locked; sinks and metrics have threads of their own and
are handed what nobody changes any more.
"""

import os
import secrets
import sys
import time
from functools import cached_property
from typing import TYPE_CHECKING

import zmq

from services.coordinator.deltas import IDS_MAX, DeltaLog
from services.coordinator.health import ENDED, Health
from services.coordinator.kept import Kept
from services.coordinator.ledger import UPLOADS, Ledger, status_of
from services.coordinator.merge import Merger
from services.coordinator.requests import Requests
from services.coordinator.seen import Seen
from services.coordinator.shards import COMPILE_GRACE_S, START_GRACE_S, Shards
from services.coordinator.sinks import Sink
from services.coordinator.sinks.resume import Written, find_end
from services.coordinator.sources import Sources, describe
from services.coordinator.state import check_is_no_input
from services.coordinator.team import Team
from services.coordinator.view import Inventory
from shared import kernel_cache
from shared.errors import EXIT_OK, UserError
from shared.flow_key import hex_id
from shared.heap import give_back
from shared.output import check_not_an_input, output_path
from shared.schema import CaptureReport, SchemaError, unpack
from shared.service import Loop, Stop, new_context, run_service, start_logging
from shared.settings import Settings
from shared.tcp_bus import bus_of
from shared.wire import Bus, open_socket

if TYPE_CHECKING:
    from services.coordinator.metrics import Metrics

EVENTS_PER_MESSAGE = 16384  # of a full batch; makes messages of a queue that is given in events
TURN_S = 0.010  # events taken before requests are looked at again
ROOM_S = 0.020  # waited for a sink with a full queue before requests are looked at again
REQUESTS_A_TURN = 64
WATCH_S = 0.1
FINISHING_MS = 5
QUIET_S = 1.0  # after a signal: no events for this long, and all have arrived
DRAIN_S = 3.0  # after a signal: longest


class Coordinator:
    """Sockets and timers around the state."""

    def __init__(self, settings: Settings, stop: Stop) -> None:
        self.settings, self.stop = settings, stop
        self.log = start_logging("coordinator")
        give_back()
        self.instance = secrets.token_hex(8)
        self.context = new_context()
        self.bus = bus_of(settings, "coordinator")
        self._bind(self.bus)
        self.inventory = Inventory(settings.max_streams, settings.max_pattern_matches_total)
        check_is_no_input(settings.state_file, (*settings.pcap, output_path(settings)))
        self.team = Team(self.inventory, settings)
        self.kept = Kept(settings.run_dir)
        self.sinks = self._open_sinks()
        self.deltas = DeltaLog(self.instance, settings.api_delta_capacity, self._publish)
        now, grace_s = time.monotonic(), START_GRACE_S
        if kernel_cache.is_cold():
            grace_s = COMPILE_GRACE_S
        # a launcher has chosen how many shards; 0 = as many as come
        self.shards = Shards(settings.workers, now, self._replaced, grace_s)
        self.sources = Sources(now, grace_s, Ledger(self.team.state))
        self.merger = Merger(self.inventory, self.shards, self.sinks, self.team)
        self.health = Health(
            self.inventory, self.shards, self.sources, self.merger, self.deltas, self.sinks
        )
        self._seen: Seen | None = None
        self.requests = Requests(
            self.instance,
            self.inventory,
            self.shards,
            self.health,
            self.deltas,
            time.monotonic,
            self.team,
            self._scraped,
        )
        if self.kept.before:
            self.health.restore(self.kept.before, time.monotonic(), time.time_ns() // 1000)
        self.events_at = time.monotonic()
        self._told: tuple[str, str, list[str]] = ("", "", [])
        self._malformed: set[str] = set()
        self._told_messages = 0

    def _bind(self, bus: Bus) -> None:
        depth = max(2, self.settings.event_queue_depth // EVENTS_PER_MESSAGE)
        self.events = open_socket(self.context, zmq.PULL, depth)
        self.reports = open_socket(self.context, zmq.PULL, 64)
        self.asked = open_socket(self.context, zmq.ROUTER, 1024)
        self.published = open_socket(self.context, zmq.PUB, 4096)
        for socket, address in (
            (self.events, bus.events),
            (self.reports, bus.reports),
            (self.asked, bus.requests),
            (self.published, bus.deltas),
        ):
            try:
                bus.bind(socket, address)
            except zmq.ZMQError as error:
                reason = (error.strerror or str(error)).lower()
                raise UserError(f"--run-dir {bus.run_dir}: cannot bind there: {reason}") from None

    def _open_sinks(self) -> list[Sink]:
        if self.settings.mode == "dump":  # then capture writes the lines
            return []
        from services.coordinator.sinks.jsonl import JsonlSink, open_output, was_opened

        path, run_dir = output_path(self.settings), self.settings.run_dir
        check_not_an_input(path, self.settings.pcap)
        name = "standard output" if path == "-" else path
        goes_on = was_opened(path, run_dir)
        descriptor = open_output(path, run_dir)
        before = Written(*(self.kept.before.get("written") or Written()))
        if goes_on and os.path.isfile(path):
            before = find_end(path, before)
        return [JsonlSink(descriptor, name, before)]

    def _replaced(self, shard: int) -> int:
        """Another process is this shard now; returns how many of its streams were left open."""
        self.team.patterns.forget_shard(shard)
        return self.inventory.forget_rows(shard)

    def _publish(self, packed: bytes) -> None:
        """To every API that listens; one that is too slow misses some and reads the log."""
        self.published.send(packed, zmq.NOBLOCK)

    @cached_property
    def metrics(self) -> "Metrics":
        """What is scraped, once somebody does."""
        from services.coordinator.metrics import Metrics  # 30 ms, and all others wait for this one

        return Metrics(lambda: self._seen)

    def _scraped(self) -> bytes:
        return self.metrics.text()

    # ------------------------------------------------------------------------------- run
    def run(self) -> int:
        """Until a signal, and then until what is on its way has arrived."""
        if self.settings.metrics_listen:
            from shared.metrics import serve

            serve(self.settings.metrics_listen, self.metrics.registry)
        loop = Loop(self.stop)
        loop.on_readable(self.asked, self._requests)
        loop.on_readable(self.reports, self._reports)
        loop.on_readable(self.events, self._events)
        loop.every(WATCH_S, self._watch)
        loop.every(self.settings.health_interval_ms / 1000, self._tell_health)
        while not self.stop.requested:
            self._turn(loop)
        self.events_at = time.monotonic()
        deadline = self.events_at + DRAIN_S
        while not self._has_drained() and time.monotonic() < deadline:
            self._turn(loop)
        self._close()
        return EXIT_OK

    def _turn(self, loop: Loop) -> None:
        loop.turn(FINISHING_MS if self.health.is_finishing else 1000)
        before = self.health.run_status
        self.health.advance()
        if self.health.run_status != before:
            self._watch()

    def _has_drained(self) -> bool:
        now = time.monotonic()
        if self.health.run_status in ENDED:
            return True
        quiet = not self.shards.may_tell_more(now) or now - self.events_at > QUIET_S
        return quiet and not self.health.is_finishing

    def _close(self) -> None:
        for sink in self.sinks:
            sink.close()
        self.team.close()
        self.context.destroy(linger=500)

    # -------------------------------------------------------------------------- handlers
    def _events(self) -> None:
        """Take events for a while, as long as every sink has room."""
        until = time.monotonic() + TURN_S
        while (now := time.monotonic()) < until:
            if not all(sink.wait_for_room(ROOM_S) for sink in self.sinks):
                self.shards.excuse(now)
                self.sources.excuse(now)
                return
            try:
                frames = self.events.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            self.events_at = now
            try:
                self.merger.take([frame.buffer for frame in frames], now)
            except SchemaError as error:
                self._note_malformed(error)

    def _reports(self) -> None:
        """Take all reports of capture that wait."""
        while True:
            try:
                frame = self.reports.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                report = unpack(CaptureReport, frame, "reports")
            except SchemaError as error:
                self._note_malformed(error)
                continue
            told = [describe(source) for source in self.sources.take(report, time.monotonic())]
            files = self.sources.ledger.take(report)
            told += [status_of(file) for file in files if file.source != UPLOADS]
            for body in told:
                for sink in self.sinks:
                    sink.put_record("source_status", body)
            if self.shards.input_ended and not self.sources.ended:
                self.shards.go_on()
            self.shards.input_ended = self.sources.ended

    def _requests(self) -> None:
        """Answer some of the requests that wait; the rest comes after the next events."""
        for _ in range(REQUESTS_A_TURN):
            try:
                *envelope, frame = self.asked.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                self.asked.send_multipart([*envelope, *self.requests.answer(frame)], zmq.NOBLOCK)
            except zmq.ZMQError as error:
                self.log.warning("an answer could not be sent: %s", error)

    def _note_malformed(self, error: SchemaError) -> None:
        """Count it, and say each kind once."""
        self.health.malformed_messages += 1
        if str(error) not in self._malformed and len(self._malformed) < 64:
            self._malformed.add(str(error))
            self.log.error("%s", error)

    # ---------------------------------------------------------------------------- timers
    def _watch(self) -> None:
        """Tell which rows changed, and when something went wrong or well again."""
        now = time.monotonic()
        self.health.sample(now, time.time_ns() // 1000)
        self.kept.write(self.health.keep())
        count, ids = self.inventory.take_changed(IDS_MAX)
        if count:
            body = {"count": count, "ids": [hex_id(each) for each in ids]}
            totals = {"total": self.inventory.used, "numbered": self.inventory.numbered}
            self.deltas.append("streams", body | totals)
        if (matched := self.team.take_matched(IDS_MAX)) is not None:
            self.deltas.append("matches", matched)
        if more := self.merger.told_messages - self._told_messages:
            self._told_messages += more
            self.deltas.append("messages", {"count": more, "total": self._told_messages})
        self._tell_changes(now)

    def _tell_changes(self, now: float) -> None:
        run_status, troubles = self.health.run_status, self.health.troubles(now)
        status = self.health.status(now)
        if (status, run_status, troubles) == self._told:
            return
        _, run_before, before = self._told
        self._told = status, run_status, troubles
        news = [trouble for trouble in troubles if trouble not in before]
        over = [f"no longer: {trouble}" for trouble in before if trouble not in troubles]
        for text in (*news, *over):
            self.log.warning("%s", text)
        if run_status != run_before:
            self.log.info("the run is %s", run_status)
        reason = "; ".join((*news, *over))
        body = {"status": status, "run_status": run_status, "reason": reason}
        self.deltas.append("status", body)
        if (news or over) and not self.health.is_finishing:
            self.health.say(self.health.stats() | {"status": status, "reason": reason})

    def _tell_health(self) -> None:
        """One log line, one delta, one line in the sinks, and the newest metrics."""
        stats = self.health.stats()
        self.deltas.append("stats", stats)
        if self.health.run_status == "running" and not self.health.is_finishing:
            self.health.say(stats)
        now = time.monotonic()
        report = self.health.report(now)
        self._seen = Seen(
            report,
            capture=self.sources.totals(),
            capture_silent_s=self.sources.silent_s(now),
            capture_restarts=self.sources.restarts,
            unread_bytes=self.sources.unread_bytes,
            patterns=self.team.patterns.totals(),
            answered=dict(self.requests.answered),
            refused=dict(self.requests.refused),
            refused_peers=self.bus.refused,
        )
        totals, rates = stats["totals"], stats["rates"]
        self.log.info(
            "%s, %s: %d packets, %d streams, %d events, %.0f packets/s",
            report["status"],
            report["run_status"],
            totals["packets"],
            totals["streams"],
            totals["events"],
            rates["packets_per_s"],
        )


def main(settings: Settings, stop: Stop) -> int:
    if not settings.run_dir:
        raise UserError("--run-dir is not given: the folder where the services meet")
    return Coordinator(settings, stop).run()


if __name__ == "__main__":
    sys.exit(run_service("coordinator", main))
