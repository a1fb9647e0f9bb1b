"""Which service a stream is, by its first bytes or its port: the twin of what `inspect_groups`
detects.

Of a TCP direction the first 128 bytes are looked at, as they come and as far as none is missing;
of UDP the first datagram of each direction. What tells first stays.
"""

import re
import struct
from collections.abc import Mapping, Sequence

from shared.flow_key import FlowKey

HEAD_UPTO = 128
TCP, UDP = 6, 17
PORTS = {
    21: "ftp", 22: "ssh", 25: "smtp", 53: "dns", 67: "dhcp", 68: "dhcp", 80: "http", 110: "pop3",
    123: "ntp", 139: "smb", 143: "imap", 443: "https", 445: "smb", 465: "smtp", 587: "smtp",
    853: "tls", 993: "imap", 995: "pop3", 1883: "mqtt", 3000: "http", 3306: "mysql",
    3389: "rdp", 5000: "http", 5353: "mdns", 5355: "dns", 5432: "postgres", 6379: "redis",
    8000: "http", 8008: "http", 8080: "http", 8443: "https", 8883: "mqtt", 8888: "http",
    11211: "memcached", 27017: "mongodb",
}  # fmt: skip
HTTP = re.compile(
    rb"GET |HEAD|POST|PUT |DELE|CONN|OPTI|TRAC|PATC|PROP|MKCO|COPY|MOVE|LOCK|UNLO|REPO|SEAR|HTTP"
)
MEMCACHED = re.compile(rb"get |gets|set |add |stat|STAT|incr|decr|VALU|STOR")
REDIS = re.compile(rb"\*[0-9]..|\+OK\r|\+PON", re.DOTALL)


def by_port(port: int) -> str:
    return PORTS.get(port, "")


def is_known(port: int) -> bool:
    """A port that servers have: listed, or of the system range (RFC 6335 §6)."""
    return port in PORTS or 0 < port < 1024


def told_by_payload(
    key: FlowKey, said: Sequence[tuple[int, range]], data: Sequence[Mapping[int, int]]
) -> str:
    """By what both directions said, in order; "" = it does not tell."""
    ports = {key.a.port, key.b.port}
    for side, piece in said:
        if key.proto == UDP and piece.start == 0:
            found = udp(ports, bytes(data[side][at] for at in piece))
        elif key.proto == TCP and piece.start < HEAD_UPTO:
            places = range(min(piece.stop, HEAD_UPTO))
            whole = all(at in data[side] for at in places)
            found = tcp(ports, bytes(data[side][at] for at in places)) if whole else ""
        else:
            continue
        if found:
            return found
    return ""


def tcp(ports: set[int], head: bytes) -> str:
    if len(head) < 4:
        return ""
    if head[:4] in (b"220 ", b"220-"):
        return greeting(ports, head)
    return line_protocol(ports, head) or binary(ports, head)


def greeting(ports: set[int], head: bytes) -> str:
    """FTP and SMTP begin alike (RFC 959 §4.2, RFC 5321 §4.2)."""
    if 21 in ports:
        return "ftp"
    if ports & {25, 465, 587, 2525}:
        return "smtp"
    named = re.search(rb"FTP |SMTP", head)
    return {b"FTP ": "ftp", b"SMTP": "smtp"}[named[0]] if named else ""


def line_protocol(ports: set[int], head: bytes) -> str:
    word = head[:4]
    if HTTP.match(head):
        return "http"
    if MEMCACHED.match(head):
        return "memcached"
    if REDIS.match(head):
        return "redis"
    if word in (b"USER", b"AUTH") and 21 in ports:
        return "ftp"
    if word in (b"+OK ", b"CAPA", b"STLS") and 110 in ports:
        return "pop3"
    words = {b"PRI ": "http2", b"SSH-": "ssh", b"* OK": "imap"}
    return words.get(word, "smtp" if word in (b"EHLO", b"HELO", b"MAIL") else "")


def binary(ports: set[int], head: bytes) -> str:
    if head[:2] == b"\x16\x03" and head[2] <= 4 and head[5:6] in (b"\x01", b"\x02"):
        return "https" if 443 in ports else "tls"
    if len(head) < 8:
        return ""
    first, second = struct.unpack("!II", head[:8])
    if head[3:5] == b"\0\n" and head[5:6].isdigit():
        return "mysql"
    if second in (0x30000, 80877103, 80877104) and 8 <= first <= 10000:
        return "postgres"
    if head[:2] == b"\x03\0" and head[5] in (0xE0, 0xD0):
        return "rdp"
    if head[0] == 0 and head[4:8] in (b"\xffSMB", b"\xfeSMB"):
        return "smb"
    if head[0] == 0x10 and any(head[at : at + 4] == b"MQTT" for at in range(4, 8)):
        return "mqtt"
    if 53 in ports and len(head) >= 14:
        return "dns"
    return mongodb(head)


def mongodb(head: bytes) -> str:
    if len(head) < 16:
        return ""
    length, _, _, operation = struct.unpack("<IIII", head[:16])
    return "mongodb" if operation in (1, 2004, 2012, 2013) and 16 <= length <= 48000000 else ""


def udp(ports: set[int], datagram: bytes) -> str:
    if len(datagram) >= 12 and ports & {53, 5353, 5355}:
        few = datagram[4] == 0 and datagram[6] < 2
        name = "mdns" if 53 not in ports and 5353 in ports else "dns"
        return name if few else ""
    if len(datagram) >= 7 and datagram[0] >= 0xC0:
        (version,) = struct.unpack("!I", datagram[1:5])
        known = version in (1, 0x6B3343CF)  # RFC 9000 §15, RFC 9369 §3.1
        if known or version >> 8 in (0xFF0000, 0x513034):  # drafts, and Google's Q04x
            return "quic"
    if 123 in ports and len(datagram) >= 48:
        return "ntp"
    return "dhcp" if datagram[236:240] == b"\x63\x82\x53\x63" else ""
