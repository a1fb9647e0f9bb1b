"""Requests to the shard: content of its streams. Answered between batches."""

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from services.shard.content import ContentReader, NotRetainedError
from services.shard.kernels import state as s
from shared.schema import ContentQuery, Message, Reply, Request, SchemaError, unpack
from shared.wire import pack_reply, refusal

Answer = tuple[Reply, list[bytes]]


class StreamRef(Message):
    """A stream by its shard's row and its id."""

    stream_id: int
    row: int


class Requests:
    """Operation by name. Refusals: not_found (evicted), bad_value, unknown_op, schema."""

    def __init__(self, reader: ContentReader, longest: int) -> None:
        self.reader, self.longest = reader, longest
        self._operations: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "content": self._content,
            "retention": self._retention,
        }

    def answer(self, frame: bytes | memoryview) -> list[Any]:
        """The frames of the reply to one request."""
        try:
            request = unpack(Request, frame, "requests of a shard")
            operation = self._operations.get(request.op)
            if operation is None:
                return pack_reply(refusal("unknown_op", f"a shard knows no {request.op!r}"))
            return pack_reply(*operation(request.args))
        except SchemaError as error:
            return pack_reply(refusal("schema", str(error)))
        except ValidationError as error:
            first = error.errors()[0]
            return pack_reply(refusal("bad_value", f"{first['loc'][0]}: {first['msg']}"))
        except NotRetainedError:
            return pack_reply(
                refusal(
                    "not_found",
                    "the stream left the flow table to make room for newer ones",
                    "raise --max-flows to keep more streams",
                )
            )

    def _content(self, args: dict[str, Any]) -> Answer:
        query = ContentQuery.model_validate(args)
        self.reader.check(query.row, query.stream_id)
        length = min(query.len, self.longest)
        window = self.reader.window(query.row, query.direction, query.start, length)
        result = {
            "requested_start": window.start,
            "requested_end": window.stop,
            "end_of_stream": window.end_of_stream,
            "truncated_by_limit": query.len > length
            and query.start + length < window.end_of_stream,
            "segments": [list(segment) for segment in window.segments],
            "gaps": [list(gap) for gap in window.gaps],
            "retained": self._retained(query.row),
        }
        return Reply(result=result), [window.data]

    def _retention(self, args: dict[str, Any]) -> Answer:
        query = StreamRef.model_validate(args)
        self.reader.check(query.row, query.stream_id)
        return Reply(result=self._retained(query.row)), []

    def _retained(self, row: int) -> dict[str, Any]:
        """What is retained of a stream; trimmed to its own cap; evicted by newer content."""
        reader = self.reader
        kept = reader.extents(row, 0).retained if reader.tables.retains else (0, 0)
        result: dict[str, Any] = {"enabled": reader.tables.retains}
        whole = 0
        for name, direction in (("a_to_b", 0), ("b_to_a", 1)):
            mine = reader.tables.dirs[2 * row + direction]
            octets = int(mine["offset"]) - int(mine["gap_bytes"])
            whole += octets
            result[name] = {
                "retained_bytes": kept[direction],
                "dropped_bytes": max(0, octets - kept[direction]),
            }
        trimmed = max(0, whole - int(reader.tables.config[s.STREAM_CAP]))
        result["retained_bytes"] = sum(kept)
        result["trimmed_bytes"] = trimmed
        result["evicted_bytes"] = max(0, whole - trimmed - sum(kept))
        return result
