"""Streams from packets, in plain Python: the twin of the shard's kernel `track`, and of the ends
that `sweep`, `evict` and `close_all` give to streams.

Written from the rules, not from the kernels. A direction is a dict from position to byte, and a
position is an integer that never wraps: 0 is the byte after SYN, or the first byte seen.

- A packet belongs to the present stream of its flow. Another stream begins with a SYN that is not
  the one the direction began with, unless it answers the other side's; with a SYN from a side that
  was silent, when the other side spoke without one; after the present one was idle, where it is
  no established connection; and after
  it is over for any reason, where it did not end by FIN or RST.
- Of overlapping bytes those that arrived first stay (RFC 9293 §3.10.7.4 leaves it open).
- Bytes that come too early are held, in pieces. The hole before them is a gap when the peer has
  acknowledged what lies behind it, when a bound on held pieces would be broken, when the stream
  was idle, and when the stream is over.
- Bytes on the wire that the capture cut off are a gap as soon as nothing before them is missing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from shared.flow_key import Endpoint, FlowKey
from tests.reference import inspect, services

FIN, SYN, RST, ACK = 1, 2, 4, 16
TCP = 6
WINDOW = 1 << 30  # RFC 7323 §2.3
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


@dataclass(frozen=True)
class Limits:
    """Bounds; the defaults are the settings'."""

    idle_ns: int = 120_000_000_000
    held_segments: int = 128
    held_bytes: int = 1 << 20
    piece_bytes: int = 65536  # the longest piece that can be held
    preview_bytes: int = 256


def ahead(seq: int, of: int) -> int:
    """How far `seq` is ahead of `of`, modulo 2**32; negative = behind (RFC 9293 §3.4)."""
    return (seq - of + (1 << 31)) % (1 << 32) - (1 << 31)


class Direction:
    """What one side says."""

    def __init__(self, stream: "Stream", side: int) -> None:
        self.stream, self.side, self.limits = stream, side, stream.tracker.limits
        self.count = stream.tracker.count
        self.packets = self.bytes = self.payload_bytes = 0
        self.gaps = self.gap_bytes = self.conflicts = self.retransmissions = 0
        self.isn = 0  # of its first packet; stays 0 when that was a RST
        self.first: int | None = None  # sequence number of position 0
        self.next = 0  # position after the last byte that was emitted or given up
        self.data: dict[int, int] = {}  # position -> byte, held ones too
        self.held: list[range] = []  # pieces behind a hole, sorted
        self.peer_ack: int | None = None
        self.syn = self.fin = self.rst = False

    # ------------------------------------------------------------------------ positions
    def seq(self, position: int) -> int:
        assert self.first is not None
        return (self.first + position) % (1 << 32)

    def position(self, seq: int) -> int:
        return self.next + ahead(seq, self.seq(self.next))

    def acknowledged(self, position: int) -> bool:
        """Whether the peer has said that it has all bytes before `position`."""
        return self.peer_ack is not None and ahead(self.peer_ack, self.seq(position)) >= 0

    # -------------------------------------------------------------------------- payload
    def receive(self, seq: int, payload: bytes, wire: int) -> None:
        """A segment's payload, of which the capture has the first bytes or all."""
        if self.first is None:
            self.first = seq
        start = self.position(seq)
        stop, end = start + len(payload), start + wire
        if start - self.next > WINDOW:
            if not self.acknowledged(end):
                self.count("out_of_window")
                return
            self.give_up(start)
        if start < self.next:
            if start == self.next - 1 and wire == 1:
                self.count("keep_alives")  # RFC 9293 §3.8.4
                return
            self.retransmissions += 1
            self.count("retransmissions")
        told = range(max(start, self.next), stop)
        if any(self.data.get(at, byte) != byte for at, byte in enumerate(payload, start)):
            self.conflicts += 1
            self.count("conflicts")
        if any(at in self.data for at in told):
            self.count("overlaps")
        for piece in self.unknown(told):
            self.keep(piece, payload[piece.start - start : piece.stop - start])
        if stop <= self.next:
            self.give_up(end)
        self.give_up_acknowledged()

    def unknown(self, told: range) -> list[range]:
        """The runs of positions of which no byte has come yet."""
        runs: list[range] = []
        for at in told:
            if at in self.data:
                continue
            if runs and runs[-1].stop == at:
                runs[-1] = range(runs[-1].start, at + 1)
            else:
                runs.append(range(at, at + 1))
        return runs

    def keep(self, piece: range, payload: bytes) -> None:
        """Emit a run of new bytes, or hold it; the first holes go where it is one too many."""
        while piece.start != self.next and not self.has_room_for(piece):
            self.count("held_limit")
            self.give_up(min([piece.start, *(held.start for held in self.held[:1])]), once=True)
        self.data |= dict(zip(piece, payload, strict=True))
        if piece.start == self.next:
            self.emit(piece)
            self.settle()
        else:
            self.held = sorted([*self.held, piece], key=lambda held: held.start)
            self.count("out_of_order_held")

    def has_room_for(self, piece: range) -> bool:
        return (
            len(self.held) < self.limits.held_segments
            and sum(map(len, self.held)) + len(piece) <= self.limits.held_bytes
            and len(piece) <= self.limits.piece_bytes
        )

    def emit(self, piece: range) -> None:
        self.next = piece.stop
        self.count("stream_bytes", len(piece))
        self.stream.said.append((self.side, piece))

    def settle(self) -> None:
        """Emit the held pieces that are in order now."""
        while self.held and self.held[0].start == self.next:
            self.emit(self.held.pop(0))

    def give_up(self, upto: int, once: bool = False) -> None:
        """Holes before `upto` are gaps: each one, or the first."""
        while self.next < upto:
            lost = min([upto, *(held.start for held in self.held[:1])]) - self.next
            self.next += lost
            self.gaps += 1
            self.gap_bytes += lost
            self.count("gaps")
            self.count("gap_bytes", lost)
            self.settle()
            if once:
                return

    def give_up_acknowledged(self) -> None:
        while self.held and self.acknowledged(self.held[0].start):
            self.give_up(self.held[0].start)

    def give_up_all(self) -> None:
        while self.held:
            self.give_up(self.held[0].start)

    # -------------------------------------------------------------------------- results
    def segments(self) -> list[tuple[int, bytes]]:
        """All that was emitted: logical offset and bytes of each run without a gap."""
        result: list[tuple[int, bytearray]] = []
        for at in sorted(at for at in self.data if at < self.next):
            if result and result[-1][0] + len(result[-1][1]) == at:
                result[-1][1].append(self.data[at])
            else:
                result.append((at, bytearray([self.data[at]])))
        return [(at, bytes(octets)) for at, octets in result]


class Stream:
    """One conversation."""

    def __init__(self, tracker: "Tracker", key: FlowKey, incarnation: int, first: Packet) -> None:
        self.tracker, self.key, self.incarnation = tracker, key, incarnation
        self.first_ns = self.last_ns = first.ts_ns
        self.reason = ""  # why it is over
        self.said: list[tuple[int, range]] = []  # emitted pieces of both directions, in order
        self.directions = (Direction(self, 0), Direction(self, 1))
        opens = key.proto == TCP and first.flags & (SYN | ACK) == SYN
        self.status = ATTEMPT if opens else OPEN
        tracker.count("flows")
        tracker.count("attempts", opens)
        tracker.count("midstream", key.proto == TCP and not first.flags & SYN)
        self.client = self.guess_client(first)
        self.by_syn = False

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
        if self.key.proto != TCP:
            self.take_datagram(packet, mine)
        elif self.take_flags(packet, side) and packet.wire_payload:
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
