"""The generator's frames are what they say, and arrive as they were sent."""

import socket

import dpkt

from bench.generator import Round, Sender, conversations, open_sender
from tests.live_site import ETH_P_ALL, INNER, OUTER, needs_namespaces, site


def frames_of(traffic: Round) -> list[bytes]:
    return [
        traffic.data[start : start + length].tobytes()
        for start, length in zip(traffic.starts, traffic.lengths, strict=True)
    ]


def test_conversations_are_whole_and_rounds_have_clients_of_their_own() -> None:
    """Sequence numbers go on without a hole on either side; only the client's address changes."""
    traffic = conversations(3)
    with socket.socket() as nowhere:
        sender = Sender(nowhere, traffic)
        before = frames_of(traffic)
        sender.renew(0x010203)
    expected: dict[tuple[bytes, int, bytes, int], int] = {}
    for old, new in zip(before, frames_of(traffic), strict=True):
        was, ip = dpkt.ethernet.Ethernet(old).data, dpkt.ethernet.Ethernet(new).data
        ends = {ip.src, ip.dst}
        assert ends == {bytes([10, 1, 2, 3]), bytes([192, 0, 2, 80])}
        assert (was.data.sport, was.data.dport) == (ip.data.sport, ip.data.dport)
        side, segment = (ip.src, ip.data.sport, ip.dst, ip.data.dport), ip.data
        assert expected.get(side, segment.seq) == segment.seq
        flags = bool(segment.flags & dpkt.tcp.TH_SYN) + bool(segment.flags & dpkt.tcp.TH_FIN)
        expected[side] = segment.seq + len(segment.data) + flags
    assert len(expected) == 6


@needs_namespaces
def test_what_is_sent_arrives() -> None:
    traffic = conversations(20)
    wanted = frames_of(traffic)
    with site() as here, here.socket(INNER, ETH_P_ALL) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        receiver.settimeout(10)
        with here.entered(lambda: open_sender(OUTER)) as raw:
            sender = Sender(raw, traffic)
            sender.run(1e6, packets=200)
        assert sender.sent == 200
        found = [receiver.recv(2000) for _ in range(200)]
    assert found[:160] == wanted
    assert [frame[34:] for frame in found[160:]] == [frame[34:] for frame in wanted[:40]]
    assert all(new[26:34] != old[26:34] for new, old in zip(found[160:], wanted, strict=False))
