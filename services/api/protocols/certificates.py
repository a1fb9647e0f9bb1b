"""Certificate messages up to TLS 1.2 (RFC 5246, 7.4.2): the chain as it was sent, nothing verified.

Rules: a certificate that cannot be read has a `note` and its fingerprint; the next one is read all
the same.
"""

from hashlib import sha256
from typing import Any

from cryptography import x509

from services.api.protocols.octets import Octets

CERTIFICATES_MAX = 32
NAMES_MAX = 200  # listed of one certificate


def certificates_of(message: bytes) -> dict[str, Any]:
    """message: behind the handshake header."""
    found: list[dict[str, Any]] = []
    detail: dict[str, Any] = {"certificates": found}
    try:
        reader = Octets(message)
        size = reader.uint(3)
        while reader.at < min(size + 3, len(message)) and len(found) < CERTIFICATES_MAX:
            found.append(explain(reader.vector(3)))
        if size > len(message) - 3:
            detail["note"] = f"the list has {len(message) - 3} of {size} octets"
        elif len(reader):
            detail["note"] = f"only the first {len(found)} certificates are listed"
    except ValueError as error:
        detail["note"] = str(error)
    if found:
        detail |= {key: found[0].get(key) for key in ("subject", "san")}
    return detail


def explain(der: bytes) -> dict[str, Any]:
    """One certificate. Each field is read alone, so that one that is wrong hides no other."""
    detail: dict[str, Any] = {"sha256": sha256(der).hexdigest()}
    try:
        certificate = x509.load_der_x509_certificate(der)
    except Exception as error:  # the library names no base class of what hostile octets raise
        return detail | {"note": f"not readable: {error}"[:200]}
    for key, read in READERS.items():
        try:
            detail[key] = read(certificate)
        except Exception as error:
            detail |= {key: None, "note": f"{key}: {error}"[:200]}
    return detail


def _san(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [_general_name(name) for name in list(names.value)[:NAMES_MAX]]


def _general_name(name: x509.GeneralName) -> str:
    if isinstance(name, x509.OtherName):
        return f"{name.type_id.dotted_string}:{name.value.hex()}"
    if isinstance(name, x509.DirectoryName):
        return name.value.rfc4514_string()
    if isinstance(name, x509.RegisteredID):
        return name.value.dotted_string
    return str(name.value)


READERS: dict[str, Any] = {
    "subject": lambda certificate: certificate.subject.rfc4514_string(),
    "issuer": lambda certificate: certificate.issuer.rfc4514_string(),
    "san": _san,
    "not_before": lambda certificate: certificate.not_valid_before_utc.isoformat(),
    "not_after": lambda certificate: certificate.not_valid_after_utc.isoformat(),
    "serial": lambda certificate: f"{certificate.serial_number:x}",
}
