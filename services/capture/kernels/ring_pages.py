"""Captured packets become a page of a packet ring: pcap records, and the rows of their index."""

import numpy as np

from shared.columns import FRAGMENT_HELD, U8, OutRingRows, OutU8, OutU64, Packets, Records
from shared.kernels import inlined, kernel

# What a page says of itself
ROWS, OCTETS, TOO_LONG = range(3)
PAGE_FIELDS = 3

HEADER = np.uint64(16)
FRAME_MAX = np.uint32(262144)
KIND_MASK, HELD_KIND = ~np.uint64(3), np.uint64(1)
SECOND_NS, SECONDS_MAX = 1_000_000_000, 0xFFFFFFFF
BYTE = np.uint64(8)


@inlined
def _put32(octets: OutU8, at: np.uint64, value: np.uint64) -> None:
    octets[at] = np.uint8(value)
    octets[at + np.uint64(1)] = np.uint8(value >> BYTE)
    octets[at + np.uint64(2)] = np.uint8(value >> np.uint64(16))
    octets[at + np.uint64(3)] = np.uint8(value >> np.uint64(24))


@kernel
def fill_page(
    data: U8,
    records: Records,
    packets: Packets,
    start: int,
    link: int,
    first: int,
    octets: OutU8,
    flows: OutU64,
    rows: OutRingRows,
    page: OutU64,
) -> int:
    """Append packets [start, …) of one link type to a page; returns the first that did not fit.

    records, packets: (n,) what was captured and what was decoded of it; the number of record i is
    first + i. octets: room for pcap records; flows, rows: for their index, whose `off` counts from
    the page's start. page: PAGE_FIELDS, what is used so far, and packets left out because they are
    too long for any reader of pcap.
    """
    row, at = page[ROWS], page[OCTETS]
    rows_max, octets_max = np.uint64(rows.size), np.uint64(octets.size)
    stop = records.size
    for i in range(start, records.size):
        record = records[i]
        if np.int64(record.link) != link:
            continue
        if record.caplen > FRAME_MAX:
            page[TOO_LONG] += np.uint64(1)
            continue
        length = np.uint64(record.caplen)
        if row >= rows_max or at + HEADER + length > octets_max:
            stop = i
            break
        seconds = record.ts_ns // SECOND_NS
        nanoseconds = record.ts_ns - seconds * SECOND_NS
        _put32(octets, at, np.uint64(min(max(seconds, 0), SECONDS_MAX)))
        _put32(octets, at + np.uint64(4), np.uint64(nanoseconds))
        _put32(octets, at + np.uint64(8), length)
        _put32(octets, at + np.uint64(12), np.uint64(record.wirelen))
        at += HEADER
        source = np.uint64(record.off)
        for k in range(length):
            octets[at + np.uint64(k)] = data[source + np.uint64(k)]
        kind = HELD_KIND if packets[i].status == FRAGMENT_HELD else np.uint64(0)
        flows[row] = packets[i].hash & KIND_MASK | kind
        rows[row].number = np.uint64(first) + np.uint64(i)
        rows[row].ts_ns = record.ts_ns
        rows[row].off = np.uint32(at)
        rows[row].caplen = np.uint32(length)
        at += length
        row += np.uint64(1)
    page[ROWS], page[OCTETS] = row, at
    return stop
