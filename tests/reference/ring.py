"""A block of the TPACKET_V3 ring, one packet at a time: linux/if_packet.h."""

import struct
from typing import NamedTuple

PACKET = struct.Struct("=6I2HIIHxx")  # tpacket3_hdr without its padding at the end
ADDRESS_BYTES = 20  # sockaddr_ll, behind 48 bytes of header
BLOCK_HEADER = 48


class Packet(NamedTuple):
    ts_ns: int
    off: int
    caplen: int
    wirelen: int


def walk_block(
    block: bytearray, first: int, count: int, ethernet: bool, snaplen: int
) -> tuple[list[Packet], int]:
    """The packets of a block of which the header says `first` and `count`, and how many of them
    cannot be there. VLAN tags are put back into the block."""
    packets: list[Packet] = []
    pos, header = first, 48 + ADDRESS_BYTES
    for number in range(count):
        if pos < BLOCK_HEADER or len(block) - pos < header:
            return packets, count - number
        following, s, ns, caplen, wirelen, status, mac, _, _, tci, tpid = PACKET.unpack_from(
            block, pos
        )
        at, is_last = pos + mac, number == count - 1
        if mac < header or len(block) - at < caplen or wirelen < caplen:
            return packets, count - number
        if following < header and not is_last:
            return packets, count - number
        tci &= 0xFFFF
        if ethernet and (status & 0x10 or tci) and caplen >= 12 and mac >= header + 4:
            tag = struct.pack("!HH", tpid if status & 0x40 else 0x8100, tci)
            block[at - 4 : at + 12] = block[at : at + 12] + tag
            at, caplen, wirelen = at - 4, min(caplen + 4, snaplen), wirelen + 4
        packets.append(Packet(s * 10**9 + ns, at, caplen, wirelen))
        pos += following
    return packets, 0
