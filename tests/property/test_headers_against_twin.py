"""The decode kernel and its twin agree on every field of any frame."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.columns import DECODE_STATUSES, PACKET, RECORD
from shared.kernels.headers import decode
from tests import builders as b
from tests.reference.headers import decode_one

LINKS = (0, 1, 9, 12, 14, 50, 51, 101, 104, 108, 113, 228, 229, 239, 276, 147)
FIELDS = [name for name in PACKET.names or () if name not in ("ts_ns", "source")]

Frame = tuple[int, bytes, int]  # link type, bytes, wire length


def decode_frames(frames: list[Frame]) -> tuple[NDArray[np.void], NDArray[np.uint64]]:
    """The kernel over frames that lie one behind the other; packets and counts."""
    records = np.zeros(len(frames), RECORD)
    records["caplen"] = [len(frame) for _, frame, _ in frames]
    records["off"] = np.cumsum(records["caplen"]) - records["caplen"]
    records["link"] = [link for link, _, _ in frames]
    records["wirelen"] = [wirelen for _, _, wirelen in frames]
    records["ts_ns"] = np.arange(len(frames)) + 7
    records["source"] = 3
    data = np.frombuffer(b"".join(frame for _, frame, _ in frames), np.uint8)
    packets = np.frombuffer(b"\xee" * PACKET.itemsize * len(frames), PACKET).copy()
    counts = np.zeros(len(DECODE_STATUSES), np.uint64)
    with np.errstate(over="ignore"):  # the hash wraps; uncompiled, numpy says so
        decode(data, records, packets, counts)
    assert (packets["ts_ns"] == records["ts_ns"]).all()
    assert (packets["source"] == 3).all()
    packets["payload_off"] -= np.where(packets["payload_off"] > 0, records["off"], 0).astype("u4")
    return packets, counts


def assert_same(frames: list[Frame]) -> None:
    packets, counts = decode_frames(frames)
    assert counts.tolist() == np.bincount(packets["status"], minlength=7).tolist()
    for (link, frame, wirelen), packet in zip(frames, packets, strict=True):
        got: dict[str, Any] = {name: packet[name].item() for name in FIELDS}
        got["status"] = DECODE_STATUSES[got["status"]]
        want = decode_one(link, frame, wirelen)
        assert got == want, (link, frame.hex(), wirelen)


# ------------------------------------------------------------------------ whole packets, at random

ADDRESSES4 = ("10.0.0.1", "10.0.0.2", "192.168.1.1", "0.0.0.0")
ADDRESSES6 = ("2001:db8::1", "2001:db8::2", "fe80::1", "::10.0.0.1")
PORTS = (80, 4789, 8472, 6081, 2152, 3544, 53124, 0)


def random_transport(rng: random.Random, depth: int) -> tuple[int, bytes]:
    """An IP protocol number and what it carries."""
    choice = rng.randrange(9 if depth < 4 else 4)
    payload = rng.randbytes(rng.choice((0, 1, 7, 30)))
    ports = rng.choice(PORTS), rng.choice(PORTS)
    if choice == 0:
        options = bytes(rng.choice((0, 4, 40)))
        return 6, b.tcp(
            *ports, payload, seq=rng.randrange(1 << 32), flags=rng.randrange(256), options=options
        )
    if choice == 1:
        return 17, b.udp(*ports, payload, rng.choice((None, None, None, 0, 3, 8, 9, 100)))
    if choice == 2:
        return rng.choice((1, 58)), b.icmp(8, 0, payload)[: rng.choice((4, 7, 8, 99))]
    if choice == 3:
        return rng.choice((50, 59, 132, 2)), payload
    if choice == 4:
        inner = random_packet(rng, depth + 1)
        return rng.choice((4, 41)), inner
    if choice == 5:
        return 47, random_gre(rng, depth + 1)
    return 17, random_udp_tunnel(rng, depth + 1)


def random_gre(rng: random.Random, depth: int) -> bytes:
    kind, payload = random_ether_payload(rng, depth)
    choice = rng.randrange(6)
    if choice == 0:
        return b.erspan(b.ethernet(payload, kind), rng.choice((1, 2, 3)))
    if choice == 1:
        body = b.ppp(random_packet(rng, depth), rng.choice((0x21, 0x57, 0xFD)), rng.random() < 0.5)
        return b.pptp_gre(body, 1, rng.choice((None, 1)), rng.choice((None, 1)))
    if choice == 2:
        kind, payload = b.TRANSPARENT_ETHERNET, b.ethernet(payload, kind)
    key, sequence = rng.choice((None, 5)), rng.choice((None, 6))
    return b.gre(payload, kind, checksum=rng.random() < 0.3, key=key, sequence=sequence)


def random_udp_tunnel(rng: random.Random, depth: int) -> bytes:
    kind, payload = random_ether_payload(rng, depth)
    packet = random_packet(rng, depth)
    choice = rng.randrange(4)
    if choice == 0:
        return b.udp(
            rng.choice(PORTS), rng.choice((4789, 8472)), b.vxlan(b.ethernet(payload, kind))
        )
    if choice == 1:
        options = bytes(rng.choice((0, 4, 12)))
        if rng.random() < 0.5:
            kind, payload = b.TRANSPARENT_ETHERNET, b.ethernet(payload, kind)
        return b.udp(1, 6081, b.geneve(payload, kind, options))
    if choice == 2:
        extensions = [bytes(2), bytes(6)][: rng.randrange(3)]
        inner = b.gtpu(packet, extensions=extensions, sequence=rng.random() < 0.5)
        return b.udp(*rng.choice(((2152, 9), (9, 2152))), inner)
    inner = b.teredo(packet, authenticated=rng.random() < 0.3, origin=rng.random() < 0.3)
    return b.udp(*rng.choice(((3544, 9), (9, 3544))), inner)


def random_packet(rng: random.Random, depth: int = 0) -> bytes:
    """An IPv4 or IPv6 packet."""
    proto, payload = random_transport(rng, depth)
    more, offset = rng.choice(((False, 0),) * 8 + ((True, 0), (True, 8), (False, 16)))
    if rng.random() < 0.5:
        addresses = rng.choice(ADDRESSES4), rng.choice(ADDRESSES4)
        if rng.random() < 0.1:
            proto, payload = b.AUTHENTICATION, b.authentication(proto, payload)
        options = bytes(rng.choice((0, 0, 0, 4, 40)))
        total = rng.choice((None,) * 8 + (0, 19, 24, 2000))
        return b.ip4(
            *addresses, proto, payload, more=more, offset=offset, options=options, total=total
        )
    if rng.random() < 0.2:
        proto, payload = b.FRAGMENT, b.fragment_header(proto, payload, offset, more)
    while rng.random() < 0.3:
        kind = rng.choice((0, 43, 60, 135, 140, 51))
        wrap = b.authentication if kind == 51 else b.extension
        proto, payload = kind, wrap(proto, payload)
    addresses = rng.choice(ADDRESSES6), rng.choice(ADDRESSES6)
    return b.ip6(*addresses, proto, payload, rng.choice((None,) * 8 + (0, 4, 2000)))


def random_ether_payload(rng: random.Random, depth: int = 0) -> tuple[int, bytes]:
    """An EtherType and what it carries."""
    packet = random_packet(rng, depth)
    kind = b.IPV4 if packet[0] >> 4 == 4 else b.IPV6
    if rng.random() < 0.6:
        return kind, packet
    choice = rng.randrange(7)
    if choice == 0:
        return rng.choice((0x8100, 0x88A8, 0x9100, 0x9200)), b.vlan(b.vlan(packet, kind), 0x8100)
    if choice == 1:
        return b.MPLS, b.mpls(packet, (16,) * rng.randrange(1, 4))
    if choice == 2:
        return 0x8848, b.mpls(bytes(rng.choice((0, 4))) + b.ethernet(packet, kind))
    if choice == 3:
        return b.PPPOE_SESSION, b.pppoe(packet, 0x21 if kind == b.IPV4 else 0x57)
    if choice == 4:
        return 3 + 5 + len(packet), b.snap(packet, kind)
    if choice == 5:
        return 3 + len(packet), b"\x06\x06\x03" + packet
    return rng.choice((b.ARP, 0x88CC, 1501)), packet


def random_frame(rng: random.Random) -> tuple[int, bytes]:
    """A link type and a frame of it."""
    kind, payload = random_ether_payload(rng)
    packet = random_packet(rng)
    trailer = bytes(rng.choice((0, 0, 0, 6)))
    choice = rng.randrange(12)
    if choice == 0:
        return rng.choice((101, 12, 14, 228, 229)), packet
    if choice == 1:
        return 0, b.null(packet, rng.choice((2, 10, 24, 28, 30, 7)), rng.choice("<>"))
    if choice == 2:
        return 108, b.null(packet, 2, ">")
    if choice == 3:
        return rng.choice((9, 50)), b.ppp(packet, 0x57, rng.random() < 0.5, rng.random() < 0.5)
    if choice == 4:
        return rng.choice((50, 104)), b.cisco_hdlc(payload, kind)
    if choice == 5:
        return 51, b.pppoe(packet)
    if choice == 6:
        return 113, b.sll(payload, kind)
    if choice == 7:
        return 276, b.sll2(payload, kind)
    if choice == 8:
        return 239, b.nflog(packet, rng.choice("<>"))
    return 1, b.ethernet(payload, kind) + trailer


def damaged(rng: random.Random, frame: bytes) -> tuple[bytes, int]:
    """The frame, sometimes cut or with a few bytes changed, and its length on the wire."""
    wirelen = len(frame)
    if rng.random() < 0.3:
        frame = frame[: rng.randrange(len(frame) + 1)]
        wirelen = rng.choice((wirelen, len(frame), 0))
    if rng.random() < 0.4 and frame:
        changed = bytearray(frame)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(frame))
            changed[at] = rng.choice(
                (0, 255, changed[at] ^ 1 << rng.randrange(8), rng.randrange(256))
            )
        frame = bytes(changed)
    return frame, wirelen


@pytest.mark.property
@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(LINKS), st.binary(max_size=120), st.integers(0, 300)), max_size=20
    )
)
def test_any_bytes(frames: list[Frame]) -> None:
    assert_same(frames)


@pytest.mark.property
@settings(deadline=None)
@given(st.integers(0, 1 << 32))
def test_packets_and_damaged_packets(seed: int) -> None:
    rng = random.Random(seed)
    frames = []
    for _ in range(20):
        link, frame = random_frame(rng)
        frames.append((link, *damaged(rng, frame)))
    assert_same(frames)


@pytest.mark.property
@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1 << 32))
def test_a_packet_cut_at_every_byte(seed: int) -> None:
    link, frame = random_frame(random.Random(seed))
    cuts = range(len(frame) + 1)
    assert_same([(link, frame[:cut], wirelen) for cut in cuts for wirelen in (cut, len(frame))])
