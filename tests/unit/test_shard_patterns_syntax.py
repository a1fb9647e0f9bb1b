"""What a pattern says of itself."""

import pytest

from services.shard.patterns.compiled import compile_pattern
from services.shard.patterns.syntax import UnknownError, read
from shared.schema import Pattern
from tests.pattern_harness import regex

WINDOW = 4096


def test_a_search_that_cannot_take_long_is_known() -> None:
    def safe_bytes(value: str) -> int:
        return compile_pattern(regex(value), WINDOW).safe_bytes

    assert safe_bytes(r"flag\{[^}]+\}") == 2048
    assert safe_bytes("([A-Z]{4}-){3}[A-Z]{4}") > 1 << 16
    assert safe_bytes(r"\bx\s*;\s*(cat|nc)") == 127
    assert safe_bytes("(?:a|a)" * 10 + "b") == 4096
    assert safe_bytes("(?:a|a)" * 30 + "b") == 0
    for value in ("(a+)+$", "(a|aa)+$", "(?:a?b)*c", r"(.*a){12}$", "a(?R)?b"):
        assert safe_bytes(value) == 0


@pytest.mark.parametrize(
    ("words", "low", "high", "before", "after", "plain"),
    [
        ("[A-Z0-9]{31}=", 32, 32, 0, 0, True),
        ("a{2,}?b", 3, 1 << 30, 0, 0, True),
        ("^a$", 1, 1, 1, 2, False),
        (r"(?<=ab)c(?!d)", 1, 1, 4, 3, False),
        ("(?>a|ab)c", 2, 3, 0, 0, False),
        (r"(?P<x>a)(?P=x)", 1, 1 << 30, 0, 0, False),
    ],
)
def test_what_a_pattern_says_of_itself(
    words: str, low: int, high: int, before: int, after: int, plain: bool
) -> None:
    found = read(words.encode())
    assert (found.low, found.high) == (low, high)
    assert (found.before, found.after, found.plain) == (before, after, plain)


@pytest.mark.parametrize(
    "words",
    [r"\p{L}", "a{e<=1}", "(?R)", r"\K", "[[:alpha:]]", "[a--b]", "(?x) a", r"\N{DIGIT ONE}"],
)
def test_a_pattern_with_something_unknown(words: str) -> None:
    with pytest.raises(UnknownError):
        read(words.encode())


def test_binary_patterns_as_they_are_written() -> None:
    for words in ("deadbeef", "de ad:be_ef", "0xDE 0xAD 0xbe-ef"):
        pattern = Pattern(id=1, name="", kind="binary", value=words)
        assert compile_pattern(pattern, WINDOW).wider == rb"\xde\xad\xbe\xef"


def test_beginnings_are_looked_for_where_they_are_telling() -> None:
    headed = compile_pattern(regex(r"flag\{[^}]+\}"), WINDOW)
    assert (headed.head, headed.reach) == (rb"\x66\x6c\x61\x67\x7b", WINDOW)
    assert compile_pattern(regex(r"\w+@x"), WINDOW).head == b""
    assert compile_pattern(regex("abc|d.*e"), WINDOW).head == b""
