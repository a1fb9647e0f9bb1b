"""IP reassembly (RFC 791 §3.2, RFC 8200 §4.5): fragments in, the datagram they were cut from out.

- A datagram is known by its addresses and identification, of IPv4 also by its protocol.
- Overlap: the bytes that arrived first win; it is counted.
- A datagram is given up 30 s of packet time after its first fragment, and the oldest first where
  there are too many of them or too many bytes. What was given up is counted.
- The first last fragment says where the datagram ends; what others say, or have, beyond it is cut
  off and counted.
- A fragment that was not captured whole cannot complete anything: it is counted and dropped, as is
  an impossible one (empty, or beyond 65535).

Capture does this before it routes: only a whole datagram has the ports that choose the shard.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.columns import DECODE_STATUSES, FRAGMENT_HELD
from shared.kernels.headers import MAX_EXTENSIONS, MAX_TUNNELS, decode

MAX_DATAGRAMS = 4096
MAX_BYTES = 16 << 20
TIMEOUT_NS = 30 * 10**9
DATAGRAM_MAX = 65535
PIECE_OVERHEAD = 128  # what Python keeps beside the bytes of a piece; counts as bytes
RAW_IP = 101
IPV6_FRAGMENT, IPV6_AH = 44, 51

Bytes = bytes | memoryview


@dataclass
class FragmentCounters:
    """What happened to fragments since the start."""

    fragments: int = 0  # seen
    completed: int = 0  # datagrams put together
    expired: int = 0  # datagrams given up after 30 s
    evicted: int = 0  # datagrams given up for room
    overlaps: int = 0  # fragments with bytes that were there already
    cut: int = 0  # fragments not captured whole
    malformed: int = 0  # impossible fragments
    contradictions: int = 0  # fragments that reach beyond the end, or say it is elsewhere


@dataclass(frozen=True)
class Completed:
    """A datagram as if it had never been cut."""

    packet: bytes  # IPv4 or IPv6
    wirelen: int  # of all its fragments' frames


class Joined(NamedTuple):
    """That packets with the hash `child` are fragments of one with the hash `parent`."""

    row: int  # of the packet that completed the datagram, in the batch
    parent: int
    child: int


@dataclass(frozen=True)
class Fragment:
    """One fragment, its header understood."""

    key: bytes
    header: bytes  # what goes before the payload of the whole datagram, lengths not yet right
    start: int
    more: bool
    payload: bytes


@dataclass
class Datagram:
    """The pieces so far: disjoint, in order."""

    first_ns: int
    header: bytes | None = None  # of the fragment at 0
    end: int | None = None  # known from the last fragment
    wirelen: int = 0
    held: int = 0  # payload bytes
    cost: int = 0  # bytes and overhead
    starts: list[int] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return self.held == self.end and self.header is not None

    def insert(self, start: int, payload: bytes) -> bool:
        """Fill the holes that the payload covers; True if some of it was there already."""
        at, end, overlap = start, start + len(payload), False
        index = bisect_right(self.starts, start)
        if index:
            at = max(start, self.starts[index - 1] + len(self.pieces[index - 1]))
            overlap = at > start
        while at < end:
            hole_end = min(end, self.starts[index]) if index < len(self.starts) else end
            if at < hole_end:
                self._place(index, at, payload[at - start : hole_end - start])
                index += 1
            if hole_end == end:
                break
            overlap = True
            at = hole_end + len(self.pieces[index])
            index += 1
        return overlap

    def finish(self, end: int) -> bool:
        """Learn where the datagram ends, unless it is known; True if there is more beyond it."""
        if self.end is not None:
            return end != self.end
        self.end, beyond = end, False
        while self.starts and self.starts[-1] + len(self.pieces[-1]) > end:
            start, piece, beyond = self.starts.pop(), self.pieces.pop(), True
            self._account(-len(piece), -1)
            if start < end:
                self._place(len(self.starts), start, piece[: end - start])
        return beyond

    def _place(self, index: int, start: int, piece: bytes) -> None:
        self.starts.insert(index, start)
        self.pieces.insert(index, piece)
        self._account(len(piece), 1)

    def _account(self, size: int, pieces: int) -> None:
        self.held += size
        self.cost += size + pieces * PIECE_OVERHEAD


class Reassembler:
    """Owns the fragments that wait for the rest of their datagram, within fixed bounds."""

    def __init__(
        self,
        max_datagrams: int = MAX_DATAGRAMS,
        max_bytes: int = MAX_BYTES,
        timeout_ns: int = TIMEOUT_NS,
    ) -> None:
        self.counters = FragmentCounters()
        self.held_bytes = 0  # payload and overhead
        self.key = b""  # what the fragment last taken is known by; b"" if it is none to go by
        self._max_datagrams, self._max_bytes, self._timeout_ns = (
            max_datagrams,
            max_bytes,
            timeout_ns,
        )
        self._datagrams: dict[bytes, Datagram] = {}  # by arrival of their first fragment

    def __len__(self) -> int:
        """Datagrams that wait."""
        return len(self._datagrams)

    def add(self, ip_packet: Bytes, ts_ns: int, wirelen: int) -> Completed | None:
        """Take one fragment: a captured IP packet whose header `decode` has found to be one.

        ts_ns: its time. wirelen: length of its frame. Gives the datagram if this completes it.
        """
        self.counters.fragments += 1
        self._expire(ts_ns)
        self.key = b""
        try:
            fragment = parse(bytes(ip_packet))
        except (ValueError, IndexError):
            self.counters.malformed += 1
            return None
        if fragment is None:
            self.counters.cut += 1
            return None
        self.key = fragment.key
        return self._take(fragment, ts_ns, wirelen)

    def _take(self, fragment: Fragment, ts_ns: int, wirelen: int) -> Completed | None:
        datagram = self._datagrams.get(fragment.key)
        if datagram is None:
            datagram = self._datagrams[fragment.key] = Datagram(ts_ns, cost=PIECE_OVERHEAD)
            self.held_bytes += PIECE_OVERHEAD
        cost, payload = datagram.cost, fragment.payload
        contradiction = False
        if not fragment.more:
            contradiction = datagram.finish(fragment.start + len(payload))
        if datagram.end is not None and fragment.start + len(payload) > datagram.end:
            payload, contradiction = payload[: max(0, datagram.end - fragment.start)], True
        self.counters.contradictions += contradiction
        self.counters.overlaps += datagram.insert(fragment.start, payload)
        datagram.wirelen += wirelen
        if fragment.start == 0 and datagram.header is None:
            datagram.header = fragment.header
            datagram.cost += len(fragment.header)
        self.held_bytes += datagram.cost - cost
        if datagram.complete:
            self._remove(fragment.key)
            self.counters.completed += 1
            return Completed(rebuild(datagram), datagram.wirelen)
        self._make_room()
        return None

    def _remove(self, key: bytes) -> None:
        self.held_bytes -= self._datagrams.pop(key).cost

    def _expire(self, now_ns: int) -> None:
        while self._datagrams:
            key, oldest = next(iter(self._datagrams.items()))
            if now_ns - oldest.first_ns <= self._timeout_ns:
                return
            self._remove(key)
            self.counters.expired += 1

    def _make_room(self) -> None:
        while len(self._datagrams) > self._max_datagrams or self.held_bytes > self._max_bytes:
            self._remove(next(iter(self._datagrams)))
            self.counters.evicted += 1


def parse(packet: bytes) -> Fragment | None:
    """Read a fragment; None if it was not captured whole.

    ValueError or IndexError where it is not a fragment, or one that contradicts the protocol.
    """
    fragment = parse4(packet) if packet[0] >> 4 == 4 else parse6(packet)
    if fragment is not None:
        size = len(fragment.payload)
        if size == 0 or fragment.start + size > DATAGRAM_MAX:
            raise ValueError("impossible fragment")
    return fragment


def parse4(packet: bytes) -> Fragment | None:
    """RFC 791 §3.1."""
    header, total = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big") or len(packet)
    if len(packet) < max(total, 20):
        return None
    word = int.from_bytes(packet[6:8], "big")
    key = packet[12:20] + packet[4:6] + packet[9:10]
    unfragmented = (word & 0xC000).to_bytes(2, "big")
    whole = packet[:6] + unfragmented + packet[8:header]
    return Fragment(key, whole, (word & 0x1FFF) * 8, bool(word & 0x2000), packet[header:total])


def parse6(packet: bytes) -> Fragment | None:
    """RFC 8200 §4.5: the header that announces the Fragment header gets what comes after it."""
    length = int.from_bytes(packet[4:6], "big")
    total = 40 + length if length else len(packet)
    if len(packet) < max(total, 40):
        return None
    announced, at = 6, 40
    for _ in range(MAX_EXTENSIONS):
        if packet[announced] == IPV6_FRAGMENT:
            break
        size = packet[at + 1] * (4 if packet[announced] == IPV6_AH else 8) + 8
        announced, at = at, at + size
    else:
        raise ValueError("no fragment header")
    following, word = packet[at], int.from_bytes(packet[at + 2 : at + 4], "big")
    header = packet[:announced] + bytes([following]) + packet[announced + 1 : at]
    key = packet[8:40] + packet[at + 4 : at + 8]
    return Fragment(key, header, word & 0xFFF8, bool(word & 1), packet[at + 8 : total])


def rebuild(datagram: Datagram) -> bytes:
    """The packet with its length put right; 0 (to the end of the capture) where 16 bits are few."""
    assert datagram.header is not None
    packet = bytearray(datagram.header + b"".join(datagram.pieces))
    version4 = packet[0] >> 4 == 4
    at, length = (2, len(packet)) if version4 else (4, len(packet) - 40)
    packet[at : at + 2] = (length if length <= DATAGRAM_MAX else 0).to_bytes(2, "big")
    return bytes(packet)


def reassemble(
    data: NDArray[np.uint8],
    used: int,
    records: NDArray[np.void],
    packets: NDArray[np.void],
    reassembler: Reassembler,
    counts: NDArray[np.uint64],
    joined: list[Joined] | None = None,
) -> tuple[NDArray[np.uint8], int]:
    """Feed a decoded batch's fragments; where one completes a datagram, decode that in its place.

    data, used: the batch's bytes are data[:used]; datagrams are appended. records, packets: (n,)
    RECORD and PACKET. counts: (7,) by decode status, kept right. Gives `data` (another array if it
    had to grow) and the new `used`. A completed packet has the time of its last fragment, and the
    wire length of all its fragments. A fragment that is held has the hash of what its datagram is
    known by; `joined` is told which of them belong to which completed packet.
    """
    for i in np.flatnonzero(packets["status"] == FRAGMENT_HELD).tolist():
        record, row = records[i : i + 1].copy(), packets[i : i + 1]
        data, used, levels = _feed(data, used, record, row, reassembler, counts)
        if joined is not None and levels:
            parents = [*levels[1:], int(row["hash"][0])]
            joined += [Joined(i, *each) for each in zip(parents, levels, strict=True)]
    return data, used


def _feed(
    data: NDArray[np.uint8],
    used: int,
    record: NDArray[np.void],
    row: NDArray[np.void],
    reassembler: Reassembler,
    counts: NDArray[np.uint64],
) -> tuple[NDArray[np.uint8], int, list[int]]:
    """One fragment, `row`; what it completes may be one again: of a tunnel's inner packet. Gives
    the hashes of what it completed as well, the outermost first."""
    wirelen, tunnels, levels = int(row["wirelen"][0]), 0, []
    for _ in range(MAX_TUNNELS):
        start, size = int(row["payload_off"][0]), int(row["payload_len"][0])
        packet = data[start : start + size].tobytes()
        done = reassembler.add(packet, int(row["ts_ns"][0]), wirelen)
        mark = int.from_bytes(blake2b(reassembler.key, digest_size=8).digest(), "little")
        if done is None:
            row["hash"] = mark
            break
        levels.append(mark)
        end, wirelen, tunnels = used + len(done.packet), done.wirelen, int(row["tunnels"][0])
        data = with_room(data, used, end)
        data[used:end] = np.frombuffer(done.packet, np.uint8)
        record["off"], record["link"] = used, RAW_IP
        record["caplen"] = record["wirelen"] = len(done.packet)
        decoded = np.zeros(len(DECODE_STATUSES), np.uint64)
        decode(data, record, row, decoded)
        row["wirelen"] = min(wirelen, 0xFFFFFFFF)  # records may claim anything
        row["tunnels"] += tunnels
        counts[FRAGMENT_HELD] -= np.uint64(1)
        counts += decoded
        used = end
        if row["status"][0] != FRAGMENT_HELD:
            break
    return data, used, levels


def with_room(data: NDArray[np.uint8], used: int, end: int) -> NDArray[np.uint8]:
    """The array, or a copy of its first `used` bytes that can be written up to `end`."""
    if end <= data.size and data.flags.writeable:
        return data
    larger = np.empty(max(end, 2 * data.size), np.uint8)
    larger[:used] = data[:used]
    return larger
