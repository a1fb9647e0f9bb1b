"""Find every packet of the capture file bytes in memory: header walks, no byte is copied.

Both walks start at `data[start]` on a header, stop where they cannot go on without their caller,
and say why in `cursor`. Records point into `data` from `base` on. All arithmetic is int64: fields
are 32 bits, positions are far below 2^63, so nothing here can wrap.
"""

import numpy as np

from shared.columns import I64, U8, U64, OutI64, OutRecords
from shared.kernels import inlined, kernel

Int = int | np.int64

# What a walk says in its cursor.
POS = 0  # where it stopped: the first byte not used
STOP = 1  # why: one of the reasons below
NEED = 2  # bytes from POS on that must be in memory to go on (MORE), or may be thrown away (SKIP)
CAPTURED = 3  # captured bytes of the records filled
DAMAGED = 4  # blocks found damaged and passed over
LAST_NS = 5  # time of the last packet: kept between calls
FOUND = 6  # the first FAULTS_KEPT damaged blocks of this walk: offset and reason, pairwise
FAULTS_KEPT = 16
CURSOR_SIZE = FOUND + 2 * FAULTS_KEPT

FULL, MORE, SKIP, SECTION, INTERFACE = range(5)  # the batch is full; see NEED; see the block there
TOO_LONG, BAD_LENGTH, NO_BYTE_ORDER = 5, 6, 7  # the file cannot be followed any further
# Damaged blocks, passed over
NO_SUCH_INTERFACE, TOO_SHORT, DOES_NOT_FIT, LENGTHS_DIFFER = range(4)

# A record header of the pcap format, draft-ietf-opsawg-pcap §5: seconds, fraction, caplen, wirelen
PCAP_FRACTION, PCAP_CAPLEN, PCAP_WIRELEN = 4, 8, 12

# Blocks of draft-ietf-opsawg-pcapng §4 and their smallest total length
SHB, IDB, PB, SPB, EPB = 0x0A0D0D0A, 1, 2, 3, 6
BLOCK_MIN, SHB_MIN, IDB_MIN, SPB_MIN, EPB_MIN = 12, 28, 20, 16, 32
BYTE_ORDER_MAGIC, BYTE_ORDER_SWAPPED = 0x1A2B3C4D, 0x4D3C2B1A
BLOCK_MAX = 64 << 20  # a packet, section or interface longer than this is taken for damage

# An interface: a row of INTERFACE_FIELDS in one flat table
LINK, SNAPLEN, UNIT, AMOUNT = range(4)
INTERFACE_FIELDS = 4
MULTIPLY, DIVIDE, SHIFT = range(3)  # of UNIT: time units to nanoseconds, by AMOUNT

NS = np.uint64(1_000_000_000)
LOW_32, BITS_32, BITS_62 = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(62)
ZERO_64, WORD_64 = np.uint64(0), np.uint64(64)
TIME_MAX_NS = 9_200_000_000_000_000_000  # the year 2261; later times are set to it
TIME_MAX_64 = np.uint64(TIME_MAX_NS)


@inlined
def _u16(data: U8, pos: Int, big: bool) -> np.int64:
    at = np.uint64(pos)
    first, second = np.int64(data[at]), np.int64(data[at + np.uint64(1)])
    return first << 8 | second if big else second << 8 | first


@inlined
def _u32(data: U8, pos: Int, big: bool) -> np.int64:
    """Four bytes as an unsigned number in an int64. LLVM makes one load of them."""
    at = np.uint64(pos)
    a, b = np.int64(data[at]), np.int64(data[at + np.uint64(1)])
    c, d = np.int64(data[at + np.uint64(2)]), np.int64(data[at + np.uint64(3)])
    if big:
        return a << 24 | b << 16 | c << 8 | d
    return d << 24 | c << 16 | b << 8 | a


@inlined
def _fault(cursor: OutI64, pos: Int, reason: Int) -> None:
    """Count a damaged block; keep its place while there is room."""
    if cursor[DAMAGED] < FAULTS_KEPT:
        at = FOUND + 2 * cursor[DAMAGED]
        cursor[at], cursor[at + 1] = pos, reason
    cursor[DAMAGED] += 1


@inlined
def _moved(ns: Int, offset_ns: Int) -> Int:
    """ns + offset_ns within 0 … TIME_MAX_NS; both are within ±TIME_MAX_NS."""
    if offset_ns > 0 and ns > TIME_MAX_NS - offset_ns:
        return TIME_MAX_NS
    return max(ns + offset_ns, 0)


@inlined
def _nanoseconds(units: np.uint64, unit: np.uint64, amount: np.uint64) -> np.uint64:
    """Time units of an interface as nanoseconds, all uint64; TIME_MAX_NS where they overflow."""
    if unit == np.uint64(MULTIPLY):
        if units > TIME_MAX_64 // amount:
            return TIME_MAX_64
        return units * amount
    if unit == np.uint64(DIVIDE):
        return min(units // amount, TIME_MAX_64) if amount else ZERO_64
    # units * 10^9 >> amount, by way of 96 bits: top * 2^32 + bottom
    product = (units & LOW_32) * NS
    top = (units >> BITS_32) * NS + (product >> BITS_32)
    bottom = product & LOW_32
    if amount >= BITS_32:
        shift = amount - BITS_32
        return min(top >> shift, TIME_MAX_64) if shift < WORD_64 else ZERO_64
    left = BITS_32 - amount
    if top >> (BITS_62 + np.uint64(1) - left):
        return TIME_MAX_64
    return min(top << left | bottom >> amount, TIME_MAX_64)


@inlined
def _packet(
    data: U8,
    pos: Int,
    kind: Int,
    total: Int,
    base: Int,
    big: bool,
    interfaces: U64,
    offsets_ns: I64,
    interface_count: Int,
    source: Int,
    count: Int,
    records: OutRecords,
    cursor: OutI64,
) -> int:
    """Fill one record from the packet block at pos: 1, or 0 if the block is damaged."""
    smallest = SPB_MIN if kind == SPB else EPB_MIN  # a PB is as long as an EPB
    if total < smallest:
        _fault(cursor, pos, TOO_SHORT)
        return 0
    interface: Int = 0
    if kind == EPB:
        interface = _u32(data, pos + 8, big)
    elif kind == PB:
        interface = _u16(data, pos + 8, big)
    if interface >= interface_count:
        _fault(cursor, pos, NO_SUCH_INTERFACE)
        return 0
    row = interface * INTERFACE_FIELDS
    room = total - smallest
    if kind == SPB:
        wirelen, off = _u32(data, pos + 8, big), pos + 12
        snaplen = np.int64(interfaces[row + SNAPLEN])
        caplen: Int = min(wirelen, room, snaplen if snaplen > 0 else room)
    else:
        caplen, wirelen, off = (
            _u32(data, pos + 20, big),
            _u32(data, pos + 24, big),
            pos + 28,
        )
        if caplen > room:
            _fault(cursor, pos, DOES_NOT_FIT)
            return 0
        high, low = _u32(data, pos + 12, big), _u32(data, pos + 16, big)
        units = np.uint64(high) << BITS_32 | np.uint64(low)
        ns = _nanoseconds(units, interfaces[row + UNIT], interfaces[row + AMOUNT])
        cursor[LAST_NS] = _moved(np.int64(ns), offsets_ns[interface])
    record = records[count]
    record["ts_ns"] = cursor[LAST_NS]  # a simple packet block has no time: that of the one before
    record["off"] = np.uint32(off - base)
    record["caplen"] = np.uint32(caplen)
    record["wirelen"] = np.uint32(max(wirelen, caplen))
    record["link"] = np.uint16(interfaces[row + LINK])
    record["source"] = np.uint16(source)
    cursor[CAPTURED] += caplen
    return 1


@inlined
def _section_is_whole(data: U8, pos: Int, stop: Int, cursor: OutI64) -> bool:
    """A section header: it carries its own byte order and always ends the walk."""
    if stop - pos < 12:
        cursor[STOP], cursor[NEED] = MORE, 12
        return False
    magic = _u32(data, pos + 8, False)
    if magic != BYTE_ORDER_MAGIC and magic != BYTE_ORDER_SWAPPED:
        cursor[STOP] = NO_BYTE_ORDER
        return False
    total = _u32(data, pos + 4, magic == BYTE_ORDER_SWAPPED)
    if total < SHB_MIN or total & 3:
        cursor[STOP] = BAD_LENGTH
    elif total > BLOCK_MAX:
        cursor[STOP] = TOO_LONG
    elif stop - pos < total:
        cursor[STOP], cursor[NEED] = MORE, total
    else:
        cursor[STOP], cursor[NEED] = SECTION, total
        if _u32(data, pos + total - 4, magic == BYTE_ORDER_SWAPPED) != total:
            _fault(cursor, pos, LENGTHS_DIFFER)
    return False


@inlined
def _block_is_whole(data: U8, pos: Int, stop: Int, big: bool, cursor: OutI64) -> bool:
    """Is there a whole block at pos whose lengths make sense? If not, the cursor says why."""
    if stop - pos < 8:
        cursor[STOP], cursor[NEED] = MORE, 8
        return False
    kind = _u32(data, pos, big)
    if kind == SHB:
        return _section_is_whole(data, pos, stop, cursor)
    total = _u32(data, pos + 4, big)
    if total < BLOCK_MIN or total & 3 or (kind == IDB and total < IDB_MIN):
        cursor[STOP] = BAD_LENGTH
        return False
    if total > BLOCK_MAX:
        packet = kind == IDB or kind == EPB or kind == SPB or kind == PB
        cursor[STOP], cursor[NEED] = (TOO_LONG, 0) if packet else (SKIP, total)
        return False
    if stop - pos < total:
        cursor[STOP], cursor[NEED] = MORE, total
        return False
    return True


@kernel
def walk_pcap(
    data: U8,
    start: int,
    stop: int,
    header: int,
    big: bool,
    tick_ns: int,
    caplen_max: int,
    link: int,
    source: int,
    batch_bytes: int,
    records: OutRecords,
    cursor: OutI64,
) -> int:
    """Fill records from pcap record headers in `data[start:stop]`; returns how many.

    header: bytes of a record header. tick_ns: nanoseconds in a unit of its fraction. The walk
    ends when records are full or batch_bytes are passed (FULL), in the middle of a record (MORE)
    or at a captured length above caplen_max (TOO_LONG). Seconds are unsigned: good until 2106.
    """
    pos: Int = start
    captured: Int = 0
    count = 0
    cursor[NEED] = 0
    while True:
        if count >= records.size or pos - start >= batch_bytes:
            cursor[STOP] = FULL
            break
        if stop - pos < header:
            cursor[STOP], cursor[NEED] = MORE, header
            break
        caplen = _u32(data, pos + PCAP_CAPLEN, big)
        if caplen > caplen_max:
            cursor[STOP] = TOO_LONG
            break
        if stop - pos < header + caplen:
            cursor[STOP], cursor[NEED] = MORE, header + caplen
            break
        wirelen = _u32(data, pos + PCAP_WIRELEN, big)
        record = records[count]
        seconds, fraction = _u32(data, pos, big), _u32(data, pos + PCAP_FRACTION, big)
        record["ts_ns"] = seconds * 1_000_000_000 + fraction * tick_ns
        record["off"] = np.uint32(pos + header - start)
        record["caplen"] = np.uint32(caplen)
        record["wirelen"] = np.uint32(max(wirelen, caplen))
        record["link"] = np.uint16(link)
        record["source"] = np.uint16(source)
        count += 1
        captured += caplen
        pos += header + caplen
    cursor[POS], cursor[CAPTURED], cursor[DAMAGED] = pos, captured, 0
    return count


@kernel
def walk_pcapng(
    data: U8,
    start: int,
    stop: int,
    base: int,
    big: bool,
    interfaces: U64,
    offsets_ns: I64,
    interface_count: int,
    source: int,
    batch_bytes: int,
    filled: int,
    records: OutRecords,
    cursor: OutI64,
) -> int:
    """Fill `records[filled:]` from pcapng blocks in `data[start:stop]`; returns how many are full.

    interfaces: INTERFACE_FIELDS a row, offsets_ns: (rows,), of which interface_count are known.
    Packet blocks (enhanced, simple, and the obsolete one) become records; section and interface
    blocks stop the walk (SECTION, INTERFACE) once they are whole; the others are passed over.
    A packet block that is wrong in itself is passed over too: DAMAGED counts, FOUND says where.
    """
    pos: Int = start
    count = filled
    cursor[NEED], cursor[CAPTURED], cursor[DAMAGED] = 0, 0, 0
    while True:
        if count >= records.size or pos - base >= batch_bytes:
            cursor[STOP] = FULL
            break
        if not _block_is_whole(data, pos, stop, big, cursor):
            break
        kind, total = _u32(data, pos, big), _u32(data, pos + 4, big)
        if _u32(data, pos + total - 4, big) != total:
            _fault(cursor, pos, LENGTHS_DIFFER)
        if kind == IDB:
            cursor[STOP], cursor[NEED] = INTERFACE, total
            break
        if kind == EPB or kind == SPB or kind == PB:
            count += _packet(
                data,
                pos,
                kind,
                total,
                base,
                big,
                interfaces,
                offsets_ns,
                interface_count,
                source,
                count,
                records,
                cursor,
            )
        pos += total
    cursor[POS] = pos
    return count
