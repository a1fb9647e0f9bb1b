"""Chains by name, `auto` and `profile`."""

import base64
import gzip
from urllib.parse import quote

import pytest
import zstandard

from services.api.transforms import NAMES, Context, HttpPart, WsFrame, check_names, transform

LIMIT = 1 << 20
JSON, PRETTY = b'{"a":1}', b'{\n  "a": 1\n}'
PACKED = gzip.compress(JSON, mtime=0)  # no clock: tests are named after it
MESSAGE = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + PACKED


def steps(found: object) -> list[tuple[str, str]]:
    return [(step.name, step.status) for step in found.steps]  # type: ignore[attr-defined]


def test_names() -> None:
    assert (
        *("url_decode", "base64_decode", "gzip", "deflate", "brotli", "zstd", "http_chunked"),
        *("http_body", "websocket", "charset", "json_pretty", "auto", "profile"),
    ) == NAMES
    with pytest.raises(ValueError, match="unknown transform 'rot13': one of url_decode, "):
        transform(["gzip", "rot13"], b"", LIMIT)
    with pytest.raises(ValueError, match="at most 32"):
        check_names(["gzip"] * 33)


def test_a_chain_says_what_each_step_did() -> None:
    packed = base64.b64encode(PACKED)
    found = transform(["base64_decode", "gzip", "json_pretty"], packed, LIMIT)
    assert found.data == PRETTY
    assert [(s.name, s.status, s.input_bytes, s.output_bytes) for s in found.steps] == [
        ("base64_decode", "applied", len(packed), len(PACKED)),
        ("gzip", "applied", len(PACKED), 7),
        ("json_pretty", "applied", 7, 12),
    ]


def test_a_failed_step_leaves_the_octets_to_the_next() -> None:
    found = transform(["gzip", "json_pretty", "zstd"], JSON, LIMIT)
    assert found.data == PRETTY
    assert steps(found) == [("gzip", "failed"), ("json_pretty", "applied"), ("zstd", "failed")]


def test_no_steps_and_nothing_to_do() -> None:
    assert transform([], b"abc", LIMIT).data == b"abc"
    assert transform([], b"abc", 2) == transform([], b"abc", 2)
    assert (transform([], b"abc", 2).data, transform([], b"abc", 2).truncated_by_limit) == (
        b"ab", True,
    )  # fmt: skip
    for name in NAMES:
        found = transform([name], b"", LIMIT)
        assert (found.data, found.steps[0].status in ("noop", "failed")) == (b"", True)


@pytest.mark.parametrize(
    ("data", "names", "expected"),
    [
        (PACKED, ["gzip", "json_pretty"], PRETTY),
        (zstandard.ZstdCompressor().compress(b"plain"), ["zstd"], b"plain"),
        (base64.b64encode(PACKED), ["base64_decode", "gzip", "json_pretty"], PRETTY),
        (base64.b64encode(b"a long enough text of words"), ["base64_decode"],
         b"a long enough text of words"),
        (quote('{"a":1}').encode(), ["url_decode", "json_pretty"], PRETTY),
        (b"q=a%20b%20c&r=%C3%A4", ["url_decode"], "q=a b c&r=ä".encode()),
        (MESSAGE, ["http_body", "json_pretty"], PRETTY),
        ("hä".encode("utf-16"), ["charset"], "hä".encode()),
    ],
)  # fmt: skip
def test_auto(data: bytes, names: list[str], expected: bytes) -> None:
    found = transform(["auto"], data, LIMIT)
    assert (found.data, [step.name for step in found.steps]) == (expected, names)


@pytest.mark.parametrize(
    "data",
    [b"hello", b"just some words in a row", b"abcdefghijklmnopqrstuvwxyzabcd", b"1" * 40, bytes(64),
     b"100% sure", b"\x89PNG\r\n\x1a\n"],
)  # fmt: skip
def test_auto_leaves_plain_things_alone(data: bytes) -> None:
    found = transform(["auto"], data, LIMIT)
    assert (found.data, steps(found)) == (data, [("auto", "noop")])


def test_auto_is_bounded() -> None:
    data = JSON
    for _ in range(9):
        data = gzip.compress(data)
    found = transform(["auto"], data, LIMIT)
    assert steps(found) == [("gzip", "applied")] * 5


def test_auto_goes_by_the_context_once() -> None:
    part = HttpPart(MESSAGE[:-27], gzip.compress(MESSAGE))
    found = transform(["auto"], b"any", LIMIT, Context(messages=[part]))
    assert [name for name, _ in steps(found)] == ["http_body", "http_body", "json_pretty"]
    found = transform(["auto"], b"any", LIMIT, Context(frames=[WsFrame(1, JSON)]))
    assert (found.data, found.steps[0].name) == (PRETTY, "websocket")


def test_profile() -> None:
    context = Context(profile=["gzip", "profile", "auto"])
    found = transform(["profile"], PACKED, LIMIT, context)
    assert (found.data, [s.name for s in found.steps]) == (PRETTY, ["gzip", "json_pretty"])
    assert steps(transform(["profile"], JSON, LIMIT)) == [("profile", "noop")]
    with pytest.raises(ValueError, match="unknown transform"):
        transform(["profile"], b"", LIMIT, Context(profile=["x"]))
