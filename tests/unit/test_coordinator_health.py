import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.coordinator.deltas import DeltaLog
from services.coordinator.health import Health
from services.coordinator.merge import Merger
from services.coordinator.metrics import Metrics
from services.coordinator.seen import Seen
from services.coordinator.shards import LOST_AFTER_S, Shards
from services.coordinator.sinks.resume import Written
from services.coordinator.sources import Sources
from services.coordinator.team import Team
from services.coordinator.view import Inventory
from shared.columns import EVENT, EVENT_CHANGE, EVENT_CLOSE, EVENT_OPEN, EVENT_UPDATE
from shared.schema import CaptureReport, EventsHeader, SchemaError, SourceReport
from tests.conftest import ROOT

REASONS = ROOT / "services/api/ui/src/status/drops.ts"


class Collecting:
    """A sink that keeps what it is given, and is as idle as it is told."""

    def __init__(self) -> None:
        self.events: list[int] = []
        self.records: list[str] = []
        self.is_idle = True
        self.written = Written(lost=3, records_lost=2)
        self.trouble = ""

    def wait_for_room(self, seconds: float) -> bool:
        return True

    def put_events(self, events: NDArray[np.void], picked: NDArray[np.int64]) -> None:
        self.events += events["stream_id"][picked].tolist()

    def put_messages(self, *columns: NDArray[Any]) -> None:
        pass

    def put_matches(self, *columns: Any) -> None:
        pass

    def put_record(self, event: str, body: Mapping[str, Any]) -> None:
        self.records.append(f"{event} {body['run_status']}")

    def numbers(self) -> dict[str, int]:
        return {"waiting_bytes": 5, "waiting_bytes_max": 9}

    def close(self) -> None:
        pass


class Run:
    """Everything behind the sockets, with one shard."""

    def __init__(self, shards: int = 1) -> None:
        self.inventory = Inventory(16)
        self.sink = Collecting()
        self.shards = Shards(shards, 0.0, self.inventory.forget_rows)
        self.sources = Sources()
        self.merger = Merger(self.inventory, self.shards, [self.sink], Team(self.inventory))
        deltas = DeltaLog("c1", 10, lambda packed: None)
        self.health = Health(
            self.inventory, self.shards, self.sources, self.merger, deltas, [self.sink]
        )
        self.shards.register("x", 1, "h", 0, 0.0)
        self.capture_seq = 0

    def events(self, seq: int, *streams: int, kind: str = "events", **more: Any) -> None:
        rows = np.zeros(len(streams), EVENT)
        rows["stream_id"], rows["row"] = streams, np.arange(len(streams))
        head = EventsHeader.model_validate(
            {"kind": kind, "seq": seq, "shard": 0, "instance": "x", "events": len(streams)} | more
        )
        self.merger.take([head.pack(), rows.tobytes(), b"", b""], 0.0)

    def capture(self, kind: str, *statuses: str, **stats: int) -> None:
        sources = [
            SourceReport(name=str(i), kind="pcap", status=status)  # type: ignore[arg-type]
            for i, status in enumerate(statuses)
        ]
        report = CaptureReport(
            kind=kind,  # type: ignore[arg-type]
            seq=self.capture_seq,
            instance="c",
            sources=sources,
            stats=stats,
        )
        self.capture_seq += 1
        self.sources.take(report, 0.0)
        self.shards.input_ended = self.sources.ended

    def status(self) -> str:
        self.health.advance()
        return self.health.run_status


def test_a_run_completes_when_all_have_ended_and_the_sinks_are_idle() -> None:
    run = Run()
    assert run.status() == "waiting"
    run.capture("report", "waiting")
    assert run.status() == "waiting"
    run.capture("report", "reading")
    assert run.status() == "running"
    run.capture("end", "done")
    assert run.status() == "running"
    run.events(0, 5, kind="end")
    run.sink.is_idle = False
    assert [run.status(), run.status()] == ["running", "running"]
    assert run.sink.records == ["health completed"]
    run.sink.is_idle = True
    assert [run.status(), run.status()] == ["completed", "completed"]
    assert run.sink.records == ["health completed"]


def test_sinks_are_told_what_came_but_for_changes() -> None:
    run = Run()
    rows = np.zeros(4, EVENT)
    rows["stream_id"], rows["row"] = np.arange(4), np.arange(4)
    rows["kind"] = [EVENT_OPEN, EVENT_CHANGE, EVENT_CLOSE, EVENT_UPDATE]
    head = EventsHeader(kind="events", seq=0, shard=0, instance="x", events=4)
    run.merger.take([head.pack(), memoryview(rows.tobytes())], 0.0)
    assert run.sink.events == [0, 2, 3]
    assert run.inventory.used == 4


@pytest.mark.parametrize("off", range(8))
def test_frames_may_lie_anywhere_in_memory(off: int) -> None:
    run = Run()
    rows = np.zeros(2, EVENT)
    rows["stream_id"], rows["row"] = (7, 9), (0, 1)
    head = EventsHeader(kind="events", seq=0, shard=0, instance="x", events=2)
    shifted = memoryview(bytes(off) + rows.tobytes())[off:]
    run.merger.take([head.pack(), shifted], 0.0)
    assert run.inventory.columns["stream_id"][:2].tolist() == [7, 9]


def test_a_run_whose_sources_all_failed_has_failed() -> None:
    run = Run()
    run.capture("end", "failed", "failed")
    run.events(0, kind="end")
    run.status()
    assert run.status() == "failed"
    assert run.health.status(0.0) == "failed"


def test_one_source_that_could_be_read_is_enough() -> None:
    run = Run()
    run.capture("end", "failed", "done")
    run.events(0, kind="end")
    run.status()
    assert run.status() == "completed"


def test_a_new_capture_goes_on_with_the_run() -> None:
    run = Run()
    run.capture("end", "done")
    run.events(0, kind="end")
    run.status()
    assert run.status() == "completed"
    run.capture("report", "reading")
    assert run.status() == "running"


def test_a_lost_shard_degrades_within_two_seconds() -> None:
    run = Run()
    assert run.health.status(LOST_AFTER_S) == "ok"
    assert run.health.status(2.0) == "degraded"
    assert run.health.troubles(2.0) == ["shard 0 (pid 1 on h) is not heard any more"]
    assert run.health.troubles(9.0) == run.health.troubles(2.0)


def test_a_shard_that_is_killed_after_its_end_is_missed_too() -> None:
    """What it retained is gone; the run has ended all the same."""
    run = Run()
    run.capture("end", "done")
    run.events(0, kind="end")
    run.status()
    assert (run.status(), run.health.status(1.0)) == ("completed", "ok")
    assert run.health.status(2.0) == "degraded"
    [trouble] = run.health.troubles(2.0)
    assert trouble.endswith("is not heard any more; the content it retains is out of reach")
    assert run.status() == "completed"


def test_an_attempt_that_was_answered_is_none_any_more() -> None:
    run = Run()
    run.events(0, 5, stats={"attempts": 9, "attempts_answered": 7})
    assert run.health.totals()["attempts"] == 2


def test_packets_on_their_way_to_shards_are_shown_until_all_have_ended() -> None:
    run = Run()
    run.capture("report", "reading", queue_rows=12)
    assert run.health.queues()["shard_rows"] == 12
    run.capture("end", "done", queue_rows=5)
    assert run.health.queues()["shard_rows"] == 5
    run.events(0, kind="end")
    assert run.health.queues()["shard_rows"] == 0
    while run.status() != "completed":
        assert run.health.is_finishing
    run.events(1)  # it stays, for the content that it retains
    assert run.health.queues()["shard_rows"] == 0
    run.shards.heartbeat(0, "x", 0, 9.0)
    assert run.health.status(9.0) == "ok"


def test_late_packets_of_live_sources_are_told() -> None:
    run = Run()
    assert run.health.queues()["lag_ms"] == 0
    run.capture("report", "reading", lag_ms=340)
    assert run.health.queues()["lag_ms"] == 340


def test_a_silent_capture_and_a_failing_sink_degrade() -> None:
    run = Run()
    run.capture("report", "reading")
    run.sink.trouble = "disk is full"
    run.shards.heartbeat(0, "x", 0, 5.0)
    assert run.health.troubles(5.0) == [
        "capture is not heard any more and has not ended", "disk is full",
    ]  # fmt: skip


def test_the_page_has_a_sentence_for_each_reason() -> None:
    run = Run()
    kinds = ("kernel", "interface", "ours", "refeed")
    run.capture("report", "reading", packet_ring_left_out=0, **{f"dropped_{of}": 0 for of in kinds})
    there = set(re.findall(r"^  (\w+): \[", REASONS.read_text(), re.MULTILINE))
    assert set(run.health.report(0.0)["drops"]) - there == set()


def test_totals_and_drops_have_names_and_reasons() -> None:
    run = Run()
    run.capture("report", "reading", packets=9, bytes=90, decode_malformed=2, dropped_kernel=4)
    run.events(0, 5, 6, stats={"packets": 7, "gaps": 1, "out_of_window": 3})
    report = run.health.report(0.0)
    totals = report["totals"]
    assert (totals["packets"], totals["streams"], totals["events"]) == (9, 2, 2)
    assert totals["gaps"] == 1
    drops = report["drops"]
    assert (drops["malformed"], drops["dropped_kernel"], drops["out_of_window"]) == (2, 4, 3)
    assert (drops["output_lines"], drops["output_records"]) == (3, 2)
    assert report["queues"]["output_bytes"] == 5


def test_rates_are_those_of_the_last_seconds() -> None:
    run = Run()
    for second in range(10):
        run.capture("report", "reading", packets=100 * second, bytes=1000 * second)
        run.health.sample(float(second), second * 1_000_000)
    assert run.health.rates.per_second() == {
        "packets_per_s": 100.0, "bytes_per_s": 1000.0, "events_per_s": 0.0,
    }  # fmt: skip


# ------------------------------------------------------------------------------- merging
def test_a_snapshot_fills_the_inventory_but_not_the_sinks() -> None:
    run = Run()
    run.events(4, 5, 6, snapshot=True)
    assert (run.inventory.used, run.sink.events) == (2, [])
    run.events(5, 5, 6)
    assert (run.inventory.used, run.sink.events) == (2, [5, 6])


def test_a_repeated_message_is_entered_once() -> None:
    run = Run()
    run.events(0, 5)
    run.events(0, 5)
    assert (run.merger.events, run.sink.events) == (1, [5])


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"junk"],
        [EventsHeader(kind="events", seq=0, shard=0, instance="x", events=2).pack(), b"short"],
        [EventsHeader(kind="events", seq=0, shard=0, instance="x", previews=1).pack(), b"", b"x"],
        [EventsHeader(kind="events", seq=0, shard=8, instance="x").pack()],
        [
            EventsHeader(kind="events", seq=0, shard=0, instance="x", events=1).pack(),
            b"\xff" * EVENT.itemsize,
        ],
    ],
)
def test_what_is_no_message_is_told_and_nothing_is_entered(frames: list[bytes]) -> None:
    run = Run()
    with pytest.raises(SchemaError):
        run.merger.take(frames, 0.0)
    assert (run.inventory.used, run.shards.all[0].events) == (0, 0)


# ------------------------------------------------------------------------------- metrics
def seen(run: Run) -> Seen:
    return Seen(
        run.health.report(0.0),
        capture=run.sources.totals(),
        capture_silent_s=1.5,
        capture_restarts=0,
        unread_bytes=7,
        patterns=Team(run.inventory).patterns.totals(),
        answered={"health": 2},
        refused={"bad_value": 1},
        refused_peers=3,
    )


def test_metrics_are_of_the_whole_run_and_have_names_of_the_house() -> None:
    run, found = Run(), list[Seen]()
    metrics = Metrics(lambda: found[0] if found else None)
    metrics.text()  # before the first report
    told = {"decode_parsed": 8, "dropped_kernel": 1, "queue_rows": 4}
    run.capture("report", "reading", packets=9, process_resident_bytes=1024, **told)
    run.events(0, 5, stats={"packets": 8, "gaps": 2, "content_used_bytes": 77})
    found.append(seen(run))
    lines = metrics.text().decode().splitlines()
    assert all(
        re.match("flowmate_(capture|shard|coordinator)_", line) for line in lines if line[0] != "#"
    )
    for line in (
        "flowmate_coordinator_packets_total 9.0",
        'flowmate_coordinator_requests_total{op="health"} 2.0',
        'flowmate_coordinator_shards{state="ready"} 1.0',
        'flowmate_coordinator_drops_total{reason="dropped_kernel"} 1.0',
        "flowmate_coordinator_patterns 0.0",
        "flowmate_capture_packets_total 9.0",
        'flowmate_capture_decode_total{status="parsed"} 8.0',
        'flowmate_capture_dropped_total{reason="kernel"} 1.0',
        "flowmate_capture_queue_rows 4.0",
        "flowmate_capture_process_resident_bytes 1024.0",
        "flowmate_capture_silent_seconds 1.5",
        "flowmate_capture_unread_bytes 7.0",
        'flowmate_capture_sources{status="reading"} 1.0',
        'flowmate_shard_packets_total{shard="0"} 8.0',
        'flowmate_shard_gaps_total{shard="0"} 2.0',
        'flowmate_shard_content_used_bytes{shard="0"} 77.0',
    ):
        assert line in lines
    assert any(line.startswith("flowmate_coordinator_process_resident_bytes ") for line in lines)


def test_counters_go_on_and_gauges_do_not_when_a_shard_is_replaced() -> None:
    run = Run()
    run.events(0, stats={"packets": 8, "content_used_bytes": 77})
    run.shards.register("y", 2, "h", 0, 9.0)
    [shard] = run.health.report(9.0)["shards"]
    assert shard["stats"] == {"packets": 8}
