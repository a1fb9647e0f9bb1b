"""Requests to the shard: content and messages of its streams. Answered between batches."""

from collections.abc import Callable
from typing import Any

from pydantic import Field, ValidationError

from services.shard.content import ContentReader, NotRetainedError, joined
from services.shard.conversation import Conversations
from services.shard.kernels import state as s
from services.shard.messages import MessageReader
from services.shard.patterns.engine import PatternEngine
from services.shard.patterns.highlights import highlights, match_page
from services.shard.search import Searches
from shared.schema import (
    ContentQuery,
    Message,
    Reply,
    Request,
    SchemaError,
    SearchStart,
    unpack,
)
from shared.wire import pack_reply, refusal

Answer = tuple[Reply, list[bytes]]
BYTES_MAX = 1 << 20  # of one reply of `bytes`
SEGMENTS_MAX = 1 << 14  # of one reply of `segments`


class StreamRef(Message):
    """A stream by its shard's row and its id."""

    stream_id: int
    row: int


class MatchesQuery(StreamRef):
    """Matches of one stream in order of direction and offset, behind the first `after`."""

    limit: int = Field(256, ge=1, le=65536)
    after: int = Field(0, ge=0)


class SearchPoll(Message):
    """Hits of a search behind the first `after`."""

    search: str
    after: int = Field(0, ge=0)


class Requests:
    """Operation by name. Refusals: not_found (evicted), bad_value, unknown_op, schema."""

    def __init__(
        self,
        reader: ContentReader,
        longest: int,
        patterns: PatternEngine | None = None,
        searches: Searches | None = None,
        resume: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        self.reader, self.longest = reader, longest
        self.patterns, self.searches = patterns, searches
        messages = MessageReader(reader)
        self._operations: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "content": self._content,
            "retention": self._retention,
            "bytes": self._bytes,
            "segments": self._segments,
            "messages": messages.of_stream,
            "find_messages": messages.find,
            "conversation": Conversations(reader, messages).answer,
        }
        if patterns is not None:
            self._operations["matches"] = self._matches
        if resume is not None:
            self._operations["resume"] = lambda args: (Reply(result=resume(args)), [])
        if searches is not None:
            self._operations["search_start"] = self._search_start
            self._operations["search_poll"] = self._search_poll
            self._operations["search_cancel"] = self._search_cancel
            self._operations["search_streams"] = self._search_streams

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
            "retained": self._retained(query.row, window.retained),
        }
        if self.patterns is not None:
            result["highlights"], result["dropped_highlights"] = highlights(
                self.patterns, query.row, query.direction, window
            )
        return Reply(result=result), [window.data]

    def _bytes(self, args: dict[str, Any]) -> Answer:
        """Octets for those who put whole bodies together: BYTES_MAX at once."""
        query = ContentQuery.model_validate(args)
        self.reader.check(query.row, query.stream_id)
        window = self.reader.window(
            query.row, query.direction, query.start, min(query.len, BYTES_MAX)
        )
        result = {
            "end": window.stop,
            "end_of_stream": window.end_of_stream,
            "segments": [list(segment) for segment in window.segments],
        }
        return Reply(result=result), [window.data]

    def _segments(self, args: dict[str, Any]) -> Answer:
        """Where the retained bytes of a window are; `more`: only the first ones are told."""
        query = ContentQuery.model_validate(args)
        self.reader.check(query.row, query.stream_id)
        end = self.reader.emitted(query.row, query.direction)
        stop = max(query.start, min(query.start + query.len, end))
        found = []
        if self.reader.tables.retains:
            extents = self.reader.extents(query.row, query.direction)
            found = joined(extents, min(query.start, 1 << 62), min(stop, 1 << 62))
        result = {
            "segments": [list(segment) for segment in found[:SEGMENTS_MAX]],
            "more": len(found) > SEGMENTS_MAX,
            "end": stop,
            "end_of_stream": end,
            "retained": self._retained(query.row),
        }
        return Reply(result=result), []

    def _retention(self, args: dict[str, Any]) -> Answer:
        query = StreamRef.model_validate(args)
        self.reader.check(query.row, query.stream_id)
        return Reply(result=self._retained(query.row)), []

    def _matches(self, args: dict[str, Any]) -> Answer:
        """MATCH rows, and their bytes as far as they are retained."""
        query = MatchesQuery.model_validate(args)
        self.reader.check(query.row, query.stream_id)
        assert self.patterns is not None
        rows, octets, total = match_page(
            self.patterns, self.reader, query.row, query.after, query.limit
        )
        result = {"matches": rows.size, "total": total, "next": query.after + rows.size}
        return Reply(result=result), [rows.tobytes(), octets]

    def _search_start(self, args: dict[str, Any]) -> Answer:
        assert self.searches is not None
        query = SearchStart.model_validate(args)
        try:
            return Reply(result=self.searches.start(query)), []
        except ValueError as error:
            return refusal("bad_value", f"search: {error}"), []

    def _search_poll(self, args: dict[str, Any]) -> Answer:
        assert self.searches is not None
        query = SearchPoll.model_validate(args)
        try:
            return Reply(result=self.searches.poll(query.search, query.after)), []
        except KeyError:
            return refusal("not_found", f"there is no search {query.search!r}"), []

    def _search_streams(self, args: dict[str, Any]) -> Answer:
        assert self.searches is not None
        query = SearchPoll.model_validate(args)
        try:
            return Reply(result={"ids": self.searches.streams(query.search)}), []
        except KeyError:
            return refusal("not_found", f"there is no search {query.search!r}"), []

    def _search_cancel(self, args: dict[str, Any]) -> Answer:
        assert self.searches is not None
        query = SearchPoll.model_validate(args)
        try:
            return Reply(result=self.searches.cancel(query.search)), []
        except KeyError:
            return refusal("not_found", f"there is no search {query.search!r}"), []

    def _retained(self, row: int, kept: tuple[int, int] | None = None) -> dict[str, Any]:
        """What is retained of a stream; trimmed to its own cap; evicted by newer content. kept:
        bytes by direction, where they are known."""
        reader = self.reader
        if kept is None:
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
