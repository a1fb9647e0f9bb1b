"""Transforms of text: percent-encoding, base64, character sets."""

import binascii
import codecs
import re
from urllib.parse import unquote_to_bytes

from services.api.transforms.model import Context, Decoded, Status, clipped, noted

ENCODED = re.compile(rb"%[0-9A-Fa-f]{2}")
SPACES = b" \t\r\n\v\f"
URL_SAFE = bytes.maketrans(b"-_", b"+/")
BASE64_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
NO_CHARSETS = (
    "idna",
    "punycode",
    "unicode_escape",
    "raw_unicode_escape",
    "unicode-escape",
    "raw-unicode-escape",
)
PIECE_BYTES = 1 << 16  # decoded at once


def url_decode(data: bytes, limit: int, context: Context) -> Decoded:
    """`%41` and, as forms send it, `+` for a space (WHATWG URL, 5.1)."""
    if not ENCODED.search(data) and b"+" not in data:
        return Decoded(data, "noop", "nothing is percent-encoded")
    out, at = bytearray(), 0
    while at < len(data) and len(out) <= limit:
        end = at + PIECE_BYTES
        if end < len(data):
            cut = data.find(b"%", end - 2, end)  # a triplet stays in one piece
            end = cut if cut >= 0 else end
        out += unquote_to_bytes(data[at:end].replace(b"+", b" "))
        at = end
    return clipped(bytes(out), limit)


def base64_decode(data: bytes, limit: int, context: Context) -> Decoded:
    """RFC 4648, 4 and 5; white space and missing padding are tolerated."""
    looked = data[: 4 * limit + 64]  # enough for the limit and twice as much white space
    body = looked.translate(URL_SAFE, SPACES).rstrip(b"=")
    good = len(body) - len(body.lstrip(BASE64_LETTERS))
    if good < 2:
        return Decoded(data, "failed", "no base64")
    notes = [f"no base64 behind {good} letters"] if good < len(body) else []
    if good % 4 == 1:
        notes.append("cut off")
        good -= 1
    letters = body[:good]
    found = clipped(binascii.a2b_base64(letters + b"=" * (-good % 4)), limit, noted(*notes))
    limited = found.limited or len(looked) < len(data)
    status: Status = "partial" if notes or limited else "applied"
    return Decoded(found.data, status, found.note, limited)


def charset(data: bytes, limit: int, context: Context) -> Decoded:
    """To UTF-8, from what a BOM, the declaration, or valid UTF-8 says it is; else from Latin-1."""
    found = next(((mark, name) for mark, name in BOMS if data.startswith(mark)), None)
    if found:
        return _to_utf8(data[len(found[0]) :], found[1], limit, "BOM")
    declared = _codec(context.charset)
    if declared and declared not in ("utf-8", "ascii"):
        return _to_utf8(data, declared, limit, "declared")
    note = f"unknown charset {context.charset[:40]!r}" if context.charset and not declared else ""
    try:
        codecs.utf_8_decode(data[: limit + 4], "strict", False)  # a character may be cut at the end
    except UnicodeDecodeError:
        return _to_utf8(data, "latin-1", limit, noted(note, "not UTF-8"))
    return Decoded(data, "noop", noted(note, "UTF-8 already"))


def _codec(name: str) -> str:
    """Python's name of a text encoding; "" = there is none."""
    try:
        found = codecs.lookup(name.strip().strip("\"'")[:40])
        "".encode(found.name)  # refuses codecs that are not of text, such as `hex`
    except (LookupError, ValueError):
        return ""
    return "" if found.name in NO_CHARSETS else found.name


def _to_utf8(data: bytes, name: str, limit: int, reason: str) -> Decoded:
    """Piece by piece, so that what is beyond the limit is never decoded."""
    decoder = codecs.getincrementaldecoder(name)("replace")
    out = bytearray()
    try:
        for at in range(0, len(data), PIECE_BYTES):
            piece = data[at : at + PIECE_BYTES]
            text = decoder.decode(piece, at + PIECE_BYTES >= len(data))
            out += text.encode("utf-8", "replace")
            if len(out) > limit:
                break
    except ValueError as error:
        return Decoded(data, "failed", f"{name}: {error}")
    note = f"from {name} ({reason})"
    outcome = clipped(bytes(out), limit, note)
    if "\N{REPLACEMENT CHARACTER}".encode() in outcome.data and not outcome.limited:
        return Decoded(outcome.data, "partial", noted(note, "some octets are no characters"))
    return outcome
