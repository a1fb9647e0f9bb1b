"""Walk a block of packets that the Linux kernel filled: TPACKET_V3, linux/if_packet.h.

A block begins with a header that says how many packets there are and where the first one lies;
each packet begins with a `tpacket3_hdr`, an address behind it, and says where the next one lies.
All of it is checked against the block: whatever stands there, nothing outside of it is touched.
Byte order is the machine's, which is little-endian wherever this runs.
"""

import numpy as np

from shared.columns import OutI64, OutRecords, OutU8
from shared.kernels import inlined, kernel

Int = int | np.int64

# struct tpacket3_hdr
NEXT, SECONDS, NANOSECONDS, CAPLEN, WIRELEN, STATUS, MAC = 0, 4, 8, 12, 16, 20, 24
TAG, TAG_PROTOCOL = 32, 36
HEADER = 48 + 20  # with the sockaddr_ll behind it
TAG_VALID, TAG_PROTOCOL_VALID = 0x10, 0x40  # of STATUS
VLAN, TAG_BYTES, MACS = 0x8100, 4, 12  # IEEE 802.1Q; a tag stands behind both addresses
ETHERNET = 1
BLOCK_HEADER = 48

# What a walk says in its cursor
POS = 0  # where the next packet is
LEFT = 1  # packets that are still in the block
LOST = 2  # packets that cannot be there: the block contradicts itself
CURSOR_SIZE = 3


@inlined
def _u16(data: OutU8, pos: Int) -> np.int64:
    at = np.uint64(pos)
    return np.int64(data[at]) | np.int64(data[at + np.uint64(1)]) << 8


@inlined
def _u32(data: OutU8, pos: Int) -> np.int64:
    return _u16(data, pos) | _u16(data, pos + 2) << 16


@inlined
def _put_back(data: OutU8, at: Int, protocol: Int, tag: Int) -> None:
    """The VLAN tag that the kernel took off: the addresses move by its length to the front."""
    to = np.uint64(at - TAG_BYTES)
    for i in range(MACS):
        data[to + np.uint64(i)] = data[to + np.uint64(i + TAG_BYTES)]
    behind = to + np.uint64(MACS)
    data[behind] = np.uint8(protocol >> 8)
    data[behind + np.uint64(1)] = np.uint8(protocol & 255)
    data[behind + np.uint64(2)] = np.uint8(tag >> 8)
    data[behind + np.uint64(3)] = np.uint8(tag & 255)


@kernel
def walk_block(
    data: OutU8,
    link: int,
    source: int,
    snaplen: int,
    records: OutRecords,
    cursor: OutI64,
) -> int:
    """Fill records with the block's packets from cursor[POS] on; returns how many.

    Ends when there are none left, when records are full, or where the block contradicts itself:
    then the rest is counted as LOST. Tags that were taken off are put back into `data`, where
    PACKET_RESERVE left room for them. cursor: (CURSOR_SIZE,)
    """
    filled = 0
    size = data.size
    while cursor[LEFT] > 0 and filled < records.size:
        pos = cursor[POS]
        if pos < BLOCK_HEADER or pos > size - HEADER:
            break
        caplen: Int = _u32(data, pos + CAPLEN)
        wirelen = _u32(data, pos + WIRELEN)
        mac, following = _u16(data, pos + MAC), _u32(data, pos + NEXT)
        at = pos + mac
        if mac < HEADER or at + caplen > size or wirelen < caplen:
            break
        if cursor[LEFT] > 1 and following < HEADER:
            break
        status, tag = _u32(data, pos + STATUS), _u16(data, pos + TAG)
        is_tagged = (status & TAG_VALID) != 0 or tag != 0
        if is_tagged and link == ETHERNET and caplen >= MACS and mac >= HEADER + TAG_BYTES:
            known = status & TAG_PROTOCOL_VALID
            _put_back(data, at, _u16(data, pos + TAG_PROTOCOL) if known else VLAN, tag)
            at -= TAG_BYTES
            caplen, wirelen = min(caplen + TAG_BYTES, snaplen), wirelen + TAG_BYTES
        record = records[filled]
        record["ts_ns"] = _u32(data, pos + SECONDS) * 1_000_000_000 + _u32(data, pos + NANOSECONDS)
        record["off"] = np.uint32(at)
        record["caplen"] = np.uint32(caplen)
        record["wirelen"] = np.uint32(wirelen)
        record["link"] = np.uint16(link)
        record["source"] = np.uint16(source)
        filled += 1
        cursor[POS] = pos + following
        cursor[LEFT] -= 1
    if cursor[LEFT] > 0 and filled < records.size:
        cursor[LOST] += cursor[LEFT]
        cursor[LEFT] = 0
    return filled
