"""Writing a message's text, octet by octet, where `begin_text` made room for it.

Captured octets are escaped as names are (RFC 1035 §5.1): what does not print becomes `\\DDD`, so
text is always printable ASCII. Each piece returns where it came to; callers see to it that all of
them together fit into MESSAGE_TEXT_MAX.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.kernels import inlined
from shared.kernels.octets import u8

ONE = np.uint64(1)
SPACE, DOT, BACKSLASH, DIGIT = 0x20, 0x2E, 0x5C, 0x30

Words = tuple[NDArray[np.uint8], NDArray[np.int64]]


def word_table(words: Mapping[int, str], size: int) -> Words:
    """Words by number, below `size`: their octets, and (size + 1,) where each begins in them."""
    starts = np.zeros(size + 1, np.int64)
    for number in range(size):
        starts[number + 1] = starts[number] + len(words.get(number, ""))
    octets = "".join(words.get(number, "") for number in range(size)).encode("ascii")
    return np.frombuffer(octets, np.uint8).copy(), starts


@inlined
def put(t: Any, to: Any, octet: Any) -> Any:
    t.text[to] = np.uint8(octet)
    return to + ONE


@inlined
def put_word(t: Any, to: Any, octets: Any, starts: Any, number: Any) -> Any:
    """Nothing when the table has no such word."""
    for k in range(starts[number], starts[number + 1]):
        t.text[to] = octets[k]
        to += ONE
    return to


@inlined
def put_decimal(t: Any, to: Any, value: Any) -> Any:
    """A number below 100000."""
    unit = 10000
    while unit > 1 and value < unit:
        unit //= 10
    while unit > 0:
        to = put(t, to, DIGIT + value // unit % 10)
        unit //= 10
    return to


@inlined
def put_hex16(t: Any, to: Any, value: Any) -> Any:
    """`0x1301`."""
    to = put(t, to, DIGIT)
    to = put(t, to, 0x78)
    for shift in (12, 8, 4, 0):
        digit = value >> shift & 15
        to = put(t, to, digit + (DIGIT if digit < 10 else 0x57))
    return to


@inlined
def escaped_size(octet: Any) -> Any:
    """Octets of text that an octet of a name takes."""
    if octet == DOT or octet == BACKSLASH:
        return 2
    return 1 if 0x20 <= octet < 0x7F else 4


@inlined
def put_escaped(t: Any, to: Any, octet: Any, lower: Any) -> Any:
    """One octet of a label. lower: A-Z as a-z (RFC 4343)."""
    size = escaped_size(octet)
    if size > 1:
        to = put(t, to, BACKSLASH)
    if size == 4:
        to = put(t, to, DIGIT + octet // 100)
        to = put(t, to, DIGIT + octet // 10 % 10)
        return put(t, to, DIGIT + octet % 10)
    return put(t, to, octet + 0x20 if lower and 0x41 <= octet <= 0x5A else octet)


@inlined
def put_host(t: Any, to: Any, octets: Any, at: Any, length: Any, longest: Any, lower: Any) -> Any:
    """A name that is one string, its dots unescaped; cut before the octet that would not fit."""
    stop = to + np.uint64(longest)
    for k in range(length):
        octet = u8(octets, at + k)
        dot = octet == DOT
        if to + np.uint64(1 if dot else escaped_size(octet)) > stop:
            return to
        to = put(t, to, octet) if dot else put_escaped(t, to, octet, lower)
    return to


@inlined
def put_labels(t: Any, to: Any, octets: Any, at: Any, longest: Any, lower: Any) -> Any:
    """A domain name whose octets were checked: labels up to its end or to a pointer."""
    begin, stop = to, to + np.uint64(longest)
    length = u8(octets, at)
    while 0 < length < 64:
        if to > begin:
            if to + ONE > stop:
                return to
            to = put(t, to, DOT)
        for k in range(length):
            octet = u8(octets, at + 1 + k)
            if to + np.uint64(escaped_size(octet)) > stop:
                return to
            to = put_escaped(t, to, octet, lower)
        at += 1 + length
        length = u8(octets, at)
    return put(t, to, DOT) if to == begin else to
