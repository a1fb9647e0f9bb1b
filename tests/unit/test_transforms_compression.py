"""gzip, deflate, brotli, zstd: round trips, cuts, damage, bombs."""

import gzip
import random
import time
import zlib
from collections.abc import Callable, Iterator

import brotli
import pytest
import zstandard

from services.api.transforms import Transformed, transform

LIMIT = 1 << 20
RAW = random.Random(1).randbytes(3000) + b"the same words again and again; " * 200


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


def zstd(data: bytes) -> bytes:
    """Blocks of 500 octets: what is cut off costs no more."""
    packer = zstandard.ZstdCompressor().compressobj()
    blocks = (data[at : at + 500] for at in range(0, len(data), 500))
    block = zstandard.COMPRESSOBJ_FLUSH_BLOCK
    return b"".join(packer.compress(one) + packer.flush(block) for one in blocks) + packer.flush()


FORMATS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("brotli", brotli.compress),
    ("zstd", zstd),
]
each_format = pytest.mark.parametrize(("name", "compress"), FORMATS)


def run(name: str, data: bytes, limit: int = LIMIT) -> Transformed:
    found = transform([name], data, limit)
    assert len(found.data) <= limit
    assert [step.name for step in found.steps] == [name]
    return found


@each_format
@pytest.mark.parametrize("raw", [RAW, b"", b"x", bytes(100_000)], ids=["mixed", "empty", "x", "0"])
def test_round_trips(name: str, compress: Callable[[bytes], bytes], raw: bytes) -> None:
    found = run(name, compress(raw))
    assert found.data == raw
    assert found.steps[0].status == "applied"
    assert not found.truncated_by_limit


@each_format
def test_a_cut_at_every_octet_leaves_a_prefix(
    name: str, compress: Callable[[bytes], bytes]
) -> None:
    packed = compress(RAW)
    decoded = 0
    for size in range(1, len(packed)):
        found = run(name, packed[:size])
        status = found.steps[0].status
        if status == "failed":
            assert found.data == packed[:size]
        else:
            assert status == "partial", size
            assert RAW.startswith(found.data)
            decoded += len(found.data) > 1000
    assert decoded


@each_format
def test_damage_leaves_what_came_before_it(name: str, compress: Callable[[bytes], bytes]) -> None:
    packed = compress(random.Random(2).randbytes(200_000))
    for at in range(0, len(packed), 9973):
        damaged = packed[:at] + bytes(50) + packed[at + 50 :]
        run(name, damaged)
    found = run("gzip", gzip.compress(RAW)[:-8] + bytes(8))  # the checksum is wrong
    assert (found.data, found.steps[0].status) == (RAW, "partial")


@each_format
def test_octets_behind_the_end_are_told(name: str, compress: Callable[[bytes], bytes]) -> None:
    found = run(name, compress(RAW) + b"more")
    assert found.data == RAW
    assert found.steps[0].note.endswith("4 bytes follow the end")


@each_format
@pytest.mark.parametrize("limit", [0, 1, 2999, len(RAW) - 1])
def test_the_limit(name: str, compress: Callable[[bytes], bytes], limit: int) -> None:
    found = run(name, compress(RAW), limit)
    assert found.data == RAW[:limit]
    assert found.truncated_by_limit
    assert found.steps[0].status == "partial"
    assert not run(name, compress(RAW), len(RAW)).truncated_by_limit


@pytest.mark.parametrize("name", ["gzip", "brotli", "zstd"])
def test_what_is_not_of_the_format_stays(name: str) -> None:
    found = run(name, b"plain text, no format at all")
    assert (found.data, found.steps[0].status) == (b"plain text, no format at all", "failed")


def test_several_members() -> None:
    assert run("gzip", gzip.compress(b"a") + gzip.compress(b"") + gzip.compress(b"c")).data == b"ac"
    skipped = b"\x50\x2a\x4d\x18\x03\0\0\0abc"
    assert run("zstd", skipped + zstd(b"a") + skipped + zstd(b"c") + skipped).data == b"ac"


def zeros(mebibytes: int) -> Iterator[bytes]:
    piece = bytes(1 << 20)
    return (piece for _ in range(mebibytes))


def bomb(name: str) -> bytes:
    """Some hundred MiB of zeros."""
    if name == "brotli":
        engine = brotli.Compressor(quality=1)
        return b"".join(map(engine.process, zeros(300))) + bytes(engine.finish())
    if name == "zstd":
        packer = zstandard.ZstdCompressor().compressobj()
        return b"".join(map(packer.compress, zeros(300))) + packer.flush()
    deflater = zlib.compressobj(9, wbits=31 if name == "gzip" else 15)
    return b"".join(map(deflater.compress, zeros(300))) + deflater.flush()


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.parametrize("name", ["gzip", "deflate", "brotli", "zstd"])
def test_bombs(name: str) -> None:
    packed = bomb(name)
    before, began = resident_bytes(), time.process_time()
    found = run(name, packed)
    assert time.process_time() - began < 0.5
    assert resident_bytes() - before < 16 << 20
    assert found.truncated_by_limit
    assert found.data == bytes(LIMIT)


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("gzip", gzip.compress(b"") * 100_000),
        ("zstd", zstd(b"") * 100_000),
        ("deflate", b"\x03\x00" * 1_000_000),
        ("deflate", b"\x00\x00\x00\xff\xff" * 1_000_000),
        ("brotli", b"\x06" + b"\x00" * 1_000_000),
    ],
)
def test_much_input_for_nothing(name: str, packed: bytes) -> None:
    began = time.process_time()
    run(name, packed)
    assert time.process_time() - began < 1
