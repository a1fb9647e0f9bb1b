"""The twin of `parse_tls`: handshake messages and alerts in the clear, of one direction.

A direction is a sequence of octets, None for what was never captured. Records (RFC 8446 §5.1) are
taken apart first, then the messages in them; a message may lie in several records.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

Octets = Sequence[int | None]

CHANGE_CIPHER, ALERT, HANDSHAKE, DATA, HEARTBEAT = range(20, 25)
RECORD_TYPES = range(CHANGE_CIPHER, HEARTBEAT + 1)
LONGEST_RECORD = (1 << 14) + 2048
# IANA "TLS HandshakeType", without DTLS
HANDSHAKES = frozenset({0, 1, 2, 4, 5, 6, 8, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23, 24, 25, 67})
KINDS = {1: "client_hello", 2: "server_hello", 11: "certificate"}
WORDS = {"client_hello": "ClientHello", "server_hello": "ServerHello", "certificate": "Certificate"}
VERSIONS = {0x0002: "SSL 2.0", 0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1",
            0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}  # fmt: skip
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
LEVELS = {1: "warning", 2: "fatal"}
ALERTS = {
    0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 21: "decryption_failed",
    22: "record_overflow", 30: "decompression_failure", 40: "handshake_failure",
    41: "no_certificate", 42: "bad_certificate", 43: "unsupported_certificate",
    44: "certificate_revoked", 45: "certificate_expired", 46: "certificate_unknown",
    47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error",
    51: "decrypt_error", 60: "export_restriction", 70: "protocol_version",
    71: "insufficient_security", 80: "internal_error", 86: "inappropriate_fallback",
    90: "user_canceled", 100: "no_renegotiation", 109: "missing_extension",
    110: "unsupported_extension", 111: "certificate_unobtainable", 112: "unrecognized_name",
    113: "bad_certificate_status_response", 114: "bad_certificate_hash_value",
    115: "unknown_psk_identity", 116: "certificate_required", 120: "no_application_protocol",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """One message; kind "" = a record that is none."""

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


class LostError(Exception):
    """An octet is needed that was never captured; at: where."""

    def __init__(self, at: int) -> None:
        self.at = at


class EndError(Exception):
    """The direction ends before an octet that is needed."""


class BadRecordError(Exception):
    """Octets that no rule allows; at: how far everything was in order."""

    def __init__(self, at: int) -> None:
        self.at = at


class SecretError(Exception):
    """What follows is encrypted."""


@dataclass
class Message:
    """A handshake message that is being put together: its octets, and where they stand."""

    left: int  # octets of its record from its first octet on
    version: int  # of that record
    places: list[int] = field(default_factory=list)
    octets: list[int | None] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Octets that it still needs to be whole, or to say how many it has."""
        if len(self.octets) < 4:
            return 4 - len(self.octets)
        size = int.from_bytes(bytes(one or 0 for one in self.octets[1:4]), "big")
        return 4 + size - len(self.octets)

    def found(self, end: int, status: str, note: str) -> list[Found]:
        kind = KINDS.get(self.octets[0] or 0, "")
        gap = None in self.octets or note == "gap"
        if not kind:
            return []
        return [Found(self.places[0], end, kind, self.version, self.left, status, note, gap,
                      WORDS[kind].encode())]  # fmt: skip


class Direction:
    """Goes over a direction once."""

    def __init__(self, octets: Octets, opened: bool) -> None:
        self.whole = len(octets)
        while octets and octets[-1] is None:  # nothing came behind: no gap yet, an end
            octets = octets[:-1]
        self.octets, self.sure, self.ciphered = octets, opened, False
        self.at = 0
        self.message: Message | None = None
        self.found: list[Found] = []

    def run(self) -> list[Found]:
        while True:
            try:
                self.record()
            except LostError as lost:
                self.end_message(lost.at, "partial", "gap")
                self.sure = False
                self.at = next(
                    i for i in range(lost.at, len(self.octets)) if self.known_again(lost.at, i)
                )
            except EndError:
                self.end_message(self.whole, "partial", "end_of_stream")
                return self.found
            except BadRecordError as bad:
                if self.message is not None:
                    self.end_message(bad.at, "parse_error", "bad_record")
                elif self.sure:
                    self.found.append(Found(bad.at, bad.at, "", status="parse_error",
                                            note="bad_record", summary=b"bad record"))  # fmt: skip
                return self.found
            except SecretError:
                return self.found

    def known_again(self, lost: int, i: int) -> bool:
        return self.octets[i] is not None and None in self.octets[lost:i]

    def end_message(self, end: int, status: str, note: str) -> None:
        if self.message is not None and self.message.octets:
            self.found += self.message.found(end, status, note)
        self.message = None

    def need(self, count: int) -> bytes:
        """The next octets, without going on."""
        head = self.octets[self.at : self.at + count]
        if None in head:
            raise LostError(self.at)
        if len(head) < count:
            raise EndError
        return bytes(one or 0 for one in head)

    def record(self) -> None:
        head = self.need(5)
        if self.at == 0 and head[0] & 0x80 and head[2] == 1 and is_ssl2(head):
            self.ssl2_hello(head)
            return
        kind, version, size = head[0], head[1] << 8 | head[2], head[3] << 8 | head[4]
        if kind not in RECORD_TYPES or head[1] != 3 or head[2] > 4 or size > LONGEST_RECORD:
            raise BadRecordError(self.at)
        if (size == 0 and kind != DATA) or (self.message is not None and kind != HANDSHAKE):
            raise BadRecordError(self.at)
        if kind == DATA:
            raise SecretError
        if kind == CHANGE_CIPHER:
            if size != 1:
                raise BadRecordError(self.at)
            self.ciphered = True
        if kind == ALERT:
            self.alert(version, size)
        if kind == HANDSHAKE and self.ciphered and self.message is None:
            self.hello_or_secret(size)
        self.at += 5
        stop = self.at + size
        if kind == HANDSHAKE:
            self.handshake(version, stop)
        else:
            self.at = stop

    def alert(self, version: int, size: int) -> None:
        """Only what is encrypted is longer than two octets."""
        if size != 2:
            raise SecretError if self.ciphered else BadRecordError(self.at)
        level, description = self.need(7)[5:]
        if level not in LEVELS:
            raise BadRecordError(self.at)
        words = f"Alert {LEVELS[level]} {ALERTS.get(description, description)}"
        start = self.at + 5
        self.found.append(Found(start, start + 2, "alert", version, 2, summary=words.encode()))

    def hello_or_secret(self, size: int) -> None:
        """Behind ChangeCipherSpec a hello may follow yet (RFC 8446 §D.4), else it is encrypted."""
        if size < 6:
            raise SecretError
        first = self.need(11)[5:]
        if first[0] not in (1, 2) or first[1] != 0 or first[4] != 3 or first[5] > 4:
            raise SecretError

    def ssl2_hello(self, head: bytes) -> None:
        """RFC 5246 §E.2; a speaker of nothing newer goes on in a way that is not followed."""
        size = 2 + ((head[0] & 0x7F) << 8 | head[1])
        version = head[3] << 8 | head[4]
        body = self.octets[:size]
        gap = None in body
        status, note = ("partial", "gap") if gap else ("complete", "")
        end = size
        if len(body) < size:
            status, note, end = "partial", "end_of_stream", self.whole
        summary = f"ClientHello {VERSIONS.get(version, f'0x{version:04x}')}".encode()
        self.found.append(Found(0, end, "client_hello", version, size, status, note, gap, summary))
        self.sure = self.sure and version != 2
        self.at = size
        if len(body) < size:
            raise SecretError

    def handshake(self, version: int, stop: int) -> None:
        """The part of a record that is there, octet by octet."""
        while self.at < stop:
            if self.at >= len(self.octets):
                raise EndError
            octet = self.octets[self.at]
            if self.message is None:
                if octet is None:
                    raise LostError(self.at)
                if octet not in HANDSHAKES:
                    raise BadRecordError(self.at)
                self.message = Message(stop - self.at, version)
            if octet is None and len(self.message.octets) < 4:
                raise LostError(self.at)
            self.message.places.append(self.at)
            self.message.octets.append(octet)
            self.at += 1
            if self.message.missing == 0:
                self.whole_message(self.message)
                self.message = None

    def whole_message(self, message: Message) -> None:
        for found in message.found(self.at, "complete", ""):
            if found.gap:
                self.found.append(replace(found, status="partial", note="gap"))
            else:
                self.found.append(told(found, bytes(one or 0 for one in message.octets)[4:]))


def is_ssl2(head: bytes) -> bool:
    size = (head[0] & 0x7F) << 8 | head[1]
    return size >= 9 and (head[3] == 3 or head[3:5] == b"\0\2")


def told(found: Found, body: bytes) -> Found:
    """With what the hellos say."""
    try:
        if found.kind == "client_hello":
            return client_hello(found, body)
        if found.kind == "server_hello":
            return server_hello(found, body)
    except IndexError:
        return replace(found, status="parse_error", note="bad_length")
    return found


class Reader:
    """IndexError where an octet is not there."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, count: int) -> bytes:
        if count > len(self.data):
            raise IndexError
        head, self.data = self.data[:count], self.data[count:]
        return head

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> "Reader":
        return Reader(self.take(self.number(size)))


def extensions(reader: Reader) -> Iterator[tuple[int, Reader]]:
    """There may be none (RFC 5246 §7.4.1.2); nothing follows them."""
    if not reader.data:
        return
    inner = reader.vector(2)
    if reader.data:
        raise IndexError
    while inner.data:
        yield inner.number(2), inner.vector(2)


def client_hello(found: Found, body: bytes) -> Found:
    """RFC 8446 §4.1.2."""
    reader = Reader(body)
    version = reader.number(2)
    reader.take(32)
    reader.vector(1)
    reader.vector(2)
    reader.vector(1)
    host, offered = b"", []
    for kind, data in extensions(reader):
        if kind == 0 and not host and data.data:  # RFC 6066 §3
            names = data.vector(2)
            if names.number(1) == 0:
                host = names.vector(2).data
        if kind == 43 and data.data:
            versions = data.vector(1)
            while versions.data:
                offered.append(versions.number(2))
    # drafts of TLS 1.3 (0x7fxx) are newer than 1.2; GREASE (RFC 8701) and others do not count
    ranks = {one << 8 for one in offered if one >> 8 == 3}
    ranks |= {0x0303 << 8 | one & 255 for one in offered if one >> 8 == 0x7F and one & 255}
    if ranks:
        best = max(ranks)
        version = best >> 8 if best & 255 == 0 else 0x7F00 | best & 255
    words = as_text(host, 224) or version_name(version)
    return replace(found, code=version, summary=f"ClientHello {words}".encode(),
                   name=as_text(host, 255).lower().encode())  # fmt: skip


def as_text(host: bytes, longest: int) -> str:
    """Octets that do not print as RFC 1035 §5.1 writes them; dots as they are."""
    text = ""
    for octet in host:
        plain = 32 <= octet < 127
        piece = "\\\\" if octet == 92 else chr(octet) if plain else f"\\{octet:03}"
        if len(text) + len(piece) > longest:
            break
        text += piece
    return text


def version_name(version: int) -> str:
    if version >> 8 == 0x7F:
        return f"TLS 1.3 (draft {version & 255})"
    return VERSIONS.get(version, f"0x{version:04x}")


def server_hello(found: Found, body: bytes) -> Found:
    """RFC 8446 §4.1.3; drafts before 22 have no session id and no compression."""
    reader = Reader(body)
    version = reader.number(2)
    draft = version >> 8 == 0x7F
    random = reader.take(32)
    if not draft:
        reader.vector(1)
    cipher = reader.number(2)
    if not draft:
        reader.number(1)
    for kind, data in extensions(reader):
        if kind == 43 and len(data.data) == 2:
            version = data.number(2)
    word = "HelloRetryRequest" if random == RETRY else "ServerHello"
    summary = f"{word} {version_name(version)} 0x{cipher:04x}"
    return replace(found, code=version, summary=summary.encode())


def parse_tls(octets: Octets, opened: bool = True, start: int = 0) -> list[Found]:
    """opened: the direction was seen from its beginning, so that it has to begin with a record;
    start: where it begins."""
    direction = Direction(octets, opened)
    direction.at = start
    return direction.run()
