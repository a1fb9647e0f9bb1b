"""Packets become the batches of their shards as the twin says, whatever the batches' size."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.capture.kernels.route import gather
from shared.columns import MALFORMED, PACKET, PARSED
from tests.reference import route as reference


@pytest.mark.property
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, (1 << 64) - 1), st.binary(max_size=30))),
    st.sampled_from((1, 2, 3, 4, 64)),
    st.integers(1, 9),
    st.integers(1, 60),
)
def test_batches(
    packets: list[tuple[bool, int, bytes]], shards: int, rows_max: int, octets_max: int
) -> None:
    data = np.frombuffer(b"..".join([b"", *(payload for _, _, payload in packets)]) + b"..", "u1")
    rows = np.zeros(len(packets), PACKET)
    rows["status"] = [PARSED if decoded else MALFORMED for decoded, _, _ in packets]
    rows["hash"] = [hash64 for _, hash64, _ in packets]
    rows["payload_len"] = [len(payload) for _, _, payload in packets]
    rows["payload_wire"] = rows["payload_len"] + 1
    rows["payload_off"] = np.cumsum(rows["payload_len"] + 2) - rows["payload_len"]
    rows["seq"] = np.arange(rows.size)
    for shard in range(shards):
        slot, payload = np.zeros(rows_max, PACKET), np.zeros(octets_max, np.uint8)
        fill, at, result = np.zeros(2, np.uint64), 0, []
        while True:
            at = gather(rows, at, data, shard, shards, slot, payload, fill)
            count, used = fill.tolist()
            batch = slot[:count].copy()
            assert used == batch["payload_len"].sum()
            assert (batch["payload_wire"] == rows["payload_wire"][batch["seq"]]).all()
            result.append(
                [
                    (int(row["seq"]), payload[row["payload_off"] :][: row["payload_len"]].tobytes())
                    for row in batch
                ]
            )
            fill[:] = 0
            if at == rows.size:
                break
        assert result == reference.batches(packets, shard, shards, rows_max, octets_max)


def test_flows_are_spread_evenly() -> None:
    rng = random.Random(5)
    rows = np.zeros(4000, PACKET)
    rows["hash"] = [rng.getrandbits(64) for _ in range(rows.size)]
    slot, payload, nothing = np.zeros(4000, PACKET), np.zeros(1, np.uint8), np.zeros(0, np.uint8)
    for shard in range(4):
        fill = np.zeros(2, np.uint64)
        assert gather(rows, 0, nothing, shard, 4, slot, payload, fill) == rows.size
        assert 800 < fill[0] < 1200
