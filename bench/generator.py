"""Traffic at a rate: conversations sent to an interface, each round of them by other clients.

    python -m bench.generator vethB --rate 200000 --seconds 10

The frames of a round are laid once into a ring that the kernel sends from (PACKET_TX_RING), so that
a burst costs one call and no copy. For the next round the clients' addresses change in place, so
that every round has streams of its own; checksums stay as they were. Prints what was sent, as JSON.
Needs CAP_NET_RAW; for interfaces that nobody else uses, such as a pair of veth.
"""

import argparse
import errno
import json
import mmap
import socket
import struct
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shared.frames import ACK, FIN, PSH, SYN, tcp, udp

# linux/if_packet.h
SOL_PACKET = 263
VERSION, TX_RING, QDISC_BYPASS = 10, 13, 20
V2 = 1
REQUESTED = 1  # TP_STATUS_SEND_REQUEST
STATUS, LENGTH = 0, 1  # of struct tpacket2_hdr, in words of 32 bits
DATA_AT = 32  # a frame begins behind it
SLOT_BYTES, BLOCK_BYTES = 1024, 4096
SLOTS_A_BLOCK = BLOCK_BYTES // SLOT_BYTES

BURSTS_A_SECOND = 2000  # at most: each costs a call and a sleep
BURST_MIN, BURST_MAX = 32, 512  # frames
ROOM_S = 0.0002  # when the interface has no room
CLIENT_AT = {True: 26, False: 30}  # of the client's address: as source, as destination
REQUEST = b"GET /notes/%d HTTP/1.1\r\nHost: notes.test\r\nUser-Agent: probe\r\nAccept: */*\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 400\r\n\r\n" + b"n" * 400

Frame = tuple[bytes, bool]  # and whether a client sends it


def conversations(count: int) -> list[Frame]:
    """On each of `count` connections a request and its answer, eight packets, and beside it two
    datagrams: ten packets, some 1,200 bytes."""
    frames: list[Frame] = []
    for number in range(count):
        client, server = ("10.0.0.1", 1024 + number % 60000), ("192.0.2.80", 80)
        ask, a, b = REQUEST % number, 1000 + number, 9000 + number
        asked, answered = a + 1 + len(ask), b + 1 + len(ANSWER)
        for from_client, seq, ack, flags, payload in (
            (True, a, 0, SYN, b""),
            (False, b, a + 1, SYN | ACK, b""),
            (True, a + 1, b + 1, ACK, b""),
            (True, a + 1, b + 1, PSH | ACK, ask),
            (False, b + 1, asked, PSH | ACK, ANSWER),
            (False, answered, asked, FIN | ACK, b""),
            (True, asked, answered + 1, FIN | ACK, b""),
            (False, answered + 1, asked + 1, ACK, b""),
        ):
            ends = (client, server) if from_client else (server, client)
            frames.append((tcp(*ends, seq, ack, flags, payload), from_client))
        place = ("192.0.2.81", 4000)
        frames.append((udp(client, place, b"where is %d" % number), True))
        frames.append((udp(place, client, b"%d is here" % number), False))
    return frames


class Round:
    """Frames in slots of memory, which are sent in turn. slots: (frames, SLOT_BYTES)."""

    def __init__(self, slots: NDArray[np.uint8], frames: Sequence[Frame]) -> None:
        self.size = len(frames)
        self._slots = slots
        words = slots.view(np.uint32)
        self.status = words[:, STATUS]
        for slot, head, (frame, _) in zip(slots, words, frames, strict=True):
            head[LENGTH] = len(frame)
            slot[DATA_AT : DATA_AT + len(frame)] = np.frombuffer(frame, np.uint8)
        self._clients = np.array([DATA_AT + CLIENT_AT[side] for _, side in frames], np.int64)
        self._each = np.arange(self.size)

    def renew(self, number: int) -> None:
        """Other clients: 10.x.y.z by the number of the round."""
        for place, octet in enumerate(number.to_bytes(3, "big")):
            self._slots[self._each, self._clients + 1 + place] = octet

    def frames(self) -> list[bytes]:
        """As they are now."""
        lengths = self._slots.view(np.uint32)[:, LENGTH]
        return [
            slot[DATA_AT : DATA_AT + int(length)].tobytes()
            for slot, length in zip(self._slots, lengths, strict=True)
        ]


def map_ring(sender: socket.socket, count: int) -> NDArray[np.uint8]:
    """The slots of a ring of so many frames, a multiple of SLOTS_A_BLOCK."""
    if count % SLOTS_A_BLOCK:
        raise ValueError(f"{count} frames: a ring has a multiple of {SLOTS_A_BLOCK}")
    sender.setsockopt(SOL_PACKET, VERSION, V2)
    asked = struct.pack("=4I", BLOCK_BYTES, count // SLOTS_A_BLOCK, SLOT_BYTES, count)
    sender.setsockopt(SOL_PACKET, TX_RING, asked)
    memory = mmap.mmap(sender.fileno(), count * SLOT_BYTES)
    return np.frombuffer(memory, np.uint8).reshape(count, SLOT_BYTES)


class Sender:
    """Sends rounds out of an interface. send: a packet socket bound to it. first: number of the
    first round; two that send at a time must not come to the same numbers."""

    def __init__(self, send: socket.socket, frames: Sequence[Frame], first: int = 1) -> None:
        self._socket = send
        self._round = Round(map_ring(send, len(frames)), frames)
        self._at, self._number = 0, first
        self._round.renew(first)
        self.sent = 0
        self.refused = 0  # calls in which the interface had no room; tried again

    def burst(self, most: int) -> None:
        """Send up to so many frames, to the end of the round at most."""
        count = min(most, self._round.size - self._at)
        status = self._round.status[self._at : self._at + count]
        status[:] = REQUESTED
        while True:
            try:
                self._socket.send(b"")  # returns when all that is requested is on its way
            except OSError as error:
                if error.errno not in (errno.ENOBUFS, errno.EAGAIN):
                    raise
                self.refused += 1
                time.sleep(ROOM_S)
            if not (status == REQUESTED).any():
                break
        self.sent += count
        self._at += count
        if self._at == self._round.size:
            self._at, self._number = 0, self._number + 1
            self._round.renew(self._number)

    def run(self, rate: float, packets: int = 0, seconds: float = 0.0) -> float:
        """Send at a rate until so many packets went or so long; the seconds that it took.

        A burst goes when it is due; one that is late is followed by the next at once.
        """
        usual = int(min(max(rate / BURSTS_A_SECOND, BURST_MIN), BURST_MAX))
        began = time.perf_counter()
        while True:
            elapsed = time.perf_counter() - began
            if (seconds and elapsed >= seconds) or (packets and self.sent >= packets):
                return elapsed
            due = min(usual, packets - self.sent) if packets else usual
            early_s = (self.sent + due) / rate - elapsed
            if early_s > 0:
                time.sleep(min(early_s, 0.01))
                continue
            self.burst(due)


def open_sender(interface: str) -> socket.socket:
    """A packet socket that sends out of an interface and receives nothing."""
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sender.setsockopt(SOL_PACKET, QDISC_BYPASS, 1)
    sender.bind((interface, 0))
    return sender


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Send conversations out of an interface.")
    parser.add_argument("interface")
    parser.add_argument("--rate", type=float, default=200_000, help="packets a second")
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--packets", type=int, default=0)
    parser.add_argument("--streams", type=int, default=256, help="connections in a round; even")
    parser.add_argument("--first", type=int, default=1, help="number of the first round")
    given = parser.parse_args(argv)
    if not given.seconds and not given.packets:
        parser.error("give --seconds or --packets")
    with open_sender(given.interface) as raw:
        sender = Sender(raw, conversations(given.streams), given.first)
        took = sender.run(given.rate, given.packets, given.seconds)
    print(json.dumps({"sent": sender.sent, "seconds": round(took, 3), "refused": sender.refused}))


if __name__ == "__main__":
    main()
