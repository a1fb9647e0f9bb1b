"""TLS as named cases: what is told of handshakes and alerts, and where a direction ends."""

import pytest

from services.shard.kernels.tls_rows import FRAMING_SSL2, MARK_RETRY
from shared.columns import NO_PARSER
from tests.messages import Row, Said, conversation, cut, parsed
from tests.reference.tls import RETRY
from tests.shard_harness import ShardRun, small
from tests.tls_octets import client_hello, extension, record, server_hello, vector

NAME = extension(0, vector(2, b"\0" + vector(2, b"Example.com")))
OFFERS = extension(43, vector(1, b"\x7a\x7a\3\4\3\3"))
HELLO = client_hello(NAME, OFFERS)
ANSWER = server_hello(extension(43, b"\3\4"))
CERTIFICATE = b"\x0b" + vector(3, bytes(900))
DONE = b"\x0e\0\0\0"
CIPHER = record(20, b"\1")
SECRET = record(23, bytes(500))
FINISHED = record(22, b"\x5a" * 40)


def told(*said: tuple[int, bytes], opened: bool = True) -> list[Row]:
    pieces = [Said(side, octets) for side, octets in said]
    return parsed(conversation(pieces, 443, opened=opened))


def only(octets: bytes, side: int = 0) -> Row:
    (row,) = told((side, octets))
    return row


def test_a_client_hello() -> None:
    row = only(record(22, HELLO))
    assert (row.protocol, row.kind, row.status) == ("tls", "client_hello", "complete")
    assert (row.start, row.value, row.end, row.header_end) == (
        5,
        len(HELLO),
        5 + len(HELLO),
        row.end,
    )
    assert (row.code, row.summary, row.name) == (0x0304, b"ClientHello Example.com", b"example.com")


def test_a_client_hello_without_a_name() -> None:
    row = only(record(22, client_hello(version=b"\3\2")))
    assert (row.code, row.summary, row.name) == (0x0302, b"ClientHello TLS 1.1", b"")


def test_grease_is_no_version_and_a_draft_is_one() -> None:
    grease = only(record(22, client_hello(extension(43, vector(1, b"\x2a\x2a")))))
    assert grease.code == 0x0303
    draft = only(record(22, client_hello(extension(43, vector(1, b"\3\3\x7f\x17")))))
    assert (draft.code, draft.summary) == (0x7F17, b"ClientHello TLS 1.3 (draft 23)")


def test_a_server_hello_and_a_certificate_in_one_record() -> None:
    hello, certificate = told((1, record(22, ANSWER + CERTIFICATE + DONE)))
    assert (hello.kind, hello.code) == ("server_hello", 0x0304)
    assert hello.summary == b"ServerHello TLS 1.3 0x1301"
    assert (certificate.kind, certificate.summary) == ("certificate", b"Certificate")
    assert (certificate.start, certificate.end) == (5 + len(ANSWER), 5 + len(ANSWER + CERTIFICATE))
    assert certificate.value == len(CERTIFICATE + DONE)


def test_a_retry_request() -> None:
    run = ShardRun()
    run.take(conversation([Said(1, record(22, server_hello(random=RETRY)))], 443))
    run.finish()
    ((message, text),) = run.found
    assert text == b"HelloRetryRequest TLS 1.2 0x1301"
    assert message["marks"] & MARK_RETRY


def test_a_second_hello_behind_change_cipher_spec() -> None:
    """RFC 8446 §D.4: a client that was asked again sends one before its second hello."""
    hello = record(22, HELLO)
    asked = record(22, server_hello(random=RETRY)) + CIPHER
    answer = record(22, ANSWER) + SECRET
    rows = told((0, hello), (1, asked), (0, CIPHER + hello), (1, answer), (0, SECRET))
    assert [row.kind for row in rows] == [
        "client_hello",
        "server_hello",
        "client_hello",
        "server_hello",
    ]


def test_nothing_is_told_of_what_is_encrypted() -> None:
    run = ShardRun()
    said = [(0, record(22, HELLO)), (1, record(22, ANSWER) + CIPHER + FINISHED),
            (0, CIPHER + FINISHED + SECRET), (1, SECRET + record(22, HELLO))]  # fmt: skip
    rows = parsed(conversation([Said(*one) for one in said], 443), (), run)
    assert [row.kind for row in rows] == ["client_hello", "server_hello"]
    assert run.stats()["parser_errors"] == 0


def test_a_stream_that_is_encrypted_both_ways_costs_no_parsing_any_more() -> None:
    run = ShardRun()
    run.take(conversation([Said(0, SECRET), Said(1, SECRET)], 443))
    assert run.tables.parsers[0]["protocol"] == NO_PARSER


@pytest.mark.parametrize(
    ("octets", "summary"),
    [
        (b"\2\x28", b"Alert fatal handshake_failure"),
        (b"\1\0", b"Alert warning close_notify"),
        (b"\2\xfe", b"Alert fatal 254"),
    ],
)
def test_an_alert(octets: bytes, summary: bytes) -> None:
    row = only(record(21, octets, b"\3\3"), side=1)
    assert (row.kind, row.summary, row.value, row.code) == ("alert", summary, 2, 0x0303)
    assert (row.start, row.end) == (5, 7)


def test_an_encrypted_alert() -> None:
    assert told((0, CIPHER + record(21, bytes(26)))) == []


# ------------------------------------------------------------------------- in several records
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 50])
def test_a_message_in_several_records(size: int) -> None:
    records = b"".join(record(22, HELLO[at : at + size]) for at in range(0, len(HELLO), size))
    row = only(records)
    assert (row.status, row.name, row.code) == ("complete", b"example.com", 0x0304)
    assert (row.start, row.value, row.end) == (5, size, len(records))


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_a_handshake_however_it_is_cut(size: int) -> None:
    said = [
        Said(0, record(22, HELLO)),
        Said(1, record(22, ANSWER) + record(22, CERTIFICATE + DONE)),
    ]
    pieces = cut(said, size)
    whole = parsed(conversation(said, 443))
    for cuts in ((), range(len(pieces) + 2)):
        rows = parsed(conversation(pieces, 443), cuts, ShardRun(small(batch_size=2048)))
        assert [(row.summary, row.start, row.end, row.status) for row in rows] == [
            (row.summary, row.start, row.end, row.status) for row in whole
        ]


def test_a_service_that_its_octets_tell_is_parsed_from_its_beginning() -> None:
    pieces = cut([Said(0, record(22, HELLO))], 2)
    (row,) = parsed(conversation(pieces, 9999), range(len(pieces) + 2))
    assert (row.start, row.name, row.status) == (5, b"example.com", "complete")


@pytest.mark.parametrize("first", [b"\x16\3", b"what is this?"])
def test_what_a_side_said_before_the_other_told_that_it_is_tls(first: bytes) -> None:
    """Whichever batch that is in."""
    packets = conversation([Said(0, first), Said(1, record(22, server_hello()))], 9999)
    whole, single = parsed(packets), parsed(packets, range(len(packets)))
    assert [row.kind for row in single if row.side] == ["server_hello"]
    found = [
        sorted((row.kind, row.side, row.start, row.end, row.status) for row in rows)
        for rows in (whole, single)
    ]
    assert found[0] == found[1]


def test_a_hello_that_is_longer_than_what_is_put_together() -> None:
    big = client_hello(*[extension(21, bytes(60000))], NAME)
    run = ShardRun(small(batch_size=256))
    packets = conversation(
        cut(
            [Said(0, b"".join(record(22, big[at : at + 1000]) for at in range(0, len(big), 1000)))],
            1400,
        ),
        443,
    )
    (row,) = parsed(packets, range(100), run)
    assert (row.status, row.name) == ("complete", b"example.com")
    huge = b"\1" + vector(3, bytes(200_000))
    records = b"".join(record(22, huge[at : at + 16000]) for at in range(0, len(huge), 16000))
    packets = conversation(cut([Said(0, records)], 1400), 443)
    (row,) = parsed(packets, range(200), ShardRun(small(batch_size=256)))
    assert (row.status, row.note, row.summary) == ("partial", "too_long", b"ClientHello")


# --------------------------------------------------------------------------------- what is wrong
@pytest.mark.parametrize(
    "octets",
    [
        b"\x19\3\3\0\1\0", b"\x13\3\3\0\1\0", b"\x16\2\3\0\1\0", b"\x16\3\5\0\1\0",
        b"\x16\3\3\xff\xff\0", b"\x16\3\3\x48\1\0", b"\x16\3\3\0\0\x16", b"\x14\3\3\0\2\1\1",
        b"\x15\3\3\0\2\7\0", b"\x15\3\3\0\3\1\0\0", b"\x16\3\3\0\4\x20\0\0\0",
    ],
    ids=bytes.hex,
)  # fmt: skip
def test_a_record_that_no_rule_allows_ends_the_direction(octets: bytes) -> None:
    row, hello = told((0, octets), (0, record(22, HELLO)), (1, record(22, ANSWER)))
    assert (row.kind, row.status, row.note) == ("", "parse_error", "bad_record")
    assert hello.side == 1
    assert [row.side for row in told((0, octets), (1, record(22, ANSWER)), opened=False)] == [1]


@pytest.mark.parametrize("between", [CIPHER, SECRET, record(21, b"\2\0"), b"\0" * 6], ids=len)
def test_nothing_else_may_come_within_a_message(between: bytes) -> None:
    row = only(record(22, HELLO[:50]) + between + record(22, HELLO[50:]))
    assert (row.kind, row.status, row.note, row.end) == (
        "client_hello",
        "parse_error",
        "bad_record",
        55,
    )


def test_every_cut_of_a_hello_is_an_error_in_its_lengths() -> None:
    body = HELLO[4:]
    for size in range(len(body)):
        row = only(record(22, b"\1" + vector(3, body[:size])))
        whole = size == 34 + 33 + 6 + 2  # where its extensions would begin
        assert row.status == ("complete" if whole else "parse_error"), size
        assert row.note == ("" if whole else "bad_length")


@pytest.mark.parametrize("wrong", [2, 3, 255])
def test_lengths_of_extensions_that_do_not_fit(wrong: int) -> None:
    assert only(record(22, client_hello(b"\0\0\0" + bytes([wrong]) + b"\0"))).note == "bad_length"
    odd = client_hello(extension(43, bytes([wrong]) + b"\3\4"))
    assert only(record(22, odd)).note == ("" if wrong == 2 else "bad_length")


# --------------------------------------------------------------------------------------- with gaps
def test_a_gap_in_a_message_leaves_the_next_one_found() -> None:
    octets = record(22, ANSWER + CERTIFICATE + HELLO)
    begin = 5 + len(ANSWER) + 100
    rows = parsed(
        conversation([Said(1, octets[:begin], lost=500), Said(1, octets[begin + 500 :])], 443)
    )
    assert [(row.kind, row.status, row.note, row.gap) for row in rows] == [
        ("server_hello", "complete", "", False), ("certificate", "partial", "gap", True),
        ("client_hello", "complete", "", False),
    ]  # fmt: skip


def test_behind_a_lost_header_a_record_may_begin() -> None:
    hello = record(22, HELLO)
    rows = parsed(conversation([Said(0, hello[:3], lost=700), Said(0, hello)], 443))
    assert [(row.start, row.status) for row in rows] == [(708, "complete")]
    run = ShardRun()
    assert (
        parsed(conversation([Said(0, hello[:3], lost=700), Said(0, b"none")], 443), (), run) == []
    )
    assert run.stats()["parser_gaps"] == 1


def test_a_gap_over_the_beginning_of_the_next_record() -> None:
    hello = record(22, HELLO)
    first, second = parsed(
        conversation([Said(0, hello[:60], lost=len(hello) - 58), Said(0, record(22, HELLO))], 443)
    )
    assert (first.status, first.note, first.end) == ("partial", "gap", len(hello))
    assert (second.status, second.start) == ("complete", len(hello) + 7)


def test_the_end_of_the_stream_in_a_message() -> None:
    row = only(record(22, HELLO)[:30])
    assert (row.status, row.note, row.summary) == ("partial", "end_of_stream", b"ClientHello")


def test_a_midstream_start_tells_of_no_error() -> None:
    assert told((0, b"\x91" * 300), (1, b"\x17" * 300), opened=False) == []


# ----------------------------------------------------------------------------------------- SSLv2
def test_a_hello_of_the_form_of_ssl2() -> None:
    body = b"\1\3\1" + (6).to_bytes(2, "big") + b"\0\0\0\x10" + b"\0\0\x2f\7\0\xc0" + bytes(16)
    octets = (0x8000 | len(body)).to_bytes(2, "big") + body
    run = ShardRun()
    run.take(conversation([Said(0, octets + record(22, b"\x10" + vector(3, bytes(8)))),
                           Said(1, record(22, server_hello()))], 443))  # fmt: skip
    run.finish()
    (hello, text), (answer, _) = run.found
    assert (text, hello["framing"], hello["code"]) == (b"ClientHello TLS 1.0", FRAMING_SSL2, 0x0301)
    assert (hello["start"], hello["end"], hello["value"]) == (0, len(octets), len(octets))
    assert answer["dir"] == 1
    assert run.stats()["parser_errors"] == 0
