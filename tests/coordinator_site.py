"""A coordinator as a process, and everybody who talks to it, played by a test."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from shared.batch import EventBatch
from shared.columns import EVENT, EVENT_OPEN, PREVIEW
from shared.schema import CaptureReport, EventsHeader, Reply, SourceReport
from shared.wire import Bus, open_socket
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[1]


class Site:
    """A run directory, coordinators in it, and everybody who talks to them."""

    def __init__(self, folder: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.folder, self.context = folder, context
        self.bus = Bus(str(folder))
        self.output = folder / "out.jsonl"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.sockets: list[zmq.Socket[bytes]] = []
        self.report_seq = 0

    # ------------------------------------------------------------------ the coordinator
    def launch(
        self, *flags: str, stdout: int | None = None, **variables: str
    ) -> "subprocess.Popen[bytes]":
        environ = (
            os.environ
            | variables
            | {
                "PYTHONPATH": str(ROOT),
                "FLOWMATE_LOG_LEVEL": "INFO",
                "FLOWMATE_RUN_DIR": str(self.folder),
                "FLOWMATE_WORKERS": "1",
            }
        )
        with open(self.folder / "log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "services.coordinator", *flags],
                env=environ, cwd=self.folder, stdout=stdout, stderr=log,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def start(
        self, *flags: str, stdout: int | None = None, **variables: str
    ) -> "subprocess.Popen[bytes]":
        """Launched, and answering."""
        flags = ("--output", str(self.output), *flags)
        process = self.launch(*flags, stdout=stdout, **variables)
        eventually(self.answers)
        return process

    def answers(self) -> bool:
        try:
            return self.ask("health")[0].error is None
        except TimeoutError:
            return False

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def stop(self, process: "subprocess.Popen[bytes]") -> int:
        process.send_signal(signal.SIGTERM)
        return process.wait(10)

    # ------------------------------------------------------------------------ the others
    def ask(self, op: str, **args: Any) -> tuple[Reply, list[bytes]]:
        return self.bus.ask(self.context, self.bus.requests, op, args)

    def result(self, op: str, **args: Any) -> dict[str, Any]:
        reply, _ = self.ask(op, **args)
        assert reply.error is None, reply.error
        return reply.result

    def connect(self, kind: int, address: str, hwm: int = 1000) -> "zmq.Socket[bytes]":
        opened = open_socket(self.context, kind, hwm)
        opened.connect(address)
        self.sockets.append(opened)
        return opened

    def capture(self, kind: str, status: str, **stats: int) -> None:
        """One report."""
        if self.report_seq == 0:
            self.reports = self.connect(zmq.PUSH, self.bus.reports)
        source = SourceReport(name="a.pcap", kind="pcap", status=status)  # type: ignore[arg-type]
        report = CaptureReport(
            kind=kind,  # type: ignore[arg-type]
            seq=self.report_seq,
            instance="capture",
            sources=[source],
            stats=stats,
        )
        self.report_seq += 1
        self.reports.send(report.pack())

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait(10)
        for opened in self.sockets:
            opened.close()


class FakeShard:
    """Registers, beats when told to, and pushes events."""

    def __init__(self, site: Site, instance: str = "x") -> None:
        self.site, self.instance, self.seq = site, instance, 0
        self.events = site.connect(zmq.PUSH, site.bus.events)
        reply = site.result("register", instance=instance, pid=1, host="h", index=-1)
        self.index, self.coordinator = reply["index"], reply["coordinator"]
        self.beat()

    def beat(self, **more: Any) -> dict[str, Any]:
        return self.site.result(
            "heartbeat", shard=self.index, instance=self.instance, seq=self.seq, **more
        )

    def arrives(self) -> None:
        """Wait until everything pushed has arrived."""
        eventually(lambda: self.beat()["acked_seq"] == self.seq - 1)

    def push(
        self,
        events: NDArray[np.void] | None = None,
        previews: tuple[NDArray[np.void], bytes] = (np.zeros(0, PREVIEW), b""),
        kind: str = "events",
        columns: Mapping[str, NDArray[Any]] = MappingProxyType({}),
        **more: Any,
    ) -> None:
        """columns: further ones of `EventBatch`."""
        rows = np.zeros(0, EVENT) if events is None else events
        pieces, octets = previews
        told = EventBatch(rows, pieces, np.frombuffer(octets, np.uint8), **columns)
        head = EventsHeader(
            kind=kind,  # type: ignore[arg-type]
            seq=self.seq,
            shard=self.index,
            instance=self.instance,
            **told.counts() | more,
        )
        self.seq += 1
        self.events.send_multipart([head.pack(), *told.frames()])


def streams(first: int, count: int, kind: int = EVENT_OPEN) -> NDArray[np.void]:
    result = np.zeros(count, EVENT)
    result["stream_id"] = result["row"] = np.arange(first, first + count)
    result["family"], result["proto"], result["kind"] = 4, 6, kind
    result["addr_a_lo"], result["port_b"] = 0x0A000001, 80
    return result


def written(path: Path, event: str = "stream") -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    return [line for line in lines if line["event"].startswith(event)]
