"""Reading what is retained: windows, gaps, refusals, budgets."""

from typing import Any

import pytest

from services.shard.content import NotRetainedError, holes
from services.shard.kernels import state as s
from services.shard.requests import Requests
from services.shard.tables import LEAST_CONTENT, Tables
from shared.columns import EVENT_OPEN
from shared.schema import Reply, Request, unpack
from tests.reference.streams import ACK, Packet
from tests.shard_harness import ShardRun, ends, small

CLIENT, SERVER = ends("10.0.0.1", 40000), ends("10.0.0.2", 80)
LONGEST = 1000  # bytes of one answer


def said(octets: bytes, seq: int = 0, port: int = 40000) -> Packet:
    return Packet(ends("10.0.0.1", port), SERVER, octets, seq=seq, flags=ACK)


def run_of(*packets: Packet, **settings: Any) -> tuple[ShardRun, int, int]:
    """A shard, and the id and row of its first stream."""
    run = ShardRun(small(**settings))
    run.take(packets)
    first = run.events(EVENT_OPEN)[0]
    return run, int(first["stream_id"]), int(first["row"])


def asked(run: ShardRun, op: str, **args: Any) -> tuple[Reply, list[bytes]]:
    head, *frames = Requests(run.reader, LONGEST).answer(Request(op=op, args=args).pack())
    return unpack(Reply, head, "test"), frames


def content(run: ShardRun, stream_id: int, row: int, **args: Any) -> tuple[dict[str, Any], bytes]:
    reply, (data,) = asked(run, "content", stream_id=stream_id, row=row, **args)
    assert reply.error is None, reply.error
    return reply.result, data


def refused(run: ShardRun, op: str, **args: Any) -> str:
    reply, frames = asked(run, op, **args)
    assert reply.error is not None
    assert frames == []
    return reply.error.code


# -------------------------------------------------------------------------------------- windows


def test_a_window_with_a_gap() -> None:
    run, stream_id, row = run_of(said(b"0123"), said(b"89", 8), Packet(SERVER, CLIENT, ack=10))
    result, data = content(run, stream_id, row, direction=0, start=1, len=8)
    assert (result["segments"], result["gaps"]) == ([[1, 4], [8, 9]], [[4, 8]])
    assert data == b"1238"
    assert (result["requested_start"], result["requested_end"]) == (1, 9)
    assert result["end_of_stream"] == 10
    assert not result["truncated_by_limit"]


def test_a_window_behind_the_end() -> None:
    run, stream_id, row = run_of(said(b"0123"))
    result, data = content(run, stream_id, row, direction=0, start=100, len=8)
    assert (result["segments"], result["gaps"], data) == ([], [], b"")
    assert (result["requested_start"], result["requested_end"]) == (100, 100)


def test_an_answer_has_a_limit() -> None:
    run, stream_id, row = run_of(*(said(bytes(500), 500 * i) for i in range(3)))
    result, data = content(run, stream_id, row, direction=0, start=0, len=1 << 40)
    assert result["truncated_by_limit"]
    assert len(data) == result["requested_end"] == LONGEST
    result, data = content(run, stream_id, row, direction=0, start=600, len=1 << 40)
    assert not result["truncated_by_limit"]
    assert len(data) == 900


def test_what_is_held_is_not_read_yet() -> None:
    run, stream_id, row = run_of(said(b"ab"), said(b"fg", 5))
    result, data = content(run, stream_id, row, direction=0)
    assert (result["end_of_stream"], data) == (2, b"ab")


def test_adjacent_pieces_are_one_segment() -> None:
    run = ShardRun()
    run.take_in_batches([said(b"x", i) for i in range(50)], range(50))
    stream_id = int(run.events(EVENT_OPEN)[0]["stream_id"])
    assert run.segments(stream_id, 0) == [(0, b"x" * 50)]


def test_more_extents_than_the_first_guess() -> None:
    run = ShardRun(small(max_stream_content_bytes=1 << 22))
    for start in range(0, 5000, 2):
        run.take([said(b"a", start), Packet(SERVER, CLIENT, b"b", seq=start)])
        run.take([said(b"c", start + 1), Packet(SERVER, CLIENT, b"d", seq=start + 1)])
    stream_id = int(run.events(EVENT_OPEN)[0]["stream_id"])
    assert run.segments(stream_id, 0) == [(0, b"ac" * 2500)]
    assert run.segments(stream_id, 1) == [(0, b"bd" * 2500)]


@pytest.mark.parametrize(
    ("segments", "start", "stop", "wanted"),
    [
        ([], 3, 3, []),
        ([], 3, 5, [(3, 5)]),
        ([(3, 5)], 3, 5, []),
        ([(4, 5), (7, 9)], 3, 10, [(3, 4), (5, 7), (9, 10)]),
    ],
)
def test_holes(
    segments: list[tuple[int, int]], start: int, stop: int, wanted: list[tuple[int, int]]
) -> None:
    assert holes(segments, start, stop) == wanted


# ------------------------------------------------------------------------------------- refusals


def test_a_row_that_went_to_another_stream() -> None:
    run, stream_id, row = run_of(said(b"first"), max_flows=1)
    assert content(run, stream_id, row, direction=0)[1] == b"first"
    run.take([said(b"other", port=5)])
    assert refused(run, "content", stream_id=stream_id, row=row, direction=0) == "not_found"
    assert refused(run, "retention", stream_id=stream_id, row=row) == "not_found"
    with pytest.raises(NotRetainedError):
        run.reader.check(row, stream_id)


@pytest.mark.parametrize("row", [1, 200, 256, 1 << 40])
def test_a_row_that_never_was(row: int) -> None:
    run, stream_id, _ = run_of(said(b"x"))
    assert refused(run, "content", stream_id=stream_id, row=row, direction=0) == "not_found"
    assert refused(run, "content", stream_id=0, row=row, direction=0) == "not_found"


def test_an_operation_or_a_value_that_is_wrong() -> None:
    run, stream_id, row = run_of(said(b"x"))
    assert refused(run, "dance") == "unknown_op"
    assert refused(run, "content", stream_id=stream_id, row=row, direction=2) == "bad_value"
    assert refused(run, "content", stream_id=-1, row=row, direction=0) == "bad_value"
    assert refused(run, "content", row=row, direction=0) == "bad_value"
    assert refused(run, "content", stream_id=stream_id, row=row, direction=0, x=1) == "bad_value"
    head, *_ = Requests(run.reader, LONGEST).answer(b"\xc1 no message")
    error = unpack(Reply, head, "test").error
    assert error is not None
    assert error.code == "schema"


def test_a_closed_stream_is_read_as_long_as_its_row_is() -> None:
    run, stream_id, row = run_of(said(b"still here"))
    run.finish()
    assert content(run, stream_id, row, direction=0)[1] == b"still here"


# -------------------------------------------------------------------------------------- budgets


def retention(run: ShardRun, stream_id: int, row: int) -> dict[str, Any]:
    reply, _ = asked(run, "retention", stream_id=stream_id, row=row)
    return reply.result


def test_a_stream_keeps_its_newest_bytes() -> None:
    octets = bytes(range(256)) * 2
    run, stream_id, row = run_of(
        *(said(octets[i : i + 64], i) for i in range(0, 512, 64)),
        max_stream_content_bytes_per_stream=100,
    )
    assert run.segments(stream_id, 0) == [(412, octets[412:])]
    told = retention(run, stream_id, row)
    assert told["a_to_b"] == {"retained_bytes": 100, "dropped_bytes": 412}
    assert (told["retained_bytes"], told["trimmed_bytes"], told["evicted_bytes"]) == (100, 412, 0)


def test_new_content_goes_over_the_oldest() -> None:
    run, stream_id, row = run_of(said(b"old" * 100), max_stream_content_bytes=LEAST_CONTENT)
    for port in range(1, 20):
        run.take([said(bytes(500), port=port)])
    assert run.segments(stream_id, 0) == []
    assert run.window(stream_id, 0).gaps == [(0, 300)]
    assert retention(run, stream_id, row)["evicted_bytes"] == 300
    assert run.stats()["content_used_bytes"] <= LEAST_CONTENT


@pytest.mark.parametrize(
    "settings",
    [{"disable_stream_content": True}, {"max_stream_content_bytes": LEAST_CONTENT - 1}],
)
def test_without_content(settings: dict[str, Any]) -> None:
    """Nothing is retained; preview, service and kind are told all the same."""
    run, stream_id, row = run_of(said(b"GET / HTTP/1.1\r\n\r\n"), **settings)
    result, data = content(run, stream_id, row, direction=0)
    assert (data, result["segments"], result["gaps"]) == (b"", [], [[0, 18]])
    assert not result["retained"]["enabled"]
    run.finish()
    (final,) = run.final().values()
    assert (final["service"], final["content_kind"][0]) == ("http", "text")
    assert len(run.preview[stream_id, 0]) == 18
    assert run.stats()["content_budget_bytes"] == run.stats()["content_used_bytes"] == 0


@pytest.mark.parametrize("budget", [0, 4095, 4096, 100_001, 1 << 26, (1 << 26) + 13])
@pytest.mark.parametrize("shards", [1, 2, 3, 64])
def test_the_budget_is_of_all_shards(budget: int, shards: int) -> None:
    tables = Tables(small(max_stream_content_bytes=budget), shards)
    assert tables.budget * shards <= budget
    if tables.retains:
        assert tables.ring8.size == tables.budget
        rings = tables.config[s.RING_0] + tables.config[s.RING_1]
        assert rings == tables.ring8.size
        assert tables.config[s.RING_0] % 8 == tables.config[s.RING_1] % 8 == 0
        assert tables.config[s.MAX_EXTENT] >= 512


def test_long_streams_do_not_push_out_the_beginnings() -> None:
    """Two rings, as with a large budget: what a stream said first outlives what all said later."""
    run = ShardRun(small(max_stream_content_bytes=1 << 16))
    config = run.tables.config
    config[s.RING_0] = config[s.RING_1] = 1 << 15
    config[s.RING_0_UPTO], config[s.MAX_EXTENT] = 2000, 4096
    short, long = said(b"short", port=1), [said(bytes([i]) * 1000, 1000 * i) for i in range(200)]
    run.take([short, *long])
    streams = {int(event["packets"][0]): int(event["stream_id"]) for event in run.events()}
    assert run.segments(streams[1], 0) == [(0, b"short")]
    kept = run.segments(streams[200], 0)
    assert kept[0][0] == 0
    assert kept[0][1].startswith(b"\0" * 1000 + b"\1" * 1000)
    assert kept[-1][0] + len(kept[-1][1]) == 200_000
    assert len(kept) == 2


def test_pages_are_had_for_what_is_coming() -> None:
    run = ShardRun(small())
    (first, _), _ = run.tables._rings
    run.tables.expect(5000, 10)
    assert 5000 <= first.had <= run.tables.ring_bytes
    assert [part.had for part, *_ in run.tables._filling] == [0, 0, 0, 0]  # no stream came yet
    assert not run.tables.ring8.any()
