"""What a shard tells in one message: named columns on one side, frames on the other, no copies."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.columns import ENDPOINTS, EVENT, EVENT_CHANGE, MATCH, MESSAGE, PAIR, PREVIEW
from shared.schema import EventsHeader, SchemaError

Rows = NDArray[np.void]
Octets = NDArray[np.uint8]
BYTES = np.dtype(np.uint8)
WORD = 8
# Frames behind the header, in their order: their dtype, and the header's field that says how many
# rows; of bytes there are as many as there are.
LAYOUT: tuple[tuple[str, np.dtype[Any], str | None], ...] = (
    ("events", EVENT, "events"),
    ("previews", PREVIEW, "previews"),
    ("preview_bytes", BYTES, None),
    ("messages", MESSAGE, "messages"),
    ("message_ends", ENDPOINTS, "messages"),
    ("message_text", BYTES, None),
    ("matches", MATCH, "matches"),
    ("match_ends", ENDPOINTS, "matches"),
    ("match_bytes", BYTES, None),
    ("pairs", PAIR, "pairs"),
)
NOTHING: dict[str, NDArray[Any]] = {name: np.empty(0, dtype) for name, dtype, _ in LAYOUT}


class EventBatch(NamedTuple):
    """Columns of `shared.columns`; those that are not given are empty."""

    events: Rows = NOTHING["events"]
    previews: Rows = NOTHING["previews"]
    preview_bytes: Octets = NOTHING["preview_bytes"]
    messages: Rows = NOTHING["messages"]
    message_ends: Rows = NOTHING["message_ends"]
    message_text: Octets = NOTHING["message_text"]
    matches: Rows = NOTHING["matches"]
    match_ends: Rows = NOTHING["match_ends"]
    match_bytes: Octets = NOTHING["match_bytes"]
    pairs: Rows = NOTHING["pairs"]

    def frames(self) -> list[Any]:
        """As they are sent: their bytes where they are, to be copied by who sends them, since the
        columns are filled again at once. Empty ones at the end are left out."""
        packed = [getattr(self, name).view(np.uint8) for name, _, _ in LAYOUT]
        while packed and not packed[-1].size:
            packed.pop()
        return packed

    @property
    def lines(self) -> int:
        """How many lines of output they are: a change has none."""
        told = int(np.count_nonzero(self.events["kind"] != EVENT_CHANGE))
        return told + self.messages.size + self.matches.size

    def counts(self) -> dict[str, int]:
        """The header's fields."""
        return {name: getattr(self, name).size for name, _, field in LAYOUT if name == field}


def column_of(frame: bytes | memoryview, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The rows in a frame, which may lie anywhere in memory; kernels take words in their places."""
    column = np.frombuffer(frame, dtype)
    if dtype.itemsize % WORD == 0 and column.ctypes.data % WORD:
        return column.copy()
    return column


def event_batch(
    header: EventsHeader, frames: Sequence[bytes | memoryview], edge: str
) -> EventBatch:
    """The columns of a message's frames. SchemaError when they are not what the header says."""
    columns: dict[str, Any] = {}
    for at, (name, dtype, field) in enumerate(LAYOUT):
        frame = frames[at] if at < len(frames) else b""
        if field is not None and len(frame) != getattr(header, field) * dtype.itemsize:
            raise SchemaError(f"{edge}: {getattr(header, field)} {name} in {len(frame)} bytes")
        columns[name] = column_of(frame, dtype)
    return EventBatch(**columns)


assert list(EventBatch._fields) == [name for name, _, _ in LAYOUT]
