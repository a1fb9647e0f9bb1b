"""gzip and zstd inputs: several members, padding, cut, damaged, bombs; how they are told apart."""

import gzip
import random
import zlib
from collections.abc import Callable

import pytest
import zstandard

from services.capture.compressed import CHUNK_BYTES, Decompressed, Gzip, Zstd, codec_of
from tests.builders import pcap_bytes, pcapng_bytes
from tests.captures import Pieces, read_all

RECORDS = [(n * 1000, bytes([n % 256]) * (n % 90)) for n in range(400)]
CAPTURE = pcap_bytes(RECORDS)
WHOLE = read_all(CAPTURE).packets
SKIPPABLE = b"\x53\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"

Press = Callable[[bytes], bytes]


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


both = pytest.mark.parametrize("press", [gzip.compress, zstd])


@both
@pytest.mark.parametrize("sizes", [[1 << 20], [1], [7, 0, 1000]])
def test_packets_are_those_of_the_plain_file(press: Press, sizes: list[int]) -> None:
    pressed = press(CAPTURE)
    found = read_all(pressed, sizes, batch_bytes=5000)
    assert found.packets == WHOLE
    assert (found.state.damaged, found.state.status) == (0, "done")
    assert (found.state.position, found.state.size) == (len(pressed), len(pressed))


@both
def test_the_format_is_told_with_its_compression(press: Press) -> None:
    name = "zstd" if press is zstd else "gzip"
    assert read_all(press(CAPTURE)).state.format == f"pcap, {name}"
    assert read_all(press(pcapng_bytes(RECORDS))).state.format == f"pcapng, {name}"


@both
def test_members_one_after_the_other(press: Press) -> None:
    pieces = [press(CAPTURE[at : at + 999]) for at in range(0, len(CAPTURE), 999)]
    for sizes in ([1 << 20], [1], [50, 0]):
        assert read_all(b"".join([press(b""), *pieces, press(b"")]), sizes).packets == WHOLE


def test_zeros_behind_gzip_are_padding() -> None:
    found = read_all(gzip.compress(CAPTURE) + bytes(1000), [100])
    assert (found.packets, found.state.damaged) == (WHOLE, 0)


def test_something_else_behind_gzip_is_told() -> None:
    found = read_all(gzip.compress(CAPTURE) + b"\0\0tail")
    assert found.packets == WHOLE
    assert [(p.offset, p.reason) for p in found.state.problems] == [
        (len(CAPTURE), "something else follows the gzip data; it is not read")
    ]


def test_skippable_frames_are_skipped() -> None:
    for pressed in (SKIPPABLE + zstd(CAPTURE), zstd(CAPTURE) + SKIPPABLE):
        for sizes in ([1 << 20], [3]):
            found = read_all(pressed, sizes)
            assert (found.packets, found.state.damaged) == (WHOLE, 0)


@both
def test_cut_short(press: Press) -> None:
    """Everything that can be decompressed is given; then it is told, once."""
    pressed, before = press(CAPTURE), 0
    for size in range(8, len(pressed), 11):
        found = read_all(pressed[:size])
        assert found.packets == WHOLE[: len(found.packets)]
        assert len(found.packets) >= before
        before = len(found.packets)
        [problem] = found.state.problems
        assert problem.reason.endswith("data is cut short")
    assert before > len(WHOLE) * 3 // 4 or press is zstd  # one zstd block is all or nothing


def test_damaged_gzip_gives_all_that_comes_before() -> None:
    """Not only what earlier calls of zlib gave: the bytes up to the wrong one."""
    pressed = bytearray(gzip.compress(CAPTURE, 9))
    at = len(pressed) // 2
    pressed[at : at + 40] = b"\xff" * 40
    found = read_all(bytes(pressed))
    intact = zlib.decompressobj(31).decompress(bytes(pressed[:at]))
    assert len(found.packets) >= len(read_all(intact).packets) > 50
    [problem] = found.state.problems
    assert problem.offset >= len(intact)
    assert problem.reason.startswith("the gzip data is damaged (")


@both
@pytest.mark.parametrize("sizes", [[1 << 20], [100]])
def test_a_wrong_checksum_loses_nothing(press: Press, sizes: list[int]) -> None:
    wrong = bytearray(press(CAPTURE))
    wrong[-5 if press is gzip.compress else -1] ^= 1
    found = read_all(bytes(wrong), sizes)
    assert found.packets == WHOLE
    [problem] = found.state.problems
    assert "data is damaged (" in problem.reason


@pytest.mark.parametrize("at", [200_000, 900_000])
def test_damaged_zstd_gives_the_blocks_before(at: int) -> None:
    """Of a long frame too, where the place cannot be found to the byte."""
    noise = random.Random(1)
    frames = [noise.randbytes(1000) for _ in range(1000)]
    pressed = zstd(pcap_bytes(enumerate(frames)))
    found = read_all(pressed[:at] + b"\xff" * 1000 + pressed[at + 1000 :])
    assert found.state.damaged == 1
    whole = [packet.data for packet in found.packets]
    before = at // 1016 - 1  # blocks of noise are stored as they are
    assert whole[:before] == frames[:before][: len(whole)]
    assert len(whole) > before - 140


def test_a_damaged_first_byte_is_a_failure() -> None:
    found = read_all(b"\x1f\x8b\x08\x00" + b"\xff" * 30)
    assert found.state.status == "failed"


@both
def test_compressed_twice(press: Press) -> None:
    found = read_all(press(gzip.compress(CAPTURE)))
    assert found.state.problems[0].reason.startswith("is compressed twice")
    assert found.state.status == "failed"


@both
def test_compressed_nothing(press: Press) -> None:
    assert read_all(press(b"")).state.problems[0].reason == ("is empty; not a pcap or pcapng file")


@both
def test_a_bomb_is_a_long_input(press: Press) -> None:
    """Memory stays bounded: what comes out at once is never more than asked for and 32 MiB."""
    size = 1 << 27
    stored = Pieces(press(bytes(size)), [1 << 30])
    codec = codec_of(stored.data)
    assert codec is not None
    most = 0
    decode = codec.decode

    def watched(data: memoryview, room: int) -> tuple[bytes, int]:
        nonlocal most
        out, used = decode(data, room)
        most = max(most, len(out))
        return out, used

    codec.decode = watched  # type: ignore[method-assign]
    unpacked, buffer, total = Decompressed(stored, codec, b""), bytearray(1 << 20), 0
    while got := unpacked.readinto(memoryview(buffer)):
        total += got
    assert (total, unpacked.problem) == (size, "")
    assert most <= 1 << 25


def test_a_window_too_large_is_refused() -> None:
    settings = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    stream = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    found = read_all(stream.compress(CAPTURE) + stream.flush())
    assert "too much memory" in found.state.problems[0].reason
    assert found.state.status == "failed"


def test_endless_empty_members_do_not_hold_a_read_up() -> None:
    """One call looks at a bounded piece of them, then says that nothing has come yet."""
    stored = Pieces(gzip.compress(b"") * (1 << 19), [1 << 20])
    unpacked = Decompressed(stored, Gzip(), b"")
    assert unpacked.readinto(memoryview(bytearray(100))) is None
    assert 0 < stored.position < stored.size // 2
    assert read_all(stored.data + gzip.compress(CAPTURE)).packets == WHOLE


def test_little_arrives_and_is_given_at_once() -> None:
    """A slow pipe: what has come is not kept back until a buffer is full."""
    pressed = gzip.compress(CAPTURE)
    stored = Pieces(pressed, [len(pressed) // 2])
    unpacked = Decompressed(stored, Gzip(), b"")
    got = unpacked.readinto(memoryview(bytearray(1 << 20)))
    assert got
    assert stored.turn == 1
    assert len(pressed) < CHUNK_BYTES


def test_codecs_are_told_by_magic() -> None:
    assert isinstance(codec_of(b"\x1f\x8b\x08\x08"), Gzip)
    assert isinstance(codec_of(b"\x28\xb5\x2f\xfd"), Zstd)
    assert isinstance(codec_of(SKIPPABLE[:4]), Zstd)
    assert codec_of(b"\xd4\xc3\xb2\xa1") is None
    assert codec_of(b"") is None
