"""What the first bytes of a direction are: the twin of `inspect_groups` but for services.

Text is valid UTF-8 (RFC 3629) without the control characters that text does not hold, as far as
it was seen: a character that is cut at the end is no fault. Anything else is mixed when it began
as text, with 8 such bytes, and binary when it did not.
"""

import codecs
from collections.abc import Iterable

KIND_UPTO = 4096  # logical offsets below this decide
HEAD_BYTES = 8
TEXT_CONTROLS = b"\t\n\v\f\r\x1b"
CONTROLS = frozenset([*range(32), 127]) - frozenset(TEXT_CONTROLS)


def is_text(octets: bytes) -> bool:
    """Whether it may go on as text."""
    if CONTROLS.intersection(octets):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(octets, final=False)
    except UnicodeDecodeError:
        return False
    return True


def content_kind(pieces: Iterable[tuple[int, bytes]]) -> str:
    """Of (logical offset, bytes), in order; a hole between pieces does not count as a byte."""
    seen, head = b"", b""
    for start, octets in pieces:
        if start < HEAD_BYTES <= start + len(octets):
            head = seen + octets[: HEAD_BYTES - start]
        seen += octets
    if not seen:
        return "unknown"
    if is_text(seen):
        return "text"
    return "mixed" if head and is_text(head) else "binary"


def kind_of_both(a: str, b: str) -> str:
    """Of the stream: what its directions have in common; one that said nothing does not count."""
    kinds = {a, b} - {"unknown"}
    if len(kinds) == 2:
        return "mixed"
    return kinds.pop() if kinds else "unknown"
