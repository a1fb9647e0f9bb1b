"""How far the captures of watched folders were read before: the coordinator knows, from the state
file or from a capture service that is gone.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import zmq

from services.capture.source import PacketSource
from services.capture.watch.folder import WatchedFolder
from shared.schema import FileReport, FilesQuery
from shared.service import Stop
from shared.wire import Bus, ask

PATIENCE_MS = 500
PAGE = 256

Context = zmq.Context[Any]


def recall(sources: Iterable[PacketSource], context: Context, bus: Bus, stop: Stop) -> None:
    """Have every watched folder know; asks until there is an answer, or the end is wanted."""
    for source in sources:
        if isinstance(source, WatchedFolder):
            source.recall(known_of(source.source, context, bus, stop))


def known_of(source: str, context: Context, bus: Bus, stop: Stop) -> Iterator[FileReport]:
    query = FilesQuery(source=source, limit=PAGE)
    while not stop.requested:
        try:
            reply, _ = ask(context, bus.requests, "files", query.model_dump(), PATIENCE_MS)
        except TimeoutError:
            continue
        page = [FileReport.model_validate(each) for each in reply.result.get("files", ())]
        yield from page
        if len(page) < PAGE:
            return
        query = query.model_copy(update={"after": page[-1].id})
