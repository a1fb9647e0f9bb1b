"""JSON lines of messages, one dict at a time."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.columns import (
    MESSAGE_KINDS,
    MESSAGE_NOTES,
    MESSAGE_PROTOCOLS,
    MESSAGE_STATUSES,
    MESSAGE_TEXT_MAX,
    PROTOCOLS,
)
from shared.flow_key import MASK64, hex_id
from tests.reference.jsonl_lines import endpoint, name


def decoded(octets: bytes) -> str:
    """UTF-8; each byte that belongs to no character is replaced by itself, as an older decoder
    does, not each run of them."""
    text, at = "", 0
    while at < len(octets):
        for length in (1, 2, 3, 4):
            try:
                text += octets[at : at + length].decode()
            except UnicodeDecodeError:
                continue
            at += length
            break
        else:
            text, at = text + "\ufffd", at + 1
    return text


def detail(row: np.void, protocol: str | None, kind: str | None, called: str) -> dict[str, Any]:
    value, code = int(row["value"]), int(row["code"])
    if protocol == "http1" and kind == "response":
        return {"status_code": code, "content_length": None if value == MASK64 else value}
    if protocol == "websocket":
        return {"opcode": int(row["framing"]), "length": value}
    if protocol == "dns":
        return {"id": code, "name": called}
    return {{"http1": "host", "tls": "sni"}.get(protocol or "", "name"): called}


def line(row: np.void, ends: np.void, texts: bytes) -> dict[str, Any]:
    begin, length, name_length = int(row["text"]), int(row["text_len"]), int(row["name_len"])
    text = texts[begin : begin + length]
    if len(text) < length or length > MESSAGE_TEXT_MAX or name_length > length:
        text, name_length = b"", 0
    split = len(text) - name_length
    protocol = name(MESSAGE_PROTOCOLS, int(row["protocol"]), None)
    kind = name(MESSAGE_KINDS, int(row["kind"]), None)
    client, server = ("a", "b") if ends["client"] == 0 else ("b", "a")
    places = {key: int(row[key]) for key in ("header_end", "body_start", "body_end")}
    return {
        "ts_us": int(row["ts_ns"]) // 1000,
        "event": "message",
        "stream_id_hex": hex_id(int(row["stream_id"])),
        "protocol": PROTOCOLS.get(int(ends["proto"]), "unknown"),
        "src": endpoint(ends, client),
        "dst": endpoint(ends, server),
        "message_id": str(row["ordinal"]),
        "message_protocol": protocol,
        "kind": kind,
        "direction": "a_to_b" if row["dir"] == 0 else "b_to_a",
        "ordinal": int(row["ordinal"]),
        "status": name(MESSAGE_STATUSES, int(row["status"]), "unknown"),
        "note": name(MESSAGE_NOTES, int(row["note"]), None),
        "summary": decoded(text[:split]),
        "start": int(row["start"]),
        "end": int(row["end"]),
        "header_start": int(row["start"]),
        **places,
        "pair_id": str(int(row["pair"]) - 1) if row["pair"] else None,
        "detail": detail(row, protocol, kind, decoded(text[split:])),
    }


def format_messages(rows: NDArray[np.void], ends: NDArray[np.void], texts: bytes) -> bytes:
    """What the kernel writes, character for character but for how a character is escaped."""
    lines = [json.dumps(line(*pair, texts)) for pair in zip(rows, ends, strict=True)]
    return "".join(text + "\n" for text in lines).encode()
