"""What the first bytes say: text or not, which service, the preview; however they are cut."""

import codecs
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shard.kernels.inspect import BAD, is_control, utf8_step
from services.shard.kernels.services import PORTS
from shared.columns import SERVICES
from tests.reference import services as reference
from tests.reference.inspect import CONTROLS
from tests.reference.streams import Packet
from tests.shard_harness import ShardRun, ends, small

TCP, UDP = 6, 17
DATA = 24  # ACK and PSH


def only(run: ShardRun) -> dict[str, Any]:
    run.finish()
    (final,) = run.final().values()
    return final


def conversation(
    messages: Sequence[tuple[int, bytes]], port: int = 9999, proto: int = TCP
) -> list[Packet]:
    """(side, bytes) one after the other: 0 = the client says it."""
    pair, seqs, packets = (ends("10.0.0.1", 40000), ends("10.0.0.2", port)), [0, 0], []
    for side, octets in messages:
        flags = DATA if proto == TCP else 0
        packets.append(Packet(pair[side], pair[1 - side], octets, proto, flags, seqs[side]))
        seqs[side] += len(octets)
    return packets


def at_once(packets: Sequence[Packet]) -> dict[str, Any]:
    run = ShardRun()
    run.take(packets)
    return only(run)


def one_by_one(octets: bytes, port: int = 9999) -> dict[str, Any]:
    """A byte a packet, a packet a batch."""
    run = ShardRun()
    packets = conversation([(0, octets[i : i + 1]) for i in range(len(octets))], port)
    run.take_in_batches(packets, range(len(packets)))
    return only(run)


# --------------------------------------------------------------------------------- content kind

LONG = b"line of text\n" * 400  # more than the 4 KiB that decide


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (b"plain text\r\n\twith a tab\x1b[0m", "text"),
        ("Grüße, 世界 🙂".encode(), "text"),
        ("cut in a character: €".encode()[:-1], "text"),
        (b"\xef\xbb\xbfwith a byte order mark", "text"),
        (b"text at first, then\x00not", "mixed"),
        (b"12345678\xff", "mixed"),
        (b"1234567\xff", "binary"),
        (b"\x00\x01\x02", "binary"),
        (b"\xc0\x80overlong", "binary"),
        (b"\xed\xa0\x80surrogate", "binary"),
        (b"\xf4\x90\x80\x80too large", "binary"),
        (LONG + b"\x00", "text"),
        (LONG[:4095] + b"\x00", "mixed"),
    ],
)
def test_content_kind(octets: bytes, kind: str) -> None:
    assert at_once(conversation([(0, octets)]))["content_kind"] == [kind, kind, "unknown"]
    if len(octets) < 100:
        assert one_by_one(octets)["content_kind"] == [kind, kind, "unknown"]


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        (b"text", b"text", "text"),
        (b"text", b"\0", "mixed"),
        (b"\0", b"\0", "binary"),
        (b"longer text\0", b"longer text\0", "mixed"),
        (b"", b"\0", "binary"),
    ],
)
def test_content_kind_of_both(a: bytes, b: bytes, kind: str) -> None:
    assert at_once(conversation([(0, a), (1, b)]))["content_kind"][0] == kind


@given(st.binary(max_size=12) | st.text(max_size=6).map(str.encode))
def test_utf8_is_what_python_says(octets: bytes) -> None:
    state: Any = 0
    for byte in octets:
        state = step(state, byte)
        if state == BAD:
            break
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(octets, final=False)
        valid = True
    except UnicodeDecodeError:
        valid = False
    assert (state != BAD) == valid
    if valid:
        whole = True
        try:
            octets.decode()
        except UnicodeDecodeError:
            whole = False
        assert (state == 0) == whole


step = getattr(utf8_step, "py_func", utf8_step)


def test_control_characters() -> None:
    control = getattr(is_control, "py_func", is_control)
    assert {byte for byte in range(256) if control(byte)} == CONTROLS


# -------------------------------------------------------------------------------------- service

TOLD = [
    ("http", b"GET / HTTP/1.1\r\n\r\n", 9999),
    ("http", b"HTTP/1.0 200 OK\r\n", 9999),
    ("http", b"PROPFIND /dav HTTP/1.1\r\n", 9999),
    ("http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 80),
    ("ssh", b"SSH-2.0-OpenSSH_9.6\r\n", 2022),
    ("smtp", b"220 mail.example.org ESMTP ready\r\n", 9999),
    ("smtp", b"220 whatever\r\n", 587),
    ("smtp", b"EHLO there\r\n", 9999),
    ("ftp", b"220 ProFTPD FTP Server\r\n", 9999),
    ("ftp", b"220 hello\r\n", 21),
    ("ftp", b"USER anonymous\r\n", 21),
    ("", b"220 neither\r\n", 9999),
    ("pop3", b"+OK ready\r\n", 110),
    ("imap", b"* OK IMAP4rev1 ready\r\n", 9999),
    ("redis", b"*1\r\n$4\r\nPING\r\n", 9999),
    ("redis", b"+PONG\r\n", 9999),
    ("memcached", b"get some_key\r\n", 9999),
    ("tls", bytes.fromhex("16030100f8010000f40303"), 9999),
    ("https", bytes.fromhex("16030100f8010000f40303"), 443),
    ("", bytes.fromhex("16030100f80b"), 9999),
    ("mysql", b"\x4a\0\0\0\x0a8.0.36\0", 9999),
    ("postgres", bytes.fromhex("0000002900030000") + b"user\0", 9999),
    ("postgres", bytes.fromhex("0000000804d2162f"), 9999),
    ("rdp", bytes.fromhex("0300001302e00000000000"), 9999),
    ("smb", b"\0\0\0\x45\xffSMBr\0\0\0", 9999),
    ("smb", b"\0\0\0\x45\xfeSMB@\0\0\0", 9999),
    ("mqtt", b"\x10\x0f\0\x04MQTT\x04\x02\0\x3c", 9999),
    ("mqtt", b"\x10\x8f\x01\0\x04MQTT\x05\x02\0\x3c", 9999),
    ("mongodb", bytes.fromhex("3a000000 01000000 00000000 dd070000 0000"), 9999),
    ("dns", bytes.fromhex("001d 1234 0100 0001 0000 0000 0000"), 53),
]


@pytest.mark.parametrize(("service", "octets", "port"), TOLD)
def test_service_by_payload(service: str, octets: bytes, port: int) -> None:
    wanted = (service, "payload") if service else ("", "none")
    for final in (at_once(conversation([(0, octets)], port)), one_by_one(octets, port)):
        assert (final["service"], final["service_from"]) == wanted
    assert reference.tcp({40000, port}, octets) == service


DATAGRAMS = [
    ("dns", bytes.fromhex("1234 0100 0001 0000 0000 0000 00"), 53, "payload"),
    ("dns", b"\xff" * 30, 53, "port"),
    ("mdns", bytes.fromhex("0000 8400 0000 0001 0000 0000 00"), 5353, "payload"),
    ("dns", bytes.fromhex("1234 0000 0001 0000 0000 0000 00"), 5355, "payload"),
    ("quic", bytes.fromhex("c3 00000001 08 0011223344556677"), 9999, "payload"),
    ("quic", bytes.fromhex("c3 6b3343cf 08 0011223344556677"), 9999, "payload"),
    ("", bytes.fromhex("c3 00000007 08 0011223344556677"), 9999, "none"),
    ("ntp", b"\x23" + bytes(47), 123, "payload"),
    ("ntp", b"\x23" + bytes(46), 123, "port"),
    ("dhcp", bytes(236) + bytes.fromhex("63825363"), 9999, "payload"),
]


@pytest.mark.parametrize(("service", "octets", "port", "source"), DATAGRAMS)
def test_service_of_datagrams(service: str, octets: bytes, port: int, source: str) -> None:
    final = at_once(conversation([(0, octets)], port, UDP))
    assert (final["service"], final["service_from"]) == (service, source)


def test_the_first_datagram_tells_the_second_does_not() -> None:
    query = bytes.fromhex("1234 0100 0001 0000 0000 0000 00")
    final = at_once(conversation([(0, b"?"), (0, query)], 53, UDP))
    assert final["service_from"] == "port"


@given(st.binary(max_size=40), st.sampled_from((21, 25, 53, 110, 443, 9999)), st.integers(0, 40))
def test_what_a_prefix_tells_stays_true(octets: bytes, port: int, cut: int) -> None:
    """That is why the service does not depend on how a message was cut."""
    told = reference.tcp({port, 1}, octets[:cut])
    assert not told or reference.tcp({port, 1}, octets) == told


@given(st.sampled_from(TOLD), st.integers(0, 40))
def test_what_a_real_prefix_tells_stays_true(case: tuple[str, bytes, int], cut: int) -> None:
    service, octets, port = case
    assert reference.tcp({port, 1}, octets[:cut]) in ("", service)


def test_ports_are_those_of_the_twin() -> None:
    listed = {port: name for name, ports in PORTS.items() for port in ports}
    assert listed == reference.PORTS
    assert set(PORTS) <= set(SERVICES)


def test_a_long_conversation_in_small_pieces_is_told_from_its_beginning() -> None:
    """The first message is in many pieces, with much from the other side between them."""
    run = ShardRun()
    pieces = b"SSH-2.0-slow"
    packets = conversation(
        [part for i in range(len(pieces)) for part in ((0, pieces[i : i + 1]), (1, b"noise" * 20))]
    )
    run.take_in_batches(packets, range(0, len(packets), 5))
    assert only(run)["service"] == "ssh"


# -------------------------------------------------------------------------------------- preview


@pytest.mark.parametrize("limit", [0, 1, 100, 256])
@pytest.mark.parametrize("cut", [1, 7, 300])
def test_preview(limit: int, cut: int) -> None:
    octets = bytes(i % 251 for i in range(600))
    run = ShardRun(small(stream_preview_bytes=limit))
    packets = conversation([(0, octets[i : i + cut]) for i in range(0, len(octets), cut)])
    run.take_in_batches(packets, range(0, len(packets), 3))
    final = only(run)
    told = run.preview.get((final["stream_id"], 0), {})
    assert told == dict(enumerate(octets[:limit]))
    assert (final["stream_id"], 1) not in run.preview
