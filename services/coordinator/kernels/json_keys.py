"""What lines of JSON are made of that is known beforehand: keys, and names of what has a number.

The gain over a dict and json.dumps is in `put`: its length is known when it is compiled, so a key
becomes a few stores of constants.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.kernels import inlined

NAME_BYTES = 16
ONE, NAME_STRIDE = np.uint64(1), np.uint64(NAME_BYTES)

KEYS = (
    '{"ts_us":',
    ',"event":',
    ',"stream_id_hex":"',
    '","protocol":',
    ',"src":{"addr":"',
    '","port":',
    '},"dst":{"addr":"',
    '},"status":',
    ',"reason":',
    ',"service":',
    ',"content_kind":',
    ',"client":"a","packets":',
    ',"client":"b","packets":',
    ',"bytes":',
    ',"payload_bytes":',
    ',"stream_bytes":',
    ',"gaps":',
    ',"gap_bytes":',
    ',"conflicts":',
    ',"retransmissions":',
    ',"first_seen_us":',
    ',"last_seen_us":',
    ',"directions":{"a_to_b":{"packets":',
    '},"b_to_a":{"packets":',
    '}},"incarnation":',
    "}\n",
    "::ffff:",
    ',"event":"message","stream_id_hex":"',
    ',"message_protocol":',
    ',"kind":',
    ',"direction":"a_to_b","ordinal":',
    ',"direction":"b_to_a","ordinal":',
    ',"note":',
    ',"summary":"',
    ',"start":',
    ',"end":',
    ',"header_start":',
    ',"header_end":',
    ',"body_start":',
    ',"body_end":',
    ',"pair_id":',
    "null",
    '"',
    ',"detail":{"host":"',
    ',"detail":{"status_code":',
    ',"content_length":',
    ',"detail":{"id":',
    ',"name":"',
    ',"detail":{"sni":"',
    ',"detail":{"opcode":',
    ',"length":',
    ',"detail":{"name":"',
    "}}\n",
    "\\u00",
    "\\ufffd",
    '},"message_id":"',
    ',"status":',
    '"}}\n',
    ',"event":"pattern_match","stream_id_hex":"',
    '},"pattern_id":',
    ',"pattern_name":',
    ',"direction":"a_to_b","start":',
    ',"direction":"b_to_a","start":',
    ',"text":',
    ',"base64":"',
    '"}\n',
    '""',
)
STARTS = [sum(len(key) for key in KEYS[:i]) for i in range(len(KEYS))]
POOL = np.frombuffer("".join(KEYS).encode(), np.uint8)
(
    TS,
    KIND,
    STREAM_ID,
    PROTOCOL,
    SRC,
    PORT,
    DST,
    STATUS,
    REASON,
    SERVICE,
    CONTENT_KIND,
    CLIENT_A,
    CLIENT_B,
    BYTES,
    PAYLOAD_BYTES,
    STREAM_BYTES,
    GAPS,
    GAP_BYTES,
    CONFLICTS,
    RETRANSMISSIONS,
    FIRST_SEEN,
    LAST_SEEN,
    A_TO_B,
    B_TO_A,
    INCARNATION,
    END,
    MAPPED,
    MESSAGE_EVENT,
    MESSAGE_PROTOCOL,
    MESSAGE_KIND,
    ORDINAL_A,
    ORDINAL_B,
    NOTE,
    SUMMARY,
    START,
    STOP,
    HEADER_START,
    HEADER_END,
    BODY_START,
    BODY_END,
    PAIR_ID,
    NULL,
    QUOTE,
    HOST,
    STATUS_CODE,
    CONTENT_LENGTH,
    DNS_ID,
    DNS_NAME,
    SNI,
    OPCODE,
    LENGTH,
    NAME,
    CLOSE,
    ESCAPE,
    NO_CHARACTER,
    MESSAGE_ID,
    MESSAGE_STATUS,
    CLOSE_TEXT,
    MATCH_EVENT,
    PATTERN_ID,
    PATTERN_NAME,
    START_A,
    START_B,
    TEXT,
    BASE64,
    CLOSE_LINE,
    EMPTY,
) = [(start, len(key)) for start, key in zip(STARTS, KEYS, strict=True)]


def name_table(names: list[str | None]) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
    """JSON forms of names, 16 bytes each, and their lengths; the last one stands for any other."""
    texts = ["null" if name is None else f'"{name}"' for name in names]
    assert max(map(len, texts)) <= NAME_BYTES
    padded = "".join(text.ljust(NAME_BYTES) for text in texts).encode()
    return np.frombuffer(padded, np.uint8), np.array([len(text) for text in texts], np.uint64)


@inlined
def put(out: Any, at: Any, piece: Any) -> Any:
    """One key."""
    start, length = np.uint64(piece[0]), np.uint64(piece[1])
    for i in range(length):
        out[at + np.uint64(i)] = POOL[start + np.uint64(i)]
    return at + length


@inlined
def put_name(out: Any, at: Any, names: Any, lengths: Any, which: Any) -> Any:
    """A name from a table; one that the table does not have is its last."""
    row = min(np.uint64(which), np.uint64(lengths.size) - ONE)
    for i in range(NAME_STRIDE):
        out[at + np.uint64(i)] = names[row * NAME_STRIDE + np.uint64(i)]
    return at + lengths[row]
