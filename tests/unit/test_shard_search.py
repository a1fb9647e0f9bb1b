"""Ad-hoc search: hits, where they end, what bounds it, and how it is asked for."""

from typing import Any

import numpy as np
import pytest

from services.shard.requests import Requests
from services.shard.search import HITS_A_POLL, SEARCHES, STREAM_REF, UNPOLLED_S, Searches
from shared.columns import EVENT_OPEN, MATCH
from shared.schema import Pattern, Reply, Request, SearchStart, unpack
from tests.reference.streams import ACK, Packet
from tests.shard_harness import ShardRun, ends, small

SERVER = ends("10.0.0.2", 80)


def said(octets: bytes, port: int = 40000, seq: int = 0, ts_ns: int = 1) -> Packet:
    return Packet(ends("10.0.0.1", port), SERVER, octets, seq=seq, flags=ACK, ts_ns=ts_ns)


def start(value: str, kind: Any = "substring", **more: Any) -> SearchStart:
    return SearchStart(search="s", kind=kind, value=value, **more)


def search(run: ShardRun, query: SearchStart) -> dict[str, Any]:
    searches = run.worker.searches
    searches.start(query)
    while not searches.searches["s"].done:  # its purse may be empty for a while
        searches.work(1)
    return searches.poll("s", 0)


def places(result: dict[str, Any]) -> list[tuple[int, int, int]]:
    return [(hit["row"], hit["start"], hit["end"]) for hit in result["hits"]]


@pytest.mark.parametrize("hyperscan", [True, False])
def test_hits_come_newest_first_with_what_is_around_them(hyperscan: bool) -> None:
    run = ShardRun(small())
    if not hyperscan:
        run.worker.patterns.use(None)
    run.take([said(b"a" * 100 + b"needle" + b"b" * 100, ts_ns=1000)])
    run.take([said(b"two needles", 40001, ts_ns=2_000_000)])
    result = search(run, start("needle"))
    assert places(result) == [(1, 4, 10), (0, 100, 106)]
    assert result["done"]
    assert result["scanned_bytes"] == result["total_bytes"] == 217
    older = result["hits"][1]
    assert older["context"] == b"a" * 64 + b"needle" + b"b" * 64
    assert (older["context_start"], older["ts_us"], older["direction"]) == (36, 1, 0)
    assert older["stream_id"] == int(run.events(EVENT_OPEN)[0]["stream_id"])
    assert result["hits"][0]["ts_us"] == 2000


def test_what_leaves_memory_before_it_is_looked_through_is_counted() -> None:
    run = ShardRun(small(max_stream_content_bytes=1 << 20))
    run.take([said(b"needle")])
    run.take([said(b"two needles", 40001)])
    run.worker.searches.start(start("needle"))
    piece = b"x" * 50_000
    for seq in range(40):
        run.take([said(piece, 40002, seq * len(piece))])
    while run.worker.searches.work(1):
        pass
    result = run.worker.searches.poll("s", 0)
    assert (places(result), result["done"]) == ([], True)
    assert result["trouble"] == "2 streams lost content before they were looked through"
    assert search(run, start("needle"))["trouble"] == ""  # they had nothing when it was asked


@pytest.mark.parametrize("value", ["a+b", "x.*?y", "^b", r"(\w)\1", "(?<=b)a", "a*"])
def test_hits_are_those_of_regex_across_steps(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import regex

    monkeypatch.setattr("services.shard.search.STEP_BYTES", 64)
    run = ShardRun(small(pattern_regex_window_bytes=16, batch_size=64))
    octets = b"aab xay bba ab" * 2000
    for at in range(0, len(octets), 1000):
        run.take([said(octets[at : at + 1000], seq=at)])
    result = search(run, start(value, "regex", limit=10000))
    expected = [m.span() for m in regex.finditer(value.encode(), octets) if m.end() > m.start()]
    hits = [
        one
        for n in range(0, 10000, HITS_A_POLL)
        for one in run.worker.searches.poll("s", n)["hits"]
    ]
    assert [(hit["start"], hit["end"]) for hit in hits] == expected[:10000]
    assert result["capped"] == (len(expected) >= 10000)


def test_only_some_streams_and_sides() -> None:
    run = ShardRun(small())
    run.take([said(b"x"), said(b"x", 40001), Packet(SERVER, ends("10.0.0.1", 40001), b".x", seq=0)])
    second = run.events(EVENT_OPEN)[1]
    refs = np.array([(second["row"], second["stream_id"]), (0, 5), (10**6, 5)], STREAM_REF)
    rows = refs.tobytes()
    assert places(search(run, start("x", rows=rows))) == [(1, 0, 1), (1, 1, 2)]
    assert places(search(run, start("x", rows=rows, direction="server"))) == [(1, 1, 2)]
    with pytest.raises(ValueError, match="no list of streams"):
        run.worker.searches.start(start("x", rows=b"12345"))


def test_a_search_ends_at_its_limit_and_when_it_is_cancelled() -> None:
    run = ShardRun(small())
    run.take([said(b"x" * 500)])
    result = search(run, start("x", limit=7))
    assert (len(result["hits"]), result["capped"], result["done"]) == (7, True, True)
    run.worker.searches.start(start("x"))
    assert run.worker.searches.cancel("s")["cancelled"]
    assert not run.worker.searches.work(1)


def test_a_search_that_nobody_polls_ends() -> None:
    now = [0.0]
    run = ShardRun(small())
    run.take([said(b"x")])
    searches = Searches(run.worker.patterns, lambda: now[0])
    searches.start(start("x"))
    now[0] = UNPOLLED_S + 1
    assert not searches.work(1)
    result = searches.poll("s", 0)
    assert result["cancelled"]
    assert result["trouble"] == "nobody asked for its hits"


def test_a_new_search_has_more_of_the_time_until_its_first_hit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.shard.search.STEP_BYTES", 64)
    monkeypatch.setattr("services.shard.search.NEW_WORK_S", 60.0)
    run = ShardRun(small(max_flows=4096))
    for port in range(40000, 41000):
        run.take([said(b"x" * 30, port)])
    run.take([said(b"needle", 41000, ts_ns=5)])
    now = [0.0]
    searches = Searches(run.worker.patterns, lambda: now[0])
    searches.start(start("nothing"))
    assert not searches.work(0)  # all at once
    searches.start(start("needle"))
    monkeypatch.setattr("services.shard.search.NEW_WORK_S", 0.0)
    assert searches.work(0)
    assert searches.poll("s", 0)["hits"]
    monkeypatch.setattr("services.shard.search.NEW_WORK_S", 60.0)
    assert searches.work(0)  # the others can wait
    searches.start(start("needle"))
    assert searches.work(0)  # until the first hit
    assert searches.poll("s", 0)["hits"]
    searches.start(start("nothing"))
    now[0] = 1.0
    assert searches.work(0)  # a step


def test_the_streams_in_which_there_are_hits_each_once() -> None:
    run = ShardRun(small())
    for i, octets in enumerate((b"x and x", b"none", b"x")):
        run.take([said(octets, 40000 + i)])
    searches = run.worker.searches
    searches.start(start("x"))
    assert searches.streams("s") == b""
    while searches.work(1):
        pass
    found = np.frombuffer(searches.streams("s"), "<u8").tolist()
    opened = [int(event["stream_id"]) for event in run.events(EVENT_OPEN)]
    assert sorted(found) == sorted([opened[0], opened[2]])
    with pytest.raises(KeyError):
        searches.streams("other")


def test_who_asks_for_the_streams_keeps_a_search_going() -> None:
    now = [0.0]
    run = ShardRun(small())
    run.take([said(b"x")])
    searches = Searches(run.worker.patterns, lambda: now[0])
    searches.start(start("x"))
    now[0] = UNPOLLED_S - 1
    searches.streams("s")
    now[0] = UNPOLLED_S + 1
    while searches.work(1):
        pass
    assert not searches.poll("s", 0)["cancelled"]


def test_there_are_so_many_searches() -> None:
    run = ShardRun(small())
    run.take([said(b"x")])
    searches = run.worker.searches
    for number in range(SEARCHES):
        searches.start(SearchStart(search=str(number), kind="substring", value="x"))
    with pytest.raises(ValueError, match="under way"):
        searches.start(start("x"))
    while searches.work(1):
        pass
    searches.start(start("x"))
    with pytest.raises(KeyError):
        searches.poll("0", 0)


def test_a_search_that_takes_for_ever_is_given_up() -> None:
    run = ShardRun(small())
    run.take([said(b"a" * 3000 + b"!", port) for port in range(40000, 40003)])
    searches = run.worker.searches
    searches.start(start("(?:a|a)+$|b(?R)?c", "regex"))
    while searches.work(0.01):
        pass
    result = searches.poll("s", 0)
    assert "takes too long" in result["trouble"]


def test_requests() -> None:
    run = ShardRun(small())
    run.worker.patterns.set_patterns([Pattern(id=3, name="", kind="substring", value="needle")])
    run.take([said(b"a needle in a haystack")])
    event = run.events(EVENT_OPEN)[0]
    ref = {"stream_id": int(event["stream_id"]), "row": int(event["row"])}
    requests = Requests(run.reader, 1000, run.worker.patterns, run.worker.searches)

    def ask(op: str, **args: Any) -> tuple[Reply, list[bytes]]:
        head, *frames = requests.answer(Request(op=op, args=args).pack())
        return unpack(Reply, head, "test"), frames

    reply, (packed, octets) = ask("matches", **ref)
    rows = np.frombuffer(packed, MATCH)
    assert reply.result == {"matches": 1, "total": 1, "next": 1}
    assert (int(rows[0]["start"]), int(rows[0]["pattern"]), octets) == (2, 3, b"needle")
    reply, _ = ask("content", **ref, direction=0, start=4, len=100)
    assert reply.result["highlights"] == [[3, 4, 8, 0]]
    assert reply.result["dropped_highlights"] == 0
    reply, _ = ask("search_start", **start("hay").model_dump())
    assert reply.error is None
    while run.worker.work(1):
        pass
    reply, _ = ask("search_poll", search="s")
    assert [hit["start"] for hit in reply.result["hits"]] == [14]
    reply, _ = ask("search_streams", search="s")
    assert reply.result == {"ids": ref["stream_id"].to_bytes(8, "little")}
    for op in ("search_poll", "search_cancel", "search_streams"):
        reply, _ = ask(op, search="other")
        assert reply.error is not None
        assert reply.error.code == "not_found"
    reply, _ = ask("search_start", **start("(", "regex").model_dump())
    assert reply.error is not None
    assert "missing )" in reply.error.message
