import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.coordinator.kernels.message_lines import MESSAGE_LINE_MAX, format_messages
from shared.columns import ENDPOINTS, MESSAGE, MESSAGE_TEXT_MAX
from tests.reference import message_lines as reference

pytestmark = pytest.mark.property
rows = st.lists(
    st.tuples(
        st.binary(min_size=MESSAGE.itemsize, max_size=MESSAGE.itemsize),
        st.binary(min_size=ENDPOINTS.itemsize, max_size=ENDPOINTS.itemsize),
        st.integers(0, 40),
        st.integers(0, 40),
        st.integers(0, 40),
        st.integers(0, 6),
        st.integers(0, 9),
    ),
    max_size=4,
)
texts = st.binary(max_size=60) | st.text(max_size=20).map(
    lambda text: text.encode("utf-8", "replace")
)


def formatted(messages: NDArray[np.void], ends: NDArray[np.void], text: bytes) -> bytes:
    out = np.zeros(messages.size * MESSAGE_LINE_MAX + 16, np.uint8)
    size = format_messages(messages, ends, np.frombuffer(text, np.uint8), out)
    return out[:size].tobytes()


def same(messages: NDArray[np.void], ends: NDArray[np.void], text: bytes) -> None:
    lines = formatted(messages, ends, text).splitlines()
    wanted = reference.format_messages(messages, ends, text).splitlines()
    pairs = [(json.loads(line), json.loads(want)) for line, want in zip(lines, wanted, strict=True)]
    for got, want in pairs:
        assert list(got.items()) == list(want.items())


@settings(deadline=None)
@given(rows, texts, st.booleans())
def test_agrees_with_the_reference_on_any_bytes(raw: list[Any], text: bytes, sane: bool) -> None:
    messages = np.frombuffer(b"".join(row[0] for row in raw), MESSAGE).copy()
    ends = np.frombuffer(b"".join(row[1] for row in raw), ENDPOINTS)
    if sane:
        for message, (_, _, begin, length, name, protocol, kind) in zip(messages, raw, strict=True):
            message["text"], message["text_len"], message["name_len"] = begin, length, name
            message["protocol"], message["kind"] = protocol, kind
    same(messages, ends, text)


def test_the_longest_line_has_room() -> None:
    messages = np.frombuffer(b"\xff" * MESSAGE.itemsize, MESSAGE).copy()
    messages["text"], messages["text_len"], messages["name_len"] = 0, MESSAGE_TEXT_MAX, 0
    messages["note"], messages["ts_ns"] = 4, -(1 << 63)
    ends = np.frombuffer(b"\xff" * ENDPOINTS.itemsize, ENDPOINTS).copy()
    for octet in (b"\x01", b"\xff"):
        line = formatted(messages, ends, octet * MESSAGE_TEXT_MAX)
        assert len(line) + 32 < MESSAGE_LINE_MAX
        same(messages, ends, octet * MESSAGE_TEXT_MAX)
