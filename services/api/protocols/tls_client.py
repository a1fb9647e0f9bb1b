"""ClientHello (RFC 8446, 4.1.2; RFC 5246, 7.4.1.2): what a client offers, and its fingerprints."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from services.api.protocols import fingerprints
from services.api.protocols.octets import CutOffError, Octets, numbers, readable
from services.api.protocols.tls_names import (
    ALPN,
    POINT_FORMATS,
    SERVER_NAME,
    SIGNATURE_ALGORITHMS,
    SUPPORTED_GROUPS,
    SUPPORTED_VERSIONS,
    cipher_name,
    extension_name,
    group_name,
    version_name,
)

HELLO = 5 + 4 + 2 + 32  # octets of the record's and the message's header, the version, the random


@dataclass
class ClientHello:
    """Its lists in the order in which they were sent, GREASE included."""

    version: int
    ciphers: list[int]
    extensions: list[int] = field(default_factory=list)
    sni: str | None = None
    alpn: list[bytes] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    point_formats: list[int] = field(default_factory=list)
    signature_algorithms: list[int] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)


def explain(message: bytes, found: dict[str, Any]) -> None:
    """message: behind the handshake header. ValueError where it breaks off; found has the rest."""
    reader = Octets(message)
    version = reader.uint(2)
    reader.take(32)
    found["session_id_length"] = len(reader.vector(1))
    hello = ClientHello(version, numbers(reader.vector(2)))
    _tell(hello, found)
    reader.vector(1)
    try:
        read_extensions(reader, lambda kind, data: _extension(hello, kind, data))
    finally:
        _tell(hello, found)
    found |= fingerprints.of_client(hello)


def headline(octets: bytes) -> str:
    """`ClientHello login.example`, of a connection's first octets. ValueError when they are no
    ClientHello, break off before the name, or name nobody."""
    if octets[:1] != b"\x16" or octets[5:6] != b"\x01":
        raise ValueError("no ClientHello")
    reader = Octets(octets, HELLO)
    for width in (1, 2, 1):  # session id, ciphers, compression
        reader.vector(width)
    reader.uint(2)
    while True:
        kind, data = reader.uint(2), reader.vector(2)
        if kind == SERVER_NAME:
            return f"ClientHello {_server_name(data) or ''}".rstrip()


def read_extensions(reader: Octets, take: Callable[[int, bytes], None]) -> None:
    """Hand each extension to `take(kind, octets)`. There may be none at all (RFC 5246, 7.4.1.4)."""
    if not len(reader):
        return
    size = reader.uint(2)
    inner = Octets(reader.data, reader.at, reader.at + size)
    while len(inner):
        kind = inner.uint(2)
        take(kind, inner.vector(2))
    if size > len(reader):
        raise CutOffError(f"the extensions have {len(reader)} of {size} octets")


def protocol_names(data: bytes) -> list[bytes]:
    """The list of an ALPN extension (RFC 7301, 3.1)."""
    reader, names = Octets(Octets(data).vector(2)), []
    while len(reader):
        names.append(reader.vector(1))
    return names


def _tell(hello: ClientHello, found: dict[str, Any]) -> None:
    offered = [one for one in hello.versions if not fingerprints.is_grease(one)]
    found["version"] = version_name(max(offered, default=hello.version))
    found["hello_version"] = version_name(hello.version)
    found["sni"] = hello.sni
    found["alpn"] = [readable(name) for name in hello.alpn]
    found["ciphers"] = [cipher_name(one) for one in hello.ciphers]
    found["extensions"] = [extension_name(one) for one in hello.extensions]
    found["groups"] = [group_name(one) for one in hello.groups]
    found["supported_versions"] = [version_name(one) for one in hello.versions]


def _extension(hello: ClientHello, kind: int, data: bytes) -> None:
    """Note one extension. What is wrong inside it makes it empty, not the hello unreadable."""
    hello.extensions.append(kind)
    try:
        match kind:
            case _ if kind == SERVER_NAME:
                hello.sni = _server_name(data)
            case _ if kind == ALPN:
                hello.alpn = protocol_names(data)
            case _ if kind == SUPPORTED_GROUPS:
                hello.groups = numbers(Octets(data).vector(2))
            case _ if kind == POINT_FORMATS:
                hello.point_formats = list(Octets(data).vector(1))
            case _ if kind == SIGNATURE_ALGORITHMS:
                hello.signature_algorithms = numbers(Octets(data).vector(2))
            case _ if kind == SUPPORTED_VERSIONS:
                hello.versions = numbers(Octets(data).vector(1))
    except CutOffError:
        pass


def _server_name(data: bytes) -> str | None:
    """The first host name (RFC 6066, 3)."""
    names = Octets(Octets(data).vector(2))
    while len(names):
        kind, name = names.uint(1), names.vector(2)
        if kind == 0:
            return readable(name)
    return None
