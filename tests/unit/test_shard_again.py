"""A shard in another's place: what it does not take yet, and what it does not count twice."""

from typing import Literal

import pytest

from services.shard.again import Again
from shared.schema import BatchHeader


def header(
    kind: Literal["packets", "tick", "end"] = "packets", rows: int = 5, ring: bool = True
) -> BatchHeader:
    return BatchHeader(kind=kind, seq=0, rows=rows, ring=ring)


@pytest.mark.parametrize("told", [{"told_packets": 3}, {"rows": 3}, {"rows": 3, "told_packets": 9}])
def test_it_stands_back_until_it_is_fed(told: dict[str, int]) -> None:
    again = Again(())
    again.follow(told)
    assert again.waits
    assert again.stands_back(header())
    assert again.stands_back(header("tick", 0))
    assert again.stands_back(header("end", 0))
    again.waits = False
    assert not again.stands_back(header())


def test_the_first_of_its_number_begins_at_once() -> None:
    again = Again(())
    again.follow({"index": 0, "shards": 1, "told_packets": 0, "rows": 0})
    assert not again.waits
    assert not again.stands_back(header())


def test_without_a_ring_nothing_is_waited_for() -> None:
    again = Again(())
    again.follow({"rows": 3})
    assert not again.stands_back(header(ring=False))
    assert not again.waits
    assert not again.stands_back(header(ring=True))  # a ring that comes later has nothing of it


def test_what_was_counted_before_is_left_out() -> None:
    again, now = Again({"flow_rows"}), {"packets": 10, "flow_rows": 4}
    assert again.once(now) == {"packets": 10, "flow_rows": 4, "refed_packets": 0}
    with again.fed(header(rows=7), lambda: dict(now)):
        now.update(packets=17, flow_rows=9, gaps=2)
    assert again.once(now) == {"packets": 10, "flow_rows": 9, "gaps": 0, "refed_packets": 7}
    now.update(packets=20, gaps=3)
    assert again.once(now) == {"packets": 13, "flow_rows": 9, "gaps": 1, "refed_packets": 7}
