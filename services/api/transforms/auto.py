"""Which transform fits octets, told by their look. It may be wrong: the steps say what was done."""

import re

from services.api.transforms.compression import GZIP_MAGIC, ZSTD_MAGIC
from services.api.transforms.http_split import START
from services.api.transforms.model import Context

ROUNDS_MAX = 5
LOOK_BYTES = 4096
BASE64_MIN = 24  # shorter ones are words
PERCENT_MIN = 3  # encoded octets, or all of a short text
JSON_START = re.compile(rb'[ \t\r\n]*[\[{][ \t\r\n]*["\[{\]}0-9tfn-]')
ENCODED = re.compile(rb"%[0-9A-Fa-f]{2}")
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]+(?:\r?\n[A-Za-z0-9+/_-]+)*={0,2}\s*")


def guess(data: bytes, context: Context) -> str | None:
    """The name of the transform to try next; None = this is as plain as it gets."""
    if context.messages:
        return "http_body"
    if context.frames:
        return "websocket"
    if data.startswith(GZIP_MAGIC):
        return "gzip"
    if data.startswith(ZSTD_MAGIC):
        return "zstd"
    if START.match(data):
        return "http_body"
    if JSON_START.match(data):
        return "json_pretty"
    look = data[:LOOK_BYTES]
    if b"\0" in look:
        return "charset" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else None
    if _is_base64(data):
        return "base64_decode"
    if len(ENCODED.findall(look)) >= min(PERCENT_MIN, 1 + len(data) // 16) and look.isascii():
        return "url_decode"
    return None


def _is_base64(data: bytes) -> bool:
    """Long text of that alphabet alone, with both cases or padding: words have less of it."""
    if len(data.strip()) < BASE64_MIN or not BASE64.fullmatch(data):
        return False
    letters = b"".join(data.split()).rstrip(b"=")
    if len(letters) % 4 == 1 or letters.isdigit():
        return False
    mixed = letters.upper() != letters and letters.lower() != letters
    return mixed or b"=" in data
