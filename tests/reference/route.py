"""Which packets go to which shard, and what a batch has room for: the twin of `gather`."""

from collections.abc import Sequence

from tests.reference.flow_hash import shard_of


def batches(
    packets: Sequence[tuple[bool, int, bytes]], shard: int, shards: int, rows: int, octets: int
) -> list[list[tuple[int, bytes]]]:
    """Full batches of one shard, the last one perhaps not full: packet number and payload.

    packets: whether it was decoded, hash of its flow, payload. rows, octets: room of a batch; a
    payload that is longer than that is cut.
    """
    result: list[list[tuple[int, bytes]]] = [[]]
    for number, (decoded, hash64, payload) in enumerate(packets):
        if not decoded or shard_of(hash64, shards) != shard:
            continue
        payload = payload[:octets]
        used = sum(len(other) for _, other in result[-1])
        if len(result[-1]) == rows or used + len(payload) > octets:
            result.append([])
        result[-1].append((number, payload))
    return result
