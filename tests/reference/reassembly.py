"""One direction of a conversation, in plain Python: the twin of the pieces of `track` that put TCP
payload in order.

A direction is a dict from position to byte, and a position is an integer that never wraps: 0 is
the byte after SYN, or the first byte seen.

- Of overlapping bytes those that arrived first stay (RFC 9293 §3.10.7.4 leaves it open).
- Bytes that come too early are held, in pieces. The hole before them is a gap when the peer has
  acknowledged what lies behind it, when a bound on held pieces would be broken, when the stream
  was idle, and when the stream is over.
- Bytes on the wire that the capture cut off are a gap as soon as nothing before them is missing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

WINDOW = 1 << 30  # RFC 7323 §2.3

Said = Callable[[range], None]  # told of each piece that is emitted


class Count(Protocol):
    """Adds to a counter by its name."""

    def __call__(self, name: str, by: int = 1) -> None: ...


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

    def __init__(self, limits: Limits, count: Count, said: Said) -> None:
        self.limits, self.count, self.said = limits, count, said
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
        self.said(piece)

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
