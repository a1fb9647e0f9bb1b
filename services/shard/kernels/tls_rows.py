"""Rows of TLS messages: what is told of a handshake message, or of an alert."""

from typing import Any

import numpy as np

from services.shard.kernels.look import look
from services.shard.kernels.messages import (
    begin_text,
    close_header,
    end_text,
    open_message,
    row_of,
)
from services.shard.kernels.state import C_PARSER_LOST
from services.shard.kernels.text import (
    SPACE,
    put,
    put_decimal,
    put_hex16,
    put_host,
    put_word,
    word_table,
)
from services.shard.kernels.tls_hello import (
    ALERT_STARTS,
    ALERT_WORDS,
    BAD,
    LEVEL_STARTS,
    LEVEL_WORDS,
    client_hello,
    put_version,
    server_hello,
)
from services.shard.kernels.tls_records import MESSAGE_HEADER, RECORD_HEADER
from shared.columns import (
    ALERT,
    CERTIFICATE,
    CLIENT_HELLO,
    MESSAGE_COMPLETE,
    MESSAGE_ERROR,
    MESSAGE_GAP,
    MESSAGE_PARTIAL,
    NO_KIND,
    NO_NOTE,
    NOTE_GAP,
    NOTE_LENGTH,
    NOTE_LOST,
    NOTE_TOO_LONG,
    SERVER_HELLO,
    TLS_RECORDS,
)
from shared.kernels import inlined
from shared.kernels.octets import be16, i64, u8

ZERO, ONE = np.uint64(0), np.uint64(1)
FRAMING_SSL2 = 2  # MESSAGE.framing
MARK_RETRY = 1  # MESSAGE.marks: a ServerHello that asks for another hello
NAME_TEXT, NAME_IN_SUMMARY = 255, 224
WORDS, WORD_STARTS = word_table(
    {0: "bad record", 1: "ClientHello", 2: "ServerHello", 3: "HelloRetryRequest",
     4: "Certificate", 5: "Alert"}, 6,
)  # fmt: skip
(BAD_RECORD, HELLO, ANSWER, RETRY_WORD, CERTIFICATES, ALERTED) = range(6)


@inlined
def kind_of(handshake: Any) -> Any:
    """The message kind of a handshake type; NO_KIND = it is only counted through."""
    if handshake == 1:
        return CLIENT_HELLO
    if handshake == 2:
        return SERVER_HELLO
    return CERTIFICATE if handshake == 11 else NO_KIND


@inlined
def word_of(kind: Any) -> Any:
    if kind == CLIENT_HELLO:
        return HELLO
    if kind == SERVER_HELLO:
        return ANSWER
    if kind == CERTIFICATE:
        return CERTIFICATES
    return ALERTED if kind == ALERT else BAD_RECORD


@inlined
def open_row(t: Any, group: Any, kind: Any, start: Any, value: Any, code: Any) -> Any:
    """A message with its kind as its text; returns 1 + its number, 0 when there are too many."""
    number = open_message(t, i64(group.flow), i64(group.dir), TLS_RECORDS, kind, start, group.ts_ns)
    if number != 0:
        message = t.messages[row_of(t, number - ONE)]
        message.value = np.uint64(value)
        message.code = np.uint16(code)
        text = begin_text(t, message)
        to = put_word(t, text, WORDS, WORD_STARTS, word_of(kind))
        end_text(t, message, to - text, ZERO)
    return number


@inlined
def tell_alert(t: Any, group: Any, octets: Any, index: Any, start: Any) -> Any:
    """An alert in the clear whose record is at `index`; its two octets begin at offset `start`."""
    level, description = u8(octets, index + 5), u8(octets, index + 6)
    number = open_row(t, group, ALERT, start, 2, be16(octets, index + 1))
    if number != 0:
        message = t.messages[row_of(t, number - ONE)]
        text = begin_text(t, message)
        to = put(t, put_word(t, text, WORDS, WORD_STARTS, ALERTED), SPACE)
        to = put(t, put_word(t, to, LEVEL_WORDS, LEVEL_STARTS, level), SPACE)
        if ALERT_STARTS[description + 1] > ALERT_STARTS[description]:
            to = put_word(t, to, ALERT_WORDS, ALERT_STARTS, description)
        else:
            to = put_decimal(t, to, description)
        end_text(t, message, to - text, ZERO)
        close_header(t, number - ONE, MESSAGE_COMPLETE, NO_NOTE, start + 2)


@inlined
def open_ssl2(t: Any, group: Any, size: Any, version: Any) -> Any:
    """The row of a hello of SSLv2's form: its text needs no more than its beginning."""
    number = open_row(t, group, CLIENT_HELLO, 0, size, version)
    if number != 0:
        message = t.messages[row_of(t, number - ONE)]
        message.framing = np.uint8(FRAMING_SSL2)
        text = begin_text(t, message)
        to = put(t, put_word(t, text, WORDS, WORD_STARTS, HELLO), SPACE)
        end_text(t, message, put_version(t, to, version) - text, ZERO)
    return number


@inlined
def take_record_headers_out(t: Any, octets: Any, at: Any, length: Any, left: Any) -> Any:
    """Put a message that lies in several records together in `unit`; returns its length there."""
    for k in range(length):
        t.unit[np.uint64(k)] = octets[np.uint64(at + k)]
    source, to = left, left
    while source + RECORD_HEADER <= length:
        size = min(be16(t.unit, source + 3), length - source - RECORD_HEADER)
        source += RECORD_HEADER
        for k in range(size):
            t.unit[np.uint64(to + k)] = t.unit[np.uint64(source + k)]
        source += size
        to += size
    return to


@inlined
def put_client(t: Any, message: Any, octets: Any, at: Any, stop: Any) -> Any:
    """Version and server name; False = its lengths do not fit."""
    version, host, length = client_hello(octets, at, stop)
    if version == BAD:
        return False
    message.code = np.uint16(version)
    text = begin_text(t, message)
    to = put(t, put_word(t, text, WORDS, WORD_STARTS, HELLO), SPACE)
    if length == 0:
        end_text(t, message, put_version(t, to, version) - text, ZERO)
        return True
    name = put_host(t, to, octets, host, length, NAME_IN_SUMMARY, False)
    to = put_host(t, name, octets, host, length, NAME_TEXT, True)
    end_text(t, message, to - text, to - name)
    return True


@inlined
def put_server(t: Any, message: Any, octets: Any, at: Any, stop: Any) -> Any:
    """Version and cipher suite; False = its lengths do not fit."""
    version, cipher, retry = server_hello(octets, at, stop)
    if version == BAD:
        return False
    message.code = np.uint16(version)
    if retry:
        message.marks |= np.uint8(MARK_RETRY)
    text = begin_text(t, message)
    to = put_word(t, text, WORDS, WORD_STARTS, RETRY_WORD if retry else ANSWER)
    to = put(t, put_version(t, put(t, to, SPACE), version), SPACE)
    end_text(t, message, put_hex16(t, to, cipher) - text, ZERO)
    return True


@inlined
def look_into(t: Any, group: Any, message: Any, end: Any) -> Any:
    """Status and note of a hello that is there without a gap: what it says goes into its row."""
    start, left = i64(message.start), i64(message.value)
    if end - start > i64(t.unit.size):
        return MESSAGE_PARTIAL, NOTE_TOO_LONG
    octets, at = look(t, group, start, end)
    if at < 0:
        t.counters[C_PARSER_LOST] += ONE
        return MESSAGE_PARTIAL, NOTE_LOST
    stop = at + end - start
    if end - start > left:
        stop = take_record_headers_out(t, octets, at, end - start, left)
        octets, at = t.unit, i64(0)
    at += MESSAGE_HEADER
    if message.kind == CLIENT_HELLO:
        fits = put_client(t, message, octets, at, stop)
    else:
        fits = put_server(t, message, octets, at, stop)
    return (MESSAGE_COMPLETE, NO_NOTE) if fits else (MESSAGE_ERROR, NOTE_LENGTH)


@inlined
def tell_whole(t: Any, group: Any, number: Any, end: Any) -> Any:
    """The last octet of a message came, or was counted."""
    at = row_of(t, number)
    status, note = MESSAGE_COMPLETE, NO_NOTE
    if at >= 0:
        message = t.messages[at]
        if message.marks & MESSAGE_GAP:
            status, note = MESSAGE_PARTIAL, NOTE_GAP
        elif message.kind != CERTIFICATE and message.framing != FRAMING_SSL2:
            status, note = look_into(t, group, message, end)
    close_header(t, number, status, note, end)
