"""Each setting, declared once: from here come its flag, environment variable, compose key and docs.

Precedence: flag, then environment variable, then default. A list is given by repeating the flag,
or in the environment with commas between (or as a JSON array, where a value holds a comma).
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from shared.errors import UserError

Service = Literal["capture", "shard", "coordinator", "api", "launcher"]
SERVICES: tuple[Service, ...] = get_args(Service)
EVERY: tuple[Service, ...] = ("capture", "shard", "coordinator", "api")
GROUPS: dict[str, str] = {
    "capture": "sources and batches",
    "shard": "streams and content",
    "coordinator": "inventory and events",
    "api": "API and UI",
    "": "how the services meet",
}


def setting(
    default: Any,
    help: str,
    services: Sequence[Service],
    unit: str = "",
    flags: Sequence[str] = (),
    metavar: str = "",
    meeting: bool = False,
    **bounds: Any,
) -> Any:
    """A field: default, one sentence, the services that read it, its unit, further flag names.
    meeting: it is about how services meet, though not all of them read it."""
    extra: dict[str, Any] = {
        "services": list(services),
        "unit": unit,
        "flags": list(flags),
        "metavar": metavar,
        "meeting": meeting,
    }
    return Field(default, description=help, json_schema_extra=extra, **bounds)


class Settings(BaseModel):
    """All settings of all services; each service reads those that name it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # sources
    pcap: tuple[str, ...] = setting(
        (),
        "capture file to read: pcap or pcapng, plain, gzip or zstd; - is standard input",
        ("capture",),
        metavar="FILE",
    )
    watch: tuple[str, ...] = setting(
        (),
        "drop folder: every capture that appears or grows there is read once",
        ("capture",),
        metavar="DIR",
    )
    pcap_over_ip: tuple[str, ...] = setting(
        (),
        "PCAP-over-IP server to read from; connected to again whenever it is gone",
        ("capture",),
        metavar="HOST:PORT",
    )
    iface: tuple[str, ...] = setting(
        (),
        "interface to capture on, or any; --list-interfaces shows what there is",
        ("capture",),
        metavar="NAME",
    )
    capture_backend: Literal["auto", "pcap", "ring"] = setting(
        "auto",
        "how interfaces are read: by libpcap, or from a ring that the Linux kernel fills, which is"
        " faster; auto is ring where it can be had",
        ("capture",),
    )
    capture_snaplen: int = setting(
        262144, "what is kept of a captured packet", ("capture",), "bytes", ge=64, le=262144
    )
    capture_buffer_size: int = setting(
        67108864,
        "packets that the system holds for each interface",
        ("capture",),
        "bytes",
        ge=1 << 16,
        le=(1 << 31) - 1,
    )
    capture_read_timeout_ms: int = setting(
        100,
        "how long the system may gather packets before it hands them over",
        ("capture",),
        "ms",
        ge=1,
        le=60000,
    )
    promisc: bool = setting(False, "also packets that are not for this machine", ("capture",))
    immediate: bool = setting(
        False, "have packets handed over one by one, as soon as they come", ("capture",)
    )
    capture_filter: str = setting(
        "",
        "BPF expression; only packets that match are analysed",
        ("capture",),
        flags=("--bpf",),
        metavar="EXPR",
    )
    max_packets: int = setting(
        0, "stop after this many packets; 0 = no limit", ("capture",), "packets", ge=0, le=1 << 62
    )
    packet_ring: str = setting(
        "",
        "folder in which captured packets are kept, the newest that fit; a stream is exported with"
        " them, and what a lost shard had of them is analysed again. What an earlier run left there"
        " is removed",
        ("capture", "api"),
        metavar="DIR",
    )
    packet_ring_bytes: int = setting(
        4294967296,
        "what the packet ring may have on disk",
        ("capture",),
        "bytes",
        ge=16777216,
        le=1 << 42,
    )
    mode: Literal["analyze", "dump"] = setting(
        "analyze",
        "analyze streams, or dump one JSONL line a packet",
        ("capture", "launcher"),
    )
    batch_size: int = setting(
        8192, "packets in a batch", ("capture", "shard"), "packets", ge=1, le=65536
    )
    worker_queue_depth: int = setting(
        262144,
        "packets that may wait for a shard",
        ("capture", "shard"),
        "packets",
        ge=1,
        le=1 << 30,
    )
    event_queue_depth: int = setting(
        262144,
        "events that may wait for the coordinator",
        ("shard", "coordinator"),
        "events",
        ge=1,
        le=1 << 30,
    )
    # shards
    workers: int = setting(
        0,
        "shards; 0 = the machine's cores less one for capture and coordinator, at least 1; for a"
        " coordinator alone, as many as there are",
        ("shard", "capture", "coordinator", "launcher"),
        "processes",
        ge=0,
        le=64,
    )
    shard_index: int = setting(
        -1,
        "which of the shards this one is; -1 = the coordinator says",
        ("shard",),
        ge=-1,
        le=63,
    )
    max_flows: int = setting(
        1000000,
        "streams the flow tables hold, each shard",
        ("shard",),
        "streams",
        ge=1,
        le=1 << 26,
    )
    flow_idle_timeout_ms: int = setting(
        120000,
        "a flow without packets for this long is idle",
        ("shard",),
        "ms of packet time",
        ge=1,
        le=1 << 40,
    )
    max_tcp_buffered_bytes_per_flow: int = setting(
        1048576, "out-of-order bytes a direction may hold", ("shard",), "bytes", ge=0, le=1 << 40
    )
    max_tcp_out_of_order_segments_per_direction: int = setting(
        128,
        "out-of-order segments a direction may hold",
        ("shard",),
        "segments",
        ge=0,
        le=4096,
    )
    stream_preview_bytes: int = setting(
        256,
        "first bytes of each direction in the inventory",
        ("shard",),
        "bytes",
        ge=0,
        le=256,
    )
    stream_update_packets: int = setting(
        64,
        "an open stream has a stream_update line after this many packets",
        ("shard",),
        "packets",
        ge=1,
        le=1 << 40,
    )
    stream_update_bytes: int = setting(
        65536,
        "an open stream has a stream_update line after this many bytes",
        ("shard",),
        "bytes",
        ge=1,
        le=1 << 40,
    )
    max_stream_content_bytes: int = setting(
        536870912,
        "retained content of the whole run, over all shards",
        ("shard",),
        "bytes",
        ge=0,
        le=1 << 50,
    )
    max_stream_content_bytes_per_stream: int = setting(
        16777216, "retained content of one stream", ("shard",), "bytes", ge=0, le=1 << 50
    )
    disable_stream_inventory: bool = setting(
        False, "no rows and no events of streams", ("shard", "coordinator")
    )
    disable_stream_content: bool = setting(False, "retain no payload", ("shard",))
    # parsers and patterns
    disable_stream_view: bool = setting(
        False, "no patterns, no matches, no search", ("shard", "coordinator")
    )
    disable_stream_parser: bool = setting(False, "no messages", ("shard",))
    max_messages: int = setting(
        524288,
        "messages that are kept, over all shards; the oldest go first",
        ("shard",),
        "messages",
        ge=1,
        le=1 << 30,
    )
    max_parser_states: int = setting(
        131072,
        "streams that are parsed at a time, over all shards",
        ("shard",),
        "streams",
        ge=1,
        le=1 << 26,
    )
    max_parser_messages_per_chunk: int = setting(
        512,
        "messages that one chunk of payload may have; more are counted and left out",
        ("shard",),
        "messages",
        ge=1,
        le=1 << 20,
    )
    max_http1_header_bytes: int = setting(
        65536, "longest header of an HTTP message", ("shard",), "bytes", ge=256, le=1 << 24
    )
    max_http1_buffer_bytes: int = setting(
        8388608, "longest body that is decoded", ("api",), "bytes", ge=0, le=1 << 30
    )
    pattern: tuple[str, ...] = setting(
        (),
        "text to look for in content, byte by byte",
        ("coordinator",),
        metavar="TEXT",
    )
    regex: tuple[str, ...] = setting(
        (), "regular expression to look for in content", ("coordinator",), metavar="REGEX"
    )
    binary_pattern: tuple[str, ...] = setting(
        (), "bytes to look for in content, hexadecimal", ("coordinator",), metavar="HEX"
    )
    max_pattern_matches_per_stream: int = setting(
        1024, "matches that are kept of one stream", ("shard",), "matches", ge=1, le=1 << 24
    )
    max_pattern_matches_total: int = setting(
        1000000,
        "matches that are kept, over all shards",
        ("shard", "coordinator"),
        "matches",
        ge=1,
        le=1 << 28,
    )
    pattern_regex_window_bytes: int = setting(
        4096,
        "longest match of a pattern whose length has no bound",
        ("shard",),
        "bytes",
        ge=16,
        le=1 << 20,
    )
    # coordinator
    service_profile_file: str = setting(
        "", "JSON or YAML file with profiles", ("coordinator",), metavar="FILE"
    )
    state_file: str = setting(
        "",
        "SQLite file that keeps favourites, hide rules, patterns, profiles and comments",
        ("coordinator",),
        metavar="FILE",
    )
    output: str = setting(
        "",
        "JSONL events; - is standard output, nothing = <pcap>.jsonl or live.jsonl",
        ("coordinator", "capture", "launcher"),
        metavar="FILE",
    )
    max_streams: int = setting(
        1000000,
        "streams in the inventory; the oldest go first",
        ("coordinator",),
        "streams",
        ge=1,
        le=1 << 31,
    )
    api_delta_capacity: int = setting(
        65536,
        "changes kept for clients that poll",
        ("coordinator", "api"),
        "deltas",
        ge=16,
        le=1 << 31,
    )
    health_interval_ms: int = setting(
        1000,
        "one health line in the log and one health delta each",
        ("coordinator",),
        "ms",
        ge=10,
        le=1 << 31,
    )
    max_stream_slice_bytes: int = setting(
        65536, "content of one response", ("shard", "api"), "bytes", ge=1, le=16777216
    )
    max_stream_slice_highlights: int = setting(
        4096, "matches shown in one response", ("shard", "api"), "matches", ge=0, le=1 << 20
    )
    max_stream_transform_bytes: int = setting(
        1048576, "output of one transform", ("api",), "bytes", ge=1, le=1 << 28
    )
    max_stream_view_matches_per_stream: int = setting(
        256, "matches of one stream in one response", ("api",), "matches", ge=1, le=1 << 16
    )
    stream_view_query_limit: int = setting(512, "rows of one page", ("api",), "rows", ge=1, le=512)
    upload_dir: str = setting(
        "",
        "folder for uploaded captures; a folder of the run when empty",
        ("api", "capture"),
        metavar="DIR",
    )
    max_upload_bytes: int = setting(
        10737418240, "longest capture that may be uploaded", ("api",), "bytes", ge=0, le=1 << 44
    )
    # api
    api_listen: str = setting(
        "",
        "address of API and UI; off when empty",
        ("api", "launcher"),
        metavar="HOST:PORT",
    )
    api_token: str = setting(
        "",
        "secret that every API request must carry; needed on non-loopback addresses",
        ("api",),
    )
    # how the services meet
    run_dir: str = setting(
        "",
        "folder of the sockets and shared memory, one for all services",
        EVERY,
        metavar="DIR",
    )
    transport: Literal["auto", "slots", "inline"] = setting(
        "auto",
        "packets in shared-memory slots, or inside messages; auto is slots, and inline over TCP",
        ("capture",),
        meeting=True,
    )
    coordinator: str = setting(
        "",
        "address of the coordinator for services on several machines, which meet over TCP then: it"
        " has this port and the next three; when empty they meet in the run folder",
        EVERY,
        metavar="HOST:PORT",
    )
    curve_keys: str = setting(
        "",
        "folder with the keys of a cluster, which `flowmate keys` makes; nothing goes over TCP"
        " without",
        EVERY,
        metavar="DIR",
    )
    bus_listen: str = setting(
        "127.0.0.1",
        "address of this machine where a coordinator, or a shard, takes connections over TCP",
        ("coordinator", "shard"),
        metavar="HOST",
        meeting=True,
    )
    bus_port: int = setting(
        0,
        "first of the three ports of a shard over TCP; 0 = any that are free",
        ("shard",),
        meeting=True,
        ge=0,
        le=65533,
    )
    advertise: str = setting(
        "",
        "name or address by which the others reach this shard over TCP; when empty, where it"
        " listens, or where it is reached from the coordinator",
        ("shard",),
        metavar="HOST",
        meeting=True,
    )
    metrics_listen: str = setting(
        "",
        "address of the Prometheus metrics; off when empty. Of a local run capture has this port,"
        " the coordinator the next, the API the one after, and shard i the i-th after those",
        EVERY,
        metavar="HOST:PORT",
    )


def variable(name: str) -> str:
    """`max_flows` -> `FLOWMATE_MAX_FLOWS`."""
    return f"FLOWMATE_{name.upper()}"


def flag(name: str) -> str:
    """`max_flows` -> `--max-flows`."""
    return f"--{name.replace('_', '-')}"


def extra(field: FieldInfo) -> Mapping[str, Any]:
    """What `setting` was told beyond pydantic's own."""
    assert isinstance(field.json_schema_extra, dict)
    return field.json_schema_extra


def default(field: FieldInfo) -> str:
    """The default, as help and docs show it."""
    if field.default is False:
        return "off"
    return "none" if field.default in ("", ()) else str(field.default)


def group(field: FieldInfo) -> str:
    """Key in GROUPS: the service that a setting is most about, or none in particular."""
    services = extra(field)["services"]
    meeting = extra(field)["meeting"] or tuple(services) == EVERY
    return "" if meeting else str(services[0])


def is_list(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def choices(field: FieldInfo) -> str:
    return "|".join(get_args(field.annotation)) if get_origin(field.annotation) is Literal else ""


def to_environ(settings: Settings) -> dict[str, str]:
    """The same settings as environment variables, for a child process."""
    result = {}
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if value != field.default:
            result[variable(name)] = value if isinstance(value, str) else json.dumps(value)
    return result


def worker_count(settings: Settings) -> int:
    """How many shards: what was asked for, or one for each core that capture leaves free."""
    return settings.workers or max(1, len(os.sched_getaffinity(0)) - 1)


def host_port(text: str, name: str) -> tuple[str, int]:
    """`127.0.0.1:33111`, `localhost:33111` or `[::1]:33111` in two. `name` is the setting's."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise UserError(f"{flag(name)} {text}: give HOST:PORT, such as 127.0.0.1:33111")
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)
