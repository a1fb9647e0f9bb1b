"""A packet ring keeps what was captured, byte for byte, and finds it again by flow and time."""

import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from shared.packet_ring import KIND_BITS, segments
from shared.packet_ring.reading import LateError, look_up, spans, wire_lengths
from tests import builders as b
from tests.ring_site import (
    A4,
    B4,
    FOREVER,
    by_dpkt,
    found_in,
    hash_of,
    kept,
    ring,
    take,
    traffic,
)

TCPDUMP = shutil.which("tcpdump")


# ----------------------------------------------------------------------------- what is kept
def test_every_packet_is_there_byte_for_byte(tmp_path: Path) -> None:
    folder, packets = tmp_path / "ring", traffic()
    with ring(folder) as one:
        take(one, tmp_path, b.pcap_bytes(packets, nanos=True), batch=777)
    assert kept(folder) == packets
    assert one.stats()["packet_ring_kept"] == len(packets)
    assert one.stats()["packet_ring_left_out"] == 0


def test_a_segment_is_a_capture_by_itself(tmp_path: Path) -> None:
    folder, packets = tmp_path / "ring", traffic(12_000)
    with ring(folder) as one:
        take(one, tmp_path, b.pcap_bytes(packets, nanos=True))
    files = [segment.pcap for segment in segments(folder)]
    assert len(files) > 3
    assert [frame for file in files for frame in by_dpkt(file)] == [frame for _, frame in packets]
    if TCPDUMP is None:
        pytest.skip("tcpdump is not installed: only dpkt has read the segments")
    lines = 0
    for file in files:
        done = subprocess.run(
            [TCPDUMP, "-nn", "-r", file], capture_output=True, text=True, check=True
        )
        assert "truncated" not in done.stderr
        lines += len(done.stdout.splitlines())
    assert lines == len(packets)


def test_link_types_have_segments_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "ring"
    packets = [(10**18 + i, i % 5, b.ip4(A4, B4, 17, b.udp(i, 53, b"x"))) for i in range(500)]
    links = (101, 12, 14, 228, 1)
    file = b.pcapng_section() + b"".join(b.pcapng_interface(link, resolution=9) for link in links)
    file += b"".join(
        b.pcapng_packet(ts_ns, packet, interface=interface) for ts_ns, interface, packet in packets
    )
    with ring(folder) as one:
        take(one, tmp_path, file, batch=40)
        assert len(one.segments.open) <= 4
    there = segments(folder)
    assert {segment.link for segment in there} == set(links)
    for interface, link in enumerate(links):
        mine = [segment for segment in there if segment.link == link]
        assert [frame for each in mine for frame in by_dpkt(each.pcap)] == [
            packet for _, i, packet in packets if i == interface
        ]
    numbers = np.sort(np.concatenate([segment.rows()["number"] for segment in there]))
    assert numbers.tolist() == list(range(500))


def test_link_types_that_nobody_knows_are_left_out(tmp_path: Path) -> None:
    file = b.pcapng_section()
    file += b"".join(b.pcapng_interface(1 if i == 7 else 20_000 + i) for i in range(300))
    for i in range(600):
        file += b.pcapng_packet(i, b.udp4(A4, 1, B4, 2), interface=i % 300)
    with ring(tmp_path / "ring") as one:
        take(one, tmp_path, file, batch=100)
    told = one.stats()
    assert (told["packet_ring_kept"], told["packet_ring_left_out"]) == (2, 598)
    (segment,) = segments(tmp_path / "ring")
    assert segment.rows()["number"].tolist() == [7, 307]


def test_lengths_on_the_wire_are_kept(tmp_path: Path) -> None:
    frame = b.udp4(A4, 1, B4, 2, b"cut")
    with ring(tmp_path / "ring") as one:
        take(one, tmp_path, b.pcap_bytes([(10**18, frame, 1400), (10**18, frame, 90)], nanos=True))
    (segment,) = segments(tmp_path / "ring")
    looked = look_up([segment], hash_of(17, (A4, 1), (B4, 2)), *FOREVER, 9, time.monotonic() + 9)
    (span,) = spans(looked.places[0])
    assert wire_lengths(span).tolist() == [1400, 90]


# -------------------------------------------------------------------------------- look-ups
def test_a_flow_is_found_with_its_packets_alone(tmp_path: Path) -> None:
    folder, packets = tmp_path / "ring", traffic(6000)
    with ring(folder) as one:
        take(one, tmp_path, b.pcap_bytes(packets, nanos=True))
        while_written = segments(folder)
    for port in (0, 13):
        flow = hash_of(6, (A4, 1000 + port), (B4, 80))
        mine = [packets[i] for i in range(port, 6000, 50) if i % 7]
        assert found_in(segments(folder), flow, *FOREVER) == mine
        late = [each for each in mine if each[0] >= 10**18 + 3_000_000]
        assert found_in(segments(folder), flow, 10**18 + 3_000_000, 1 << 62) == late
        early = [each for each in mine if each[0] <= 10**18 + 3_000_000]
        assert found_in(segments(folder), flow, 0, 10**18 + 3_000_000) == early
        assert found_in(segments(folder), flow, *FOREVER, most=5) == mine[:5]
        assert set(found_in(while_written, flow, *FOREVER)) <= set(mine)
    looked = look_up(segments(folder), flow, *(mine[0][0],) * 2, 9, time.monotonic() + 9)
    assert [place.rows.size for place in looked.places] == [1]


def test_the_hash_is_that_of_captured_packets(tmp_path: Path) -> None:
    six = b.ethernet(b.ip6("fe80::2", "2001:db8::1", 17, b.udp(5, 9, b"!")), b.IPV6)
    ping = b.ethernet(b.ip4(B4, A4, 1, b.icmp(8, 0, b"ping", rest=0x00070001)))
    with ring(tmp_path / "ring") as one:
        take(one, tmp_path, b.pcap_bytes([(1, six), (2, b.tcp4(B4, 443, A4, 9)), (3, ping)]))
    (segment,) = segments(tmp_path / "ring")
    flows = (segment.flows() & np.uint64(~KIND_BITS & (1 << 64) - 1)).tolist()
    wanted = [
        hash_of(17, ("2001:db8::1", 9), ("fe80::2", 5)),
        hash_of(6, (A4, 9), (B4, 443)),
    ]
    assert flows[:2] == [each & ~KIND_BITS for each in wanted]


def test_a_look_up_ends_in_time(tmp_path: Path) -> None:
    with ring(tmp_path / "ring") as one:
        take(one, tmp_path, b.pcap_bytes(traffic(10)))
    with pytest.raises(LateError):
        look_up(segments(tmp_path / "ring"), 0, *FOREVER, 9, time.monotonic() - 1)


def fragments(ident: int, payload: bytes) -> list[bytes]:
    datagram = b.udp(5000, 53, payload)
    return [b.ethernet(each) for each in b.fragments4(A4, B4, 17, datagram, 512, ident=ident)]


def test_fragments_are_found_with_their_flow(tmp_path: Path) -> None:
    ours, others = fragments(7, b"m" * 1400), fragments(8, b"n" * 1400)
    other_flow = [b.ethernet(p) for p in b.fragments4(A4, B4, 17, b.udp(1, 2, b"o" * 999), 512)]
    lonely = fragments(9, b"never complete" * 99)[:1]
    frames = [
        ours[0], b.udp4(A4, 5000, B4, 53, b"small"), other_flow[0], lonely[0], ours[2],
        other_flow[1], others[1], ours[1], others[0], others[2],
    ]  # fmt: skip
    timed = [(10**18 + i, frame) for i, frame in enumerate(frames)]
    mine = [each for each in timed if each[1] not in (*other_flow, *lonely)]
    flow = hash_of(17, (A4, 5000), (B4, 53))
    for batch in (1, 3, 8192):
        folder = tmp_path / f"ring-{batch}"
        with ring(folder) as one:
            take(one, tmp_path, b.pcap_bytes(timed, nanos=True), batch=batch)
        assert found_in(segments(folder), flow, *FOREVER) == mine
        looked = look_up(segments(folder), flow, *FOREVER, 9, time.monotonic() + 9)
        assert looked.packets == 3


def test_fragments_of_a_tunnel_with_fragments(tmp_path: Path) -> None:
    datagram = b.udp(5000, 53, b"p" * 1400)
    frames: list[bytes] = []
    for number, inner in enumerate(b.fragments4(A4, B4, 17, datagram, 512)):
        outer = b.fragments4("1.1.1.1", "2.2.2.2", 47, b.gre(inner), 200, ident=100 + number)
        frames += map(b.ethernet, outer)
    timed = [(10**18 + i, frame) for i, frame in enumerate(frames)]
    with ring(tmp_path / "ring") as one:
        take(one, tmp_path, b.pcap_bytes(timed, nanos=True), batch=2)
    flow = hash_of(17, (A4, 5000), (B4, 53))
    assert found_in(segments(tmp_path / "ring"), flow, *FOREVER) == timed
