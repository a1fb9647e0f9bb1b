"""Captured packets become the pages of a packet ring as the twin says, whatever the pages' size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.capture.kernels.ring_pages import (
    OCTETS,
    PAGE_FIELDS,
    ROWS,
    TOO_LONG,
    fill_page,
)
from shared.columns import FRAGMENT_HELD, PACKET, RECORD, RING_ROW
from tests.reference import ring_pages as reference
from tests.reference.ring_pages import FRAME_MAX, Captured, Filled, Row

captured = st.builds(
    Captured,
    st.integers(-(10**9) - 1, 9_200_000_000_000_000_000),
    st.sampled_from((1, 101, 113)),
    st.integers(0, (1 << 32) - 1),
    st.binary(max_size=40),
    st.integers(0, (1 << 64) - 1),
    st.booleans(),
)


def columns(
    packets: list[Captured],
) -> tuple[NDArray[np.uint8], NDArray[np.void], NDArray[np.void]]:
    """Their bytes with others between, RECORD and PACKET rows."""
    records, rows = np.zeros(len(packets), RECORD), np.zeros(len(packets), PACKET)
    data = b""
    for i, packet in enumerate(packets):
        data += b"between"
        records[i] = (
            packet.ts_ns, len(data), len(packet.frame), packet.wirelen, packet.link, 0,
        )  # fmt: skip
        rows[i]["hash"], rows[i]["status"] = packet.hash64, FRAGMENT_HELD if packet.held else 0
        data += packet.frame
    return np.frombuffer(data + b"!", np.uint8), records, rows


def fill(packets: list[Captured], link: int, first: int, octets: int, rows: int) -> list[Filled]:
    """All pages of one link type; checks what the kernel counts."""
    data, records, decoded = columns(packets)
    page = np.full(octets, 0xEE, np.uint8)
    flows, index = np.zeros(rows, np.uint64), np.zeros(rows, RING_ROW)
    told = np.zeros(PAGE_FIELDS, np.uint64)
    at = 0
    result: list[Filled] = []
    while True:
        told[ROWS] = told[OCTETS] = 0
        at = fill_page(data, records, decoded, at, link, first, page, flows, index, told)
        count, used = int(told[ROWS]), int(told[OCTETS])
        assert (page[used:] == 0xEE).all() or result
        result.append(
            Filled(
                page[:used].tobytes(),
                [
                    Row(int(flow), *row)
                    for flow, row in zip(flows[:count], index[:count].tolist(), strict=True)
                ],
            )
        )
        if at == records.size:
            break
    others = sum(packet.link != link for packet in packets)
    assert told[TOO_LONG] == len(packets) - others - sum(len(each.rows) for each in result)
    return result


@pytest.mark.property
@given(
    st.lists(captured, max_size=20),
    st.sampled_from((1, 101)),
    st.integers(0, 1 << 40),
    st.integers(56, 300),
    st.integers(1, 9),
)
def test_pages(packets: list[Captured], link: int, first: int, octets: int, rows: int) -> None:
    assert fill(packets, link, first, octets, rows) == reference.pages(
        packets, link, first, octets, rows
    )


def test_a_frame_that_no_reader_takes_is_left_out_and_counted() -> None:
    packets = [
        Captured(1, 1, size, b"x" * size, 8, held=False) for size in (FRAME_MAX + 1, FRAME_MAX, 5)
    ]
    (page,) = fill(packets, 1, 0, 1 << 20, 9)
    assert [row.caplen for row in page.rows] == [FRAME_MAX, 5]
