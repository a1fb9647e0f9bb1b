"""EVENT rows to JSON lines.

The keys and their order are the contract of the output file: `ts_us, event, stream_id_hex,
protocol, src, dst`, then what is the event's own. `src` is the client, `dst` the server.
"""

from typing import Any

import numpy as np

from services.coordinator.kernels.json_keys import (
    A_TO_B,
    B_TO_A,
    BYTES,
    CLIENT_A,
    CLIENT_B,
    CONFLICTS,
    CONTENT_KIND,
    END,
    FIRST_SEEN,
    GAP_BYTES,
    GAPS,
    INCARNATION,
    KIND,
    LAST_SEEN,
    PAYLOAD_BYTES,
    REASON,
    RETRANSMISSIONS,
    SERVICE,
    STATUS,
    STREAM_BYTES,
    STREAM_ID,
    TS,
    name_table,
    put,
    put_name,
)
from services.coordinator.kernels.json_text import (
    ZERO,
    put_ends,
    put_id,
    put_number,
    put_us,
)
from shared.columns import (
    CONTENT_KINDS,
    EVENT_CLOSE,
    EVENT_KINDS,
    EVENT_OPEN,
    I64,
    REASONS,
    SERVICES,
    STATUSES,
    Events,
    OutU8,
)
from shared.kernels import inlined, kernel

LINE_MAX = 1536  # bytes of the longest line, with room for the copies of 16 bytes to run over

KIND_NAMES, KIND_LENGTHS = name_table([*EVENT_KINDS, "stream_update"])
STATUS_NAMES, STATUS_LENGTHS = name_table([*STATUSES, "unknown"])
REASON_NAMES, REASON_LENGTHS = name_table([name or None for name in (*REASONS, "")])
SERVICE_NAMES, SERVICE_LENGTHS = name_table([name or None for name in (*SERVICES, "")])
CONTENT_NAMES, CONTENT_LENGTHS = name_table([*CONTENT_KINDS, "unknown"])


@inlined
def put_direction(out: Any, at: Any, event: Any, side: Any) -> Any:
    """The numbers of one direction."""
    at = put_number(out, at, np.uint64(event["packets"][side]))
    at = put_number(out, put(out, at, BYTES), event["bytes"][side])
    at = put_number(out, put(out, at, PAYLOAD_BYTES), event["payload_bytes"][side])
    at = put_number(out, put(out, at, STREAM_BYTES), event["stream_bytes"][side])
    at = put_number(out, put(out, at, GAPS), np.uint64(event["gaps"][side]))
    at = put_number(out, put(out, at, GAP_BYTES), event["gap_bytes"][side])
    kind = event["content_kind"][side + 1]
    return put_name(out, put(out, at, CONTENT_KIND), CONTENT_NAMES, CONTENT_LENGTHS, kind)


@inlined
def both(pair: Any) -> Any:
    """The sum over both directions."""
    return np.uint64(pair[0]) + np.uint64(pair[1])


@inlined
def put_head(out: Any, at: Any, event: Any) -> Any:
    """The keys that every line has."""
    kind = event["kind"]
    ns = event["first_ns"] if kind == EVENT_OPEN else event["last_ns"]
    at = put_us(out, put(out, at, TS), ns)
    at = put_name(out, put(out, at, KIND), KIND_NAMES, KIND_LENGTHS, kind)
    at = put_id(out, put(out, at, STREAM_ID), event["stream_id"])
    return put_ends(out, at, event)


@inlined
def put_totals(out: Any, at: Any, event: Any) -> Any:
    """The stream's own keys."""
    at = put_name(out, put(out, at, STATUS), STATUS_NAMES, STATUS_LENGTHS, event["status"])
    if event["kind"] == EVENT_CLOSE:
        at = put_name(out, put(out, at, REASON), REASON_NAMES, REASON_LENGTHS, event["reason"])
    at = put_name(out, put(out, at, SERVICE), SERVICE_NAMES, SERVICE_LENGTHS, event["service"])
    kind = event["content_kind"][0]
    at = put_name(out, put(out, at, CONTENT_KIND), CONTENT_NAMES, CONTENT_LENGTHS, kind)
    if event["client"] == 0:
        at = put(out, at, CLIENT_A)
    else:
        at = put(out, at, CLIENT_B)
    at = put_number(out, at, both(event["packets"]))
    at = put_number(out, put(out, at, BYTES), both(event["bytes"]))
    at = put_number(out, put(out, at, PAYLOAD_BYTES), both(event["payload_bytes"]))
    at = put_number(out, put(out, at, STREAM_BYTES), both(event["stream_bytes"]))
    at = put_number(out, put(out, at, GAPS), both(event["gaps"]))
    at = put_number(out, put(out, at, GAP_BYTES), both(event["gap_bytes"]))
    at = put_number(out, put(out, at, CONFLICTS), both(event["conflicts"]))
    at = put_number(out, put(out, at, RETRANSMISSIONS), both(event["retransmissions"]))
    at = put_us(out, put(out, at, FIRST_SEEN), event["first_ns"])
    return put_us(out, put(out, at, LAST_SEEN), event["last_ns"])


@kernel
def format_events(events: Events, picked: I64, out: OutU8) -> int:
    """Write one line for every event that is picked; returns the bytes written.

    events: EVENT rows, any values. picked: (n,) which of them. out: room for n * LINE_MAX bytes.
    """
    at = ZERO
    for i in range(picked.size):
        event = events[np.uint64(picked[i])]
        at = put_totals(out, put_head(out, at, event), event)
        at = put_direction(out, put(out, at, A_TO_B), event, 0)
        at = put_direction(out, put(out, at, B_TO_A), event, 1)
        at = put_number(out, put(out, at, INCARNATION), np.uint64(event["incarnation"]))
        at = put(out, at, END)
    return int(at)
