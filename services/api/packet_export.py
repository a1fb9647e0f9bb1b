"""A stream as a file of packets: captured ones as far as the ring has them, else synthesised.

What is what, the note says, and the interface of each packet: those that were captured have one for
each link type. The ring loses its oldest packets first, so what is synthesised stands before them;
it has the captured sequence numbers, so that the whole is one stream; what a side said in one turn
may be there twice, where the turn's beginning alone is lost. Where captured packets are
Ethernet the others are as well: libpcap reads no file of several link types.
"""

from collections.abc import AsyncIterator
from typing import Literal, NamedTuple

from services.api.backend import Backend, deadline
from services.api.packets import (
    CAPTURED,
    FIRST_SEQ,
    LINKTYPE_ETHERNET,
    LINKTYPE_RAW,
    NOTE,
    SYNTHESISED,
    Ends,
    Synthesis,
    file_header,
)
from services.api.problems import Problem
from services.api.reading import WINDOW_BYTES, of_shard
from services.api.ring import PACKETS_MAX, TIME_MAX, Kept, Ring, key_of
from services.api.streams import FoundStream
from shared.columns import PROTOCOLS, TCP, UDP

Wanted = Literal["auto", "captured", "synthesised"]
TURN_BYTES = 16384  # of what is synthesised before captured packets: it may overlap with them
PAGE = 512


class PacketFile(NamedTuple):
    """A pcapng file, and what is to be known of it."""

    note: str
    pieces: AsyncIterator[bytes]


async def packet_file(
    backend: Backend, ring: Ring, stream: FoundStream, sides: list[int], wanted: Wanted
) -> PacketFile:
    """The file. Problem 400 for what cannot be had of this stream, 410 for what is gone."""
    if wanted == "captured" and len(sides) == 1:
        raise Problem(
            400, "bad_value", "direction: captured packets are of both", "leave direction out"
        )
    note = NOTE
    if wanted != "synthesised" and len(sides) == 2 and (ring.folder or wanted == "captured"):
        try:
            kept = await ring.packets_of(stream.event, deadline())
        except Problem as problem:
            if wanted == "captured":
                raise
            note = f"{NOTE}; {problem.message}"
        else:
            if kept.packets:
                return _captured(backend, ring, stream, kept, wanted)
            if wanted == "captured":
                raise Problem(
                    410,
                    "evicted",
                    "the packet ring has no packet of this stream any more",
                    "give packets=synthesised, and more room with --packet-ring-bytes",
                )
    pieces = _synthesised(backend, stream, ends_of(stream), sides, note)
    return PacketFile(note, pieces)


def _captured(
    backend: Backend, ring: Ring, stream: FoundStream, kept: Kept, wanted: Wanted
) -> PacketFile:
    """Captured packets; before them what is synthesised, if the ring has lost the first ones."""
    lacks = kept.first_ns > int(stream.event["first_ns"])
    mends = lacks and wanted == "auto" and int(stream.event["proto"]) in (TCP, UDP)
    note = f"captured packets, as they came: {kept.packets}"
    if kept.packets < kept.of:
        note += f" of {kept.of}, the others are not in the packet ring"
    elif kept.packets >= PACKETS_MAX:
        note += ", the first ones; there are more"
    if mends:
        note += f"; what was said before the first of them is {NOTE}"
    return PacketFile(note, _of_ring(backend, ring, stream, kept, note, mends))


async def _of_ring(
    backend: Backend, ring: Ring, stream: FoundStream, kept: Kept, note: str, mends: bool
) -> AsyncIterator[bytes]:
    links = kept.links
    link = LINKTYPE_ETHERNET if links == [LINKTYPE_ETHERNET] else LINKTYPE_RAW
    interfaces = [(each, CAPTURED) for each in links] + [(link, SYNTHESISED)] * mends
    yield file_header(note, interfaces)
    if mends:
        made = Synthesis(ends_of(stream), interface=len(links), link=link)
        try:
            async for piece in _turns(backend, stream, made, [0, 1], kept.first_ns, TURN_BYTES):
                yield piece
        except Problem as problem:
            if problem.status != 410:
                raise
    async for piece in ring.blocks(kept):
        yield piece


async def _synthesised(
    backend: Backend, stream: FoundStream, ends: Ends, sides: list[int], note: str
) -> AsyncIterator[bytes]:
    made = Synthesis(ends, last_ns=int(stream.event["first_ns"]))
    yield file_header(note)
    async for piece in _turns(backend, stream, made, sides, TIME_MAX, WINDOW_BYTES):
        yield piece
    yield b"".join(made.end((made.after[0], made.after[1])))


async def _turns(
    backend: Backend,
    stream: FoundStream,
    made: Synthesis,
    sides: list[int],
    until_ns: int,
    longest: int,
) -> AsyncIterator[bytes]:
    """What was said before until_ns, a page of the conversation at a time."""
    ended = False
    while not ended:
        answer = await of_shard(
            backend, stream, "conversation", deadline(), after=made.after, limit=PAGE, len=longest
        )
        low, high = answer.result.get("first_seqs", (FIRST_SEQ, FIRST_SEQ))
        made.first_seqs = low, high
        blocks: list[bytes] = []
        octets, at = answer.frames[0], 0
        for direction, start, stop, ts_ns, _, gap, _ in answer.result["turns"]:
            if ts_ns >= until_ns:
                ended = True
                break
            length = 0 if gap else stop - start
            if not gap and direction in sides:
                blocks += made.turn(direction, start, octets[at : at + length], ts_ns)
            at += length
        yield b"".join(blocks)
        made.after, ended = answer.result["after"], ended or answer.result["end"]


def ends_of(stream: FoundStream) -> Ends:
    """The endpoints as packets have them. Problem 400 for what is neither TCP nor UDP."""
    proto = int(stream.event["proto"])
    if proto not in (TCP, UDP):
        raise Problem(
            400,
            "bad_value",
            f"format: there are no packets to be made of {PROTOCOLS.get(proto, proto)}",
            "use format=raw or format=json",
        )
    key = key_of(stream.event)
    addresses, ports = (key.a.packed, key.b.packed), (key.a.port, key.b.port)
    return Ends(proto, addresses, ports, stream.client, stream.row["status"])
