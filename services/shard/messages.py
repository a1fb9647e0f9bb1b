"""Messages of the ring, as they are asked for: rows, their texts, and the retained headers.

A row's `text` becomes an offset in the frame of texts. A text that newer ones went over is empty.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.shard.content import ContentReader, Extents
from services.shard.kernels import state as s
from services.shard.kernels.find_messages import find_messages, list_messages
from shared.columns import ANALYZER, LIVE, MESSAGE_KINDS, MESSAGE_PROTOCOLS
from shared.schema import MessageFilter, MessageSearch, MessagesQuery, Reply

LOOKS = 1 << 17  # messages that one request looks at: some ms, while packets wait
HEADERS_MAX = 4 << 20  # bytes of the headers of one reply
EVERYWHERE = np.array([0, 1 << 63, 0, 1 << 63], np.uint64)
NONE = -1  # no header: it is not retained as a whole
Numbers = NDArray[np.uint64]


class Told(NamedTuple):
    """Messages as they travel. headers: bytes of each header, or NONE."""

    rows: NDArray[np.void]
    text: bytes
    header_lengths: list[int]
    headers: bytes

    @property
    def frames(self) -> list[bytes]:
        return [self.rows.tobytes(), self.text, self.headers]


class MessageReader:
    """Reads the ring between two batches."""

    def __init__(self, content: ContentReader) -> None:
        self.content, self.tables = content, content.tables

    def of_stream(self, args: dict[str, Any]) -> tuple[Reply, list[bytes]]:
        """Operation `messages`: by ordinal. `first` says which of them is the first still there."""
        query = MessagesQuery.model_validate(args)
        self.content.check(query.row, query.stream_id)
        numbers, first = self.listed(query.row, query.first, query.limit, EVERYWHERE)
        told = self.told(numbers)
        count = int(self.tables.message_count[query.row])
        after = int(told.rows["ordinal"][-1]) + 1 if told.rows.size else count
        result = {
            "count": told.rows.size,
            "header_bytes": told.header_lengths,
            "first": first,
            "total": count,
            "next": after if after < count else None,
        }
        return Reply(result=result), told.frames

    def find(self, args: dict[str, Any]) -> tuple[Reply, list[bytes]]:
        """Operation `find_messages`: newest first; `before` says where to go on, None = nowhere."""
        query = MessageSearch.model_validate(args)
        numbers, before = self._found(query)
        told = self.told(numbers)
        if told.rows.size < numbers.size:
            before = int(numbers[told.rows.size - 1])
        result = {
            "count": told.rows.size,
            "numbers": numbers[: told.rows.size].tolist(),
            "header_bytes": told.header_lengths,
            "before": before or None,
        }
        return Reply(result=result), told.frames

    def listed(self, row: int, first: int, limit: int, spans: Numbers) -> tuple[Numbers, int]:
        """Up to `limit` numbers by ordinal, and the first ordinal that is there."""
        numbers, oldest = np.zeros(limit, np.uint64), np.zeros(1, np.uint64)
        first = min(first, 1 << 32)
        count = list_messages(self.tables.columns, row, first, spans, numbers, oldest)
        last = np.arange(count - 1, max(0, count - limit) - 1, -1) % limit
        return numbers[last], int(oldest[0])

    def _found(self, query: MessageSearch) -> tuple[Numbers, int]:
        wanted, words = _codes(query.filter)
        numbers, before = np.zeros(query.limit, np.uint64), np.zeros(1, np.uint64)
        newest = int(self.tables.state[s.MESSAGES])
        start = newest if query.before is None else min(query.before, newest)
        prefix, host, text = (
            _needle(each or "") for each in (words, query.filter.host, query.filter.text)
        )
        count = find_messages(
            self.tables.columns, start, LOOKS, wanted, prefix, host, text, numbers, before
        )
        return numbers[:count], int(before[0])

    def told(self, numbers: Numbers, with_headers: bool = True) -> Told:
        """Rows of the numbers; fewer, but at least one, where the headers are more than fit."""
        t = self.tables
        rows = t.messages[(numbers % np.uint64(t.messages.size)).astype(np.intp)]
        lengths: list[int] = []
        pieces: list[bytes] = []
        total = 0
        for octets in self._headers(rows) if with_headers else ():
            if total + len(octets or b"") > HEADERS_MAX and pieces:
                break
            lengths.append(NONE if octets is None else len(octets))
            pieces.append(octets or b"")
            total += len(pieces[-1])
        rows = rows[: len(pieces)] if with_headers else rows
        return Told(rows, self._texts(rows), lengths, b"".join(pieces))

    def _texts(self, rows: NDArray[np.void]) -> bytes:
        """The texts, one behind the other; `rows` are told where."""
        t, size, texts, at = self.tables, self.tables.text.size, [], 0
        head = int(t.state[s.TEXT_HEAD])
        for row in rows:
            place, length = int(row["text"]), int(row["text_len"])
            if place + size < head:
                length = 0
                row["text_len"] = row["name_len"] = 0
            row["text"] = at
            texts.append(t.text[place % size : place % size + length].tobytes())
            at += length
        return b"".join(texts)

    def _headers(self, rows: NDArray[np.void]) -> Iterator[bytes | None]:
        """The octets [start, header_end) of each message; None where some are not retained."""
        known: dict[tuple[int, int], Extents] = {}
        for row in rows:
            start, stop = int(row["start"]), int(row["header_end"])
            where = int(row["row"]), int(row["dir"])
            if not self._is_there(where[0], int(row["stream_id"])) or stop - start > HEADERS_MAX:
                yield None
                continue
            if where not in known:
                known[where] = self.content.extents(*where)
            octets = b"".join(self.content.pieces(known[where], start, stop))
            yield octets if len(octets) == stop - start else None

    def _is_there(self, row: int, stream_id: int) -> bool:
        """Whether the stream still has its row, and content can be read."""
        flow = self.tables.flows[row]
        return self.tables.retains and flow["stream_id"] == stream_id and bool(flow["marks"] & LIVE)


def _codes(wanted: MessageFilter) -> tuple[NDArray[np.int64], str]:
    """What the kernel compares: protocol, kind, code; and what the text begins with.

    A protocol that is none of ours is the name of an analyzer: the text of its findings is JSON,
    and the protocol comes first.
    """
    codes, prefix = np.full(3, -1, np.int64), ""
    if wanted.protocol in MESSAGE_PROTOCOLS:
        codes[0] = MESSAGE_PROTOCOLS.index(wanted.protocol)
    elif wanted.protocol is not None:
        codes[0], prefix = ANALYZER, f'{{"protocol":{json.dumps(wanted.protocol)},'
    if wanted.kind is not None:  # one that there is not is found nowhere
        codes[1] = MESSAGE_KINDS.index(wanted.kind) if wanted.kind in MESSAGE_KINDS else 1 << 16
    if wanted.status is not None:
        codes[2] = max(0, min(wanted.status, 1 << 16))
    return codes, prefix


def _needle(text: str) -> NDArray[np.uint8]:
    """bytes.lower is ASCII only, as the kernel's."""
    return np.frombuffer(text.encode("utf-8", "surrogateescape").lower(), np.uint8)
