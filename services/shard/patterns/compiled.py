"""One pattern, compiled: what matches, how far it may reach, and what a scanner looks for.

Truth is `regex` over a run of contiguous bytes. `reach` is how many bytes from the beginning of a
match on decide it: its longest match and what it looks at behind; a pattern without a bound
reaches as far as the window. A match is final when all these bytes are there.
"""

from dataclasses import dataclass

import regex

from services.shard.patterns.parts import NEVER, Syntax
from services.shard.patterns.syntax import UnknownError, literal, read
from shared.columns import PATTERN_DIRECTIONS, PATTERN_KINDS, SERVICES
from shared.schema import Pattern

LONGEST = 1 << 16  # a longer bound is as good as none
LONGEST_VALUE = 1 << 16
NEAR_BYTES = 256  # a pattern that reaches farther is worth looking for its beginning
ALL = frozenset(range(256))
SAFE_STEPS = 1 << 22  # of `regex`: 40 ms at the very worst
MOST_FORKS = 8  # of a pattern that may be looked for with no eye on the time, byte after byte
EDGE_BYTES = 2  # behind a head, that an edge in it may look at
SEPARATORS = str.maketrans("", "", " :_-\t\r\n")


@dataclass(frozen=True)
class Compiled:
    """A pattern that compiles."""

    pattern: Pattern
    regex: "regex.Pattern[bytes]"
    width: int  # of every match, when each hit of a scanner is one; 0 = `regex` confirms
    reach: int
    before: int  # bytes before a match that it may depend on
    after: int
    wider: bytes  # what hyperscan looks for; empty = it is no use here
    head: bytes  # how every match begins; empty = not known
    head_bytes: int  # old data that must lie before new data to see that
    caseless: bool
    alphabet: bytes  # a match has no other bytes; empty = it may have any
    at_end: bool  # a match ends where the run does, or before a newline there
    safe_bytes: int  # a search of no more than these cannot take long

    @property
    def suspect(self) -> bool:
        """It may backtrack without a bound: a repetition lies within another, or who knows."""
        return self.safe_bytes == 0 and self.reach > NEAR_BYTES

    @property
    def back(self) -> int:
        """Bytes of old data that must lie before new data."""
        return self.reach - 1 if self.width else self.reach + self.before

    def decided(self, octets: memoryview, upto: int) -> int:
        """A match that begins before this place is what it is, whatever follows octets[:upto]."""
        return max(upto - self.reach, self.edge(octets, upto - self.after))

    def edge(self, octets: memoryview, upto: int) -> int:
        """The last of octets[:upto] that no match goes across; -1 = none within reach."""
        if not self.alphabet:
            return -1
        high = max(0, upto)
        low = max(0, high - self.reach)
        left = len(bytes(octets[low:high]).rstrip(self.alphabet))
        return low + left - 1 if left else -1

    @property
    def services(self) -> int:
        """Bits by position in SERVICES; 0 = all."""
        return sum(1 << SERVICES.index(name) for name in set(self.pattern.services))

    @property
    def direction(self) -> int:
        return PATTERN_DIRECTIONS.index(self.pattern.direction)

    @property
    def kind(self) -> int:
        return PATTERN_KINDS.index(self.pattern.kind)


def compile_pattern(pattern: Pattern, window: int) -> Compiled:
    """ValueError says in one sentence what is wrong with it."""
    unknown = sorted(set(pattern.services) - set(SERVICES[1:]))
    if unknown:
        raise ValueError(f"there is no service {unknown[0]!r}")
    if len(pattern.value) > LONGEST_VALUE:
        raise ValueError(f"longer than {LONGEST_VALUE} characters")
    if pattern.kind != "regex":
        return of_literal(pattern, octets_of(pattern))
    octets = pattern.value.encode("utf-8", "surrogateescape")
    try:
        compiled = regex.compile(octets)
    except regex.error as error:
        raise ValueError(str(error)) from error
    except (RecursionError, OverflowError, MemoryError, IndexError) as error:
        raise ValueError(f"`regex` cannot compile it: {error}") from error
    if compiled.flags & regex.REVERSE:
        raise ValueError("(?r) searches backwards, which content that still comes cannot be")
    return of_regex(pattern, compiled, octets, window)


def octets_of(pattern: Pattern) -> bytes:
    """The bytes of a substring or of a binary pattern."""
    if pattern.kind == "substring":
        octets = pattern.value.encode("utf-8", "surrogateescape")
    else:
        words = pattern.value.replace("0x", " ").replace("0X", " ")
        octets = bytes.fromhex(words.translate(SEPARATORS))
    if not octets:
        raise ValueError("it is empty")
    return octets


def of_literal(pattern: Pattern, octets: bytes) -> Compiled:
    size = len(octets)
    wider = "".join(f"\\x{octet:02x}" for octet in octets).encode()
    exact = regex.compile(regex.escape(octets, special_only=True))
    return Compiled(
        pattern, exact, size, size, 0, 0, wider, b"", 0, False, bytes(set(octets)), False, NEVER
    )


def of_regex(
    pattern: Pattern, compiled: "regex.Pattern[bytes]", octets: bytes, window: int
) -> Compiled:
    try:
        syntax = read(octets)
    except (UnknownError, RecursionError):
        syntax = Syntax("", "", 0, 0, NEVER, NEVER, NEVER, False, False, ALL, False, NEVER, 0)
    before, after = min(syntax.before, window), min(syntax.after, window)
    reach = syntax.high + after if syntax.high <= LONGEST else window
    has_width = syntax.plain and syntax.low == syntax.high and 0 < syntax.low <= LONGEST
    exact = has_width and syntax.choices == 0 and syntax.forks <= MOST_FORKS
    return Compiled(
        pattern,
        compiled,
        syntax.low if exact else 0,
        max(reach, 1),
        max(before, 1),
        after,
        wider_of(syntax).encode("latin-1"),
        syntax.head.encode("latin-1") if reach > NEAR_BYTES else b"",
        syntax.head_bytes + max(before, 1) + EDGE_BYTES,
        syntax.caseless,
        b"" if syntax.octets == ALL else bytes(sorted(syntax.octets)),
        syntax.at_end,
        safe_bytes(syntax),
    )


def safe_bytes(syntax: Syntax) -> int:
    """So many take no more than SAFE_STEPS; 0 = nobody knows."""
    steps = SAFE_STEPS >> min(syntax.forks, SAFE_STEPS.bit_length())
    return int(steps ** (1 / (1 + syntax.choices))) if syntax.choices < NEVER else 0


def wider_of(syntax: Syntax) -> str:
    """What hyperscan looks for. It refuses what may be empty; whatever else that matches ends with
    a byte of its own, which says something where it ends at the end."""
    if syntax.low:
        return syntax.wider
    if not syntax.at_end or not syntax.octets:
        return ""
    return f"[{''.join(literal(octet) for octet in sorted(syntax.octets))}]$"
