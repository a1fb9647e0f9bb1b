from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.coordinator.kernels import inventory as k
from services.coordinator.view import ROWS_MAX, Inventory
from shared.columns import EVENT, EVENT_CLOSE, EVENT_OPEN, EVENT_UPDATE, PREVIEW
from shared.errors import UserError


def events(*rows: tuple[int, int, int]) -> NDArray[np.void]:
    """Of (stream, row, kind)."""
    result = np.zeros(len(rows), EVENT)
    for event, (stream, row, kind) in zip(result, rows, strict=True):
        event["stream_id"], event["row"], event["kind"] = stream, row, kind
    return result


def preview(row: int, text: bytes, side: int = 0, start: int = 0) -> tuple[Any, Any]:
    piece = np.zeros(1, PREVIEW)
    piece["row"], piece["dir"], piece["start"], piece["len"] = row, side, start, len(text)
    return piece, np.frombuffer(text, np.uint8)


def shown(inventory: Inventory, stream: int) -> bytes:
    slot = inventory.find(stream)
    _, view, kept = inventory.rows(np.array([slot]))
    return bytes(kept[0, 0, : int(view[0]["preview_len"][0])].tobytes())


def test_the_last_event_of_a_message_counts() -> None:
    inventory = Inventory(8)
    inventory.merge(0, events((5, 1, EVENT_OPEN), (5, 1, EVENT_UPDATE), (5, 1, EVENT_CLOSE)))
    kept, view, _ = inventory.rows(np.array([inventory.find(5)]))
    assert (inventory.used, int(kept["kind"][0]), int(view["closed"][0])) == (1, EVENT_CLOSE, 1)


def test_a_reused_row_names_the_new_stream() -> None:
    inventory = Inventory(8)
    inventory.merge(0, events((5, 1, EVENT_OPEN)), *preview(1, b"old"))
    inventory.merge(0, events((5, 1, EVENT_CLOSE)))
    inventory.merge(0, events((6, 1, EVENT_OPEN)), *preview(1, b"new"))
    assert (shown(inventory, 5), shown(inventory, 6)) == (b"old", b"new")


def test_a_preview_grows_in_later_messages() -> None:
    inventory = Inventory(8)
    inventory.merge(0, events((5, 1, EVENT_OPEN)), *preview(1, b"GET "))
    inventory.merge(0, events(), *preview(1, b"/x", start=4))
    assert shown(inventory, 5) == b"GET /x"


def test_bytes_of_the_stream_before_do_not_show_in_a_slot_used_again() -> None:
    inventory = Inventory(1)
    inventory.merge(0, events((5, 1, EVENT_OPEN)), *preview(1, b"secret"))
    inventory.merge(0, events((6, 2, EVENT_OPEN)), *preview(2, b"abc"))
    _, _, kept = inventory.rows(np.array([0]))
    assert bytes(kept[0, 0, :8].tobytes()) == b"abc\0\0\0\0\0"


def test_shards_have_rows_of_their_own() -> None:
    inventory = Inventory(8)
    inventory.merge(0, events((5, 1, EVENT_OPEN)))
    inventory.merge(3, events((6, 1, EVENT_OPEN)), *preview(1, b"six"))
    assert (shown(inventory, 5), shown(inventory, 6)) == (b"", b"six")
    kept, _, _ = inventory.rows(np.array([inventory.find(6)]))
    assert kept["shard"][0] == 3


def test_an_update_of_a_stream_that_had_to_go_is_counted_and_stays_out() -> None:
    inventory = Inventory(1)
    inventory.merge(0, events((5, 1, EVENT_OPEN), (6, 2, EVENT_OPEN), (5, 1, EVENT_CLOSE)))
    assert (inventory.find(5), inventory.find(6)) == (-1, 0)
    losses = inventory.losses()
    assert (losses["streams_evicted"], losses["events_after_eviction"]) == (1, 1)


def test_an_update_whose_opening_was_lost_enters() -> None:
    inventory = Inventory(4)
    inventory.merge(0, events((5, 1, EVENT_UPDATE)))
    assert inventory.find(5) == 0


def test_rows_of_a_shard_that_restarted_are_orphans_until_told_again() -> None:
    inventory = Inventory(8)
    inventory.merge(0, events((5, 1, EVENT_OPEN), (6, 2, EVENT_OPEN), (6, 2, EVENT_CLOSE)))
    inventory.merge(1, events((7, 1, EVENT_OPEN)))
    assert inventory.forget_rows(0) == 1
    assert inventory.forget_rows(0) == 0
    inventory.merge(0, events((8, 1, EVENT_OPEN)))
    inventory.merge(0, events((5, 9, EVENT_OPEN)), *preview(9, b"again"))
    assert inventory.used == 4
    assert not inventory.marks[inventory.find(5)] & k.ORPHANED
    assert (shown(inventory, 5), shown(inventory, 8)) == (b"again", b"")


def test_changed_streams_are_told_once_the_newest_by_name() -> None:
    inventory = Inventory(8)
    inventory.merge(0, events(*((stream, stream, EVENT_OPEN) for stream in range(1, 6))))
    assert inventory.take_changed(2) == (5, [4, 5])
    assert inventory.take_changed(2) == (0, [])
    inventory.merge(0, events((3, 3, EVENT_UPDATE)))
    assert inventory.take_changed(2) == (1, [3])


def test_a_row_far_out_has_room() -> None:
    inventory = Inventory(4)
    inventory.merge(0, events((5, 1, EVENT_OPEN)))
    inventory.merge(0, events((6, 100_000, EVENT_OPEN), (5, 1, EVENT_UPDATE)))
    assert inventory.used == 2
    with pytest.raises(AssertionError):
        inventory.merge(0, events((7, ROWS_MAX, EVENT_OPEN)))


def test_ids_that_are_none_are_not_found() -> None:
    inventory = Inventory(4)
    inventory.merge(0, events((0, 0, EVENT_OPEN)))
    assert [inventory.find(each) for each in (-1, 0, 1, 1 << 64)] == [-1, 0, -1, -1]


@pytest.mark.parametrize("streams", [1 << 31, 1 << 60])
def test_an_inventory_that_no_machine_can_hold_is_the_users_mistake(streams: int) -> None:
    with pytest.raises(UserError, match="--max-streams"):
        Inventory(streams)


def test_every_column_of_an_event_has_a_name() -> None:
    assert set(Inventory(1).columns) == set(EVENT.names or ()) - {"pad"}
