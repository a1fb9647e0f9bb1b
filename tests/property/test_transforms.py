"""Transforms on any octets: nothing escapes, nothing exceeds the limit, nothing is lost."""

import base64
import gzip
import zlib
from collections.abc import Callable
from urllib.parse import quote_plus

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from services.api.transforms import (
    NAMES,
    Context,
    HttpPart,
    WsFrame,
    decode_body,
    messages,
    transform,
)

pytestmark = pytest.mark.property

octets = st.binary(max_size=400)
HEADS = [
    b"", b"\x1f\x8b\x08\0\0\0\0\0\0\3", b"x\x9c", b"\x28\xb5\x2f\xfd", b"[1,", b"%41%", b"\xff\xfe",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", b"\xc1\x85", b"aGVsbG8gaGVsbG8g",
]  # fmt: skip
inputs = st.tuples(st.sampled_from(HEADS), octets).map(b"".join)
codings = st.sampled_from(["gzip", "deflate", "br", "zstd", "identity", "chunked", "x", ""])
headers = st.lists(
    st.tuples(st.sampled_from(["Content-Encoding", "Transfer-Encoding", "X"]), codings), max_size=4
).map(
    lambda fields: (
        b"HTTP/1.1 200 OK\r\n%s\r\n" % "".join(f"{k}: {v}\r\n" for k, v in fields).encode()
    )
)
framings = st.sampled_from(["", "none", "chunked", "close"])
parts = st.builds(HttpPart, headers, inputs, framings, st.integers(0, 99), st.integers(0, 99))
frames = st.builds(
    WsFrame,
    opcode=st.sampled_from([0, 1, 2, 8, 9, 10, 15]),
    payload=octets,
    fin=st.booleans(),
    rsv1=st.booleans(),
    key=st.sampled_from([b"", b"abcd", b"x"]),
    start=st.integers(0, 99),
    end=st.integers(0, 99),
)
contexts = st.builds(
    Context,
    messages=st.lists(parts, max_size=3),
    frames=st.lists(frames, max_size=5),
    extensions=st.sampled_from([None, "", "permessage-deflate", "a; server_no_context_takeover"]),
    start=st.integers(0, 50),
    end=st.integers(0, 100),
    charset=st.sampled_from(["", "utf-16", "shift_jis", "iso-2022-jp", "utf-7", "x", "hex", "\0"]),
    profile=st.lists(st.sampled_from(NAMES), max_size=3),
)


@given(st.lists(st.sampled_from(NAMES), max_size=5), inputs, st.integers(0, 1000), contexts)
def test_any_octets_through_any_chain(
    chain: list[str], data: bytes, limit: int, context: Context
) -> None:
    found = transform(chain, data, limit, context)
    assert len(found.data) <= limit
    for step in found.steps:
        assert step.name in NAMES
        assert step.status in ("applied", "noop", "partial", "failed")
        assert step.output_bytes <= max(limit, step.input_bytes)
        if step.status in ("noop", "failed"):
            assert step.output_bytes == step.input_bytes
    if all(step.status in ("noop", "failed") for step in found.steps):
        assert found.data == data[:limit]


@given(headers, inputs, st.integers(0, 1000), framings)
def test_any_body(header: bytes, body: bytes, limit: int, framing: str) -> None:
    assert len(decode_body(header, body, limit, framing).data) <= limit


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


def chunked(data: bytes) -> bytes:
    pieces = (data[at : at + 7] for at in range(0, len(data), 7))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


PACKERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("brotli", brotli.compress),
    ("zstd", zstandard.ZstdCompressor().compress),
    ("http_chunked", chunked),
]


@given(st.binary(max_size=3000), st.sampled_from(PACKERS), st.sampled_from(PACKERS))
def test_round_trips(
    raw: bytes,
    inner: tuple[str, Callable[[bytes], bytes]],
    outer: tuple[str, Callable[[bytes], bytes]],
) -> None:
    packed = outer[1](inner[1](raw))
    found = transform([outer[0], inner[0]], packed, 1 << 20)
    assert found.data == raw
    assert [step.status for step in found.steps] == ["applied", "applied"]


@given(st.binary(max_size=3000), st.sampled_from(PACKERS), st.data())
def test_a_cut_leaves_a_prefix(
    raw: bytes, packer: tuple[str, Callable[[bytes], bytes]], data: st.DataObject
) -> None:
    packed = packer[1](raw)
    size = data.draw(st.integers(0, len(packed)))
    found = transform([packer[0]], packed[:size], 1 << 20)
    status = found.steps[0].status
    if status in ("noop", "failed"):
        assert found.data == packed[:size]
    else:
        assert raw.startswith(found.data)
        assert status == "partial" or found.data == raw


@given(st.binary(min_size=2, max_size=500), st.booleans())
def test_base64_and_percent(raw: bytes, safe: bool) -> None:
    encode = base64.urlsafe_b64encode if safe else base64.b64encode
    assert transform(["base64_decode"], encode(raw), 1 << 20).data == raw
    assert transform(["url_decode"], quote_plus(raw).encode(), 1 << 20).data == raw


@given(
    st.lists(st.lists(st.binary(max_size=200), min_size=1, max_size=3), max_size=6),
    st.booleans(),
    st.sampled_from([b"", b"\1\2\3\4"]),
    st.booleans(),
)
def test_websocket_round_trips(
    sent: list[list[bytes]], takeover: bool, key: bytes, compress: bool
) -> None:
    """Each message is a list of pieces: what is sent is cut into as many fragments."""
    engine = zlib.compressobj(wbits=-15)
    stream: list[WsFrame] = []
    for pieces in sent:
        payload = b"".join(pieces)
        if compress:
            payload = engine.compress(payload) + engine.flush(zlib.Z_SYNC_FLUSH)
            payload = payload.removesuffix(b"\0\0\xff\xff")
            engine = engine if takeover else zlib.compressobj(wbits=-15)
        size = len(payload) // len(pieces) + 1
        cuts = [payload[at : at + size] for at in range(0, max(len(payload), 1), size)]
        for i, cut in enumerate(cuts):
            cut = bytes(octet ^ key[k % 4] for k, octet in enumerate(cut)) if key else cut
            last = i == len(cuts) - 1
            stream.append(WsFrame(0 if i else 2, cut, last, compress and not i, key))
    side = "client" if key else "server"
    extensions = "permessage-deflate" + ("" if takeover else f"; {side}_no_context_takeover")
    found = list(messages(stream, extensions, 1 << 20))
    assert [message.data for message in found] == [b"".join(pieces) for pieces in sent]
    assert all(message.note == "" for message in found)
