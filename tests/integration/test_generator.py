"""The generator's frames are what they say, and arrive as they were sent."""

import socket

import dpkt
import numpy as np
import pytest

from bench.generator import SLOT_BYTES, Round, Sender, conversations, map_ring, open_sender
from tests.live_site import ETH_P_ALL, INNER, OUTER, needs_namespaces, site


def test_conversations_are_whole_and_rounds_have_clients_of_their_own() -> None:
    """Sequence numbers go on without a hole on either side; only the client's address changes."""
    frames = conversations(3)
    traffic = Round(np.zeros((len(frames), SLOT_BYTES), np.uint8), frames)
    assert traffic.frames() == [frame for frame, _ in frames]
    traffic.renew(0x010203)
    expected: dict[tuple[bytes, int, bytes, int], int] = {}
    datagrams = 0
    for (old, _), new in zip(frames, traffic.frames(), strict=True):
        was, ip = dpkt.ethernet.Ethernet(old).data, dpkt.ethernet.Ethernet(new).data
        assert len({ip.src, ip.dst} & {bytes([10, 1, 2, 3])}) == 1
        assert len({ip.src, ip.dst} & {bytes([192, 0, 2, 80]), bytes([192, 0, 2, 81])}) == 1
        assert (was.data.sport, was.data.dport) == (ip.data.sport, ip.data.dport)
        if isinstance(ip.data, dpkt.udp.UDP):
            datagrams += 1
            continue
        side, segment = (ip.src, ip.data.sport, ip.dst, ip.data.dport), ip.data
        assert expected.get(side, segment.seq) == segment.seq
        flags = bool(segment.flags & dpkt.tcp.TH_SYN) + bool(segment.flags & dpkt.tcp.TH_FIN)
        expected[side] = segment.seq + len(segment.data) + flags
    assert (len(expected), datagrams) == (6, 6)


@needs_namespaces
def test_what_is_sent_arrives() -> None:
    """A round and a half: every frame once, in order, the second time by other clients."""
    frames = conversations(16)
    wanted = [frame for frame, _ in frames]
    with site() as here, here.socket(INNER, ETH_P_ALL) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        receiver.settimeout(10)
        with here.entered(lambda: open_sender(OUTER)) as raw:
            sender = Sender(raw, frames)
            sender.run(1e6, packets=240)
        assert sender.sent == 240
        found = [receiver.recv(2000) for _ in range(240)]
        receiver.setblocking(False)
        with pytest.raises(BlockingIOError):
            receiver.recv(2000)
    assert found[:160] == wanted
    assert [frame[34:] for frame in found[160:]] == [frame[34:] for frame in wanted[:80]]
    assert all(new[26:34] != old[26:34] for new, old in zip(found[160:], wanted, strict=False))


@needs_namespaces
def test_a_rate_is_kept_on_the_average() -> None:
    with site() as here, here.entered(lambda: open_sender(OUTER)) as raw:
        sender = Sender(raw, conversations(16))
        took = sender.run(4000.0, seconds=0.5)
    assert sender.sent / took <= 4000.0
    assert sender.sent >= 1000


def test_a_ring_is_of_whole_blocks() -> None:
    with socket.socket() as nowhere, pytest.raises(ValueError, match="multiple of 4"):
        map_ring(nowhere, 30)
