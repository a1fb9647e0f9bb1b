"""ServerHello (RFC 8446, 4.1.3): what a server chose."""

from hashlib import sha256
from typing import Any

from services.api.protocols import fingerprints
from services.api.protocols.octets import Octets, readable
from services.api.protocols.tls_client import protocol_names, read_extensions
from services.api.protocols.tls_names import (
    ALPN,
    SUPPORTED_VERSIONS,
    cipher_name,
    extension_name,
    version_name,
)

# The random of a ServerHello that asks for another ClientHello (RFC 8446, 4.1.3).
RETRY = sha256(b"HelloRetryRequest").digest()


def explain(message: bytes, found: dict[str, Any]) -> None:
    """message: behind the handshake header. ValueError where it breaks off; found has the rest."""
    reader = Octets(message)
    version = reader.uint(2)
    found["version"] = found["hello_version"] = version_name(version)
    found["hello_retry_request"] = reader.take(32) == RETRY
    reader.vector(1)
    cipher = reader.uint(2)
    found["cipher"], found["cipher_number"] = cipher_name(cipher), cipher
    reader.take(1)
    extensions: list[int] = []
    names = found["extensions"] = []

    def take(kind: int, data: bytes) -> None:
        extensions.append(kind)
        names.append(extension_name(kind))
        if kind == ALPN:
            found["alpn"] = [readable(name) for name in protocol_names(data)]
        elif kind == SUPPORTED_VERSIONS and len(data) == 2:
            found["version"] = version_name(int.from_bytes(data, "big"))

    read_extensions(reader, take)
    found |= fingerprints.of_server(version, cipher, extensions)
