"""TLS messages: octets in, detail out; fingerprints against published values."""

import datetime
import struct
from collections.abc import Iterable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.api.protocols import explain
from services.api.protocols.fingerprints import alpn_letters, is_grease


def detail(
    kind: str, octets: bytes | None, value: int | None = None, name: str = "", code: int = 0
) -> dict[str, Any]:
    value = len(octets or b"") if value is None else value
    return explain(
        "tls", kind, octets, text="", name=name, value=value, code=code, framing=0, marks=0
    )


def vector(width: int, octets: bytes) -> bytes:
    return len(octets).to_bytes(width, "big") + octets


def u16(numbers: Iterable[int]) -> bytes:
    return b"".join(struct.pack(">H", number) for number in numbers)


def handshake(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + vector(3, body)


def hello(version: int, ciphers: list[int], extensions: list[tuple[int, bytes]] | None) -> bytes:
    body = struct.pack(">H", version) + bytes(32) + vector(1, b"") + vector(2, u16(ciphers))
    body += b"\1\0"
    if extensions is not None:
        listed = b"".join(struct.pack(">H", kind) + vector(2, data) for kind, data in extensions)
        body += vector(2, listed)
    return handshake(1, body)


def sni(name: bytes) -> tuple[int, bytes]:
    return 0, vector(2, b"\0" + vector(2, name))


def alpn(*names: bytes) -> tuple[int, bytes]:
    return 16, vector(2, b"".join(vector(1, name) for name in names))


GROUPS, POINTS = (10, vector(2, u16([23, 24, 25]))), (11, vector(1, b"\0"))
# The two examples of JA3's own description.
JA3_EXAMPLES = [
    (
        [47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
        [sni(b"a"), GROUPS, POINTS],
        "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0",
        "ada70206e40642a3e4461f35503241d5",
    ),
    (
        [4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99],
        None,
        "769,4-5-10-9-100-98-3-6-19-18-99,,,",
        "de350869b8c85de67a350c8d186f11e6",
    ),
]


@pytest.mark.parametrize(("ciphers", "extensions", "full", "digest"), JA3_EXAMPLES)
def test_ja3(
    ciphers: list[int], extensions: list[tuple[int, bytes]] | None, full: str, digest: str
) -> None:
    found = detail("client_hello", hello(0x0301, ciphers, extensions))
    assert (found["ja3_full"], found["ja3"]) == (full, digest)


# The example of JA4's description: a hello of Chrome, GREASE left in.
CHROME = hello(
    0x0303,
    [0x5A5A, 0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013,
     0xC014, 0x9C, 0x9D, 0x2F, 0x35],
    [
        (0xFAFA, b""), sni(b"example.org"), (0x33, b""),
        (13, vector(2, u16([0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]))),
        (35, b""), POINTS, (0xFF01, b"\0"), (10, vector(2, u16([0x3A3A, 29, 23, 24]))),
        (27, b""), (0x4469, b""), (18, b""), (0x2D, b""), alpn(b"h2", b"http/1.1"), (5, b""),
        (43, vector(1, u16([0x0A0A, 0x0304, 0x0303]))), (23, b""), (0x1A1A, b"\0"), (21, b"\0"),
    ],
)  # fmt: skip


def test_ja4() -> None:
    found = detail("client_hello", CHROME)
    assert found["ja4"] == "t13d1516h2_8daaf6152771_e5627efa2ab1"
    assert found["ja4_r"] == (
        "t13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9_"
        "0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_"
        "0403,0804,0401,0503,0805,0501,0806,0601"
    )


@pytest.mark.parametrize(
    ("octets", "ja4"),
    [
        (hello(0x0301, [], None), "t10i000000_000000000000_000000000000"),
        (hello(0x0300, [10], [sni(b"a"), alpn(b"h2")]), "ts3d0102h2_"),
        (hello(0x0303, list(range(300)), [(i, b"") for i in range(200)]), "t12d999900_"),
        (hello(0x7F12, [10], []), "t00i010000_"),
    ],
)
def test_corners_of_ja4(octets: bytes, ja4: str) -> None:
    assert detail("client_hello", octets)["ja4"].startswith(ja4)


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        (b"h2", "h2"), (b"http/1.1", "h1"), (b"h", "hh"), (b"", "00"), (b"\xab", "ab"),
        (b"\xab\xcd", "ad"), (b"\x30\xab", "3b"), (b"\x30\x31\xab\xcd", "3d"),
        (b"\x30\xab\xcd\x31", "01"), (b"\x0a\x0a", "00"),
    ],
)  # fmt: skip
def test_letters_of_alpn(name: bytes, letters: str) -> None:
    assert alpn_letters([name, b"zz"]) == letters
    assert alpn_letters([]) == "00"


def test_grease() -> None:
    assert [n for n in range(65536) if is_grease(n)] == [0x0A0A + 0x1010 * i for i in range(16)]


def test_a_client_hello() -> None:
    found = detail("client_hello", CHROME, name="row", code=0x0303)
    assert found["record"] == "handshake"
    assert found["handshake"] == "client_hello"
    assert (found["version"], found["hello_version"]) == ("TLS 1.3", "TLS 1.2")
    assert (found["sni"], found["alpn"]) == ("example.org", ["h2", "http/1.1"])
    assert found["ciphers"][:2] == ["0x5a5a", "TLS_AES_128_GCM_SHA256"]
    assert found["extensions"][1] == "server_name"
    assert found["groups"][1:] == ["x25519", "secp256r1", "secp384r1"]


@pytest.mark.parametrize("size", [1, 2, 5, 100, 1000])
def test_record_headers_are_taken_out(size: int) -> None:
    pieces = [CHROME[at : at + size] for at in range(0, len(CHROME), size)]
    sent = pieces[0] + b"".join(b"\x16\3\1" + vector(2, piece) for piece in pieces[1:])
    found = detail("client_hello", sent + b"\x17\3\3\0\1x", value=len(pieces[0]))
    assert found == detail("client_hello", CHROME)


def test_a_hello_cut_at_every_octet_tells_what_it_has() -> None:
    whole = detail("client_hello", CHROME)
    for size in range(len(CHROME)):
        found = detail("client_hello", CHROME[:size], value=len(CHROME))
        assert found["note"], size
        assert found["ja3"] is None
        assert found["sni"] in (None, whole["sni"])
        assert found.get("ciphers", []) in ([], whole["ciphers"])


def test_a_server_hello() -> None:
    body = b"\3\3" + bytes(32) + b"\0" + b"\xc0\x2f" + b"\0"
    body += vector(2, b"\xff\1\0\1\0" + b"\0\x0b\0\2\1\0" + b"\0\x23\0\0")
    found = detail("server_hello", handshake(2, body))
    assert (found["version"], found["cipher"]) == (
        "TLS 1.2",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    )
    assert found["cipher_number"] == 0xC02F
    assert found["ja3s_full"] == "771,49199,65281-11-35"
    assert found["hello_retry_request"] is False
    assert detail("server_hello", handshake(2, body)[:40])["note"]


def test_versions_and_alpn_of_a_server() -> None:
    body = b"\3\3" + bytes(32) + b"\0\x13\1\0"
    kind, names = alpn(b"h2")
    body += vector(2, b"\0\x2b\0\2\3\4" + struct.pack(">H", kind) + vector(2, names))
    found = detail("server_hello", handshake(2, body))
    assert (found["version"], found["alpn"]) == ("TLS 1.3", ["h2"])


@pytest.mark.parametrize(
    ("octets", "value", "level", "description"),
    [
        (b"\2\x28", 2, "fatal", "handshake_failure"),
        (b"\1\0\x17\3\3", 2, "warning", "close_notify"),
        (b"\x09\xff", 2, "9", "255"),
        (bytes(26), 26, None, None),
        (b"\2", 2, None, None),
    ],
)
def test_alerts(octets: bytes, value: int, level: str | None, description: str | None) -> None:
    found = detail("alert", octets, value, code=0x0303)
    assert (found["level"], found["description"]) == (level, description)
    assert (found["record"], found["version"]) == ("alert", "TLS 1.2")


@pytest.mark.parametrize(("header", "code"), [(b"\x80\x1f", 0x0300), (b"", 0x0300), (b"", 0x0002)])
def test_a_hello_of_ssl2(header: bytes, code: int) -> None:
    ciphers = b"\1\0\x80\0\0\x0a"
    body = b"\1" + struct.pack(">4H", code, len(ciphers), 0, 16) + ciphers + bytes(16)
    found = detail("client_hello", header + body, code=code)
    assert found["record"] == "ssl2"
    assert found["version"] == ("SSL 3.0" if code == 0x0300 else "SSL 2.0")
    assert found["ciphers"] == ["0x010080", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"]


def certificate(name: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(0xABC)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    from cryptography.hazmat.primitives.serialization import Encoding

    return built.public_bytes(Encoding.DER)


def test_certificates() -> None:
    der = certificate("a.example")
    listed = vector(3, b"".join(vector(3, one) for one in (der, b"\x30\3junk", certificate("b"))))
    found = detail("certificate", handshake(11, listed))
    first, junk, last = found["certificates"]
    assert first["subject"] == first["issuer"] == "CN=a.example"
    assert (first["san"], first["serial"]) == (["a.example"], "abc")
    assert first["not_before"] == "2024-01-02T00:00:00+00:00"
    assert first["not_after"] == "2024-01-03T00:00:00+00:00"
    fingerprint = x509.load_der_x509_certificate(der).fingerprint(hashes.SHA256())
    assert first["sha256"] == fingerprint.hex()
    assert junk["note"]
    assert last["subject"] == "CN=b"
    assert (found["subject"], found["san"]) == ("CN=a.example", ["a.example"])
    assert "note" not in found


def test_certificates_cut_or_damaged_anywhere() -> None:
    der = certificate("a.example")
    whole = handshake(11, vector(3, vector(3, der)))
    for at in range(len(whole)):
        assert detail("certificate", whole[:at], value=len(whole))["note"]
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        detail("certificate", bytes(damaged))


def test_without_octets() -> None:
    found = detail("client_hello", None, name="example.org", code=0x0303)
    assert (found["sni"], found["version"]) == ("example.org", "TLS 1.2")
    assert found["note"]
