"""Rows from columns: names, numbers, addresses, previews, summaries."""

import base64
import ipaddress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.models import Stream
from services.api.rows import RowColumns, summarise, text_of
from shared.columns import (
    CONTENT_KINDS,
    EVENT,
    LACKS_BEGIN,
    LACKS_TAILS,
    PREVIEW_BYTES,
    SERVICE_BY_PAYLOAD,
    SERVICE_BY_PORT,
    SERVICES,
    STATUSES,
    TCP,
    UDP,
    VIEW,
)
from shared.schema import SchemaError
from tests.api_fakes import event
from tests.tls_octets import named_hello

HTTP = SERVICES.index("http")


def render(row: Any, *previews: bytes, **view: int) -> dict[str, Any]:
    """One rendered row, held to its model."""
    views = np.zeros(1, VIEW)
    pieces = previews or (b"", b"")
    views["preview_len"][0] = [len(piece) for piece in pieces]
    for name, value in view.items():
        views[name] = value
    octets = b"".join(piece.ljust(PREVIEW_BYTES, b"\0") for piece in pieces)
    rendered = RowColumns([row.tobytes(), views.tobytes(), octets], 1).render()
    assert len(rendered) == 1
    Stream.model_validate(rendered[0])
    return rendered[0]


def test_every_field_of_a_row() -> None:
    row = event(
        stream_id=0xABC,
        first_ns=1_500_000_000_123_456_789,
        last_ns=1_500_000_001_000_000_999,
        bytes=[[1000, 2000]],
        payload_bytes=[[100, 200]],
        stream_bytes=[[90, 190]],
        gap_bytes=[[5, 6]],
        packets=[[3, 4]],
        gaps=[[1, 2]],
        conflicts=[[1, 0]],
        lacks=LACKS_BEGIN | LACKS_TAILS,
        service=HTTP,
        service_from=SERVICE_BY_PAYLOAD,
        content_kind=[[1, 1, 3]],
        shard=2,
    )
    assert render(
        row, b"GET / HTTP/1.1\r\nHost: x\r\n", b"\x00\xff", number=7, favorite=1, hidden=1
    ) == {
        "stream_id_hex": "0000000000000abc",
        "number": 7,
        "shard": 2,
        "protocol": "tcp",
        "endpoint_a": {"addr": "10.0.0.1", "port": 40000},
        "endpoint_b": {"addr": "10.0.0.2", "port": 80},
        "client": "a",
        "first_seen_us": 1_500_000_000_123_456,
        "last_seen_us": 1_500_000_001_000_000,
        "status": "closed",
        "service": {
            "name": "http",
            "confidence": "high",
            "source": "payload",
            "evidence": "first payload bytes",
        },
        "content_kind": "text",
        "packets": 7,
        "bytes": 3000,
        "payload_bytes": 300,
        "stream_bytes": 280,
        "gaps": 3,
        "gap_bytes": 11,
        "conflicts": 1,
        "midstream": True,
        "snaplen_cut": True,
        "directions": {
            "a_to_b": {
                "packets": 3,
                "bytes": 1000,
                "payload_bytes": 100,
                "stream_bytes": 90,
                "gaps": 1,
                "gap_bytes": 5,
                "content_kind": "text",
                "preview_text": "GET / HTTP/1.1\r\nHost: x\r\n",
                "preview_base64": base64.b64encode(b"GET / HTTP/1.1\r\nHost: x\r\n").decode(),
            },
            "b_to_a": {
                "packets": 4,
                "bytes": 2000,
                "payload_bytes": 200,
                "stream_bytes": 190,
                "gaps": 2,
                "gap_bytes": 6,
                "content_kind": "binary",
                "preview_text": None,
                "preview_base64": "AP8=",
            },
        },
        "match_count": 0,
        "pattern_ids": [],
        "message_count": 0,
        "summary": "GET / HTTP/1.1",
        "favorite": True,
        "hidden": True,
        "hidden_reason": None,
        "comment": "",
        "tags": [],
    }


@pytest.mark.parametrize(
    ("told_by", "client", "expected"),
    [
        (SERVICE_BY_PORT, 0, ("http", "low", "port", "port 80")),
        (SERVICE_BY_PORT, 1, ("http", "low", "port", "port 40000")),
        (SERVICE_BY_PAYLOAD, 1, ("http", "high", "payload", "first payload bytes")),
    ],
)
def test_service_says_how_it_was_told(
    told_by: int, client: int, expected: tuple[str, str, str, str]
) -> None:
    row = render(event(service=HTTP, service_from=told_by, client=client))
    assert tuple(row["service"].values()) == expected
    assert row["client"] == "ab"[client]


QUERY = b"\x12\x34\x01\0\0\1\0\0\0\0\0\0\4flag\3lan\0\0\1\0\1"
HELLO, HTTPS = named_hello(b"login.example"), SERVICES.index("https")
TOLD = b"\0\0\x84\0\0\0\0\1\0\0\0\0\5_http\5local\0\0\x0c\0\1"  # mDNS: no question


@pytest.mark.parametrize(
    ("fields", "previews", "summary"),
    [
        ({}, (QUERY, b""), "A flag.lan"),
        ({"client": 1}, (b"", QUERY), "A flag.lan"),
        ({"client": 1}, (QUERY, b""), "A flag.lan"),  # the answer has the question as well
        ({"service": SERVICES.index("mdns")}, (TOLD, b""), "PTR _http.local"),
        ({"proto": TCP}, (b"\0\x1a" + QUERY, b""), "A flag.lan"),
        ({}, (QUERY[:20], b""), "4flagla"),  # broken off within the name
        ({}, (QUERY[:4] + bytes(8) + QUERY[12:], b""), "4flaglan"),  # names nothing
        ({"service": 0}, (QUERY, b""), "4flaglan"),
        ({"service": HTTPS, "proto": TCP}, (HELLO, b""), "ClientHello login.example"),
        (
            {"service": HTTPS, "proto": TCP, "client": 1},
            (b"\x16", HELLO),
            "ClientHello login.example",
        ),
        ({"service": HTTPS, "proto": TCP}, (HELLO[:-1], b""), summarise(HELLO[:-1], None)),
        ({"service": HTTPS, "proto": TCP}, (b"\x16\3\1ab", b""), "ab"),
    ],
)
def test_names_are_read(
    fields: dict[str, Any], previews: tuple[bytes, bytes], summary: str
) -> None:
    row = event(**({"service": SERVICES.index("dns"), "proto": UDP} | fields))
    assert render(row, *previews)["summary"] == summary


def test_no_service() -> None:
    assert render(event())["service"] == {
        "name": None,
        "confidence": "none",
        "source": "none",
        "evidence": "",
    }


@pytest.mark.parametrize(
    ("addr", "text"),
    [
        ("2001:db8::1", "2001:db8::1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),  # RFC 5952 §4.2.2
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),  # §4.2.3
        ("::", "::"),
        ("::1", "::1"),
        ("fe80::ABCD", "fe80::abcd"),  # §4.3
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),  # §5
    ],
)
def test_ipv6_text(addr: str, text: str) -> None:
    value = int(ipaddress.IPv6Address(addr))
    row = render(event(family=6, addr_b_hi=value >> 64, addr_b_lo=value & (1 << 64) - 1))
    assert row["endpoint_b"]["addr"] == text


@given(st.integers(0, (1 << 128) - 1), st.integers(0, (1 << 32) - 1))
def test_addresses_read_back(six: int, four: int) -> None:
    row = render(event(family=6, addr_a_hi=six >> 64, addr_a_lo=six & (1 << 64) - 1))
    assert int(ipaddress.IPv6Address(row["endpoint_a"]["addr"])) == six
    assert int(ipaddress.IPv4Address(render(event(addr_b_lo=four))["endpoint_b"]["addr"])) == four


def test_every_status_and_kind_has_a_name() -> None:
    for number, name in enumerate(STATUSES):
        assert render(event(status=number))["status"] == name
    for number, name in enumerate(CONTENT_KINDS):
        assert render(event(content_kind=[[number] * 3]))["content_kind"] == name


TEXT = "naïve — 日本語 🜁 ok"


@pytest.mark.parametrize("length", range(len(TEXT.encode()) + 1))
def test_text_is_cut_at_a_character(length: int) -> None:
    piece = TEXT.encode()[:length]
    assert text_of(piece) == (piece.decode("utf-8", "ignore") or None)


@pytest.mark.parametrize(
    "octets", [b"", b"\x00", b"abc\x01", b"\x7f", b"\xff", b"a\xc3(", b"\xed\xa0\x80", b"\xf0"]
)
def test_not_text(octets: bytes) -> None:
    assert text_of(octets) is None


@given(st.binary(max_size=256))
def test_any_preview_renders(octets: bytes) -> None:
    row = render(event(), octets, octets)
    ours = row["directions"]["a_to_b"]
    assert base64.b64decode(ours["preview_base64"]) == octets
    assert ours["preview_text"] is None or octets.startswith(ours["preview_text"].encode())
    assert "\n" not in row["summary"]


@pytest.mark.parametrize(
    ("octets", "line"),
    [
        (b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a?b=c HTTP/1.1"),
        (b"\r\n\r\nGET / HTTP/1.0", "GET / HTTP/1.0"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "SSH-2.0-OpenSSH_9.9"),
        (b"\x16\x03\x01\x02example.com\x00\xff!", "example.com!"),
        (b"\x00" + b"y" * 200, "y" * 80),
        (b"y" * 200, "y" * 80),
        (b"GET /" + b"y" * 100 + b" HTTP/1.1\r\n", "GET /" + "y" * 100 + " HTTP/1.1"),
        (b"GET /" + b"y" * 251, "GET /" + "y" * 251),
        (b"USER " + b"y" * 200 + b"\r\n", "USER " + "y" * 75),
        ("é".encode() * 100, "é" * 80),
        (b"\x00\x01", ""),
        (b"\r\n", ""),
        (b"", ""),
    ],
)
def test_summary_is_one_line(octets: bytes, line: str) -> None:
    assert summarise(octets, text_of(octets)) == line


def test_summary_is_the_clients_else_the_servers() -> None:
    assert render(event(client=0), b"first", b"second")["summary"] == "first"
    assert render(event(client=1), b"first", b"second")["summary"] == "second"
    assert render(event(client=0), b"", b"220 ready")["summary"] == "220 ready"


def test_no_rows() -> None:
    assert RowColumns([b"", b"", b""], 0).render() == []


def test_frames_that_do_not_fit_are_refused() -> None:
    good = [bytes(EVENT.itemsize), bytes(VIEW.itemsize), bytes(2 * PREVIEW_BYTES)]
    RowColumns(good, 1)
    for i in range(3):
        bad = [frame[:-1] if i == j else frame for j, frame in enumerate(good)]
        with pytest.raises(SchemaError, match="1 rows"):
            RowColumns(bad, 1)
    with pytest.raises(SchemaError):
        RowColumns(good[:2], 1)
