"""A full flow table lets go what was not seen for longest, and remembers the flows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.columns import EVENT_CLOSE, EVENT_KINDS
from shared.flow_key import FlowKey
from tests.reference.lifetime import FlowTable, Teller
from tests.reference.streams import Packet
from tests.shard_harness import (
    ShardRun,
    check_events,
    check_totals,
    ends,
    readable,
    rows_of,
    small,
)

UDP = 17


def datagram(flow: int, now_ns: int, length: int = 5) -> Packet:
    src, dst = ends("10.0.0.1", 1000 + flow), ends("10.9.9.9", 9999)
    return Packet(src, dst, b"x" * length, UDP, 0, ts_ns=now_ns)


def stream_id(flow: int, incarnation: int) -> int:
    packet = datagram(flow, 0)
    return FlowKey.of(UDP, packet.src, packet.dst)[0].stream_id(incarnation)


@pytest.mark.property
@given(
    st.lists(st.lists(st.integers(0, 40), max_size=40), max_size=6),
    st.sampled_from((1, 2, 7, 16, 33)),
    st.sampled_from(((1 << 64) - 1, 0, 7, 1 << 33)),
)
def test_the_longest_unseen_go(batches: list[list[int]], rows: int, hashed: int) -> None:
    """hashed: bits that hashes have; with few of them all flows meet in the index."""
    run, twin, now_ns = ShardRun(small(max_flows=rows)), FlowTable(rows), 0
    for batch in batches:
        packets = []
        for flow in batch:
            now_ns += 1
            packets.append(datagram(flow, now_ns))
            twin.see(flow, now_ns)
        columns, payload = rows_of(packets)
        columns["hash"] &= np.uint64(hashed)
        run.take_rows(columns, payload, now_ns)
        gone = [readable(event) for event in run.events(EVENT_CLOSE)]
        assert [event["stream_id"] for event in gone] == [stream_id(*old) for old in twin.evicted]
        assert all(event["reason"] == "evicted" for event in gone)
        for flow, (incarnation, _) in twin.present.items():
            assert run.row(stream_id(flow, incarnation)) < rows
    run.finish()
    check_events(run)
    check_totals(run)
    assert run.stats()["flows_evicted"] == len(twin.evicted)
    assert set(run.final()) == {
        stream_id(flow, incarnation)
        for flow, incarnation in [
            *twin.evicted,
            *((flow, incarnation) for flow, (incarnation, _) in twin.present.items()),
        ]
    }


@pytest.mark.property
@given(
    st.lists(st.lists(st.integers(0, 300), min_size=1, max_size=9), min_size=1, max_size=30),
    st.sampled_from((1, 5, 64)),
    st.sampled_from((1, 700, 65536)),
)
def test_updates_are_throttled(
    batches: list[list[int]], update_packets: int, update_bytes: int
) -> None:
    """Datagrams without payload change nothing but the numbers."""
    run = ShardRun(small(stream_update_packets=update_packets, stream_update_bytes=update_bytes))
    twin, packets, octets = Teller(update_packets, update_bytes), 0, 0
    wanted = []
    for batch in batches:
        sent = [
            Packet(ends("10.0.0.1", 7), ends("10.0.0.2", 9), b"", UDP, 0, wire=length)
            for length in batch
        ]
        run.take(sent)
        packets, octets = packets + len(sent), octets + sum(packet.wirelen for packet in sent)
        wanted.append(twin.after_batch(packets, octets))
    told = [EVENT_KINDS[event["kind"]] for event in run.events()]
    assert told == [kind for kind in wanted if kind]
