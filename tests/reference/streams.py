"""Streams from packets, in plain Python: the twin of the shard's kernels `track` and `empty_groups`
together, and of the ends that `sweep`, `evict` and `close_all` give to streams. Written from the
rules, not from the kernels.

- A packet belongs to the present stream of its flow. Another stream begins with a SYN that is not
  the one the direction began with, unless it answers the other side's; with a SYN from a side that
  was silent, when the other side spoke without one; after the present one was idle, where it is
  no established connection; and after
  it is over for any reason, where it did not end by FIN or RST.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from shared.flow_key import Endpoint, FlowKey
from tests.reference import inspect, services
from tests.reference.reassembly import Direction, Limits, ahead

FIN, SYN, RST, ACK = 1, 2, 4, 16
TCP = 6
RESET_WINDOW = 1 << 20
OPEN, CLOSING, CLOSED, RESET, ATTEMPT = "open", "closing", "closed", "reset", "attempt"


@dataclass(frozen=True)
class Packet:
    """A decoded packet. `wire`: its payload's length on the wire, where the capture has less."""

    src: Endpoint
    dst: Endpoint
    payload: bytes = b""
    proto: int = TCP
    flags: int = ACK
    seq: int = 0
    ack: int = 0
    ts_ns: int = 0
    wire: int | None = None

    @property
    def wire_payload(self) -> int:
        return len(self.payload) if self.wire is None else self.wire

    @property
    def wirelen(self) -> int:
        return 54 + self.wire_payload


class Stream:
    """One conversation."""

    def __init__(self, tracker: "Tracker", key: FlowKey, incarnation: int, first: Packet) -> None:
        self.tracker, self.key, self.incarnation = tracker, key, incarnation
        self.first_ns = self.last_ns = first.ts_ns
        self.reason = ""  # why it is over
        self.said: list[tuple[int, range]] = []  # emitted pieces of both directions, in order
        self.directions = self._direction(0), self._direction(1)
        opens = key.proto == TCP and first.flags & (SYN | ACK) == SYN
        self.status = ATTEMPT if opens else OPEN
        tracker.count("flows")
        tracker.count("attempts", opens)
        tracker.count("midstream", key.proto == TCP and not first.flags & SYN)
        self.client = self.guess_client(first)
        self.by_syn = False
        self.cut = False  # a packet was captured short

    def _direction(self, side: int) -> Direction:
        def said(piece: range) -> None:
            self.said.append((side, piece))

        return Direction(self.tracker.limits, self.tracker.count, said)

    def guess_client(self, first: Packet) -> int:
        """The side without a known port, else the one that spoke first; a SYN corrects it."""
        known = [services.is_known(end.port) for end in (self.key.a, self.key.b)]
        if known[0] != known[1]:
            return 1 if known[0] else 0
        return 0 if first.src == self.key.a else 1

    @property
    def established(self) -> bool:
        return self.key.proto == TCP and self.status in (OPEN, CLOSING)

    @property
    def ended(self) -> bool:
        return self.status in (CLOSED, RESET)

    def is_idle(self, now_ns: int) -> bool:
        return now_ns - self.last_ns > self.tracker.limits.idle_ns

    def rest(self) -> None:
        """Idle for too long: no hole will be filled."""
        for direction in self.directions:
            direction.give_up_all()
        if not self.established:
            self.close("closed" if self.ended else "idle")

    def close(self, reason: str) -> None:
        """It is over; what comes later does not change it."""
        for direction in self.directions:
            direction.give_up_all()
        if not self.reason:
            self.reason = reason
            self.tracker.count("closed")
            self.tracker.count("idle", reason == "idle")

    def is_followed_by(self, packet: Packet, side: int) -> bool:
        """Whether another stream begins here."""
        if self.key.proto != TCP:
            return bool(self.reason)
        if not packet.flags & SYN or packet.flags & RST:
            return bool(self.reason) and not self.ended
        if self.reason:
            return True
        mine, other = self.directions[side], self.directions[1 - side]
        if mine.packets and packet.seq == mine.isn:
            return False
        asked = (other.isn + 1) % (1 << 32) if other.packets else other.peer_ack or 0
        if packet.flags & ACK and packet.ack == asked:
            return False
        return bool(mine.packets) or self.ended or not other.syn

    def take(self, packet: Packet, side: int) -> None:
        mine = self.directions[side]
        mine.packets += 1
        mine.bytes += packet.wirelen
        mine.payload_bytes += packet.wire_payload
        self.last_ns = max(self.last_ns, packet.ts_ns)
        self.cut |= packet.wire_payload > len(packet.payload)
        if self.key.proto != TCP:
            self.take_datagram(packet, mine)
        elif self.take_segment(packet, side) and packet.wire_payload:
            seq = (packet.seq + bool(packet.flags & SYN)) % (1 << 32)
            mine.receive(seq, packet.payload, packet.wire_payload)
        else:
            self.tracker.count("after_reset_bytes", packet.wire_payload)

    def take_datagram(self, packet: Packet, mine: Direction) -> None:
        mine.first = 0
        start = mine.next
        if packet.payload:
            mine.keep(range(start, start + len(packet.payload)), packet.payload)
        mine.give_up(start + packet.wire_payload)

    def take_segment(self, packet: Packet, side: int) -> bool:
        """Its flags; an attempt ends with whatever answers it."""
        tried = self.status == ATTEMPT
        belongs = self.take_flags(packet, side)
        self.tracker.count("attempts_answered", tried and self.status != ATTEMPT)
        return belongs

    def take_flags(self, packet: Packet, side: int) -> bool:
        """RFC 9293 §3.10; whether the payload belongs to the stream."""
        mine, other = self.directions[side], self.directions[1 - side]
        syn, fin, rst, ack = (bool(packet.flags & bit) for bit in (SYN, FIN, RST, ACK))
        if mine.packets == 1 and not rst:
            mine.isn = (packet.seq - (not syn)) % (1 << 32)
        self.tracker.count("syns", syn)
        if syn and not mine.syn:
            mine.syn = True
            if mine.first is None:
                mine.isn = packet.seq
                mine.first = (packet.seq + 1) % (1 << 32)
            if not self.by_syn:
                self.by_syn, self.client = True, 1 - side if ack else side
        if self.status == ATTEMPT and not rst and (ack or not syn):
            self.status = OPEN
        if ack and not rst:
            self.hear(packet.ack, other)
        if rst:
            return self.reset(packet, mine)
        if fin:
            self.tracker.count("fins")
            mine.fin = True
            if self.status != RESET:
                self.status = CLOSED if other.fin else CLOSING
        return not mine.rst

    def hear(self, ack: int, other: Direction) -> None:
        """One side says how much of the other's it has."""
        if other.peer_ack is None or ahead(ack, other.peer_ack) > 0:
            other.peer_ack = ack
            other.give_up_acknowledged()

    def reset(self, packet: Packet, mine: Direction) -> bool:
        far = mine.first is not None and abs(mine.position(packet.seq) - mine.next) > RESET_WINDOW
        if far:
            self.tracker.count("ignored_resets")
        else:
            self.tracker.count("resets")
            mine.rst, self.status = True, RESET
        return False

    # -------------------------------------------------------------------------- results
    @property
    def stream_id(self) -> int:
        return self.key.stream_id(self.incarnation)

    def head(self, side: int, upto: int) -> Iterator[tuple[int, bytes]]:
        """What was emitted of a direction's first `upto` positions."""
        for start, octets in self.directions[side].segments():
            if start < upto:
                yield start, octets[: upto - start]

    def final(self) -> dict[str, Any]:
        """What its last event says."""
        a, b = self.directions
        kinds = [inspect.content_kind(self.head(side, inspect.KIND_UPTO)) for side in (0, 1)]
        service, source = self.service()
        result: dict[str, Any] = {
            name: [getattr(a, name), getattr(b, name)]
            for name in (
                "packets", "bytes", "payload_bytes", "gaps", "gap_bytes", "conflicts",
                "retransmissions",
            )
        }  # fmt: skip
        return result | {
            "stream_bytes": [a.next - a.gap_bytes, b.next - b.gap_bytes],
            "stream_id": self.stream_id,
            "incarnation": self.incarnation,
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
            "status": self.status,
            "client": self.client,
            "reason": self.reason,
            "content_kind": [inspect.kind_of_both(*kinds), *kinds],
            "midstream": self.key.proto == TCP and not (a.syn or b.syn),
            "snaplen_cut": self.cut,
            "service": service,
            "service_from": source,
        }

    def service(self) -> tuple[str, str]:
        """By the first bytes of a direction, as soon as they tell; else by the port."""
        if found := services.told_by_payload(
            self.key, self.said, [d.data for d in self.directions]
        ):
            return found, "payload"
        ports = self.key.a.port, self.key.b.port
        by_port = services.by_port(ports[1 - self.client]) or services.by_port(ports[self.client])
        return by_port, "port" if by_port else "none"

    def preview(self, side: int) -> dict[int, int]:
        """Position to byte."""
        return {
            start + i: byte
            for start, octets in self.head(side, self.tracker.limits.preview_bytes)
            for i, byte in enumerate(octets)
        }


@dataclass
class Tracker:
    """All streams of an input, and what was counted."""

    limits: Limits = field(default_factory=Limits)
    streams: list[Stream] = field(default_factory=list)
    present: dict[FlowKey, Stream] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)

    def count(self, name: str, by: int = 1) -> None:
        self.counters[name] = self.counters.get(name, 0) + by

    def take(self, packets: Iterable[Packet]) -> None:
        for packet in packets:
            self._take(packet)

    def _take(self, packet: Packet) -> None:
        key, side = FlowKey.of(packet.proto, packet.src, packet.dst)
        stream = self.present.get(key)
        if stream is not None and not stream.reason and stream.is_idle(packet.ts_ns):
            stream.rest()
        if stream is None:
            stream = self._begin(key, 0, packet)
        elif stream.is_followed_by(packet, side):
            stream.close("reused")
            self.count("reused")
            stream = self._begin(key, stream.incarnation + 1, packet)
        self.count("packets")
        self.count("bytes", packet.wirelen)
        self.count("payload_bytes", packet.wire_payload)
        if stream.reason:
            self.count("after_close_packets")
        else:
            stream.take(packet, side)

    def _begin(self, key: FlowKey, incarnation: int, packet: Packet) -> Stream:
        stream = Stream(self, key, incarnation, packet)
        self.streams.append(stream)
        self.present[key] = stream
        return stream

    def finish(self, now_ns: int) -> None:
        """The input has ended."""
        for stream in self.streams:
            if not stream.reason and stream.is_idle(now_ns):
                stream.close("closed" if stream.ended else "idle")
            stream.close("closed" if stream.ended else "end_of_input")

    def final(self) -> dict[int, dict[str, Any]]:
        """Last event by stream id."""
        return {stream.stream_id: stream.final() for stream in self.streams}
