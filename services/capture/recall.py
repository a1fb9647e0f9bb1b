"""How far the captures of watched folders were read before: the coordinator knows, from the state
file or from a capture service that is gone, and shards know what they have.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from services.capture.source import PacketSource
from services.capture.watch.folder import WatchedFolder
from shared.schema import FileReport, FilesQuery, Reply
from shared.service import Stop

PATIENCE_MS = 500
PAGE = 256

Ask = Callable[[str, dict[str, Any], int], tuple[Reply, list[bytes]]]


def recall(
    sources: Iterable[PacketSource], seen: Sequence[Mapping[str, int]] | None, ask: Ask, stop: Stop
) -> None:
    """Have every watched folder know; asks until there is an answer, or the end is wanted.

    seen: by shard, what it has of each capture; None = no capture service was here before.
    """
    for source in sources:
        if isinstance(source, WatchedFolder):
            source.recall(known_of(source.source, ask, stop), seen)


def known_of(source: str, ask: Ask, stop: Stop) -> Iterator[FileReport]:
    query = FilesQuery(source=source, limit=PAGE)
    while not stop.requested:
        try:
            reply, _ = ask("files", query.model_dump(), PATIENCE_MS)
        except TimeoutError:
            continue
        page = [FileReport.model_validate(each) for each in reply.result.get("files", ())]
        yield from page
        if len(page) < PAGE:
            return
        query = query.model_copy(update={"after": page[-1].id})
