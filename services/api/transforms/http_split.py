"""HTTP messages of octets that begin with one, for a slice that nobody has parsed.

Rules: RFC 9112, 6.3, as far as one direction alone can tell: what HEAD and CONNECT change about a
response is not known here. A body without an end in sight goes to the end of the octets.
"""

import re

from services.api.protocols.http1 import first, headers_of, joined
from services.api.transforms import chunked
from services.api.transforms.model import HttpPart

MESSAGES_MAX = 1000
HEAD_MAX = 1 << 18
START = re.compile(
    rb"HTTP/[0-9]\.[0-9] [0-9]{3}(?:[ \r\n]|$)"
    rb"|[A-Z][A-Z-]{1,19} [!-~]{1,8000} HTTP/[0-9]\.[0-9]\r?\n"
)
HEAD_END = re.compile(rb"\r?\n\r?\n")
NO_BODY = re.compile(rb"HTTP/[0-9]\.[0-9] (?:1[0-9]{2}|204|304)")


def split_messages(data: bytes) -> list[HttpPart]:
    """The messages, up to the first place where none begins."""
    parts: list[HttpPart] = []
    at = 0
    while len(parts) < MESSAGES_MAX and START.match(data, at):
        head = HEAD_END.search(data, at, at + HEAD_MAX)
        if head is None:
            break
        header = data[at : head.end()]
        framing, end = _body(header, data, head.end())
        parts.append(HttpPart(header, data[head.end() : end], framing, at, end))
        at = end
    return parts


def _body(header: bytes, data: bytes, at: int) -> tuple[str, int]:
    """How the body's end is known, and where it is."""
    if NO_BODY.match(header):
        return "none", at
    headers = headers_of(header)
    if "chunked" in (joined(headers, "transfer-encoding") or "").lower():
        return "chunked", chunked.end_of(data, at)
    length = (first(headers, "content-length") or "").strip()
    if length.isascii() and length.isdigit() and len(length) < 20:
        return "content_length", min(at + int(length), len(data))
    return ("close", len(data)) if header.startswith(b"HTTP/") else ("none", at)
