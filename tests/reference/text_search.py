"""Substring search without regard to ASCII case, in the plainest Python there is."""

from collections.abc import Sequence


def search_text(previews: Sequence[tuple[bytes, bytes]], needle: bytes) -> list[bool]:
    """Which pairs of previews hold the needle in one of the two."""
    wanted = needle.lower()  # bytes.lower is ASCII only
    return [wanted in a.lower() or wanted in b.lower() for a, b in previews]
