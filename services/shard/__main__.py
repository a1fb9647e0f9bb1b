"""The shard service: packets in, events out, content on request."""

import os
import socket
import sys
import time
import uuid
from typing import Any

import numpy as np
import zmq
from pydantic import ValidationError

from services.shard.again import Again
from services.shard.content import ContentReader
from services.shard.favorites import NONE, Favorites
from services.shard.patterns.reports import reports
from services.shard.progress import Progress
from services.shard.requests import Requests
from services.shard.search import STREAM_REF
from services.shard.tables import BATCHES_TOLD_AT_ONCE, Tables
from services.shard.telling import Telling
from services.shard.worker import Worker
from shared.errors import EXIT_INTERNAL, EXIT_OK, UserError
from shared.heap import give_back
from shared.lanes import LaneGoneError, LaneReceiver, Received
from shared.schema import Pattern, Refusal, Reply, Request, SchemaError, unpack
from shared.service import Loop, Stop, new_context, run_service, start_logging
from shared.settings import Settings
from shared.stats import GAUGES, resident_bytes
from shared.tcp_bus import bus_of
from shared.unanswered import Unanswered
from shared.uploads import takes_uploads
from shared.wire import open_socket

REGISTER_RETRY_S = 0.2
HEARTBEAT_S = 0.2  # so soon a shard knows of a new pattern
REPORT_REST = 50  # times as long as reports of patterns took there are none
WORK_S = 0.004  # of what can wait, between two batches
END_S, END_LOOK_MS = 0.5, 20  # after a signal, for the end of the input
WIND_UP_S, WIND_UP_STEP_S = 15.0, 0.05  # behind the last packet, for what patterns put off
PAY_S = 0.02  # credits that found no peer are offered again
IDLE_MS = 1000
EVENTS_OF_A_PACKET = 2  # when a stream closes and another opens


class Shard:
    """Sockets around a `Worker`."""

    def __init__(self, settings: Settings, stop: Stop) -> None:
        self.settings, self.stop = settings, stop
        self.log = start_logging("shard")
        give_back()
        self.context = new_context()
        self.bus = bus_of(settings, "shard")
        self.instance = uuid.uuid4().hex[:16]
        self.loop = Loop(stop)
        self.control = open_socket(self.context, zmq.DEALER, 16)
        self.bus.connect(self.control, self.bus.requests)
        self.coordinator = ""
        self.progress, self.again = Progress(), Again(GAUGES["shard"])
        self.resident_bytes = 0  # read with each heartbeat: every message has all numbers in it
        self.ended = False
        self.was_replaced = False
        self.report_at = 0.0
        self.end_by = float("inf")
        self.ending: Received | None = None
        self.patterns_version = 0
        self.favorites_version = 0
        self.favorites_asked = 0  # the version that the next list is of, or older than

    # ----------------------------------------------------------------------------- start
    def register(self) -> bool:
        """Get a number from the coordinator. False when told to stop before.

        A number that is taken may be free soon: its holder was killed a moment ago.
        """
        waits, unanswered = False, Unanswered(self.log, self.bus.requests)
        while not self.stop.requested:
            self._ask("register", self._identity(self.settings.shard_index))
            reply = self._reply() if self.control.poll(int(REGISTER_RETRY_S * 1000)) else None
            if reply is None:
                unanswered.again()
                continue
            answer, _ = reply
            if answer.error is None:
                self.progress.follow(answer.result)
                self.again.follow(answer.result)
                self.ended = answer.result.get("sent") is not None
                self._start(int(answer.result["index"]), int(answer.result["shards"]))
                self.coordinator = str(answer.result["coordinator"])
                return True
            if answer.error.code == "wait":
                self.stop.wait(REGISTER_RETRY_S)
                continue
            if answer.error.code != "taken":
                raise UserError(answer.error.message)
            if not waits:
                self.log.warning("%s; waiting until one is free", answer.error.message)
                waits = True
            self.stop.wait(REGISTER_RETRY_S)
        return False

    def _identity(self, index: int) -> dict[str, object]:
        """Who asks for a number. index: which, -1 = any."""
        host, pid = socket.gethostname(), os.getpid()
        return {"instance": self.instance, "pid": pid, "host": host, "index": index}

    def _start(self, index: int, shards: int) -> None:
        self.index = index
        try:
            self.tables = Tables(self.settings, max(1, shards))
        except (MemoryError, OSError) as error:
            raise UserError(
                f"--max-flows {self.settings.max_flows} with --max-stream-content-bytes"
                f" {self.settings.max_stream_content_bytes}: there is not that much memory;"
                " give smaller numbers"
            ) from error
        self.telling = self._teller(index)
        tells = not self.settings.disable_stream_inventory
        self.worker = Worker(self.tables, index, self.telling.tell if tells else lambda _: None)
        self.favorites = Favorites(self.tables)
        self.requests = Requests(
            ContentReader(self.tables),
            self.settings.max_stream_slice_bytes,
            self.worker.patterns,
            self.worker.searches,
            self._resume,
        )
        depth = max(2, self.settings.worker_queue_depth // self.settings.batch_size)
        self.lanes = LaneReceiver(self.context, self.bus, index, depth)
        if self.again.waits:
            self.lanes.wait(self.instance)
        self.asked = open_socket(self.context, zmq.ROUTER, 1024)
        self.bus.bind(self.asked, self.bus.shard_requests(index))
        if self.settings.metrics_listen:
            from shared.metrics import serve_stats

            serve_stats(self.settings.metrics_listen, "shard", self.stats)
        self.loop.on_readable(self.lanes.socket, self._packets)
        self.loop.on_readable(self.asked, self._answer)
        self.loop.on_readable(self.control, self._control)
        self.loop.every(HEARTBEAT_S, self._heartbeat)
        self.loop.every(PAY_S, self.lanes.pay)
        self._heartbeat()

    def _teller(self, index: int) -> Telling:
        most = EVENTS_OF_A_PACKET * BATCHES_TOLD_AT_ONCE * self.settings.batch_size
        messages = max(2, self.settings.event_queue_depth // most)
        events = open_socket(self.context, zmq.PUSH, messages)
        self.bus.connect(events, self.bus.events)
        return Telling(
            events,
            index,
            self.instance,
            self.progress,
            lambda: self.worker.now_ns,
            self.stats,
            self._meanwhile,
            self.stop,
        )

    # ------------------------------------------------------------------------------ data
    def _packets(self) -> None:
        """One batch, since requests are looked at in between: a read waits for one at most. While
        another one waits, what changed is told together with what that one changes: an event costs
        little, a message of events much, here and in the coordinator."""
        self._next_batch()
        if not (self.worker.has_room and self.lanes.has_more):
            self.lanes.pay()
            self._tell_untold()

    def _next_batch(self) -> None:
        try:
            batch = self.lanes.receive()
        except SchemaError as error:
            self.log.error("%s", error)
            return
        except LaneGoneError as gone:
            self.progress.lose(gone.header)
            return
        if batch is None:
            return
        self._receive(batch)
        if batch is not self.ending:  # capture waits until that is over
            self.lanes.done(batch)

    def _tell_untold(self) -> None:
        """What was taken and not told of."""
        self.worker.tell()
        self.progress.finish()

    def _receive(self, batch: Received) -> None:
        header = batch.header
        if header.refed:
            self.lanes.wait("")
            self.again.waits = False
            if header.kind == "tick":  # it only says that it begins
                return
            self._tell_untold()
            with self.again.fed(header, self.worker.stats), self.telling.again():
                self._take(batch)
                self.worker.tell()
        elif self.again.stands_back(header):
            self.progress.lose(header)
        elif self.progress.begin(header):
            self._take(batch)

    def _take(self, batch: Received) -> None:
        if batch.header.kind == "end":
            self.worker.now_ns = batch.header.now_ns
            self.ending, self.end_by = batch, time.monotonic() + WIND_UP_S
            self._end()
        elif batch.header.kind == "tick":
            self.worker.tick(batch.header.now_ns)
        else:
            self.ended = False
            self.worker.take_untold(batch.rows, batch.payload, batch.header.now_ns)

    def _resume(self, args: dict[str, Any]) -> dict[str, Any]:
        """A capture begins: its name for how far this shard is."""
        self.lanes.age()
        return self.progress.resume(str(args["capture"]))

    def stats(self) -> dict[str, int]:
        """Totals and gauges, by their metric names."""
        own = self.again.once(self.worker.stats())
        more = {
            "lines_told": self.telling.lines,
            "process_resident_bytes": self.resident_bytes,
            "refused_peers": self.bus.refused,
        }
        return own | self.progress.stats() | more

    def _end(self) -> bool:
        """Behind the last packet: what was put off, as far as the time goes, then the last events.
        Where capture stays there is time for that later. Whether something is left to do."""
        if self.ending is None:
            return False
        if not takes_uploads(self.settings):
            is_late = self.stop.requested or time.monotonic() > self.end_by
            if not is_late and self.worker.wind_up(WIND_UP_STEP_S):
                return True
            self.worker.give_up()
        self.worker.finish(self._answer)
        self.ended = True
        self.progress.finish()
        self.telling.end()
        self.lanes.done(self.ending)
        self.lanes.pay()
        self.ending = None
        return False

    # --------------------------------------------------------------------------- control
    def _meanwhile(self) -> bool:
        """The coordinator has no room: answer requests and go on with searches."""
        self._answer()
        return self.worker.searches.work(WORK_S)

    def _answer(self) -> None:
        while True:
            try:
                *envelope, frame = self.asked.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                self.asked.send_multipart([*envelope, *self.requests.answer(frame)], zmq.NOBLOCK)
            except zmq.ZMQError as error:
                self.log.warning("an answer could not be sent: %s", error)

    def _ask(self, op: str, args: dict[str, object]) -> None:
        try:
            self.control.send_multipart([b"", Request(op=op, args=args).pack()], zmq.NOBLOCK)
        except zmq.Again:
            pass  # the coordinator is away; the next heartbeat tries again

    def _reply(self) -> tuple[Reply, list[bytes]] | None:
        """The next answer and its columns; None when there is none."""
        try:
            _, head, *columns = self.control.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return None
        return unpack(Reply, head, "coordinator"), columns

    def _heartbeat(self) -> None:
        self.resident_bytes = resident_bytes()
        self.lanes.pay()
        self.telling.catch_up(self.ended)
        args: dict[str, object] = {
            "shard": self.index, "instance": self.instance, "seq": self.telling.seq,
        }  # fmt: skip
        if (reach := self.bus.reach) is not None:
            args["reach"] = reach.model_dump()
        now = time.monotonic()
        if now >= self.report_at and (found := reports(self.worker.patterns)):
            args["patterns"] = [one.model_dump() for one in found]
            # 7 ms for a thousand: not with each heartbeat then
            self.report_at = now + REPORT_REST * (time.monotonic() - now)
        self._ask("heartbeat", args)

    def _control(self) -> None:
        reply = self._reply()
        if reply is None:
            return
        if reply[0].error is not None:
            self._refused(reply[0].error)
            return
        result, columns = reply[0].result, reply[1]
        known = str(result.get("coordinator", self.coordinator))
        if known != self.coordinator:
            self.coordinator = known
            self._after_restart_of_coordinator()
        if "patterns" in result:
            self._set_patterns(result)
        elif "left_out" in result:
            self._set_favorites(result, columns)
        elif "acked_seq" in result:
            self._compare(result)

    def _refused(self, refusal: Refusal) -> None:
        """Its number may be another process's: it was silent for so long. Or the coordinator is
        a new one that was left nothing, and counts who is there."""
        if refusal.code == "unknown_shard":
            self._ask("register", self._identity(self.index))
        if refusal.code == "taken":
            self.log.error("%s; ending, to be started again", refusal.message)
            self.was_replaced = self.stop.requested = True

    def _compare(self, result: dict[str, Any]) -> None:
        """Ask for the lists that are others by now."""
        if result.get("patterns_version", self.patterns_version) != self.patterns_version:
            self._ask("patterns", {})
        version = int(result.get("favorites_version", self.favorites_version))
        if version != self.favorites_version:
            self.favorites_asked = version
            chosen = {"only_favorites": True, "include_hidden": True}
            self._ask("select_rows", {"filter": chosen})

    def _set_favorites(self, result: dict[str, Any], columns: list[bytes]) -> None:
        """Whose content goes last. They may be of a later version than was asked for: then they
        are asked for once more."""
        shards = [int(each["shard"]) for each in result["shards"]]
        found = dict(zip(shards, columns, strict=True)).get(self.index)
        self.favorites.set(NONE if found is None else np.frombuffer(found, STREAM_REF))
        self.favorites_version = self.favorites_asked

    def _set_patterns(self, result: dict[str, Any]) -> None:
        """The coordinator's list, as it is now."""
        self.patterns_version = int(result["version"])
        patterns = []
        for words in result["patterns"]:
            try:
                patterns.append(Pattern.model_validate(words))
            except ValidationError as error:
                self.log.error("a pattern is left out: %s", error)
        self.worker.set_patterns(patterns)

    def _after_restart_of_coordinator(self) -> None:
        """It lost its rows: register again, and tell all that this shard still has."""
        self.log.warning("the coordinator restarted; telling it all streams again")
        self._tell_untold()  # its lines are to be written
        self._ask("register", self._identity(self.index))
        self.patterns_version = self.favorites_version = -1  # its own numbers
        with self.telling.again():
            self.progress.tell_all_again()
            self.worker.tell_all_again()
        if self.ended:
            self.telling.end()

    def run(self) -> int:
        """Work until told to stop."""
        if not self.register():
            return EXIT_OK
        waiting = False
        while not self.stop.requested:
            self.loop.turn(0 if waiting else IDLE_MS)
            waiting = self._end() or self.worker.work(WORK_S)
        if self.was_replaced:
            return EXIT_INTERNAL
        self._await_end()
        self._tell_untold()
        self.worker.give_up()
        if not self.ended:
            self.worker.finish(self._answer)  # every stream's last event has its final numbers
        if self.telling.is_late:
            self.log.warning("the coordinator did not take the last events in time")
        self.telling.close()
        self.lanes.close()
        self.context.destroy(linger=500)
        return EXIT_OK

    def _await_end(self) -> None:
        """Capture may have been told to stop just now as well; its last batches are under way."""
        deadline = time.monotonic() + END_S
        while not self.ended and time.monotonic() < deadline:
            self.loop.turn(END_LOOK_MS)
            self._end()


def main(settings: Settings, stop: Stop) -> int:
    return Shard(settings, stop).run()


if __name__ == "__main__":
    sys.exit(run_service("shard", main))
