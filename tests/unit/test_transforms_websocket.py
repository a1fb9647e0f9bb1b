"""WebSocket messages: masks, fragments, permessage-deflate."""

import zlib
from dataclasses import replace

import pytest

from services.api.transforms import Context, WsFrame, messages, transform
from services.api.transforms.frames import split_frames

LIMIT = 1 << 20
KEY = b"\x37\xfa\x21\x3d"
AGREED = "permessage-deflate; client_max_window_bits=15"
WORDS = [b"Hello", b"Hello again, Hello", b"", b"Hello" * 100]


def masked(data: bytes, key: bytes = KEY) -> bytes:
    return bytes(octet ^ key[i % 4] for i, octet in enumerate(data))


def sent(frame: WsFrame) -> bytes:
    """The frame's octets."""
    size = len(frame.payload)
    head = bytes([frame.fin << 7 | frame.rsv1 << 6 | frame.opcode])
    mask = 0x80 if frame.key else 0
    if size < 126:
        head += bytes([mask | size])
    elif size < 65536:
        head += bytes([mask | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([mask | 127]) + size.to_bytes(8, "big")
    return head + frame.key + frame.payload


def deflated(payloads: list[bytes], takeover: bool = True) -> list[bytes]:
    engine, packed = zlib.compressobj(wbits=-15), []
    for payload in payloads:
        octets = engine.compress(payload) + engine.flush(zlib.Z_SYNC_FLUSH)
        packed.append(octets.removesuffix(b"\0\0\xff\xff"))
        if not takeover:
            engine = zlib.compressobj(wbits=-15)
    return packed


def data_of(frames: list[WsFrame], extensions: str | None = AGREED) -> list[bytes]:
    return [message.data for message in messages(frames, extensions, LIMIT)]


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 125, 126, 65535, 65536])
def test_masks(size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    assert data_of([WsFrame(2, masked(data), key=KEY)]) == [data]
    assert data_of([WsFrame(2, data)]) == [data]


def test_the_examples_of_the_rfc() -> None:
    octets = bytes.fromhex("818537fa213d7f9f4d5158") + bytes.fromhex("010348656c80026c6f")
    assert data_of(split_frames(octets)) == [b"Hello", b"Hello"]
    compressed = bytes.fromhex("c107f248cdc9c90700") + bytes.fromhex("c105f200110000")
    assert data_of(split_frames(compressed)) == [b"Hello", b"Hello"]
    stored = bytes.fromhex("c10b000500faff48656c6c6f00")
    final = bytes.fromhex("c108f348cdc9c9070000")
    two_blocks = bytes.fromhex("c10df24805000000ffffcac9c90700")
    for octets in (stored, final, two_blocks):
        assert data_of(split_frames(octets)) == [b"Hello"], octets.hex()


def test_a_final_block_does_not_end_the_context() -> None:
    final = bytes.fromhex("c108f348cdc9c9070000")
    assert data_of(split_frames(final + bytes.fromhex("c105f200110000"))) == [b"Hello", b"Hello"]


@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("key", [b"", KEY])
def test_permessage_deflate(takeover: bool, key: bytes) -> None:
    side = "client" if key else "server"
    extensions = AGREED + ("" if takeover else f"; {side}_no_context_takeover")
    packed = deflated(WORDS, takeover)
    frames = [WsFrame(1, masked(one) if key else one, rsv1=True, key=key) for one in packed]
    assert data_of(frames, extensions) == WORDS
    assert data_of(frames, None) == WORDS
    found = transform(["websocket"], b"".join(map(sent, frames)), LIMIT)
    assert found.data == b"".join(WORDS)
    assert found.steps[0].status == "applied"


def test_fragments_with_a_ping_between() -> None:
    packed = deflated([b"Hello Hello Hello"])[0]
    frames = [
        WsFrame(1, packed[:3], fin=False, rsv1=True, start=0, end=5),
        WsFrame(9, b"ping", start=5, end=11),
        WsFrame(0, packed[3:5], fin=False, start=11, end=15),
        WsFrame(0, packed[5:], start=15, end=30),
    ]
    ping, message = messages(frames, AGREED, LIMIT)
    assert (ping.opcode, ping.data, ping.compressed) == (9, b"ping", False)
    assert (message.opcode, message.data, message.compressed) == (1, b"Hello Hello Hello", True)
    assert (message.start, message.end) == (0, 30)
    assert transform(["websocket"], b"", LIMIT, Context(frames=frames)).data == b"Hello Hello Hello"


def test_what_is_missing_is_said() -> None:
    frames = [
        WsFrame(0, b"end"),
        WsFrame(1, b"begin", fin=False),
        WsFrame(1, b"whole"),
        WsFrame(2, b"cut", fin=False),
    ]
    found = list(messages(frames, "", LIMIT))
    assert [(one.opcode, one.data, one.note) for one in found] == [
        (0, b"end", "its beginning is missing"),
        (1, b"begin", "its end is missing"),
        (1, b"whole", ""),
        (2, b"cut", "its end is missing"),
    ]


def test_a_slice_takes_its_context_from_before() -> None:
    packed = deflated(WORDS * 3)
    frames = [
        WsFrame(1, one, rsv1=True, start=100 * i, end=100 * i + 100) for i, one in enumerate(packed)
    ]
    context = Context(frames=frames, extensions=AGREED, start=450, end=600)
    found = transform(["websocket"], b"slice", LIMIT, context)
    assert found.data == WORDS[0] + WORDS[1]
    lost = list(messages(frames[4:], AGREED, LIMIT))
    assert lost[0].note


def test_rsv1_that_was_not_agreed() -> None:
    assert data_of([WsFrame(1, b"abc", rsv1=True)], "x-other") == [b"abc"]


def test_damage() -> None:
    packed = deflated([b"Hello" * 50, b"more"])
    frames = [WsFrame(1, b"\xff\xff\xff", rsv1=True), WsFrame(1, packed[0], rsv1=True)]
    first, second = messages(frames, AGREED, LIMIT)
    assert first.data == b"\xff\xff\xff"
    assert "permessage-deflate" in first.note
    assert second.data == b"Hello" * 50


def test_bombs() -> None:
    packed = deflated([bytes(50_000_000), b"behind"])
    frames = [WsFrame(2, one, rsv1=True) for one in packed]
    (found,) = messages(frames, AGREED, LIMIT)
    assert (len(found.data), found.limited) == (LIMIT, True)
    outcome = transform(["websocket"], b"", LIMIT, Context(frames=frames))
    assert outcome.truncated_by_limit
    assert len(outcome.data) == LIMIT
    before = [replace(frame, start=i, end=i + 1) for i, frame in enumerate(frames)]
    (late,) = messages([before[0]] * 3 + [before[1]], AGREED, LIMIT, 1, 2)
    assert "compressed in front of it" in late.note
    blocks = WsFrame(1, b"\x03\x00" * 100_000, rsv1=True)
    assert data_of([blocks]) == [b""]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1", "failed"),
        (b"\x88\x02\x03\xe8", "noop"),
        (b"\x81", "failed"),
        (b"\x81\x05Hel", "applied"),
        (b"\xff\xff\xff", "failed"),
    ],
)
def test_octets_that_may_be_frames(data: bytes, status: str) -> None:
    assert transform(["websocket"], data, LIMIT).steps[0].status == status
