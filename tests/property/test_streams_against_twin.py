"""The shard and its twin agree on the streams of any packets, however they are cut into batches."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.settings import Settings
from tests.reference.streams import ACK, FIN, RST, SYN, Packet
from tests.shard_harness import (
    ABOUT_MEMORY,
    ABOUT_MESSAGES,
    ShardRun,
    assert_same,
    check_events,
    check_totals,
    ends,
    in_batches,
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


@pytest.mark.property
@given(st.lists(segments(), max_size=40), st.sets(st.integers(1, 40)), bounds())
def test_segments(draws: list[dict[str, Any]], cuts: set[int], settings: Settings) -> None:
    assert_same(numbered(draws), sorted(cuts), settings)


@pytest.mark.property
@given(st.lists(segments() | datagrams(), max_size=40), st.sets(st.integers(1, 40)), bounds())
def test_mixed_traffic(draws: list[dict[str, Any]], cuts: set[int], settings: Settings) -> None:
    assert_same(numbered(draws), sorted(cuts), settings)


# ------------------------------------------------------------------- conversations, then disturbed

CLIENT, SERVER = ends("192.0.2.7", 51000), ends("198.51.100.1", 8080)


def text_of(side: int, length: int) -> bytes:
    """What one side of the conversation says."""
    text = TEXTS[0] if side == 0 else TEXTS[3]
    return (text * (length // len(text) + 1))[:length]


@st.composite
def conversations(
    draw: st.DrawFn, acks: bool | None = None, opened: bool | None = None
) -> list[Packet]:
    """A whole TCP conversation, as it was sent; numbers wrap, segments are short."""
    first = [draw(st.sampled_from(NUMBERS)), draw(st.sampled_from(NUMBERS))]
    sent = [0, 0]
    packets: list[Packet] = []
    acks = draw(st.booleans()) if acks is None else acks
    opened = draw(st.booleans()) if opened is None else opened

    def say(side: int, flags: int, payload: bytes = b"") -> None:
        src, dst = (SERVER, CLIENT) if side else (CLIENT, SERVER)
        before = bool(flags & SYN)
        seq, ack = first[side] + 1 + sent[side] - before, first[1 - side] + 1 + sent[1 - side]
        flags |= ACK if acks and flags != SYN else 0
        now_ns = START_NS + len(packets) * 1000
        packets.append(
            Packet(
                src, dst, payload, TCP, flags, seq % (1 << 32),
                ack % (1 << 32) if flags & ACK else 0, now_ns,
            )
        )  # fmt: skip
        sent[side] += len(payload)

    if opened:
        say(0, SYN)
        say(1, SYN | ACK)
        say(0, ACK)
    for side, lengths in draw(
        st.lists(
            st.tuples(st.integers(0, 1), st.lists(st.integers(1, 9), min_size=1, max_size=9)),
            min_size=1,
            max_size=5,
        )
    ):
        for length in lengths:
            say(side, PSH, text_of(side, sent[side] + length)[sent[side] :])
    if draw(st.booleans()):
        say(0, FIN)
        say(1, FIN)
    return packets


def retimed(packets: Sequence[Packet]) -> list[Packet]:
    """The order of the list is the order of time."""
    return [replace(packet, ts_ns=START_NS + i * 1000) for i, packet in enumerate(packets)]


def moved(packets: list[Packet], at: int, by: int) -> None:
    packet = packets.pop(at)
    packets.insert(min(at + by, len(packets)), packet)


def repeated(packets: list[Packet], at: int, by: int) -> None:
    packets.insert(min(at + by, len(packets)), packets[at])


def cut_in_two(packets: list[Packet], at: int, by: int) -> None:
    packet = packets[at]
    if 0 < by < len(packet.payload) and not packet.flags & SYN:
        seq = (packet.seq + by) % (1 << 32)
        rest = None if packet.wire is None else packet.wire - by
        packets[at] = replace(packet, payload=packet.payload[:by], wire=None)
        packets.insert(at + 1, replace(packet, payload=packet.payload[by:], seq=seq, wire=rest))


def overlapping(packets: list[Packet], at: int, by: int) -> None:
    """Let a segment say some of what stands before it again, as a retransmission may."""
    packet = packets[at]
    before = [
        other
        for other in packets[:at]
        if other.src == packet.src
        and (other.seq + len(other.payload)) % (1 << 32) == packet.seq
        and other.payload
    ]
    if before and packet.payload:
        again = before[0].payload[-by:] if by else b""
        wire = None if packet.wire is None else packet.wire + len(again)
        seq = (packet.seq - len(again)) % (1 << 32)
        packets[at] = replace(packet, payload=again + packet.payload, seq=seq, wire=wire)


def lost(packets: list[Packet], at: int, by: int) -> None:
    if len(packets) > 1:
        del packets[at]


def twisted(packets: list[Packet], at: int, by: int) -> None:
    packet = packets[at]
    packets[at] = replace(packet, payload=bytes(byte ^ 1 for byte in packet.payload))


def shortened(packets: list[Packet], at: int, by: int) -> None:
    """As a snap length does."""
    packet = packets[at]
    kept = packet.payload[: len(packet.payload) - by]
    packets[at] = replace(packet, payload=kept, wire=packet.wire_payload)


HARMLESS = (moved, moved, repeated, cut_in_two, overlapping)
HARMFUL = (*HARMLESS, lost, lost, twisted, shortened)
Disturbances = list[tuple[Any, int, int]]


def disturbances(kinds: Sequence[Any]) -> "st.SearchStrategy[Disturbances]":
    one = st.tuples(st.sampled_from(kinds), st.integers(0, 60), st.integers(0, 8))
    return st.lists(one, max_size=16)


def disturbed(packets: Sequence[Packet], changes: Disturbances) -> list[Packet]:
    result = list(packets)
    for change, at, by in changes:
        change(result, at % len(result), by)
    return retimed(result)


@pytest.mark.property
@given(conversations(), disturbances(HARMFUL), st.sets(st.integers(1, 60)), bounds())
def test_disturbed_conversations(
    packets: list[Packet], changes: Disturbances, cuts: set[int], settings: Settings
) -> None:
    assert_same(disturbed(packets, changes), sorted(cuts), settings)


@pytest.mark.property
@given(conversations(acks=False, opened=True), disturbances(HARMLESS), st.sets(st.integers(1, 60)))
def test_what_was_said_is_what_is_read(
    packets: list[Packet], changes: Disturbances, cuts: set[int]
) -> None:
    """Cut, reordered, doubled: as long as nothing is missing, it is what was sent. No twin here."""
    body = disturbed(packets[3:], changes)
    run = ShardRun(small())
    run.take_in_batches(retimed([*packets[:3], *body]), sorted(cuts))
    run.finish()
    (final,) = run.final().values()
    for side, sender in ((0, CLIENT), (1, SERVER)):
        told = b"".join(packet.payload for packet in packets if packet.src == sender)
        assert run.segments(final["stream_id"], side) == ([(0, told)] if told else [])
    assert final["gaps"] == final["conflicts"] == [0, 0]


@st.composite
def long_talks(draw: st.DrawFn) -> list[Packet]:
    """Hundreds of short segments of both sides, then some of them again, some otherwise."""
    sent: list[list[bytes]] = [[], []]
    packets = []
    for number in range(draw(st.integers(100, 300))):
        side = draw(st.sampled_from((0, 0, 0, 1))) if number < 20 else number % 3 % 2
        src, dst = (SERVER, CLIENT) if side else (CLIENT, SERVER)
        payload = b"%02x" % (number % 256)
        packets.append(Packet(src, dst, payload, TCP, PSH, 2 * len(sent[side])))
        sent[side].append(payload)
    for at, by, length in draw(
        st.lists(st.tuples(st.integers(0, 300), st.integers(0, 2), st.integers(1, 9)), max_size=9)
    ):
        first = packets[at % len(packets)]
        again = b"".join(sent[first.src == SERVER])[first.seq :][:length]
        told = again[:-1] + bytes([again[-1] ^ by])
        packets.append(replace(first, payload=told))
    return retimed(packets)


@pytest.mark.property
@given(long_talks(), st.sets(st.integers(1, 320)), st.sampled_from((1, 4, 64)))
def test_conflicts_do_not_depend_on_batches(
    packets: list[Packet], cuts: set[int], batch_size: int
) -> None:
    assert_same(packets, sorted(cuts), small(batch_size=batch_size))


@pytest.mark.property
@given(
    st.lists(segments() | datagrams(), max_size=40),
    st.sets(st.integers(1, 40)),
    st.sets(st.integers(0, 40)),
    bounds(),
)
def test_what_is_told_of_several_batches_at_once_is_the_same(
    draws: list[dict[str, Any]], cuts: set[int], told: set[int], settings: Settings
) -> None:
    packets = numbered(draws)
    each, some = ShardRun(settings), ShardRun(settings)
    for number, batch in enumerate(in_batches(packets, cuts)):
        each.take(batch)
        some.take_untold(batch)
        if number in told or not some.worker.has_room:
            some.worker.tick(some.now_ns)
    for run in (each, some):
        run.finish()
        check_events(run)
        check_totals(run)
    assert each.final() == some.final()
    assert each.preview == some.preview


# ------------------------------------------------------------------------------------- many shards


@pytest.mark.property
@given(
    st.lists(segments() | datagrams(), max_size=40),
    st.sets(st.integers(1, 40)),
    st.sets(st.integers(1, 40)),
    bounds(),
    st.sampled_from((2, 4)),
)
def test_neither_batches_nor_shards_change_a_stream(
    draws: list[dict[str, Any]],
    cuts: set[int],
    other_cuts: set[int],
    settings: Settings,
    shards: int,
) -> None:
    packets = numbered(draws)
    whole = ShardRun(settings)
    whole.take_in_batches(packets, cuts)
    whole.finish()
    parts = [ShardRun(settings, shard, shards) for shard in range(shards)]
    edges = [0, *sorted(cut for cut in other_cuts if cut < len(packets)), len(packets)]
    for low, high in pairwise(edges):
        now_ns = packets[high - 1].ts_ns if high > low else START_NS
        for part, batch in zip(parts, spread(rows_of(packets[low:high]), shards), strict=True):
            part.take_rows(*batch, now_ns)
    for part in parts:
        part.finish()
    assert sum(len(part.final()) for part in parts) == len(whole.final())
    assert {k: v for part in parts for k, v in part.final().items()} == whole.final()
    stats = [part.stats() for part in parts]
    for name, value in whole.stats().items():
        if name not in ABOUT_MEMORY | ABOUT_MESSAGES:
            assert sum(part[name] for part in stats) == value, name
