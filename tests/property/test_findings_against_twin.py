"""What analyzers are given, and what they say, against the twins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shard.kernels import state as s
from services.shard.kernels.findings import add_finding, copy_octets, pick_groups
from services.shard.tables import Tables
from shared.columns import MESSAGE_TEXT_MAX, SERVICES
from tests.messages import Said, conversation, rows
from tests.reference import findings as twin
from tests.shard_harness import ShardRun, small

pytestmark = pytest.mark.property

ROWS = 8
NAMES = st.sampled_from(("", "http", "ssh", "dns"))
PORTS = st.integers(20, 25)
STREAMS = st.tuples(NAMES, PORTS, PORTS)


@given(
    st.lists(STREAMS, min_size=ROWS, max_size=ROWS),
    st.lists(st.integers(0, ROWS - 1), max_size=40),
    st.sets(NAMES.filter(bool)),
    st.sets(PORTS),
    st.sets(st.integers(0, ROWS - 1)),
)
def test_pick_groups(
    streams: list[tuple[str, int, int]],
    groups: list[int],
    services: set[str],
    ports: set[int],
    done: set[int],
) -> None:
    tables = Tables(small(), 1)
    for row, (name, a, b) in enumerate(streams):
        flow = tables.flows[row]
        flow["service"], flow["port_a"], flow["port_b"] = SERVICES.index(name), a, b
        flow["stream_id"] = 1000 + row
    tables.groups["flow"][: len(groups)] = groups
    tables.state[s.GROUPS] = len(groups)
    wanted, by_port = np.zeros(256, np.uint8), np.zeros(65536 if ports else 0, np.uint8)
    wanted[[SERVICES.index(name) for name in services]] = 1
    by_port[list(ports)] = 1
    seen, picked = np.zeros(tables.flows.size, np.uint64), np.zeros(len(groups), np.uint32)
    for row in done:
        seen[row] = 1000 + row
    count = pick_groups(tables.columns, wanted, by_port, seen, picked)
    assert picked[:count].tolist() == twin.pick_groups(
        groups,
        {row: name for row, (name, _, _) in enumerate(streams)},
        {row: (a, b) for row, (_, a, b) in enumerate(streams)},
        (services, ports),
        done,
    )


PIECES = st.tuples(st.integers(0, 1), st.binary(max_size=40), st.sampled_from((0, 0, 0, 1, 9)))


@given(
    st.lists(PIECES, max_size=8).map(lambda them: [Said(*one) for one in them]),
    st.sets(st.integers(1, 10)),
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 200), st.integers(0, 60)), max_size=9),
)
def test_copy_octets(said: list[Said], cuts: set[int], asked: list[tuple[int, int, int]]) -> None:
    run = ShardRun()
    run.take_in_batches(conversation(said, 9999), cuts)
    run.finish()
    kept: tuple[dict[int, int], dict[int, int]] = {}, {}
    ends = [0, 0]
    for one in said:
        kept[one.side].update(enumerate(one.octets, ends[one.side]))
        ends[one.side] += len(one.octets) + one.lost
    for side, start, length in asked:
        whole = copy_octets(run.tables.columns, 0, side, start, start + length)
        found = run.tables.unit[:length].tobytes() if whole else None
        assert found == twin.copy_octets(kept[side], start, start + length)


TEXTS = st.binary(max_size=30) | st.binary(min_size=500, max_size=MESSAGE_TEXT_MAX)


@given(st.lists(st.tuples(TEXTS, st.integers(0, MESSAGE_TEXT_MAX)), max_size=12))
def test_add_finding(texts: list[tuple[bytes, int]]) -> None:
    most = 8
    run, told = ShardRun(small(max_parser_messages_per_chunk=most)), list[bytes]()
    run.take(conversation([Said(0, b"x")], 9999))
    run.tables.state[s.IN_GROUP] = 0
    for at, (text, name) in enumerate(texts):
        octets = np.frombuffer(text, np.uint8)
        took = add_finding(run.tables.columns, 0, 1, at, at + 3, 77, octets, min(name, len(text)))
        assert took == twin.add_finding(told, text, most)
    run.finish()
    found = rows(run)
    assert [row.summary + row.name for row in found] == told
    for row, (at, (text, name)) in zip(found, enumerate(texts), strict=False):
        assert (row.protocol, row.kind, row.side, row.status) == (
            "analyzer",
            "finding",
            1,
            "complete",
        )
        assert (row.start, row.end, row.header_end, row.ts_ns) == (at, at + 3, at + 3, 77)
        assert len(row.name) == min(name, len(text))
    assert run.stats()["messages_over_limit"] == len(texts) - len(told)
