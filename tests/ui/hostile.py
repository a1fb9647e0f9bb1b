"""Traffic and names that try to be more than text, wherever a text may stand."""

import base64
import hashlib
import struct
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shared.frames import Address, Conversation, Recording, udp
from shared.sample import handshake, record
from tests.e2e.run import Served

START_US = 1_768_640_400_000_000
SERVER: Address = ("10.0.0.2", 8080)
RAN = "window.__ran=1"
LONG_BYTES = 10_000_000
ACCEPT_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3

# by what they try; each is text, so that it can stand in a comment as well as in a header
TEXTS = {
    "script": f"<script>{RAN}</script>",
    "event": f'"><img src=x onerror={RAN}><svg/onload={RAN}>',
    "attribute": f"' autofocus onfocus={RAN} x='`;{RAN};//",
    "address": f"javascript:{RAN} data:text/html,<script>{RAN}</script>",
    "style": "</style><style>*{display:none!important}</style><link rel=stylesheet href=//x>",
    "base": '<base href="//evil.example/"><meta http-equiv=refresh content="0;url=//evil.example">',
    "template": f"{{{{constructor.constructor('{RAN}')()}}}} ${{{RAN}}} #{{7*7}} <%= 7*7 %>",
    "format": "%s%n%x {0.__class__} $(id) `id` ; rm -rf ~ && !! ~/.ssh",
    "bidi": "user\u202egnp.exe\u202c \u2066isolated \u200fright\u200e\u061c \u05e9\u05dc\u05d5",
    "invisible": "pass\u200bword\u2060\ufeff\u00ad \ufe0f \U000e0041",
    "escapes": "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m\x9b5m\x08\x7f",
    "lines": "one\u2028two\u2029three\x85four\x0bfive\x0csix",
    "marks": "Z" + "\u0351\u0489\u20dd" * 120 + "algo",
    "wide": "\ufdfd" * 40 + "\U00012427" * 20 + "\U0001f469\u200d\U0001f4bb" * 10,
    "endless": "A" * 4000,
}
BROKEN = b"\xff\xfe\xc0\xaf\xed\xa0\x80\xf5\x80\x80\x80\xe2\x82 \x00\x01\x80"  # not UTF-8 anywhere


def octets(name: str) -> bytes:
    return TEXTS[name].encode()


def capture(path: Path) -> None:
    """Every text in every place of the protocols that the page explains."""
    recording = Recording()
    for number, name in enumerate(TEXTS):
        web(recording, number, octets(name))
        banner(recording, number, octets(name))
        names(recording, number, octets(name))
        secure(recording, number, octets(name))
        chat(recording, number, octets(name))
    web(recording, len(TEXTS), BROKEN)
    banner(recording, len(TEXTS), BROKEN)
    chat(recording, len(TEXTS), BROKEN)
    endless(recording)
    with path.open("wb") as file:
        recording.write(file)


def opened(recording: Recording, kind: int, number: int, server: Address = SERVER) -> Conversation:
    client = (f"10.0.{kind}.{number + 1}", 40_000 + number)
    talk = Conversation(recording, client, server, START_US + (kind * 100 + number) * 50_000)
    talk.open()
    return talk


def web(recording: Recording, number: int, text: bytes) -> None:
    """In the method, target, header names and values, bodies, and the reason."""
    line = text.replace(b"\n", b" ").replace(b"\r", b" ")
    target = quote(line, safe="<>\"'(){}$;:=/!*`,").encode()
    form = b"q=" + quote(text).encode()
    page = b"<html><body>" + text + b"</body></html>"
    talk = opened(recording, 1, number)
    talk.send(
        0,
        b"POST /" + target + b" HTTP/1.1\r\nHost: " + line + b"\r\nUser-Agent: " + line
        + b"\r\nX-" + line[:60].replace(b":", b"").replace(b" ", b"") + b": " + line
        + b"\r\nCookie: flag=" + line + b"\r\nContent-Type: application/x-www-form-urlencoded"
        + b"\r\nContent-Length: %d\r\n\r\n" % len(form) + form,
    )  # fmt: skip
    talk.send(
        1,
        b"HTTP/1.1 200 " + line + b"\r\nServer: " + line + b"\r\nSet-Cookie: " + line
        + b"\r\nContent-Type: text/html; charset=utf-8"
        + b"\r\nContent-Length: %d\r\n\r\n" % len(page) + page,
    )  # fmt: skip
    talk.send(0, line[:40] + b" / HTTP/1.1\r\nHost: h\r\n\r\n")  # no method at all
    talk.close()


def banner(recording: Recording, number: int, text: bytes) -> None:
    """As the first line of a protocol that nobody knows."""
    talk = opened(recording, 2, number, ("10.0.0.2", 31_337))
    talk.send(1, text + b"\n")
    talk.send(0, b"echo " + text + b"\nFLAG_" + text + b"\n")
    talk.close()


def names(recording: Recording, number: int, text: bytes) -> None:
    """As labels of a name that is looked up, and in an answer's text (RFC 1035 §3.3.14)."""
    client: Address = (f"10.0.3.{number + 1}", 50_000 + number)
    labels = b"".join(bytes([len(part)]) + part for part in (text[:60], text[60:120]) if part)
    question = labels + struct.pack("!BHH", 0, 16, 1)
    words = b"".join(bytes([len(part)]) + part for part in (text[:250], text[250:400]) if part)
    answer = struct.pack("!HHHIH", 0xC00C, 16, 1, 300, len(words)) + words
    at = START_US + (300 + number) * 50_000
    head = struct.pack("!6H", number, 0x0100, 1, 0, 0, 0)
    recording.add(at, udp(client, ("10.0.0.53", 53), head + question))
    head = struct.pack("!6H", number, 0x8180, 1, 1, 0, 0)
    recording.add(at + 900, udp(("10.0.0.53", 53), client, head + question + answer))


def secure(recording: Recording, number: int, text: bytes) -> None:
    """As the server's name in a hello, and a protocol (RFC 6066 §3, RFC 7301 §3.1)."""
    name, protocol = text[:200], text[:100]
    sni = struct.pack("!HBH", len(name) + 3, 0, len(name)) + name
    alpn = struct.pack("!HB", len(protocol) + 1, len(protocol)) + protocol
    extensions = b"".join(
        struct.pack("!HH", kind, len(body)) + body for kind, body in ((0, sni), (16, alpn))
    )
    body = struct.pack("!H", 0x0303) + bytes(32) + b"\0" + struct.pack("!HH", 2, 0x1301) + b"\x01\0"
    talk = opened(recording, 4, number, ("10.0.0.2", 443))
    talk.send(0, handshake(1, body + struct.pack("!H", len(extensions)) + extensions))
    talk.send(1, record(21, b"\x02\x28"))  # handshake_failure
    talk.close()


def chat(recording: Recording, number: int, text: bytes) -> None:
    """As messages of a WebSocket, whose texts may be broken, and as the reason for its end."""
    talk = opened(recording, 5, number)
    key = base64.b64encode(bytes([number] * 16))
    accept = base64.b64encode(hashlib.sha1(key + ACCEPT_KEY, usedforsecurity=False).digest())
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    talk.send(0, b"GET /chat HTTP/1.1\r\nHost: h\r\n" + upgrade + b"Sec-WebSocket-Version: 13\r\n"
              b"Sec-WebSocket-Key: " + key + b"\r\n\r\n")  # fmt: skip
    talk.send(1, b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade + b"Sec-WebSocket-Accept: "
              + accept + b"\r\n\r\n")  # fmt: skip
    talk.send(1, frame(1, text))
    talk.send(1, frame(8, struct.pack("!H", 1000) + text[:100]))
    talk.close()


def frame(opcode: int, payload: bytes) -> bytes:
    """RFC 6455 §5.2, from the server: without a mask."""
    size = len(payload)
    return (
        bytes([0x80 | opcode, size if size < 126 else 126])
        + (b"" if size < 126 else struct.pack("!H", size))
        + payload
    )


def endless(recording: Recording) -> None:
    """One line of ten million bytes without a space, from a server that says nothing else."""
    talk = opened(recording, 6, 0, ("10.0.0.2", 4_444))
    talk.send(0, b"GET\n")
    talk.step_us = 1
    talk.send(1, (b"<b onclick=" + RAN.encode() + b">").ljust(LONG_BYTES, b"A"))
    talk.close()


def name_everything(run: Served) -> None:
    """Each text as the name of whatever a team names, on streams that have it themselves too."""
    rows = run.rows(order="oldest")
    for number, (kind, text) in enumerate(TEXTS.items()):
        value = text[:200]
        pattern = {"kind": "substring", "value": value, "name": value[:64]}
        accepted(run, "POST", "/api/patterns", pattern)
        profile = {"id": f"trick-{kind}", "name": value[:64], "description": text[:1000]}
        accepted(run, "POST", "/api/profiles", profile)
        stream = rows[number]["stream_id_hex"]
        notes = {"comment": text, "tags": [value[:64], kind], "favorite": number % 2 == 0}
        accepted(run, "PATCH", f"/api/streams/{stream}", notes)
        rule = {"kind": "tag", "value": f"{value[:60]} not"}
        accepted(run, "POST", "/api/hide-rules", rule)


def accepted(run: Served, method: str, path: str, json: dict[str, Any]) -> None:
    """Taken as it is, or refused in a sentence: never an error of the server's own."""
    response = run.client.request(method, path, json=json)
    assert response.status_code in (200, 201, 400, 409, 422), response.text


def small_capture(path: Path) -> None:
    """One conversation."""
    recording = Recording()
    banner(recording, 200, octets("script"))
    with path.open("wb") as file:
        recording.write(file)
