"""Messages in a shard's ring without a parser: rows and texts as parsers leave them there."""

from typing import Any

import numpy as np

from services.shard.kernels import state as s
from services.shard.tables import Tables
from shared.columns import MESSAGE_COMPLETE, MESSAGE_TEXT_MAX


def add_message(
    tables: Tables, row: int, text: bytes = b"", name: bytes = b"", **fields: Any
) -> int:
    """One more message of the stream in `row`, complete or as told; returns its number."""
    number = int(tables.state[s.MESSAGES])
    place = number % tables.messages.size
    tables.messages[place : place + 1] = np.zeros(1, tables.messages.dtype)
    message = tables.messages[place]
    message["stream_id"], message["row"] = tables.flows[row]["stream_id"], row
    message["ordinal"] = tables.message_count[row]
    message["previous"] = tables.last_message[row]
    message["status"] = MESSAGE_COMPLETE
    start = fields.get("start", 0)
    for field in ("header_end", "body_start", "body_end", "end"):
        message[field] = start
    for field, value in fields.items():
        message[field] = value
    _write_text(tables, message, text + name, len(name))
    tables.message_count[row] += 1
    tables.last_message[row] = number + 1 & 0xFFFFFFFF
    tables.state[s.MESSAGES] += np.uint64(1)
    return number


def _write_text(tables: Tables, message: Any, text: bytes, name_length: int) -> None:
    head, size = int(tables.state[s.TEXT_HEAD]), tables.text.size
    if head % size + MESSAGE_TEXT_MAX > size:
        head += size - head % size
    message["text"], message["text_len"], message["name_len"] = head, len(text), name_length
    tables.text[head % size : head % size + len(text)] = np.frombuffer(text, np.uint8)
    tables.state[s.TEXT_HEAD] = head + len(text)
