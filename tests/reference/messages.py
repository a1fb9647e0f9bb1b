"""What a parser's twin finds: a message in plain Python, and how it ends."""

from collections.abc import Callable
from dataclasses import dataclass

TEXT_MOST, NAME_MOST, NO_VALUE = 400, 100, (1 << 64) - 1
OPEN, COMPLETE, PARTIAL, ERROR = "open", "complete", "partial", "parse_error"


@dataclass
class Found:
    """A row of MESSAGE in words; offsets are logical, of its side's direction."""

    protocol: str
    kind: str
    side: int
    ordinal: int
    start: int
    header_end: int
    body_end: int = 0
    end: int = 0
    status: str = OPEN
    note: str = ""
    framing: int = 0
    code: int = 0
    value: int = 0
    text: bytes = b""
    name: bytes = b""
    pair: int = 0  # 1 + ordinal
    gap: bool = False  # bytes of it are missing
    marks: int = 0


Tell = Callable[[Found], None]


def printable(octets: bytes, most: int) -> bytes:
    """The first bytes, each control byte as a point."""
    return bytes(46 if byte < 32 or byte == 127 else byte for byte in octets[:most])


@dataclass
class Log:
    """All messages of a stream in the order they were opened and told."""

    found: list[Found]
    told: list[Found]
    gaps: int = 0

    def open(self, protocol: str, kind: str, side: int, start: int, header_end: int) -> Found:
        message = Found(protocol, kind, side, len(self.found), start, header_end)
        self.found.append(message)
        return message

    def tell(self, message: Found, status: str, note: str, body_end: int, end: int) -> None:
        if message.gap and status == COMPLETE:
            status, note = PARTIAL, "gap"
        message.status, message.note = status, note
        message.body_end, message.end = body_end, end
        self.told.append(message)
