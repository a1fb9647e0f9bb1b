"""Walking through a DNS message (RFC 1035 §4): where its names, records and sections end.

octets, base, at, stop: an array, where in it the message begins, an index in it, and where it
ends. A pointer ends a name in its place and must point before it, so nothing loops.
"""

from typing import Any

from shared.kernels import inlined
from shared.kernels.octets import be16, u8

HEADER_OCTETS = 12
LONGEST = 65535
OPCODES = {0: "QUERY", 1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE", 6: "DSO"}
ASSIGNED = sum(1 << number for number in OPCODES)  # IANA "DNS OpCodes", a bit each
CUT_OFF, BAD_NAME = -1, -2  # instead of an index


@inlined
def is_dns(octets: Any, at: Any) -> Any:
    """Whether twelve octets can be a header: an opcode that is assigned, and counts that a message
    has room for (five octets a question, eleven a record)."""
    opcode = u8(octets, at + 2) >> 3 & 15
    records = be16(octets, at + 6) + be16(octets, at + 8) + be16(octets, at + 10)
    least = 5 * be16(octets, at + 4) + 11 * records
    return ASSIGNED >> opcode & 1 != 0 and least <= LONGEST - HEADER_OCTETS


@inlined
def behind_name(octets: Any, base: Any, at: Any, stop: Any) -> Any:
    """Index behind the name at `at` of the message at `base`; CUT_OFF or BAD_NAME."""
    begin, size = at, 0
    while at < stop:
        length = u8(octets, at)
        if length >= 0xC0:  # a pointer, RFC 1035 §4.1.4
            if at + 2 > stop:
                return CUT_OFF
            target = be16(octets, at) & 0x3FFF
            if target < HEADER_OCTETS or target >= begin - base:
                return BAD_NAME
            return at + 2
        size += 1 + length
        if length > 63 or size > 255:  # §2.3.4
            return BAD_NAME
        if length == 0:
            return at + 1
        if at + 1 + length > stop:
            return CUT_OFF
        at += 1 + length
    return CUT_OFF


@inlined
def behind_record(octets: Any, base: Any, at: Any, stop: Any, is_question: Any) -> Any:
    """Index behind a question or a record; CUT_OFF or BAD_NAME."""
    at = behind_name(octets, base, at, stop)
    if at < 0:
        return at
    if is_question:
        return at + 4 if at + 4 <= stop else CUT_OFF
    if at + 10 > stop:
        return CUT_OFF
    at += 10 + be16(octets, at + 8)
    return at if at <= stop else CUT_OFF


@inlined
def behind_sections(octets: Any, base: Any, stop: Any) -> Any:
    """Index behind the last record; CUT_OFF or BAD_NAME."""
    questions = be16(octets, base + 4)
    count = questions + be16(octets, base + 6) + be16(octets, base + 8) + be16(octets, base + 10)
    at = base + HEADER_OCTETS
    for i in range(count):
        at = behind_record(octets, base, at, stop, i < questions)
        if at < 0:
            return at
    return at
