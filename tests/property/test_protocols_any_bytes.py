"""Explainers on any octets: a detail that JSON can hold, and no exception."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.protocols import explain, summary

pytestmark = pytest.mark.property

KINDS = {
    "http1": ["request", "response"],
    "dns": ["request", "response"],
    "tls": ["client_hello", "server_hello", "certificate", "alert"],
    "websocket": ["frame"],
    "analyzer": ["finding"],
    "other": ["request"],
}
HEADS = [
    b"", b"GET / HTTP/1.1\r\nHost: a\r\n", b"HTTP/1.1 200 OK\r\n",
    b"\0\1\x81\x80\0\1\0\2\0\1\0\1\1a\0\0\1\0\1",
    b"\1\0\1\0\3\3" + bytes(32) + b"\0\0\2\x13\1\1\0\0\xf0",
    b"\2\0\1\0\3\3" + bytes(32) + b"\0\x13\1\0",
    b"\x0b\0\0\x90\0\0\x8d\0\0\x8a\x30\x81", b"\x80\x2e\1\3\0",
]  # fmt: skip
KEYS = {
    "http1": {"method", "target", "version", "host", "status_code", "reason", "headers",
              "content_length", "transfer_encoding", "content_encoding", "body_framing"},
    "dns": {"id", "opcode", "rcode", "flags", "questions", "answers", "authority", "additional"},
    "tls": {"record", "handshake", "version", "sni", "alpn", "cipher", "ja3", "ja4"},
    "websocket": {"opcode", "fin", "rsv1", "masked", "length", "close_code", "text_preview"},
}  # fmt: skip


@given(
    st.sampled_from([(protocol, kind) for protocol, kinds in KINDS.items() for kind in kinds]),
    st.none() | st.tuples(st.sampled_from(HEADS), st.binary(max_size=300)).map(b"".join),
    st.text(max_size=40),
    st.text(max_size=20),
    st.integers(0, 400) | st.just(2**64 - 1),
    st.integers(0, 65535) | st.sampled_from([0x0002, 0x0303]),
    st.integers(0, 255),
    st.integers(0, 255),
)
def test_any_octets(
    which: tuple[str, str],
    octets: bytes | None,
    text: str,
    name: str,
    value: int,
    code: int,
    framing: int,
    marks: int,
) -> None:
    protocol, kind = which
    detail = explain(
        protocol,
        kind,
        octets,
        text=text,
        name=name,
        value=value,
        code=code,
        framing=framing,
        marks=marks,
    )
    assert KEYS.get(protocol, set()) <= detail.keys()
    orjson.dumps(detail)  # it refuses what is not valid Unicode
    assert isinstance(summary(protocol, kind, text, name), str)
