"""HTTP bodies: chunks, and the whole chain of codings of each message."""

import gzip
import time
import zlib

import brotli
import pytest
import zstandard

from services.api.transforms import Context, HttpPart, decode_body, transform
from services.api.transforms.http_body import charset_of
from services.api.transforms.http_split import split_messages

LIMIT = 1 << 20
TEXT = b"some text, some text, some more text\n" * 20


def chunked(data: bytes, size: int = 100, end: bytes = b"0\r\n\r\n") -> bytes:
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    return b"".join(b"%X\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


def head(*fields: str, start: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join([start, *fields, "", ""]).encode()


@pytest.mark.parametrize(
    ("data", "expected", "status", "note"),
    [
        (chunked(TEXT), TEXT, "applied", ""),
        (chunked(TEXT, 1), TEXT, "applied", ""),
        (b"3;ext=1\r\nabc\r\n0\r\nA: b\r\nC: d\r\n\r\n", b"abc", "applied", "2 trailer lines"),
        (b"3\nabc\n0\n\n", b"abc", "applied", ""),
        (b"3 \r\nabc\r\n00\r\n\r\nGET", b"abc", "applied", "3 bytes follow the end"),
        (b"0\r\n\r\n", b"", "applied", ""),
        (b"3\r\nabc\r\nzz\r\n", b"abc", "partial", "no chunk size at 8"),
        (b"3\r\nabcxy\r\n", b"abc", "partial", "no chunk size at 6"),
        (b"ffffffffffffffff\r\nabc", b"abc", "partial", "cut off"),
        (b"fffffffffffffffff\r\nabc", None, "failed", "no chunk size"),
        (b"-3\r\nabc\r\n", None, "failed", "no chunk size"),
        (b"hello", None, "failed", "no chunk size"),
    ],
)
def test_chunks(data: bytes, expected: bytes | None, status: str, note: str) -> None:
    found = transform(["http_chunked"], data, LIMIT)
    assert found.data == (data if expected is None else expected)
    assert found.steps[0].status == status
    assert note in found.steps[0].note


def test_chunks_cut_at_every_octet() -> None:
    whole = chunked(TEXT)
    for size in range(1, len(whole) - 2):
        found = transform(["http_chunked"], whole[:size], LIMIT)
        if found.steps[0].status == "failed":
            assert found.data == whole[:size]
        else:
            assert TEXT.startswith(found.data)


@pytest.mark.parametrize("limit", [0, 1, 99, 100, 101])
def test_the_limit_of_chunks(limit: int) -> None:
    found = transform(["http_chunked"], chunked(TEXT), limit)
    assert (found.data, found.truncated_by_limit) == (TEXT[:limit], True)


def test_many_chunks_are_bounded() -> None:
    began = time.process_time()
    found = transform(["http_chunked"], b"1\r\na\r\n" * 1_000_000, LIMIT)
    assert time.process_time() - began < 1
    assert found.steps[0].status == "partial"
    assert "more than" in found.steps[0].note


GZIP, ZLIB, BR = gzip.compress(TEXT, mtime=0), zlib.compress(TEXT), brotli.compress(TEXT)
ZSTD = zstandard.ZstdCompressor().compress(TEXT)


@pytest.mark.parametrize(
    ("fields", "body", "steps"),
    [
        ([], TEXT, []),
        (["Content-Encoding: identity"], TEXT, []),
        (["Content-Encoding: gzip"], GZIP, ["gzip"]),
        (["content-encoding: X-GZIP"], GZIP, ["gzip"]),
        (["Content-Encoding: deflate"], ZLIB, ["deflate"]),
        (["Content-Encoding: deflate"], ZLIB[2:-4], ["deflate"]),
        (["Content-Encoding: br"], BR, ["brotli"]),
        (["Content-Encoding: zstd"], ZSTD, ["zstd"]),
        (["Transfer-Encoding: chunked"], chunked(TEXT), ["http_chunked"]),
        (["Transfer-Encoding: gzip, chunked"], chunked(GZIP), ["http_chunked", "gzip"]),
        (["Content-Encoding: gzip, br"], brotli.compress(GZIP), ["brotli", "gzip"]),
        (["Content-Encoding: gzip", "Content-Encoding: br"], brotli.compress(GZIP),
         ["brotli", "gzip"]),
        (["Transfer-Encoding: chunked", "Content-Encoding: deflate, identity, gzip"],
         chunked(gzip.compress(ZLIB, mtime=0)), ["http_chunked", "gzip", "deflate"]),
    ],
)  # fmt: skip
def test_codings(fields: list[str], body: bytes, steps: list[str]) -> None:
    found = decode_body(head(*fields), body, LIMIT)
    assert found.data == TEXT
    assert [(step.name, step.status) for step in found.steps] == [(s, "applied") for s in steps]
    assert not found.truncated_by_limit


def test_codings_that_are_unknown_or_do_not_fit() -> None:
    found = decode_body(head("Content-Encoding: rc4,gzip"), gzip.compress(b"secret"), LIMIT)
    assert found.data == b"secret"
    assert [(s.name, s.status) for s in found.steps] == [("gzip", "applied"), ("rc4", "failed")]
    found = decode_body(head("Content-Encoding: gzip, gzip"), GZIP, LIMIT)
    assert (found.data, [s.status for s in found.steps]) == (TEXT, ["applied", "failed"])
    found = decode_body(head("Content-Encoding: gzip"), TEXT, LIMIT)
    assert (found.data, found.steps[0].status) == (TEXT, "failed")


def test_framing_goes_before_the_head() -> None:
    header = head("Transfer-Encoding: chunked")
    assert decode_body(header, TEXT, LIMIT, "close").data == TEXT
    assert decode_body(head(), chunked(TEXT), LIMIT, "chunked").data == TEXT


def test_a_body_has_few_codings() -> None:
    found = decode_body(head("Content-Encoding: " + "gzip," * 1000), GZIP, LIMIT)
    assert len(found.steps) <= 8
    assert decode_body(head("Content-Encoding: gzip"), b"", LIMIT).steps == []


@pytest.mark.parametrize("fields", [[], ["Content-Encoding: gzip"], ["Transfer-Encoding: chunked"]])
def test_the_limit_of_a_body(fields: list[str]) -> None:
    body = {0: TEXT, 1: GZIP if "gzip" in "".join(fields) else chunked(TEXT)}[len(fields)]
    found = decode_body(head(*fields), body, 100)
    assert (found.data, found.truncated_by_limit) == (TEXT[:100], True)


def test_every_message_of_the_context() -> None:
    parts = [
        HttpPart(head("Content-Encoding: gzip"), gzip.compress(b"one,"), "content_length", 10),
        HttpPart(head(), b"", "none", 20),
        HttpPart(head("Content-Encoding: nope"), b"two,", "content_length", 30),
        HttpPart(head("Transfer-Encoding: chunked"), chunked(b"three"), "chunked", 40),
    ]
    found = transform(["http_body"], b"a slice", LIMIT, Context(messages=parts))
    step = found.steps[0]
    assert (found.data, step.status) == (b"one,two,three", "partial")
    assert step.note.startswith("3 of 4 messages have a body: gzip, http_chunked;")
    assert "message at 30: nope failed: unknown coding" in step.note
    found = transform(["http_body"], b"a slice", 6, Context(messages=parts))
    assert (found.data, found.truncated_by_limit) == (b"one,tw", True)


@pytest.mark.parametrize(
    ("data", "status", "expected"),
    [
        (head("Content-Length: 3") + b"abc" + head("Content-Length: 2") + b"de", "applied",
         b"abcde"),
        (head() + b"until the end", "applied", b"until the end"),
        (head("Transfer-Encoding: chunked") + chunked(b"ab") + head("Content-Length: 1") + b"c",
         "applied", b"abc"),
        (head("Transfer-Encoding: chunked") + chunked(b"ab", end=b"0\r\nA: b\r\n\r\n")
         + head("Content-Length: 1") + b"c", "applied", b"abc"),
        (head(start="GET / HTTP/1.1") + head("Content-Length: 1", start="POST / HTTP/1.1") + b"x",
         "applied", b"x"),
        (head(start="HTTP/1.1 304 Not Modified"), "noop", None),
        (b"no message", "failed", None),
        (b"HTTP/1.1 200 OK\r\nno end", "failed", None),
    ],
)  # fmt: skip
def test_a_slice_that_nobody_parsed(data: bytes, status: str, expected: bytes | None) -> None:
    found = transform(["http_body"], data, LIMIT)
    assert found.steps[0].status == status
    assert found.data == (data if expected is None else expected)


def test_offsets_of_split_messages() -> None:
    first, second = head("Content-Length: 2") + b"ab", head() + b"c"
    parts = split_messages(first + second)
    assert [(part.start, part.end) for part in parts] == [
        (0, len(first)),
        (len(first), len(first + second)),
    ]


@pytest.mark.parametrize(
    ("field", "charset"),
    [
        ("Content-Type: text/html; charset=ISO-8859-1", "ISO-8859-1"),
        ('content-type: text/html;a=b; Charset="utf-8"', "utf-8"),
        ("Content-Type: text/html", ""),
        ("X: charset=a", ""),
    ],
)
def test_charset_of_a_head(field: str, charset: str) -> None:
    assert charset_of(head(field)) == charset
