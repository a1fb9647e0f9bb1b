"""The WebSocket kernel and its twin find the same frames, however a conversation is cut."""

from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.columns import FIN, RST
from tests.message_harness import Turn, assert_same_messages, found_in, in_pieces, packets_of
from tests.property.test_http1_against_twin import MAX_HEADER, run_of, swapped

ASKED = b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
AGREED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
UPGRADE: list[Turn] = [(0, ASKED), (1, AGREED)]


def frame(
    opcode: int, payload: bytes, *, key: bytes = b"", first: int = 0x80, wide: int = 0
) -> bytes:
    """first: FIN and RSV bits. wide: bytes of an extended length, at least; 2 or 8."""
    size = len(payload)
    wide = max(wide, 8 if size > 65535 else 2 if size > 125 else 0)
    code = {0: size, 2: 126, 8: 127}[wide]
    head = bytes([first | opcode, code | (128 if key else 0)])
    masked = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload)) if key else payload
    return head + (size.to_bytes(wide, "big") if wide else b"") + key + masked


@st.composite
def frames(draw: st.DrawFn, masked: bool) -> bytes:
    """Mostly valid ones."""
    key = draw(st.binary(min_size=4, max_size=4)) if masked else b""
    opcode = draw(st.sampled_from((1, 1, 1, 2, 0, 8, 9, 10)))
    sizes = (0, 1, 2, 5, 80, 81, 125) if opcode >= 8 else (0, 1, 5, 79, 80, 81, 126, 300, 70000)
    payload = (draw(st.binary(max_size=6)) + b"Hello, frames! \r\n" * 5000)[
        : draw(st.sampled_from(sizes))
    ]
    odd = not draw(st.integers(0, 15))
    first = draw(st.sampled_from((0x80, 0xC0, 0x00, 0xF0, 0x40))) if odd or opcode < 8 else 0x80
    if odd:
        opcode = draw(st.integers(0, 15))
    result = frame(opcode, payload, key=key, first=first, wide=draw(st.sampled_from((0, 0, 2, 8))))
    return result[:2] + b"\xff" + result[3:] if not draw(st.integers(0, 30)) else result


@st.composite
def talks(draw: st.DrawFn) -> list[Turn]:
    turns = list(UPGRADE)
    for side in draw(st.lists(st.integers(0, 1), max_size=8)):
        sent = draw(st.lists(frames(side == 0), min_size=1, max_size=3))
        turns.append((side, b"".join(sent)))
    if not draw(st.integers(0, 3)):  # the client does not wait
        turns.insert(1, (0, draw(frames(True))))
    return turns


SIZES = st.lists(st.sampled_from((1, 2, 3, 9, 50, 200, 5000, 40000)), max_size=6).filter(
    lambda sizes: not sizes or sum(sizes) > 500
) | st.sampled_from(([1], [3], [7])).filter(bool)
CUTS = st.lists(st.integers(1, 60), max_size=8)


def not_too_many(turns: Sequence[Turn], sizes: list[int]) -> list[int]:
    """Long payloads are not cut into thousands of pieces."""
    longest = max(len(octets) for _, octets in turns)
    return sizes if longest < 2000 or (sizes and sum(sizes) > 500) else [3, 4000, 1]


@pytest.mark.property
@given(talks(), SIZES, CUTS, st.sampled_from((FIN, FIN, RST, 0)))
def test_talks(turns: list[Turn], sizes: list[int], cuts: list[int], end: int) -> None:
    packets = packets_of(in_pieces(turns, not_too_many(turns, sizes)), end=end)
    assert_same_messages(run_of(packets, cuts), packets, MAX_HEADER)


@pytest.mark.property
@given(st.data(), talks(), SIZES, CUTS)
def test_disturbed_talks(
    data: st.DataObject, turns: list[Turn], sizes: list[int], cuts: list[int]
) -> None:
    packets = packets_of(in_pieces(turns, not_too_many(turns, sizes)))
    packets = swapped(packets, data.draw(st.lists(st.integers(0, 100), max_size=8)))
    for at in data.draw(st.lists(st.integers(0, 100), max_size=3)):
        del packets[at % len(packets)]
    run = run_of(packets, cuts)
    assume(len(run.final()) == 1)  # a SYN that comes late begins another stream
    assert_same_messages(run, packets, MAX_HEADER)


@pytest.mark.property
@given(talks(), SIZES, CUTS)
def test_cuts_change_nothing(turns: list[Turn], sizes: list[int], cuts: list[int]) -> None:
    """No twin here: two runs of the same bytes."""
    whole = run_of(packets_of(turns), [])
    cut = run_of(packets_of(in_pieces(turns, not_too_many(turns, sizes))), cuts)
    assert found_in(whole) == found_in(cut)


@pytest.mark.property
@given(st.lists(st.tuples(st.integers(0, 1), st.binary(max_size=200)), max_size=8), SIZES, CUTS)
def test_any_bytes(said: list[Turn], sizes: list[int], cuts: list[int]) -> None:
    packets = packets_of(in_pieces([*UPGRADE, *said], sizes))
    assert_same_messages(run_of(packets, cuts), packets, MAX_HEADER)
