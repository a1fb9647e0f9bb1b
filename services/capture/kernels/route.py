"""From decoded packets to the batch of one shard: its rows and the payload they point into."""

import numpy as np

from shared.columns import PARSED, U8, OutPackets, OutU8, OutU64, Packets
from shared.kernels import kernel
from shared.kernels.flow_hash import shard_of


@kernel
def gather(
    packets: Packets,
    start: int,
    data: U8,
    shard: int,
    shards: int,
    rows: OutPackets,
    payload: OutU8,
    fill: OutU64,
) -> int:
    """Append packets [start, …) of one shard to its batch; returns the first that did not fit.

    rows, payload: room of the batch; fill: (2,) rows and bytes used so far. Only packets that were
    decoded go on. A payload longer than a whole batch is cut, as a snap length would.
    """
    row, at = fill[0], fill[1]
    rows_max, bytes_max = np.uint64(rows.size), np.uint64(payload.size)
    stop = packets.size
    for i in range(start, packets.size):
        packet = packets[i]
        if packet.status != PARSED or (
            shards > 1 and shard_of(packet.hash, np.uint64(shards)) != np.uint64(shard)
        ):
            continue
        length = min(np.uint64(packet.payload_len), bytes_max)
        if row >= rows_max or at + length > bytes_max:
            stop = i
            break
        rows[row] = packet
        rows[row].payload_off = np.uint32(at)
        rows[row].payload_len = np.uint32(length)
        source = np.uint64(packet.payload_off)
        for k in range(length):
            payload[at + np.uint64(k)] = data[source + np.uint64(k)]
        at += length
        row += np.uint64(1)
    fill[0], fill[1] = row, at
    return stop
