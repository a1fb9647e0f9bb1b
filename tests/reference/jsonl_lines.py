"""JSON lines of stream events, one dict at a time, in the plainest Python there is."""

import ipaddress
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.columns import (
    CONTENT_KINDS,
    EVENT_CLOSE,
    EVENT_KINDS,
    EVENT_OPEN,
    PROTOCOLS,
    REASONS,
    SERVICES,
    STATUSES,
)
from shared.flow_key import MASK64, hex_id

COUNTERS = ("packets", "bytes", "payload_bytes", "stream_bytes", "gaps", "gap_bytes")


def address(family: int, high: int, low: int) -> str:
    """RFC 5952; an IPv4-mapped address is written mixed (§5) by every version of Python."""
    if family == 4:
        return str(ipaddress.IPv4Address(low & 0xFFFFFFFF))
    ip = ipaddress.IPv6Address(high << 64 | low)
    return str(ip) if ip.ipv4_mapped is None else f"::ffff:{ip.ipv4_mapped}"


def endpoint(event: np.void, side: str) -> dict[str, Any]:
    high, low = int(event[f"addr_{side}_hi"]), int(event[f"addr_{side}_lo"])
    return {
        "addr": address(int(event["family"]), high, low),
        "port": int(event[f"port_{side}"]),
    }


def name(names: tuple[str, ...], which: int, otherwise: str | None) -> str | None:
    return names[which] or None if which < len(names) else otherwise


def direction(event: np.void, side: int) -> dict[str, Any]:
    numbers: dict[str, Any] = {key: int(event[key][side]) for key in COUNTERS}
    kind = int(event["content_kind"][side + 1])
    return numbers | {"content_kind": name(CONTENT_KINDS, kind, "unknown")}


def line(event: np.void) -> dict[str, Any]:
    """One event as the object that stands in its line."""
    kind, client = int(event["kind"]), "a" if event["client"] == 0 else "b"
    first_us, last_us = int(event["first_ns"]) // 1000, int(event["last_ns"]) // 1000
    result: dict[str, Any] = {
        "ts_us": first_us if kind == EVENT_OPEN else last_us,
        "event": name(EVENT_KINDS, kind, "stream_update"),
        "stream_id_hex": hex_id(int(event["stream_id"])),
        "protocol": PROTOCOLS.get(int(event["proto"]), "unknown"),
        "src": endpoint(event, client),
        "dst": endpoint(event, "b" if client == "a" else "a"),
        "status": name(STATUSES, int(event["status"]), "unknown"),
    }
    if kind == EVENT_CLOSE:
        result["reason"] = name(REASONS, int(event["reason"]), None)
    result["service"] = name(SERVICES, int(event["service"]), None)
    result["content_kind"] = name(CONTENT_KINDS, int(event["content_kind"][0]), "unknown")
    result["client"] = client
    for key in (*COUNTERS, "conflicts", "retransmissions"):
        result[key] = (int(event[key][0]) + int(event[key][1])) & MASK64
    result |= {"first_seen_us": first_us, "last_seen_us": last_us}
    result["directions"] = {"a_to_b": direction(event, 0), "b_to_a": direction(event, 1)}
    result["incarnation"] = int(event["incarnation"])
    return result


def format_events(events: NDArray[np.void]) -> bytes:
    """What the kernel writes."""
    lines = (json.dumps(line(event), separators=(",", ":")) + "\n" for event in events)
    return "".join(lines).encode()
