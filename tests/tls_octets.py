"""Octets of TLS: records, handshakes, extensions."""


def vector(size: int, octets: bytes) -> bytes:
    return len(octets).to_bytes(size, "big") + octets


def record(kind: int, octets: bytes, version: bytes = b"\3\1") -> bytes:
    return bytes([kind]) + version + vector(2, octets)


def extension(kind: int, octets: bytes) -> bytes:
    return kind.to_bytes(2, "big") + vector(2, octets)


def client_hello(*extensions: bytes, version: bytes = b"\3\3") -> bytes:
    body = version + bytes(32) + vector(1, b"s" * 32) + vector(2, b"\x13\1\xc0\x2f") + b"\1\0"
    return b"\1" + vector(3, body + vector(2, b"".join(extensions)))


def server_hello(*extensions: bytes, random: bytes = bytes(32)) -> bytes:
    body = b"\3\3" + random + b"\0" + b"\x13\1" + b"\0" + vector(2, b"".join(extensions))
    return b"\2" + vector(3, body)


def named_hello(name: bytes) -> bytes:
    """A ClientHello in its record, with the server's name."""
    return record(22, client_hello(extension(0, vector(2, b"\0" + vector(2, name)))))
