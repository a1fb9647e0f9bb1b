"""The bodies of the API's responses: what OpenAPI promises, and what the tests hold it to.

Rows are rendered as plain dicts (see rows.py): validating them against these models again would
cost more than rendering them.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core.core_schema import CoreSchema, literal_schema

from shared.columns import CONTENT_KINDS, PROTOCOLS, SERVICES, STATUSES

Count = Annotated[int, Field(ge=0)]
Micros = Annotated[int, Field(description="microseconds since the epoch")]
StreamIdHex = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
DirectionName = Literal["a_to_b", "b_to_a"]

INT64_MAX = (1 << 63) - 1
MICROS_MAX = INT64_MAX // 1000  # times are nanoseconds inside


class Body(BaseModel):
    """A response body: nothing in it that is not named here."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class OneOf:
    """Marks text of a closed set, in parameters and bodies alike."""

    names: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return literal_schema(list(self.names))


ProtocolName = Annotated[str, OneOf(tuple(PROTOCOLS.values()))]
ServiceName = Annotated[str, OneOf(SERVICES[1:])]
ServiceFilter = Annotated[str, OneOf(("unknown", *SERVICES[1:]))]
ContentKind = Annotated[str, OneOf(CONTENT_KINDS)]
Status = Annotated[str, OneOf(STATUSES)]


class Endpoint(Body):
    addr: str = Field(description="IPv4, or IPv6 as RFC 5952 writes it")
    port: int = Field(ge=0, le=65535)


class ServiceGuess(Body):
    """What the stream speaks, and how that is known."""

    name: ServiceName | None
    confidence: Literal["none", "low", "high"] = Field(
        description="high: told by the payload; low: by the port alone"
    )
    source: Literal["none", "port", "payload"]
    evidence: str


class Direction(Body):
    """One direction of a stream."""

    packets: Count
    bytes: Count = Field(description="on the wire")
    payload_bytes: Count = Field(description="transport payload, retransmissions too")
    stream_bytes: Count = Field(description="reassembled, each byte once")
    gaps: Count
    gap_bytes: Count
    content_kind: ContentKind
    preview_text: str | None = Field(description="the first bytes, when they are UTF-8 text")
    preview_base64: str = Field(description="the first bytes")


class Directions(Body):
    a_to_b: Direction
    b_to_a: Direction


class Stream(Body):
    """One row of the inventory; the counters are both directions' sums."""

    stream_id_hex: StreamIdHex
    number: Count = Field(
        description="its place in the order in which streams came; a `cursor` for what follows it"
    )
    shard: Count
    protocol: ProtocolName
    endpoint_a: Endpoint
    endpoint_b: Endpoint
    client: Literal["a", "b"]
    first_seen_us: Micros
    last_seen_us: Micros
    status: Status
    service: ServiceGuess
    content_kind: ContentKind
    packets: Count
    bytes: Count = Field(description="on the wire")
    payload_bytes: Count
    stream_bytes: Count
    gaps: Count
    gap_bytes: Count
    conflicts: Count = Field(description="overlaps whose bytes differed from the first ones")
    midstream: bool = Field(
        description="TCP of which no SYN was seen: it was there before the capture began"
    )
    snaplen_cut: bool = Field(
        description="packets were captured short, as by a snaplen: what they lack is in the gaps"
    )
    directions: Directions
    match_count: Count
    pattern_ids: list[int]
    message_count: Count
    summary: str = Field(
        description="first request line, whom DNS or TLS asks for, or the first 80 printable bytes"
    )
    favorite: bool
    hidden: bool
    hidden_reason: str | None
    comment: str
    tags: list[str]


class StreamPage(Body):
    """One page of streams; pass `next_cursor` on as `cursor` for the next one."""

    streams: list[Stream]
    next_cursor: int | None
    total: Count = Field(description="streams that pass the filter, on all pages")
    hidden: Count = Field(description="streams that pass it but are hidden")
    before: Count = Field(
        description="streams that pass it and come before this page; hidden ones are not counted"
    )


class Buckets(Body):
    """Streams with a match of one pattern."""

    pattern_id: int
    counts: list[Count] = Field(description="by bucket")


class Timeline(Body):
    """Streams that pass the filter, by the time at which they began; lists of one length."""

    start_us: Micros
    bucket_us: Annotated[int, Field(ge=1, description="how long each bucket is; a round time")]
    streams: list[Count]
    bytes: list[Count] = Field(description="on the wire, of those streams as a whole")
    earlier: Count = Field(description="streams that pass but began before `start_us`")
    matches: list[Buckets] = Field(
        max_length=32, description="of the patterns that most of these streams match"
    )


class NameCount(Body):
    """How many streams are of a kind."""

    name: str
    count: Count


class ServiceCount(Body):
    """How many streams speak a service, and when they began."""

    name: ServiceFilter
    count: Count
    spark: list[Count] = Field(
        min_length=16, max_length=16, description="by time, in equal parts of the timeline's range"
    )


class PatternCount(Body):
    pattern_id: int
    streams: Count


class TagCount(Body):
    tag: str
    streams: Count


class Facets(Body):
    """What the streams are that pass the filter. Of each list those first that most are; what no
    stream is, is left out."""

    total: Count = Field(description="streams that pass the filter")
    hidden: Count = Field(
        description="streams that pass it but are hidden; they count nowhere else"
    )
    favorites: Count
    services: list[ServiceCount]
    protocols: list[NameCount]
    statuses: list[NameCount]
    content_kinds: list[NameCount]
    patterns: list[PatternCount] = Field(description="streams with a match; by `pattern_id`")
    tags: list[TagCount] = Field(max_length=256)


class DirectionRetention(BaseModel):
    """Bytes of one direction that are retained, and that left to bound memory."""

    model_config = ConfigDict(extra="allow")

    retained_bytes: Count


class Retention(BaseModel):
    """What its shard retains of a stream's content."""

    model_config = ConfigDict(extra="allow")

    a_to_b: DirectionRetention
    b_to_a: DirectionRetention


class StreamDetail(Stream):
    """A row, and what is retained of its content."""

    content: Retention | None
    content_note: str | None = Field(description="why `content` is null")


class Segment(Body):
    """Contiguous retained bytes [start, end) of the direction."""

    start: Count
    end: Count
    base64: str = Field(description="the bytes")
    view: str = Field(
        description="the bytes as `mode` says. text: UTF-8, what is none replaced by U+FFFD."
        " hex: lower-case pairs with one space between, `47 45 54`. raw: base64"
    )


class Span(Body):
    """Logical offsets [start, end)."""

    start: Count
    end: Count


class Highlight(Body):
    """A match that lies in the window, clipped to it."""

    pattern_id: int
    start: Count
    end: Count
    segment: Count = Field(description="index of the segment it lies in")


class Content(Body):
    """A window of one direction. Read on with `start` = `requested_end` until `end_of_stream`."""

    stream_id_hex: StreamIdHex
    direction: DirectionName
    requested_start: Count
    requested_end: Count = Field(description="end of the window, gaps included")
    returned_bytes: Count
    truncated_by_limit: bool = Field(
        description="the window asked for was longer than a response may be, and was cut"
    )
    end_of_stream: Count = Field(description="the direction's next logical offset")
    segments: list[Segment]
    gaps: list[Span] = Field(
        description="offsets without bytes: lost in the capture, or trimmed or evicted since"
    )
    highlights: list[Highlight]
    dropped_highlights: Count
    retained: Retention


class Delta(BaseModel):
    """One change; what it carries depends on its kind."""

    model_config = ConfigDict(extra="allow")

    cursor: Annotated[int, Field(ge=1)]
    kind: Literal["stats", "streams", "matches", "messages", "state", "status"]


class Deltas(Body):
    """Changes after the given cursor. Go on from `cursor`; after `missed`, refresh first."""

    cursor: Count
    latest: Count
    missed: bool = Field(description="changes after the given cursor are no longer held")
    deltas: list[Delta]
