"""What changed in several batches is told at once, as far as there is room for it."""

from typing import Any

from services.shard.tables import BATCHES_TOLD_AT_ONCE
from shared.batch import EventBatch
from shared.columns import EVENT_CLOSE, EVENT_OPEN
from shared.schema import Pattern
from tests.reference.streams import ACK, Packet
from tests.shard_harness import ShardRun, ends, small

SERVER = ends("10.0.0.2", 80)
REQUEST = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"


def request(port: int, number: int) -> Packet:
    seq = sum(len(REQUEST % before) for before in range(number))
    return Packet(ends("10.0.0.1", port), SERVER, REQUEST % number, flags=ACK, seq=seq)


def run_of(**settings: Any) -> ShardRun:
    return ShardRun(small(disable_stream_parser=False, **settings))


def test_a_stream_of_several_batches_is_told_once() -> None:
    run = run_of(batch_size=4, stream_update_packets=1)
    for number in range(BATCHES_TOLD_AT_ONCE):
        assert run.worker.has_room
        run.take_untold([request(1000, number), request(1001 + number, 0)])
    had_room = run.worker.has_room
    assert not had_room
    assert not run.messages, "nothing was told yet"
    run.worker.tick(run.now_ns)
    (told,) = run.messages
    assert [int(event["kind"]) for event in told] == [EVENT_OPEN] * (1 + BATCHES_TOLD_AT_ONCE)
    assert told[0]["packets"].sum() == BATCHES_TOLD_AT_ONCE
    assert len(run.found) == 2 * BATCHES_TOLD_AT_ONCE
    assert run.worker.has_room
    run.finish()
    assert len(run.events(EVENT_CLOSE)) == 1 + BATCHES_TOLD_AT_ONCE


def test_messages_are_told_before_newer_ones_take_their_place() -> None:
    run = run_of(batch_size=64, max_messages=64)
    number = 0
    for _ in range(20):
        run.take_untold([request(1000, number + more) for more in range(16)])
        number += 16
        if not run.worker.has_room:
            run.worker.tick(run.now_ns)
    run.finish()
    assert len(run.found) == number
    assert run.stats()["messages_untold"] == 0


def test_streams_that_must_make_room_are_told_first() -> None:
    """Rows are given to other streams only when the last of what happened to theirs is told."""
    run = run_of(batch_size=8, max_flows=16)
    for batch in range(12):
        run.take_untold([request(1000 + 8 * batch + i, 0) for i in range(8)])
        if not run.worker.has_room:
            run.worker.tick(run.now_ns)
    run.finish()
    assert len({int(event["stream_id"]) for event in run.events(EVENT_OPEN)}) == 96
    assert len(run.events(EVENT_CLOSE)) == 96
    assert len(run.found) == 96


def test_streams_are_told_before_matches_that_a_new_pattern_has_in_them() -> None:
    run = run_of(batch_size=8)
    told: list[tuple[int, int]] = []

    def tell(batch: EventBatch) -> None:
        told.append((batch.events.size, batch.matches.size))

    run.worker._tell = run.worker.patterns._tell = tell
    run.take_untold([request(1000, 0)])
    run.worker.set_patterns([Pattern(id=1, name="get", kind="substring", value="GET")])
    run.take_untold([request(1001, 0)])
    while run.worker.work(0.1):
        pass
    assert told == [(1, 0), (1, 1), (0, 1)]


def test_questions_are_answered_while_many_streams_are_closed() -> None:
    run = run_of(batch_size=64, max_flows=20_000)
    for first in range(0, 17_000, 50):
        run.take([request(1000 + first + i, 0) for i in range(50)])
    told: list[int] = []
    run.worker.finish(lambda: told.append(len(run.events(EVENT_CLOSE))))
    assert len(told) > 1
    assert told[0] < told[-1] == 17_000
