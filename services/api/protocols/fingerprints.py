"""JA3, JA3S and JA4 of TLS hellos.

JA3 (Salesforce): MD5 of `version,ciphers,extensions,groups,point formats`, decimal, in the order
sent. JA4 (FoxIO): `a_b_c`, where b hashes the sorted ciphers, and c the sorted extensions (without
SNI and ALPN, which a tells already) and the signature algorithms in the order sent. All of them
leave GREASE out (RFC 8701).
"""

from collections.abc import Iterable
from hashlib import md5, sha256
from typing import TYPE_CHECKING

from services.api.protocols.tls_names import ALPN, SERVER_NAME

if TYPE_CHECKING:
    from services.api.protocols.tls_client import ClientHello

COUNT_MAX = 99
HASH_CHARACTERS = 12
NOTHING = "0" * HASH_CHARACTERS  # stands for the hash of an empty list
VERSIONS = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2"}


def is_grease(number: int) -> bool:
    """Whether it is one of the 16 reserved values 0x0a0a, 0x1a1a, ... 0xfafa."""
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF


def of_client(hello: "ClientHello") -> dict[str, str]:
    """`ja3` and `ja4`, and the text that is hashed for each."""
    lists = (hello.ciphers, hello.extensions, hello.groups)
    points = "-".join(map(str, hello.point_formats))
    ja3_full = ",".join([str(hello.version), *map(_decimal, lists), points])
    head, ciphers, rest = _ja4_parts(hello)
    return {
        "ja3": _md5(ja3_full),
        "ja3_full": ja3_full,
        "ja4": f"{head}_{_sha(ciphers)}_{_sha(rest)}",
        "ja4_r": f"{head}_{ciphers}_{rest}",
    }


def of_server(version: int, cipher: int, extensions: list[int]) -> dict[str, str]:
    """`ja3s`: version, cipher and extensions of a ServerHello."""
    full = f"{version},{cipher},{'-'.join(map(str, extensions))}"
    return {"ja3s": _md5(full), "ja3s_full": full}


def _ja4_parts(hello: "ClientHello") -> tuple[str, str, str]:
    ciphers = [_hex(one) for one in hello.ciphers if not is_grease(one)]
    extensions = [one for one in hello.extensions if not is_grease(one)]
    versions = [one for one in hello.versions if not is_grease(one)]
    version = VERSIONS.get(max(versions, default=hello.version), "00")
    sni = "d" if SERVER_NAME in extensions else "i"
    counts = f"{min(len(ciphers), COUNT_MAX):02}{min(len(extensions), COUNT_MAX):02}"
    hashed = sorted(_hex(one) for one in extensions if one not in (SERVER_NAME, ALPN))
    rest = ",".join(hashed)
    algorithms = [_hex(one) for one in hello.signature_algorithms if not is_grease(one)]
    if rest and algorithms:
        rest += "_" + ",".join(algorithms)
    return f"t{version}{sni}{counts}{alpn_letters(hello.alpn)}", ",".join(sorted(ciphers)), rest


def alpn_letters(names: list[bytes]) -> str:
    """First and last character of the first protocol; of its hex form when one is no letter or
    digit."""
    name = names[0] if names else b""
    if not name or (len(name) == 2 and is_grease(int.from_bytes(name, "big"))):
        return "00"
    ends = bytes([name[0], name[-1]])
    if ends.isalnum():  # of bytes: ASCII only
        return ends.decode("ascii")
    return name[:1].hex()[0] + name[-1:].hex()[1]


def _decimal(numbers: Iterable[int]) -> str:
    return "-".join(str(one) for one in numbers if not is_grease(one))


def _hex(number: int) -> str:
    return f"{number:04x}"


def _md5(text: str) -> str:
    return md5(text.encode("ascii"), usedforsecurity=False).hexdigest()


def _sha(text: str) -> str:
    return sha256(text.encode("ascii")).hexdigest()[:HASH_CHARACTERS] if text else NOTHING
