"""What a regular expression says of itself: its widths, its context, and a wider one for hyperscan.

`regex` decides what matches; hyperscan only says where to look. So its expression must match
whatever the original does and may match more. This reads a pattern token by token and writes each
in plain terms that mean the same to both: classes as sets of bytes, groups without names, no
laziness, no possession. Anchors become those of lines, since every span of bytes lies between two
newlines; a look-around is left out, except one at the very edge of the pattern, whose bytes are
asked for; a back-reference may be anything. A construct that is not on the list raises
UnknownError: such a pattern is looked for with `regex` alone, and its width is taken as unbounded.
"""

import re
from functools import cache

from services.shard.patterns.parts import NEVER, Part, Syntax, choices_of_repeat, grouped

MOST_COUNT = 1 << 15
HEAD_MOST, HEAD_LETTERS = 64, 3
ANY, NOT_NEWLINE = r"[\x00-\xff]", r"[^\x0a]"
CLASSES = {
    "d": r"0-9", "w": r"0-9A-Z_a-z", "s": r"\x09-\x0d\x20",
}  # fmt: skip
CONTROLS = {"n": 10, "r": 13, "t": 9, "f": 12, "v": 11, "a": 7}
SPECIAL = frozenset(b"\\.^$*+?{}[]|()")
DIGITS = "0123456789"
HEX = DIGITS + "abcdefABCDEF"


class UnknownError(ValueError):
    """A construct that this module does not know."""


def read(pattern: bytes) -> Syntax:
    """Read a pattern that `regex` compiles. UnknownError when it has something unknown."""
    return Reader(pattern.decode("latin-1")).syntax()


def literal(octet: int) -> str:
    """One byte, for hyperscan."""
    return f"\\x{octet:02x}"


@cache
def members(text: str) -> frozenset[int]:
    """Bytes of a set."""
    found = re.compile(text.encode(), re.DOTALL).findall(bytes(range(256)))
    return frozenset(octet[0] for octet in found)


class Reader:
    """Recursive descent over one pattern; `at` is the next character."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0
        self.caseless = self.dot_all = self.folds = False
        self.octets: set[int] = set()
        self.at_end = True
        self.before = self.after = 0
        self.plain = self.gives_back = True
        self.outer: list[Part] = []  # of the last alternative

    def syntax(self) -> Syntax:
        self._global_flags()
        part = self._alternatives()
        if self.at < len(self.text):
            raise UnknownError("an unmatched parenthesis")
        wider = part.least if self.gives_back and not self.after else part.text
        head, head_bytes = self._head() if self.gives_back else ("", 0)
        if self.folds:
            self.octets |= set(bytes(self.octets).swapcase())
        return Syntax(
            wider, head, head_bytes, part.low, part.high, self.before, self.after, self.plain,
            self.caseless, frozenset(self.octets), self.at_end, part.choices,
            part.forks,
        )  # fmt: skip

    def _one_of(self, text: str, letters: int = 0) -> Part:
        """A set of bytes, or a given one."""
        self.octets |= members(text)
        return Part(text, 1, 1, text, letters)

    def _head(self) -> tuple[str, int]:
        """The beginning, as far as it is bounded and short."""
        text, most, letters = "", 0, 0
        for part in self.outer:
            if part.high > HEAD_MOST:
                break
            text, most, letters = text + part.text, most + part.high, letters + part.letters
            if most > HEAD_MOST:
                return "", 0
        return (text, most) if letters >= HEAD_LETTERS else ("", 0)

    # ---------------------------------------------------------------------------- characters
    def _peek(self, words: str) -> bool:
        return self.text.startswith(words, self.at)

    def _take(self, words: str) -> bool:
        found = self._peek(words)
        self.at += len(words) if found else 0
        return found

    def _next(self) -> str:
        if self.at >= len(self.text):
            raise UnknownError("an early end")
        self.at += 1
        return self.text[self.at - 1]

    def _until(self, end: str) -> str:
        stop = self.text.find(end, self.at)
        if stop < 0:
            raise UnknownError(f"no {end}")
        words, self.at = self.text[self.at : stop], stop + 1
        return words

    # -------------------------------------------------------------------------------- groups
    def _global_flags(self) -> None:
        """`(?ims)` at the very start; elsewhere they would reach back or not, by version."""
        while self._peek("(?") and self.text[self.at + 2 : self.at + 3] in ("i", "m", "s", "a"):
            stop = self.text.find(")", self.at)
            flags = self.text[self.at + 2 : stop]
            if set(flags) - set("imsa"):
                return  # a scoped group, or a flag that is refused there
            self.caseless |= "i" in flags
            self.folds |= "i" in flags
            self.at_end &= "m" not in flags
            self.dot_all |= "s" in flags
            self.at = stop + 1

    def _alternatives(self) -> Part:
        parts = [self._sequence()]
        while self._take("|"):
            parts.append(self._sequence())
        if len(parts) == 1:
            return parts[0]
        if self.depth == 0:
            self.outer = []
        text = "|".join(part.text for part in parts)
        least = [part.least for part in parts]
        return Part(
            f"(?:{text})",
            min(part.low for part in parts),
            max(part.high for part in parts),
            f"(?:{'|'.join(least)})" if all(least) else "",
            choices=max(part.choices for part in parts),
            branches=True,
            forks=max(part.forks for part in parts) + (len(parts) - 1).bit_length(),
        )

    def _sequence(self) -> Part:
        parts: list[Part] = []
        text, low, high = "", 0, 0
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            part = self._repeated(self._atom(first=text == "" and self.depth == 0))
            text, low, high = text + part.text, low + part.low, min(NEVER, high + part.high)
            parts.append(part)
        if self.depth == 0:
            self.outer = parts.copy()
            self.at_end &= bool(parts) and parts[-1].text == "$"
        letters = sum(part.letters for part in parts)
        kept = parts.copy()
        while kept and not kept[-1].least:
            kept.pop()
        least = "".join(part.text for part in kept[:-1]) + kept[-1].least if kept else ""
        choices = sum(part.choices for part in parts)
        branches, forks = any(part.branches for part in parts), sum(part.forks for part in parts)
        return Part(text, low, high, least, letters, choices, branches, forks)

    def _group(self, first: bool) -> Part:
        """Behind an opening parenthesis."""
        dot_all = self.dot_all
        if self._take("?"):
            for sign, ahead, wanted in (
                ("=", True, True), ("!", True, False), ("<=", False, True), ("<!", False, False),
            ):  # fmt: skip
                if self._take(sign):
                    return self._around(ahead, wanted, first)
            if self._take(">"):
                self.plain = self.gives_back = False
            elif self._take("P<") or self._take("<"):
                self._name(">")
            elif self._take("P="):
                self._name(")")
                return self._anything()
            elif not self._take(":"):
                return self._scoped()
        part = self._inner()
        self.dot_all = dot_all
        return grouped("(?:", part)

    def _inner(self) -> Part:
        self.depth += 1
        part = self._alternatives()
        self.depth -= 1
        if not self._take(")"):
            raise UnknownError("no end of a group")
        return part

    def _scoped(self) -> Part:
        """`(?s-i:…)`. Case in a part of the pattern only is left to hyperscan's own syntax."""
        words = self._until(":")
        on, minus, off = words.partition("-")
        if not words or set(on + off) - set("ims"):
            raise UnknownError(f"(?{words}")
        dot_all = self.dot_all
        self.dot_all = (dot_all or "s" in on) and "s" not in off
        part = self._inner()
        self.dot_all = dot_all
        self.folds |= "i" in on
        self.at_end &= "m" not in on
        case = ("i" if "i" in on else "") + ("-i" if minus and "i" in off else "")
        return grouped(f"(?{case}:", part)

    def _name(self, end: str) -> None:
        words = self._until(end)
        if not words.isidentifier() or not words.isascii():
            raise UnknownError(f"a name {words}")

    def _around(self, ahead: bool, wanted: bool, first: bool) -> Part:
        """A look-around: bytes of context, and left out, or asked for at the pattern's edge."""
        before, after = self.before, self.after
        part = self._inner()
        reach = part.high if part.high < NEVER else NEVER
        if ahead:
            self.after = max(after, min(NEVER, reach + self.after + 2))
        else:
            self.before = max(before, min(NEVER, reach + self.before + 2))
        self.plain = False
        last = self.depth == 0 and (self.at == len(self.text) or self._peek("|"))
        asked = wanted and ((ahead and last) or (not ahead and first))
        text = f"(?:{part.text})" if asked else ""
        return Part(
            text, 0, 0, text, choices=part.choices, branches=part.branches, forks=part.forks
        )

    def _anything(self) -> Part:
        self.plain = self.gives_back = False
        return Part(f"{ANY}*", 0, NEVER, "", choices=1)

    # --------------------------------------------------------------------------------- atoms
    def _atom(self, first: bool) -> Part:
        character = self._next()
        if character == "(":
            return self._group(first)
        if character == "[":
            return self._one_of(self._set())
        if character == ".":
            return self._one_of(ANY if self.dot_all else NOT_NEWLINE)
        if character == "^":
            return self._edge("^", 1, 0)
        if character == "$":
            return self._edge("$", 0, 2)
        if character == "\\":
            return self._escape()
        if character in "*+?{":
            raise UnknownError(f"nothing to repeat, {character}")
        return self._one_of(literal(ord(character)), letters=1)

    def _edge(self, text: str, before: int, after: int) -> Part:
        self.before, self.after = max(self.before, before), max(self.after, after)
        self.plain = False
        return Part(text, 0, 0, text)

    def _escape(self) -> Part:
        letter = self._next()
        edges = {"A": ("^", 1, 0), "Z": ("$", 0, 1), "z": ("$", 0, 1), "b": ("\\b", 1, 1),
                 "B": ("\\B", 1, 1)}  # fmt: skip
        if letter in edges:
            return self._edge(*edges[letter])
        if letter.lower() in CLASSES:
            negated = "^" if letter.isupper() else ""
            return self._one_of(f"[{negated}{CLASSES[letter.lower()]}]")
        if letter in "123456789":
            if self.at < len(self.text) and self.text[self.at] in DIGITS:
                raise UnknownError("an octal number or a far group")
            return self._anything()
        return self._one_of(literal(self._escaped_byte(letter)), letters=1)

    def _escaped_byte(self, letter: str) -> int:
        if letter in CONTROLS:
            return CONTROLS[letter]
        if letter == "x":
            digits = self._next() + self._next()
            if set(digits) - set(HEX):
                raise UnknownError(f"\\x{digits}")
            return int(digits, 16)
        if letter.isalnum() or not letter.isascii():
            raise UnknownError(f"\\{letter}")
        return ord(letter)

    def _set(self) -> str:
        """Behind an opening bracket: a set without sets within, and without operations on sets."""
        negated = "^" if self._take("^") else ""
        items: list[str] = []
        while not self._peek("]") or not items:
            for word in ("[", "--", "&&", "||", "~~"):
                if self._peek(word):
                    raise UnknownError(f"{word} in a set")
            items.append(self._set_item())
        self.at += 1
        return f"[{negated}{''.join(items)}]"

    def _set_item(self) -> str:
        low = self._set_byte()
        if isinstance(low, str):
            return low
        if self._peek("-") and not self._peek("-]"):
            self.at += 1
            high = self._set_byte()
            if isinstance(high, str) or high < low:
                raise UnknownError("a range of a set")
            return f"{literal(low)}-{literal(high)}"
        return literal(low)

    def _set_byte(self) -> int | str:
        character = self._next()
        if character != "\\":
            return ord(character)
        letter = self._next()
        if letter in CLASSES:
            return CLASSES[letter]
        if letter == "b":
            return 8
        return self._escaped_byte(letter)

    # --------------------------------------------------------------------------- repetitions
    def _repeated(self, part: Part) -> Part:
        counts = self._counts()
        while counts is not None:
            low, high = counts
            if part.high == 0:
                raise UnknownError("something without width is repeated")
            if self._take("+"):
                self.plain = self.gives_back = False
            else:
                self._take("?")
            most = "" if high >= NEVER else str(high)
            part = Part(
                f"(?:{part.text}){{{low},{most}}}",
                part.low * low,
                min(NEVER, part.high * high),
                f"(?:{part.text}){{{low}}}" if low else "",
                part.letters * min(low, 8),
                choices_of_repeat(part, low, high),
                part.branches or low != high,
                part.forks,
            )
            counts = self._counts()
        return part

    def _counts(self) -> tuple[int, int] | None:
        for sign, counts in (("*", (0, NEVER)), ("+", (1, NEVER)), ("?", (0, 1))):
            if self._take(sign):
                return counts
        if not self._take("{"):
            return None
        low, comma, high = self._until("}").partition(",")
        if not comma:
            high = low
        if set(low + high) - set(DIGITS) or not (low or comma):
            raise UnknownError("braces that are not a count")
        least, most = int(low or 0), int(high) if high else NEVER
        if least > MOST_COUNT or (MOST_COUNT < most < NEVER) or most < least:
            raise UnknownError("a count out of bounds")
        return least, most
