"""Streams made of what each side says, through a shard; and what its parsers found in them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from shared.columns import (
    MESSAGE_GAP,
    MESSAGE_KINDS,
    MESSAGE_NOTES,
    MESSAGE_PROTOCOLS,
    MESSAGE_STATUSES,
)
from tests.reference.streams import ACK, SYN, Packet
from tests.shard_harness import ShardRun, ends

TCP, UDP, PSH = 6, 17, 8
CLIENT, SERVER = "10.0.0.1", "10.0.0.2"


@dataclass(frozen=True)
class Said:
    """Octets of one side, and how many behind them were never captured."""

    side: int  # 0 = the client
    octets: bytes
    lost: int = 0


def conversation(
    said: Iterable[Said], port: int, proto: int = TCP, opened: bool = True
) -> list[Packet]:
    """A packet each. opened: TCP begins with SYNs."""
    pair, seqs, packets = (ends(CLIENT, 40000), ends(SERVER, port)), [1, 1], []
    if opened and proto == TCP:
        packets = [
            Packet(pair[0], pair[1], flags=SYN, ts_ns=1),
            Packet(pair[1], pair[0], flags=SYN | ACK, ack=1, ts_ns=2),
        ]
    for one in said:
        flags, wire = ACK | PSH if proto == TCP else 0, len(one.octets) + one.lost
        packets.append(
            Packet(
                pair[one.side], pair[1 - one.side], one.octets, proto, flags, seqs[one.side],
                seqs[1 - one.side] if proto == TCP else 0, len(packets) + 1, wire,
            )
        )  # fmt: skip
        seqs[one.side] += wire
    return packets


def cut(said: Sequence[Said], size: int) -> list[Said]:
    """The same in pieces of at most so many octets."""
    pieces = []
    for one in said:
        for at in range(0, len(one.octets), size):
            octets = one.octets[at : at + size]
            last = at + size >= len(one.octets)
            pieces.append(Said(one.side, octets, one.lost if last else 0))
        if not one.octets and one.lost:
            pieces.append(one)
    return pieces


@dataclass(frozen=True)
class Row:
    """A told message in words."""

    protocol: str
    kind: str
    side: int
    ordinal: int
    pair: int | None  # ordinal
    start: int
    end: int
    header_end: int
    code: int
    value: int
    status: str
    note: str
    gap: bool
    ts_ns: int
    summary: bytes
    name: bytes


def rows(run: ShardRun) -> list[Row]:
    """All that was told, in the order in which the messages began."""
    told = [readable(message, text) for message, text in run.found]
    return sorted(told, key=lambda row: row.ordinal)


def readable(message: np.void, text: bytes) -> Row:
    split = len(text) - int(message["name_len"])
    return Row(
        MESSAGE_PROTOCOLS[message["protocol"]], MESSAGE_KINDS[message["kind"]],
        int(message["dir"]), int(message["ordinal"]), int(message["pair"]) - 1 if message["pair"]
        else None, int(message["start"]), int(message["end"]), int(message["header_end"]),
        int(message["code"]), int(message["value"]), MESSAGE_STATUSES[message["status"]],
        MESSAGE_NOTES[message["note"]], bool(message["marks"] & MESSAGE_GAP),
        int(message["ts_ns"]), text[:split], text[split:],
    )  # fmt: skip


def parsed(
    packets: Sequence[Packet], cuts: Iterable[int] = (), run: ShardRun | None = None
) -> list[Row]:
    """Of one stream from beginning to end. cuts: packets before which a batch ends."""
    run = run or ShardRun()
    run.take_in_batches(packets, cuts)
    run.finish()
    return rows(run)
