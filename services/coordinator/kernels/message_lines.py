"""MESSAGE rows to JSON lines: the keys that every line has, then the message's own.

`protocol`, `src` and `dst` are the stream's, as in every line; `message_protocol` is what the
message speaks. `detail` has what its row knows; the API reads the rest from the content.
"""

from typing import Any

import numpy as np

from services.coordinator.kernels.json_keys import (
    BODY_END,
    BODY_START,
    CLOSE,
    CLOSE_TEXT,
    CONTENT_LENGTH,
    DNS_ID,
    DNS_NAME,
    HEADER_END,
    HEADER_START,
    HOST,
    LENGTH,
    MESSAGE_EVENT,
    MESSAGE_ID,
    MESSAGE_KIND,
    MESSAGE_PROTOCOL,
    MESSAGE_STATUS,
    NAME,
    NOTE,
    NULL,
    OPCODE,
    ORDINAL_A,
    ORDINAL_B,
    PAIR_ID,
    QUOTE,
    SNI,
    START,
    STATUS_CODE,
    STOP,
    SUMMARY,
    TS,
    name_table,
    put,
    put_name,
)
from services.coordinator.kernels.json_text import (
    ONE,
    ZERO,
    put_ends,
    put_id,
    put_number,
    put_text,
    put_us,
)
from shared.columns import (
    DNS_MESSAGES,
    HTTP1,
    MESSAGE_KINDS,
    MESSAGE_NOTES,
    MESSAGE_PROTOCOLS,
    MESSAGE_STATUSES,
    MESSAGE_TEXT_MAX,
    RESPONSE,
    TLS_RECORDS,
    U8,
    WEBSOCKET,
    Endpoints,
    Messages,
    OutU8,
)
from shared.kernels import inlined, kernel

# every byte of the text could become \\u00XX, and the longest keys and numbers go around it
MESSAGE_LINE_MAX = 6 * MESSAGE_TEXT_MAX + 1024
NOT_GIVEN = np.uint64(0xFFFFFFFFFFFFFFFF)

SPEAKS, SPEAKS_LENGTHS = name_table([name or None for name in (*MESSAGE_PROTOCOLS, "")])
KINDS, KIND_LENGTHS = name_table([name or None for name in (*MESSAGE_KINDS, "")])
STATUS_NAMES, STATUS_LENGTHS = name_table([*MESSAGE_STATUSES, "unknown"])
NOTES, NOTE_LENGTHS = name_table([name or None for name in (*MESSAGE_NOTES, "")])


@inlined
def put_given(out: Any, at: Any, value: Any) -> Any:
    """A number, or null for one that was not given."""
    if value == NOT_GIVEN:
        return put(out, at, NULL)
    return put_number(out, at, value)


@inlined
def put_ordinal(out: Any, at: Any, ordinal: Any) -> Any:
    """An ordinal as a message's id: a string."""
    at = put_number(out, put(out, at, QUOTE), np.uint64(ordinal))
    return put(out, at, QUOTE)


@inlined
def put_detail(out: Any, at: Any, message: Any, text: Any, begin: Any, length: Any) -> Any:
    """What the row knows of the message, by protocol. begin, length: its name in the text."""
    protocol, code = message.protocol, np.uint64(message.code)
    if protocol == HTTP1 and message.kind == RESPONSE:
        at = put_number(out, put(out, at, STATUS_CODE), code)
        at = put_given(out, put(out, at, CONTENT_LENGTH), message.value)
        return put(out, at, CLOSE)
    if protocol == WEBSOCKET:
        at = put_number(out, put(out, at, OPCODE), np.uint64(message.framing))
        at = put_number(out, put(out, at, LENGTH), message.value)
        return put(out, at, CLOSE)
    if protocol == HTTP1:
        at = put(out, at, HOST)
    elif protocol == DNS_MESSAGES:
        at = put(out, put_number(out, put(out, at, DNS_ID), code), DNS_NAME)
    elif protocol == TLS_RECORDS:
        at = put(out, at, SNI)
    else:
        at = put(out, at, NAME)
    at = put_text(out, at, text, begin, length)
    return put(out, at, CLOSE_TEXT)


@inlined
def put_places(out: Any, at: Any, message: Any) -> Any:
    """Logical offsets."""
    at = put_number(out, put(out, at, START), message.start)
    at = put_number(out, put(out, at, STOP), message.end)
    at = put_number(out, put(out, at, HEADER_START), message.start)
    at = put_number(out, put(out, at, HEADER_END), message.header_end)
    at = put_number(out, put(out, at, BODY_START), message.body_start)
    return put_number(out, put(out, at, BODY_END), message.body_end)


@kernel
def format_messages(messages: Messages, ends: Endpoints, text: U8, out: OutU8) -> int:
    """Write one line for every message; returns the bytes written.

    messages, ends: (n,) any values. text: what messages point into; what points out of it has no
    text. out: room for n * MESSAGE_LINE_MAX bytes.
    """
    at = ZERO
    for i in range(messages.size):
        message = messages[i]
        begin, length = message.text, np.uint64(message.text_len)
        name = np.uint64(message.name_len)
        size = np.uint64(text.size)
        beyond = begin > size or length > size - begin
        if beyond or length > np.uint64(MESSAGE_TEXT_MAX) or name > length:
            begin, length, name = ZERO, ZERO, ZERO
        at = put_us(out, put(out, at, TS), message.ts_ns)
        at = put_id(out, put(out, at, MESSAGE_EVENT), message.stream_id)
        at = put_ends(out, at, ends[i])
        at = put_number(out, put(out, at, MESSAGE_ID), np.uint64(message.ordinal))
        at = put(out, at, QUOTE)
        speaks = message.protocol
        at = put_name(out, put(out, at, MESSAGE_PROTOCOL), SPEAKS, SPEAKS_LENGTHS, speaks)
        at = put_name(out, put(out, at, MESSAGE_KIND), KINDS, KIND_LENGTHS, message.kind)
        if message.dir == 0:
            at = put(out, at, ORDINAL_A)
        else:
            at = put(out, at, ORDINAL_B)
        at = put_number(out, at, np.uint64(message.ordinal))
        at = put_name(
            out, put(out, at, MESSAGE_STATUS), STATUS_NAMES, STATUS_LENGTHS, message.status
        )
        at = put_name(out, put(out, at, NOTE), NOTES, NOTE_LENGTHS, message.note)
        at = put_text(out, put(out, at, SUMMARY), text, begin, length - name)
        at = put_places(out, put(out, at, QUOTE), message)
        at = put(out, at, PAIR_ID)
        if message.pair == 0:
            at = put(out, at, NULL)
        else:
            at = put_ordinal(out, at, np.uint64(message.pair) - ONE)
        at = put_detail(out, at, message, text, begin + length - name, name)
    return int(at)
