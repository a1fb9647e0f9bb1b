"""Messages as the API shows them, from MESSAGE rows, their texts and their headers."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import Field

from services.api.models import Body, Count, DirectionName, Micros, OneOf, StreamIdHex
from services.api.protocols import explain, summary
from shared.columns import (
    ANALYZER,
    MESSAGE,
    MESSAGE_KINDS,
    MESSAGE_NOTES,
    MESSAGE_OPEN,
    MESSAGE_PROTOCOLS,
    MESSAGE_STATUSES,
)
from shared.flow_key import hex_id
from shared.schema import SchemaError

Row = dict[str, Any]
DIRECTIONS = ("a_to_b", "b_to_a")
Kind = Annotated[str, OneOf(MESSAGE_KINDS[1:])]


class BriefMessage(Body):
    """What a list shows of a message."""

    message_id: str = Field(description="unique in its stream, the same for any number of shards")
    protocol: str = Field(description="http1, dns, tls, websocket, or the name of an analyzer")
    kind: Kind
    status: Literal["complete", "partial", "parse_error"]
    summary: str
    note: str | None = Field(
        description="why it is not complete; `open`: its end has not been seen yet"
    )
    start: Count = Field(description="logical offset in its direction; the header begins here")
    end: Count | None = Field(description="behind its last byte; null while it is open")


class Message(BriefMessage):
    """A message that a parser found."""

    stream_id_hex: StreamIdHex
    direction: DirectionName
    ordinal: Count = Field(description="of the messages of its stream, from 0")
    ts_us: Micros = Field(description="of its first byte")
    header_start: Count
    header_end: Count | None
    body_start: Count | None = Field(description="null where there is no body")
    body_end: Count | None = Field(description="null where there is no body, or no end of it yet")
    detail: dict[str, Any] = Field(
        description="what its header says; its fields are the protocol's"
    )
    pair_id: str | None = Field(description="`message_id` of the request it answers, or its answer")


class Told(NamedTuple):
    """One message of a shard's answer."""

    row: np.void
    text: str
    name: str
    header: bytes | None

    @property
    def protocol(self) -> str:
        return MESSAGE_PROTOCOLS[self.row["protocol"]]


def told(frames: Sequence[bytes], count: int, header_bytes: Sequence[int] = ()) -> list[Told]:
    """The messages of frames: rows, texts, headers. SchemaError when they are not `count`."""
    if len(frames[0]) != count * MESSAGE.itemsize:
        raise SchemaError(f"{count} messages in {len(frames[0])} bytes")
    rows: NDArray[np.void] = np.frombuffer(frames[0], MESSAGE)
    headers = _cut(frames[2], header_bytes) if header_bytes else iter([None] * count)
    found = []
    for row, header in zip(rows, headers, strict=True):
        words = frames[1][row["text"] :][: row["text_len"]]
        middle = len(words) - int(row["name_len"])
        text, name = (part.decode("utf-8", "replace") for part in (words[:middle], words[middle:]))
        found.append(Told(row, text, name, header))
    return found


def _cut(octets: bytes, lengths: Sequence[int]) -> Iterator[bytes | None]:
    at = 0
    for length in lengths:
        yield None if length < 0 else octets[at : at + length]
        at += max(0, length)


def brief(message: Told) -> Row:
    """As `BriefMessage`."""
    row = message.row
    is_open = row["status"] == MESSAGE_OPEN
    kind = MESSAGE_KINDS[row["kind"]]
    return {
        "message_id": str(row["ordinal"]),
        "protocol": analyzer_of(message.text) if row["protocol"] == ANALYZER else message.protocol,
        "kind": kind,
        "status": "partial" if is_open else MESSAGE_STATUSES[row["status"]],
        "summary": summary(message.protocol, kind, message.text, message.name),
        "note": "open" if is_open else MESSAGE_NOTES[row["note"]] or None,
        "start": int(row["start"]),
        "end": None if is_open else int(row["end"]),
    }


def analyzer_of(text: str) -> str:
    """Whose finding it is: the text is JSON, and says so itself."""
    try:
        finding = orjson.loads(text)
    except ValueError:
        return "analyzer"
    name = finding.get("protocol") if isinstance(finding, dict) else None
    return name if isinstance(name, str) else "analyzer"


def render(message: Told) -> Row:
    """As `Message`."""
    row = message.row
    is_open = row["status"] == MESSAGE_OPEN
    start, header_end, body_start, body_end, pair = (
        int(row[name]) for name in ("start", "header_end", "body_start", "body_end", "pair")
    )
    has_body = header_end > start if is_open else body_end > body_start
    return brief(message) | {
        "stream_id_hex": hex_id(int(row["stream_id"])),
        "direction": DIRECTIONS[row["dir"]],
        "ordinal": int(row["ordinal"]),
        "ts_us": int(row["ts_ns"]) // 1000,
        "header_start": start,
        "header_end": None if is_open and header_end == start else header_end,
        "body_start": body_start if has_body else None,
        "body_end": body_end if has_body and not is_open else None,
        "detail": detail(message),
        "pair_id": str(pair - 1) if pair else None,
    }


def detail(message: Told) -> Row:
    """What the header says, as far as it is retained."""
    row = message.row
    return explain(
        message.protocol,
        MESSAGE_KINDS[row["kind"]],
        message.header,
        text=message.text,
        name=message.name,
        value=int(row["value"]),
        code=int(row["code"]),
        framing=int(row["framing"]),
        marks=int(row["marks"]),
    )
