from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.api.rows import summarise, text_of
from services.coordinator.kernels.squeezed_search import search_squeezed
from services.coordinator.kernels.text_search import SLACK, search_text
from services.coordinator.text import probe_of, text_machine
from shared.columns import PREVIEW_BYTES
from tests.reference import text_search as reference

pytestmark = pytest.mark.property
letters = st.text("aAbB{@`", min_size=1, max_size=20).map(str.encode)
needles = st.one_of(letters, st.binary(min_size=1, max_size=PREVIEW_BYTES))
texts = st.one_of(
    st.text("aAbB{@`", max_size=PREVIEW_BYTES).map(str.encode), st.binary(max_size=PREVIEW_BYTES)
)
pairs = st.lists(st.tuples(texts, texts), max_size=6)


def laid_out(previews: list[tuple[bytes, bytes]]) -> tuple[Any, Any]:
    """Previews and their lengths as columns."""
    kept = np.full(2 * PREVIEW_BYTES * len(previews) + SLACK, ord("a"), np.uint8)  # stale bytes
    lengths = np.array([len(side) for pair in previews for side in pair], np.uint16)
    for i, side in enumerate(side for pair in previews for side in pair):
        kept[i * PREVIEW_BYTES : i * PREVIEW_BYTES + len(side)] = np.frombuffer(side, np.uint8)
    return kept, lengths


def search(previews: list[tuple[bytes, bytes]], needle: bytes) -> list[bool]:
    kept, lengths = laid_out(previews)
    mask = np.ones(len(previews), np.uint8)
    count = search_text(kept, lengths, *probe_of(needle), len(needle), 0, len(previews), mask)
    assert count == mask.sum()
    return [bool(found) for found in mask]


@settings(deadline=None)
@given(pairs, needles)
@example([(b"x" * 250 + b"needle", b"")], b"Needle")
@example([(b"", b"x" * 251 + b"needl")], b"needle")
@example([(b"y" * 63 + b"AB" + b"y" * 100, b"")], b"ab")
def test_agrees_with_the_reference(previews: list[tuple[bytes, bytes]], needle: bytes) -> None:
    assert search(previews, needle) == reference.search_text(previews, needle)


@settings(deadline=None)
@given(texts, st.integers(0, PREVIEW_BYTES), st.integers(1, 40))
def test_finds_every_piece_of_a_preview(text: bytes, start: int, size: int) -> None:
    if needle := text[start : start + size]:
        assert search([(b"", text)], needle.swapcase()) == [True]


printable = st.binary(min_size=1, max_size=6).map(lambda octets: bytes(32 + b % 95 for b in octets))
mixed = st.lists(
    st.sampled_from((b"ab", b"A", b"\0", b"\xff", b"\xc3", b"\xa9", b"\n")), max_size=90
)
binaries = st.one_of(texts, mixed.map(b"".join))


def shown(previews: list[tuple[bytes, bytes]], needle: bytes) -> list[bool]:
    kept, lengths = laid_out(previews)
    mask = np.ones(len(previews), np.uint8)
    count = search_squeezed(
        kept, lengths, np.zeros(lengths.size, np.uint8), text_machine(),
        np.frombuffer(needle.lower(), np.uint8), np.zeros(PREVIEW_BYTES, np.uint8), 0,
        len(previews), mask,
    )  # fmt: skip
    assert count == mask.sum()
    return [bool(found) for found in mask]


@settings(deadline=None)
@given(st.lists(st.tuples(binaries, binaries), max_size=6), printable | letters)
@example([(b"\0" + b"x" * 79 + b"yz", b"\0" + b"x" * 78 + b"yz")], b"xyz")
@example([(b"\0" + b"x" * 79 + b"yz", b"")], b"xy")
def test_what_is_printable_agrees_with_the_reference(
    previews: list[tuple[bytes, bytes]], needle: bytes
) -> None:
    assert shown(previews, needle) == reference.search_squeezed(previews, needle)


@settings(deadline=None)
@given(binaries, st.integers(0, 80), st.integers(1, 20))
def test_what_a_summary_shows_is_found(preview: bytes, start: int, size: int) -> None:
    summary = summarise(preview, text_of(preview)).encode()
    if needle := summary[start : start + size]:
        one = [(b"", preview)]
        assert search(one, needle) == [True] or shown(one, needle) == [True]


def test_a_preview_that_is_known_as_text_is_not_looked_at() -> None:
    kept, lengths = laid_out([(b"a\0b", b"")])
    for known, count in ((0, 1), (1, 0)):
        assert count == search_squeezed(
            kept, lengths, np.full(2, known, np.uint8), text_machine(),
            np.frombuffer(b"ab", np.uint8), np.zeros(PREVIEW_BYTES, np.uint8), 0, 1,
            np.ones(1, np.uint8),
        )  # fmt: skip


def test_a_slot_that_is_out_stays_out() -> None:
    previews = np.full(4 * PREVIEW_BYTES + SLACK, ord("a"), np.uint8)
    mask = np.array([0, 1], np.uint8)
    lengths = np.full(4, PREVIEW_BYTES, np.uint16)
    assert search_text(previews, lengths, *probe_of(b"aa"), 2, 0, 2, mask) == 1
    assert mask.tolist() == [0, 1]
