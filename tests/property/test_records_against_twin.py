"""Readers of capture files and their twin find the same packets and the same damage in any bytes,
however the input is cut and however small the batches are."""

import gzip
import random
import struct
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from services.capture.compressed import codec_of
from services.capture.source import PROBLEMS_KEPT
from tests.captures import read_all
from tests.reference.records import EPB, IDB, PB, SHB, SPB, read_capture


def assert_same(data: bytes, sizes: list[int], batch_packets: int, batch_bytes: int) -> None:
    found = read_all(data, sizes, batch_packets, batch_bytes)
    want = read_capture(data)
    assert found.packets == want.packets
    assert [p.offset for p in found.state.problems] == want.damaged[:PROBLEMS_KEPT]
    assert found.state.damaged == len(want.damaged)
    failed = bool(want.damaged) and not want.packets
    assert found.state.status == ("failed" if failed else "done")


# --------------------------------------------------------------- files, at random

LINKS = (0, 1, 101, 113, 276, 65535)


def number(rng: random.Random, bits: int) -> int:
    return rng.getrandbits(rng.randint(1, bits))


def random_pcap(rng: random.Random) -> bytes:
    order = rng.choice("<>")
    magic = rng.choice([0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34])
    snaplen = rng.choice([0, 64, 262144, 1 << 20, 1 << 31, 2**32 - 1])
    major = 2 if rng.randrange(20) else 1
    data = struct.pack(order + "IHHiIII", magic, major, 4, 0, 0, snaplen, number(rng, 32))
    for _ in range(rng.randrange(8)):
        frame = rng.randbytes(rng.randrange(40))
        wirelen = rng.choice([len(frame), len(frame), number(rng, 32)])
        data += struct.pack(order + "II", number(rng, 32), number(rng, 32))
        data += struct.pack(order + "II", len(frame), wirelen)
        data += bytes(8 if magic == 0xA1B2CD34 else 0) + frame
    return data


def random_pcapng(rng: random.Random) -> bytes:
    data = b""
    for _ in range(rng.randint(1, 3)):
        order = rng.choice("<>")
        major = 1 if rng.randrange(20) else 2
        data += block(order, SHB, struct.pack(order + "IHHq", 0x1A2B3C4D, major, 0, -1), rng)
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            data += random_interface(rng, order)
        for _ in range(rng.randrange(8)):
            data += random_block(rng, order)
    return data


def random_interface(rng: random.Random, order: str) -> bytes:
    snaplen = rng.choice([0, 0, 5, 65535])
    body = struct.pack(order + "HHI", rng.choice(LINKS), 0, snaplen)
    for _ in range(rng.randrange(4)):
        code = rng.choice([0, 2, 9, 9, 14])
        value = rng.randbytes(rng.randrange(9))
        if code == 9:
            value = bytes([rng.choice([0, 3, 6, 9, 10, 12, 28, 29, 127, rng.randrange(256)])])
        if code == 14:
            value = struct.pack(order + "q", rng.choice([1, -1]) * number(rng, 63))
        length = len(value) if rng.randrange(8) else rng.choice([len(value) + 1, 65535])
        body += struct.pack(order + "HH", code, length) + value + bytes(-len(value) % 4)
    return block(order, IDB, body, rng)


def random_block(rng: random.Random, order: str) -> bytes:
    frame = rng.randbytes(rng.randrange(20))
    interface = rng.choice([0, 0, 0, 1, 2, 65536])
    caplen = len(frame) if rng.randrange(8) else rng.choice([0, len(frame) + 4, 2**32 - 1])
    wirelen = rng.choice([len(frame), len(frame), number(rng, 32)])
    time = struct.pack(order + "II", number(rng, 32), number(rng, 32))
    lengths = struct.pack(order + "II", caplen, wirelen)
    kind = rng.choice([EPB, EPB, EPB, SPB, PB, IDB, 4, 5, 0x0BAD])
    if kind == IDB:
        return random_interface(rng, order)
    if kind == EPB:
        body = struct.pack(order + "I", interface) + time + lengths + frame
    elif kind == PB:
        drops = number(rng, 16)
        body = struct.pack(order + "HH", interface & 0xFFFF, drops) + time + lengths + frame
    elif kind == SPB:
        body = struct.pack(order + "I", rng.choice([caplen, wirelen])) + frame
    else:
        body = frame
    return block(order, kind, body if rng.randrange(20) else body[:4], rng)


def block(order: str, kind: int, body: bytes, rng: random.Random) -> bytes:
    body += bytes(-len(body) % 4)
    total = len(body) + 12
    again = total if rng.randrange(20) else number(rng, 32)
    head = struct.pack(order + "II", kind, total)
    return head + body + struct.pack(order + "I", again)


def harm(data: bytes, rng: random.Random) -> bytes:
    """Change some bytes, or cut the end off, or a piece out."""
    changed = bytearray(data)
    for _ in range(rng.choice([0, 0, 1, 2])):
        changed[rng.randrange(len(changed))] = rng.choice([0, 1, 255, rng.randrange(256)])
    if rng.randrange(3) == 0:
        at = rng.randrange(len(changed))
        del changed[at : at + rng.choice([1, 4, 32, len(changed)])]
    return bytes(changed)


def random_cut(rng: random.Random) -> tuple[list[int], int, int]:
    """Sizes of the input's pieces, packets in a batch, bytes in a batch."""
    sizes = [rng.choice([0, 1, 7, 60, 1000]) for _ in range(rng.randrange(5))]
    return [*sizes, 33], rng.choice([1, 2, 5, 100]), rng.choice([1, 30, 100, 1000])


seeds = st.integers(0, 2**64 - 1)
FILES_A_TRY = 20


@pytest.mark.property
@pytest.mark.parametrize("make", [random_pcap, random_pcapng])
@given(seed=seeds)
def test_files(make: Callable[[random.Random], bytes], seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(FILES_A_TRY):
        data = make(rng)
        assert_same(data, *random_cut(rng))
        assert_same(harm(data, rng), *random_cut(rng))


STARTS = [
    b"",
    struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1),
    struct.pack("<IIIHHqI", SHB, 28, 0x1A2B3C4D, 1, 0, -1, 28),
    b"\x1f\x8b\x08\x00",
    b"\x28\xb5\x2f\xfd",
    b"\x50\x2a\x4d\x18",
]


@pytest.mark.property
@given(st.sampled_from(STARTS), st.binary(max_size=300), seeds)
def test_any_bytes(start: bytes, rest: bytes, seed: int) -> None:
    data, cut = start + rest, random_cut(random.Random(seed))
    if codec_of(data[:4]):
        read_all(data, *cut)
    else:
        assert_same(data, *cut)


@pytest.mark.property
@pytest.mark.parametrize("press", [gzip.compress, zstandard.compress])
@given(seed=seeds)
def test_compressed(press: Callable[[bytes], bytes], seed: int) -> None:
    """As uncompressed, in one member or two; with a byte changed or the end gone, a beginning."""
    rng = random.Random(seed)
    data = rng.choice([random_pcap, random_pcapng])(rng)
    at = rng.randrange(len(data))
    want = read_all(data, [1 << 20])
    pressed = rng.choice([press(data), press(data[:at]) + press(data[at:])])
    found = read_all(pressed, *random_cut(rng))
    assert found.packets == want.packets
    assert found.state.problems == want.state.problems
    at = rng.randrange(4, len(pressed))
    short = read_all(pressed[:at], *random_cut(rng))
    assert short.packets == want.packets[: len(short.packets)]
    assert short.state.damaged > 0
    wrong = read_all(pressed[:at] + rng.randbytes(1) + pressed[at + 1 :], *random_cut(rng))
    assert wrong.packets[: len(short.packets)] == short.packets
