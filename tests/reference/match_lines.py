"""JSON lines of matches, one dict at a time."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.columns import MATCH_BYTES, PATTERN_KINDS, PROTOCOLS
from shared.flow_key import hex_id
from tests.reference.jsonl_lines import endpoint, name


def text_of(octets: bytes) -> str | None:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None


def line(row: np.void, ends: np.void, octets: bytes, names: Mapping[int, str]) -> dict[str, Any]:
    begin, length = int(row["off"]), int(row["len"])
    found = octets[begin : begin + length]
    if len(found) < length or length > MATCH_BYTES:
        found = b""
    client, server = ("a", "b") if ends["client"] == 0 else ("b", "a")
    return {
        "ts_us": int(row["ts_ns"]) // 1000,
        "event": "pattern_match",
        "stream_id_hex": hex_id(int(row["stream_id"])),
        "protocol": PROTOCOLS.get(int(ends["proto"]), "unknown"),
        "src": endpoint(ends, client),
        "dst": endpoint(ends, server),
        "pattern_id": int(row["pattern"]),
        "pattern_name": names.get(int(row["pattern"]), ""),
        "kind": name(PATTERN_KINDS, int(row["kind"]), "unknown"),
        "direction": "a_to_b" if row["dir"] == 0 else "b_to_a",
        "start": int(row["start"]),
        "end": int(row["end"]),
        "text": text_of(found),
        "base64": base64.b64encode(found).decode(),
    }


def format_matches(
    rows: NDArray[np.void], ends: NDArray[np.void], octets: bytes, names: Mapping[int, str]
) -> bytes:
    """What the kernel writes, but for how a character is escaped."""
    lines = [json.dumps(line(*pair, octets, names)) for pair in zip(rows, ends, strict=True)]
    return "".join(text + "\n" for text in lines).encode()
