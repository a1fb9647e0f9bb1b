"""Captures that are built for a measurement: TCP streams of which everything is known."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEAD = struct.Struct("<IHHiIII")
AT_ONCE = 1000  # streams that are open at a time
FLAG_BYTES, LETTERS = 31, np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", np.uint8)
FLAG = r"flag\{[A-Z0-9]{31}\}"
TEXT = (
    b"GET /notes?id=4711 HTTP/1.1\r\nHost: notes\r\nCookie: session=abcdef\r\n\r\n<p>some words</p>"
)


def write_streams(path: Path, said: NDArray[np.uint8]) -> None:
    """A capture of 100 s. said: (streams, packets of each, bytes of each), by clients."""
    streams, pieces, length = said.shape
    count, size = streams * pieces, 14 + 20 + 20 + length
    numbers = np.arange(count, dtype=np.uint32)
    group = numbers // (AT_ONCE * pieces) * AT_ONCE
    many = np.minimum(AT_ONCE, streams - group)
    within = numbers - group * pieces
    stream, piece = group + within % many, within // many
    frame = np.zeros((count, 16 + size), np.uint8)
    times_us = numbers.astype(np.uint64) * 100_000_000 // count
    frame[:, 0:4] = octets((1_700_000_000 + times_us // 1_000_000).astype("<u4"), 4)
    frame[:, 4:8] = octets((times_us % 1_000_000).astype("<u4"), 4)
    frame[:, 8:16] = np.frombuffer(np.full(2, size, "<u4").tobytes(), np.uint8)
    frame[:, 28:30] = 8, 0  # IPv4
    total = (size - 14).to_bytes(2, "big")
    frame[:, 30:42] = np.frombuffer(b"\x45\0" + total + bytes([0, 0, 64, 0, 64, 6, 0, 0]), np.uint8)
    frame[:, 42:46] = octets((0x0A000000 + stream % 200_000).astype(">u4"), 4)
    frame[:, 46:50] = 10, 200, 0, 1
    frame[:, 50:52] = octets((20_000 + stream // 200_000).astype(">u2"), 2)
    frame[:, 52:54] = 31, 144  # port 8080
    frame[:, 54:58] = octets((1000 + piece * length).astype(">u4"), 4)
    frame[:, 62:64] = 0x50, 0x18  # header of 20 bytes; ACK, PSH
    frame[:, 64] = 255
    frame[:, 70:] = said[stream, piece]
    path.write_bytes(HEAD.pack(0xA1B2C3D4, 2, 4, 0, 0, 262144, 1) + frame.tobytes())


def octets(values: NDArray[Any], width: int) -> NDArray[np.uint8]:
    return np.frombuffer(values.tobytes(), np.uint8).reshape(-1, width)


def write_flags(path: Path, streams: int, every: int = 10) -> int:
    """A capture of text in which every so many streams have a flag, anywhere, also across the edge
    of two packets. Returns how many there are."""
    chance, pieces, length = np.random.default_rng(1), 4, 512
    said = np.resize(np.frombuffer(TEXT, np.uint8), pieces * length)
    every_one = np.tile(said, (streams, 1))
    flags = np.empty(((streams + every - 1) // every, FLAG_BYTES + 6), np.uint8)
    flags[:, :5], flags[:, -1] = np.frombuffer(b"flag{", np.uint8), ord("}")
    flags[:, 5:-1] = LETTERS[chance.integers(0, LETTERS.size, (flags.shape[0], FLAG_BYTES))]
    starts = chance.integers(0, said.size - flags.shape[1], flags.shape[0])
    rows = np.arange(flags.shape[0]) * every
    every_one[rows[:, None], starts[:, None] + np.arange(flags.shape[1])] = flags
    write_streams(path, every_one.reshape(streams, pieces, length))
    return int(flags.shape[0])
