"""What is known of a regular expression and of its parts."""

from dataclasses import dataclass

NEVER = 1 << 30  # a bound that is none


@dataclass(frozen=True)
class Part:
    """A piece of a pattern: its wider form, and the least and most bytes it matches.

    least: how it looks where it matches as little as it can. letters: given bytes in it. choices:
    how many of its repetitions may be longer or shorter, NEVER where one lies within another.
    branches: it has alternatives, or such a repetition. forks: bits that say which alternatives
    are taken.
    """

    text: str
    low: int
    high: int
    least: str
    letters: int = 0
    choices: int = 0
    branches: bool = False
    forks: int = 0


@dataclass(frozen=True)
class Syntax:
    """What is known of a pattern. before, after: bytes around a match that it may depend on.

    wider ends where a match can end first: hyperscan tells every end, and one is enough. head: how
    every match begins, up to head_bytes long; empty where that is not telling.
    """

    wider: str
    head: str
    head_bytes: int
    low: int
    high: int  # NEVER and more: no bound
    before: int
    after: int
    plain: bool  # the wider form matches exactly the same, apart from which of several is taken
    caseless: bool
    octets: frozenset[int]  # a match has no other bytes
    at_end: bool  # a match ends where the text does, or before a newline there
    choices: int  # a search of n bytes takes about n ** (1 + choices) steps; NEVER: even more
    forks: int  # and that 2 ** forks times


def grouped(opening: str, part: Part) -> Part:
    least = f"{opening}{part.least})" if part.least else ""
    return Part(
        f"{opening}{part.text})",
        part.low,
        part.high,
        least,
        part.letters,
        part.choices,
        part.branches,
        part.forks,
    )


def choices_of_repeat(part: Part, low: int, high: int) -> int:
    """Of a part that is repeated: one with choices of its own may be cut in ever so many ways."""
    if part.branches and high > 1:
        return NEVER
    return part.choices + (low != high)
