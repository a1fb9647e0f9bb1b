"""The shard beside its plain twin, on the packets that a mutated capture gave it.

The twin keeps every byte in a dict, so only short captures are compared, and not all of those.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.shard.content import ContentReader
from services.shard.kernels.reassembly import COMPARED_EXTENTS
from services.shard.tables import Tables
from shared.flow_key import Endpoint
from tests.reference.streams import Packet, Stream, Tracker
from tests.shard_harness import limits_of, readable

PAYLOAD_MAX = 20_000  # bytes of a capture that is compared
WIRE_MAX = 1 << 30  # of one packet's payload; the shard refuses what claims more


@dataclass(frozen=True)
class Captured(Packet):
    """A packet with a length of its own on the wire."""

    frame_bytes: int = 0

    @property
    def wirelen(self) -> int:
        return self.frame_bytes


@dataclass
class Recorder:
    """Remembers what one shard is given."""

    packets: list[Packet] = field(default_factory=list)
    payload_bytes: int = 0

    def take(self, rows: NDArray[np.void], payload: NDArray[np.uint8]) -> None:
        self.payload_bytes += int(rows["payload_len"].sum(dtype=np.int64))
        if self.payload_bytes <= PAYLOAD_MAX:
            self.packets += [packet_of(row, payload) for row in rows]

    @property
    def comparable(self) -> bool:
        return self.payload_bytes <= PAYLOAD_MAX


def packet_of(row: np.void, payload: NDArray[np.uint8]) -> Captured:
    """A PACKET row as the twin takes it."""
    a, b = (
        Endpoint(
            int(row["family"]),
            (int(row[f"addr_{side}_hi"]) << 64 | int(row[f"addr_{side}_lo"])).to_bytes(16, "big"),
            int(row[f"port_{side}"]),
        )
        for side in "ab"
    )
    src, dst = (b, a) if row["dir"] else (a, b)
    off, length = int(row["payload_off"]), int(row["payload_len"])
    return Captured(
        src,
        dst,
        payload[off : off + length].tobytes(),
        int(row["proto"]),
        int(row["flags"]),
        int(row["seq"]),
        int(row["ack"]),
        int(row["ts_ns"]),
        int(row["payload_wire"]),
        int(row["wirelen"]),
    )


def differences(
    recorder: Recorder, tables: Tables, closes: NDArray[np.void], now_ns: int
) -> list[str]:
    """Where shard and twin do not agree: numbers of the last events, then content."""
    tracker = Tracker(limits_of(tables))
    tracker.take(packet for packet in recorder.packets if packet.wire_payload <= WIRE_MAX)
    tracker.finish(now_ns)
    wanted = tracker.final()
    found = {int(event["stream_id"]): readable(event) for event in closes}
    if wanted.keys() != found.keys():
        return ["other streams"]
    told = [
        f"{name}: {found[stream_id][name]}, twin {value}"
        for stream_id, numbers in wanted.items()
        for name, value in numbers.items()
        if found[stream_id][name] != value
        and not (name.startswith("service") and is_refined(found[stream_id], numbers))
        and (name != "conflicts" or sum(numbers["packets"]) <= COMPARED_EXTENTS)
    ]
    return told or [what for stream in tracker.streams for what in other_content(stream, tables)]


def is_refined(found: dict[str, Any], twin: dict[str, Any]) -> bool:
    """A parser that follows a stream knows more of it than its first bytes told: that it was
    upgraded, or that TLS began in it (a proxy, STARTTLS)."""
    service, known = found["service"], twin["service"]
    return (service, known) == ("websocket", "http") or (service == "tls" and known != "tls")


def other_content(stream: Stream, tables: Tables) -> list[str]:
    """Where the retained content of a stream is not what the twin has."""
    rows = np.flatnonzero(tables.flows["stream_id"] == np.uint64(stream.stream_id))
    reader = ContentReader(tables)
    return [
        f"content of direction {side}"
        for side, direction in enumerate(stream.directions)
        if direction.segments() != segments(reader, int(rows[0]), side)
    ]


def segments(reader: ContentReader, row: int, side: int) -> list[tuple[int, bytes]]:
    window: Any = reader.window(row, side, 0, reader.emitted(row, side))
    result, at = [], 0
    for low, high in window.segments:
        result.append((low, window.data[at : at + high - low]))
        at += high - low
    return result
