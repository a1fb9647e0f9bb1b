"""What becomes of conversations: rows, events and content, by the rules of reassembly."""

import base64
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e import traffic
from tests.e2e.run import COMMAND, RUN_SECONDS, Row, Served, environ, events_of
from tests.e2e.traffic import Conversation

pytestmark = pytest.mark.e2e

FNV_OFFSET, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
EQUAL = (
    *("protocol", "status", "content_kind", "client", "packets", "bytes", "payload_bytes"),
    *("stream_bytes", "gaps", "gap_bytes", "conflicts", "first_seen_us", "last_seen_us"),
)  # in a row and in its stream's last event


def of_flow(rows: list[Row], port: int) -> list[Row]:
    return [r for r in rows if port in (r["endpoint_a"]["port"], r["endpoint_b"]["port"])]


def segments(run: Served, row: Row, direction: str) -> traffic.Segments:
    """Offsets and bytes of one direction, read window by window."""
    found: traffic.Segments = []
    start = 0
    while True:
        window = run.get(
            f"/api/streams/{row['stream_id_hex']}/content", direction=direction, start=start
        )
        for segment in window["segments"]:
            octets = base64.b64decode(segment["base64"])
            if found and found[-1][0] + len(found[-1][1]) == segment["start"]:
                found[-1] = found[-1][0], found[-1][1] + octets
            else:
                found.append((segment["start"], octets))
        start = window["requested_end"]
        if start >= window["end_of_stream"]:
            return found


def id_of(row: Row, number: int, incarnation: int) -> str:
    """The stream id by its definition. number: of the protocol."""
    octets = bytes([number])
    for end in (row["endpoint_a"], row["endpoint_b"]):
        octets += traffic.packed(end["addr"]) + end["port"].to_bytes(2, "big")
    value = FNV_OFFSET
    for octet in octets + incarnation.to_bytes(4, "big"):
        value = (value ^ octet) * FNV_PRIME % (1 << 64)
    return f"{value:016x}"


@pytest.mark.parametrize("talk", traffic.conversations(), ids=lambda talk: talk.name)
def test_a_conversation(
    run: Served, rows: list[Row], events: list[Row], talk: Conversation
) -> None:
    found = of_flow(rows, talk.port)
    assert len(found) == len(talk.streams)
    closed = {e["stream_id_hex"]: e for e in events if e["event"] == "stream_close"}
    for incarnation, (row, expected) in enumerate(zip(found, talk.streams, strict=True)):
        assert row["stream_id_hex"] == id_of(row, 6, incarnation)
        assert row[f"endpoint_{row['client']}"]["port"] == talk.port
        got = row | {
            "reason": closed[row["stream_id_hex"]]["reason"],
            "sent": segments(run, row, "client"),
            "answered": segments(run, row, "server"),
        }
        assert {name: got[name] for name in expected} == expected


def test_datagrams(rows: list[Row], events: list[Row]) -> None:
    before, after = of_flow(rows, 9000)
    assert [row["stream_id_hex"] for row in (before, after)] == [
        id_of(row, 17, incarnation) for incarnation, row in enumerate((before, after))
    ]
    [end] = [
        e["reason"]
        for e in events
        if e["event"] == "stream_close" and e["stream_id_hex"] == before["stream_id_hex"]
    ]
    assert end == "idle"
    assert (before["content_kind"], after["content_kind"]) == ("text", "binary")
    assert (before["client"], after["client"]) == ("a", "b")
    assert {row["service"]["name"] for row in of_flow(rows, 53)} == {"dns"}
    [ping] = [row for row in rows if row["protocol"] == "icmp"]
    assert ping["packets"] == 1


def test_what_is_no_ip_is_counted(run: Served) -> None:
    assert run.get("/api/health")["drops"]["non_ip"] == 1


def test_each_stream_opens_and_closes_once_and_its_last_event_is_its_row(
    rows: list[Row], events: list[Row]
) -> None:
    told: dict[str, list[Row]] = {}
    for event in events:
        assert {"ts_us", "event", "stream_id_hex", "protocol", "src", "dst"} <= event.keys()
        if event["stream_id_hex"] is not None:
            told.setdefault(event["stream_id_hex"], []).append(event)
    by_id = {row["stream_id_hex"]: row for row in rows}
    assert len(by_id) == len(rows)
    assert told.keys() == by_id.keys()
    for id_hex, mine in told.items():
        first, *between, last = (event["event"] for event in mine)
        assert (first, last) == ("stream_open", "stream_close")
        assert set(between) <= {"stream_update", "message"}
        packets = [event["packets"] for event in mine if event["event"] != "message"]
        assert packets == sorted(packets)
        row, end = by_id[id_hex], mine[-1]
        assert {name: end[name] for name in EQUAL} == {name: row[name] for name in EQUAL}
        assert end["service"] == row["service"]["name"]
        assert (end["src"], end["dst"]) == (
            row[f"endpoint_{row['client']}"],
            row["endpoint_b" if row["client"] == "a" else "endpoint_a"],
        )
        for name, direction in end["directions"].items():
            assert direction.items() <= row["directions"][name].items()


def test_totals_are_the_sums_of_the_rows(run: Served, rows: list[Row]) -> None:
    totals = run.get("/api/health")["totals"]
    for name in ("payload_bytes", "stream_bytes", "gaps", "gap_bytes"):
        assert totals[name] == sum(row[name] for row in rows), name
    for row in rows:
        for name in ("packets", "bytes", "payload_bytes", "stream_bytes", "gaps", "gap_bytes"):
            assert row[name] == sum(side[name] for side in row["directions"].values())


@pytest.mark.parametrize(
    "options",
    [
        # queues so short that the end waits for the beginning
        "--workers 2 --transport inline --batch-size 7 --worker-queue-depth 1",
        "--workers 4 --batch-size 1 --event-queue-depth 1",
    ],
)
def test_no_setting_of_the_pipeline_changes_the_outcome(
    events: list[Row], capture: Path, tmp_path: Path, options: str
) -> None:
    done = subprocess.run(
        [COMMAND, "--pcap", "-", "--output", "-", *options.split()],
        check=False,
        cwd=tmp_path,
        env=environ(),
        input=capture.read_bytes(),
        capture_output=True,
        timeout=RUN_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    (tmp_path / "out.jsonl").write_bytes(done.stdout)
    found = events_of(tmp_path / "out.jsonl")
    assert last_words(found) == last_words(events)


def last_words(events: list[Row]) -> dict[str, Row]:
    """The close of each stream."""
    closes = [event for event in events if event["event"] == "stream_close"]
    assert set(Counter(event["stream_id_hex"] for event in closes).values()) == {1}
    return {event["stream_id_hex"]: event | {"shard": None} for event in closes}
