"""`/api/streams/{id}/conversation`: what both sides said, in turns."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from services.api.backend import Backend, deadline
from services.api.content import VIEWS
from services.api.deps import StreamId, TheBackend, TheSettings, json_response
from services.api.matches import matches_of
from services.api.message_rows import DIRECTIONS, BriefMessage, Told, brief, told
from services.api.models import Body, Count, DirectionName, Micros, StreamIdHex
from services.api.problems import EVICTED, RESPONSES, UNKNOWN_STREAM
from services.api.reading import of_shard
from services.api.streams import FoundStream, find_stream
from shared.schema import SchemaError

CURSOR = "^(0|[1-9][0-9]{0,17})-(0|[1-9][0-9]{0,17})$"

router = APIRouter()


class TurnHighlight(Body):
    """A match that lies in the turn, clipped to it."""

    pattern_id: int
    start: Count
    end: Count


class Turn(Body):
    """Contiguous bytes of one direction, until the other one speaks; or a gap."""

    direction: DirectionName
    start: Count = Field(description="logical offset in its direction")
    end: Count
    ts_us: Micros
    delta_us: int = Field(description="since the turn before")
    gap: bool = Field(
        description="its bytes are not there: lost in the capture, or trimmed or evicted since"
    )
    continues: bool = Field(description="it is long: the next turn is the rest of it")
    view: str = Field(description="the bytes as `mode` says, as in content; empty in a gap")
    highlights: list[TurnHighlight]
    message: BriefMessage | None = Field(description="the first message that begins in it")
    message_count: Count = Field(description="messages that begin in it")


class Conversation(Body):
    """A page of turns. While the stream is open, go on later from `end_cursor`."""

    stream_id_hex: StreamIdHex
    turns: list[Turn]
    next_cursor: str | None = Field(description="null: there is nothing more now")
    end_cursor: str = Field(description="behind the last turn of this page")


class ConversationParameters(BaseModel):
    """Which turns, and how their bytes are shown."""

    cursor: str | None = Field(None, pattern=CURSOR, description="`next_cursor` of the page before")
    limit: int = Field(100, ge=1, le=512)
    len: int | None = Field(
        None,
        ge=1,
        description="bytes of one turn, a longer one is told in parts; at most, and by default,"
        " max_stream_slice_bytes. With `limit` it bounds a page that somebody waits for",
    )
    mode: Literal["text", "hex", "raw"] = "text"


@router.get(
    "/api/streams/{id}/conversation",
    response_model=Conversation,
    responses=RESPONSES | UNKNOWN_STREAM | EVICTED,
)
async def get_conversation(
    backend: TheBackend,
    settings: TheSettings,
    stream_id: StreamId,
    parameters: Annotated[ConversationParameters, Query()],
) -> Response:
    """Turns of both directions in the order in which they could be read."""
    until = deadline()
    stream = await find_stream(backend, stream_id, until)
    most = settings.max_stream_slice_bytes
    answer = await of_shard(
        backend,
        stream,
        "conversation",
        until,
        after=[int(part) for part in (parameters.cursor or "0-0").split("-")],
        limit=parameters.limit,
        len=min(parameters.len or most, most),
    )
    found = _messages(backend, stream, answer.frames[1:], answer.result["messages"])
    turns = _turns(answer.result["turns"], answer.frames[0], found, parameters.mode)
    await mark(backend, stream, turns, settings.max_stream_slice_highlights, until)
    after = "{}-{}".format(*answer.result["after"])
    return json_response(
        {
            "stream_id_hex": stream_id.lower(),
            "turns": turns,
            "next_cursor": None if answer.result["end"] else after,
            "end_cursor": after,
        }
    )


def _messages(
    backend: Backend, stream: FoundStream, frames: Sequence[bytes], count: int
) -> list[Told]:
    try:
        return told(frames, count)
    except SchemaError as error:
        raise backend.shard(stream.shard).unavailable(f"cannot be understood: {error}") from None


def _turns(
    rows: list[list[Any]], octets: bytes, found: list[Told], mode: str
) -> list[dict[str, Any]]:
    """As `Turn`, without highlights."""
    turns, at = [], 0
    for direction, start, stop, ts_ns, delta_ns, gap, continues in rows:
        piece = b"" if gap else octets[at : at + stop - start]
        at += len(piece)
        begin_here = [
            m for m in found if m.row["dir"] == direction and start <= m.row["start"] < stop
        ]
        turns.append(
            {
                "direction": DIRECTIONS[direction],
                "start": start,
                "end": stop,
                "ts_us": ts_ns // 1000,
                "delta_us": delta_ns // 1000,
                "gap": gap,
                "continues": continues,
                "view": VIEWS[mode](piece),
                "highlights": [],
                "message": brief(begin_here[0]) if begin_here else None,
                "message_count": len(begin_here),
            }
        )
    return turns


async def mark(
    backend: Backend, stream: FoundStream, turns: list[dict[str, Any]], limit: int, until: float
) -> None:
    """Add the matches that lie in the turns; of the stream's matches at most `limit` are seen."""
    found = await matches_of(backend, stream, limit, until) if limit and turns else None
    if found is None or not found.rows.size:
        return
    for turn in turns:
        rows = found.rows[
            (found.rows["dir"] == DIRECTIONS.index(turn["direction"]))
            & (found.rows["start"] < turn["end"])
            & (found.rows["end"] > turn["start"])
        ]
        turn["highlights"] = (
            []
            if turn["gap"]
            else [
                {
                    "pattern_id": int(row["pattern"]),
                    "start": max(int(row["start"]), turn["start"]),
                    "end": min(int(row["end"]), turn["end"]),
                }
                for row in rows
            ]
        )
