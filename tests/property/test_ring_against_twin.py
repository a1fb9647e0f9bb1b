"""Blocks of the ring, well-formed and not: the kernel finds what its twin finds, and no more."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.capture.kernels.ring import CURSOR_SIZE, LEFT, LOST, POS, walk_block
from shared.columns import RECORD
from tests.reference.ring import Packet
from tests.reference.ring import walk_block as twin

pytestmark = pytest.mark.property

MAC = 48 + 20 + 4 + 10  # of an Ethernet frame: reserved bytes, and the address after alignment
FIRST = 48


def block_of(frames: list[tuple[bytes, int, int, int]], spare: int = 0) -> bytearray:
    """Frames as the kernel lays them out: each with its flags, tag and tag protocol."""
    block = bytearray(FIRST)
    for frame, status, tci, tpid in frames:
        size = (MAC + len(frame) + 15) & ~15
        head = struct.pack(
            "=6I2HIIHxx8x", size, 1, 2, len(frame), len(frame) + 3, status, MAC, MAC, 0, tci, tpid
        )
        block += (head + bytes(MAC - len(head)) + frame).ljust(size, b"\0")
    return block + bytes(spare)


def walked(
    block: bytearray, first: int, count: int, ethernet: bool, snaplen: int, room: int
) -> tuple[list[Packet], int, bytes]:
    """By the kernel, some records at a time; the block as it is then."""
    data = np.array(block, np.uint8)
    records, cursor = np.zeros(room, RECORD), np.zeros(CURSOR_SIZE, np.int64)
    cursor[POS], cursor[LEFT] = first, count
    found: list[Packet] = []
    while True:
        filled = walk_block(data, 1 if ethernet else 101, 7, snaplen, records, cursor)
        for record in records[:filled]:
            assert (record["link"], record["source"]) == (1 if ethernet else 101, 7)
            found.append(Packet(*(int(record[name]) for name in Packet._fields)))
        if not cursor[LEFT]:
            return found, int(cursor[LOST]), data.tobytes()


FRAMES = st.lists(
    st.tuples(
        st.binary(max_size=80),
        st.sampled_from([0, 1, 0x10, 0x50, 0x40]),
        st.sampled_from([0, 5, 0xFFFF, 0x10000]),
        st.sampled_from([0, 0x8100, 0x88A8]),
    ),
    max_size=8,
)


@given(FRAMES, st.integers(0, 40), st.booleans(), st.integers(64, 100), st.integers(1, 9))
def test_blocks_of_the_kernel(
    frames: list[tuple[bytes, int, int, int]], spare: int, ethernet: bool, snaplen: int, room: int
) -> None:
    block = block_of(frames, spare)
    found = walked(block, FIRST, len(frames), ethernet, snaplen, room)
    assert found == (*twin(block, FIRST, len(frames), ethernet, snaplen), bytes(block))
    assert found[1] == 0
    assert len(found[0]) == len(frames)


@given(
    FRAMES,
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from([0, 1, 0x7F, 0x80, 0xFF])), max_size=6),
    st.integers(-60, 40),
    st.sampled_from([FIRST, 0, 47, 1 << 31, (1 << 32) - 1, 60]),
    st.integers(0, 12),
    st.integers(1, 9),
)
def test_blocks_that_contradict_themselves(
    frames: list[tuple[bytes, int, int, int]],
    changes: list[tuple[int, int]],
    spare: int,
    first: int,
    count: int,
    room: int,
) -> None:
    block = block_of(frames, max(0, spare))
    for at, octet in changes:
        if at < len(block):
            block[at] = octet
    del block[len(block) + min(0, spare) :]
    found = walked(block, first, count, True, 262144, room)
    assert found == (*twin(block, first, count, True, 262144), bytes(block))
    assert len(found[0]) + found[1] == count
    for packet in found[0]:
        assert 0 <= packet.off <= packet.off + packet.caplen <= len(block)


@given(st.binary(max_size=300), st.integers(0, 300), st.integers(0, 5))
def test_any_bytes(octets: bytes, first: int, count: int) -> None:
    block = bytearray(octets)
    found = walked(block, first, count, True, 262144, 3)
    assert found == (*twin(block, first, count, True, 262144), bytes(block))
