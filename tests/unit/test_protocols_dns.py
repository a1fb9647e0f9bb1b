"""DNS messages: octets in, detail out."""

import struct
import time
from typing import Any

import dpkt
import pytest

from services.api.protocols import explain


def detail(octets: bytes | None, name: str = "") -> dict[str, Any]:
    row = {"text": "", "name": name, "value": 0, "code": 0, "framing": 0, "marks": 0}
    return explain("dns", "response", octets, **row)  # type: ignore[arg-type]


def encoded(name: str) -> bytes:
    labels = [label.encode() for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def message(*sections: list[bytes], flags: int = 0x8180) -> bytes:
    counts = [len(section) for section in sections] + [0] * (4 - len(sections))
    return struct.pack(">6H", 7, flags, *counts) + b"".join(b"".join(s) for s in sections)


def record(kind: int, data: bytes, name: bytes = b"\0", cls: int = 1, ttl: int = 60) -> bytes:
    return name + struct.pack(">HHIH", kind, cls, ttl, len(data)) + data


QUESTION = encoded("example.org") + b"\0\1\0\1"
BACK = b"\xc0\x0c"  # to the question's name


def test_a_message() -> None:
    answer = record(1, bytes([192, 0, 2, 1]), BACK)
    assert detail(message([QUESTION], [answer], flags=0x8583)) == {
        "id": 7,
        "opcode": "QUERY",
        "rcode": "NXDOMAIN",
        "flags": ["qr", "aa", "rd", "ra"],
        "questions": [{"name": "example.org", "type": "A", "class": "IN"}],
        "answers": [
            {"name": "example.org", "type": "A", "class": "IN", "ttl": 60, "data": "192.0.2.1"}
        ],
        "authority": [],
        "additional": [],
    }


SOA = {"mname": "ns.example.org", "rname": "mail.example.org"} | {
    "serial": 1, "refresh": 2, "retry": 3, "expire": 4, "minimum": 5,
}  # fmt: skip
SVCB = (
    b"\0\1\0" + b"\0\0\0\2\0\1" + b"\0\1\0\6\2h2\2h3" + b"\0\2\0\0" + b"\0\3\0\2\1\xbb"
    b"\0\4\0\4\x01\x02\x03\x04"
    + b"\0\6\0\x10"
    + bytes(15)
    + b"\1"
    + b"\0\7\0\3/{}"
    + b"\0\x09\0\1\xff"
)


@pytest.mark.parametrize(
    ("kind", "name", "data", "expected"),
    [
        (28, "AAAA", bytes(15) + b"\1", "::1"),
        (2, "NS", b"\2ns" + BACK, "ns.example.org"),
        (5, "CNAME", BACK, "example.org"),
        (12, "PTR", encoded("a.b"), "a.b"),
        (6, "SOA", b"\2ns" + BACK + b"\4mail" + BACK + struct.pack(">5I", 1, 2, 3, 4, 5), SOA),
        (15, "MX", b"\0\x0a\2mx" + BACK, {"preference": 10, "exchange": "mx.example.org"}),
        (16, "TXT", b"\3abc\0\2\xc3\xa4", ["abc", "", "ä"]),
        (33, "SRV", b"\0\1\0\2\x13\x88" + BACK,
         {"priority": 1, "weight": 2, "port": 5000, "target": "example.org"}),
        (257, "CAA", b"\x80\5issueca.net", {"flags": 128, "tag": "issue", "value": "ca.net"}),
        (65, "HTTPS", SVCB, {"priority": 1, "target": ".", "params": {
            "mandatory": ["alpn"], "alpn": ["h2", "h3"], "no-default-alpn": True, "port": 443,
            "ipv4hint": ["1.2.3.4"], "ipv6hint": ["::1"], "dohpath": "/{}", "key9": "ff"}}),
        (64, "SVCB", b"\0\0" + BACK, {"priority": 0, "target": "example.org", "params": {}}),
        (48, "DNSKEY", b"\1\2", "0102"),
        (65280, "TYPE65280", b"", ""),
    ],
)  # fmt: skip
def test_data_of_records(kind: int, name: str, data: bytes, expected: Any) -> None:
    found = detail(message([QUESTION], [], [record(kind, data, BACK)]))
    assert "note" not in found
    assert found["authority"] == [
        {"name": "example.org", "type": name, "class": "IN", "ttl": 60, "data": expected}
    ]


@pytest.mark.parametrize(
    ("kind", "data"),
    [(1, b"\1\2\3"), (1, b"\1\2\3\4\5"), (15, b"\0"), (5, b"\xc0\xff"), (16, b"\5a")],
)
def test_data_that_is_wrong_is_shown_in_hex(kind: int, data: bytes) -> None:
    found = detail(message([QUESTION], [record(kind, data), record(1, bytes(4))]))
    wrong, good = found["answers"]
    assert wrong["data"] == data.hex()
    assert wrong["note"]
    assert good["data"] == "0.0.0.0"


def test_edns() -> None:
    opt = record(41, b"\0\x0a\0\2\xab\xcd\xff\xff\0\0", cls=1232, ttl=0x01008000)
    found = detail(message([QUESTION], [], [], [opt, record(1, bytes(4))], flags=0x8000))
    assert found["edns"] == {
        "udp_size": 1232,
        "extended_rcode": 1,
        "version": 0,
        "do": True,
        "options": [
            {"code": 10, "name": "COOKIE", "data": "abcd"},
            {"code": 65535, "name": "OPT65535", "data": ""},
        ],
    }
    assert found["rcode"] == "BADVERS"
    assert len(found["additional"]) == 1


def test_multicast_bits() -> None:
    question = encoded("a.local") + b"\0\x0c\x80\1"
    found = detail(message([question], [record(1, bytes(4), cls=0x8001)], flags=0))
    assert found["questions"][0] == {
        "name": "a.local", "type": "PTR", "class": "IN", "unicast_response": True,
    }  # fmt: skip
    assert found["answers"][0]["cache_flush"] is True
    assert found["answers"][0]["class"] == "IN"


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"\0", "."),
        (b"\3a.b\0", "a\\.b"),
        (b"\2\\\x07\0", "\\\\\\007"),
        (b"\2\xff.\0", "\\255\\."),
        (b"\4J\xc3\xb6g\0", "Jög"),
        (b"\6my mac\0", "my mac"),
        (b"\x3f" + b"a" * 63 + b"\0", "a" * 63),
    ],
)
def test_names(octets: bytes, text: str) -> None:
    assert detail(message([octets + b"\0\1\0\1"]))["questions"][0]["name"] == text


@pytest.mark.parametrize(
    "name",
    [b"\xc0\x0c", b"\xc0\x0e\xc0\x0c", b"\1a\xc0\x0c", b"\xc0\xff", b"\x40a", b"\x80", b"\xc0",
     b"\x3f" * 300, (b"\x3f" + b"a" * 63) * 5 + b"\0"],
)  # fmt: skip
def test_names_that_lead_nowhere(name: bytes) -> None:
    found = detail(message([name + b"\0\1\0\1"]))
    assert found["id"] == 7
    assert found["questions"] == []
    assert found["note"]


def test_what_was_read_before_a_cut_stays() -> None:
    whole = message([QUESTION], [record(1, bytes(4), BACK), record(16, b"\3abc", BACK)])
    full = detail(whole)
    for size in range(len(whole)):
        found = detail(whole[:size])
        assert found["note"], size
        assert found["questions"] in ([], full["questions"])
        assert found["answers"][:1] in ([], full["answers"][:1]) or "note" in found["answers"][0]
    assert "note" not in full


@pytest.mark.parametrize(
    "octets",
    [
        struct.pack(">6H", 1, 0, 65535, 65535, 65535, 65535) + b"\0\0\1\0\1" * 13_000,
        struct.pack(">6H", 1, 0, 1, 65535, 0, 0) + b"\0\0\1\0\1"
        + b"".join(struct.pack(">H", 0xC000 | max(12, 17 + 2 * i - 2)) for i in range(8000))
        + record(1, bytes(4), b"\xff\xff") * 1000,
        struct.pack(">6H", 1, 0, 0, 65535, 0, 0) + record(16, b"\0" * 65_000),
    ],
    ids=["counts", "pointers", "strings"],
)  # fmt: skip
def test_work_is_bounded(octets: bytes) -> None:
    began = time.process_time()
    detail(octets)
    assert time.process_time() - began < 0.5


def test_against_dpkt() -> None:
    built = dpkt.dns.DNS(
        id=99,
        qd=[dpkt.dns.DNS.Q(name="www.example.net", type=1)],
        an=[dpkt.dns.DNS.RR(name="www.example.net", type=5, cname="web.example.net", rlen=0)],
    )
    found = detail(bytes(built))
    assert (found["id"], found["questions"][0]["name"]) == (99, "www.example.net")
    assert found["answers"][0]["data"] == "web.example.net"


def test_without_octets() -> None:
    found = detail(None, "example.org")
    assert found["questions"] == [{"name": "example.org", "type": None, "class": None}]
    assert found["note"]
    assert detail(None)["questions"] == []
