from services.coordinator.sources import SILENT_AFTER_S, Sources, describe
from shared.schema import CaptureReport, Problem, SourceReport


def report(seq: int, status: str, instance: str = "x", **more: object) -> CaptureReport:
    source = {"name": "a.pcap", "kind": "pcap", "status": status}
    return CaptureReport.model_validate(
        {"kind": "report", "seq": seq, "instance": instance, "sources": [SourceReport(**source)]}  # type: ignore[arg-type]
        | more
    )


def test_only_a_change_of_status_is_news() -> None:
    sources = Sources()
    assert [s.status for s in sources.take(report(0, "waiting"), 0.0)] == ["waiting"]
    assert not sources.has_started
    assert [s.status for s in sources.take(report(1, "reading"), 0.0)] == ["reading"]
    assert sources.take(report(2, "reading"), 0.0) == []
    assert sources.has_started


def test_reports_out_of_order_are_not_taken() -> None:
    sources = Sources()
    sources.take(report(5, "done", kind="end"), 0.0)
    assert sources.take(report(4, "reading"), 0.0) == []
    assert sources.ended


def test_totals_of_a_capture_that_restarted_are_carried() -> None:
    sources = Sources()
    sources.take(report(9, "reading", stats={"packets": 10, "queue_rows": 5}), 0.0)
    sources.take(report(0, "reading", "y", stats={"packets": 3, "queue_rows": 2}), 0.0)
    assert (sources.total("packets"), sources.restarts, sources.queue_rows) == (13, 1, 2)


def test_silence_is_noticed_unless_it_has_ended() -> None:
    sources = Sources(1.0, start_grace_s=10.0)
    assert not sources.is_silent(11.0)
    assert sources.is_silent(11.1)
    assert sources.trouble == "capture has not been heard yet"
    sources.take(report(0, "reading"), 0.0)
    assert not sources.is_silent(SILENT_AFTER_S)
    assert sources.is_silent(SILENT_AFTER_S + 0.1)
    assert sources.trouble == "capture is not heard any more and has not ended"
    sources.take(report(1, "done", kind="end"), 9.0)
    assert not sources.is_silent(99.0)


def test_what_is_left_of_inputs_that_have_a_size() -> None:
    sources = Sources()
    some = [
        SourceReport(name="a", kind="pcap", status="done", position=5, size=5),
        SourceReport(name="b", kind="pcap", status="reading", position=3, size=10),
        SourceReport(name="c", kind="stdin", status="reading", position=300),
        SourceReport(name="d", kind="pcap", status="waiting", size=20),
    ]
    sources.take(CaptureReport(kind="report", seq=0, instance="x", sources=some), 0.0)
    assert sources.unread_bytes == 27


def test_problems_are_described_without_versions() -> None:
    source = SourceReport(
        name="a", kind="pcap", status="failed", problems=[Problem(offset=4, reason="cut off")]
    )
    described = describe(source)
    assert described["problems"] == [{"offset": 4, "reason": "cut off"}]
    assert "v" not in described
