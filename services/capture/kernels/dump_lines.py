"""Packets as JSON lines, base64 (RFC 4648 §4) and all, formatted straight into a buffer."""

import numpy as np

from shared.columns import U8, OutI64, OutU8, Records
from shared.kernels import inlined, kernel

TS_US = np.frombuffer(b'{"ts_us":', np.uint8)
NUMBER = np.frombuffer(b',"event":"packet","number":', np.uint8)
LINKTYPE = np.frombuffer(b',"linktype":', np.uint8)
CAPLEN = np.frombuffer(b',"caplen":', np.uint8)
WIRELEN = np.frombuffer(b',"wirelen":', np.uint8)
BASE64 = np.frombuffer(b',"base64":"', np.uint8)
END = np.frombuffer(b'"}\n', np.uint8)
ALPHABET = np.frombuffer(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8
)
PAD, MINUS, DIGIT_0 = np.uint8(ord("=")), np.uint8(ord("-")), np.uint8(ord("0"))

NUMBER_BYTES = 20  # of a 64-bit number with its sign
LINE_BYTES = 5 * NUMBER_BYTES + sum(
    text.size for text in (TS_US, NUMBER, LINKTYPE, CAPLEN, WIRELEN, BASE64, END)
)  # a line without its base64, at most

ZERO, ONE, TWO, THREE, FOUR = (np.uint64(n) for n in range(5))
TEN, SIX_BITS = np.uint64(10), np.uint64(0x3F)
BITS_6, BITS_8, BITS_12, BITS_16, BITS_18 = (np.uint64(n) for n in (6, 8, 12, 16, 18))


@inlined
def _text(out: OutU8, at: np.uint64, text: U8) -> np.uint64:
    for i in range(text.size):
        out[at + np.uint64(i)] = text[i]
    return at + np.uint64(text.size)


@inlined
def _digits(out: OutU8, at: np.uint64, value: np.uint64) -> np.uint64:
    """A number in decimal."""
    end = at + ONE
    rest = value // TEN
    while rest > ZERO:
        end += ONE
        rest //= TEN
    rest, digit_at = value, end
    while digit_at > at:
        digit_at -= ONE
        out[digit_at] = DIGIT_0 + np.uint8(rest % TEN)
        rest //= TEN
    return end


@inlined
def _base64(out: OutU8, at: np.uint64, data: U8, off: np.uint64, size: np.uint64) -> np.uint64:
    stop = off + size - size % THREE
    while off < stop:
        group = np.uint64(data[off]) << BITS_16 | np.uint64(data[off + ONE]) << BITS_8
        group |= np.uint64(data[off + TWO])
        out[at] = ALPHABET[group >> BITS_18]
        out[at + ONE] = ALPHABET[group >> BITS_12 & SIX_BITS]
        out[at + TWO] = ALPHABET[group >> BITS_6 & SIX_BITS]
        out[at + THREE] = ALPHABET[group & SIX_BITS]
        off += THREE
        at += FOUR
    left = size % THREE
    if left > ZERO:
        group = np.uint64(data[off]) << BITS_16
        if left == TWO:
            group |= np.uint64(data[off + ONE]) << BITS_8
        out[at] = ALPHABET[group >> BITS_18]
        out[at + ONE] = ALPHABET[group >> BITS_12 & SIX_BITS]
        out[at + TWO] = ALPHABET[group >> BITS_6 & SIX_BITS] if left == TWO else PAD
        out[at + THREE] = PAD
        at += FOUR
    return at


@kernel
def dump_lines(
    data: U8, records: Records, start: int, first_number: int, out: OutU8, cursor: OutI64
) -> int:
    """Write one line for each of `records[start:]` while they fit; returns the bytes written.

    The number of records[0] is first_number. cursor[0] says which record comes next: start again
    if not even one fitted. A line takes LINE_BYTES and 4 bytes for 3 captured ones at most.
    """
    at = ZERO
    i = start
    while i < records.size:
        record = records[i]
        caplen = np.int64(record["caplen"])
        if np.int64(at) + LINE_BYTES + (caplen + 2) // 3 * 4 > out.size:
            break
        ts_us = record["ts_ns"] // 1000
        at = _text(out, at, TS_US)
        if ts_us < 0:
            out[at] = MINUS
            at += ONE
            ts_us = -ts_us
        at = _digits(out, at, np.uint64(ts_us))
        at = _text(out, at, NUMBER)
        at = _digits(out, at, np.uint64(first_number + i))
        at = _text(out, at, LINKTYPE)
        at = _digits(out, at, np.uint64(record["link"]))
        at = _text(out, at, CAPLEN)
        at = _digits(out, at, np.uint64(caplen))
        at = _text(out, at, WIRELEN)
        at = _digits(out, at, np.uint64(record["wirelen"]))
        at = _text(out, at, BASE64)
        at = _base64(out, at, data, np.uint64(record["off"]), np.uint64(caplen))
        at = _text(out, at, END)
        i += 1
    cursor[0] = i
    return int(at)
