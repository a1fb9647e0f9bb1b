"""Traffic at a rate: HTTP conversations sent to an interface, each round by other clients.

    python -m bench.generator vethB --rate 200000 --seconds 10

Frames are made once and sent many at a time (sendmmsg). A round is all of them; for the next one
the clients' addresses change in place, so that every round has streams of its own. Prints what was
sent, as JSON. Needs CAP_NET_RAW; for interfaces that nobody else uses, such as a pair of veth.
"""

import argparse
import ctypes
import errno
import json
import os
import socket
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.frames import ACK, FIN, PSH, SYN, tcp

BURST = 64  # frames in one call; of 64 at 200,000 a second one is due every 320 µs
MSG_DONTWAIT = 0x40
SOL_PACKET, QDISC_BYPASS = 263, 20
CLIENT_AT = {True: 26, False: 30}  # of the client's address: as source, as destination
REQUEST = b"GET /notes/%d HTTP/1.1\r\nHost: notes.test\r\nUser-Agent: probe\r\nAccept: */*\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 400\r\n\r\n" + b"n" * 400


class _Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct mmsghdr, sendmmsg(2)."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint),
    )


class Round(NamedTuple):
    """Frames that are sent one after the other."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]  # of each frame in data
    lengths: NDArray[np.int64]
    clients: NDArray[np.int64]  # (frames,) where the client's address stands


def conversations(count: int) -> Round:
    """A request and its answer on each of `count` connections: eight packets, some 1,000 bytes."""
    frames: list[tuple[bytes, bool]] = []
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
    lengths = np.array([len(frame) for frame, _ in frames], np.int64)
    starts = np.cumsum(lengths) - lengths
    data = np.frombuffer(b"".join(frame for frame, _ in frames), np.uint8).copy()
    at = np.array([CLIENT_AT[from_client] for _, from_client in frames], np.int64)
    return Round(data, starts, lengths, starts + at)


class Sender:
    """Sends rounds out of an interface. `send` is a packet socket bound to it."""

    def __init__(self, send: socket.socket, traffic: Round) -> None:
        self._socket, self._round = send, traffic
        self.sent = 0
        self.refused = 0  # calls in which the interface had no room; tried again
        self._libc = ctypes.CDLL(None, use_errno=True)
        count, base = traffic.lengths.size, traffic.data.ctypes.data
        self._vectors = (_Vector * count)()
        self._messages = (_Message * count)()
        for i in range(count):
            self._vectors[i].base = base + int(traffic.starts[i])
            self._vectors[i].length = int(traffic.lengths[i])
            self._messages[i].vectors = ctypes.pointer(self._vectors[i])
            self._messages[i].vector_count = 1

    def renew(self, number: int) -> None:
        """Other clients: 10.x.y.z by the number of the round."""
        for place, octet in enumerate(number.to_bytes(3, "big")):
            self._round.data[self._round.clients + 1 + place] = octet

    def burst(self, at: int, most: int) -> int:
        """Send up to so many frames from one on; how many went. OSError as the system says."""
        first = ctypes.byref(self._messages, at * ctypes.sizeof(_Message))
        most = min(most, self._round.lengths.size - at)
        went = int(self._libc.sendmmsg(self._socket.fileno(), first, most, MSG_DONTWAIT))
        if went < 0:
            number = ctypes.get_errno()
            if number not in (errno.ENOBUFS, errno.EAGAIN):
                raise OSError(number, os.strerror(number))
            self.refused += 1
            return 0
        self.sent += went
        return went

    def run(self, rate: float, packets: int = 0, seconds: float = 0.0) -> float:
        """Send at a rate until so many packets went or so long; the seconds that it took.

        A burst goes when it is due, later ones are not hurried by more than they are late.
        """
        began = time.perf_counter()
        at = rounds = 0
        while True:
            elapsed = time.perf_counter() - began
            if (seconds and elapsed >= seconds) or (packets and self.sent >= packets):
                return elapsed
            owed = min(int(elapsed * rate) + BURST - self.sent, BURST)
            if packets:
                owed = min(owed, packets - self.sent)
            if owed < min(BURST, packets - self.sent if packets else BURST):
                time.sleep(min((BURST - owed) / rate, 0.01))
                continue
            at += self.burst(at, owed)
            if at == self._round.lengths.size:
                at, rounds = 0, rounds + 1
                self.renew(rounds + 1)


def open_sender(interface: str) -> socket.socket:
    """A packet socket that sends out of an interface and receives nothing."""
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sender.setsockopt(SOL_PACKET, QDISC_BYPASS, 1)
    sender.bind((interface, 0))
    return sender


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Send HTTP conversations out of an interface.")
    parser.add_argument("interface")
    parser.add_argument("--rate", type=float, default=200_000, help="packets a second")
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--packets", type=int, default=0)
    parser.add_argument("--streams", type=int, default=4000, help="connections in a round")
    given = parser.parse_args(argv)
    if not given.seconds and not given.packets:
        parser.error("give --seconds or --packets")
    with open_sender(given.interface) as raw:
        sender = Sender(raw, conversations(given.streams))
        took = sender.run(given.rate, given.packets, given.seconds)
    print(json.dumps({"sent": sender.sent, "seconds": round(took, 3), "refused": sender.refused}))


if __name__ == "__main__":
    main()
