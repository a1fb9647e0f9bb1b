"""The twin of `parse_dns`: DNS messages (RFC 1035 §4) of datagrams and of TCP directions.

A direction is a sequence of octets, None for what was never captured. Only where a message lies is
told, and its header; of its sections the first name and whether all of them are there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

Octets = Sequence[int | None]

TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 28: "AAAA",
    33: "SRV", 35: "NAPTR", 39: "DNAME", 41: "OPT", 43: "DS", 46: "RRSIG", 47: "NSEC",
    48: "DNSKEY", 50: "NSEC3", 52: "TLSA", 64: "SVCB", 65: "HTTPS", 99: "SPF", 249: "TKEY",
    250: "TSIG", 251: "IXFR", 252: "AXFR", 255: "ANY", 257: "CAA",
}  # fmt: skip
OPCODES = {0: "QUERY", 1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE", 6: "DSO"}
RCODES = {
    1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN",
    7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 11: "DSOTYPENI",
}  # fmt: skip
NAME_TEXT, NAME_IN_SUMMARY = 255, 224
PAIRED_WITHIN = 32


class CutOffError(Exception):
    """The message has fewer octets than it says."""


class BadNameError(Exception):
    """A name that no rule allows."""


@dataclass(frozen=True)
class Found:
    """One message; kind "" = the octets are no DNS."""

    start: int
    end: int
    kind: str
    code: int = 0
    value: int = 0
    status: str = "complete"
    note: str = ""
    gap: bool = False
    summary: bytes = b""
    name: bytes = b""


def number(octets: bytes, at: int, size: int = 2) -> int:
    if at + size > len(octets):
        raise CutOffError
    return int.from_bytes(octets[at : at + size], "big")


def is_dns(header: bytes) -> bool:
    """Whether twelve octets can be a header: an opcode that is assigned, and counts that any
    message has room for: five octets a question, eleven a record."""
    questions, *records = (number(header, at) for at in (4, 6, 8, 10))
    return (header[2] >> 3 & 15) in OPCODES and 5 * questions + 11 * sum(records) <= 65535 - 12


def read_name(octets: bytes, at: int) -> tuple[list[bytes], int]:
    """Labels as they stand there, and where the name ends. A pointer ends it, and points before it
    (RFC 1035 §4.1.4: a prior occurrence)."""
    labels: list[bytes] = []
    begin, size = at, 0
    while True:
        length = number(octets, at, 1)
        if length >= 0xC0:
            target = number(octets, at) & 0x3FFF
            if not 12 <= target < begin:
                raise BadNameError
            return labels, at + 2
        if length > 63:
            raise BadNameError
        size += 1 + length
        if size > 255:
            raise BadNameError
        at += 1
        if length == 0:
            return labels, at
        if at + length > len(octets):
            raise CutOffError
        labels.append(octets[at : at + length])
        at += length


def escaped(label: bytes) -> list[str]:
    """Octet by octet, RFC 1035 §5.1."""
    plain = {octet: chr(octet) for octet in range(32, 127)} | {46: "\\.", 92: "\\\\"}
    return [plain.get(octet, f"\\{octet:03}") for octet in label]


def as_text(labels: list[bytes], longest: int) -> str:
    """Cut before the first octet that would not fit whole."""
    text = ""
    for i, label in enumerate(labels):
        for piece in ["."] * bool(i) + escaped(label):
            if len(text) + len(piece) > longest:
                return text
            text += piece
    return text or "."


def message(start: int, octets: bytes) -> Found:
    """All octets of one message that there are, from its header on."""
    flags = number(octets, 2)
    counts = [number(octets, at) for at in (4, 6, 8, 10)]
    opcode, rcode, answers = flags >> 11 & 15, flags & 15, flags >> 15
    labels: list[bytes] | None = None
    kind = None
    status, note = "complete", ""
    try:
        at = 12
        for i in range(sum(counts)):
            name, at = read_name(octets, at)
            if i == 0:
                labels = name
                kind = number(octets, at)
            if i < counts[0]:
                number(octets, at, 4)
                at += 4
            else:
                at += 10 + number(octets, at + 8)
                if at > len(octets):
                    raise CutOffError
    except CutOffError:
        status, note = "partial", "truncated"
    except BadNameError:
        status, note = "parse_error", "bad_name"
    words = [OPCODES[opcode]] if opcode or labels is None else []
    words += [TYPES.get(kind, f"TYPE{kind}")] if kind is not None else []
    words += [as_text(labels, NAME_IN_SUMMARY)] if labels is not None else []
    words += [RCODES.get(rcode, f"RCODE{rcode}")] if answers and rcode else []
    return Found(
        start, start + len(octets), "response" if answers else "request", number(octets, 0),
        flags | counts[0] << 16 | counts[1] << 32 | counts[2] << 48, status, note,
        summary=" ".join(words).encode("latin-1"),
        name=as_text(labels, NAME_TEXT).lower().encode("latin-1") if labels is not None else b"",
    )  # fmt: skip


def datagram(start: int, octets: bytes) -> Found:
    if len(octets) < 12 or not is_dns(octets[:12]):
        return Found(start, start + len(octets), "", status="parse_error", note="bad_header",
                     summary=b"not DNS")  # fmt: skip
    return message(start, octets)


def datagrams(pieces: Sequence[tuple[int, bytes]]) -> list[Found]:
    """Of one stream, (start, octets) each; what is no DNS is told once."""
    found: list[Found] = []
    for start, octets in pieces:
        one = datagram(start, octets)
        if one.kind or all(other.kind for other in found[-PAIRED_WITHIN:]):
            found.append(one)
    return found


def direction(octets: Octets, opened: bool = True) -> list[Found]:
    """Of one direction of TCP, with two octets of length before each message (RFC 1035 §4.2.2).

    opened: it was seen from its beginning, so that it has to begin with a message.
    A message with a gap ends where its length says. Where the length itself is missing, the octets
    behind the gap are taken for one; if they are none, the direction is given up, without a word.
    """
    found: list[Found] = []
    whole = len(octets)
    while octets and octets[-1] is None:  # nothing came behind: no gap yet, an end
        octets = octets[:-1]
    at, sure, size = 0, opened, len(octets)
    while at < size:
        head = octets[at : at + 2]
        if None in head:
            at = next(i for i in range(at + head.index(None), size) if octets[i] is not None)
            sure = False
            continue
        if len(head) < 2:
            break
        length = number(bytes(one or 0 for one in head), 0)
        body = octets[at + 2 : at + 2 + length]
        start, at = at + 2, at + 2 + length
        if length < 12:
            found += [_junk(start, start)] if sure else []
            break
        header = body[:12]
        if None in header:  # its header is lost: there is nothing to tell
            continue
        if len(header) < 12:
            break
        if not is_dns(_plain(header)):
            found += [_junk(start, start)] if sure else []
            break
        found.append(_of_length(start, body, length, whole))
    return found


def _of_length(start: int, body: Octets, length: int, whole: int) -> Found:
    if None in body:
        known = _open(start, body)
        return replace(known, end=start + length, status="partial", note="gap", gap=True)
    if len(body) < length:
        known = _open(start, body)
        return replace(known, end=whole, status="partial", note="end_of_stream")
    return message(start, _plain(body))


def _open(start: int, body: Octets) -> Found:
    """A message of which only the header is read."""
    header = _plain(body[:12])
    return replace(message(start, header), end=start + len(body), summary=b"", name=b"")


def _plain(octets: Octets) -> bytes:
    return bytes(one for one in octets if one is not None)


def _junk(start: int, end: int) -> Found:
    return Found(start, end, "", status="parse_error", note="bad_header", summary=b"not DNS")


def parse_dns(said: Sequence[tuple[int, Found]]) -> list[int | None]:
    """(side, message) of a stream in their order: which message each one is paired with.

    A response answers the newest request of the other side with its number that is without answer,
    of the 32 messages before it.
    """
    pairs: list[int | None] = []
    for i, (side, one) in enumerate(said):
        pairs.append(None)
        if one.kind != "response":
            continue
        for k in range(i - 1, max(-1, i - 1 - PAIRED_WITHIN), -1):
            other = said[k][1]
            asked = other.kind == "request" and other.code == one.code and said[k][0] != side
            if asked and pairs[k] is None:
                pairs[i], pairs[k] = k, i
                break
    return pairs
