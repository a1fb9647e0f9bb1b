"""Every message that crosses a socket, and its version: the only contract between services.

Data plane (PUSH/PULL): a msgpack header in frame 0, raw columns of `shared.columns` behind it.
Control plane (REQ/REP): a msgpack `Request`, a msgpack `Reply`, raw columns behind the reply.
Headers are validated where they arrive; a message of another version names both numbers.
"""

from typing import Annotated, Any, Literal, TypeVar

import msgpack
from pydantic import BaseModel, ConfigDict, Field, ValidationError

SCHEMA_VERSION = 4

Count = Annotated[int, Field(ge=0)]
Model = TypeVar("Model", bound="Message")


class SchemaError(ValueError):
    """A message that is not what this version of the schema says."""


class Message(BaseModel):
    """A header. Unknown fields are refused: sender and receiver are of one version."""

    # defer_build: of all these each service uses a few
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    v: int = SCHEMA_VERSION

    def pack(self) -> bytes:
        # the fields as they are: a copy of them, `model_dump`, takes as long as all the rest
        return bytes(msgpack.packb(self.__dict__, default=fields_of, use_bin_type=True))


def fields_of(part: object) -> dict[str, Any]:
    """Of a message inside another one, to be packed."""
    if isinstance(part, Message):
        return part.__dict__
    raise TypeError(f"{type(part).__name__} has no place in a message")


def unpack(kind: type[Model], frame: bytes | memoryview, edge: str) -> Model:
    """Validate one header at its receiving edge. `edge` names the socket in the error."""
    try:
        value = msgpack.unpackb(frame, raw=False, strict_map_key=False, use_list=True)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:  # a map as a key
        raise SchemaError(f"{edge}: not a msgpack message: {error}") from error
    if not isinstance(value, dict):
        raise SchemaError(f"{edge}: a message is a map, this is {type(value).__name__}")
    if value.get("v") != SCHEMA_VERSION:
        raise SchemaError(
            f"{edge}: message of schema version {value.get('v')!r}, this service speaks"
            f" {SCHEMA_VERSION}; start all services from one release"
        )
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SchemaError(f"{edge}: {kind.__name__}.{where}: {first['msg']}") from error


# ------------------------------------------------------------------------- capture -> shard
class BatchHeader(Message):
    """Packets for one shard. Frames: header, PACKET rows, payload bytes; or the header alone when
    rows and payload lie in shared memory, file `lane`. The shard gives back `slot` either way."""

    kind: Literal["packets", "tick", "end"]  # tick: time passed, nothing came; end: of the input
    seq: Count  # of this lane, without holes
    rows: Count = 0
    payload_bytes: Count = 0
    now_ns: int = 0  # packet time up to which everything was sent
    lane: str = ""
    slot: int = -1
    capture: str = ""  # the process that sends
    rows_before: Count = 0  # packets that were sent to this shard before these
    input: str = ""  # what can be read again and is the same then; empty = what cannot
    upto: Count = 0  # number in that input up to which everything was sent
    others: dict[str, Count] = {}  # the same of other inputs that were sent lately
    ring: bool = False  # what is sent is kept, and can be given to another process once more
    refed: bool = False  # this is that: it was counted when it was sent first


class Credit(Message):
    """Shard -> capture: the slot is free again."""

    lane: str
    slot: Count
    waits: str = ""  # its process, while it stands back for what a lost one had


# -------------------------------------------------------------------- shard -> coordinator
class EventsHeader(Message):
    """What one shard saw. Frames: header, EVENT rows, PREVIEW rows, preview bytes, MESSAGE rows,
    their ENDPOINTS, their text, MATCH rows, their ENDPOINTS, their bytes, PAIR rows."""

    kind: Literal["events", "end"]
    seq: Count  # of this shard's instance, without holes
    shard: Count
    instance: str  # of the process: another one restarts `seq` and means that rows were lost
    snapshot: bool = False  # rows were sent before; told again to a coordinator that restarted
    events: Count = 0
    previews: Count = 0
    messages: Count = 0
    matches: Count = 0
    pairs: Count = 0
    now_ns: int = 0
    stats: dict[str, int] = {}  # the shard's counters and gauges; names as in its metrics
    seen: dict[
        str, Count
    ] = {}  # by input: up to which number it has everything, where that is news
    rows: Count = 0  # packets that were sent to it until then


# ------------------------------------------------------------------ capture -> coordinator
class Problem(Message):
    """Damage in an input: where and why."""

    offset: int
    reason: str


class SourceReport(Message):
    """One input and how far it is read."""

    name: str
    kind: str  # pcap | pcapng | stdin | interface | …
    status: Literal["waiting", "reading", "done", "failed"]
    packets: Count = 0
    counted: Count = 0  # packets that `stats` has, also those of a capture before this one
    bytes: Count = 0
    position: Count = 0
    size: Count = 0  # 0 = not known
    damaged: Count = 0
    trouble: str = ""  # why it waits or what it lacks at this moment
    dropped_kernel: Count = 0  # packets
    dropped_interface: Count = 0
    dropped_ours: Count = 0
    last_drop_us: Count = 0  # 0 = never
    problems: list[Problem] = []


FileState = Literal["waiting", "reading", "done", "rejected", "gone"]


class FileReport(Message):
    """One capture of those that come one by one, and how far it is read. What stands behind
    `changed_us` is for going on there after a restart."""

    id: str
    source: str  # the watched folder, or `uploads`
    name: str
    state: FileState
    reason: str = ""  # why it waits, was rejected, or not read to its end
    device: Count = 0
    inode: Count = 0
    size: Count = 0
    offset: Count = 0  # bytes read
    packets: Count = 0
    damaged: Count = 0
    found_us: Count = 0
    changed_us: Count = 0
    place_offset: Count = 0  # byte behind the last packet, after decompression
    head: bytes = b""  # first bytes, by which it is known again
    first_ns: int | None = None
    time_ns: int = 0  # of the last packet
    is_stranger: bool = False  # a folder or device: holds no capture
    is_over: bool = False  # cannot be followed any further


class FilesQuery(Message):
    """What the coordinator knows of the captures of one source, behind the one of this id."""

    source: str
    after: str = ""
    limit: int = Field(256, ge=1, le=1024)


class CaptureReport(Message):
    """What capture has done so far; totals, not differences. `end`: no packet will follow."""

    kind: Literal["report", "end"]
    seq: Count
    instance: str
    sources: list[SourceReport] = []
    files: list[FileReport] = []  # those that changed, and in turns some that did not
    forgotten: list[str] = []  # ids of files that capture does not remember any more
    stats: dict[str, int] = {}
    sent: list[Count] = []  # packets to each shard, those of captures before this one as well
    now_ns: int = 0
    troubles: list[str] = []  # what is wrong at this moment, a sentence each


# ------------------------------------------------------------------------------- requests
Port = Annotated[int, Field(ge=1, le=65535)]


class Reach(Message):
    """Where a shard is found over TCP: host, and the port of each of its sockets. It says so with
    its heartbeats, the coordinator in `topology`."""

    host: str = Field(min_length=1, max_length=255)
    packets: Port
    credits: Port
    content: Port


class Request(Message):
    """Control plane: `op` and its arguments."""

    op: str
    args: dict[str, Any] = {}


class Refusal(Message):
    """Why a request was refused; `code` is a stable word, `hint` says what to do."""

    code: str
    message: str
    hint: str = ""


class Reply(Message):
    """The answer: either `error`, or `result` and the columns it names in the frames behind it."""

    result: dict[str, Any] = {}
    error: Refusal | None = None


class Pattern(Message):
    """What is looked for in content. The coordinator has the list; shards ask for it (`patterns`)
    when a heartbeat's reply names a version that they do not have."""

    id: int = Field(ge=1)
    name: str
    kind: Literal["substring", "regex", "binary"]
    value: str  # substring: its UTF-8 bytes; binary: hexadecimal
    color: str = ""
    direction: Literal["any", "client", "server"] = "any"
    services: list[str] = []  # empty = all
    enabled: bool = True
    revision: Count = 0  # another one: what it found before is void, content is looked at again


class PatternReport(Message):
    """How a pattern fares in one shard; goes with its heartbeats. Totals, not differences."""

    id: Count
    matches: Count = 0
    over_limit: Count = 0  # matches that a cap left out
    timeouts: Count = 0  # scans that took too long: those streams are not searched any more
    skipped: Count = 0  # scans left out because the pattern had used up its share of time
    scanned_bytes: Count = 0  # of retained content, since the pattern came or changed
    todo_bytes: Count = 0
    unseen_bytes: Count = 0  # of content that made room before the pattern was looked for in it
    state: str = "active"  # active | scanning | slow | failed
    trouble: str = ""  # a sentence


class StreamFilter(Message):
    """Which streams to list; all given fields must hold (AND)."""

    only_favorites: bool = False
    only_matched: bool = False
    include_hidden: bool = False
    protocol: str | None = None
    service: str | None = None
    port: int | None = Field(None, ge=0, le=65535)
    addr: str | None = None  # an address or CIDR block
    content_kind: str | None = None
    status: str | None = None
    min_bytes: int | None = Field(None, ge=0)
    max_bytes: int | None = Field(None, ge=0)
    since_us: int | None = None
    until_us: int | None = None
    tag: str | None = None
    text: str | None = None
    profile: str | None = None
    pattern_id: int | None = Field(None, ge=0)
    among: bytes | None = None  # one of these streams: their ids, 8 bytes each, little-endian


class StreamsQuery(Message):
    """One page of streams. `cursor` is what the page before gave as `next_cursor`; `offset` streams
    behind it are passed over."""

    filter: StreamFilter = StreamFilter()
    order: Literal["newest", "oldest"] = "newest"
    limit: int = Field(100, ge=1, le=512)
    cursor: int | None = Field(None, ge=0)
    offset: Count = 0


class TimelineQuery(Message):
    """Streams of a filter by the time at which they began, in at most so many buckets."""

    filter: StreamFilter = StreamFilter()
    buckets: int = Field(120, ge=1, le=512)


class FacetsQuery(Message):
    """Streams of a filter by what they are."""

    filter: StreamFilter = StreamFilter()


class ContentQuery(Message):
    """A window of one direction, asked of the shard that owns the stream."""

    stream_id: Count
    row: Count
    direction: int = Field(ge=0, le=1)
    start: Count = 0
    len: int = Field(65536, ge=0)


class MessagesQuery(Message):
    """Messages of one stream, in the order in which they began. Reply: MESSAGE rows, their text,
    and (`header_bytes` of each in the result) the headers that are retained."""

    stream_id: Count
    row: Count
    first: Count = 0  # ordinal
    limit: int = Field(100, ge=1, le=512)


class MessageFilter(Message):
    """Which messages of a shard; all given fields must hold (AND)."""

    protocol: str | None = None
    kind: str | None = None
    host: str | None = None
    status: int | None = None
    text: str | None = None


class MessageSearch(Message):
    """Messages of all streams of a shard, newest first, before number `before`."""

    filter: MessageFilter = MessageFilter()
    before: int | None = Field(None, ge=0)
    limit: int = Field(100, ge=1, le=512)


class ConversationQuery(Message):
    """Turns of one stream in time order. Reply: turns in the result; behind it their bytes, and the
    MESSAGE rows that begin in them, with their text."""

    stream_id: Count
    row: Count
    after: list[Count] = Field([0, 0], min_length=2, max_length=2)  # logical offsets, by direction
    limit: int = Field(100, ge=1, le=512)
    len: int = Field(65536, ge=1)  # bytes of one turn; a longer one is told in pieces


class SearchStart(Message):
    """An ad-hoc search over what one shard retains. rows: (row u4, stream_id u8) of the streams to
    look at, packed; empty and `everywhere` = all."""

    search: str
    kind: Literal["substring", "regex", "binary"]
    value: str
    direction: Literal["any", "client", "server"] = "any"
    everywhere: bool = True
    rows: bytes = b""
    limit: int = Field(1000, ge=1, le=10000)  # hits kept
