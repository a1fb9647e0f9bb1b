"""Favourites' content goes last, within the same bound as all content."""

import random
from typing import Any

import numpy as np
import pytest

from services.shard.content import NotRetainedError
from services.shard.favorites import Favorites
from services.shard.kernels import state as s
from services.shard.search import STREAM_REF
from shared.columns import EVENT_OPEN
from tests.reference.streams import ACK, Packet
from tests.shard_harness import ShardRun, ends, small

SERVER = ends("10.0.0.2", 80)
BUDGET = 1 << 15


def said(octets: bytes, seq: int = 0, port: int = 40000) -> Packet:
    return Packet(ends("10.0.0.1", port), SERVER, octets, seq=seq, flags=ACK)


class Talks:
    """A shard, and what its streams said; a stream is its client's port."""

    def __init__(self, **settings: Any) -> None:
        self.run = ShardRun(small(**{"max_stream_content_bytes": BUDGET} | settings))
        self.favorites = Favorites(self.run.tables)
        self.said: dict[int, bytes] = {}

    def say(self, port: int, octets: bytes) -> None:
        before = self.said.get(port, b"")
        self.run.take([said(octets, len(before), port)])
        self.said[port] = before + octets
        assert self.run.stats()["content_used_bytes"] <= self.run.tables.budget

    def pour(self, rounds: int, first_port: int = 1000, size: int = 500) -> None:
        """What other streams say goes `rounds` times through the budget."""
        for i in range(rounds * BUDGET // size):
            self.say(first_port + i % 200, random.Random(i).randbytes(size))

    def id(self, port: int) -> int:
        opened = self.run.events(EVENT_OPEN)
        return next(int(e["stream_id"]) for e in opened if port in (e["port_a"], e["port_b"]))

    def star(self, *ports: int) -> None:
        refs = [(self.run.row(self.id(port)), self.id(port)) for port in ports]
        self.favorites.set(np.array(refs, STREAM_REF))

    def kept(self, port: int) -> list[tuple[int, bytes]]:
        return self.run.segments(self.id(port), 0)

    def whole(self, port: int) -> bool:
        return self.kept(port) == [(0, self.said[port])]

    @property
    def favorite_bytes(self) -> int:
        return int(self.run.tables.state[s.FAVORITE_0] + self.run.tables.state[s.FAVORITE_1])


@pytest.mark.parametrize("starred", [False, True])
def test_a_favorite_outlives_all_others(starred: bool) -> None:
    talks = Talks()
    talks.say(1, b"first")
    for i in range(10):
        talks.say(1, bytes([i]) * 300)
        talks.say(2, bytes([i]) * 300)
    talks.star(*((1,) if starred else ()))
    talks.pour(5)
    assert talks.whole(1) == starred
    assert talks.kept(2) == []


def test_a_favorite_that_goes_on_is_whole() -> None:
    """What it says later is chained behind what was moved meanwhile."""
    talks = Talks()
    for i in range(40):
        talks.say(1, b"%d" % i * 40)
        talks.star(1)
        talks.pour(1)
    assert talks.whole(1)


def test_it_is_one_no_more() -> None:
    talks = Talks()
    talks.say(1, b"x" * 1000)
    talks.star(1)
    talks.pour(2)
    assert talks.whole(1)
    assert talks.favorite_bytes
    talks.star()
    assert talks.favorite_bytes == 0
    talks.pour(2)
    assert talks.kept(1) == []
    talks.say(1, b"more")
    talks.star(1)
    talks.pour(2)
    assert talks.kept(1) == [(1000, b"more")]


def test_when_favorites_alone_are_too_many_the_oldest_go() -> None:
    talks = Talks()
    ports = list(range(1, 21))
    for port in ports:
        talks.say(port, b"x" * 3000)
        talks.star(*ports[:port])
    talks.pour(3)
    there = [port for port in ports if talks.kept(port)]
    assert there == ports[-len(there) :]
    assert BUDGET // 2 < sum(len(talks.said[port]) for port in there) <= BUDGET * 3 // 4
    talks.say(999, b"who is none has room all the same")
    assert talks.whole(999)


def test_of_a_long_favorite_the_newest_bytes_stay() -> None:
    talks = Talks(max_stream_content_bytes_per_stream=2000)
    for i in range(100):
        talks.say(1, bytes([i]) * 100)
    talks.star(1)
    talks.pour(3)
    assert talks.kept(1) == [(8000, talks.said[1][8000:])]
    assert talks.favorite_bytes <= 2100 + 21 * 50


def test_a_row_that_goes_to_another_stream_takes_nothing_with_it() -> None:
    """Extents of the stream before lie in the ring still, with the same row."""
    talks = Talks(max_flows=1)
    talks.say(1, b"secret" * 100)
    talks.star(1)
    talks.say(2, b"public" * 100)
    assert talks.favorite_bytes == 0
    talks.star(2)
    for i in range(600):
        talks.say(2, b"%03d" % i * 30)
    kept = talks.kept(2)
    assert b"secret" not in b"".join(octets for _, octets in kept)
    for start, octets in kept:
        assert talks.said[2][start : start + len(octets)] == octets
    with pytest.raises(NotRetainedError):
        talks.run.reader.check(0, talks.id(1))


def test_the_flow_table_lets_favorites_go_last() -> None:
    talks = Talks(max_flows=16)
    talks.say(1, b"kept")
    talks.star(1)
    for port in range(2, 100):
        talks.say(port, b"x")
    assert talks.whole(1)
    assert talks.run.stats()["flows_evicted"] > 80


def test_what_the_coordinator_says_may_be_old() -> None:
    """Rows that went to other streams, or never were, are passed over."""
    talks = Talks(max_flows=16)
    talks.say(1, b"kept")
    row, stream_id = talks.run.row(talks.id(1)), talks.id(1)
    refs = [(row, stream_id ^ 1), (1 << 30, stream_id), (15, 0)]
    talks.favorites.set(np.array(refs, STREAM_REF))
    assert talks.favorite_bytes == 0
    assert int(talks.run.tables.state[s.LINKED_ROWS]) == 0


@pytest.mark.parametrize("seed", range(4))
def test_anything_goes(seed: int) -> None:
    """Streams that come, talk and are favourites now and then: each shows its own bytes only."""
    talks, chance = Talks(max_flows=24), random.Random(seed)
    for step in range(600):
        port = chance.randrange(1, 40)
        if talks.said.get(port) and not any(
            int(flow["stream_id"]) == talks.id(port) for flow in talks.run.tables.flows
        ):
            continue  # it left the table
        talks.say(port, bytes([port]) * chance.choice((1, 90, 700)))
        if step % 10 == 0:
            live = [p for p in talks.said if p != port and chance.random() < 0.1]
            rows = talks.run.tables.flows["stream_id"].tolist()
            talks.star(*(p for p in live if talks.id(p) in rows and _is_there(talks, p)))
    for port in talks.said:
        if _is_there(talks, port):
            for start, octets in talks.kept(port):
                assert octets == talks.said[port][start : start + len(octets)]


def _is_there(talks: Talks, port: int) -> bool:
    try:
        talks.run.row(talks.id(port))
    except KeyError:
        return False
    return True
