import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.api.rows import summarise, text_of
from services.coordinator.kernels import previews as p
from services.coordinator.text import search
from services.coordinator.view import Inventory
from shared.columns import EVENT, PREVIEW, PREVIEW_BYTES
from tests.reference import text_search as reference

pytestmark = pytest.mark.property
letters = st.text("aAbB{@`", min_size=1, max_size=20).map(str.encode)
mixed = st.lists(
    st.sampled_from((b"ab", b"A", b"\0", b"\xff", b"\xc3", b"\xa9", b"\n", b"\x7f")), max_size=90
).map(b"".join)
needles = st.one_of(
    letters, mixed.filter(bool), st.binary(min_size=1, max_size=PREVIEW_BYTES), mixed.filter(bool)
)
texts = st.one_of(
    st.text("aAbB{@`", max_size=PREVIEW_BYTES).map(str.encode),
    st.binary(max_size=PREVIEW_BYTES),
    mixed,
)
pairs = st.lists(st.tuples(texts, texts), max_size=6)


def stored(previews: list[tuple[bytes, bytes]], *cuts: int) -> Inventory:
    """An inventory with these previews, each told in pieces that end at the cuts; where nothing
    is stored lies what was there before."""
    inventory = Inventory(max(1, len(previews)))
    inventory.previews[:] = ord("a")
    inventory.printables[:] = 0x5555555555555555
    events = np.zeros(len(previews), EVENT)
    events["stream_id"] = events["row"] = range(1, len(previews) + 1)
    inventory.merge(0, events)
    for row, pair in enumerate(previews, 1):
        for side, octets in enumerate(pair):
            edges = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})
            pieces = np.zeros(len(edges) - 1, PREVIEW)
            pieces["row"], pieces["dir"] = row, side
            pieces["off"] = pieces["start"] = edges[:-1]
            pieces["len"] = np.diff(edges)
            inventory.merge(0, events[:0], pieces, np.frombuffer(octets, np.uint8))
    return inventory


def found(previews: list[tuple[bytes, bytes]], needle: bytes) -> list[bool]:
    mask = np.ones(len(previews), bool)
    search(stored(previews), needle.lower(), mask)
    return [bool(one) for one in mask]


@settings(deadline=None)
@given(pairs, needles)
@example([(b"x" * 250 + b"needle", b"")], b"Needle")
@example([(b"", b"x" * 251 + b"needl")], b"needle")
@example([(b"y" * 63 + b"AB" + b"y" * 100, b"")], b"ab")
@example([(b"\0ab\xff", b"")], b"b\0")  # stands so where printable bytes are first
@example([(b"\0ab\xff", b"ab\0")], b"b\0")
@example([("caf\u00e9 ".encode() + b"\0", "caf\u00e9".encode())], "f\u00e9".encode())
@example([(b"\xff" * 200 + b"ab", b"\0")], b"\xff\0")
@example([(b"x" * 58 + b"needle", b"")], b"needle")  # to the end of what is short
@example([(b"x" * 59 + b"needl", b"e" * 64)], b"needle")
@example([(b"y" * 15 + b"AB", b"y" * 62 + b"aB")] * 33 + [(b"ab" * 33, b"")], b"ab")
@example([(b"y" * 65, b"ab")] + [(b"", b"a")] * 40, b"ab")
@example([(b"y" * 29 + b"AbAb" + b"y" * 20, b""), (b"y" * 58 + b"aBab", b"ab")], b"abab")
@example([(b"y" * 63 + b"a", b"y" * 64), (b"y" * 31 + b"a", b"A" + b"y" * 40)], b"a")
@example([(b"a" * 33 + b"b", b""), (b"b" + b"a" * 40, b"a" * 64)], b"a" * 33 + b"b")
def test_agrees_with_the_reference(previews: list[tuple[bytes, bytes]], needle: bytes) -> None:
    assert found(previews, needle) == reference.search_text(previews, needle)


@settings(deadline=None)
@given(texts, st.integers(0, PREVIEW_BYTES), st.integers(1, 40))
def test_finds_every_piece_of_a_preview(preview: bytes, start: int, size: int) -> None:
    if needle := preview[start : start + size]:
        assert found([(b"", preview)], needle.swapcase()) == [True]


@settings(deadline=None)
@given(texts, st.integers(0, 80), st.integers(1, 20))
def test_what_a_summary_shows_is_found(preview: bytes, start: int, size: int) -> None:
    summary = summarise(preview, text_of(preview)).encode()
    if needle := summary[start : start + size]:
        assert found([(b"", preview)], needle) == [True]


@settings(deadline=None)
@given(texts, st.lists(st.integers(1, PREVIEW_BYTES), max_size=6))
def test_how_a_preview_came_in_makes_no_difference(preview: bytes, cuts: list[int]) -> None:
    inventory = stored([(b"", preview)], *cuts)
    _, view, kept = inventory.rows(np.array([0]))
    assert view["preview_len"][0].tolist() == [0, len(preview)]
    assert kept[0, 1].tobytes() == preview.ljust(PREVIEW_BYTES, b"\0")
    length = int(inventory.preview_len[1])
    assert bool(length & p.SORTED) == (not reference.is_text(preview))
    if length & p.SORTED:
        shown = reference.shown(preview)
        assert inventory.previews[PREVIEW_BYTES:][: len(shown)].tobytes() == shown


def test_a_slot_that_is_out_stays_out() -> None:
    wanted = [i % 3 != 0 for i in range(50)]
    for needle in (b"aa", b"\0aa"):
        inventory, mask = stored([(b"\0aa", b"")] * len(wanted)), np.array(wanted)
        search(inventory, needle, mask)
        assert mask.tolist() == wanted


def test_a_stream_that_takes_a_slot_has_nothing_of_the_one_before() -> None:
    inventory = stored([(b"\0ab\xff" * 20, b"")])
    event, piece = np.zeros(1, EVENT), np.zeros(1, PREVIEW)
    event["stream_id"], event["row"] = 9, 9
    piece["row"], piece["len"] = 9, 2
    inventory.merge(0, event, piece, np.frombuffer(b"xy", np.uint8))
    _, _, kept = inventory.rows(np.array([0]))
    assert kept[0, 0].tobytes() == b"xy".ljust(PREVIEW_BYTES, b"\0")
    mask = np.ones(1, bool)
    search(inventory, b"ab", mask)
    assert not mask[0]
