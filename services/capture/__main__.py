"""The capture service: sources in, batches for the shards out, reports to the coordinator."""

import math
import sys
import time
import uuid
from contextlib import nullcontext
from functools import partial
from typing import Literal

from services.capture.bpf import CaptureFilter
from services.capture.capture_file import open_captures
from services.capture.clock import Clock
from services.capture.dump import Dump
from services.capture.ledger import Ledger
from services.capture.meeting import Meeting
from services.capture.numbers import Numbering, split
from services.capture.packet_ring.ring import open_ring
from services.capture.pump import Pump
from services.capture.reading import LOOK_S, Reading
from services.capture.recall import recall
from services.capture.refeeding import Refeeding
from services.capture.reporting import Reports, describe
from services.capture.resume import UPLOAD, Resumption
from services.capture.router import Router, StoppedError
from services.capture.source import Batch, PacketSource
from services.capture.sources import open_sources
from services.capture.uploads import Uploads
from services.capture.whereabouts import Whereabouts
from shared.errors import EXIT_NOTHING_READ, EXIT_OK, UserError
from shared.service import Stop, new_context, run_service, start_logging
from shared.settings import Settings
from shared.sources import NOTHING_TO_READ, has_input
from shared.stats import resident_bytes
from shared.tcp_bus import bus_of
from shared.uploads import takes_uploads

FLUSH_BATCHES = 64  # a lane that fills slowly is sent after this many batches of a file
FLUSH_S = 0.005  # what came from a source that may never end is sent after so long
TICK_S = 0.2  # between two words to the shards that time passes
SETTLE_S, WAIT_MS = 4.0, 100  # after a signal, for the last batches to be taken
UPLOADS_REPORTED = 256  # of those that were read the newest are reported
ENDED = ("completed", "failed")


class Capture:
    """Pumps what the sources give to the shards, and tells the coordinator."""

    def __init__(self, settings: Settings, stop: Stop) -> None:
        self.settings, self.stop = settings, stop
        self.log = start_logging("capture")
        self.context = new_context()
        self.bus = bus_of(settings, "capture")
        self.instance = uuid.uuid4().hex[:16]
        self.lag_ms = 0  # how old live packets were when they were read, at most since then
        self.filtered = 0
        self.taken = 0  # packets that passed the filter, counted before or not
        self.resumption = Resumption([], [])
        self.settle_until = float("inf")
        self.ledger = Ledger()
        self.sources = open_sources(settings, self.ledger)
        self.opened = len(self.sources)
        self.uploads = Uploads(settings)
        self.clock = Clock()
        self._flush_at = math.inf  # monotonic seconds
        self._tick_at = 0.0
        self.ended = False  # the shards are told so
        self.end_told = False  # and the coordinator was
        self.filter = CaptureFilter(settings.capture_filter) if settings.capture_filter else None
        self.reports = Reports(self.context, self.bus, self.instance, self.log)
        self.router = Router([], self._is_stopped)
        self.whereabouts = Whereabouts(self.context, self.bus)
        self.ring = open_ring(settings)
        self.pump = Pump(self.router, self.ring)
        self.refeeding = Refeeding(self.ring, self.router)
        if settings.metrics_listen:
            from shared.metrics import serve_stats

            serve_stats(settings.metrics_listen, "capture", self.stats)

    # ------------------------------------------------------------------------------ run
    def run(self) -> int:
        """Until the sources have ended, or SIGTERM; either way the shards are told the end. With
        an API it stays for captures that are uploaded: the run goes on with each, and ends again.
        """
        if not self._meet():
            return EXIT_OK
        own = list(self.sources)
        seen = self.router.seen if self.resumption.is_another else None
        recall(own, seen, partial(self.bus.ask, self.context, self.bus.requests), self.stop)
        if own:
            self._read_all(own)
            self._end()
        while (upload := self._await_upload()) is not None:
            self._go_on()
            self._read_all([upload])
            self._end()
        if not self.ended:  # nothing was given, and nothing came
            self._end()
        self._close()
        failed = bool(own) and all(source.state.status == "failed" for source in own)
        return EXIT_NOTHING_READ if failed else EXIT_OK

    def _read_all(self, sources: list[PacketSource]) -> None:
        """These sources, and what is uploaded meanwhile."""
        reading = Reading(sources, self._next_upload, self.stop.descriptor, self._wake)
        try:
            for turn, (source, batch) in enumerate(reading):
                if source is not None and batch is not None:
                    self._take(source, batch)
                elif source is not None:
                    self._over(source)
                self.whereabouts.look(self.router.lanes)
                self.refeeding.step()
                if reading.open_ended:
                    self._keep_time()
                elif turn % FLUSH_BATCHES == 0:
                    self.router.flush()
                if reading.has_news() or self.reports.are_due():
                    self._report("report")
                if self.stop.requested or not self._room():
                    break
            for source, batch in reading.held() if self._room() else ():
                if source is not None and batch is not None:
                    self._take(source, batch)
            self.router.flush()
        except StoppedError:
            self.log.warning("stopped while a shard was full; its last batch was not taken")
        reading.close()

    def _wake(self) -> float:
        """Until when nothing is to be done if no packet comes."""
        return min(self._flush_at, self._tick_at, self.reports.due)

    def _keep_time(self) -> None:
        """Send what came FLUSH_S ago, and let streams fall idle while nothing comes."""
        now = time.monotonic()
        if now >= min(self._flush_at, self._tick_at):
            self.router.flush()
            self._flush_at = math.inf
        if now >= self._tick_at:
            self._tick_at = now + TICK_S
            self.router.now_ns = self.clock.now_ns()
            if self.router.now_ns:
                self.router.say("tick")

    def _next_upload(self) -> PacketSource | None:
        """The next upload as a source."""
        path = self.uploads.next()
        if path is None:
            return None
        (source,) = open_captures([str(path)], self.settings.batch_size, index=self.opened)
        self.opened += 1
        source.state.name, source.state.kind = path.name, UPLOAD
        done = [each for each in self.sources if each.state.kind == UPLOAD]
        if len(done) >= UPLOADS_REPORTED:
            self.sources.remove(done[0])
        self.sources.append(source)
        self.resumption.add_upload(source)
        return source

    def _await_upload(self) -> PacketSource | None:
        """Wait for the next one. None when told to stop, or when there will be none."""
        while self.uploads.taken and not self.stop.requested:
            if (upload := self._next_upload()) is not None:
                return upload
            if not self.ended:
                self._report("report")
            self.whereabouts.look(self.router.lanes)
            self._feed_again()
            self.stop.wait(LOOK_S)
        return None

    def _feed_again(self) -> None:
        """After the end of the input: a shard that was lost gets what is kept, and the end."""
        try:
            if fed := self.refeeding.finish():
                self.refeeding.say_end_again(fed if self.ended else set())
                self._report("end" if self.ended else "report", wait=self.ended)
        except StoppedError:
            self.log.warning("stopped while a shard was fed again")

    def _go_on(self) -> None:
        """Have the coordinator know that the end was not the last one, before packets come."""
        self.router.should_stop = self._is_stopped
        self.ended = self.end_told = False
        deadline = time.monotonic() + SETTLE_S
        while not self.stop.requested and time.monotonic() < deadline:
            self._report("report")
            try:
                reply, _ = self.bus.ask(self.context, self.bus.requests, "health", None, WAIT_MS)
            except TimeoutError:
                continue
            if reply.result.get("run_status") not in ENDED:
                return
            self.stop.wait(0.02)

    def _over(self, source: PacketSource) -> None:
        source.close()
        self.clock.over(source.state)
        self.resumption.forget(source)
        if source.state.kind == UPLOAD:
            self.uploads.done(source.state.name)

    def _room(self) -> bool:
        return not self.settings.max_packets or self.taken < self.settings.max_packets

    def _take(self, source: PacketSource, batch: Batch) -> None:
        name, first = self.resumption.first_number(source, batch.records.size)
        known = self.resumption.counted_of(source, batch.records.size)
        for part in split(batch, known) if known else [batch]:
            with self.pump.uncounted() if known > 0 else nullcontext():
                self._take_part(part, name, first, known > 0)
            first += part.records.size
            known -= part.records.size
        if batch.records.size:
            if source.state.is_live:
                self.lag_ms = max(self.lag_ms, (time.time_ns() - self.router.now_ns) // 1_000_000)
            self.clock.took(source.state, self.router.now_ns)
            self.router.now_ns = self.clock.now_ns()
            self._flush_at = min(self._flush_at, time.monotonic() + FLUSH_S)

    def _take_part(self, batch: Batch, name: str, first: int, was_counted: bool) -> None:
        """Records that were all counted by an earlier capture, or none of them."""
        read = batch.records
        if self.filter is not None:
            kept = self.filter.apply(batch)
            self.filtered += 0 if was_counted else read.size - kept.records.size
            batch = kept
        if self.settings.max_packets:
            left = self.settings.max_packets - self.taken
            batch = batch._replace(records=batch.records[:left])
        self.taken += batch.records.size
        self.router.numbers = self.pump.numbers = Numbering(name, first, read, batch.records)
        self.pump.take(batch)

    # --------------------------------------------------------------------------- others
    def _meet(self) -> bool:
        """Learn what was, and have a lane to each shard. False when told to stop before."""
        met = Meeting(self.settings, self.context, self.bus, self.stop, self.log)
        if (reported := met.what_was()) is None:
            return False
        self.resumption = Resumption(self.sources, reported)
        found = met.shards(self.instance, self.ring is not None, lambda: self._report("report"))
        if found is None:
            return False
        lanes, seen = found
        self.router = Router(lanes, self._is_stopped, seen)
        self.pump.sink = self.refeeding.router = self.router
        self.whereabouts.follow(self.router.lanes)
        return True

    def _end(self) -> None:
        """Everything sent is followed by `end`, to the shards and to the coordinator."""
        self.router.should_stop = self._is_out_of_patience
        self.ended = True
        try:
            self.refeeding.finish()
            self.router.say("end")
        except StoppedError:
            self.log.warning("a shard takes nothing any more; it was not told the end")
        if self.ring is not None:
            self.ring.flush()
        self._report("end", wait=True)
        self.end_told = True
        self._settle()
        try:
            while fed := self.refeeding.finish():  # a shard that stood back took no end
                for shard in fed:
                    self.router.say_to(shard, "end")
                self._report("end", wait=True)
                self._settle()
        except StoppedError:
            self.log.warning("stopped while a shard was fed again")

    def _settle(self) -> None:
        """Wait for what is on its way, however slow whoever reads the events is: what a lane still
        holds would be lost."""
        for lane in self.router.lanes:
            while not lane.settled(WAIT_MS) and not self._is_out_of_patience():
                pass

    def _close(self) -> None:
        for lane in self.router.lanes:
            lane.close()
        self.whereabouts.close()
        if self.ring is not None:
            self.ring.close()
        self.reports.close()
        self.context.destroy(linger=2000)

    def _is_stopped(self) -> bool:
        """Asked while a shard is full."""
        self._wait_on()
        return self.stop.requested

    def _wait_on(self) -> None:
        """Whoever waits for a shard says that it is alive, and sees where the shard is."""
        if self.reports.are_due():
            self._report("end" if self.end_told else "report")
        self.whereabouts.look(self.router.lanes)

    def _is_out_of_patience(self) -> bool:
        """Whether a signal asked for the end and SETTLE_S have gone: a shard may be gone too."""
        if self.stop.requested:
            self.settle_until = min(self.settle_until, time.monotonic() + SETTLE_S)
        self._wait_on()
        return time.monotonic() > self.settle_until

    def stats(self) -> dict[str, int]:
        """Totals by their metric names."""
        return self.pump.stats() | {
            "filtered": self.filtered,
            "dropped_kernel": sum(source.state.dropped_kernel for source in self.sources),
            "dropped_interface": sum(source.state.dropped_interface for source in self.sources),
            "dropped_ours": sum(source.state.dropped_ours for source in self.sources),
            **self.refeeding.stats(),
            **self._open_rows(),
            "batches": self.router.batches,
            "backpressure_ms": int(self.router.waited_s * 1000),
            "queue_rows": sum(lane.queue_rows for lane in self.router.lanes),
            "queue_rows_peak": sum(lane.peak_rows for lane in self.router.lanes),
            "queue_rows_max": sum(lane.max_rows for lane in self.router.lanes),
            "lag_ms": self.lag_ms,
            "process_resident_bytes": resident_bytes(),
        }

    def _open_rows(self) -> dict[str, int]:
        """Packets that are decoded and not sent. Nobody knows in the middle of a batch; after the
        end nothing is sent any more."""
        if self.ended:
            return {"open_rows": 0}
        if self.pump.is_busy:
            return {}
        return {"open_rows": self.router.open_rows + self.refeeding.open_rows}

    def _report(self, kind: Literal["report", "end"], wait: bool = False) -> None:
        """wait: until it is taken."""
        for source in self.sources:
            if source.state.kind == UPLOAD:
                self.ledger.note_upload(source.state, time.time_ns() // 1000)
        if self.reports.send(
            kind,
            [describe(each.state, self.resumption.counted(each)) for each in self.sources],
            self.ledger,
            wait,
            stats=self.stats(),
            sent=[lane.rows_sent for lane in self.router.lanes],
            now_ns=self.router.now_ns,
            troubles=[self.ring.trouble] if self.ring is not None and self.ring.trouble else [],
        ):
            self.lag_ms = 0


def main(settings: Settings, stop: Stop) -> int:
    if not has_input(settings) and (settings.mode == "dump" or not takes_uploads(settings)):
        raise UserError(NOTHING_TO_READ)
    if settings.mode == "dump":
        return Dump(settings, stop).run()
    return Capture(settings, stop).run()


if __name__ == "__main__":
    sys.exit(run_service("capture", main))
