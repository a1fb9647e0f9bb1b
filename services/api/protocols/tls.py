"""TLS messages in the clear: handshakes, alerts, and the hello of SSLv2.

Rules: a handshake message may be split over records (RFC 8446, 5.1), so the headers of the records
behind the first are taken out before it is read. What is cut off ends in a `note`.
"""

from collections.abc import Callable
from typing import Any

from services.api.protocols import tls_client, tls_server
from services.api.protocols.certificates import certificates_of
from services.api.protocols.octets import Octets, numbers
from services.api.protocols.tls_names import ALERT_LEVELS, ALERTS, cipher_name, version_name

HANDSHAKE_RECORD = 22
RECORD_HEADER = 5
MESSAGE_HEADER = 4
SSL2_HELLO = 1
Explainer = Callable[[bytes, dict[str, Any]], None]  # octets, and the detail to fill
EMPTY: dict[str, Any] = dict.fromkeys(
    ("record", "handshake", "version", "sni", "alpn", "cipher", "ja3", "ja4")
)


def explain(kind: str, octets: bytes | None, name: str, value: int, code: int) -> dict[str, Any]:
    """name: SNI; value: octets that the first record has from here on; code: the version."""
    detail = EMPTY | {"record": "alert" if kind == "alert" else "handshake", "alpn": []}
    detail |= {"version": version_name(code) if code else None, "sni": name or None}
    if kind != "alert":
        detail["handshake"] = kind
    if octets is None:
        return detail | {"note": "the message is no longer retained"}
    if kind == "alert":
        return detail | _alert(octets, value)
    if kind == "client_hello" and _is_ssl2(octets, code):
        return _noted(detail, _ssl2_hello, octets)
    message = without_records(octets, value)
    if kind == "client_hello":
        return _hello(detail, tls_client.explain, message)
    if kind == "server_hello":
        return _hello(detail, tls_server.explain, message)
    if kind == "certificate":
        return detail | certificates_of(message[MESSAGE_HEADER:])
    return detail


def without_records(octets: bytes, left: int) -> bytes:
    """One handshake message without the record headers in it, header first.

    left: octets before the first record header.
    """
    pieces, at = [octets[:left]], left
    while octets[at : at + 1] == bytes([HANDSHAKE_RECORD]) and at + RECORD_HEADER <= len(octets):
        size = int.from_bytes(octets[at + 3 : at + RECORD_HEADER], "big")
        pieces.append(octets[at + RECORD_HEADER : at + RECORD_HEADER + size])
        at += RECORD_HEADER + size
    message = b"".join(pieces)
    return message[: MESSAGE_HEADER + int.from_bytes(message[1:MESSAGE_HEADER], "big")]


def _hello(detail: dict[str, Any], explainer: Explainer, message: bytes) -> dict[str, Any]:
    """As _noted. A hello that lacks octets has no fingerprint, wherever it is cut."""
    size = int.from_bytes(message[1:MESSAGE_HEADER], "big")
    body = message[MESSAGE_HEADER:]
    found = _noted(detail, explainer, body)
    if len(body) < size:
        found = {key: None if key.startswith("ja") else value for key, value in found.items()}
        found.setdefault("note", f"{len(body)} of {size} octets")
    return found


def _noted(detail: dict[str, Any], explainer: Explainer, message: bytes) -> dict[str, Any]:
    """detail and what the explainer adds to it; where it breaks off, what it had and a note."""
    found: dict[str, Any] = {}
    try:
        explainer(message, found)
    except ValueError as error:
        found["note"] = str(error)
    return detail | {key: value for key, value in found.items() if value is not None}


def _alert(octets: bytes, value: int) -> dict[str, Any]:
    """Two octets in the clear (RFC 8446, 6); an encrypted alert has more."""
    if value != 2 or len(octets) < 2:
        return {"level": None, "description": None, "note": "the alert is encrypted or cut off"}
    level, description = octets[0], octets[1]
    return {
        "level": ALERT_LEVELS.get(level, str(level)),
        "description": ALERTS.get(description, str(description)),
    }


def _is_ssl2(octets: bytes, code: int) -> bool:
    """Whether this hello has the form of SSLv2, with its 2-octet record header or without.

    Without it, a TLS hello of 3 << 16 octets would look the same; no record layer sends one.
    """
    if len(octets) < MESSAGE_HEADER:
        return False
    if octets[0] & 0x80 and octets[2] == SSL2_HELLO:
        return True
    return octets[0] == SSL2_HELLO and (octets[1] == 3 or (code == 2 and octets[1:3] == b"\0\2"))


def _ssl2_hello(octets: bytes, found: dict[str, Any]) -> None:
    """CLIENT-HELLO of SSLv2 (RFC 5246, E.2): three octets a cipher; those of TLS begin with 0."""
    reader = Octets(octets, 2 if octets[0] & 0x80 else 0)
    reader.take(1)
    found["version"] = version_name(reader.uint(2))
    size = reader.uint(2)
    reader.take(4)
    found["record"] = "ssl2"
    ciphers = numbers(reader.take(size), 3)
    found["ciphers"] = [cipher_name(one) if one <= 0xFFFF else f"0x{one:06x}" for one in ciphers]
