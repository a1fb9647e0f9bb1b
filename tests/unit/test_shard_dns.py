"""DNS as named cases: what is told of a message, and what is not taken for one."""

import struct

import pytest

from tests.messages import TCP, UDP, Row, Said, conversation, cut, parsed
from tests.shard_harness import ShardRun, small

QUERY, ANSWER, NXDOMAIN, UPDATE = 0x0100, 0x8180, 0x8183, 0x2800
NAME = b"\7Example\3com\0"
QUESTION = NAME + b"\0\1\0\1"
RECORD = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"  # its owner is the question's name


def message(
    identity: int, flags: int, body: bytes = QUESTION, counts: tuple[int, ...] = (1, 0, 0, 0)
) -> bytes:
    return struct.pack("!6H", identity, flags, *counts) + body


QUERY_7 = message(7, QUERY)
ANSWER_7 = message(7, ANSWER, QUESTION + RECORD, (1, 1, 0, 0))


def framed(octets: bytes) -> bytes:
    return struct.pack("!H", len(octets)) + octets


def datagrams(*said: tuple[int, bytes], port: int = 53) -> list[Row]:
    return parsed(conversation([Said(side, octets) for side, octets in said], port, UDP))


def only(octets: bytes, port: int = 53) -> Row:
    (row,) = datagrams((0, octets), port=port)
    return row


def test_a_question_and_its_answer() -> None:
    asked, told = datagrams((0, QUERY_7), (1, ANSWER_7))
    assert (asked.protocol, asked.kind, asked.side, asked.code) == ("dns", "request", 0, 7)
    assert (asked.start, asked.end, asked.header_end) == (0, len(QUERY_7), len(QUERY_7))
    assert asked.value == QUERY | 1 << 16
    assert (asked.summary, asked.name, asked.status) == (
        b"A Example.com",
        b"example.com",
        "complete",
    )
    assert (told.kind, told.side, told.pair) == ("response", 1, asked.ordinal)
    assert told.value == ANSWER | 1 << 16 | 1 << 32


def test_what_went_wrong_is_in_the_summary() -> None:
    assert only(message(1, NXDOMAIN)).summary == b"A Example.com NXDOMAIN"
    assert only(message(1, 0x800C)).summary == b"A Example.com RCODE12"


@pytest.mark.parametrize("port", [5353, 5355])
def test_multicast_dns_is_dns(port: int) -> None:
    row = only(message(0, 0x8400, NAME + RECORD[2:], (0, 1, 0, 0)), port)
    assert (row.protocol, row.kind, row.summary) == ("dns", "response", b"A Example.com")


def test_dynamic_update_is_dns() -> None:
    zone = NAME + b"\0\6\0\1"
    absent = b"\xc0\x0c\0\xff\0\xfe\0\0\0\0\0\0"  # RFC 2136 §2.4.3
    row = only(message(9, UPDATE, zone + absent, (1, 1, 0, 0)))
    assert (row.status, row.summary, row.name) == (
        "complete",
        b"UPDATE SOA Example.com",
        b"example.com",
    )


@pytest.mark.parametrize(
    ("body", "summary"),
    [
        (b"\0\0\2\0\1", b"NS ."),
        (NAME + b"\1\4\0\1", b"TYPE260 Example.com"),
        (NAME + b"\1\1\0\1", b"CAA Example.com"),
        (b"\4a.b\\\2\x00\xff\0\0\1\0\1", b"A a\\.b\\\\.\\000\\255"),
    ],
)
def test_types_and_names(body: bytes, summary: bytes) -> None:
    assert only(message(1, QUERY, body)).summary == summary


def test_a_message_without_a_name() -> None:
    row = only(message(1, 0x1000, b"", (0, 0, 0, 0)))
    assert (row.status, row.summary, row.name) == ("complete", b"STATUS", b"")


def test_the_longest_name() -> None:
    label = b"\x3f" + b"\xff" * 63
    row = only(message(1, QUERY, label * 3 + b"\x3d" + b"\xff" * 61 + b"\0\0\1\0\1"))
    assert row.status == "complete"
    assert row.name == b"\\255" * 63 + b"."  # as many whole octets as there is room for
    assert len(row.summary + row.name) <= 512
    longer = only(message(1, QUERY, label * 4 + b"\0\0\1\0\1"))
    assert (longer.status, longer.note, longer.name) == ("parse_error", "bad_name", b"")


@pytest.mark.parametrize(
    "pointer", [b"\xc0\x0c", b"\xc0\x0e", b"\xff\xff", b"\xc0\x00", b"\1a\xc0\x0c"], ids=bytes.hex
)
def test_a_pointer_that_does_not_point_backwards(pointer: bytes) -> None:
    row = only(message(1, QUERY, pointer + b"\0\1\0\1"))
    assert (row.status, row.note, row.name, row.summary) == (
        "parse_error",
        "bad_name",
        b"",
        b"QUERY",
    )


def test_pointers_that_point_at_each_other() -> None:
    first = QUESTION + b"\xc0\x2d\0\1\0\1\0\0\0\0\0\0"  # to the second one, 16 octets further
    second = b"\xc0\x1d\0\1\0\1\0\0\0\0\0\0"
    row = only(message(1, ANSWER, first + second, (1, 2, 0, 0)))
    assert (row.status, row.note, row.name) == ("parse_error", "bad_name", b"example.com")


def test_a_label_of_an_unknown_kind() -> None:
    assert only(message(1, QUERY, b"\x41a\0\0\1\0\1")).note == "bad_name"


def test_counts_that_do_not_fit() -> None:
    row = only(message(1, ANSWER, QUESTION + RECORD, (1, 5, 0, 0)))
    assert (row.status, row.note, row.summary) == ("partial", "truncated", b"A Example.com")


def test_every_cut_is_partial() -> None:
    for size in range(12, len(ANSWER_7)):
        row = only(ANSWER_7[:size])
        assert (row.status, row.note, row.code) == ("partial", "truncated", 7), size


def test_octets_behind_a_message_do_not_matter() -> None:
    assert only(QUERY_7 + b"padding").status == "complete"


@pytest.mark.parametrize(
    "junk",
    [b"\0", b"x" * 11, b"\xff" * 40, message(1, 0x1800), message(1, QUERY, b"", (65535,) * 4)],
    ids=len,
)  # fmt: skip
def test_what_cannot_be_dns_is_told_once(junk: bytes) -> None:
    run = ShardRun()
    said = [Said(side, octets) for side, octets in ((0, junk), (1, junk), (0, QUERY_7), (0, junk))]
    rows = parsed(conversation(said, 53, UDP), range(4), run)
    assert [(row.kind, row.status, row.note) for row in rows] == [
        ("", "parse_error", "bad_header"), ("request", "complete", ""),
    ]  # fmt: skip
    assert run.stats()["parser_errors"] == 3


def test_the_newest_question_without_answer_is_answered() -> None:
    rows = datagrams((0, QUERY_7), (0, QUERY_7), (1, ANSWER_7), (1, ANSWER_7), (1, ANSWER_7))
    assert [row.pair for row in rows if row.kind == "response"] == [1, 0, None]


def test_an_answer_of_the_same_side_or_another_id_is_none() -> None:
    rows = datagrams((0, QUERY_7), (0, ANSWER_7), (1, message(8, ANSWER)))
    assert [row.pair for row in rows] == [None] * 3


def test_a_question_far_back_is_not_found() -> None:
    others = [(0, message(1000 + i, QUERY)) for i in range(32)]
    assert datagrams((0, QUERY_7), *others[:31], (1, ANSWER_7))[-1].pair == 0
    assert datagrams((0, QUERY_7), *others, (1, ANSWER_7))[-1].pair is None


def test_questions_that_the_ring_has_lost() -> None:
    """The ring of messages is small, so that the stream's earlier ones are overwritten."""
    run = ShardRun(small(max_messages=64))
    said = [
        Said(0, QUERY_7),
        *[Said(0, message(i, QUERY)) for i in range(100, 200)],
        Said(1, ANSWER_7),
    ]
    rows = parsed(conversation(said, 53, UDP), range(200), run)
    assert len(rows) == 102
    assert rows[-1].pair is None


# ------------------------------------------------------------------------------------------- TCP
STREAM = [Said(0, framed(QUERY_7) + framed(message(8, QUERY))), Said(1, framed(ANSWER_7))]


@pytest.mark.parametrize("size", [1, 2, 3, 11, 13, 100])
def test_messages_of_tcp_however_they_are_cut(size: int) -> None:
    pieces = cut(STREAM, size)
    for cuts in ((), range(len(pieces) + 2)):
        first, second, answer = parsed(conversation(pieces, 53), cuts)
        assert (first.start, first.end) == (2, 2 + len(QUERY_7))
        assert (second.start, second.code) == (4 + len(QUERY_7), 8)
        assert (answer.pair, answer.status, answer.summary) == (0, "complete", b"A Example.com")


def test_a_message_has_the_time_of_its_first_octet() -> None:
    packets = conversation([Said(0, framed(QUERY_7)[:2]), Said(0, framed(QUERY_7)[2:9]),
                            Said(0, framed(QUERY_7)[9:])], 53)  # fmt: skip
    (row,) = parsed(packets, range(9))
    assert row.ts_ns == packets[3].ts_ns


def test_the_longest_message_over_many_batches() -> None:
    body = QUESTION + RECORD * 4000
    octets = message(7, ANSWER, body[:65523], (1, 4000, 0, 0))
    pieces = cut([Said(1, framed(octets))], 1400)
    run = ShardRun(small(batch_size=256))
    (row,) = parsed(conversation(pieces, 53), range(100), run)
    assert (row.end, row.status) == (2 + len(octets), "complete")


def test_a_gap_in_a_message_does_not_lose_the_next_one() -> None:
    octets = framed(QUERY_7)
    lost, found = parsed(
        conversation([Said(0, octets[:20], lost=len(octets) - 20), Said(0, octets)], 53)
    )
    assert (lost.status, lost.note, lost.gap, lost.end) == ("partial", "gap", True, len(octets))
    assert (found.status, found.start) == ("complete", len(octets) + 2)


def test_behind_a_lost_length_a_message_may_begin() -> None:
    found = parsed(
        conversation([Said(0, framed(QUERY_7)[:1], lost=500), Said(0, framed(QUERY_7))], 53)
    )
    assert [(row.status, row.start) for row in found] == [("complete", 503)]
    nothing = parsed(
        conversation([Said(0, framed(QUERY_7)[:1], lost=500), Said(0, b"\0\3abc")], 53)
    )
    assert nothing == []


def test_the_end_of_the_stream_in_a_message() -> None:
    (row,) = parsed(conversation([Said(0, framed(QUERY_7)[:20])], 53))
    assert (row.status, row.note, row.code) == ("partial", "end_of_stream", 7)
    assert parsed(conversation([Said(0, framed(QUERY_7)[:13])], 53)) == []


@pytest.mark.parametrize("length", range(12))
def test_a_length_that_no_message_has(length: int) -> None:
    octets = struct.pack("!H", length) + QUERY_7
    (row,) = parsed(conversation([Said(0, octets), Said(0, framed(QUERY_7))], 53))
    assert (row.kind, row.status, row.note) == ("", "parse_error", "bad_header")
    assert parsed(conversation([Said(0, octets)], 53, opened=False)) == []


def test_too_many_messages_of_a_group_are_counted() -> None:
    run = ShardRun(small(max_parser_messages_per_chunk=3))
    rows = parsed(conversation([Said(0, framed(QUERY_7) * 5), Said(0, b"")], 53, TCP), (), run)
    assert len(rows) == 3
    assert run.stats()["messages_over_limit"] == 2
