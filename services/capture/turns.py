"""Turns between a source that may never end and captures that are uploaded while it is read.

Both get their share: the source is read until nothing arrives for a moment, a fifth of a second at
most, then an upload for a quarter of that. So a live source is not kept waiting by a large upload,
and an upload is analysed while a pipe stays open.
"""

import time
from collections.abc import Callable, Generator, Iterator

from services.capture.source import Batch, PacketSource

OWN_S, UPLOAD_S = 0.2, 0.05  # longest turns
LOOK_S = 0.2  # between two looks for uploads

Turn = tuple[PacketSource, Batch | None]


def in_turns(own: PacketSource, next_upload: Callable[[], PacketSource | None]) -> Iterator[Turn]:
    """Batches of a source, and between them those of uploads; each source ends with a None.

    A source whose size is known will end, so that uploads wait for it.
    """
    upload: PacketSource | None = None
    looked = until = 0.0
    while (batch := own.read()) is not None:
        yield own, batch
        now = time.monotonic()
        if upload is None and not own.state.size and now - looked > LOOK_S:
            upload, looked = next_upload(), now
            until = now
        if upload is not None and (not batch.records.size or now >= until):
            if not (yield from one_turn(upload, UPLOAD_S)):
                upload = None
            until = time.monotonic() + OWN_S
    yield own, None
    if upload is not None:
        yield from one_turn(upload, float("inf"))


def one_turn(upload: PacketSource, seconds: float) -> Generator[Turn, None, bool]:
    """Batches of an upload for so long; returns whether there may be more."""
    until = time.monotonic() + seconds
    while (batch := upload.read()) is not None:
        yield upload, batch
        if time.monotonic() > until:
            return True
    yield upload, None
    return False
