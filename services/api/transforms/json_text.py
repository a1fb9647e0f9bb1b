"""JSON (RFC 8259), indented. Token by token: numbers, escapes and the order of keys stay as sent.

Rules: several values in a row are taken one after the other (as JSON lines have them); a text that
is cut off is indented as far as it goes; anything else that is not JSON is left alone.
"""

import re

from services.api.transforms.model import Context, Decoded, clipped

TOKEN = re.compile(
    rb"[ \t\r\n]*+(?:"
    rb'(?P<string>"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+")'
    rb"|(?P<scalar>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)"
    rb"|(?P<mark>[{}\[\]:,]))"
)
CUT = re.compile(rb'[ \t\r\n]*+(?:"[^"]*+(?:\\"[^"]*+)*+|-|t|tr|tru|f|fa|fal|fals|n|nu|nul)?')
BOM = b"\xef\xbb\xbf"
INDENT = b"  "
DEPTH_SHOWN = 64  # deeper levels are indented no further

# What may come next: a value; in a new container its end, too; a key, its colon; `,` or the end.
VALUE, FIRST, KEY, COLON, AFTER = range(5)


def decode(data: bytes, limit: int, context: Context) -> Decoded:
    """The text with one value a line, as far as the limit allows."""
    if not data.strip():
        return Decoded(data, "noop", "empty")
    layout = _Layout()
    at = len(BOM) if data.startswith(BOM) else 0
    while len(layout.out) <= limit:
        token = TOKEN.match(data, at)
        if token is None:
            break
        if not layout.take(token.lastgroup or "", token[token.lastgroup or 0]):
            return Decoded(data, "failed", f"no JSON: unexpected token before {token.end()}")
        at = token.end()
    if len(layout.out) > limit:
        return clipped(bytes(layout.out), limit)
    if CUT.fullmatch(data, at) is None:
        return Decoded(data, "failed", f"no JSON at {at}")
    if not layout.out:
        return Decoded(data, "failed", "no JSON")
    rest = data[at:].strip()
    if layout.stack or rest:
        cut = clipped(bytes(layout.out) + rest, limit, "cut off")
        return Decoded(cut.data, "partial", cut.note, cut.limited)
    return clipped(bytes(layout.out), limit)


class _Layout:
    """The text so far, and where in its structure it is. stack: the closing marks that are due."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.stack = bytearray()
        self.state = VALUE

    def take(self, kind: str, token: bytes) -> bool:
        """Write one token; False when none of its kind may stand here."""
        if kind != "mark":
            return self._leaf(kind, token)
        if token in b"{[":
            return self._open(token)
        if token in b"}]":
            return self._close(token)
        if token == b":" and self.state == COLON:
            self.out += b": "
            self.state = VALUE
            return True
        if token == b"," and self.state == AFTER and self.stack:
            self.out += b","
            self._line()
            self.state = KEY if self.stack[-1:] == b"}" else VALUE
            return True
        return False

    def _leaf(self, kind: str, token: bytes) -> bool:
        if self.state == FIRST:
            self._line()
            self.state = KEY if self.stack[-1:] == b"}" else VALUE
        if self.state == KEY and kind == "string":
            self.state = COLON
        elif not self._value():
            return False
        else:
            self.state = AFTER
        self.out += token
        return True

    def _value(self) -> bool:
        """Whether a value may begin here; behind a whole text the next one does."""
        if self.state == AFTER and not self.stack:
            self.out += b"\n"
            return True
        return self.state == VALUE

    def _open(self, token: bytes) -> bool:
        if self.state == FIRST and self.stack[-1:] == b"]":
            self._line()
        elif not self._value():
            return False
        self.out += token
        self.stack += b"}" if token == b"{" else b"]"
        self.state = FIRST
        return True

    def _close(self, token: bytes) -> bool:
        if self.state not in (FIRST, AFTER) or self.stack[-1:] != token:
            return False
        self.stack.pop()
        if self.state == AFTER:
            self._line()
        self.out += token
        self.state = AFTER
        return True

    def _line(self) -> None:
        self.out += b"\n" + INDENT * min(len(self.stack), DEPTH_SHOWN)
