"""Rows that wait to become JSON lines, and how they do: a block at a time, into one buffer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from services.coordinator.kernels.jsonl_lines import LINE_MAX, format_events
from services.coordinator.kernels.match_lines import MATCH_LINE_MAX, NAME_MAX, format_matches
from services.coordinator.kernels.message_lines import MESSAGE_LINE_MAX, format_messages

# as many as a cache holds once they are lines: fewer are more calls and smaller writes
LINES_AT_ONCE = 1024
BUFFER_BYTES = LINES_AT_ONCE * max(LINE_MAX, MESSAGE_LINE_MAX, MATCH_LINE_MAX)
HEAD = {"stream_id_hex": None, "protocol": None, "src": None, "dst": None}

Block = tuple[memoryview | bytes, int]  # whole lines, and how many


class Lines(Protocol):
    """Something that waits. size: bytes that it holds; count: the lines it will be."""

    size: int
    count: int

    def blocks(self, out: NDArray[np.uint8]) -> Iterator[Block]:
        """Its lines in order; a block may lie in `out`, which the next one overwrites."""
        ...


class RecordLine:
    """One event that is no stream's."""

    count = 1

    def __init__(self, ts_us: int, event: str, body: Mapping[str, Any]) -> None:
        head = {"ts_us": ts_us, "event": event} | HEAD
        self.line = orjson.dumps(head | dict(body), option=orjson.OPT_APPEND_NEWLINE)
        self.size = len(self.line)

    def blocks(self, out: NDArray[np.uint8]) -> Iterator[Block]:
        yield self.line, 1


@dataclass
class EventLines:
    """EVENT rows, and which of them have a line: to copy those costs more than to write them."""

    events: NDArray[np.void]
    picked: NDArray[np.int64]

    def __post_init__(self) -> None:
        self.size, self.count = self.events.nbytes + self.picked.nbytes, self.picked.size

    def blocks(self, out: NDArray[np.uint8]) -> Iterator[Block]:
        for start in range(0, self.count, LINES_AT_ONCE):
            block = self.picked[start : start + LINES_AT_ONCE]
            yield out[: format_events(self.events, block, out)].data, block.size


@dataclass
class MessageLines:
    """MESSAGE rows, their ENDPOINTS and the text they point into."""

    messages: NDArray[np.void]
    ends: NDArray[np.void]
    text: NDArray[np.uint8]

    def __post_init__(self) -> None:
        self.size = self.messages.nbytes + self.ends.nbytes + self.text.nbytes
        self.count = self.messages.size

    def blocks(self, out: NDArray[np.uint8]) -> Iterator[Block]:
        for start in range(0, self.count, LINES_AT_ONCE):
            part = slice(start, start + LINES_AT_ONCE)
            block = self.messages[part]
            yield out[: format_messages(block, self.ends[part], self.text, out)].data, block.size


@dataclass
class MatchLines:
    """MATCH rows, their ENDPOINTS, their bytes, and the patterns' names by id."""

    matches: NDArray[np.void]
    ends: NDArray[np.void]
    octets: NDArray[np.uint8]
    names: Mapping[int, str]

    def __post_init__(self) -> None:
        self.size = self.matches.nbytes + self.ends.nbytes + self.octets.nbytes
        self.count = self.matches.size

    def blocks(self, out: NDArray[np.uint8]) -> Iterator[Block]:
        names = pack_names(self.names)
        for start in range(0, self.count, LINES_AT_ONCE):
            part = slice(start, start + LINES_AT_ONCE)
            block = self.matches[part]
            size = format_matches(block, self.ends[part], self.octets, *names, out)
            yield out[:size].data, block.size


def pack_names(
    names: Mapping[int, str],
) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint8]]:
    """Ids, where their names begin, and the names as JSON strings: what `format_matches` takes."""
    ids = sorted(names)
    texts = [json_string(names[each]) for each in ids]
    starts = np.cumsum([0, *map(len, texts)]).astype(np.uint32)
    return np.array(ids, np.uint32), starts, np.frombuffer(b"".join(texts), np.uint8)


def json_string(text: str) -> bytes:
    """At most NAME_MAX bytes; surrogates, which no file can hold, become question marks."""
    plain = text.encode("utf-8", "replace").decode()[: NAME_MAX // 6 - 1]
    return orjson.dumps(plain)
