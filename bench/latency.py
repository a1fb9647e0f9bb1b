"""How long a user waits: content while a capture is read, and pages of a large inventory.

`python -m bench.latency content FILE` reads random streams' content from the shard's socket and
through the API while FILE is ingested, then again when it is done.
`python -m bench.latency filters [--rows 1000000]` makes a capture of so many one-packet streams
and asks for a page with each filter, at the coordinator's socket and through the API.
`python -m bench.latency clients FILE [--clients 50]` ingests FILE with an API that nobody asks and
with so many clients (`bench.crowd`), in turns.
`python -m bench.latency search FILE` searches while FILE is ingested (`bench.searching`).

All print milliseconds: median, 95th and 99th percentile, longest. The contract: a read at the shard
under load takes less than 50 ms, through the API with 50 clients less than 100 ms, a page of 1 M
streams less than 20 ms, the first hit of a search under load less than 300 ms; with 50 clients at
least 90 % of the packets/s that there are without them.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.asking import Run, Waits, table
from bench.ingest import clients
from bench.probe import warm
from bench.searching import searches
from shared.columns import EVENT
from shared.flow_key import hex_id

PAUSE_S = 0.002  # between reads, so that they are users and no flood
READS_A_PAGE = 10
IDLE_READS = 300
DIRECTIONS = ("a_to_b", "b_to_a")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.latency",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    reads = commands.add_parser("content")
    reads.add_argument("capture", type=Path, metavar="FILE")
    pages = commands.add_parser("filters")
    pages.add_argument("--rows", type=int, default=1_000_000)
    pages.add_argument("--times", type=int, default=50, help="each filter so often")
    many = commands.add_parser("clients")
    many.add_argument("capture", type=Path, metavar="FILE")
    many.add_argument("--clients", type=int, default=50)
    many.add_argument("--runs", type=int, default=3, help="alone and with clients, so often")
    looks = commands.add_parser("search")
    looks.add_argument("capture", type=Path, metavar="FILE")
    looks.add_argument("--times", type=int, default=30, help="each search so often, at least")
    looks.add_argument("--word", default="HTTP/1.1", help="that most streams have")
    for one in (reads, pages, many, looks):
        one.add_argument("--shards", type=int, default=1)
        one.add_argument("--json", type=Path)
    given = parser.parse_args(argv)
    commands_of: dict[str, Callable[[argparse.Namespace], list[Waits]]] = {
        "content": content, "filters": filters, "clients": clients, "search": searches,
    }  # fmt: skip
    found = commands_of[given.command](given)
    print(table(found))
    if given.json:
        given.json.write_text(json.dumps([one.summary() for one in found], indent=1) + "\n")
    return 0


# ------------------------------------------------------------------------------------ content
def content(given: argparse.Namespace) -> list[Waits]:
    """Reads while a capture comes in, and when it is done."""
    warm(given.capture)
    busy = [Waits("content, shard's socket, during ingest"), Waits("content, API, during ingest")]
    idle = [Waits("content, shard's socket, when done"), Waits("content, API, when done")]
    chance = random.Random(1)
    with (
        tempfile.TemporaryDirectory(prefix="fm-bench-") as name,
        Run(given.capture, Path(name), given.shards) as run,
    ):
        run.wait_for_api()
        run.wait_for_packets()
        while not run.ended:
            read_some(run, busy, chance)
        while len(idle[0].ms) < IDLE_READS:
            read_some(run, idle, chance)
    return busy + idle


def read_some(run: Run, waits: Sequence[Waits], chance: random.Random) -> None:
    """Some streams of a page, each once at the shard and once through the API."""
    rows = run.page()
    for _ in range(READS_A_PAGE):
        event = rows[chance.randrange(rows.size)]
        direction = chance.randrange(2)
        end = int(event["stream_bytes"][direction]) + int(event["gap_bytes"][direction])
        start = chance.randrange(max(1, end - 65535))
        from_shard(run, waits[0], event, direction, start)
        time.sleep(PAUSE_S)
        from_api(run, waits[1], event, direction, start)
        time.sleep(PAUSE_S)


def from_shard(run: Run, waits: Waits, event: np.void, direction: int, start: int) -> None:
    window = {"direction": direction, "start": start, "len": 65536}
    which = {"stream_id": int(event["stream_id"]), "row": int(event["row"])}
    with waits.timed():
        reply, frames = run.shards[int(event["shard"])].ask("content", which | window)
    waits.refused += reply.error is not None
    waits.bytes += sum(map(len, frames))


def from_api(run: Run, waits: Waits, event: np.void, direction: int, start: int) -> None:
    path = f"/api/streams/{hex_id(int(event['stream_id']))}/content"
    with waits.timed():
        status, body = run.api.get(path, direction=DIRECTIONS[direction], start=start, len=65536)
    waits.refused += status != 200
    waits.bytes += len(body)


# ------------------------------------------------------------------------------------ filters
FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "oldest first": {"order": "oldest"},
    "protocol": {"protocol": "udp"},
    "service": {"service": "dns"},
    "port": {"port": 5353},
    "addr (CIDR)": {"addr": "10.1.0.0/16"},
    "content_kind": {"content_kind": "text"},
    "status": {"status": "open"},
    "min_bytes and max_bytes": {"min_bytes": 60, "max_bytes": 90},
    "since and until": {"since_us": 1_700_000_040_000_000, "until_us": 1_700_000_060_000_000},
    "text, in all": {"text": "stream"},
    "text, in one": {"text": "number 654321 "},
    "text, in none": {"text": "no such text"},
    "five together": {
        "protocol": "udp", "port": 53, "addr": "10.0.0.0/8", "status": "open", "text": "stream",
    },
    "only_favorites": {"only_favorites": True},
    "only_matched": {"only_matched": True},
    "pattern_id": {"pattern_id": 1},
    "tag": {"tag": "bench"},
    "profile, built in": {"profile": "dns"},
    "profile, own": {"profile": "bench"},
    "with a page of hidden ones": {"include_hidden": True, "service": "dns"},
}  # fmt: skip
# Pages, and the whole list at a glance: what is asked for beside the filter, for 20 ms each.
LOOKS = {"streams": {"limit": 100}, "timeline": {"buckets": 200}, "facets": {}}
PATHS = {"streams": "/api/streams"} | {op: f"/api/streams/{op}" for op in ("timeline", "facets")}
GLANCED = ("none", "service", "addr (CIDR)", "text, in all", "five together", "only_matched")
PATTERNS = ("--pattern", "stream", "--pattern", "number 7")  # the first is in every stream
NOTED = 5000  # streams with a tag, half of them favourites
HIDDEN = {"kind": "port", "value": 443}
PROFILE = {
    "id": "bench",
    "protocol": "udp",
    "ports": [53, 123, 5353],
    "pattern_ids": [1, 2],
    "hide_rules": [{"kind": "addr", "value": "10.1.0.0/16"}, {"kind": "tag", "value": "bench"}],
}


def filters(given: argparse.Namespace) -> list[Waits]:
    """Pages of a large inventory."""
    found = []
    with tempfile.TemporaryDirectory(prefix="fm-bench-") as name:
        folder = Path(name)
        capture = folder / "rows.pcap"
        many_streams(capture, given.rows)
        limits = ("--max-streams", str(given.rows), "--max-flows", str(given.rows + 1))
        with Run(capture, folder / "run", given.shards, *limits, *PATTERNS) as run:
            run.wait_for_api()
            while not run.ended:
                time.sleep(0.1)
            total = run.health()["totals"]["streams"]
            print(f"{total:,} streams", file=sys.stderr)
            decide(run)
            # numbers count from 1 in the order of arrival
            middle = max(1, given.rows // 2)
            queries = FILTERS | {"in the middle": {"cursor": middle}, "far": {"offset": middle}}
            for title, query in queries.items():
                found += looks_with(run, "streams", title, query, given.times)
            for op in ("timeline", "facets"):
                for title in GLANCED:
                    found += looks_with(run, op, title, FILTERS[title], given.times)
    return found


def decide(run: Run) -> None:
    """Notes, a rule and a profile, so that filters on them have something to find."""
    ids: list[int] = []
    cursor = None
    while len(ids) < NOTED:
        reply, frames = run.coordinator.ask("streams", {"limit": 512, "cursor": cursor})
        ids += np.frombuffer(frames[0], EVENT)["stream_id"].tolist()
        cursor = reply.result["next_cursor"]
        if cursor is None:
            break
    for i, stream_id in enumerate(ids):
        notes = {"tags": ["bench"], "favorite": i % 2 == 0}
        run.coordinator.ask("annotate", {"stream_id": stream_id, "notes": notes})
    run.coordinator.ask("rule_add", HIDDEN)
    run.coordinator.ask("profile_add", PROFILE)


def looks_with(run: Run, op: str, title: str, query: dict[str, Any], times: int) -> list[Waits]:
    """One look with one filter, often."""
    direct, api = Waits(f"{op}, {title}, coordinator"), Waits(f"{op}, {title}, API")
    own = {"order", "cursor", "offset"}
    args: dict[str, Any] = {key: query[key] for key in own & query.keys()} | LOOKS[op]
    args["filter"] = {key: query[key] for key in query.keys() - own}
    for _ in range(times):
        with direct.timed():
            reply, frames = run.coordinator.ask(op, args)
        direct.refused += reply.error is not None
        direct.bytes += sum(map(len, frames))
        with api.timed():
            status, body = run.api.get(PATHS[op], **LOOKS[op], **query)
        api.refused += status != 200
        api.bytes += len(body)
    return [direct, api]


def many_streams(path: Path, rows: int) -> None:
    """A capture of UDP packets, each of another client, over 100 s."""
    texts = [f"stream number {i} of many".ljust(32).encode() for i in range(rows)]
    payload = np.frombuffer(b"".join(texts), np.uint8).reshape(rows, 32)
    numbers = np.arange(rows, dtype=np.uint32)
    size = 14 + 20 + 8 + 32
    frame = np.zeros((rows, 16 + size), np.uint8)
    times_us = numbers.astype(np.uint64) * 100_000_000 // max(1, rows)
    frame[:, 0:4] = as_bytes((1_700_000_000 + times_us // 1_000_000).astype("<u4"), 4)
    frame[:, 4:8] = as_bytes((times_us % 1_000_000).astype("<u4"), 4)
    frame[:, 8:16] = np.frombuffer(np.full(2, size, "<u4").tobytes(), np.uint8)
    frame[:, 28:30] = 8, 0  # IPv4
    frame[:, 30:42] = np.frombuffer(bytes([0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 17, 0, 0]), np.uint8)
    frame[:, 42:46] = as_bytes((0x0A000000 + numbers % 200_000).astype(">u4"), 4)
    frame[:, 46:50] = 10, 200, 0, 1
    frame[:, 50:52] = as_bytes((20_000 + numbers // 200_000).astype(">u2"), 2)
    ports = np.array([53, 443, 5353, 9999, 53, 123, 8080, 4000], ">u2")[numbers % 8]
    frame[:, 52:54] = as_bytes(ports, 2)
    frame[:, 54:56] = 0, 40
    frame[:, 58:] = payload
    head = np.array([0xA1B2C3D4, 2 | 4 << 16, 0, 0, 262144, 1], "<u4")
    with path.open("wb") as file:
        file.write(head.tobytes())
        file.write(frame.tobytes())


def as_bytes(values: NDArray[Any], width: int) -> NDArray[np.uint8]:
    return np.frombuffer(values.tobytes(), np.uint8).reshape(-1, width)


if __name__ == "__main__":
    sys.exit(main())
