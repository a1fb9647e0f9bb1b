"""The conversation: both directions in the order in which they could be read."""

from typing import Any

import numpy as np
import pytest

from services.shard.kernels import state as s
from services.shard.requests import Requests
from shared.columns import EVENT_OPEN, MESSAGE
from shared.schema import Reply, Request, unpack
from tests.message_ring import add_message
from tests.reference.streams import ACK, Packet
from tests.shard_harness import ShardRun, ends, small

CLIENT, SERVER = ends("10.0.0.1", 40000), ends("10.0.0.2", 80)
Told = tuple[int, int, int, bytes | None]  # direction, start, end, bytes; None = a gap


def sent(octets: bytes, seq: int, ts: int, ack: int = 0) -> Packet:
    return Packet(CLIENT, SERVER, octets, seq=seq, flags=ACK, ts_ns=ts, ack=ack)


def answered(octets: bytes, seq: int, ts: int, ack: int = 0) -> Packet:
    return Packet(SERVER, CLIENT, octets, seq=seq, flags=ACK, ts_ns=ts, ack=ack)


class Talk:
    """A shard with one stream."""

    def __init__(self, **settings: Any) -> None:
        self.run = ShardRun(small(**settings))
        self.requests = Requests(self.run.reader, 1000)
        self.result: dict[str, Any] = {}
        self.messages: list[int] = []  # ordinals

    def take(self, *packets: Packet) -> "Talk":
        self.run.take(packets)
        return self

    def page(self, **args: Any) -> list[Told]:
        event = self.run.events(EVENT_OPEN)[0]
        args = {"stream_id": int(event["stream_id"]), "row": int(event["row"])} | args
        head, *frames = self.requests.answer(Request(op="conversation", args=args).pack())
        reply = unpack(Reply, head, "test")
        assert reply.error is None, reply.error
        self.result, (octets, rows, _), at, told = reply.result, frames, 0, []
        self.messages = np.frombuffer(rows, MESSAGE)["ordinal"].tolist()
        for direction, start, stop, _, _, gap, _ in reply.result["turns"]:
            length = 0 if gap else stop - start
            told.append((direction, start, stop, None if gap else octets[at : at + length]))
            at += length
        assert at == len(octets)
        return told

    def pages(self, **args: Any) -> list[Told]:
        """All pages."""
        found = self.page(**args)
        while not self.result["end"]:
            more = self.page(after=self.result["after"], **args)
            assert more
            found += more
        return found

    def column(self, which: int) -> list[Any]:
        """A column of the turns of the last page."""
        return [turn[which] for turn in self.result["turns"]]


def test_turns_of_both_sides() -> None:
    talk = Talk().take(
        sent(b"he", 0, 10), sent(b"llo", 2, 20), answered(b"hi", 0, 30), sent(b"bye", 5, 45)
    )
    assert talk.page() == [(0, 0, 5, b"hello"), (1, 0, 2, b"hi"), (0, 5, 8, b"bye")]
    assert talk.column(3) == [10, 30, 45]
    assert talk.column(4) == [0, 20, 15]
    assert talk.result["after"] == [8, 2]
    assert talk.result["end"]


def test_at_one_time_the_order_of_the_packets_holds() -> None:
    talk = Talk().take(
        *(
            packet
            for i in range(4)
            for packet in (answered(b"%d" % i, i, 7), sent(bytes([97 + i]), i, 7))
        )
    )
    assert [octets for *_, octets in talk.page()] == [
        b"0",
        b"a",
        b"1",
        b"b",
        b"2",
        b"c",
        b"3",
        b"d",
    ]


def test_what_came_too_early_is_said_when_the_hole_is_filled() -> None:
    talk = Talk().take(
        sent(b"first", 0, 10),
        sent(b"third", 11, 20),
        answered(b"yes", 0, 30),
        sent(b"second", 5, 40),
    )
    assert talk.page() == [(0, 0, 5, b"first"), (1, 0, 3, b"yes"), (0, 5, 16, b"secondthird")]


def test_what_is_held_is_not_said_yet() -> None:
    talk = Talk().take(sent(b"ab", 0, 10), sent(b"fg", 5, 20))
    assert talk.page() == [(0, 0, 2, b"ab")]


def test_a_gap_is_a_turn_of_its_own() -> None:
    talk = Talk().take(
        sent(b"ab", 0, 10), sent(b"fg", 5, 20), answered(b"got it", 0, 30, ack=7), sent(b"h", 7, 40)
    )
    told = talk.page()
    assert (0, 2, 5, None) in told
    assert [turn for turn in told if turn[0] == 0] == [
        (0, 0, 2, b"ab"), (0, 2, 5, None), (0, 5, 7, b"fg"), (0, 7, 8, b"h"),
    ]  # fmt: skip
    assert talk.column(3) == sorted(talk.column(3))


def test_what_is_trimmed_is_a_gap() -> None:
    talk = Talk(max_stream_content_bytes_per_stream=4).take(sent(b"0123456789", 0, 10))
    assert talk.page() == [(0, 0, 6, None), (0, 6, 10, b"6789")]


def test_without_content_all_is_a_gap() -> None:
    talk = Talk(disable_stream_content=True).take(sent(b"0123", 0, 10), answered(b"x", 0, 20))
    assert sorted(talk.page()) == [(0, 0, 4, None), (1, 0, 1, None)]
    assert talk.result["end"]


@pytest.mark.parametrize("limit", [1, 2, 3, 512])
def test_pages_have_every_turn_once(limit: int) -> None:
    talk = Talk()
    for i in range(20):
        talk.take(sent(b"q%02d" % i, 3 * i, 10 * i), answered(b"a%02d" % i, 3 * i, 10 * i + 5))
    whole = [octets for i in range(20) for octets in (b"q%02d" % i, b"a%02d" % i)]
    assert [octets for *_, octets in talk.pages(limit=limit)] == whole


def test_a_long_turn_is_told_in_pieces() -> None:
    talk = Talk().take(*(sent(bytes([97 + i]) * 10, 10 * i, i) for i in range(10)))
    told = talk.page(len=30)
    assert [(start, stop) for _, start, stop, _ in told] == [(0, 30), (30, 60), (60, 90), (90, 100)]
    assert talk.column(6) == [True, True, True, False]
    assert b"".join(octets or b"" for *_, octets in talk.pages(len=30, limit=1)) == b"".join(
        octets or b"" for *_, octets in told
    )


def test_a_reply_is_bounded() -> None:
    talk = Talk(max_stream_content_bytes=1 << 23)
    for i in range(50):
        talk.take(sent(bytes([i]) * 60_000, 60_000 * i, i))
    first = talk.page(len=1 << 30)
    assert [stop - start for _, start, stop, _ in first] == [1 << 20]
    assert not talk.result["end"]
    whole = b"".join(octets or b"" for *_, octets in talk.pages(len=1 << 30))
    assert whole == b"".join(bytes([i]) * 60_000 for i in range(50))


def test_a_cursor_holds_while_the_stream_grows() -> None:
    talk = Talk().take(sent(b"one", 0, 10), answered(b"two", 0, 20))
    first, after = talk.page(), talk.result["after"]
    talk.take(answered(b"more", 3, 30), sent(b"three", 3, 40))
    assert talk.page(after=after) == [(1, 3, 7, b"more"), (0, 3, 8, b"three")]
    assert talk.column(4) == [10, 10]
    assert talk.page()[:1] == first[:1]


def test_a_cursor_behind_the_end() -> None:
    talk = Talk().take(sent(b"one", 0, 10))
    assert talk.page(after=[1 << 63, (1 << 64) - 1]) == []
    assert talk.result["end"]


def test_messages_that_begin_in_the_page() -> None:
    talk = Talk().take(
        *(p for i in range(6) for p in (sent(b"ask", 3 * i, i), answered(b"say", 3 * i, i)))
    )
    row = int(talk.run.events(EVENT_OPEN)[0]["row"])
    for i in range(6):
        for direction in (0, 1):
            add_message(talk.run.tables, row, dir=direction, start=3 * i)
    talk.page(limit=3)
    assert talk.messages == [0, 1, 2]
    talk.page(limit=3, after=talk.result["after"])
    assert talk.messages == [3, 4, 5]


def test_two_rings_are_one_conversation() -> None:
    talk = Talk(max_stream_content_bytes=1 << 16)
    config = talk.run.tables.config
    config[s.RING_0] = config[s.RING_1] = 1 << 15
    config[s.RING_0_UPTO], config[s.MAX_EXTENT] = 100, 4096
    wanted = []
    for i in range(10):
        question, answer = b"Q%d" % i * 15, b"A%d" % i * 15
        talk.take(sent(question, 30 * i, 10 * i), answered(answer, 30 * i, 10 * i))
        wanted += [question, answer]
    assert [octets for *_, octets in talk.page()] == wanted
