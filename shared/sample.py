"""A capture to try flowmate with: a few minutes of a small team box, always the same bytes.

Web requests on kept-alive connections, names looked up, TLS and SSH that begin, some UDP, and what
captures have in real life: a lost segment, a retransmission, segments out of order, a reset, a
scan that nobody answers, a connection still open at the end.
"""

import argparse
import random
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

from shared.command_line import Parser
from shared.errors import EXIT_OK, UserError
from shared.frames import ACK, PSH, RST, SYN, Conversation, Recording, icmp_echo, udp

BEGIN_US = 1_768_640_400_000_000  # 2026-01-17 09:00:00 UTC
SECOND_US = 1_000_000
WEB = ("10.10.2.2", 8080)
RESOLVER, RESOLVER6 = ("10.10.0.53", 53), ("fd00:10::53", 53)
NAMES = {
    "scoreboard.ctf.example": "10.10.0.10",
    "team2.ctf.example": "10.10.2.2",
    "mirror.example": "192.0.2.80",
    "login.shop.example": "198.51.100.7",
}
PATHS = ("/", "/health", "/api/notes", "/api/notes/17", "/static/app.js", "/login", "/search?q=tea")
DNS_A, DNS_IN, DNS_RESPONSE = 1, 1, 0x8180


def recording() -> Recording:
    """The frames of the sample."""
    result = Recording()
    chance = random.Random(20260117)  # noqa: S311  the same traffic every time
    for number in range(48):
        web_client(result, chance, number)
    names(result)
    tls(result, chance)
    ssh(result)
    datagrams(result)
    damaged_download(result, chance)
    scan(result)
    return result


def web_client(result: Recording, chance: random.Random, number: int) -> None:
    """One client with one kept-alive connection and a handful of requests."""
    client = (f"10.10.{3 + number % 9}.{20 + number}", 40000 + 7 * number)
    talk = Conversation(result, client, WEB, BEGIN_US + number * 3_700_000)
    talk.open()
    for turn in range(3 + chance.randrange(5)):
        talk.send(0, request(chance, number, turn))
        talk.pause(chance.randrange(500, 30_000))
        talk.send(1, response(chance, turn))
        talk.pause(chance.randrange(1_000, 2_000_000))
    if number == 47:
        return  # still open when the capture ends
    if number % 12 == 11:
        talk.packet(1, RST | ACK)
    else:
        talk.close()


def request(chance: random.Random, number: int, turn: int) -> bytes:
    path = chance.choice(PATHS)
    head = f"Host: team2.ctf.example:8080\r\nUser-Agent: checker/{1 + number % 4}.0\r\n"
    if turn % 3 != 2:
        return f"GET {path} HTTP/1.1\r\n{head}Accept: */*\r\n\r\n".encode()
    flag = chance.randbytes(12).hex().upper()
    body = f'{{"title": "note {turn}", "text": "FLAG_{flag}"}}'
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"POST /api/notes HTTP/1.1\r\n{head}\r\n{body}".encode()


def response(chance: random.Random, turn: int) -> bytes:
    words = ("stream", "packet", "segment", "round", "checker", "service", "note", "tea")
    text = " ".join(chance.choice(words) for _ in range(chance.randrange(40, 500))).encode()
    head = b"HTTP/1.1 200 OK\r\nServer: notes/1.4\r\nContent-Type: text/plain\r\n"
    if turn % 4 == 3:  # RFC 9112 §7.1
        half = len(text) // 2
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (text[:half], text[half:]))
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(text) + text


def names(result: Recording) -> None:
    """Look-ups over IPv4 and IPv6, RFC 1035 §4."""
    for i in range(60):
        name, address = list(NAMES.items())[i % len(NAMES)]
        port, at = 50_000 + i, BEGIN_US + i * 2_900_000
        client, server = (
            ((f"fd00:10::{i:x}", port), RESOLVER6)
            if i % 5 == 4
            else ((f"10.10.3.{i}", port), RESOLVER)
        )
        labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
        question = labels + struct.pack("!BHH", 0, DNS_A, DNS_IN)
        query = struct.pack("!6H", i, 0x0100, 1, 0, 0, 0) + question
        answer = struct.pack("!HHHIH", 0xC00C, DNS_A, DNS_IN, 300, 4)
        answer += bytes(int(part) for part in address.split("."))
        result.add(at, udp(client, server, query))
        reply = struct.pack("!6H", i, DNS_RESPONSE, 1, 1, 0, 0) + question + answer
        result.add(at + 1_400, udp(server, client, reply))


def tls(result: Recording, chance: random.Random) -> None:
    """Handshakes up to the first encrypted records, RFC 8446 §4 and §5."""
    for i in range(6):
        client = (f"10.10.4.{30 + i}", 45_000 + i)
        talk = Conversation(result, client, ("198.51.100.7", 443), BEGIN_US + i * 21_000_000)
        talk.open()
        talk.send(0, client_hello(chance, "login.shop.example"))
        hello = struct.pack("!H", 0x0303) + chance.randbytes(32) + b"\0\x13\x01\0" + b"\0\0"
        talk.send(1, handshake(2, hello) + record(23, chance.randbytes(2_400)))
        talk.send(0, record(23, chance.randbytes(300)))
        talk.send(1, record(23, chance.randbytes(6_000)))
        talk.close()


def client_hello(chance: random.Random, host: str) -> bytes:
    name = host.encode()
    sni = struct.pack("!HBH", len(name) + 3, 0, len(name)) + name  # RFC 6066 §3
    alpn = b"\x00\x0c\x02h2\x08http/1.1"  # RFC 7301 §3.1
    extensions = b"".join(
        struct.pack("!HH", kind, len(body)) + body
        for kind, body in ((0, sni), (16, alpn), (43, b"\x04\x03\x04\x03\x03"))
    )
    ciphers = struct.pack("!4H", 0x1301, 0x1302, 0x1303, 0xC02F)
    body = struct.pack("!H", 0x0303) + chance.randbytes(32) + b"\0"
    body += struct.pack("!H", len(ciphers)) + ciphers + b"\x01\0"
    return handshake(1, body + struct.pack("!H", len(extensions)) + extensions)


def handshake(kind: int, body: bytes) -> bytes:
    return record(22, bytes([kind]) + len(body).to_bytes(3, "big") + body)


def record(kind: int, body: bytes) -> bytes:
    return struct.pack("!BHH", kind, 0x0303, len(body)) + body


def ssh(result: Recording) -> None:
    """Both banners, RFC 4253 §4.2."""
    talk = Conversation(result, ("10.10.5.9", 51_022), ("10.10.2.2", 22), BEGIN_US + 9_000_000)
    talk.open()
    talk.send(1, b"SSH-2.0-OpenSSH_9.9\r\n")
    talk.send(0, b"SSH-2.0-paramiko_3.5\r\n")
    talk.close()


def datagrams(result: Recording) -> None:
    """A clock (RFC 5905 §7.3), a game's heartbeat, a ping."""
    clock = b"\x23\x00\x06\xec".ljust(48, b"\0")
    for i in range(40):
        at = BEGIN_US + i * 4_000_000
        player, server = ("10.10.6.6", 27_015), ("10.10.2.2", 9_999)
        result.add(at, udp(player, server, b"PING %08d" % i))
        result.add(at + 700, udp(server, player, b"PONG %08d" % i))
        if i % 8 == 0:
            result.add(at, udp(("10.10.2.2", 123), ("192.0.2.123", 123), clock))
        for reply in (False, True):
            ends = ("10.10.2.2", "10.10.0.1") if reply else ("10.10.0.1", "10.10.2.2")
            frame = icmp_echo(*ends, reply=reply, ident=77, seq=i, payload=bytes(range(48)))
            result.add(at + 90 * reply, frame)


def damaged_download(result: Recording, chance: random.Random) -> None:
    """A download as a busy capture sees it: repeated, out of order, and with a hole."""
    talk = Conversation(result, ("10.10.7.7", 46_001), ("192.0.2.80", 80), BEGIN_US + 30_000_000)
    talk.open()
    talk.send(0, b"GET /big.bin HTTP/1.1\r\nHost: mirror.example\r\n\r\n")
    body = chance.randbytes(60_000)
    talk.send(1, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
    for at in range(0, len(body), 1_200):
        talk.packet(1, ACK | PSH, body[at : at + 1_200], lost=at == 36_000)
        if at % 9_600 == 0:
            talk.packet(0, ACK)
        if at == 12_000:  # the last frame comes twice
            result.add(talk.now_us, result.frames[-1][1])
        if at == 24_000:  # and here the last two change places
            (t1, first), (t2, second) = result.frames[-2:]
            result.frames[-2:] = [(t1, second), (t2, first)]
    talk.packet(0, ACK)
    talk.close()


def scan(result: Recording) -> None:
    """Ports that nobody answers on."""
    for port in range(8_000, 8_040):
        talk = Conversation(
            result, ("203.0.113.66", 60_000), ("10.10.2.2", port), BEGIN_US + port * 20_000
        )
        talk.packet(0, SYN)


def main(argv: Sequence[str]) -> int:
    """`flowmate sample [-o FILE]`."""
    parser = Parser(prog="flowmate sample", description="Write a capture to try things with.")
    parser.add_argument("-o", "--output", default="sample.pcap", metavar="FILE")
    given: argparse.Namespace = parser.parse_args(argv)
    if given.output == "-":
        recording().write(sys.stdout.buffer)
        sys.stdout.flush()
        return EXIT_OK
    try:
        with Path(given.output).open("wb") as file:
            recording().write(file)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"-o {given.output}: {reason}; choose another file") from None
    print(f"{given.output}: {Path(given.output).stat().st_size:,} bytes", file=sys.stderr)
    return EXIT_OK
