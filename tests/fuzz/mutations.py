"""What can be done to a capture: each function changes one in place, as chance decides.

Some keep the file well-formed, so that the damage reaches the layers above it; some do not care.
"""

import gzip
import random
import struct
from collections.abc import Callable, Sequence

import zstandard

from tests.fuzz.anatomy import Capture

HEADERS = 80  # bytes of a frame in which its headers most likely are
WORDS = (0, 1, 2, 3, 4, 7, 8, 15, 16, 19, 20, 27, 28, 39, 40, 41, 63, 64, 127, 128, 255, 256, 1499,
         1500, 4095, 8191, 8192, 16383, 32767, 32768, 65515, 65527, 65534, 65535)  # fmt: skip
LONGS = (0, 1, 11, 12, 16, 65535, 65536, 262143, 262144, 262145, 1 << 20, (1 << 26) - 1, 1 << 26,
         (1 << 31) - 1, 1 << 31, (1 << 32) - 1)  # fmt: skip
STEPS = (1, 2, 100, 536, 1448, 1460, 4096, 65535, 65536, 1 << 20, 1 << 29, 1 << 30, 1 << 31)
# Fields of a packet record that hold a length, a time or a number: (offset, bytes)
FIELDS = {
    "pcap": ((8, 4), (8, 4), (12, 4), (0, 4), (4, 4)),
    "pcapng": ((4, 4), (20, 4), (20, 4), (24, 4), (0, 4), (8, 4), (12, 4), (16, 4)),
    "": ((0, 4), (4, 4)),
}
MOST_RECORDS = 400  # of one mutated capture

Mutation = Callable[[Capture, random.Random, Sequence[Capture]], None]


def pick(capture: Capture, chance: random.Random) -> int:
    return chance.randrange(len(capture.records))


def edit(capture: Capture, index: int, at: int, new: bytes) -> None:
    """Overwrite part of a record, as far as it reaches."""
    old = capture.records[index]
    capture.records[index] = (old[:at] + new + old[at + len(new) :])[: len(old)]


def place(capture: Capture, index: int, chance: random.Random, width: int) -> int:
    """Somewhere in the frame of a record, mostly in its headers."""
    size = len(capture.records[index])
    low = min(capture.frame_at, max(0, size - 1))
    high = size if chance.random() < 0.2 else min(size, low + HEADERS)
    return chance.randrange(low, max(low + 1, high - width + 1))


# ------------------------------------------------------------------------------------- bytes
def flip_bits(capture: Capture, chance: random.Random, others: Sequence[Capture]) -> None:
    """One to eight bits of one frame."""
    index = pick(capture, chance)
    for _ in range(chance.randint(1, 8)):
        if capture.records[index]:
            at = place(capture, index, chance, 1)
            bit = capture.records[index][at] ^ 1 << chance.randrange(8)
            edit(capture, index, at, bytes([bit]))


def set_byte(capture: Capture, chance: random.Random, others: Sequence[Capture]) -> None:
    index = pick(capture, chance)
    value = chance.choice((0, 1, 4, 5, 6, 17, 41, 44, 47, 0x45, 0x60, 0x7F, 0x80, 0xFF))
    edit(capture, index, place(capture, index, chance, 1), bytes([value]))


def set_word(capture: Capture, chance: random.Random, others: Sequence[Capture]) -> None:
    """A 16-bit field of a header: a length, an offset, a port."""
    index = pick(capture, chance)
    value = chance.choice(WORDS) if chance.random() < 0.8 else chance.randrange(65536)
    edit(capture, index, place(capture, index, chance, 2) & ~1, value.to_bytes(2, "big"))


def step_long(capture: Capture, chance: random.Random, others: Sequence[Capture]) -> None:
    """Move a 32-bit field: a sequence number, an acknowledgement, an address."""
    index = pick(capture, chance)
    at = place(capture, index, chance, 4) & ~1
    old = int.from_bytes(capture.records[index][at : at + 4], "big")
    new = old + chance.choice((-1, 1)) * chance.choice(STEPS) & 0xFFFFFFFF
    edit(capture, index, at, new.to_bytes(4, "big"))


def transplant(capture: Capture, chance: random.Random, others: Sequence[Capture]) -> None:
    """Copy a part of one frame into another: addresses and ports that meet, sequence numbers."""
    source, target = pick(capture, chance), pick(capture, chance)
    at = place(capture, source, chance, 12) & ~1
    size = chance.choice((2, 4, 8, 12, 20, 54))
    edit(capture, target, at, capture.records[source][at : at + size])


# ------------------------------------------------------------------------------ file structure
def set_field(capture: Capture, chance: random.Random, others: Sequence[Capture]) -> None:
    """A length, time or type in a record's header."""
    index = pick(capture, chance)
    at, width = chance.choice(FIELDS[capture.kind])
    if len(capture.records[index]) < at + width:
        return
    old = struct.unpack_from(capture.order + "I", capture.records[index], at)[0]
    new = chance.choice(LONGS) if chance.random() < 0.6 else old + chance.randint(-40, 40)
    edit(capture, index, at, struct.pack(capture.order + "I", new & 0xFFFFFFFF))


def damage_head(capture: Capture, chance: random.Random, others: Sequence[Capture]) -> None:
    """The file header, or the section and interface blocks."""
    if not capture.head:
        return
    at = chance.randrange(len(capture.head))
    if chance.random() < 0.5:
        capture.head[at] ^= 1 << chance.randrange(8)
    else:
        at &= ~3
        capture.head[at : at + 4] = struct.pack(capture.order + "I", chance.choice(LONGS))


def link_type(capture: Capture, chance: random.Random, others: Sequence[Capture]) -> None:
    """Read the frames as another link type's."""
    link = chance.choice((0, 1, 9, 12, 14, 50, 51, 101, 104, 105, 108, 113, 228, 229, 239, 276))
    if capture.kind == "pcap":
        capture.head[20:24] = struct.pack(capture.order + "I", link)
    elif capture.kind == "pcapng" and len(capture.head) >= 48:
        capture.head[36:38] = struct.pack(capture.order + "H", link)


def truncate(capture: Capture, chance: random.Random, others: Sequence[Capture]) -> None:
    """The file ends anywhere."""
    index = pick(capture, chance)
    keep = chance.randrange(len(capture.records[index]) + 1)
    capture.records[index:] = [capture.records[index][:keep]]


def cut_frame(capture: Capture, chance: random.Random, others: Sequence[Capture]) -> None:
    """Some frames captured only in part, in a file that says so: a snap length."""
    if capture.kind != "pcap":
        return
    snaplen = chance.choice((0, 1, 13, 14, 20, 33, 34, 40, 53, 54, 60, 68, 96, 128))
    for index in range(pick(capture, chance), min(len(capture.records), MOST_RECORDS)):
        record = capture.records[index]
        if len(record) > 16 + snaplen and chance.random() < 0.7:
            size = struct.pack(capture.order + "I", snaplen)
            capture.records[index] = record[:8] + size + record[12 : 16 + snaplen]


# ------------------------------------------------------------------------------------ records
def duplicate(capture: Capture, chance: random.Random, others: Sequence[Capture]) -> None:
    """The same records again, here or elsewhere."""
    first = pick(capture, chance)
    run = capture.records[first : first + chance.randint(1, 8)]
    at = first if chance.random() < 0.5 else pick(capture, chance)
    capture.records[at:at] = run * chance.choice((1, 1, 1, 2, 20))


def drop(capture: Capture, chance: random.Random, others: Sequence[Capture]) -> None:
    first = pick(capture, chance)
    del capture.records[first : first + chance.choice((1, 1, 1, 2, 5, 20))]


def reorder(capture: Capture, chance: random.Random, others: Sequence[Capture]) -> None:
    """Swap two records, or shuffle a run of them."""
    first = pick(capture, chance)
    if chance.random() < 0.5:
        other, records = pick(capture, chance), capture.records
        records[first], records[other] = records[other], records[first]
    else:
        run = capture.records[first : first + chance.choice((3, 10, 100))]
        chance.shuffle(run)
        capture.records[first : first + len(run)] = run


def splice(capture: Capture, chance: random.Random, others: Sequence[Capture]) -> None:
    """Records of another capture in between."""
    other = chance.choice(others)
    if not other.records:
        return
    first = pick(other, chance)
    run = other.records[first : first + chance.choice((1, 3, 10, 40))]
    if other.kind == "pcapng" and capture.kind == "pcapng" and chance.random() < 0.5:
        run = [bytes(other.head), *run]
    at = pick(capture, chance)
    if chance.random() < 0.5:
        capture.records[at:at] = run
    else:  # one by one, so that the streams are interleaved
        for step, record in enumerate(run):
            capture.records.insert(at + 2 * step, record)


def graft(capture: Capture, chance: random.Random, others: Sequence[Capture]) -> None:
    """The payload, or all from some byte on, of one frame behind the beginning of another."""
    source, target = pick(capture, chance), pick(capture, chance)
    at = place(capture, target, chance, 1)
    new = capture.records[target][:at] + capture.records[source][at:]
    if capture.kind == "pcap" and len(new) >= 16:
        size = struct.pack(capture.order + "I", len(new) - 16)
        new = new[:8] + size * 2 + new[16:]
    capture.records[target] = new


def time_warp(capture: Capture, chance: random.Random, others: Sequence[Capture]) -> None:
    """Packet times that jump, run backwards or stand still, from some record on."""
    first = pick(capture, chance)
    shift = chance.choice((-(1 << 31), -3600, -1, 0, 1, 61, 121, 3600, 1 << 30, 1 << 31))
    at = {"pcap": 0, "pcapng": 16}.get(capture.kind, 0)
    spread = chance.choice((0, 0, 1, 200))
    for index in range(first, min(len(capture.records), first + MOST_RECORDS)):
        if len(capture.records[index]) >= at + 4:
            old = struct.unpack_from(capture.order + "I", capture.records[index], at)[0]
            new = old + shift + chance.randint(-spread, spread) & 0xFFFFFFFF
            edit(capture, index, at, struct.pack(capture.order + "I", new))


# many of these can meet in one capture; after most of them the packets still reach the shards
MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, flip_bits, set_byte, set_byte, set_word, set_word, step_long, step_long, transplant,
    transplant, cut_frame, duplicate, drop, reorder, reorder, splice, splice, graft, time_warp,
)  # fmt: skip
# and these spoil the whole of it: one at most
FILE_MUTATIONS: tuple[Mutation, ...] = (
    set_field, set_field, set_field, truncate, truncate, damage_head, link_type,
)  # fmt: skip


def damage_bytes(data: bytes, chance: random.Random) -> bytes:
    """The file as bytes: overwrite, remove, repeat or insert some, anywhere."""
    if not data:
        return data
    at = chance.randrange(len(data))
    size = chance.choice((1, 2, 4, 16, 100))
    middle = chance.choice(
        (b"", data[at : at + size] * 2, chance.randbytes(size), bytes(size), b"\xff" * size)
    )
    return data[:at] + middle + data[at + size :]


def compress(data: bytes, chance: random.Random) -> bytes:
    """A compressed file, sometimes of several members."""
    cut = chance.randrange(len(data) + 1) if chance.random() < 0.5 else len(data)
    parts = [part for part in (data[:cut], data[cut:]) if part]
    if chance.random() < 0.5:
        return b"".join(gzip.compress(part, 1, mtime=0) for part in parts)
    packer = zstandard.ZstdCompressor(level=1)
    return b"".join(packer.compress(part) for part in parts)
