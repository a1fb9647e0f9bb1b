"""What is read of streams, from the front: conversation, export, and captures that are uploaded."""

import base64
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests import builders as b
from tests.e2e.run import Row, Served, served

pytestmark = pytest.mark.e2e
S_NS = 10**9


def octets_of(run: Served, stream: str) -> dict[str, bytes]:
    """Both directions as content gives them, holes left out."""
    found = {}
    for direction in ("a_to_b", "b_to_a"):
        data, start = b"", 0
        while True:
            window = run.get(
                f"/api/streams/{stream}/content", direction=direction, start=start, mode="raw"
            )
            data += b"".join(base64.b64decode(segment["base64"]) for segment in window["segments"])
            start = window["requested_end"]
            if start >= window["end_of_stream"]:
                break
        found[direction] = data
    return found


def conversation(run: Served, stream: str, limit: int, **asked: int) -> list[Row]:
    """All turns, page by page."""
    turns: list[Row] = []
    query: dict[str, Any] = {"limit": limit, "mode": "raw", **asked}
    while True:
        page = run.get(f"/api/streams/{stream}/conversation", **query)
        turns += page["turns"]
        if page["next_cursor"] is None:
            return turns
        query["cursor"] = page["next_cursor"]


def test_a_conversation_has_every_byte_in_order(run: Served, rows: list[Row]) -> None:
    for row in rows:
        stream = row["stream_id_hex"]
        turns = conversation(run, stream, 3)
        assert [{**turn, "delta_us": 0} for turn in conversation(run, stream, 512)] == [
            {**turn, "delta_us": 0} for turn in turns
        ]
        at = {"a_to_b": 0, "b_to_a": 0}
        said = {"a_to_b": b"", "b_to_a": b""}
        for turn in turns:
            assert turn["start"] == at[turn["direction"]]
            at[turn["direction"]] = turn["end"]
            said[turn["direction"]] += base64.b64decode(turn["view"])
        assert said == octets_of(run, stream)
        gaps = sum(turn["end"] - turn["start"] for turn in turns if turn["gap"])
        assert gaps == row["gap_bytes"]
        times = [turn["ts_us"] for turn in turns]
        assert times == sorted(times)


def joined(turns: list[Row]) -> list[tuple[str, int, int, bytes]]:
    """Turns as they were said: direction, start, end and bytes, parts of one put together."""
    result: list[tuple[str, int, int, bytes]] = []
    goes_on = False
    for turn in turns:
        direction, start, said = turn["direction"], turn["start"], base64.b64decode(turn["view"])
        if goes_on:
            side, start, end, before = result.pop()
            assert (side, end) == (direction, turn["start"])
            said = before + said
        result.append((direction, start, turn["end"], said))
        goes_on = turn["continues"]
    assert not goes_on
    return result


def test_a_long_turn_is_told_in_parts(run: Served, rows: list[Row]) -> None:
    most = 100
    cut = 0
    for row in rows:
        stream = row["stream_id_hex"]
        parts = conversation(run, stream, 3, len=most)
        assert all(turn["gap"] or turn["end"] - turn["start"] <= most for turn in parts)
        assert joined(parts) == joined(conversation(run, stream, 512))
        cut += sum(turn["continues"] for turn in parts)
    assert cut


def test_an_export_is_what_content_shows(run: Served, rows: list[Row]) -> None:
    for row in rows:
        path = f"/api/streams/{row['stream_id_hex']}/export"
        wanted = octets_of(run, row["stream_id_hex"])
        exported = run.get(path, format="json")["directions"]
        for direction, side in exported.items():
            segments = [base64.b64decode(segment["base64"]) for segment in side["segments"]]
            assert b"".join(segments) == wanted[direction]
            raw = run.client.get(path, params={"direction": direction})
            assert raw.content == wanted[direction]


def test_a_search_finds_every_place(run: Served, rows: list[Row]) -> None:
    wanted = {
        (row["stream_id_hex"], direction, at)
        for row in rows
        for direction, octets in octets_of(run, row["stream_id_hex"]).items()
        if not row["gaps"]
        for at in range(len(octets))
        if octets.startswith(b"GET /a", at)
    }
    begun = run.client.post("/api/search", json={"value": "GET /a"})
    assert begun.status_code == 201, begun.text
    path, found = f"/api/search/{begun.json()['search_id']}", set()
    query: dict[str, str] = {}
    for _ in range(400):
        body = run.get(path, **query)
        found |= {(hit["stream_id_hex"], hit["direction"], hit["start"]) for hit in body["hits"]}
        query = {"after": body["next_cursor"]}
        if body["done"]:
            break
        time.sleep(0.02)
    assert body["done"]
    assert wanted
    assert found == wanted
    filtered = run.client.post("/api/search", json={"value": "GET", "filters": {"port": 1}})
    assert run.get(f"/api/search/{filtered.json()['search_id']}")["hits"] == []
    wrong = run.client.post("/api/search", json={"value": "(", "kind": "regex"})
    assert wrong.status_code == 400
    assert run.client.delete(path).status_code == 200


def upload(run: Served, octets: bytes, name: str) -> Row:
    response = run.client.post("/api/captures", params={"name": name}, content=octets)
    assert response.status_code == 201, response.text
    body: Row = response.json()
    return body


def read(run: Served, source: str) -> Row:
    """Health when that upload is read, and the run has ended again."""
    return run.wait_for(
        lambda health: (
            health["run_status"] == "completed"
            and any(each["name"] == source for each in health["sources"])
        )
    )


def test_exported_packets_are_the_same_streams_again(
    run: Served, rows: list[Row], tmp_path: Path
) -> None:
    """Each stream's packets are uploaded to a run of another capture; holes, endpoints and octets
    come back."""
    other = tmp_path / "other.pcap"
    other.write_bytes(b.pcap_bytes([(1, b.udp4("1.1.1.1", 1, "2.2.2.2", 2, b"other"))]))
    chosen = [row for row in rows if row["protocol"] != "icmp"]
    with served("--pcap", other, folder=tmp_path) as second:
        second.wait_ended()
        for row in chosen:
            path = f"/api/streams/{row['stream_id_hex']}/export"
            packets = run.client.get(path, params={"format": "pcap"})
            assert packets.status_code == 200
            source = upload(second, packets.content, "stream.pcapng")["source"]
            health = read(second, source)
            assert health["sources"][-1]["status"] == "done"
            assert health["sources"][-1]["damaged"] == 0
            found = second.rows(addr=row["endpoint_a"]["addr"], port=row["endpoint_a"]["port"])
            mine = next(
                each for each in reversed(found)
                if each["endpoint_b"] == row["endpoint_b"]
                and each["stream_bytes"] == row["stream_bytes"]
            )  # fmt: skip
            assert octets_of(second, mine["stream_id_hex"]) == octets_of(run, row["stream_id_hex"])
            if row["protocol"] == "tcp" and row["stream_bytes"]:
                assert mine["gap_bytes"] == row["gap_bytes"]
                assert mine["client"] == row["client"]
        refused = second.client.post("/api/captures", content=b"PK\x03\x04")
        assert refused.status_code == 415
        assert len(second.get("/api/health")["sources"]) == 1 + len(chosen)
        assert second.stop() == 0
    assert "Traceback" not in second.said()


def test_uploads_during_the_run_and_one_that_is_damaged(tmp_path: Path) -> None:
    first = tmp_path / "first.pcap"
    first.write_bytes(b.pcap_bytes([(1, b.udp4("1.1.1.1", 1, "2.2.2.2", 2, b"first"))]))
    good = b.pcap_bytes([(2, b.udp4("1.1.1.1", 1, "2.2.2.2", 3, b"second"))])
    with served("--pcap", first, "--max-upload-bytes", "1000", folder=tmp_path) as run:
        run.wait_for(lambda health: health["sources"])  # capture is up
        broken = upload(run, good[:-3], "broken.pcap")["source"]
        whole = upload(run, good, "whole.pcap")["source"]
        for source in (broken, whole):
            read(run, source)
        health = run.get("/api/health")
        statuses = {each["name"]: each["status"] for each in health["sources"]}
        assert statuses[whole] == "done"
        assert statuses[broken] == "failed"
        ports = {row["endpoint_b"]["port"] for row in run.rows()}
        assert ports == {2, 3}
        assert run.client.post("/api/captures", content=good + bytes(1000)).status_code == 413


def test_uploads_while_a_pipe_stays_open(tmp_path: Path) -> None:
    """Each keeps its own time: a stream of the pipe goes on although years lie between."""
    live, old = ("10.0.0.1", 1, "10.0.0.2", 2), ("10.0.0.1", 3, "10.0.0.2", 4)
    now, then = 1_700_000_000 * S_NS, 1_000_000_000 * S_NS
    piped = [b.pcap_bytes([(now + i * S_NS, b.udp4(*live, b"now"))]) for i in range(2)]
    uploaded = b.pcap_bytes([(then + 100 * i * S_NS, b.udp4(*old, b"then")) for i in range(5)])
    with served("--pcap", "-", folder=tmp_path, stdin=subprocess.PIPE) as run:
        pipe = run.process.stdin
        assert pipe is not None
        pipe.write(piped[0])
        pipe.flush()
        run.wait_for(lambda health: health["totals"]["packets"] == 1)
        source = upload(run, uploaded, "old.pcap")["source"]
        health = run.wait_for(
            lambda health: {each["name"]: each["status"] for each in health["sources"]}
            == {"stdin": "reading", source: "done"} and health["totals"]["packets"] == 6
        )  # fmt: skip
        assert health["run_status"] == "running"
        (row,) = run.rows(port=4)
        assert row["directions"]["a_to_b"]["packets"] == 5
        pipe.write(piped[1][24:])
        pipe.flush()
        run.wait_for(lambda health: health["totals"]["packets"] == 7)
        pipe.close()
        run.wait_ended()
        rows = {row["endpoint_a"]["port"]: row for row in run.rows()}
        assert {port: row["packets"] for port, row in rows.items()} == {1: 2, 3: 5}
