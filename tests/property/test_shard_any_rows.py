"""Whatever rows come, the shard keeps its bounds and promises: no exception, all accounted for."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.shard.kernels import state as s
from shared.columns import LIVE, PACKET
from tests.reference.streams import ACK, FIN, RST, SYN
from tests.shard_harness import Batch, ShardRun, check_events, check_totals, small

FLAGS = (ACK, ACK, ACK, ACK, SYN, SYN | ACK, FIN | ACK, RST, 0, 255)
PROTOCOLS = (6, 6, 6, 6, 17, 1, 58, 0, 255)
SIZES = (0, 1, 7, 64, 300, 1500, 70000)


def any_rows(rng: random.Random, count: int, flows: int, wild: float) -> Batch:
    """Rows of a few flows; each field is sensible, or with probability `wild` any number."""
    payload = np.frombuffer(rng.randbytes(rng.choice((0, 100, 5000, 80000))), np.uint8)
    rows = np.zeros(count, PACKET)
    for row in rows:
        flow, size = rng.randrange(flows), min(rng.choice(SIZES), payload.size)
        row["addr_a_lo"], row["addr_b_lo"], row["port_a"], row["port_b"] = flow, 9, flow % 3, 443
        row["proto"], row["family"] = PROTOCOLS[flow % len(PROTOCOLS)], (4, 6, 9)[flow % 3]
        row["hash"] = (flow * 0x9E3779B97F4A7C15) & (1 << 64) - 1 if flow % 4 else 0
        row["ts_ns"] = rng.randrange(20) * 300_000_000
        row["seq"] = rng.choice((0, 0xFFFFFF00)) + rng.randrange(256)
        row["ack"] = rng.choice((0, 0xFFFFFF00)) + rng.randrange(256)
        row["payload_off"] = rng.randrange(payload.size - size + 1)
        row["payload_len"], row["payload_wire"] = size, size + rng.choice((0, 0, 0, 5, 3000))
        row["wirelen"], row["flags"], row["dir"] = 60 + size, rng.choice(FLAGS), rng.randrange(2)
        if rng.random() < wild:
            name = rng.choice(
                ("ts_ns", "seq", "ack", "payload_off", "payload_len", "payload_wire", "wirelen",
                 "flags", "dir", "status", "tunnels", "source")
            )  # fmt: skip
            field = PACKET[name]
            row[name] = np.frombuffer(rng.randbytes(field.itemsize), field)[0]
    return rows, payload


def tight(rng: random.Random) -> dict[str, Any]:
    """Settings whose bounds are hit all the time."""
    return {
        "max_flows": rng.choice((1, 2, 3, 16, 300)),
        "batch_size": rng.choice((1, 3, 64)),
        "max_stream_content_bytes": rng.choice((0, 4096, 5000, 70000, 1 << 20)),
        "max_stream_content_bytes_per_stream": rng.choice((0, 100, 1 << 20)),
        "max_tcp_out_of_order_segments_per_direction": rng.choice((0, 1, 5, 128)),
        "max_tcp_buffered_bytes_per_flow": rng.choice((0, 2000, 1 << 20)),
        "flow_idle_timeout_ms": rng.choice((1, 1000, 120000)),
        "stream_update_packets": rng.choice((1, 5, 64)),
        "disable_stream_content": rng.random() < 0.1,
    }


def check_content(run: ShardRun) -> None:
    """Every stream of the table can be read, and what is read is within its bounds."""
    tables = run.tables
    for row in np.flatnonzero(tables.flows["marks"] & LIVE):
        for side in (0, 1):
            window = run.reader.window(int(row), side, 0, 1 << 62)
            edges = [edge for segment in window.segments for edge in segment]
            assert edges == sorted(set(edges)), "segments overlap, touch, or are out of order"
            assert sum(high - low for low, high in window.segments) == len(window.data)
            assert not edges or edges[-1] <= window.end_of_stream
            assert len(window.data) <= tables.config[s.STREAM_CAP]
            assert len(window.data) <= tables.budget


def check_state(run: ShardRun) -> None:
    """Nothing is left over from the batch, and no table is fuller than it can be."""
    state, tables = run.tables.state, run.tables
    assert state[s.GROUPS] == state[s.CHUNKS] == state[s.DIRTY] == 0
    assert not tables.flows["group"].any()
    assert state[s.USED_ROWS] <= tables.flows.size
    assert state[s.RESERVED_NODES] == sum(tables.dirs["held_count"].tolist())
    indexed = np.count_nonzero(tables.slots)
    assert indexed <= int(state[s.USED_ROWS]) - int(state[s.FREE_ROWS])


def run_any(seed: int, wild: float) -> tuple[ShardRun, int]:
    rng = random.Random(seed)
    run, given_rows = ShardRun(small(**tight(rng))), 0
    flows, now_ns = rng.choice((1, 3, 10, 40)), 0
    for _ in range(rng.randrange(1, 6)):
        rows, payload = any_rows(rng, rng.choice((0, 1, 20, 150)), flows, wild)
        given_rows += rows.size
        now_ns = int(rows["ts_ns"].max(initial=0)) if rng.random() < 0.8 else rng.randrange(1 << 40)
        run.take_rows(rows, payload, now_ns)
        check_state(run)
        check_content(run)
    run.finish()
    check_state(run)
    check_content(run)
    return run, given_rows


@pytest.mark.property
@given(st.integers(0, 1 << 32), st.sampled_from((0, 0.05, 0.5)))
def test_any_rows(seed: int, wild: float) -> None:
    run, given_rows = run_any(seed, wild)
    stats = run.stats()
    check_events(run)
    check_totals(run)
    assert stats["packets"] + stats["malformed_rows"] == given_rows
    if not wild:
        assert stats["malformed_rows"] == 0


@pytest.mark.property
@given(st.integers(0, 1 << 32))
def test_any_bytes_as_rows(seed: int) -> None:
    rng = random.Random(seed)
    run, given_rows = ShardRun(small(**tight(rng))), 0
    for _ in range(rng.randrange(1, 4)):
        rows = as_rows(rng.randbytes(PACKET.itemsize * rng.randrange(60)))
        payload = np.frombuffer(rng.randbytes(rng.randrange(3000)), np.uint8)
        given_rows += rows.size
        run.take_rows(rows, payload, rng.randrange(1 << 60))
        check_state(run)
    run.finish()
    stats = run.stats()
    check_events(run)
    assert stats["packets"] + stats["malformed_rows"] == given_rows


def as_rows(octets: bytes) -> NDArray[np.void]:
    """Every second row is made to lie in its payload, or nearly none would."""
    rows = np.frombuffer(octets, PACKET).copy()
    half = rows[::2]
    half["payload_off"] %= 100
    half["payload_len"] %= 100
    half["payload_wire"] = half["payload_len"]
    half["dir"] &= 1
    return rows
