"""Ten GiB of zeros in ten MiB or less: blocks, members and frames, packed once and repeated."""

import zlib

import brotli

ZEROS = 10 << 30
PIECE = 64 << 20  # packed once
GZIP_HEAD = bytes.fromhex("1f8b0800000000000003")
END_OF_DEFLATE = b"\x03\x00"  # an empty final block
ZSTD_HEAD = bytes.fromhex("28b52ffd0058")  # no single segment; a window of 2 MiB
ZSTD_BLOCK_BYTES = 1 << 17
RLE = 1 << 1


def deflate() -> bytes:
    """One stream; each block begins anew (RFC 1951)."""
    packer = zlib.compressobj(9, wbits=-15)
    blocks = packer.compress(bytes(PIECE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return blocks * (ZEROS // PIECE) + END_OF_DEFLATE


def gzip() -> bytes:
    """One member (RFC 1952). Nobody gets as far as the sum that it ends with."""
    return GZIP_HEAD + deflate() + bytes(8)


def gzip_members() -> bytes:
    """Whole members in a row."""
    packer = zlib.compressobj(9, wbits=31)
    return (packer.compress(bytes(PIECE)) + packer.flush()) * (ZEROS // PIECE)


def brotli_stream() -> bytes:
    """Meta-blocks behind the first, which has the window's size, begin anew (RFC 7932)."""
    packer = brotli.Compressor(quality=5)
    first, second = (packer.process(bytes(PIECE)) + packer.flush() for _ in range(2))
    assert brotli.Decompressor().process(first + second * 3) == bytes(4 * PIECE)
    return bytes(first + second * (ZEROS // PIECE - 1) + packer.finish())


def zstd() -> bytes:
    """One frame of blocks that say an octet and how often (RFC 8878, 3.1.1.2)."""
    block = (ZSTD_BLOCK_BYTES << 3 | RLE).to_bytes(3, "little") + b"\0"
    last = (RLE | 1).to_bytes(3, "little") + b"\0"
    return ZSTD_HEAD + block * (ZEROS // ZSTD_BLOCK_BYTES) + last


def zstd_frames() -> bytes:
    """Frames in a row."""
    block = (ZSTD_BLOCK_BYTES << 3 | RLE | 1).to_bytes(3, "little") + b"\0"
    return (ZSTD_HEAD + block) * (ZEROS // ZSTD_BLOCK_BYTES)


def chunked(body: bytes) -> bytes:
    """In chunks, as HTTP sends them (RFC 9112, 7.1)."""
    size = 1 << 16
    parts = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
