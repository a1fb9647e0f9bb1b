"""Messages of a stream and messages by filter, against their twins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shard.kernels import state as s
from services.shard.kernels.find_messages import find_messages, list_messages
from services.shard.tables import Tables
from shared.columns import LIVE
from tests.message_ring import add_message
from tests.reference import find_messages as twin
from tests.shard_harness import small

pytestmark = pytest.mark.property

KEPT = 64  # the smallest ring
WORDS = st.sampled_from([b"", b"GET /a", b"flag.Team.local:80", b"team", b"Local", b".lan", b"x:"])
FOUND = st.builds(
    lambda stream, side, start, protocol, kind, code, text, name: twin.Found(
        stream, 0, side, start, protocol, kind, code, text + name, name
    ),
    st.integers(0, 2),
    st.integers(0, 1),
    st.integers(0, 9),
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from([0, 200, 65535]),
    WORDS,
    WORDS,
)


def filled(found: list[twin.Found]) -> tuple[Tables, list[twin.Found]]:
    """A shard's tables with these messages, and the messages with their ordinals."""
    tables = Tables(small(max_messages=KEPT), 1)
    tables.flows["stream_id"][:3] = [77, 88, 99]
    tables.flows["marks"][:3] = LIVE
    counts = [0, 0, 0]
    numbered = []
    for one in found:
        numbered.append(
            twin.Found(**vars(one) | {"ordinal": counts[one.stream]})  # frozen, so made anew
        )
        counts[one.stream] += 1
        summary = one.text[: len(one.text) - len(one.name)]
        add_message(
            tables, one.stream, summary, one.name, dir=one.side, start=one.start,
            protocol=one.protocol, kind=one.kind, code=one.code,
        )  # fmt: skip
    return tables, numbered


@given(
    st.lists(FOUND, max_size=150),
    st.integers(0, 2),
    st.integers(0, 60),
    st.integers(1, 9),
    st.lists(st.integers(0, 10), min_size=4, max_size=4),
)
def test_list_messages(
    found: list[twin.Found], row: int, first: int, room: int, spans: list[int]
) -> None:
    tables, ring = filled(found)
    numbers, oldest = np.zeros(room, np.uint64), np.zeros(1, np.uint64)
    count = list_messages(tables.columns, row, first, np.array(spans, np.uint64), numbers, oldest)
    low_a, high_a, low_b, high_b = spans
    wanted, first_there = twin.list_messages(ring, KEPT, row, first, (low_a, high_a, low_b, high_b))
    assert count == len(wanted)
    assert sorted(numbers[:count].tolist()) == wanted[:room]
    if wanted:
        assert int(oldest[0]) == first_there


@given(
    st.lists(FOUND, max_size=150),
    st.integers(0, 200),
    st.integers(1, 100),
    st.tuples(*(st.sampled_from([-1, -1, value]) for value in (1, 2, 200))),
    st.sampled_from([b"", b"", b"GET", b"get /a", b"GET /aflag.team.local:80x"]),
    WORDS,
    WORDS,
    st.integers(1, 9),
)
def test_find_messages(
    found: list[twin.Found],
    before: int,
    looks: int,
    wanted: tuple[int, int, int],
    prefix: bytes,
    host: bytes,
    text: bytes,
    room: int,
) -> None:
    tables, ring = filled(found)
    numbers, following = np.zeros(room, np.uint64), np.zeros(1, np.uint64)
    begins, named, holds = (
        np.frombuffer(needle.lower(), np.uint8) for needle in (prefix, host, text)
    )
    count = find_messages(
        tables.columns, before, looks, np.array(wanted), begins, named, holds, numbers, following
    )
    expected = twin.find_messages(ring, KEPT, before, looks, wanted, prefix, host, text, room)
    assert (numbers[:count].tolist(), int(following[0])) == expected


def test_a_stream_that_took_the_row_has_none_of_the_messages_before() -> None:
    tables, _ = filled([twin.Found(0, 0, 0, 0)] * 3)
    tables.flows["stream_id"][0] = 5
    numbers, oldest = np.zeros(4, np.uint64), np.zeros(1, np.uint64)
    spans = np.array([0, 10, 0, 10], np.uint64)
    assert list_messages(tables.columns, 0, 0, spans, numbers, oldest) == 0


def test_numbers_beyond_32_bits() -> None:
    tables, _ = filled([])
    tables.state[s.MESSAGES] = (1 << 32) - 2
    for start in range(4):
        add_message(tables, 1, start=start)
    numbers, oldest = np.zeros(8, np.uint64), np.zeros(1, np.uint64)
    spans = np.array([0, 10, 0, 10], np.uint64)
    assert list_messages(tables.columns, 1, 0, spans, numbers, oldest) == 2
    assert numbers[:2].tolist() == [(1 << 32) + 1, 1 << 32]
