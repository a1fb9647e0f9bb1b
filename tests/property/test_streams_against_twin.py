"""The shard and its twin agree on the streams of any packets, however they are cut into batches."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.settings import Settings
from tests.reference.streams import ACK, FIN, RST, SYN, Packet, Tracker
from tests.shard_harness import (
    ShardRun,
    check_events,
    check_totals,
    ends,
    limits_of,
    rows_of,
    small,
    spread,
)

PSH, TCP, UDP, ICMP = 8, 6, 17, 1
SECOND_NS = 1_000_000_000
IDLE_NS = SECOND_NS  # of the runs here
START_NS = 1_700_000_000 * SECOND_NS

TCP_FLOWS = (
    (ends("10.0.0.1", 40000), ends("10.0.0.2", 80)),
    (ends("2001:db8::2", 50000), ends("2001:db8::1", 50001)),
    (ends("10.0.0.1", 21), ends("10.0.0.2", 22)),
)
OTHER_FLOWS = (
    (UDP, ends("10.0.0.1", 40000), ends("10.0.0.2", 53)),
    (UDP, ends("fe80::1", 5353), ends("ff02::fb", 5353)),
    (ICMP, ends("10.0.0.1", 0), ends("10.0.0.2", 0)),
)
NUMBERS = (0, 7, (1 << 32) - 5, (1 << 31) - 20, 3_000_000_000)
TEXTS = (
    b"GET /index.html HTTP/1.1\r\nHost: example.org\r\n\r\nand then some more of the same kind",
    b"220 mail.example.org ready for SMTP and for FTP \r\n250 so it goes on and on for a while",
    b"\x16\x03\x01\x00\x40\x01\x00\x00\x3c\x03\x03" + bytes(range(80)),
    "Grüße, 世界, 🙂 and other text that is no single-byte one; ".encode() * 2,
    b"plain\x00 and binary \xff\xfe\x80 in one direction, which makes it a mixed one of the two",
    bytes(range(128, 220)),
)
SECONDS = (0, 0, 0, 0, 1, SECOND_NS // 3, IDLE_NS - 1, IDLE_NS, IDLE_NS + 1, 3 * IDLE_NS)
FLAGS = (ACK,) * 12 + (PSH | ACK,) * 4 + (
    SYN, SYN, SYN, SYN | ACK, SYN | ACK, FIN | ACK, FIN | ACK, RST, RST | ACK, 0, FIN, SYN | FIN,
    SYN | RST, FIN | RST,
)  # fmt: skip


@st.composite
def segments(draw: st.DrawFn) -> dict[str, Any]:
    """A TCP segment around the place where its direction is, most of the time."""
    flags = draw(st.sampled_from(FLAGS))
    life = draw(st.sampled_from((0, 0, 0, 0, 0, 1)))  # of the 5-tuple: another has other numbers
    at = -1 if flags & SYN and draw(st.integers(0, 9)) else draw(st.integers(-3, 60))
    length = draw(st.sampled_from((0, 0, 1, 1, 2, 3, 5, 8, 12, 30)))
    return {
        "flow": draw(st.integers(0, len(TCP_FLOWS) - 1)) * draw(st.booleans()),
        "side": draw(st.integers(0, 1)),
        "life": life,
        "at": at,
        "length": length,
        "flags": flags,
        "acks": draw(st.integers(-2, 70)),
        "twisted": not draw(st.integers(0, 7)),
        "cut_off": draw(st.integers(1, 20)) if not draw(st.integers(0, 7)) else 0,
        "far": draw(st.sampled_from((0,) * 30 + (1 << 20, 1 << 21, 1 << 30, 3 << 29, 1 << 31))),
        "after_ns": draw(st.sampled_from(SECONDS)),
    }


def said(flow: int, side: int, life: int, at: int, length: int, twisted: bool) -> bytes:
    """What stands at a place of a direction; otherwise when `twisted`."""
    text = TEXTS[(flow + 2 * side + 3 * life) % len(TEXTS)]
    octets = bytes(text[i % len(text)] for i in range(at, at + length))
    return octets[:-1] + bytes([octets[-1] ^ 1]) if twisted and octets else octets


def numbered(draws: Sequence[dict[str, Any]]) -> list[Packet]:
    """Packets of what was drawn, one after the other in time."""
    packets, now_ns = [], START_NS
    for d in draws:
        now_ns += d["after_ns"]
        if "proto" in d:
            proto, a, b = OTHER_FLOWS[d["flow"]]
            flags = seq = ack = 0
            payload = said(d["flow"], d["side"], 0, d["at"], d["length"], False)
        else:
            proto, (a, b) = TCP, TCP_FLOWS[d["flow"]]
            flags, number = d["flags"], 2 * d["flow"] + d["side"] + d["life"]
            seq = NUMBERS[number % len(NUMBERS)] + 1 + d["at"] + d["far"]
            ack = NUMBERS[(number + (-1) ** d["side"]) % len(NUMBERS)] + 1 + d["acks"]
            payload = said(
                d["flow"], d["side"], d["life"], d["at"] + bool(flags & SYN), d["length"],
                d["twisted"],
            )  # fmt: skip
        src, dst = (b, a) if d["side"] else (a, b)
        packets.append(
            Packet(
                src, dst, payload, proto, flags, seq % (1 << 32), ack % (1 << 32), now_ns,
                len(payload) + d["cut_off"],
            )
        )  # fmt: skip
    return packets


@st.composite
def datagrams(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "proto": True,
        "flow": draw(st.integers(0, len(OTHER_FLOWS) - 1)),
        "side": draw(st.integers(0, 1)),
        "at": draw(st.integers(0, 9)),
        "length": draw(st.sampled_from((0, 1, 12, 40))),
        "cut_off": draw(st.sampled_from((0, 0, 0, 5))),
        "after_ns": draw(st.sampled_from(SECONDS)),
    }


@st.composite
def bounds(draw: st.DrawFn) -> Settings:
    """Settings with bounds that are hit."""
    return small(
        flow_idle_timeout_ms=IDLE_NS // 1_000_000,
        batch_size=draw(st.sampled_from((1, 4, 64))),
        max_tcp_out_of_order_segments_per_direction=draw(st.sampled_from((128, 2, 1, 0))),
        max_tcp_buffered_bytes_per_flow=draw(st.sampled_from((1 << 20, 16, 3))),
        stream_update_packets=draw(st.sampled_from((64, 1, 3))),
        stream_update_bytes=draw(st.sampled_from((65536, 100))),
        stream_preview_bytes=draw(st.sampled_from((256, 20, 0))),
    )


def assert_same(packets: Sequence[Packet], cuts: Sequence[int], settings: Settings) -> None:
    """One shard, its batches cut at `cuts`, against the twin."""
    run = ShardRun(settings)
    run.take_in_batches(packets, cuts)
    run.finish()
    twin = Tracker(limits_of(run.tables))
    twin.take(packets)
    twin.finish(run.now_ns)
    assert run.final() == twin.final()
    check_events(run)
    check_totals(run)
    stats = run.stats()
    assert {name: stats[name] for name in twin.counters} == twin.counters
    unseen = set(stats) - set(twin.counters) - ABOUT_MEMORY
    assert {name: stats[name] for name in unseen} == dict.fromkeys(unseen, 0)
    for stream in twin.streams:
        for side in (0, 1):
            direction = stream.directions[side]
            assert run.segments(stream.stream_id, side) == direction.segments()
            assert run.window(stream.stream_id, side).end_of_stream == direction.next
            assert run.preview.get((stream.stream_id, side), {}) == stream.preview(side)


ABOUT_MEMORY = {
    "flow_rows", "flow_rows_max", "content_used_bytes", "content_budget_bytes", "content_bytes",
    "groups",
}  # fmt: skip


@pytest.mark.property
@given(st.lists(segments(), max_size=40), st.sets(st.integers(1, 40)), bounds())
def test_segments(draws: list[dict[str, Any]], cuts: set[int], settings: Settings) -> None:
    assert_same(numbered(draws), sorted(cuts), settings)


@pytest.mark.property
@given(st.lists(segments() | datagrams(), max_size=40), st.sets(st.integers(1, 40)), bounds())
def test_mixed_traffic(draws: list[dict[str, Any]], cuts: set[int], settings: Settings) -> None:
    assert_same(numbered(draws), sorted(cuts), settings)
