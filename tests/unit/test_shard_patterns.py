"""Patterns in a shard: caps, time, filters, changes, what is told and what is refused."""

from typing import Any

import pytest

from services.shard.patterns import budget, memory
from services.shard.patterns.budget import (
    CALL_S,
    LAST_PURSE_S,
    LIVE_SHARE,
    PURSE_S,
    TIMEOUT_S,
    Last,
    Leisure,
    Live,
    Purse,
    Spare,
)
from services.shard.patterns.compiled import compile_pattern
from services.shard.patterns.highlights import highlights, match_page
from services.shard.patterns.reports import reports
from services.shard.patterns.resting import Resting
from services.shard.patterns.scanner import load_hyperscan
from services.shard.patterns.syntax import UnknownError, read
from shared.batch import EventBatch
from shared.columns import EVENT_CLOSE, EVENT_OPEN
from shared.schema import Pattern, PatternReport
from tests.reference.streams import ACK, FIN, SYN, Packet
from tests.shard_harness import ShardRun, ends, small

CLIENT, SERVER = ends("10.0.0.1", 40000), ends("10.0.0.2", 80)
WINDOW = 4096


@pytest.fixture(autouse=True)
def _nobody_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is; what is about that says so."""
    monkeypatch.setattr(budget, "LIVE_PURSE_S", 1e9)


def said(octets: bytes, seq: int = 0, port: int = 40000, flags: int = ACK) -> Packet:
    return Packet(ends("10.0.0.1", port), SERVER, octets, seq=seq, flags=flags, ts_ns=seq + 1)


def regex(value: str, id: int = 1, **more: Any) -> Pattern:
    return Pattern(id=id, name=value, kind="regex", value=value, **more)


def text(value: str, id: int = 1, **more: Any) -> Pattern:
    return Pattern(id=id, name=value, kind="substring", value=value, **more)


def run_with(*patterns: Pattern, **settings: Any) -> ShardRun:
    run = ShardRun(small(**settings))
    run.worker.patterns.set_patterns(patterns)
    return run


def found(run: ShardRun, port: int = 40000) -> list[tuple[int, int, int]]:
    """Pattern, start and end of what is kept of a client's stream."""
    rows = run.tables.flows
    used = [row for row in range(rows.size) if port in (rows[row]["port_a"], rows[row]["port_b"])]
    return [
        (int(match["pattern"]), int(match["start"]), int(match["end"]))
        for match in run.worker.patterns.matches_of(used[-1])
    ]


def report(run: ShardRun, id: int = 1) -> PatternReport:
    return next(one for one in reports(run.worker.patterns) if one.id == id)


def look_back(run: ShardRun) -> None:
    while run.worker.work(1):
        pass


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


# ------------------------------------------------------------------------------------------ time


EVIL = "(?:a|a)+$|b(?R)?c"
HAY = b"a" * 4000 + b"!"


def at_leisure(run: ShardRun) -> None:
    """There is time, until nothing is put off any more."""
    engine = run.worker.patterns
    while any(fare.skipped for fare in engine.fares.values()) or engine.resting.all():
        engine.later = Spare()
        engine.retro.work(10, idle=True)
    while engine.retro.work(10, idle=True):
        pass


def rested(run: ShardRun) -> None:
    """The first pattern has rested long enough when there is time."""
    engine = run.worker.patterns
    engine.resting = Resting(iter(range(0, 10**9, 1000)).__next__)
    engine.rest([0])


def test_a_pattern_that_takes_for_ever_is_put_off_and_then_stopped() -> None:
    run = run_with(regex(EVIL), regex("needle", 2))
    for port in (40000, 40001, 40002):
        run.take([said(HAY + b"needle", port=port)])
    run.take([said(b"a", 4007)])
    slow = report(run)
    assert (slow.timeouts, slow.skipped, slow.state) == (0, 3, "slow")
    assert "3 put off" in slow.trouble
    assert report(run, 2).matches == 3
    assert report(run, 2).state == "active"
    at_leisure(run)
    slow = report(run)
    assert (slow.timeouts, slow.skipped, slow.state) == (3, 0, "slow")
    assert "stopped in 3 streams" in slow.trouble


@pytest.mark.parametrize("fast", [True, False], ids=["hyperscan", "regex"])
@pytest.mark.parametrize(
    "evil", ["(?:a|a){40}[bc]", "(?:a|a)" * 40 + "[bc]", "(?:a|a)" * 40 + "b?c"]
)
def test_alternatives_that_backtrack_are_put_off_though_their_length_is_known(
    evil: str, fast: bool
) -> None:
    run = ShardRun(small())
    run.worker.patterns.use(load_hyperscan() if fast else None)
    run.worker.patterns.set_patterns([regex(evil), regex("needle", 2)])
    run.take([said(HAY[:1000] + b"c needle.")])
    assert (report(run).matches, report(run).skipped) == (0, 1)
    assert report(run, 2).matches == 1
    at_leisure(run)
    assert (report(run).timeouts, report(run).state) == (1, "slow")


def test_what_was_put_off_is_left_out_when_its_stream_leaves() -> None:
    run = run_with(regex(EVIL), max_flows=2)
    for port in (40000, 40001, 40002):
        run.take([said(HAY, seq=port, port=port)])
    for _ in range(4):
        run.worker.patterns.later = Spare()
        run.worker.patterns.retro.work(1, idle=True)
    slow = report(run)
    assert (slow.timeouts, slow.skipped) == (2, 1)
    run.worker.patterns.set_patterns([])
    assert not run.worker.patterns.retro.work(1, idle=True)


def test_what_came_while_a_pattern_rested_is_found_once_when_there_is_time() -> None:
    run = run_with(regex("b[bc]*c"), text("bb", 2))
    run.take([said(b"bc bc"), said(b"bbc", port=40001)])
    rested(run)
    assert found(run) == [(1, 0, 2)]  # the other one may still go on
    run.take([said(b"c bc ", 5), said(b"c", 3, port=40001)])
    run.take([said(b"bc", port=40002)])
    slow = report(run)
    assert (slow.state, slow.todo_bytes > 0) == ("slow", True)
    assert "rests until there is time" in slow.trouble
    assert found(run, 40001) == [(2, 0, 2)]
    at_leisure(run)
    assert (report(run).state, report(run).todo_bytes) == ("active", 0)
    run.take([said(b"c", 4, port=40001)])
    run.finish()
    assert found(run) == [(1, 0, 2), (1, 3, 6), (1, 7, 9)]
    assert found(run, 40001) == [(1, 0, 5), (2, 0, 2)]
    of_it = sorted((int(row["start"]), octets) for row, octets in run.matched if row["pattern"] < 2)
    assert of_it == [(0, b"bbccc"), (0, b"bc"), (0, b"bc"), (3, b"bcc"), (7, b"bc")]


def test_all_rest_and_wake_up_again() -> None:
    run = run_with(regex("b+"))
    run.take([said(b"ab")])
    rested(run)
    run.take([said(b"b.", 2)])
    assert found(run) == []
    at_leisure(run)
    run.take([said(b"b.", 4)])
    assert found(run) == [(1, 1, 3), (1, 4, 5)]


def test_packets_that_wait_again_let_it_rest_on() -> None:
    run = run_with(regex("b+"))
    run.take([said(b"ab.")])
    rested(run)
    run.take([said(b"b.", 3)])
    engine = run.worker.patterns
    engine.wake([0])
    assert not engine.retro.work(1)
    assert engine.resting.all() == [0]
    at_leisure(run)
    assert found(run) == [(1, 1, 2), (1, 3, 4)]


def test_what_passes_while_a_pattern_rests_is_counted_where_nothing_is_retained() -> None:
    run = run_with(regex("b+"), disable_stream_content=True)
    rested(run)
    run.take([said(b"b.")])
    at_leisure(run)
    assert report(run).trouble == "1 streams lost content before it was looked for"


def test_what_leaves_memory_while_a_pattern_rests_is_counted_once_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = run_with(regex("b+c"), text("bc", 2), max_stream_content_bytes=1 << 20, max_flows=16)
    rested(run)
    piece, seqs = b"x" * 49_998 + b"bc", iter(range(0, 10**8, 50_000))

    def more(pieces: int, port: int) -> None:
        for _ in range(pieces):
            run.take([said(piece, next(seqs), port=port)])

    more(10, 40001)
    assert report(run).unseen_bytes == 0
    for port in range(40002, 40032):  # the first streams leave the table as well
        more(2, port)
    gone = report(run).unseen_bytes
    retained = run.tables.used_content()
    came = 70 * 50_000
    assert came < gone + retained < 1.1 * came  # headers, and what does not fit before the end
    assert report(run).todo_bytes == retained
    assert f"about {gone} bytes of content made room" in report(run).trouble
    at_leisure(run)
    assert report(run).unseen_bytes == gone
    assert report(run).matches >= retained // 51_000  # all that was there
    run.worker.patterns.rest([0])
    more(30, 40040)
    came = 30 * 50_000
    assert came < report(run).unseen_bytes - gone + run.tables.used_content() < 1.1 * came
    run.worker.give_up()
    assert f"nor in about {report(run).unseen_bytes} bytes that had made room" in caplog.text
    assert report(run, 2).unseen_bytes == 0


def test_what_a_pattern_missed_is_looked_at_before_it_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.shard.patterns.retro.STEP_BYTES", 1 << 16)
    run = run_with(regex("b+c"), max_stream_content_bytes=1 << 20)
    rested(run)
    ports = iter(range(40001, 41000))

    def more() -> None:
        port = next(ports)
        run.take([said(b"x" * 49_998 + b"bc", port, port=port)])

    while not any(run.worker.patterns.tails):
        more()
    engine = run.worker.patterns
    before = report(run).unseen_bytes
    while engine.resting.all() or engine.retro.jobs:
        engine.later = Spare()
        engine.retro.work(0, idle=True)
        more()
    assert engine.fares[0].lost == 1  # which had gone before it woke up
    assert report(run).unseen_bytes == before


class OfHits(Live):
    """The first pattern rests when it pays for hits."""

    def pay(self, slot: int, seconds: float, octets: int = 0) -> None:
        if not octets and slot == 0:
            self.tired.add(slot)


def test_a_pattern_with_a_hit_in_every_byte_rests_and_the_others_go_on() -> None:
    run = run_with(text("a"), regex("b+c", 2), max_pattern_matches_per_stream=9999)
    engine = run.worker.patterns
    engine.now = OfHits(lambda: True)
    run.take([said(b"a" * 5000 + b"bc")])
    assert engine.resting.all() == [0]
    run.take([said(b" bbc a", 5002)])
    assert [match for match in found(run) if match[0] == 2] == [(2, 5000, 5002), (2, 5003, 5006)]
    while run.worker.wind_up(1):
        pass
    assert report(run).matches + report(run).over_limit == 5001


def test_behind_the_last_packet_good_patterns_have_all_they_need_and_bad_ones_a_little(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = run_with(regex(EVIL), regex("needle+", 2))
    for port in range(40000, 40040):
        run.take([said(HAY + b"needle", port=port)])
    engine = run.worker.patterns
    engine.rest([1])
    run.take([said(b"needle.", 4007)])
    while run.worker.wind_up(0.01):
        pass
    run.worker.give_up()
    run.finish()
    assert (report(run, 2).matches, report(run, 2).state) == (41, "active")
    assert report(run).skipped + report(run).timeouts == 40
    assert "40 streams; give a simpler expression" in caplog.text
    assert "needle" not in caplog.text


def test_the_costliest_rest_until_the_others_fit() -> None:
    now = [0.0]
    budget_of = Live(lambda: True, lambda: now[0])
    budget_of.suspects = frozenset((4,))
    budget_of.purse.most = budget_of.purse._left = 0.05
    now[0] = 1.0
    for slot, seconds in ((1, 0.01), (2, 0.3), (3, 0.02)):
        assert budget_of.limit(slot, 100) > 0
        budget_of.pay(slot, seconds)
    assert budget_of.limit(2, 100) == 0
    assert budget_of.settle() == [2]
    assert budget_of.settle() == []
    now[0] += 2.0
    assert budget_of.settle() == []
    for _ in range(400):  # 1.2 ms at the price of what is ordinary
        budget_of.pay(5, CALL_S, 1)
    for _ in range(6000):
        budget_of.pay(4, CALL_S, 1)
    assert budget_of.settle() == [4]
    idle = Live(lambda: False, lambda: now[0])
    idle.pay(1, 1e10)
    assert idle.settle() == []


def test_the_share_of_those_that_go_on() -> None:
    """Whoever keeps paying: what is paid stays below the share and some advances."""
    now, paid = [0.0], 0.0
    live = Live(lambda: True, lambda: now[0])
    live.purse.most = live.purse._left = 0.05
    awake = set(range(10))
    while now[0] < 10:
        now[0] += 0.001
        for slot in awake:
            if live.limit(slot, 100):
                live.pay(slot, 0.00005 * (1 + slot))
                paid += 0.00005 * (1 + slot)
        now[0] += 0.00005 * sum(1 + slot for slot in awake)
        awake -= set(live.settle())
    assert awake
    assert paid < LIVE_SHARE * now[0] + 10 * 0.05


def test_behind_the_last_packet_a_part_for_each() -> None:
    last = Last(dict.fromkeys((1, 2)))
    assert last.limit(1, 0) < TIMEOUT_S
    last.pay(1, LAST_PURSE_S, 0)
    assert last.limit(1, 0) == 0
    assert last.limit(2, 0) > 0
    assert last.limit(3, 0) == 0
    assert last.settle() == [1]


def test_a_purse_fills_with_time() -> None:
    now = [0.0]
    purse = Purse(clock=lambda: now[0])
    purse.pay(0.001, 100_000)
    assert purse.can_pay()
    assert purse.worth(0) == pytest.approx(PURSE_S + CALL_S)
    purse.pay(PURSE_S + 0.05, 10)
    assert not purse.can_pay()
    now[0] += 2.0
    assert purse.can_pay()
    assert not purse.spend(1.0)
    purse.refill(0.01)
    assert purse.worth(0) == pytest.approx(0.01 + CALL_S)


def test_there_is_leisure_when_packets_took_little_of_the_time_for_a_while() -> None:
    now = [0.0]
    leisure = Leisure(lambda: now[0])
    for busy, is_there, is_loaded in (
        (0.0, False, False), (0.0, True, False), (0.35, False, True), (0.15, False, False),
        (0.05, False, False), (0.05, True, False),
    ):  # fmt: skip
        leisure.begin()
        now[0] += busy
        leisure.end()
        now[0] += 0.4 - busy
        assert (leisure.is_there(), leisure.is_loaded()) == (is_there, is_loaded)
    leisure.begin()
    now[0] += 1.0
    assert leisure.is_loaded()  # in the middle of a batch


def test_a_search_that_cannot_take_long_is_known() -> None:
    def safe_bytes(value: str) -> int:
        return compile_pattern(regex(value), WINDOW).safe_bytes

    assert safe_bytes(r"flag\{[^}]+\}") == 2048
    assert safe_bytes("([A-Z]{4}-){3}[A-Z]{4}") > 1 << 16
    assert safe_bytes(r"\bx\s*;\s*(cat|nc)") == 127
    assert safe_bytes("(?:a|a)" * 10 + "b") == 4096
    assert safe_bytes("(?:a|a)" * 30 + "b") == 0
    for value in ("(a+)+$", "(a|aa)+$", "(?:a?b)*c", r"(.*a){12}$", "a(?R)?b"):
        assert safe_bytes(value) == 0


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


def test_binary_patterns_as_they_are_written() -> None:
    for words in ("deadbeef", "de ad:be_ef", "0xDE 0xAD 0xbe-ef"):
        pattern = Pattern(id=1, name="", kind="binary", value=words)
        assert compile_pattern(pattern, WINDOW).wider == rb"\xde\xad\xbe\xef"


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


# -------------------------------------------------------------------------------------- syntax


@pytest.mark.parametrize(
    ("words", "low", "high", "before", "after", "plain"),
    [
        ("[A-Z0-9]{31}=", 32, 32, 0, 0, True),
        ("a{2,}?b", 3, 1 << 30, 0, 0, True),
        ("^a$", 1, 1, 1, 2, False),
        (r"(?<=ab)c(?!d)", 1, 1, 4, 3, False),
        ("(?>a|ab)c", 2, 3, 0, 0, False),
        (r"(?P<x>a)(?P=x)", 1, 1 << 30, 0, 0, False),
    ],
)
def test_what_a_pattern_says_of_itself(
    words: str, low: int, high: int, before: int, after: int, plain: bool
) -> None:
    found = read(words.encode())
    assert (found.low, found.high) == (low, high)
    assert (found.before, found.after, found.plain) == (before, after, plain)


@pytest.mark.parametrize(
    "words",
    [r"\p{L}", "a{e<=1}", "(?R)", r"\K", "[[:alpha:]]", "[a--b]", "(?x) a", r"\N{DIGIT ONE}"],
)
def test_a_pattern_with_something_unknown(words: str) -> None:
    with pytest.raises(UnknownError):
        read(words.encode())


def test_beginnings_are_looked_for_where_they_are_telling() -> None:
    headed = compile_pattern(regex(r"flag\{[^}]+\}"), WINDOW)
    assert (headed.head, headed.reach) == (rb"\x66\x6c\x61\x67\x7b", WINDOW)
    assert compile_pattern(regex(r"\w+@x"), WINDOW).head == b""
    assert compile_pattern(regex("abc|d.*e"), WINDOW).head == b""


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
