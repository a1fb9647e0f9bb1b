"""The hash of a flow key: the same for both directions, strong in its high and its low half.

The high half chooses the shard, the low half the slot in the shard's table, so neither may say
anything about the other. Each endpoint is mixed by itself and the two are added: an XOR of
addresses puts all flows of a sequential pair of subnets on one shard.
"""

import numpy as np

from shared.kernels import inlined

PORT, HIGH, ENDPOINT = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xD6E8FEB86659FD93),
    np.uint64(0xFF51AFD7ED558CCD),
)
# the finaliser of SplitMix64, https://prng.di.unimi.it/splitmix64.c
FINAL_1, FINAL_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@inlined
def _endpoint(addr_hi: np.uint64, addr_lo: np.uint64, port: np.uint64) -> np.uint64:
    x = (addr_hi + port * PORT) * HIGH + addr_lo
    x = (x ^ (x >> 32)) * ENDPOINT
    return x ^ (x >> 29)


@inlined
def flow_hash(
    addr_a_hi: np.uint64,
    addr_a_lo: np.uint64,
    port_a: np.uint64,
    addr_b_hi: np.uint64,
    addr_b_lo: np.uint64,
    port_b: np.uint64,
    proto: np.uint64,
) -> np.uint64:
    """64 bits of a flow key; the endpoints may come in either order. All arguments uint64."""
    x = _endpoint(addr_a_hi, addr_a_lo, port_a) + _endpoint(addr_b_hi, addr_b_lo, port_b)
    x += proto * PORT
    x = (x ^ (x >> 30)) * FINAL_1
    x = (x ^ (x >> 27)) * FINAL_2
    return x ^ (x >> 31)


@inlined
def shard_of(value: np.uint64, shards: np.uint64) -> np.uint64:
    """Which of `shards` (1 to 2^32) owns a flow of this hash. All arguments uint64."""
    return ((value >> 32) * shards) >> 32
