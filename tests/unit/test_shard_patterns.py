"""Patterns in a shard: matches, caps, filters, changes, what is told and what is refused."""

import pytest

from services.shard.patterns import budget, memory
from services.shard.patterns.highlights import highlights, match_page
from services.shard.patterns.reports import reports
from services.shard.patterns.scanner import load_hyperscan
from shared.batch import EventBatch
from shared.columns import EVENT_CLOSE, EVENT_OPEN
from shared.schema import Pattern
from tests.pattern_harness import (
    CLIENT,
    SERVER,
    found,
    look_back,
    regex,
    report,
    run_with,
    said,
    text,
)
from tests.reference.streams import ACK, FIN, SYN, Packet
from tests.shard_harness import ShardRun, ends, small


@pytest.fixture(autouse=True)
def _nobody_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is; what is about that says so."""
    monkeypatch.setattr(budget, "LIVE_PURSE_S", 1e9)


# --------------------------------------------------------------------------------------- matches


def test_a_match_is_told_with_its_time_and_its_bytes() -> None:
    run = run_with(regex("F[A-Z]+="))
    run.take([said(b"xxFLA")])
    run.take([said(b"GG=YY", 5)])
    assert run.matched == []  # a match without a bound may go on
    run.finish()
    ((row, octets),) = run.matched
    assert octets == b"FLAGG="
    assert (row["start"], row["end"], row["ts_ns"], row["kind"]) == (2, 8, 6, 1)


def test_a_match_is_final_before_a_byte_that_its_pattern_cannot_have() -> None:
    run = run_with(regex("F[A-Z]+="), regex("b+$", 2), regex(r"(?i)a\w*(?=!)", 3))
    run.take([said(b"xxFLA")])
    run.take([said(b"GG=, bb Ab!", 5)])
    told = [(row["pattern"], octets) for row, octets in run.matched]
    assert told == [(1, b"FLAGG=")]  # the others look at what comes behind
    run.take([said(b"?...", 16)])
    assert [octets for _, octets in run.matched] == [b"FLAGG=", b"Ab"]


def test_no_more_than_256_bytes_of_a_match_are_told() -> None:
    run = run_with(text("x" * 300))
    run.take([said(b"." + b"x" * 299)])
    run.take([said(b"x.", 300)])
    ((row, octets),) = run.matched
    assert (octets, row["end"] - row["start"]) == (b"x" * 256, 300)


def test_an_end_is_seen_at_the_end_of_what_is_scanned() -> None:
    run = run_with(regex("a$"), regex("b+ ", 2))  # hyperscan alone misses it
    run.take([said(b"ababbbbaababbabbaaba")])
    assert found(run) == [(1, 19, 20)]


def test_a_match_does_not_go_across_a_gap() -> None:
    run = run_with(text("abcd"), regex("a.*d", 2))
    run.take([said(b"ab"), said(b"cdabcd", 3), Packet(SERVER, CLIENT, ack=9)])
    run.finish()
    assert found(run) == [(1, 5, 9), (2, 5, 9)]


def test_what_more_data_changes_is_replaced() -> None:
    run = run_with(regex("ab+"), regex("end$", 2))
    run.take([said(b"ab end")])
    assert found(run) == [(1, 0, 2), (2, 3, 6)]
    run.take([said(b"s abb", 6)])
    assert found(run) == [(1, 0, 2), (1, 8, 11)]
    assert run.pairs[next(iter(run.pairs))[0], 2] == 0
    assert [octets for _, octets in run.matched] == [b"ab"]  # the others may still go on


def test_content_that_is_not_retained_is_looked_at_as_it_passes() -> None:
    run = run_with(text("needle"), disable_stream_content=True)
    run.take([said(b"nee")])
    run.take([said(b"dle", 3)])
    assert found(run) == [(1, 0, 6)]


class Ordered(ShardRun):
    """Notes what was told before its stream was, and after its close."""

    opened: set[int]
    closed: set[int]

    def _tell(self, told: EventBatch) -> None:
        ids = told.events["stream_id"]
        self.opened |= set(ids[told.events["kind"] == EVENT_OPEN].tolist())
        for rows in (told.matches, told.pairs):
            assert set(rows["stream_id"].tolist()) <= self.opened - self.closed
        self.closed |= set(ids[told.events["kind"] == EVENT_CLOSE].tolist())
        super()._tell(told)


def test_more_than_one_message_holds_comes_after_the_opens_and_before_the_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "TOLD_AT_ONCE", 4)
    monkeypatch.setattr(memory, "PAIRS_AT_ONCE", 2)
    Ordered.opened, Ordered.closed = set(), set()
    run = Ordered(small(max_flows=8))
    run.worker.patterns.set_patterns([text("a"), regex("b+", 2)])
    for first in (40000, 40006, 40012):  # the last ones drive out the others
        run.take([said(b"aabbaab", seq=first, port=first + i) for i in range(6)])
    run.finish()
    assert len(run.matched) == 18 * 6
    assert sorted(run.pairs.values()) == [2] * 18 + [4] * 18
    assert len(run.closed) == 18


# ------------------------------------------------------------------------------------------ caps


def test_a_stream_keeps_so_many_and_the_rest_is_counted() -> None:
    run = run_with(text("a"), regex("b+", 2), max_pattern_matches_per_stream=3)
    run.take([said(b"aaaaa" + b"b " * 2000)])
    run.take([said(b" " * 5000, 4005)])
    assert len(found(run)) == 3
    assert (report(run).matches, report(run).over_limit) == (3, 2)
    assert (report(run, 2).matches, report(run, 2).over_limit) == (0, 2000)


def test_all_streams_keep_so_many_and_evicted_ones_make_room() -> None:
    run = run_with(text("a"), max_pattern_matches_total=4, max_flows=2)
    run.take([said(b"aaa"), said(b"aaa", port=40001)])
    assert (report(run).matches, report(run).over_limit) == (4, 2)
    for port in (40002, 40003):
        run.take([said(b"aa", seq=port, port=port)])
    assert report(run).matches == 4
    assert len(found(run, 40003)) == 2


# --------------------------------------------------------------------------------------- filters


def test_a_side_only() -> None:
    run = run_with(text("x", direction="client"), text("x", 2, direction="server"))
    run.take([said(b"", flags=SYN), said(b"x", 1), Packet(SERVER, CLIENT, b".x", seq=5)])
    assert found(run) == [(1, 0, 1), (2, 1, 2)]


def test_a_service_that_is_known_late() -> None:
    run = ShardRun(small())
    run.worker.patterns.set_patterns(
        [text("st: x", services=["http"]), text("GE", 2, services=["ssh"])]
    )
    other = ends("10.0.0.9", 7777)
    half = Packet(ends("10.0.0.1", 40000), other, b"GE", seq=0, flags=ACK, ts_ns=1)
    rest = Packet(
        ends("10.0.0.1", 40000), other, b"T / HTTP/1.1\r\nHost: x\r\n", seq=2, flags=ACK, ts_ns=2
    )  # fmt: skip
    run.take([half])
    assert found(run) == []
    run.take([rest])
    look_back(run)
    assert found(run) == [(1, 18, 23)]
    assert len(run.matched) == 1


# --------------------------------------------------------------------------------------- changes


def test_a_new_pattern_is_found_in_what_is_retained_once() -> None:
    run = ShardRun(small())
    run.take([said(b"one two "), said(b"two", port=40001)])
    run.worker.patterns.set_patterns([text("two")])
    assert report(run).state == "scanning"
    assert report(run).todo_bytes > 0
    run.take([said(b"two", 8)])
    look_back(run)
    assert (report(run).state, report(run).todo_bytes) == ("active", 0)
    assert report(run).scanned_bytes == 14
    assert found(run) == [(1, 4, 7), (1, 8, 11)]
    assert sorted(int(row["start"]) for row, _ in run.matched) == [0, 4, 8]


def test_what_is_known_of_ends_is_of_the_patterns_there_are() -> None:
    run = run_with(text("zz"))
    run.take([said(b"ab")])
    run.worker.patterns.set_patterns([text("zz"), text("abc", 2)])
    look_back(run)
    run.take([said(b"c", 2)])
    assert found(run) == [(2, 0, 3)]


def test_what_began_before_a_new_pattern_came_goes_on() -> None:
    run = ShardRun(small())
    run.take([said(b"x" * 500 + b"flag{" + b"a" * 400)])
    run.worker.patterns.set_patterns([regex(r"flag\{[^}]+\}")])
    look_back(run)
    run.take([said(b"b}", 905)])
    assert found(run) == [(1, 500, 907)]


def test_a_pattern_that_is_changed_or_gone_takes_its_matches_along() -> None:
    run = run_with(text("a"), text("b", 2))
    run.take([said(b"ab")])
    assert sorted(run.pairs.values()) == [1, 1]
    run.worker.patterns.set_patterns([text("a", color="red"), text("b", 2, enabled=False)])
    assert found(run) == [(1, 0, 1)]
    assert sorted(run.pairs.items(), key=lambda pair: pair[0][1])[1][1] == 0
    run.worker.patterns.set_patterns([text("ab")])
    look_back(run)
    assert found(run) == [(1, 0, 2)]
    run.worker.patterns.set_patterns([])
    assert not run.worker.patterns.active
    assert set(run.pairs.values()) == {0}


def test_a_stream_that_leaves_the_table_keeps_the_counts_that_were_told() -> None:
    run = run_with(text("a"), max_flows=2)
    for port in (40000, 40001, 40002):
        run.take([said(b"aa", seq=port, port=port)])
    assert list(run.pairs.values()) == [2, 2, 2]
    assert report(run).matches == 4  # that are kept
    run.worker.patterns.set_patterns([])
    assert sorted(run.pairs.values()) == [0, 0, 2]  # the coordinator forgets the pattern itself


def test_what_leaves_memory_before_a_new_pattern_came_to_it_is_counted() -> None:
    run = ShardRun(small(max_stream_content_bytes=1 << 20))
    run.take([said(b"needle"), said(b"needle", port=40001)])
    run.worker.patterns.set_patterns([text("needle")])
    piece = b"x" * 50_000
    for number in range(40):
        run.take([said(piece, number * len(piece), 40002)])
    look_back(run)
    fared = report(run)
    assert (fared.matches, fared.skipped, fared.state) == (0, 2, "active")
    assert fared.trouble == "2 streams lost content before it was looked for"


def test_counts_are_told_again_to_a_coordinator_that_lost_them() -> None:
    run = run_with(text("a"))
    run.take([said(b"aa")])
    before = dict(run.pairs)
    run.pairs.clear()
    run.worker.tell_all_again()
    assert run.pairs == before
    assert list(before.values()) == [2]


@pytest.mark.parametrize(
    ("pattern", "trouble"),
    [
        (regex("a("), "missing )"),
        (regex("(?r)a"), "searches backwards"),
        (text("a", services=["gopher"]), "no service 'gopher'"),
        (Pattern(id=1, name="", kind="binary", value="0"), "non-hexadecimal"),
        (text(""), "it is empty"),
    ],
)
def test_what_cannot_be_looked_for_is_reported(pattern: Pattern, trouble: str) -> None:
    run = run_with(pattern, text("b", 2))
    run.take([said(b"ab")])
    assert report(run).state == "failed"
    assert trouble in report(run).trouble
    assert report(run, 2).matches == 1


def test_view_off_means_no_patterns() -> None:
    run = run_with(text("a"), disable_stream_view=True)
    run.take([said(b"a")])
    assert reports(run.worker.patterns) == []
    assert run.matched == []


def test_a_hit_in_every_byte_is_bounded() -> None:
    run = run_with(regex("(?s)."), regex("a*", 2), max_pattern_matches_per_stream=100)
    run.take([said(b"a" * 60000)])
    run.take([said(b"FIN", 60000, flags=FIN | ACK)])
    assert report(run).matches + report(run).over_limit == 60003
    assert len(found(run)) == 100


# ---------------------------------------------------------------------------------- looking on


def test_a_thousand_patterns() -> None:
    run = run_with(*(text(f"word {number:04}.", id=1 + number) for number in range(1000)))
    run.take([said(b"word 0999. word 0001. word 1000.")])
    assert found(run) == [(1000, 0, 10), (2, 11, 21)]
    run.worker.patterns.set_patterns([text("word 0999.", id=1000)])
    assert found(run) == [(1000, 0, 10)]


def test_highlights_are_clipped_and_capped() -> None:
    run = run_with(text("abc"), regex("c.", 2), max_stream_slice_highlights=2)
    run.take([said(b"abcdabcd"), said(b"abc", 12), Packet(SERVER, CLIENT, ack=20)])
    window = run.reader.window(0, 0, 1, 13)
    shown, dropped = highlights(run.worker.patterns, 0, 0, window)
    assert [tuple(one) for one in shown] == [(1, 1, 3, 0), (2, 2, 4, 0)]
    assert dropped == 3
    whole = run.reader.window(0, 0, 12, 10)
    assert [tuple(one) for one in highlights(run.worker.patterns, 0, 0, whole)[0]] == [
        (1, 12, 15, 0)
    ]


def test_a_page_of_matches() -> None:
    run = run_with(text("b"), text("a", 2))
    run.take([said(b"abab")])
    rows, octets, total = match_page(run.worker.patterns, run.reader, 0, 1, 2)
    assert (rows["start"].tolist(), rows["pattern"].tolist(), octets) == ([1, 2], [1, 2], b"ba")
    assert total == 4


def test_without_hyperscan_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = ShardRun(small())  # whatever else is imported by name has been

    def missing(name: str) -> None:
        raise ImportError(f"no {name} here")

    monkeypatch.setattr("importlib.import_module", missing)
    run.worker.patterns.set_patterns([text("needle")])
    run.worker.patterns.set_patterns([text("needle"), regex("n.*", 2)])
    run.take([said(b"a needle\n")])
    assert found(run) == [(1, 2, 8), (2, 2, 8)]
    assert sum("without hyperscan" in line for line in caplog.messages) == 1
    monkeypatch.undo()
    assert load_hyperscan() is not None
