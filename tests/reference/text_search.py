"""Substring search in previews and what is printable of them, without regard to ASCII case.

The twin of the kernels `search_text` and `search_restored`, and of how `store_previews` keeps
previews for them.
"""

import codecs
from collections.abc import Sequence


def search_text(previews: Sequence[tuple[bytes, bytes]], needle: bytes) -> list[bool]:
    """Which pairs of previews have one that holds the needle, or is no text and shows it."""
    wanted = needle.lower()  # bytes.lower is ASCII only
    return [any(wanted in of.lower() for of in (a, b, shown(a), shown(b))) for a, b in previews]


def shown(octets: bytes) -> bytes:
    """The printable bytes of what is no text; nothing of a text."""
    return b"" if is_text(octets) else bytes(byte for byte in octets if 32 <= byte < 127)


def is_text(octets: bytes) -> bool:
    """UTF-8 without the controls that text does not hold; a last character may be cut short."""
    controls = set(range(32)) - {9, 10, 11, 12, 13, 27} | {127}
    try:
        codecs.getincrementaldecoder("utf-8")().decode(octets)
    except UnicodeDecodeError:
        return False
    return not controls & set(octets)
