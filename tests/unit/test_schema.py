"""Messages: what they look like on the wire, and what a receiver refuses."""

import msgpack
import pytest
from pydantic import ValidationError

from shared import schema
from shared.schema import (
    SCHEMA_VERSION,
    BatchHeader,
    CaptureReport,
    ContentQuery,
    ConversationQuery,
    Credit,
    EventsHeader,
    FacetsQuery,
    FileReport,
    FilesQuery,
    Message,
    MessageFilter,
    MessageSearch,
    MessagesQuery,
    Pattern,
    PatternReport,
    Problem,
    Reach,
    Refusal,
    Reply,
    Request,
    SchemaError,
    SearchStart,
    SourceReport,
    StreamFilter,
    StreamsQuery,
    TimelineQuery,
    unpack,
)

MESSAGES: list[Message] = [
    BatchHeader(kind="packets", seq=3, rows=2, payload_bytes=9, lane="lane-0", slot=1),
    Credit(lane="lane-0", slot=1),
    EventsHeader(kind="events", seq=0, shard=1, instance="a1", events=4, stats={"packets": 9}),
    CaptureReport(
        kind="report",
        seq=1,
        instance="c1",
        sources=[
            SourceReport(
                name="a.pcap",
                kind="pcap",
                status="reading",
                damaged=1,
                problems=[Problem(offset=24, reason="record cut short")],
            )
        ],
        files=[
            FileReport(id="1-2-3", source="/drop", name="a.pcap", state="waiting", head=b"\xa1")
        ],
        forgotten=["1-2-0"],
        stats={"packets": 2},
    ),
    FilesQuery(source="/drop", after="1-2-3"),
    Reach(host="10.0.0.1", packets=1, credits=2, content=65535),
    Request(op="health"),
    Reply(result={"status": "ok"}),
    Reply(error=Refusal(code="not_found", message="no such stream", hint="list them")),
    StreamsQuery(filter=StreamFilter(protocol="tcp", port=80), order="oldest", limit=5, cursor=9),
    StreamsQuery(filter=StreamFilter(among=b"\1" * 16), offset=1_000_000),
    TimelineQuery(filter=StreamFilter(since_us=-3), buckets=512),
    FacetsQuery(filter=StreamFilter(tag="seen")),
    ContentQuery(stream_id=1, row=2, direction=1, start=3, len=4),
    ConversationQuery(stream_id=1, row=2, after=[3, 4]),
    MessagesQuery(stream_id=1, row=2, first=3, limit=4),
    MessageSearch(filter=MessageFilter(protocol="http1", host="a.test", status=200), before=9),
    Pattern(id=1, name="flag", kind="regex", value="[A-Z]{3}", services=["http"]),
    PatternReport(id=1, matches=2, trouble="too slow"),
    SearchStart(search="s1", kind="binary", value="00ff", everywhere=False, rows=b"\0" * 12),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_back_as_it_went(message: Message) -> None:
    assert unpack(type(message), message.pack(), "here") == message
    assert unpack(type(message), memoryview(message.pack()), "here") == message


# Written by hand after the msgpack specification: a change here is a change of SCHEMA_VERSION.
GOLDEN = [
    (Credit(lane="l", slot=1), "84 a1 76 04 a4 6c616e65 a1 6c a4 736c6f74 01 a5 7761697473 a0"),
    (Request(op="health"), "83 a1 76 04 a2 6f70 a6 6865616c7468 a4 61726773 80"),
    (
        Reach(host="h", packets=1, credits=2, content=3),
        "85 a1 76 04 a4 686f7374 a1 68 a7 7061636b657473 01 a7 63726564697473 02"
        " a7 636f6e74656e74 03",
    ),
]


@pytest.mark.parametrize(("message", "octets"), GOLDEN)
def test_golden_bytes(message: Message, octets: str) -> None:
    assert SCHEMA_VERSION == 4
    assert message.pack() == bytes.fromhex(octets)


def test_what_has_no_place_in_a_message_is_not_sent() -> None:
    with pytest.raises(TypeError, match="set has no place in a message"):
        Request(op="health", args={"streams": {1, 2}}).pack()


def packed(**fields: object) -> bytes:
    return bytes(msgpack.packb({"v": SCHEMA_VERSION, **fields}))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (b"", "not a msgpack message"),
        (b"\xc1", "not a msgpack message"),
        (b"\x81\x80\x00", "not a msgpack message"),  # a map whose key is a map
        (msgpack.packb([1, 2]), "a message is a map, this is list"),
        (msgpack.packb({"lane": "l", "slot": 1}), "schema version None"),
        (msgpack.packb({"v": 99, "lane": "l", "slot": 1}), "schema version 99"),
        (packed(lane="l", slot=-1), "Credit.slot"),
        (packed(lane="l", slot="1"), "Credit.slot"),
        (packed(lane="l"), "Credit.slot"),
        (packed(lane="l", slot=1, more=2), "Credit.more"),
    ],
)
def test_a_receiver_refuses_what_is_no_message(frame: bytes, words: str) -> None:
    with pytest.raises(SchemaError) as caught:
        unpack(Credit, frame, "credits of shard 0")
    assert str(caught.value).startswith("credits of shard 0: ")
    assert words in str(caught.value)


def test_both_versions_are_named() -> None:
    frame = msgpack.packb({"v": SCHEMA_VERSION + 1, "op": "health", "args": {}})
    with pytest.raises(
        SchemaError, match=rf"version {SCHEMA_VERSION + 1}.*speaks {SCHEMA_VERSION}"
    ):
        unpack(Request, frame, "requests")


def test_a_message_does_not_change() -> None:
    with pytest.raises(ValidationError):
        setattr(MESSAGES[0], "v", 2)  # noqa: B010  the type checker knows it


def test_every_message_is_tried() -> None:
    kinds = {
        kind
        for kind in vars(schema).values()
        if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message
    }
    inner = {Problem, SourceReport, FileReport, Refusal, StreamFilter, MessageFilter}
    assert kinds - inner == {type(message) for message in MESSAGES}
