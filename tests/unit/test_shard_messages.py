"""Messages of a shard as they are asked for: pages, filters, headers, what is gone."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.shard.kernels import state as s
from services.shard.requests import Requests
from shared.columns import (
    ANALYZER,
    DNS_MESSAGES,
    EVENT_OPEN,
    HTTP1,
    MESSAGE,
    REQUEST,
    RESPONSE,
)
from shared.schema import Reply, Request, unpack
from tests.message_ring import add_message
from tests.reference.streams import ACK, Packet
from tests.shard_harness import ShardRun, ends, small

SERVER = ends("10.0.0.2", 80)
HEAD = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
Rows = NDArray[np.void]


class Site:
    """A shard with streams of requests, each with a message in the ring."""

    def __init__(self, streams: int = 1, messages: int = 3, **settings: Any) -> None:
        self.run = ShardRun(small(disable_stream_parser=False, max_messages=64, **settings))
        self.requests = Requests(self.run.reader, 1000)
        self.run.tables.config[s.PARSES] = 0  # the test alone fills the ring
        self.run.tables.parses = False
        octets = b"".join(HEAD % i for i in range(messages))
        for port in range(streams):
            packet = Packet(ends("10.0.0.1", 1000 + port), SERVER, octets, flags=ACK)
            self.run.take([packet])
        self.streams = [
            (int(event["stream_id"]), int(event["row"])) for event in self.run.events(EVENT_OPEN)
        ]
        for _, row in self.streams:
            start = 0
            for i in range(messages):
                end = start + len(HEAD % i)
                self.add(row, b"GET /%d" % i, b"h%d.lan" % row, start=start, header_end=end)
                start = end

    def add(self, row: int, text: bytes = b"", name: bytes = b"", **fields: Any) -> int:
        values = {"protocol": HTTP1, "kind": REQUEST} | fields
        return add_message(self.run.tables, row, text, name, **values)

    def ask(self, op: str, **args: Any) -> tuple[Reply, list[bytes]]:
        head, *frames = self.requests.answer(Request(op=op, args=args).pack())
        return unpack(Reply, head, "test"), frames

    def told(self, op: str, **args: Any) -> tuple[dict[str, Any], Rows, list[bytes], list[Any]]:
        """Result, rows, texts, headers."""
        reply, (rows, text, headers) = self.ask(op, **args)
        assert reply.error is None, reply.error
        found = np.frombuffer(rows, MESSAGE)
        assert found.size == reply.result["count"] == len(reply.result["header_bytes"])
        texts = [text[row["text"] :][: row["text_len"]] for row in found]
        cut, at = [], 0
        for length in reply.result["header_bytes"]:
            cut.append(None if length < 0 else headers[at : at + length])
            at += max(0, length)
        assert at == len(headers)
        return reply.result, found, texts, cut

    def of_stream(self, which: int = 0, **args: Any) -> Any:
        stream_id, row = self.streams[which]
        return self.told("messages", stream_id=stream_id, row=row, **args)


def test_messages_of_a_stream_with_their_headers() -> None:
    site = Site(streams=2)
    result, rows, texts, headers = site.of_stream(1)
    assert rows["ordinal"].tolist() == [0, 1, 2]
    assert set(rows["stream_id"].tolist()) == {site.streams[1][0]}
    assert texts == [b"GET /%dh%d.lan" % (i, site.streams[1][1]) for i in range(3)]
    assert headers == [HEAD % i for i in range(3)]
    assert (result["first"], result["total"], result["next"]) == (0, 3, None)


def test_pages_of_a_stream() -> None:
    site = Site(messages=7)
    result, rows, _, headers = site.of_stream(first=2, limit=3)
    assert rows["ordinal"].tolist() == [2, 3, 4]
    assert headers == [HEAD % i for i in (2, 3, 4)]
    assert (result["first"], result["next"]) == (2, 5)
    result, rows, _, _ = site.of_stream(first=5, limit=3)
    assert (rows["ordinal"].tolist(), result["next"]) == ([5, 6], None)
    result, rows, _, _ = site.of_stream(first=99)
    assert (rows.size, result["next"], result["total"]) == (0, None, 7)


def test_the_ring_has_lost_the_first_ones() -> None:
    site = Site(messages=70)
    result, rows, _, _ = site.of_stream(limit=2)
    assert (result["first"], result["total"], result["next"]) == (6, 70, 8)
    assert rows["ordinal"].tolist() == [6, 7]


def test_a_text_that_newer_ones_went_over_is_empty() -> None:
    site = Site(messages=1)
    for _ in range(2 * site.run.tables.text.size // 512):
        site.add(site.streams[0][1], b"x" * 512)
    site.run.tables.state[s.MESSAGES] = 1  # as if the ring of rows were longer than that of texts
    site.run.tables.last_message[site.streams[0][1]] = 1
    site.run.tables.message_count[site.streams[0][1]] = 1
    row = site.run.tables.messages[0:1]
    row["ordinal"] = 0
    row["text"] = 0
    _, rows, texts, _ = site.of_stream()
    assert texts == [b""]
    assert rows["name_len"].tolist() == [0]


def test_a_header_that_is_not_retained() -> None:
    site = Site(max_stream_content_bytes_per_stream=len(HEAD % 0) + 2)
    assert site.of_stream()[3] == [None, None, HEAD % 2]


def test_headers_of_a_reply_are_bounded() -> None:
    site = Site(messages=1, max_stream_content_bytes=1 << 24)
    row = site.streams[0][1]
    octets = b"y" * 60_000
    start = len(HEAD % 0)
    for number in range(100):
        at = start + number * len(octets)
        site.run.take([Packet(ends("10.0.0.1", 1000), SERVER, octets, seq=at, flags=ACK)])
    end = start + 100 * len(octets)
    for _ in range(4):
        site.add(row, start=start, header_end=start + 2_000_000)
    site.add(row, start=start, header_end=end)
    result, rows, _, headers = site.of_stream()
    assert rows["ordinal"].tolist() == [0, 1, 2]
    assert len(headers[2]) == 2_000_000
    assert result["next"] == 3
    _, rows, _, headers = site.of_stream(first=5)  # longer than any reply
    assert (rows["ordinal"].tolist(), headers) == ([5], [None])
    result, rows, _, _ = site.told("find_messages")
    assert rows["ordinal"].tolist() == [5, 4, 3]
    assert site.told("find_messages", before=result["before"])[1]["ordinal"].tolist() == [2, 1, 0]


def test_found_across_streams_newest_first() -> None:
    site = Site(streams=3)
    result, rows, texts, headers = site.told("find_messages", limit=4)
    assert [text[:6] for text in texts] == [b"GET /2", b"GET /1", b"GET /0", b"GET /2"]
    assert rows["row"].tolist() == [site.streams[i][1] for i in (2, 2, 2, 1)]
    assert headers == [HEAD % i for i in (2, 1, 0, 2)]
    seen, before = rows.size, result["before"]
    while before is not None:
        result, rows, _, _ = site.told("find_messages", limit=4, before=before)
        seen, before = seen + rows.size, result["before"]
    assert seen == 9


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        ({}, [3, 2, 1, 0]),
        ({"protocol": "dns"}, [2]),
        ({"protocol": "http1"}, [1, 0]),
        ({"protocol": "beacon"}, [3]),
        ({"protocol": "beaco"}, []),
        ({"protocol": "beacon", "text": "SEEN"}, [3]),
        ({"protocol": "beacon", "text": "unseen"}, []),
        ({"kind": "response"}, [1]),
        ({"kind": "no such kind"}, []),
        ({"status": 404}, [1]),
        ({"status": -1}, [3, 2, 0]),
        ({"status": 1 << 40}, []),
        ({"host": "TEAM.lan"}, [2, 0]),
        ({"host": "eam.lan"}, []),
        ({"host": "lan"}, [2, 0]),
        ({"text": "GET /FLAG"}, [0]),
        ({"text": "\u00fc"}, []),
        ({"text": "a", "host": "lan", "protocol": "dns"}, [2]),
    ],
)
def test_filters(chosen: dict[str, Any], wanted: list[int]) -> None:
    site = Site(messages=0)
    site.run.take([Packet(ends("10.0.0.1", 1), SERVER, b"x", flags=ACK)])
    row = int(site.run.events(EVENT_OPEN)[-1]["row"])
    site.add(row, b"GET /flag ", b"team.lan:80")
    site.add(row, b"404 Not Found", kind=RESPONSE, code=404)
    site.add(row, b"A ", b"ns.Team.lan", protocol=DNS_MESSAGES)
    site.add(row, b'{"protocol":"beacon","summary":"seen"}', b"seen", protocol=ANALYZER)
    _, rows, _, _ = site.told("find_messages", filter={"v": 2} | chosen)
    assert rows["ordinal"].tolist() == wanted


def test_messages_outlive_their_stream_without_their_headers() -> None:
    site = Site(max_flows=1, messages=2)
    site.run.take([Packet(ends("10.0.0.9", 1), SERVER, b"other", flags=ACK)])
    _, rows, texts, headers = site.told("find_messages")
    assert (rows.size, headers) == (2, [None, None])
    assert texts[0].startswith(b"GET /1")
    stream_id, row = site.streams[0]
    reply, _ = site.ask("messages", stream_id=stream_id, row=row)
    assert reply.error is not None
    assert reply.error.code == "not_found"


@pytest.mark.parametrize("settings", [{"disable_stream_content": True}])
def test_without_content_there_are_no_headers(settings: dict[str, Any]) -> None:
    assert Site(**settings).of_stream()[3] == [None, None, None]


def test_bytes_and_segments() -> None:
    site = Site(messages=0)
    late = ends("10.0.0.1", 5)
    site.run.take(
        [
            Packet(late, SERVER, b"0123", flags=ACK),
            Packet(late, SERVER, b"89", seq=8, flags=ACK),
            Packet(SERVER, late, ack=10),
        ]
    )
    event = site.run.events(EVENT_OPEN)[-1]
    where = {"stream_id": int(event["stream_id"]), "row": int(event["row"]), "direction": 0}
    reply, (octets,) = site.ask("bytes", **where, start=2, len=1 << 30)
    assert (reply.result["segments"], reply.result["end"]) == ([[2, 4], [8, 10]], 10)
    assert octets == b"2389"
    reply, _ = site.ask("segments", **where, start=0, len=1 << 62)
    assert reply.result["segments"] == [[0, 4], [8, 10]]
    assert reply.result["end_of_stream"] == 10
    assert not reply.result["more"]
    reply, _ = site.ask("segments", **where, start=1 << 63, len=1)
    assert reply.result["segments"] == []
