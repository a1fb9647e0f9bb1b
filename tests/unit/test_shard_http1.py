"""Rules of HTTP/1 framing, one named case each: bytes in, messages out, whole and byte by byte."""

from collections.abc import Sequence
from typing import Any

import pytest

from services.shard.kernels import state as s
from shared.columns import FIN, HTTP_FRAMINGS, NO_VALUE, RST, SERVICES
from tests.message_harness import Turn, found_in, in_pieces, packets_of, pairs_in
from tests.reference.streams import Packet
from tests.shard_harness import ShardRun, small

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BY_NONE, BY_LENGTH, BY_CHUNKS, BY_CLOSE, BY_UPGRADE = range(len(HTTP_FRAMINGS))


def run_of(packets: Sequence[Packet], at_once: bool = True, **changed: Any) -> ShardRun:
    run = ShardRun(small(**changed))
    run.take_in_batches(packets, [] if at_once else range(len(packets)))
    run.finish()
    return run


def found(turns: Sequence[Turn], end: int = FIN, **changed: Any) -> list[dict[str, Any]]:
    """The messages of a conversation, which are the same when each byte is a packet and a batch."""
    whole = run_of(packets_of(turns, end=end), **changed)
    single = run_of(packets_of(in_pieces(turns, [1]), end=end), False, **changed)
    assert found_in(whole) == found_in(single)
    count = whole.stats()["messages"]
    assert pairs_in(whole, count) == pairs_in(single, count)
    return found_in(whole)


def seen(message: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(message[name] for name in names)


def statuses(messages: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(message["status"], message["note"]) for message in messages]


def test_a_request_and_its_response() -> None:
    request, response = found([(0, GET), (1, OK)])
    assert seen(request, "kind", "side", "text", "name", "value", "framing") == (
        "request", 0, b"GET / HTTP/1.1", b"a", NO_VALUE, BY_NONE,
    )  # fmt: skip
    assert seen(request, "start", "header_end", "body_end", "end") == (0, 27, 27, 27)
    assert seen(response, "kind", "side", "text", "code", "value", "framing") == (
        "response", 1, b"HTTP/1.1 200 OK", 200, 2, BY_LENGTH,
    )  # fmt: skip
    assert seen(response, "start", "header_end", "body_end", "end") == (0, 38, 40, 40)
    assert statuses([request, response]) == [("complete", "")] * 2


def test_pairs_of_pipelined_requests() -> None:
    packets = packets_of([(0, GET * 40), (1, OK * 40), (0, GET), (1, OK)])
    pairs = pairs_in(run_of(packets), 82)
    assert pairs == [*range(41, 81), *range(1, 41), 82, 81]


def test_an_answer_that_was_captured_before_its_request() -> None:
    packets = packets_of([(0, GET), (1, OK), (0, GET), (1, OK)])
    packets[2], packets[3] = packets[3], packets[2]
    assert pairs_in(run_of(packets, False), 4) == [2, 1, 4, 3]


@pytest.mark.parametrize(
    ("asked", "head", "framing"),
    [
        (HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n", BY_NONE),
        (GET, b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n", BY_NONE),
        (GET, b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n", BY_NONE),
        (GET, b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 0\r\n", BY_LENGTH),
    ],
)
def test_responses_without_body(asked: bytes, head: bytes, framing: int) -> None:
    """RFC 9112 §6.3, points 1 and 6: what follows is the next response."""
    *_, first, second = found([(0, asked + GET), (1, head + b"\r\n" + OK)])
    assert first["framing"] == framing
    assert first["end"] == first["header_end"] == second["start"]
    assert statuses([first, second]) == [("complete", "")] * 2


def test_interim_responses_leave_the_request_waiting() -> None:
    turns = [(0, GET), (1, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n" + OK)]
    assert [message["code"] for message in found(turns)] == [0, 100, 103, 200]
    assert pairs_in(run_of(packets_of(turns)), 4) == [4, 1, 1, 1]


def test_chunks_with_extensions_and_trailer() -> None:
    body = b"5;a=b\r\nhello\r\n00a \r\n0123456789\r\n0\r\n"
    _, first, second = found([(0, GET), (1, CHUNKED + body + b"Expires: 0\r\n\r\n" + OK)])
    assert first["framing"] == BY_CHUNKS
    assert first["body_end"] == len(CHUNKED + body)
    assert first["end"] == second["start"] == len(CHUNKED + body) + 14
    assert first["status"] == "complete"


def test_chunked_wins_over_content_length() -> None:
    head = CHUNKED[:-2] + b"Content-Length: 99\r\n\r\n"
    _, response = found([(0, GET), (1, head + b"0\r\n\r\n")])
    assert seen(response, "framing", "value", "status") == (BY_CHUNKS, 99, "complete")


@pytest.mark.parametrize(
    "size", [b"10000000000000000", b"4000000000000000", b"", b"g", b"-1", b"0x5", b"5 5", b" 5"]
)
def test_chunk_sizes_that_are_none(size: bytes) -> None:
    _, response = found([(0, GET), (1, CHUNKED + size + b"\r\nhello\r\n0\r\n\r\n" + OK)])
    assert seen(response, "status", "note", "end") == ("parse_error", "bad_chunk", len(CHUNKED))


@pytest.mark.parametrize("value", [b"5, 5", b"5\r\nContent-Length: 5", b"05", b"\r\n\t5"])
def test_lengths_that_agree(value: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: " + value + b"\r\n\r\n"
    first, _ = found([(0, head + b"hello" + GET)])
    assert seen(first, "value", "status", "end") == (5, "complete", len(head) + 5)


@pytest.mark.parametrize(
    "value", [b"5, 6", b"5\r\nContent-Length: 6", b"", b"x", b"+5", b"5,", b"4611686018427387904"]
)
def test_lengths_that_are_none(value: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: " + value + b"\r\n\r\n"
    (only,) = found([(0, head + b"hello" + GET)])
    assert seen(only, "status", "note", "end") == ("parse_error", "bad_length", len(head))


def test_a_request_whose_last_coding_is_not_chunked() -> None:
    (only,) = found([(0, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n" + GET)])
    assert seen(only, "status", "note") == ("parse_error", "bad_header")


@pytest.mark.parametrize(
    ("end", "status", "note"),
    [(FIN, "complete", ""), (RST, "partial", "end_of_stream"), (0, "partial", "end_of_stream")],
)
def test_a_body_until_the_close(end: int, status: str, note: str) -> None:
    _, response = found([(0, GET), (1, b"HTTP/1.0 200 OK\r\n\r\nall\r\n\r\nthis")], end)
    assert seen(response, "framing", "status", "note") == (BY_CLOSE, status, note)
    assert seen(response, "header_end", "end") == (19, 30)


def test_a_long_body_is_passed_over() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n"
    turns = [(0, GET), *((1, octets) for octets in (head, *[b"GET / HTTP/1.1\r\n\r\n" * 300] * 60))]
    _, response, *_ = found_in(run_of(packets_of(turns)))
    assert seen(response, "status", "end") == ("complete", len(head) + 300000)


def test_old_requests_have_no_head() -> None:
    """HTTP/0.9: the answer is a body and nothing else."""
    page = b"\r\n<p>HTTP/1.1 200 it is not\n"
    request, response = found([(0, b"GET /old\r\n"), (1, page)])
    assert seen(request, "text", "status", "end") == (b"GET /old", "complete", 10)
    assert seen(response, "start", "header_end", "end", "framing", "status") == (
        0, 0, len(page), BY_CLOSE, "complete",
    )  # fmt: skip


@pytest.mark.parametrize("line", [b"OPTIONS", b"GET /a b", b"TRACE *", b"PUT /x HTTP/"])
def test_requests_with_a_head_but_without_a_version(line: bytes) -> None:
    request, response = found([(0, line + b"\nHost: x.org\n\n"), (1, OK)])
    assert seen(request, "kind", "text", "name", "status") == (
        "request",
        line,
        b"x.org",
        "complete",
    )
    assert response["status"] == "complete"


@pytest.mark.parametrize("line", [b"LIST", b"PUT flag", b"OPTIONSX", b"get /", b"DELETE 1 2"])
def test_commands_of_other_services_are_no_requests(line: bytes) -> None:
    assert found([(0, line + b"\r\n\r\n")]) == []


def test_what_is_tolerated_in_heads() -> None:
    """Empty lines before, bare LF, folded lines, no colon, spaces in a target (§2.2, §5.2)."""
    (only,) = found([(0, b"\r\n\nGET /a b HTTP/1.1\n folded\nno colon\nHost:\n\tx.org \n\n")])
    assert seen(only, "start", "text", "name", "status") == (
        3, b"GET /a b HTTP/1.1", b"x.org", "complete",
    )  # fmt: skip


def test_text_is_bounded_and_printable() -> None:
    line = b"GET /\x01\x7f\xc3\xa4" + b"x" * 500 + b" HTTP/1.1"
    (only,) = found([(0, line + b"\r\nHost: " + b"h" * 300 + b"\r\n\r\n")])
    assert only["text"] == (b"GET /..\xc3\xa4" + b"x" * 500)[:400]
    assert only["name"] == b"h" * 100


@pytest.mark.parametrize("field", [b"X: " + b"x" * 400, b"x: y\r\n" * 90, b""])
def test_heads_that_are_too_long(field: bytes) -> None:
    line = b"GET / HTTP/1.1\r\n" if field else b"GET /" + b"x" * 400
    (only,) = found([(0, line + field + b"\r\n\r\n" + GET)], max_http1_header_bytes=256)
    assert seen(only, "kind", "status", "note", "end") == (
        "request", "parse_error", "too_long", 256,
    )  # fmt: skip


def test_no_start_line_after_a_message_ends_the_direction() -> None:
    first, bad = found([(0, GET + b"junk\r\n" + GET + b"junk\r\n")])
    assert seen(bad, "status", "note", "start", "end") == (
        "parse_error", "bad_start_line", len(GET), len(GET) + 6,
    )  # fmt: skip
    assert first["status"] == "complete"


def test_a_stream_that_begins_within_a_body() -> None:
    turns = [(1, b"rest of a body\nHTTP/1.1 nothing\n" + OK), (0, GET), (1, OK)]
    packets = packets_of(turns, opened=False)
    messages = found_in(run_of(packets))
    assert [message["start"] for message in messages] == [32, 0, 72]
    assert pairs_in(run_of(packets), 3) == [0, 3, 2]


def test_a_head_that_does_not_end() -> None:
    request, response = found([(0, GET[:20]), (1, OK[:10])])
    assert seen(request, "kind", "text", "end") == ("request", b"GET / HTTP/1.1", 20)
    assert seen(response, "kind", "text", "end") == ("response", b"HTTP/1.1 2", 10)
    assert statuses([request, response]) == [("partial", "end_of_stream")] * 2


# ------------------------------------------------------------------------------------------ gaps


def with_loss(turns: Sequence[Turn], *lost: int) -> ShardRun:
    packets = packets_of(turns)
    return run_of([packet for i, packet in enumerate(packets) if i - 2 not in lost])


def test_a_gap_in_a_body_of_known_length() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n"
    run = with_loss([(0, GET), (1, head + b"0123"), (1, b"456789"), (1, b"0123456789" + OK)], 2)
    _, first, second = found_in(run)
    assert seen(first, "status", "note", "gap", "end") == ("partial", "gap", True, len(head) + 20)
    assert seen(second, "status", "gap", "start") == ("complete", False, len(head) + 20)
    assert run.stats()["parser_gaps"] == 1


def test_a_gap_in_a_chunk() -> None:
    turns = [(0, GET), (1, CHUNKED + b"a\r\n01"), (1, b"2345"), (1, b"6789\r\n0\r\n\r\n" + OK)]
    _, first, second = found_in(with_loss(turns, 2))
    assert seen(first, "status", "note", "gap") == ("partial", "gap", True)
    assert second["status"] == "complete"


def test_a_gap_in_a_head() -> None:
    """It goes on with the next line that begins a message, and pairs what is asked after that."""
    turns = [(0, GET), (1, OK[:20]), (1, OK[20:30]), (1, OK[30:]), (0, GET), (1, OK)]
    run = with_loss(turns, 2)
    messages = {message["ordinal"]: message for message in found_in(run)}
    assert sorted(statuses(list(messages.values()))) == [
        ("complete", ""), ("complete", ""), ("complete", ""), ("partial", "gap"),
    ]  # fmt: skip
    (torn,) = [one for one in messages.values() if one["status"] == "partial"]
    assert seen(torn, "kind", "text", "start", "end") == ("response", b"HTTP/1.1 200 OK", 0, 20)
    pairs = pairs_in(run, 4)
    assert 0 not in pairs
    assert all(pairs[pair - 1] == i + 1 for i, pair in enumerate(pairs))


def test_a_lost_response_does_not_shift_the_pairs() -> None:
    run = with_loss([(0, GET), (1, OK), (0, GET), (1, OK), (0, GET), (1, OK)], 1)
    assert [message["kind"] for message in found_in(run)] == ["request"] * 2 + ["response"] + [
        "request", "response",
    ]  # fmt: skip
    assert pairs_in(run, 5) == [0, 3, 2, 5, 4]


# ------------------------------------------------------------------------------ other protocols


def test_http_in_a_tunnel() -> None:
    connect = b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"
    opened = b"HTTP/1.1 200 Go\r\n\r\n"
    for turns in (
        [(0, connect), (1, opened), (0, GET), (1, OK)],
        [(0, connect + GET), (1, opened), (1, OK)],
        [(0, connect), (0, GET[:3]), (1, opened + OK[:9]), (0, GET[3:]), (1, OK[9:])],
    ):
        messages = sorted(found(turns), key=lambda message: (message["side"], message["start"]))
        assert [seen(message, "text", "status") for message in messages] == [
            (b"CONNECT a:80 HTTP/1.1", "complete"), (b"GET / HTTP/1.1", "complete"),
            (b"HTTP/1.1 200 Go", "complete"), (b"HTTP/1.1 200 OK", "complete"),
        ]  # fmt: skip
        request, response = messages[1], messages[3]
        pairs = pairs_in(run_of(packets_of(turns)), 4)
        assert pairs[request["ordinal"]] == response["ordinal"] + 1


def test_a_tunnel_of_something_else_is_not_looked_into() -> None:
    connect = b"CONNECT a:22 HTTP/1.1\r\nHost: a:22\r\n\r\n"
    turns = [(0, connect), (1, b"HTTP/1.1 200 Go\r\n\r\n"), (1, b"SSH-2.0-x\r\n"),
             (0, b"SSH-2.0-y\r\n"), (0, GET), (1, OK)]  # fmt: skip
    messages = found(turns)
    assert [message["framing"] for message in messages] == [BY_NONE, BY_UPGRADE]


def test_a_refused_tunnel_goes_on() -> None:
    connect = b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"
    refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    turns = [(0, connect), (0, GET), (1, refused), (1, OK)]
    assert [message["text"] for message in found(turns)] == [
        b"CONNECT a:443 HTTP/1.1", b"GET / HTTP/1.1", b"HTTP/1.1 403 Forbidden", b"HTTP/1.1 200 OK",
    ]  # fmt: skip


def test_an_upgrade_to_something_else_ends_both() -> None:
    agreed = b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n"
    messages = found([(0, GET), (1, agreed + OK), (0, GET)])
    assert [message["framing"] for message in messages] == [BY_NONE, BY_UPGRADE]


# ---------------------------------------------------------------------------------- the machinery


def test_a_service_that_is_told_late_is_parsed_from_the_first_byte() -> None:
    """On a port that says nothing it takes four bytes to know."""
    packets = packets_of(in_pieces([(0, GET), (1, OK)], [1]), port=9999)
    messages = found_in(run_of(packets, False))
    assert [message["start"] for message in messages] == [0, 0]


def test_too_many_messages_in_one_group_are_counted() -> None:
    run = run_of(packets_of([(0, GET * 20), (1, OK * 20)]), max_parser_messages_per_chunk=8)
    stats = run.stats()
    assert stats["messages"] == len(run.found) == 16
    assert stats["messages_over_limit"] == 24
    assert pairs_in(run, 16) == [*range(9, 17), *range(1, 9)]


def test_pairs_outlive_a_ring_that_is_too_small() -> None:
    run = ShardRun(small(max_messages=64))
    assert run.tables.messages.size == 64
    turns = [(0, GET * 200), (1, OK * 200), (0, GET), (1, OK)]
    run.take_in_batches(packets_of(turns), range(9))
    run.finish()
    stats = run.stats()
    assert stats["messages"] == 402
    assert stats["messages_untold"] + len(run.found) == 402
    last = [run.tables.messages[number % 64] for number in (400, 401)]
    assert [int(row["pair"]) for row in last] == [402, 401]


def test_parsers_are_given_back_and_bounded() -> None:
    run = ShardRun(small(max_parser_states=2, max_flows=256))
    packets = packets_of([(0, GET), (1, OK)])
    run.take(packets)
    assert int(run.tables.state[s.USED_PARSERS]) == 1
    run.finish()
    assert int(run.tables.state[s.FREE_PARSERS]) == 1
    assert not run.tables.parser_of.any()
    assert SERVICES[int(run.tables.flows[0]["service"])] == "http"


def test_small_extents_are_read_one_after_the_other() -> None:
    """A ring so small that a group lies in several extents, and some of them are gone."""
    turns = [(0, GET * 30), (1, OK * 30)]
    run = run_of(packets_of(turns), max_stream_content_bytes=8192)
    assert int(run.tables.config[s.MAX_EXTENT]) < len(OK * 30) + 900
    assert len(run.found) == 60
