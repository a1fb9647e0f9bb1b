"""Patterns in a shard that take too long: put off, stopped, resting, and what they missed."""

import pytest

from services.shard.patterns import budget
from services.shard.patterns.budget import Live, Spare
from services.shard.patterns.resting import Resting
from services.shard.patterns.scanner import load_hyperscan
from tests.pattern_harness import found, regex, report, run_with, said, text
from tests.shard_harness import ShardRun, small


@pytest.fixture(autouse=True)
def _nobody_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is; what is about that says so."""
    monkeypatch.setattr(budget, "LIVE_PURSE_S", 1e9)


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
