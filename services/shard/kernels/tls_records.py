"""What begins a TLS record (RFC 8446 §5.1, and SSL 3.0 to TLS 1.2), or a hello of SSLv2's form.

octets, at: an array, and where in it the record begins. Each piece says how much has to be there.
"""

from typing import Any

from shared.kernels import inlined
from shared.kernels.octets import be16, u8

RECORD_HEADER, MESSAGE_HEADER = 5, 4
RECORD_CIPHER, RECORD_ALERT, RECORD_HANDSHAKE, RECORD_DATA, RECORD_HEARTBEAT = range(20, 25)
LONGEST_RECORD = (1 << 14) + 2048  # RFC 5246 §6.2.3
LOOKED_AT = 11  # octets of a record: as many as its header and a hello's beginning have


@inlined
def is_ssl2(octets: Any, at: Any) -> Any:
    """A CLIENT-HELLO in a record of SSLv2 (RFC 5246 §E.2), of TLS or of SSL 2.0."""
    return (
        u8(octets, at) >= 0x80
        and u8(octets, at + 2) == 1
        and be16(octets, at) & 0x7FFF >= 9
        and (u8(octets, at + 3) == 3 or be16(octets, at + 3) == 2)
    )


@inlined
def is_record(octets: Any, at: Any) -> Any:
    kind, size = u8(octets, at), be16(octets, at + 3)
    return (
        RECORD_CIPHER <= kind <= RECORD_HEARTBEAT
        and u8(octets, at + 1) == 3
        and u8(octets, at + 2) <= 4
        and size <= LONGEST_RECORD
        and (size > 0 or kind == RECORD_DATA)
        and (size == 1 or kind != RECORD_CIPHER)
    )


@inlined
def is_hello(octets: Any, at: Any) -> Any:
    """Whether six octets can begin a hello: encrypted ones hardly ever can."""
    first = u8(octets, at)
    return (
        (first == 1 or first == 2)
        and u8(octets, at + 1) == 0
        and u8(octets, at + 4) == 3
        and u8(octets, at + 5) <= 4
    )


@inlined
def begins_tls(octets: Any, at: Any) -> Any:
    """Whether LOOKED_AT octets begin a stream's first record: one with a ClientHello."""
    return (
        u8(octets, at) == RECORD_HANDSHAKE
        and u8(octets, at + RECORD_HEADER) == 1
        and is_record(octets, at)
        and is_hello(octets, at + RECORD_HEADER)
    )
