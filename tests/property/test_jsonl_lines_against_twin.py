import ipaddress
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.coordinator.kernels.json_keys import NAME_BYTES
from services.coordinator.kernels.jsonl_lines import LINE_MAX, format_events
from shared.columns import EVENT
from tests.reference import jsonl_lines as reference

pytestmark = pytest.mark.property
rows = st.lists(st.binary(min_size=EVENT.itemsize, max_size=EVENT.itemsize), max_size=8)
groups = st.lists(st.sampled_from([0, 0, 0, 1, 0xFFFF, 0x0DB8]), min_size=8, max_size=8)


def formatted(events: NDArray[np.void]) -> bytes:
    out = np.zeros(events.size * LINE_MAX, np.uint8)
    with np.errstate(over="ignore"):  # sums wrap as they do in the compiled form
        size = format_events(events, np.arange(events.size), out)
    return out[:size].tobytes()


def one(**fields: Any) -> NDArray[np.void]:
    event = np.zeros(1, EVENT)
    for name, value in fields.items():
        event[name] = value
    return event


@settings(deadline=None)
@given(rows)
def test_agrees_with_the_reference_on_any_bytes(raw: list[bytes]) -> None:
    events = np.frombuffer(b"".join(raw), EVENT)
    assert formatted(events) == reference.format_events(events)


@settings(deadline=None)
@given(groups)
def test_ipv6_text_is_canonical(parts: list[int]) -> None:
    ip = ipaddress.IPv6Address(b"".join(part.to_bytes(2, "big") for part in parts))
    high, low = int(ip) >> 64, int(ip) & (1 << 64) - 1
    event = one(family=6, addr_a_hi=high, addr_a_lo=low)
    assert json.loads(formatted(event))["src"]["addr"] == reference.address(6, high, low)


@pytest.mark.parametrize(
    "text",
    ["::", "::1", "1::", "1::1:0:0:1", "1:0:2::", "2001:db8::1", "1:2:3:4:5:6:7:8",
     "1:0:3:4:5:6:7:8", "fe80::abcd:0:12", "::ffff:192.0.2.1"],
)  # fmt: skip
def test_ipv6_examples(text: str) -> None:
    number = int(ipaddress.IPv6Address(text))
    event = one(family=6, client=1, addr_b_hi=number >> 64, addr_b_lo=number & (1 << 64) - 1)
    assert json.loads(formatted(event))["src"]["addr"] == text


def test_the_longest_line_has_room() -> None:
    event = np.frombuffer(b"\xff" * EVENT.itemsize, EVENT).copy()
    event["kind"], event["reason"], event["content_kind"], event["service"] = 2, 4, 3, 14
    event["first_ns"] = event["last_ns"] = -(1 << 63)
    assert len(formatted(event)) + NAME_BYTES < LINE_MAX


def test_keys_come_in_the_order_of_the_contract() -> None:
    line = formatted(one(family=4, proto=17, kind=2, reason=2))
    assert list(json.loads(line)) == [
        "ts_us", "event", "stream_id_hex", "protocol", "src", "dst", "status", "reason",
        "service", "content_kind", "client", "packets", "bytes", "payload_bytes", "stream_bytes",
        "gaps", "gap_bytes", "conflicts", "retransmissions", "first_seen_us", "last_seen_us",
        "directions", "incarnation",
    ]  # fmt: skip
