"""What capture tells the coordinator: totals, so that a report which is lost is said again."""

import logging
import time
from typing import Any, Literal

import zmq

from services.capture.ledger import Ledger
from services.capture.source import SourceState
from shared.schema import CaptureReport, Problem, SourceReport
from shared.wire import Bus, open_socket

REPORT_S = 0.2
LINGER_MS = 2000


class Reports:
    """Sends one every REPORT_S. due: monotonic seconds."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        bus: Bus,
        instance: str,
        log: logging.Logger,
    ) -> None:
        self.due = 0.0
        self._bus, self._instance, self._log = bus, instance, log
        self._seq = 0
        self._told = True  # the last report was taken
        self._socket = open_socket(context, zmq.PUSH, 16)
        bus.connect(self._socket, bus.reports)

    def are_due(self) -> bool:
        return time.monotonic() > self.due

    def send(
        self,
        kind: Literal["report", "end"],
        sources: list[SourceReport],
        ledger: Ledger,
        wait: bool,
        **more: Any,
    ) -> bool:
        """Whether it was taken. wait: until it is. more: the other fields of a report."""
        self.due = time.monotonic() + REPORT_S
        files, forgotten = ledger.pending(everything=kind == "end")
        report = CaptureReport(
            kind=kind,
            seq=self._seq,
            instance=self._instance,
            sources=sources,
            files=files,
            forgotten=forgotten,
            **more,
        )
        try:
            self._socket.send(report.pack(), 0 if wait else zmq.NOBLOCK)
        except zmq.Again:
            if self._told:
                self._log.warning("%s takes no reports; trying again", self._bus.reports)
            self._told = False
            return False
        self._seq += 1
        ledger.sent(files, forgotten)
        self._told = True
        return True

    def close(self) -> None:
        self._socket.close(linger=LINGER_MS)


def describe(state: SourceState, counted: int) -> SourceReport:
    """A source's state as the coordinator is told of it. counted: packets by earlier captures."""
    return SourceReport(
        name=state.name,
        kind=state.kind,
        status=state.status,
        packets=state.packets,
        counted=max(counted, state.packets),
        bytes=state.bytes,
        position=state.position,
        size=state.size,
        damaged=state.damaged,
        trouble=state.trouble,
        dropped_kernel=state.dropped_kernel,
        dropped_interface=state.dropped_interface,
        dropped_ours=state.dropped_ours,
        last_drop_us=state.last_drop_us,
        problems=[Problem(offset=p.offset, reason=p.reason) for p in state.problems],
    )
