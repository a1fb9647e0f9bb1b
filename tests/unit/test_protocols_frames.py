"""WebSocket frames, findings of analyzers, and what no protocol claims."""

import json

import pytest

from services.api.protocols import explain, summary


@pytest.mark.parametrize(
    ("marks", "fin", "rsv1", "masked"),
    [
        (0, False, False, False),
        (1, True, False, False),
        (7, True, True, True),
        (132, False, False, True),
    ],
)
def test_a_frame(marks: int, fin: bool, rsv1: bool, masked: bool) -> None:
    found = explain(
        "websocket", "frame", None, text="hi", name="", value=2, code=0, framing=1, marks=marks
    )
    assert found == {
        "opcode": 1, "fin": fin, "rsv1": rsv1, "masked": masked, "length": 2, "close_code": None,
        "text_preview": "hi",
    }  # fmt: skip


def test_a_close_frame() -> None:
    found = explain(
        "websocket", "frame", b"", text="", name="", value=2, code=1001, framing=8, marks=1
    )
    assert (found["opcode"], found["close_code"]) == (8, 1001)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (json.dumps({"protocol": "x", "summary": "s", "detail": {"a": 1}}), {"a": 1}),
        (json.dumps({"protocol": "x", "detail": 5}), {"detail": 5}),
        ("[1]", None),
        ("{", None),
        ("[" * 100_000, None),
        ('{"detail": {"a": "\\ud800"}}', None),
    ],
)
def test_a_finding(text: str, detail: object) -> None:
    found = explain(
        "analyzer", "finding", None, text=text, name="", value=0, code=0, framing=0, marks=0
    )
    assert found == detail if detail else "note" in found


def test_an_unknown_protocol() -> None:
    row = {"text": "", "name": "", "value": 0, "code": 0, "framing": 0, "marks": 0}
    assert "note" in explain("gopher", "request", b"", **row)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("protocol", "kind", "text", "name", "line"),
    [
        ("http1", "request", "GET / HTTP/1.1", "h", "GET / HTTP/1.1"),
        ("tls", "client_hello", "", "example.org", "client hello example.org"),
        ("tls", "alert", " ", "", "alert"),
        ("analyzer", "finding", '{"summary": "found it"}', "", "found it"),
        ("analyzer", "finding", "plain", "", "plain"),
    ],
)
def test_summaries(protocol: str, kind: str, text: str, name: str, line: str) -> None:
    assert summary(protocol, kind, text, name) == line
