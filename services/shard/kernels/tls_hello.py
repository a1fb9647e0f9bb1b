"""What the hellos of TLS say of themselves: version, server name, cipher. And names of numbers.

octets, at, stop: an array, and where in it the hello's body begins and ends. Every vector is
compared with `stop` before it is read; each loop goes forward by what it has read.
"""

from typing import Any

import numpy as np

from services.shard.kernels.text import put, put_decimal, put_hex16, put_word, word_table
from shared.kernels import inlined
from shared.kernels.octets import be16, u8

SERVER_NAME, SUPPORTED_VERSIONS = 0, 43  # IANA "TLS ExtensionType Values"
BAD = -1  # instead of a version: its lengths do not fit

VERSIONS = {
    0: "SSL 3.0", 1: "TLS 1.0", 2: "TLS 1.1", 3: "TLS 1.2", 4: "TLS 1.3", 5: "SSL 2.0",
    6: "TLS 1.3 (draft ",
}  # fmt: skip
SSL_2, DRAFT = 5, 6
VERSION_WORDS, VERSION_STARTS = word_table(VERSIONS, 7)
LEVEL_WORDS, LEVEL_STARTS = word_table({1: "warning", 2: "fatal"}, 3)
# IANA "TLS Alerts"
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
ALERT_WORDS, ALERT_STARTS = word_table(ALERTS, 256)
# SHA-256 of "HelloRetryRequest": the random of a ServerHello that is one, RFC 8446 §4.1.3
RETRY = np.frombuffer(
    bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"), np.uint8
).copy()


@inlined
def put_version(t: Any, to: Any, version: Any) -> Any:
    """`TLS 1.3`; a draft of it by its number; an unknown one in hexadecimal."""
    if version >> 8 == 0x7F:
        to = put_word(t, to, VERSION_WORDS, VERSION_STARTS, DRAFT)
        return put(t, put_decimal(t, to, version & 0xFF), 0x29)
    if version >> 8 == 3 and version & 0xFF <= 4:
        return put_word(t, to, VERSION_WORDS, VERSION_STARTS, version & 0xFF)
    if version == 2:
        return put_word(t, to, VERSION_WORDS, VERSION_STARTS, SSL_2)
    return put_hex16(t, to, version)


@inlined
def rank(version: Any) -> Any:
    """How new an offered version is; 0 = GREASE (RFC 8701) or unknown. Drafts of TLS 1.3 (0x7fxx)
    lie between 1.2 and 1.3."""
    if version >> 8 == 3:
        return version << 8
    if version >> 8 == 0x7F and version & 0xFF:
        return 0x0303 << 8 | (version & 0xFF)
    return 0


@inlined
def highest(octets: Any, at: Any, stop: Any) -> Any:
    """The highest rank in the list of a supported_versions extension (RFC 8446 §4.2.1), BAD."""
    end = at + 1 + u8(octets, at)
    at += 1
    if end > stop or (end - at) & 1:
        return BAD
    best = 0
    while at < end:
        best = max(best, rank(be16(octets, at)))
        at += 2
    return best


@inlined
def behind_vectors(octets: Any, at: Any, stop: Any) -> Any:
    """A client's session id, ciphers and compression methods; BAD."""
    for size in (1, 2, 1):
        if at + size > stop:
            return BAD
        at += size + (u8(octets, at) if size == 1 else be16(octets, at))
        if at > stop:
            return BAD
    return at


@inlined
def has_extensions(octets: Any, at: Any, stop: Any) -> Any:
    """1 = their list ends the hello, 0 = there is none (RFC 5246 §7.4.1.2), BAD."""
    if at == stop:
        return 0
    if at + 2 > stop or at + 2 + be16(octets, at) != stop:
        return BAD
    return 1


@inlined
def host_name(octets: Any, at: Any, stop: Any) -> Any:
    """(index, length) of the first name of a server_name extension (RFC 6066 §3); length BAD."""
    if at == stop:
        return 0, 0
    if at + 3 > stop or at + 2 + be16(octets, at) > stop or be16(octets, at) < 1:
        return 0, BAD
    inner = at + 2 + be16(octets, at)
    if u8(octets, at + 2) != 0:
        return 0, 0
    if at + 5 > inner or at + 5 + be16(octets, at + 3) > inner:
        return 0, BAD
    return at + 5, be16(octets, at + 3)


@inlined
def client_hello(octets: Any, at: Any, stop: Any) -> Any:
    """(highest version offered, index and length of the server's name), RFC 8446 §4.1.2."""
    if at + 34 > stop:
        return BAD, 0, 0
    version, host, host_len, best = be16(octets, at), 0, 0, 0
    at = behind_vectors(octets, at + 34, stop)
    if at < 0:
        return BAD, 0, 0
    follows = has_extensions(octets, at, stop)
    if follows < 0:
        return BAD, 0, 0
    at += 2 * follows
    while at < stop:
        if at + 4 > stop or at + 4 + be16(octets, at + 2) > stop:
            return BAD, 0, 0
        kind, end = be16(octets, at), at + 4 + be16(octets, at + 2)
        at += 4
        if kind == SERVER_NAME and host_len == 0:
            host, host_len = host_name(octets, at, end)
            if host_len < 0:
                return BAD, 0, 0
        elif kind == SUPPORTED_VERSIONS and at < end:
            newest = highest(octets, at, end)
            if newest < 0:
                return BAD, 0, 0
            best = max(best, newest)
        at = end
    if best:
        version = best >> 8 if best & 0xFF == 0 else 0x7F00 | (best & 0xFF)
    return version, host, host_len


@inlined
def server_hello(octets: Any, at: Any, stop: Any) -> Any:
    """(selected version, cipher suite, whether it asks for another hello), RFC 8446 §4.1.3."""
    if at + 36 > stop:
        return BAD, 0, 0
    version = be16(octets, at)
    draft = version >> 8 == 0x7F  # before draft 22 it had neither session id nor compression
    retry = 1
    for k in range(32):
        if octets[np.uint64(at + 2 + k)] != RETRY[k]:
            retry = 0
    at += 34
    if not draft:
        at += 1 + u8(octets, at)
    if at + (2 if draft else 3) > stop:
        return BAD, 0, 0
    cipher = be16(octets, at)
    at += 2 if draft else 3
    follows = has_extensions(octets, at, stop)
    if follows < 0:
        return BAD, 0, 0
    at += 2 * follows
    while at < stop:
        if at + 4 > stop or at + 4 + be16(octets, at + 2) > stop:
            return BAD, 0, 0
        if be16(octets, at) == SUPPORTED_VERSIONS and be16(octets, at + 2) == 2:
            version = be16(octets, at + 4)
        at += 4 + be16(octets, at + 2)
    return version, cipher, retry
