"""Counting streams: by a code that each one was given, by what they are, by their patterns.

A *code* is a small number, such as the bucket of time in which a stream began; what is not to be
counted has one behind all others. On 1 M streams with a match each these take 3 ms for a timeline;
numpy's `bincount`, with what it wants gathered before, 13 to 20.
"""

import numpy as np

from services.coordinator.kernels.inventory import SMALL
from services.coordinator.kernels.matches import PairColumns
from shared.columns import EVENT, U16, U32, U64, OutU64
from shared.kernels import kernel

assert EVENT.fields is not None
# where the bytes of a stream's two SMALL words are, from the lowest
PROTO, STATUS, SERVICE, CONTENT = (
    EVENT.fields[name][1] - 8 * SMALL for name in ("proto", "status", "service", "content_kind")
)
assert PROTO < 8 <= min(STATUS, SERVICE, CONTENT)
PROTO_SHIFT = np.uint64(8 * PROTO)
STATUS_SHIFT, SERVICE_SHIFT, CONTENT_SHIFT = (
    np.uint64(8 * (at - 8)) for at in (STATUS, SERVICE, CONTENT)
)
ONE, TWO, BYTE = np.uint64(1), np.uint64(2), np.uint64(255)
VALUES = 256  # of a byte


@kernel
def tally_times(codes: U16, octets: U64, streams: OutU64, sums: OutU64) -> int:
    """Streams and their bytes by code; returns how many streams there are.

    codes: (n,), each below streams.size. octets: (2n,), of both directions. The rest is added to.
    """
    for i in range(codes.size):
        at, code = np.uint64(i), np.uint64(codes[i])
        streams[code] += ONE
        sums[code] += octets[TWO * at] + octets[TWO * at + ONE]
    return codes.size


@kernel
def tally_kinds(
    codes: U16,
    width: int,
    small: U64,
    protocols: OutU64,
    statuses: OutU64,
    contents: OutU64,
    services: OutU64,
) -> int:
    """Streams by protocol, status, content kind, and by service and code; returns how many.

    codes: (n,), those below `width` count. small: (2n,), SMALL words of each stream. protocols,
    statuses, contents: (VALUES,). services: (VALUES * width,), the codes of a service together. All
    are added to.
    """
    total = 0
    wide = np.uint64(width)
    for i in range(codes.size):
        code = np.uint64(codes[i])
        if code >= wide:
            continue
        at = TWO * np.uint64(i)
        first, second = small[at], small[at + ONE]
        protocols[(first >> PROTO_SHIFT) & BYTE] += ONE
        statuses[(second >> STATUS_SHIFT) & BYTE] += ONE
        contents[(second >> CONTENT_SHIFT) & BYTE] += ONE
        services[((second >> SERVICE_SHIFT) & BYTE) * wide + code] += ONE
        total += 1
    return total


@kernel
def tally_pairs(
    c: PairColumns, high: int, codes: U16, width: int, lines: U32, cells: OutU64
) -> int:
    """Streams with a match by pattern and code; returns how many pairs of both were counted.

    high: pairs of the pool that were ever used. codes: (slots,), those below `width` count. lines:
    1 + line of each pattern, 0 = not to be counted; patterns that are not in it are not either.
    cells: (number of lines * width,), added to.
    """
    total = 0
    wide = np.uint64(width)
    for i in range(high):
        pattern = np.uint64(c.pattern[np.uint64(i)])
        if pattern >= np.uint64(lines.size) or lines[pattern] == 0:
            continue
        code = np.uint64(codes[np.uint64(c.slot[np.uint64(i)])])
        if code < wide:
            cells[(np.uint64(lines[pattern]) - ONE) * wide + code] += ONE
            total += 1
    return total
