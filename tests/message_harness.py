"""Conversations for parsers: turns in, packets out; and what shard and twins find in them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from shared.columns import (
    ASKED_SIMPLE,
    FIN,
    MESSAGE_GAP,
    MESSAGE_KINDS,
    MESSAGE_NOTES,
    MESSAGE_PROTOCOLS,
    MESSAGE_STATUSES,
    PSH,
    RST,
    SYN,
)
from shared.flow_key import Endpoint
from tests.reference.http1 import Http1
from tests.reference.messages import Found, Log
from tests.reference.streams import ACK, Packet, Tracker
from tests.shard_harness import ShardRun, ends, limits_of

CLIENT, SERVER = ends("10.0.0.1", 40000), ends("10.0.0.2", 80)
Turn = tuple[int, bytes]  # 0 = the client says it


def packets_of(
    turns: Iterable[Turn], opened: bool = True, end: int = FIN, port: int = 80
) -> list[Packet]:
    """One segment a turn. end: flags of each side's last segment, 0 = the stream stays open."""
    pair = CLIENT, ends("10.0.0.2", port)
    seqs = [1000, 5000]
    packets: list[Packet] = []

    def say(side: int, flags: int, octets: bytes = b"") -> None:
        src, dst = pair[side], pair[1 - side]
        ack = seqs[1 - side] if flags & ACK else 0
        now_ns = 1_700_000_000_000_000_000 + 1000 * len(packets)
        packets.append(Packet(src, dst, octets, 6, flags, seqs[side], ack, now_ns))
        seqs[side] += len(octets) + bool(flags & (SYN | FIN))

    if opened:
        say(0, SYN)
        say(1, SYN | ACK)
    for side, octets in turns:
        say(side, PSH | ACK, octets)
    if end:
        say(1, end | ACK)
        if end & RST == 0:
            say(0, end | ACK)
    return packets


def in_pieces(turns: Iterable[Turn], sizes: Sequence[int]) -> list[Turn]:
    """Each turn cut into pieces; the sizes are taken round and round."""
    result, at = [], 0
    for side, octets in turns:
        while octets:
            size = max(1, sizes[at % len(sizes)]) if sizes else len(octets)
            result.append((side, octets[:size]))
            octets, at = octets[size:], at + 1
    return result


def without_acks(packets: Sequence[Packet]) -> list[Packet]:
    """So that no hole is declared a gap before the end."""
    return [replace(packet, flags=packet.flags & ~ACK, ack=0) for packet in packets]


FIELDS = (
    "side", "kind", "start", "header_end", "body_end", "end", "status", "note", "framing", "code",
    "value", "text", "name", "ordinal", "gap", "marks", "protocol",
)  # fmt: skip


def found_in(run: ShardRun) -> list[dict[str, Any]]:
    """Messages that were told, in words."""
    return [in_words(row, text) for row, text in run.found]


def in_words(row: Any, text: bytes) -> dict[str, Any]:
    name = int(row["name_len"])
    assert row["body_start"] == row["header_end"]
    return {
        "protocol": MESSAGE_PROTOCOLS[row["protocol"]],
        "kind": MESSAGE_KINDS[row["kind"]],
        "side": int(row["dir"]),
        "status": MESSAGE_STATUSES[row["status"]],
        "note": MESSAGE_NOTES[row["note"]],
        "text": text[: len(text) - name],
        "name": text[len(text) - name :],
        "gap": bool(row["marks"] & MESSAGE_GAP),
        "marks": int(row["marks"]) & ~MESSAGE_GAP,
    } | {
        field: int(row[field])
        for field in
        ("start", "header_end", "body_end", "end", "framing", "code", "value", "ordinal")
    }  # fmt: skip


def pairs_in(run: ShardRun, count: int) -> list[int]:
    """Of a run's first messages, by ordinal, when it has one stream."""
    return [int(row["pair"]) for row in run.tables.messages[:count]]


def begins_with_syn(packets: Sequence[Packet], end: Endpoint) -> bool:
    """Whether that comes before all that an end says."""
    said = (packet for packet in packets if packet.src == end)
    first = next((packet for packet in said if packet.payload or packet.flags & SYN), None)
    return first is not None and bool(first.flags & SYN)


def twin_of(run: ShardRun, packets: Sequence[Packet], max_header: int) -> Log:
    """What the twins find in the one stream of these packets."""
    tracker = Tracker(limits_of(run.tables))
    tracker.take(packets)
    tracker.finish(run.now_ns)
    log = Log([], [])
    if not tracker.streams:
        return log
    (stream,) = tracker.streams
    directions = stream.directions
    whole = all(begins_with_syn(packets, end) for end in {packet.src for packet in packets})
    whole = whole and directions[0].syn and directions[1].syn
    twin = Http1(stream.client, whole, max_header, log)
    for side, piece in stream.said:
        data = directions[side].data
        twin.take(side, piece.start, bytes(data[at] for at in piece))
    closed = tuple(direction.fin and not direction.rst for direction in directions)
    twin.finish((directions[0].next, directions[1].next), (closed[0], closed[1]))
    return log


def words_of(message: Found) -> dict[str, Any]:
    return {field: getattr(message, field) for field in FIELDS}


def assert_same_messages(run: ShardRun, packets: Sequence[Packet], max_header: int) -> Log:
    """A run that is finished against the twins. Returns what they found."""
    log = twin_of(run, packets, max_header)
    told = [words_of(message) for message in log.told]
    assert found_in(run) == told
    assert pairs_in(run, len(log.found)) == [message.pair for message in log.found]
    stats = run.stats()
    assert stats["messages"] == len(log.found) == len(log.told)
    assert stats["parser_gaps"] == log.gaps
    assert stats["parser_errors"] == sum(message.status == "parse_error" for message in log.told)
    assert stats["messages_untold"] == stats["parser_content_lost"] == 0
    assert all(message.marks < 2 * ASKED_SIMPLE for message in log.found)
    return log
