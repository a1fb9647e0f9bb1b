"""Captured packets of a stream as the API finds them, and files made of them."""

import asyncio
import io
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import dpkt
import numpy as np
import pytest

from services.api import packet_export
from services.api import ring as ring_module
from services.api.backend import Backend
from services.api.packet_export import packet_file
from services.api.packets import LINKTYPE_RAW, file_header
from services.api.problems import Problem
from services.api.ring import Kept, Ring, key_of
from services.api.streams import FoundStream
from shared.columns import EVENT_CLOSE, ICMP, UDP
from shared.packet_ring import segments
from tests import builders as b
from tests.api_fakes import event
from tests.ring_site import A4, B4, hash_of, ring, take, traffic

START = 10**18
T = TypeVar("T")


def told(packets: int, **fields: int) -> np.void:
    """EVENT row of the UDP stream between 10.0.0.1:5000 and 10.0.0.2:53."""
    values = {"proto": UDP, "port_a": 5000, "port_b": 53, "first_ns": START} | fields
    row = event(**values)
    row["packets"][0] = (packets, 0)
    one: np.void = row[0]
    return one


def said(number: int) -> bytes:
    return b.udp4(A4, 5000, B4, 53, b"packet %d" % number)


def run(answer: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(answer)


async def found(folder: Path, row: np.void, seconds: float = 5) -> Kept:
    return await Ring(str(folder)).packets_of(row, asyncio.get_running_loop().time() + seconds)


async def blocks(folder: Path, kept: Kept) -> bytes:
    return b"".join([piece async for piece in Ring(str(folder)).blocks(kept)])


def frames(kept: Kept, octets: bytes) -> list[bytes]:
    header = file_header("note", [(link, "captured") for link in kept.links])
    return [frame for _, frame in dpkt.pcapng.Reader(io.BytesIO(header + octets))]


class Stream(FoundStream):
    """A stream of which only the EVENT row is known."""

    def __init__(self, row: np.void) -> None:
        self.event, self.client = row, 0


async def exported(folder: str, row: np.void, wanted: packet_export.Wanted) -> tuple[str, bytes]:
    unused = Backend.__new__(Backend)  # whoever asks a shard fails
    file = await packet_file(unused, Ring(folder), Stream(row), [0, 1], wanted)
    return file.note, b"".join([piece async for piece in file.pieces])


# ----------------------------------------------------------------------------- look-ups
def test_a_key_has_the_hash_of_the_flow() -> None:
    assert key_of(told(1)).hash() == hash_of(UDP, (A4, 5000), (B4, 53))
    six = event(
        family=6, addr_a_hi=0x20010DB8 << 32, addr_a_lo=1, addr_b_hi=0xFE80 << 48, addr_b_lo=2
    )[0]
    assert key_of(six).a.text == "2001:db8::1"
    assert key_of(six).hash() == hash_of(6, ("2001:db8::1", 40000), ("fe80::2", 80))


def test_packets_of_several_link_types_come_in_their_order(tmp_path: Path) -> None:
    file = b.pcapng_section() + b.pcapng_interface(1, resolution=9)
    file += b.pcapng_interface(LINKTYPE_RAW, resolution=9)
    sent = []
    for i in range(300):
        raw = i % 3 == 1
        frame = said(i)[14:] if raw else said(i)
        sent.append(frame)
        file += b.pcapng_packet(START + i, frame, len(frame) + i, interface=int(raw))
    with ring(tmp_path / "ring") as one:
        take(one, tmp_path, file, batch=50)
    kept = run(found(tmp_path / "ring", told(300)))
    assert (kept.packets, kept.links, kept.first_ns) == (300, [1, LINKTYPE_RAW], START)
    octets = run(blocks(tmp_path / "ring", kept))
    assert frames(kept, octets) == sent
    at = 0
    for i in range(300):  # enhanced packet blocks
        _, size, interface, high, low, _, wire = np.frombuffer(octets, "<u4", 7, at).tolist()
        assert (interface, high << 32 | low, wire) == (i % 3 == 1, START + i, len(sent[i]) + i)
        at += size
    assert at == len(octets)


def test_only_packets_of_this_incarnation(tmp_path: Path) -> None:
    packets = [(START + i * 10, said(i)) for i in range(30)]
    with ring(tmp_path / "ring") as one:
        take(one, tmp_path, b.pcap_bytes(packets, nanos=True))
    closed = told(5, first_ns=START + 100, last_ns=START + 140, kind=EVENT_CLOSE)
    kept = run(found(tmp_path / "ring", closed))
    assert frames(kept, run(blocks(tmp_path / "ring", kept))) == [said(i) for i in range(10, 15)]
    still_open = told(5, first_ns=START + 100, last_ns=START + 140)
    assert run(found(tmp_path / "ring", still_open)).packets == 20


def test_a_bound_on_one_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring_module, "PACKETS_MAX", 7)
    monkeypatch.setattr(packet_export, "PACKETS_MAX", 7)
    with ring(tmp_path / "ring") as one:
        take(one, tmp_path, b.pcap_bytes([(START + i, said(i)) for i in range(30)], nanos=True))
    note, octets = run(exported(str(tmp_path / "ring"), told(30), "auto"))
    assert note.startswith("captured packets, as they came: 7 of 30")
    found = [frame for _, frame in dpkt.pcapng.Reader(io.BytesIO(octets))]
    assert found == [said(i) for i in range(7)]


def test_too_late(tmp_path: Path) -> None:
    with ring(tmp_path / "ring") as one:
        take(one, tmp_path, b.pcap_bytes(traffic(10)))
    with pytest.raises(Problem) as problem:
        run(found(tmp_path / "ring", told(1), seconds=-1))
    assert (problem.value.status, problem.value.code) == (503, "packet_ring_slow")


def test_what_goes_while_it_is_read_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "ring"
    with ring(folder) as one:
        take(one, tmp_path, b.pcap_bytes([(START + i, said(i)) for i in range(30)], nanos=True))
    kept = run(found(folder, told(30)))
    segments(folder)[0].pcap.unlink()
    assert run(blocks(folder, kept)) == b""
    assert run(found(folder, told(30))).packets == 0


# -------------------------------------------------------------------------------- files
def test_ping_has_packets_if_they_are_kept(tmp_path: Path) -> None:
    echo = b.ethernet(b.ip4(A4, B4, 1, b.icmp(8, 0, b"ping", rest=0x00070001)))
    with ring(tmp_path / "ring") as one:
        take(one, tmp_path, b.pcap_bytes([(START, echo)], nanos=True))
    ping = told(1, proto=ICMP, port_a=0, port_b=0)
    note, octets = run(exported(str(tmp_path / "ring"), ping, "auto"))
    assert note == "captured packets, as they came: 1"
    assert [frame for _, frame in dpkt.pcapng.Reader(io.BytesIO(octets))] == [echo]
    with pytest.raises(Problem) as problem:
        run(exported("", ping, "auto"))
    assert problem.value.status == 400


@pytest.mark.parametrize(
    ("folder", "status", "code"), [("", 404, "disabled"), ("nowhere", 410, "evicted")]
)
def test_no_captured_packets(tmp_path: Path, folder: str, status: int, code: str) -> None:
    given = str(tmp_path / folder) if folder else ""
    with pytest.raises(Problem) as problem:
        run(exported(given, told(1), "captured"))
    assert (problem.value.status, problem.value.code) == (status, code)
