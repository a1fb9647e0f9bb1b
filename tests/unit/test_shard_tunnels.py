"""Streams that begin to speak TLS: behind STARTTLS, SOCKS, CONNECT; whole, and byte by byte."""

from collections.abc import Sequence

import pytest

from services.shard.kernels import state as s
from shared.columns import SERVICES
from tests.messages import Row, Said, conversation, cut, parsed
from tests.shard_harness import ShardRun, small
from tests.tls_octets import named_hello, record, server_hello

HELLO = named_hello(b"mail.example.org")
ANSWER = record(22, server_hello())
SECRET = record(20, b"\1") + record(22, b"\x5a" * 40) + record(23, bytes(90))
CONNECT = b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"
OPENED = b"HTTP/1.1 200 Go\r\n\r\n"
SMTP = [
    Said(1, b"220 mx ESMTP\r\n"), Said(0, b"EHLO me\r\n"), Said(1, b"250-mx\r\n250 STARTTLS\r\n"),
    Said(0, b"STARTTLS\r\n"), Said(1, b"220 ready\r\n"),
]  # fmt: skip
IMAP = [Said(1, b"* OK ready\r\n"), Said(0, b"a STARTTLS\r\n"), Said(1, b"a OK\r\n")]
SOCKS = [
    Said(0, b"\5\1\0"), Said(1, b"\5\0"), Said(0, b"\5\1\0\3\7a.b.org\1\xbb"),
    Said(1, b"\5\0\0\1\0\0\0\0\0\0"),
]  # fmt: skip
TLS = [Said(0, HELLO), Said(1, ANSWER), Said(0, SECRET), Said(1, SECRET)]


def told(said: Sequence[Said], port: int, runs: list[ShardRun] | None = None) -> list[Row]:
    """What is found, which is the same when each octet is a packet and a batch."""
    whole = ShardRun()
    rows = parsed(conversation(said, port), (), whole)
    pieces = conversation(cut(said, 1), port)
    single = parsed(pieces, range(len(pieces)), ShardRun(small(max_flows=64)))
    assert {bare(row) for row in rows} == {bare(row) for row in single}
    assert len(rows) == len(single)
    if runs is not None:
        runs.append(whole)
    return rows


def bare(row: Row) -> tuple[object, ...]:
    return row.kind, row.side, row.start, row.end, row.status, row.summary, row.name


@pytest.mark.parametrize(
    ("said", "port", "service"),
    [(SMTP, 25, "smtp"), (IMAP, 143, "imap"), (SOCKS, 1080, "tls"), (SMTP, 9999, "smtp")],
)
def test_tls_behind_something_else(said: list[Said], port: int, service: str) -> None:
    runs: list[ShardRun] = []
    hello, answer = told([*said, *TLS], port, runs)
    start = sum(len(one.octets) for one in said if one.side == 0) + 5
    assert bare(hello) == (
        "client_hello", 0, start, start + len(HELLO) - 5, "complete",
        b"ClientHello mail.example.org", b"mail.example.org",
    )  # fmt: skip
    assert (answer.kind, answer.side, answer.status) == ("server_hello", 1, "complete")
    run = runs[0]
    assert SERVICES[int(run.tables.flows[0]["service"])] == service
    assert run.stats()["parser_errors"] == run.stats()["parser_gaps"] == 0


@pytest.mark.parametrize(
    "said",
    [
        [Said(0, CONNECT), Said(1, OPENED), *TLS],
        [Said(0, CONNECT + HELLO), Said(1, OPENED + ANSWER), Said(0, SECRET)],
        [Said(0, CONNECT + HELLO[:7]), Said(1, OPENED), Said(0, HELLO[7:]), *TLS[1:]],
        [Said(0, CONNECT), Said(1, OPENED), *SMTP, *TLS],
    ],
)
def test_tls_behind_connect(said: list[Said]) -> None:
    rows = sorted(told(said, 8080), key=lambda row: (row.protocol == "tls", row.side))
    assert [(row.kind, row.side, row.status) for row in rows] == [
        ("request", 0, "complete"), ("response", 1, "complete"),
        ("client_hello", 0, "complete"), ("server_hello", 1, "complete"),
    ]  # fmt: skip
    assert rows[2].name == b"mail.example.org"


@pytest.mark.parametrize("said", [HELLO, HELLO[:80]])
def test_a_hello_with_connect_and_nothing_behind_it(said: bytes) -> None:
    """It is read when the answer tells what it is, whichever batch that is in."""
    *http, hello = told([Said(0, CONNECT + said), Said(1, OPENED)], 8080)
    assert {row.kind for row in http} == {"request", "response"}
    whole = said == HELLO
    assert (hello.kind, hello.status) == ("client_hello", "complete" if whole else "partial")


def test_a_hello_is_of_the_time_at_which_it_came() -> None:
    packets = conversation([Said(0, CONNECT), Said(0, HELLO), Said(1, OPENED)], 8080)
    hello = parsed(packets, range(len(packets)))[-1]
    assert (hello.kind, hello.ts_ns) == ("client_hello", packets[3].ts_ns)


def test_an_upgrade_to_tls() -> None:
    """RFC 2817."""
    asked = b"OPTIONS * HTTP/1.1\r\nUpgrade: TLS/1.0\r\n\r\n"
    agreed = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n\r\n"
    rows = told([Said(0, asked), Said(1, agreed), *TLS], 80)
    assert [row.kind for row in rows] == ["request", "response", "client_hello", "server_hello"]


def test_what_is_no_hello_costs_a_parser_and_tells_nothing() -> None:
    """A turn that begins like a record, then one that begins with a hello."""
    no_hello = b"\x16\3\1\0\x20\2" + bytes(40)
    run = ShardRun()
    said = [*SMTP, Said(0, no_hello), Said(1, b"what?\r\n")]
    assert parsed(conversation(said, 25), (), run) == []
    assert int(run.tables.state[s.FREE_PARSERS]) == 1
    assert [row.kind for row in told([*said, *TLS], 25)] == ["client_hello", "server_hello"]


def test_streams_without_a_hello_cost_no_parser() -> None:
    run = ShardRun()
    assert parsed(conversation([*SMTP, Said(0, b"no\r\n")], 25), (), run) == []
    assert int(run.tables.state[s.USED_PARSERS]) == 0


def test_a_hello_in_the_middle_of_a_turn_is_data() -> None:
    assert told([*SMTP, Said(0, b"DATA\r\n" + HELLO)], 25) == []


def test_a_gap_before_the_hello() -> None:
    said = [*SMTP[:-1], Said(1, b"220", 12), *TLS]
    rows = parsed(conversation(said, 25))
    assert [(row.kind, row.status) for row in rows] == [
        ("client_hello", "complete"), ("server_hello", "complete"),
    ]  # fmt: skip
