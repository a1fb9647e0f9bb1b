"""Percent-encoding, base64, character sets, JSON."""

import base64
import json
import time

import pytest

from services.api.transforms import Context, Transformed, transform

LIMIT = 1 << 20


def run(name: str, data: bytes, limit: int = LIMIT, charset: str = "") -> Transformed:
    found = transform([name], data, limit, Context(charset=charset))
    assert len(found.data) <= limit
    return found


@pytest.mark.parametrize(
    ("data", "expected", "status"),
    [
        (b"a%20b+c%2B", b"a b c+", "applied"),
        (b"%4", b"%4", "noop"),
        (b"100% of %41", b"100% of A", "applied"),
        (b"%zz%C3%a4", b"%zz\xc3\xa4", "applied"),
        (b"%2541", b"%41", "applied"),
        (b"plain", b"plain", "noop"),
    ],
)
def test_url_decode(data: bytes, expected: bytes, status: str) -> None:
    found = run("url_decode", data)
    assert (found.data, found.steps[0].status) == (expected, status)


@pytest.mark.parametrize("shift", range(4))
def test_url_decode_across_pieces(shift: int) -> None:
    assert run("url_decode", b"x" * shift + b"%41" * 50_000).data == b"x" * shift + b"A" * 50_000


@pytest.mark.parametrize(
    ("data", "expected", "status"),
    [
        (b"aGVsbG8=", b"hello", "applied"),
        (b"aGVsbG8", b"hello", "applied"),
        (b"aGVs\r\n bG8=\n", b"hello", "applied"),
        (b"-_-_", b"\xfb\xff\xbf", "applied"),
        (b"+/+/", b"\xfb\xff\xbf", "applied"),
        (b"aGVsbG8h!rest", b"hello!", "partial"),
        (b"aGVsb", b"hel", "partial"),
        (b"!", b"!", "failed"),
        (b"=", b"=", "failed"),
    ],
)
def test_base64(data: bytes, expected: bytes, status: str) -> None:
    found = run("base64_decode", data)
    assert (found.data, found.steps[0].status) == (expected, status)


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 4, 1000])
def test_base64_limit(limit: int) -> None:
    raw = bytes(range(256)) * 100
    found = run("base64_decode", base64.encodebytes(raw), limit)
    assert (found.data, found.truncated_by_limit) == (raw[:limit], True)
    assert not run("base64_decode", base64.encodebytes(raw), len(raw)).truncated_by_limit


@pytest.mark.parametrize(
    ("data", "declared", "expected", "status"),
    [
        ("hä".encode("utf-16"), "", "hä", "applied"),
        ("hä".encode("utf-16-be"), "utf-16-be", "hä", "applied"),
        (b"\xef\xbb\xbfh\xc3\xa4", "", "hä", "applied"),
        (b"h\xe4 ", "", "hä ", "applied"),
        (b"h\xe4", "iso-8859-1", "hä", "applied"),
        (b"\x80", '"windows-1252"', "€", "applied"),
        ("日本".encode("shift_jis"), "Shift_JIS", "日本", "applied"),
        ("hä".encode(), "utf-8", "hä", "noop"),
        ("hä".encode(), "", "hä", "noop"),
        (b"h\xe4 ", "utf-8", "hä ", "applied"),
        (b"h\xe4 ", "no-such", "hä ", "applied"),
        (b"68", "hex", "68", "noop"),
        (b"xn--a", "punycode", "xn--a", "noop"),
        (b"\\x41", "unicode_escape", "\\x41", "noop"),
        (b"h\0\xff\xdf", "utf-16-le", "h\ufffd", "partial"),
        ("hä".encode()[:-1], "", None, "noop"),
    ],
)
def test_charset(data: bytes, declared: str, expected: str | None, status: str) -> None:
    found = run("charset", data, charset=declared)
    assert found.data == (data if expected is None else expected.encode())
    assert found.steps[0].status == status


def test_charset_limit() -> None:
    found = run("charset", b"\xe4" * 1000, limit=101)
    assert (found.data, found.truncated_by_limit) == ("ä".encode() * 50 + b"\xc3", True)


@pytest.mark.parametrize(
    "value",
    [{}, [], {"a": [1, {"b": []}], "c": {}}, "x", 5, None, True, [[[1]]],
     {"a": "\"\\ \n ä"}, [1, [2]]],
)  # fmt: skip
def test_json_as_the_library_lays_it_out(value: object) -> None:
    found = run("json_pretty", json.dumps(value).encode())
    assert found.data.decode() == json.dumps(value, indent=2)
    assert found.steps[0].status == "applied"


@pytest.mark.parametrize(
    ("data", "expected", "status"),
    [
        (b'{"a":1.50}', b'{\n  "a": 1.50\n}', "applied"),
        (b'{"a":1,"a":12345678901234567890123}', b'{\n  "a": 1,\n  "a": 12345678901234567890123\n}',
         "applied"),
        (b'{"a":1}\n{"b":2}', b'{\n  "a": 1\n}\n{\n  "b": 2\n}', "applied"),
        (b'\xef\xbb\xbf[1]', b"[\n  1\n]", "applied"),
        (b'[1,{"a":"cut o', b'[\n  1,\n  {\n    "a": "cut o', "partial"),
        (b'[1,2', b"[\n  1,\n  2", "partial"),
        (b'[tr', b"[tr", "partial"),
        (b"  ", b"  ", "noop"),
        (b"no json", b"no json", "failed"),
        (b"[1 2]", b"[1 2]", "failed"),
        (b"[1,]", b"[1,]", "failed"),
        (b"{1:2}", b"{1:2}", "failed"),
        (b'{"a":1,}', b'{"a":1,}', "failed"),
        (b'{"a"}', b'{"a"}', "failed"),
        (b"[1}", b"[1}", "failed"),
        (b"]", b"]", "failed"),
        (b",", b",", "failed"),
        (b'"a\nb"', b'"a\nb"', "failed"),
        (b"\xff", b"\xff", "failed"),
        (b'"cut', b'"cut', "failed"),
    ],
)  # fmt: skip
def test_json(data: bytes, expected: bytes, status: str) -> None:
    found = run("json_pretty", data)
    assert (found.data, found.steps[0].status) == (expected, status)


@pytest.mark.parametrize(
    "data",
    [b"[" * 5_000_000, b"[1," * 2_000_000, b'"' + b"a" * 5_000_000, b'"' + b"\\" * 5_000_000,
     b" " * 5_000_000 + b"x", b"1 " * 1_000_000, b"1" * 5_000_000, b'{"a":' * 1_000_000],
    ids=range(8),
)  # fmt: skip
def test_json_work_is_bounded(data: bytes) -> None:
    began = time.process_time()
    run("json_pretty", data)
    assert time.process_time() - began < 1.5
