"""MATCH rows to JSON lines: the keys that every line has, then the match's own."""

from typing import Any

import numpy as np

from services.coordinator.kernels.json_keys import (
    BASE64,
    CLOSE_LINE,
    EMPTY,
    MATCH_EVENT,
    MESSAGE_KIND,
    NULL,
    PATTERN_ID,
    PATTERN_NAME,
    QUOTE,
    START_A,
    START_B,
    STOP,
    TEXT,
    TS,
    name_table,
    put,
    put_name,
)
from services.coordinator.kernels.json_text import (
    ONE,
    ZERO,
    is_text,
    put_base64,
    put_ends,
    put_id,
    put_number,
    put_text,
    put_us,
)
from shared.columns import (
    MATCH_BYTES,
    PATTERN_KINDS,
    U8,
    U32,
    Endpoints,
    Matches,
    OutU8,
)
from shared.kernels import inlined, kernel

NAME_MAX = 512  # bytes of a pattern's name as JSON; longer ones are cut by the caller
# text that is all escaped, the same as base64, a name, and the longest keys and numbers
MATCH_LINE_MAX = 6 * MATCH_BYTES + 2 * MATCH_BYTES + NAME_MAX + 768

KINDS, KIND_LENGTHS = name_table([*PATTERN_KINDS, "unknown"])


@inlined
def put_pattern(out: Any, at: Any, pattern: Any, ids: Any, starts: Any, names: Any) -> Any:
    """The pattern's name, found by its id."""
    low, high = ZERO, np.uint64(ids.size)
    while low < high:
        middle = (low + high) >> ONE
        if ids[middle] < pattern:
            low = middle + ONE
        else:
            high = middle
    if low >= np.uint64(ids.size) or ids[low] != pattern:
        return put(out, at, EMPTY)
    begin, end = np.uint64(starts[low]), np.uint64(starts[low + ONE])
    for i in range(end - begin):
        out[at + np.uint64(i)] = names[begin + np.uint64(i)]
    return at + (end - begin)


@kernel
def format_matches(
    matches: Matches,
    ends: Endpoints,
    octets: U8,
    ids: U32,
    starts: U32,
    names: U8,
    out: OutU8,
) -> int:
    """Write one line for every match; returns the bytes written.

    matches, ends: (n,) any values. octets: what matches point into; what points out of it has no
    bytes. ids: (p,) of patterns, ascending; starts: (p + 1,) where in `names` the JSON strings of
    their names begin, of at most NAME_MAX bytes each. out: room for n * MATCH_LINE_MAX bytes.
    """
    at = ZERO
    for i in range(matches.size):
        match = matches[i]
        begin, length, size = np.uint64(match.off), np.uint64(match.len), np.uint64(octets.size)
        if begin > size or length > size - begin or length > np.uint64(MATCH_BYTES):
            begin, length = ZERO, ZERO
        at = put_us(out, put(out, at, TS), match.ts_ns)
        at = put_id(out, put(out, at, MATCH_EVENT), match.stream_id)
        at = put_ends(out, at, ends[i])
        at = put_number(out, put(out, at, PATTERN_ID), np.uint64(match.pattern))
        at = put_pattern(out, put(out, at, PATTERN_NAME), match.pattern, ids, starts, names)
        at = put_name(out, put(out, at, MESSAGE_KIND), KINDS, KIND_LENGTHS, match.kind)
        if match.dir == 0:
            at = put(out, at, START_A)
        else:
            at = put(out, at, START_B)
        at = put_number(out, at, match.start)
        at = put_number(out, put(out, at, STOP), match.end)
        at = put(out, at, TEXT)
        if is_text(octets, begin, length):
            at = put_text(out, put(out, at, QUOTE), octets, begin, length)
            at = put(out, at, QUOTE)
        else:
            at = put(out, at, NULL)
        at = put_base64(out, put(out, at, BASE64), octets, begin, length)
        at = put(out, at, CLOSE_LINE)
    return int(at)
