"""Where the parts of a capture file are: what a mutation needs to know to hit something.

Plain Python and forgiving: what cannot be understood is one record as it is.
"""

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path

import zstandard

PCAP_HEADER, PCAP_RECORD = 24, 16
PCAP_MAGICS = {
    bytes.fromhex("d4c3b2a1"): "<",
    bytes.fromhex("4d3cb2a1"): "<",
    bytes.fromhex("a1b2c3d4"): ">",
    bytes.fromhex("a1b23c4d"): ">",
}
PCAPNG_MAGIC = bytes.fromhex("0a0d0d0a")
SECTION, INTERFACE, ENHANCED = 0x0A0D0D0A, 1, 6
GZIP_MAGIC, ZSTD_MAGIC = b"\x1f\x8b", bytes.fromhex("28b52ffd")
BIGGEST = 1 << 22  # bytes of a corpus file that are looked at, decompressed


@dataclass
class Capture:
    """A capture file in pieces; joined they are the file."""

    kind: str  # pcap, pcapng, or "" for anything else
    order: str  # of struct
    head: bytearray  # what the records need before them: file header, or section and interfaces
    records: list[bytes]  # a packet record or a block each, with its header
    frame_at: int  # where in a record of a packet the frame begins

    def join(self) -> bytes:
        return bytes(self.head) + b"".join(self.records)


def load(path: Path) -> Capture:
    """Read a corpus file, decompressed when it is compressed."""
    with path.open("rb") as file:
        data = file.read(BIGGEST)
    return parse(expand(data))


def expand(data: bytes) -> bytes:
    """Decompressed, or as it is when that fails."""
    try:
        if data[:2] == GZIP_MAGIC:
            return gzip.decompress(data)[:BIGGEST]
        if data[:4] == ZSTD_MAGIC:
            return zstandard.ZstdDecompressor().decompressobj().decompress(data)[:BIGGEST]
    except (OSError, EOFError, zstandard.ZstdError):
        pass
    return data


def parse(data: bytes) -> Capture:
    """Cut a file into its records; damaged rests are records too."""
    if data[:4] in PCAP_MAGICS and len(data) >= PCAP_HEADER:
        return parse_pcap(data, PCAP_MAGICS[data[:4]])
    if data[:4] == PCAPNG_MAGIC and len(data) >= 12:
        return parse_pcapng(data, ">" if data[8:12] == b"\x1a\x2b\x3c\x4d" else "<")
    return Capture("", "<", bytearray(), [data], 0)


def parse_pcap(data: bytes, order: str) -> Capture:
    records, at = [], PCAP_HEADER
    while at + PCAP_RECORD <= len(data):
        end = at + PCAP_RECORD + struct.unpack_from(order + "I", data, at + 8)[0]
        if end > len(data):
            break
        records.append(data[at:end])
        at = end
    rest = [data[at:]] if at < len(data) else []
    return Capture("pcap", order, bytearray(data[:PCAP_HEADER]), records + rest, PCAP_RECORD)


def parse_pcapng(data: bytes, order: str) -> Capture:
    blocks, at = [], 0
    while at + 12 <= len(data):
        size = struct.unpack_from(order + "I", data, at + 4)[0]
        if size < 12 or at + size > len(data):
            break
        blocks.append(data[at : at + size])
        at += size
    heads = 0
    while heads < len(blocks) and block_type(blocks[heads], order) in (SECTION, INTERFACE):
        heads += 1
    rest = [data[at:]] if at < len(data) else []
    head = bytearray(b"".join(blocks[:heads]))
    return Capture("pcapng", order, head, blocks[heads:] + rest, 28)


def block_type(block: bytes, order: str) -> int:
    return int(struct.unpack_from(order + "I", block)[0])
