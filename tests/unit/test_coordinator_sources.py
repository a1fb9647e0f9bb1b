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


def counts(decoded: int, open_rows: int | None, **more: int) -> dict[str, int]:
    known = {} if open_rows is None else {"open_rows": open_rows}
    return {"decode_parsed": decoded} | known | more


def test_what_went_with_a_capture_is_what_no_shard_was_sent() -> None:
    """100 packets were counted, of which the next capture finds 60 with the shards."""
    sources = Sources()
    sources.take(report(0, "reading", stats=counts(90, 10), sent=[50, 30]), 0.0)
    assert sources.balance([40, 20]) == 0, "10 are in open batches, the rest was sent"
    sources.take(report(1, "reading", stats=counts(100, None), sent=[50, 30]), 0.0)
    assert sources.balance([40, 20]) == 0, "in the middle of a batch nobody knows"
    sources.take(report(0, "waiting", "y"), 0.0)
    assert sources.balance([40, 20]) == 0, "it has not asked the shards yet"
    sources.take(report(1, "reading", "y", stats=counts(0, 0), sent=[40, 20]), 0.0)
    assert sources.balance([40, 20]) == 40
    sources.take(report(2, "reading", "y", stats=counts(8, 3), sent=[42, 23]), 0.0)
    assert sources.balance([40, 20]) == 40, "what is on its way now is not lost"
    assert sources.balance([49, 21]) == 33, "some that the first one had sent came late"


def test_what_a_capture_sent_and_did_not_come_to_report_is_known_by_the_shards() -> None:
    sources = Sources()
    sources.take(report(0, "reading", stats=counts(10, 0), sent=[10]), 0.0)
    sources.take(report(1, "reading", "y", stats=counts(0, 0), sent=[25]), 0.0)
    assert sources.balance([25]) == -15


def test_files_that_are_read_again_lack_nothing() -> None:
    """Until they are read up to where they were, packets that were counted are still to be sent."""
    sources = Sources()
    [file] = report(0, "reading").sources
    again = file.model_copy(update={"kind": "file"})
    sources.take(report(0, "reading", stats=counts(100, 0), sent=[100]), 0.0)
    sources.take(report(1, "reading", "y", stats=counts(0, 0), sent=[60], sources=[again]), 0.0)
    assert sources.balance([60]) == 0
    over = again.model_copy(update={"status": "done"})
    sources.take(
        report(2, "done", "y", stats=counts(0, 0), sent=[100], sources=[over], kind="end"), 0.0
    )
    assert sources.balance([100]) == 0


def test_what_a_ring_did_not_keep_for_a_shard_has_a_reason_of_its_own() -> None:
    sources = Sources()
    stats = counts(100, 20, dropped_refeed=5)
    sources.take(report(0, "reading", stats=stats, sent=[75]), 0.0)
    assert sources.balance([0]) == 0


def test_the_balance_outlives_the_coordinator() -> None:
    sources, after = Sources(), Sources()
    sources.take(report(0, "reading", stats=counts(10, 0), sent=[7]), 0.0)
    assert sources.balance([7]) == 3
    after.restore(sources.keep(), 1.0)
    after.take(report(1, "reading", stats=counts(12, None), sent=[7]), 0.0)
    assert after.balance([7]) == 3


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
