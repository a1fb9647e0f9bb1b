from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.coordinator.kernels import inventory as k
from services.coordinator.view import Inventory
from shared.columns import EVENT, PREVIEW
from tests.reference import inventory as reference

pytestmark = pytest.mark.property
events = st.lists(
    st.tuples(
        st.integers(1, 12),  # stream
        st.integers(0, 5),  # row
        st.integers(0, 2),  # kind
    ),
    max_size=12,
)
pieces = st.lists(
    st.tuples(
        st.integers(0, 7),  # row, perhaps one never told of
        st.integers(0, 2),  # direction, perhaps none
        st.one_of(st.integers(0, 4), st.integers(0, 300)),  # start
        st.one_of(st.integers(0, 9), st.integers(0, 300)),  # len
        st.integers(0, 40),  # off
    ),
    max_size=4,
)
octets = bytes(range(33, 83))
messages = st.lists(st.tuples(st.integers(0, 1), events, pieces, st.integers(0, 12)), max_size=8)


def as_events(rows: list[tuple[int, int, int]], serial: int) -> np.ndarray[Any, Any]:
    result = np.zeros(len(rows), EVENT)
    for event, (stream, row, kind) in zip(result, rows, strict=True):
        event["stream_id"], event["row"], event["kind"] = stream << 40 | stream, row, kind
        for i, name in enumerate(EVENT.names or ()):
            if name not in ("stream_id", "row", "kind", "shard", "pad"):
                event[name] = (serial + 7 * i + stream) & 0x7F
        serial += 1
    return result


def as_pieces(rows: list[tuple[int, int, int, int, int]]) -> np.ndarray[Any, Any]:
    result = np.zeros(len(rows), PREVIEW)
    for piece, (row, side, start, length, off) in zip(result, rows, strict=True):
        piece["row"], piece["dir"], piece["off"] = row, side, off
        piece["start"], piece["len"] = start, length
    return result


@settings(max_examples=3 * settings().max_examples)
@given(st.integers(1, 7), messages)
def test_agrees_with_the_reference(capacity: int, told: list[Any]) -> None:
    inventory, twin = Inventory(capacity), reference.Inventory(capacity)
    for serial, (shard, rows, parts, loved) in enumerate(told):
        batch = as_events(rows, 16 * serial)
        inventory.merge(shard, batch, as_pieces(parts), np.frombuffer(octets, np.uint8))
        twin.merge(shard, batch)
        for row, side, start, length, off in parts:
            twin.preview(shard, row, side, start, length, off, octets)
        favor(inventory, twin, loved)
        compare(inventory, twin)


def favor(inventory: Inventory, twin: reference.Inventory, stream: int) -> None:
    """Make a stream a favourite, as long as another one can go."""
    stream_id = stream << 40 | stream
    rest = [s for i, s in twin.streams.items() if i != stream_id and not s.favorite]
    if stream_id in twin.streams and rest and len(twin.streams) > 1:
        twin.streams[stream_id].favorite = True
        inventory.marks[inventory.find(stream_id)] |= np.uint8(k.FAVORITE)


def compare(inventory: Inventory, twin: reference.Inventory) -> None:
    assert (inventory.used, inventory.numbered) == (len(twin.streams), twin.numbered)
    assert inventory.losses() == {
        "streams_evicted": twin.evicted,
        "events_after_eviction": twin.after_eviction,
        "previews_after_eviction": twin.late_previews,
        "previews_malformed": twin.bad_previews,
        **inventory.matches.losses(),
    }
    by_age = sorted(twin.streams.values(), key=lambda stream: stream.number)
    slots = inventory.in_order(np.ones(inventory.used, bool))
    assert inventory.number[slots].tolist() == [stream.number for stream in by_age]
    kept, view, previews = inventory.rows(slots)
    for i, stream in enumerate(by_age):
        expected = stream.event.copy()
        expected["shard"], expected["pad"] = stream.owner[0], 0
        assert kept[i] == expected
        assert inventory.find(int(expected["stream_id"])) == slots[i]
        assert view[i]["favorite"] == stream.favorite
        for side in (0, 1):
            length = int(view[i]["preview_len"][side])
            assert previews[i, side, :length].tobytes() == stream.preview[side]
            assert not previews[i, side, length:].any()
    assert inventory.find(13 << 40 | 13) == -1
