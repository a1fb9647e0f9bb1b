"""Which service a direction's first bytes belong to. Sources stand over each rule.

octets, at, length: an array, where in it the direction begins, and how many bytes are there.
"""

from typing import Any

import numpy as np

from shared.columns import SERVICES, TCP, UDP
from shared.kernels import inlined

(HTTP, HTTP2, TLS, HTTPS, DNS, MDNS, SSH, SMTP, FTP, POP3, IMAP) = (
    SERVICES.index(name)
    for name in (
        "http http2 tls https dns mdns ssh smtp ftp pop3 imap".split()
    )
)  # fmt: skip
(REDIS, MEMCACHED, MYSQL, POSTGRES, MONGODB, QUIC, NTP, DHCP, RDP, SMB, MQTT) = (
    SERVICES.index(name)
    for name in "redis memcached mysql postgres mongodb quic ntp dhcp rdp smb mqtt".split()
)


def words(*texts: str) -> tuple[int, ...]:
    """The first four bytes of each text, as a big-endian number."""
    return tuple(int.from_bytes(text.encode("latin-1")[:4].ljust(4), "big") for text in texts)


# RFC 9110 §9.3, RFC 5789, RFC 4918 §9, and the status line of RFC 9112 §4
HTTP_WORDS = words(
    "GET ", "HEAD", "POST", "PUT ", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    "PROPFIND", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "HTTP",
)  # fmt: skip
HEAD_UPTO = 128  # bytes of a TCP direction in which a service is looked for
(PRI,) = words("PRI ")
(SSH_WORD,) = words("SSH-")  # RFC 4253 §4.2
READY = words("220 ", "220-")  # RFC 5321 §4.2, RFC 959 §4.2
HELLO = words("EHLO", "HELO", "MAIL")  # RFC 5321 §4.1
LOGIN = words("USER", "AUTH")
POP_WORDS = words("+OK ", "CAPA", "STLS")  # RFC 1939 §3, RFC 2449 §5
(IMAP_READY,) = words("* OK")  # RFC 9051 §7.1
MEMCACHED_WORDS = words(
    "get ", "gets", "set ", "add ", "stat", "STAT", "incr", "decr", "VALU", "STOR"
)
(SMB_WORD,) = (0x534D42,)
(MQTT_WORD,) = words("MQTT")
(DHCP_COOKIE,) = (0x63825363,)  # RFC 2131 §3
QUIC_VERSIONS = (1, 0x6B3343CF)  # RFC 9000 §15, RFC 9369 §3.1


@inlined
def word(octets: Any, at: Any) -> Any:
    """Four bytes, big-endian."""
    return (
        np.int64(octets[at]) << 24
        | np.int64(octets[at + np.uint64(1)]) << 16
        | np.int64(octets[at + np.uint64(2)]) << 8
        | np.int64(octets[at + np.uint64(3)])
    )


@inlined
def little(octets: Any, at: Any) -> Any:
    """Four bytes, little-endian."""
    return (
        np.int64(octets[at])
        | np.int64(octets[at + np.uint64(1)]) << 8
        | np.int64(octets[at + np.uint64(2)]) << 16
        | np.int64(octets[at + np.uint64(3)]) << 24
    )


SMTP_TEXT, FTP_TEXT = words("SMTP")[0], words("FTP ")[0]


@inlined
def detect_greeting(octets: Any, length: Any, on: Any, at: Any) -> Any:
    """FTP and SMTP begin alike: the port tells, else which of their names comes first."""
    if on[0] == 21 or on[1] == 21:
        return FTP
    for port in (25, 465, 587, 2525):
        if on[0] == port or on[1] == port:
            return SMTP
    for i in range(min(length, HEAD_UPTO) - 3):
        found = word(octets, at + np.uint64(i))
        if found == FTP_TEXT:
            return FTP
        if found == SMTP_TEXT:
            return SMTP
    return 0


@inlined
def detect_text(first: Any, on: Any) -> Any:
    """Line protocols. on: whether a port is one of the flow's two."""
    for known in HTTP_WORDS:
        if first == known:
            return HTTP
    if first == PRI:
        return HTTP2
    if first == SSH_WORD:
        return SSH
    if first == IMAP_READY:
        return IMAP
    for known in HELLO:
        if first == known:
            return SMTP
    for known in LOGIN:
        if first == known and (on[0] == 21 or on[1] == 21):
            return FTP
    for known in POP_WORDS:
        if first == known and (on[0] == 110 or on[1] == 110):
            return POP3
    # RESP: an array of bulk strings, or a simple reply (redis.io/docs/reference/protocol-spec)
    if first >> 24 == 0x2A and 0x30 <= (first >> 16 & 255) <= 0x39:
        return REDIS
    if first == 0x2B4F4B0D or first == 0x2B504F4E:
        return REDIS
    for known in MEMCACHED_WORDS:
        if first == known:
            return MEMCACHED
    return 0


@inlined
def detect_tcp(octets: Any, flow: Any, at: Any, length: Any) -> Any:
    """What a prefix tells stays true of every longer one: the result is the same for all cuts."""
    if length < 4:
        return 0
    first = word(octets, at)
    on = (flow.port_a, flow.port_b)
    for known in READY:
        if first == known:
            return detect_greeting(octets, length, on, at)
    found = detect_text(first, on)
    if found:
        return found
    # TLS record of a handshake, RFC 8446 §5.1: type 22, version 3.x, then either Hello
    if first >> 16 == 0x1603 and (first >> 8 & 255) <= 4 and length >= 6:
        kind = octets[at + np.uint64(5)]
        if kind == 1 or kind == 2:
            return HTTPS if on[0] == 443 or on[1] == 443 else TLS
    if length < 8:
        return 0
    second = word(octets, at + np.uint64(4))
    # greeting of protocol 10: length, sequence 0, 10, then the version's first digit
    if first & 255 == 0 and second >> 24 == 10 and 0x30 <= (second >> 16 & 255) <= 0x39:
        return MYSQL
    # StartupMessage 3.0, SSLRequest, GSSENCRequest (PostgreSQL manual, 55.7)
    if second in (196608, 80877103, 80877104) and 8 <= first <= 10000:
        return POSTGRES
    # TPKT with an X.224 connection request or confirm (MS-RDPBCGR 2.2.1.1)
    if first >> 16 == 0x0300 and (second >> 16 & 255) in (0xE0, 0xD0):
        return RDP
    # NetBIOS session message with SMB 1 or 2 (MS-SMB2 2.1)
    if first >> 24 == 0 and second >> 24 in (0xFF, 0xFE) and second & 0xFFFFFF == SMB_WORD:
        return SMB
    # CONNECT with protocol name (MQTT 3.1.1 §3.1)
    if first >> 24 == 0x10:
        for shift in range(2, 6):
            if length >= shift + 6 and word(octets, at + np.uint64(shift + 2)) == MQTT_WORD:
                return MQTT
    # DNS over TCP, RFC 1035 §4.2.2
    if (on[0] == 53 or on[1] == 53) and length >= 14:
        return DNS
    # OP_MSG, OP_QUERY, OP_REPLY with a header that tells its own length (MongoDB wire protocol)
    if length >= 16:
        op = little(octets, at + np.uint64(12))
        if op in (1, 2004, 2012, 2013) and 16 <= little(octets, at) <= 48000000:
            return MONGODB
    return 0


@inlined
def detect_udp(octets: Any, flow: Any, at: Any, length: Any) -> Any:
    if length < 4:
        return 0
    on = (flow.port_a, flow.port_b)
    if length >= 12:
        few = np.int64(octets[at + np.uint64(4)]) == 0 and np.int64(octets[at + np.uint64(6)]) < 2
        if on[0] == 53 or on[1] == 53:
            return DNS if few else 0
        if on[0] == 5353 or on[1] == 5353:
            return MDNS if few else 0
        if on[0] == 5355 or on[1] == 5355:
            return DNS if few else 0
    if octets[at] & 0xC0 == 0xC0 and length >= 7:
        version = word(octets, at + np.uint64(1))
        if version in QUIC_VERSIONS or version >> 8 == 0xFF0000 or version >> 8 == 0x513034:
            return QUIC
    if (on[0] == 123 or on[1] == 123) and length >= 48:
        return NTP
    if length >= 240 and word(octets, at + np.uint64(236)) == DHCP_COOKIE:
        return DHCP
    return 0


@inlined
def detect(octets: Any, flow: Any, at: Any, length: Any) -> Any:
    """The service that the first bytes of a direction show; 0 = they do not tell."""
    if flow.proto == TCP:
        return detect_tcp(octets, flow, at, length)
    if flow.proto == UDP:
        return detect_udp(octets, flow, at, length)
    return 0


PORTS = {
    "http": (80, 8000, 8008, 8080, 8888, 3000, 5000), "https": (443, 8443), "tls": (853,),
    "dns": (53, 5355), "mdns": (5353,), "ssh": (22,), "smtp": (25, 465, 587), "ftp": (21,),
    "pop3": (110, 995), "imap": (143, 993), "redis": (6379,), "memcached": (11211,),
    "mysql": (3306,), "postgres": (5432,), "mongodb": (27017,), "ntp": (123,),
    "dhcp": (67, 68), "rdp": (3389,), "smb": (445, 139), "mqtt": (1883, 8883),
}  # fmt: skip


def port_services() -> "np.ndarray[tuple[int], np.dtype[np.uint8]]":
    """(65536,) index into SERVICES by port, 0 where a port says nothing."""
    table = np.zeros(65536, np.uint8)
    for name, ports in PORTS.items():
        table[list(ports)] = SERVICES.index(name)
    return table
