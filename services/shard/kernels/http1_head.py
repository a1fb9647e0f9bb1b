"""Reading an HTTP/1.x head where it lies: the start line, and the few fields that frame a message.

octets, words: the same bytes, singly and in eights; at, stop: unsigned indices into octets. Rules
of RFC 9112 that parsers of the world bend are bent here too: lines may end with a bare LF (§2.2),
lines may be folded (§5.2), what has no colon is passed over, a target may hold spaces (§3).
"""

from typing import Any

import numpy as np

from services.shard.kernels.text import word_table
from shared.columns import (
    ASKED_CONNECT,
    ASKED_HEAD,
    NO_KIND,
    REQUEST,
    RESPONSE,
)
from shared.kernels import inlined

ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)
LF, CR, SP, TAB = np.uint8(10), np.uint8(13), np.uint8(32), np.uint8(9)
COLON, COMMA, SLASH, STAR = np.uint8(58), np.uint8(44), np.uint8(47), np.uint8(42)
MOST = np.uint64(1 << 62)  # what a length must stay below: it is added to offsets
LONGEST_METHOD = np.uint64(32)

EACH_LF = np.uint64(0x0A0A0A0A0A0A0A0A)
LOW_BITS, HIGH_BITS = np.uint64(0x7F7F7F7F7F7F7F7F), np.uint64(0x8080808080808080)
ONES = np.uint64(0x0101010101010101)
THREE, SEVEN, EIGHT, TOP = np.uint64(3), np.uint64(7), np.uint64(8), np.uint64(56)

IS_TOKEN = np.zeros(256, np.uint8)  # RFC 9110 §5.6.2
IS_TOKEN[list(b"!#$%&'*+-.^_`|~0123456789")] = 1
IS_TOKEN[65:91] = IS_TOKEN[97:123] = 1

# RFC 9110 §9.3, RFC 5789, RFC 4918 §9
METHODS = (
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PROPFIND",
    "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK",
)  # fmt: skip
METHOD_WORDS, METHOD_STARTS = word_table(dict(enumerate(METHODS)), len(METHODS))
KNOWN_METHODS = len(METHODS)

# what a known field is; words are looked for as lower case, one behind the other in WORDS
NO_FIELD, LENGTH_FIELD, CODING_FIELD, HOST_FIELD, UPGRADE_FIELD = range(5)
NAMES = (b"content-length", b"transfer-encoding", b"host", b"upgrade", b"chunked", b"websocket")
WORDS = np.frombuffer(b"".join(NAMES), np.uint8)
LENGTHS = [np.uint64(len(name)) for name in NAMES]
PLACES = [np.uint64(sum(len(name) for name in NAMES[:i])) for i in range(len(NAMES))]
(
    CONTENT_LENGTH_SIZE, TRANSFER_ENCODING_SIZE, HOST_SIZE, UPGRADE_SIZE, CHUNKED_SIZE,
    WEBSOCKET_SIZE,
) = LENGTHS  # fmt: skip
CONTENT_LENGTH_AT, TRANSFER_ENCODING_AT, HOST_AT, UPGRADE_AT, CHUNKED_AT, WEBSOCKET_AT = PLACES

# of Content-Length: not there, a number, or wrong; of Transfer-Encoding: not there, chunked last, …
NOT_GIVEN, GIVEN, WRONG = range(3)
NO_CODING, CHUNKED_LAST, OTHER_LAST = range(3)


@inlined
def find_lf(words: Any, at: Any, stop: Any) -> Any:
    """Index of the first LF in [at, stop), else stop. Eight bytes at a time."""
    word = at >> THREE
    last = stop + SEVEN >> THREE
    skip = (at & SEVEN) << THREE
    odd = words[word] ^ EACH_LF if word < last else EACH_LF
    # the top bit of each byte that is zero, exactly (Hacker's Delight, 6-1)
    found = ~(((odd & LOW_BITS) + LOW_BITS) | odd | LOW_BITS) >> skip << skip
    while found == ZERO:
        word += ONE
        if word >= last:
            return stop
        odd = words[word] ^ EACH_LF
        found = ~(((odd & LOW_BITS) + LOW_BITS) | odd | LOW_BITS)
    below = ((((found & (~found + ONE)) - ONE) & ONES) * ONES >> TOP) - ONE
    return min((word << THREE) + below, stop)


@inlined
def is_space(byte: Any) -> Any:
    """Also CR and LF: they stand in a folded value."""
    return byte == SP or byte == TAB or byte == CR or byte == LF


@inlined
def trim_end(octets: Any, at: Any, stop: Any) -> Any:
    while stop > at and is_space(octets[stop - ONE]):
        stop -= ONE
    return stop


@inlined
def trim_start(octets: Any, at: Any, stop: Any) -> Any:
    while at < stop and is_space(octets[at]):
        at += ONE
    return at


@inlined
def is_digit(byte: Any) -> Any:
    return np.uint8(byte - np.uint8(48)) < np.uint8(10)


@inlined
def says_http(octets: Any, at: Any) -> Any:
    """Whether `HTTP/` stands there."""
    return (
        octets[at] == np.uint8(72)
        and octets[at + ONE] == np.uint8(84)
        and octets[at + TWO] == np.uint8(84)
        and octets[at + THREE] == np.uint8(80)
        and octets[at + np.uint64(4)] == SLASH
    )


@inlined
def says_version(octets: Any, at: Any) -> Any:
    """`HTTP/` digit `.` digit, RFC 9112 §2.3."""
    return (
        says_http(octets, at)
        and is_digit(octets[at + np.uint64(5)])
        and octets[at + np.uint64(6)] == np.uint8(46)
        and is_digit(octets[at + SEVEN])
    )


@inlined
def ends_in_version(octets: Any, stop: Any) -> Any:
    """Whether a line of eight bytes or more ends as a request line does. What tools that attack
    servers get wrong is taken: no space before the version, or no minor number."""
    if says_version(octets, stop - EIGHT):
        return True
    return (
        octets[stop - EIGHT] == SP
        and says_http(octets, stop - SEVEN)
        and is_digit(octets[stop - TWO])
        and octets[stop - ONE] == np.uint8(46)
    )


@inlined
def method_length(octets: Any, at: Any, stop: Any) -> Any:
    """Bytes of a method with a space behind it; 0 = there is none."""
    i = at
    upto = min(stop, at + LONGEST_METHOD + ONE)
    while i < upto and IS_TOKEN[octets[i]]:
        i += ONE
    if i == at or i >= stop or i - at > LONGEST_METHOD or octets[i] != SP:
        return ZERO
    return i - at


@inlined
def is_status_line(octets: Any, at: Any, stop: Any) -> Any:
    """RFC 9112 §4; the reason and the space before it may be missing."""
    length = stop - at
    return (
        length >= np.uint64(12)
        and says_version(octets, at)
        and octets[at + np.uint64(8)] == SP
        and is_digit(octets[at + np.uint64(9)])
        and is_digit(octets[at + np.uint64(10)])
        and is_digit(octets[at + np.uint64(11)])
        and (length == np.uint64(12) or octets[at + np.uint64(12)] == SP)
    )


@inlined
def known_method(octets: Any, at: Any, stop: Any) -> Any:
    """Bytes of a known method that is the whole line or before a space; 0 = there is none."""
    for number in range(KNOWN_METHODS):
        begin = np.uint64(METHOD_STARTS[number])
        size = np.uint64(METHOD_STARTS[number + 1]) - begin
        if at + size == stop or (at + size < stop and octets[at + size] == SP):
            i = ZERO
            while i < size and octets[at + i] == METHOD_WORDS[begin + i]:
                i += ONE
            if i == size:
                return size
    return ZERO


@inlined
def bare_method(octets: Any, at: Any, stop: Any) -> Any:
    """Bytes of the method of a request line that has no version, but a head behind it; 0 = it is
    none. Only what looks like a target may follow: services of their own have such commands."""
    size = known_method(octets, at, stop)
    behind = at + size + ONE
    if size == ZERO or is_simple(octets, at, stop):
        return ZERO
    if behind < stop and octets[behind] != SLASH and octets[behind] != STAR:
        return ZERO
    return size


@inlined
def start_line(octets: Any, at: Any, stop: Any, lenient: Any) -> Any:
    """What a line without its end begins: NO_KIND, REQUEST or RESPONSE; a request's ASKED_*.

    lenient: the version may be missing."""
    length = stop - at
    if is_status_line(octets, at, stop):
        return RESPONSE, 0
    method = method_length(octets, at, stop)  # RFC 9112 §3
    if method == ZERO or length < method + EIGHT or not ends_in_version(octets, stop):
        method = bare_method(octets, at, stop) if lenient else ZERO
    if method == ZERO:
        return NO_KIND, 0
    marks = 0
    if method == np.uint64(4) and octets[at] == np.uint8(72):
        if is_word(octets, at, b"HEAD"):
            marks = ASKED_HEAD
    if method == SEVEN and octets[at] == np.uint8(67):
        if is_word(octets, at, b"CONNECT"):
            marks = ASKED_CONNECT
    return REQUEST, marks


@inlined
def find_status_line(octets: Any, at: Any, stop: Any) -> Any:
    """Index of a status line within a line, behind the end of a body not seen; 0 = none."""
    i = at + ONE
    while i + np.uint64(12) <= stop:
        if octets[i] == np.uint8(72) and is_status_line(octets, i, stop):
            return i
        i += ONE
    return ZERO


@inlined
def is_word(octets: Any, at: Any, word: Any) -> Any:
    """Whether `word`, a constant, stands there. The caller knows that there is room."""
    for i in range(len(word)):
        if octets[at + np.uint64(i)] != word[i]:
            return False
    return True


@inlined
def is_simple(octets: Any, at: Any, stop: Any) -> Any:
    """A request of HTTP/0.9: `GET /…` and no more words (RFC 1945 §4.1)."""
    if stop - at < np.uint64(5) or not is_word(octets, at, b"GET /"):
        return False
    for i in range(stop - at - np.uint64(5)):
        if octets[at + np.uint64(5) + np.uint64(i)] == SP:
            return False
    return True


@inlined
def status_code(octets: Any, at: Any) -> Any:
    """Of a status line."""
    code: Any = 0
    for i in range(9, 12):
        code = code * 10 + np.int64(octets[at + np.uint64(i)]) - 48
    return code


@inlined
def same_word(octets: Any, at: Any, word: Any, length: Any) -> Any:
    """Whether a word of WORDS stands there, in any case."""
    for i in range(length):
        byte = octets[at + np.uint64(i)]
        if np.uint8(byte - np.uint8(65)) < np.uint8(26):
            byte = np.uint8(byte + np.uint8(32))
        if byte != WORDS[word + np.uint64(i)]:
            return False
    return True


@inlined
def known_field(octets: Any, at: Any, stop: Any) -> Any:
    """Which of the fields that matter a line is; its name and the colon are as long as said."""
    length = stop - at
    first = octets[at] | np.uint8(32)
    if first == np.uint8(99):
        size, word, field = CONTENT_LENGTH_SIZE, CONTENT_LENGTH_AT, LENGTH_FIELD
    elif first == np.uint8(104):
        size, word, field = HOST_SIZE, HOST_AT, HOST_FIELD
    elif first == np.uint8(116):
        size, word, field = TRANSFER_ENCODING_SIZE, TRANSFER_ENCODING_AT, CODING_FIELD
    elif first == np.uint8(117):
        size, word, field = UPGRADE_SIZE, UPGRADE_AT, UPGRADE_FIELD
    else:
        return NO_FIELD, ZERO
    if length > size and octets[at + size] == COLON and same_word(octets, at, word, size):
        return field, size + ONE
    return NO_FIELD, ZERO


@inlined
def read_length(octets: Any, at: Any, stop: Any, state: Any, known: Any) -> Any:
    """A value of Content-Length after what was `known`: several are one if equal, RFC 9110 §8.6."""
    while True:
        at = trim_start(octets, at, stop)
        begin, value = at, ZERO
        while at < stop and is_digit(octets[at]):
            value = value * np.uint64(10) + np.uint64(octets[at] - np.uint8(48))
            value = min(value, MOST)
            at += ONE
        if at == begin or value >= MOST or (state == GIVEN and value != known):
            return WRONG, ZERO
        if state == NOT_GIVEN:
            state, known = GIVEN, value
        at = trim_start(octets, at, stop)
        if at == stop:
            return state, known
        if octets[at] != COMMA:
            return WRONG, ZERO
        at += ONE


@inlined
def look_in_list(octets: Any, at: Any, stop: Any, word: Any, length: Any) -> Any:
    """Of a comma-separated list: whether the word is in it, whether it is the last element, and
    whether there is any element; empty ones are none (RFC 9110 §5.6.1)."""
    has, last, some = False, False, False
    while at <= stop:
        comma = at
        while comma < stop and octets[comma] != COMMA:
            comma += ONE
        begin = trim_start(octets, at, comma)
        end = trim_end(octets, begin, comma)
        if end > begin:
            some = True
            last = end - begin == length and same_word(octets, begin, word, length)
            has |= last
        at = comma + ONE
    return has, last, some


@inlined
def read_fields(octets: Any, words: Any, at: Any, stop: Any) -> Any:
    """Field lines from `at` on, up to the empty line that ends the head.

    Returns the index behind it (0 = it is not there yet), then Content-Length's state and number,
    what Transfer-Encoding says, whether Upgrade has websocket, and where Host's value is.
    """
    state, length = NOT_GIVEN, ZERO
    coding, websocket = NO_CODING, False
    host, host_end = ZERO, ZERO
    field, value, value_end = NO_FIELD, ZERO, ZERO
    behind = ZERO
    while behind == ZERO:
        lf = find_lf(words, at, stop)
        if lf >= stop:
            break
        first = octets[at]
        if first == SP or first == TAB:  # the line before goes on, RFC 9112 §5.2
            value_end = lf
            at = lf + ONE
            continue
        if field == LENGTH_FIELD:
            if state != WRONG:
                state, length = read_length(octets, value, value_end, state, length)
        elif field == HOST_FIELD:
            if host == ZERO:
                host, host_end = value, value_end
        elif field != NO_FIELD:
            is_coding = field == CODING_FIELD
            word = CHUNKED_AT if is_coding else WEBSOCKET_AT
            size = CHUNKED_SIZE if is_coding else WEBSOCKET_SIZE
            has, last, some = look_in_list(octets, value, value_end, word, size)
            if not is_coding:
                websocket |= has
            elif some:
                coding = CHUNKED_LAST if last else OTHER_LAST
            elif coding == NO_CODING:
                coding = OTHER_LAST
        field = NO_FIELD
        if first == LF or (first == CR and lf == at + ONE):
            behind = lf + ONE
        else:
            field, name = known_field(octets, at, lf)
            value, value_end = at + name, lf
            at = lf + ONE
    return behind, state, length, coding, websocket, host, host_end
