"""Substring search in previews and what is printable of them, without regard to ASCII case."""

import codecs
from collections.abc import Sequence


def search_text(previews: Sequence[tuple[bytes, bytes]], needle: bytes) -> list[bool]:
    """Which pairs of previews hold the needle in one of the two."""
    wanted = needle.lower()  # bytes.lower is ASCII only
    return [wanted in a.lower() or wanted in b.lower() for a, b in previews]


def search_squeezed(previews: Sequence[tuple[bytes, bytes]], needle: bytes) -> list[bool]:
    """Which pairs of previews have one that is no text and shows the needle in its summary."""
    wanted = needle.lower()
    return [any(wanted in squeezed(side).lower() for side in pair) for pair in previews]


def squeezed(octets: bytes) -> bytes:
    """The first 80 printable bytes of what is no text; nothing of a text."""
    controls = set(range(32)) - {9, 10, 11, 12, 13, 27} | {127}
    try:
        decoder = codecs.getincrementaldecoder("utf-8")()
        decoder.decode(octets)  # a last character may be cut short
        if not controls & set(octets):
            return b""
    except UnicodeDecodeError:
        pass
    return bytes(byte for byte in octets if 32 <= byte < 127)[:80]
