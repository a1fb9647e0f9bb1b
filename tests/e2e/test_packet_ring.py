"""Captured packets are kept on disk and come back with a stream, as far as they are there."""

import io
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import dpkt
import httpx
import pytest

from tests import builders as b
from tests.e2e import traffic
from tests.e2e.run import Row, Served, flowmate, served

pytestmark = pytest.mark.e2e

RING_BYTES = 16 << 20
A4, B4 = "10.0.0.1", "10.0.0.2"
START_NS = traffic.START_NS


def exported(run: Served, row: Row, **parameters: str) -> httpx.Response:
    path = f"/api/streams/{row['stream_id_hex']}/export"
    return run.client.get(path, params={"format": "pcap"} | parameters)


def frames_of(response: httpx.Response) -> list[bytes]:
    assert response.status_code == 200, response.text
    return [frame for _, frame in dpkt.pcapng.Reader(io.BytesIO(response.content))]


def captured(run: Served, row: Row) -> list[bytes]:
    response = exported(run, row)
    assert response.headers["x-flowmate-note"].startswith("captured packets")
    assert response.headers["x-flowmate-note"].encode() in response.content
    return frames_of(response)


def test_every_stream_comes_back_with_its_own_packets(tmp_path: Path) -> None:
    capture = tmp_path / "traffic.pcap"
    capture.write_bytes(traffic.capture())
    ring = ("--packet-ring", tmp_path / "ring", "--packet-ring-bytes", str(RING_BYTES))
    with served("--pcap", capture, "--workers", "2", *ring, folder=tmp_path) as run:
        budgets = run.wait_ended()["budgets"]
        assert 0 < budgets["packet_ring_bytes"] <= budgets["packet_ring_bytes_max"] == RING_BYTES
        rows = run.rows()
        for talk in traffic.conversations():
            mine = [
                row
                for row in rows
                if talk.port in (row["endpoint_a"]["port"], row["endpoint_b"]["port"])
            ]
            assert [frame for row in mine for frame in captured(run, row)] == talk.frames, talk.name
        found = Counter(frame for row in rows for frame in captured(run, row))
        whole = Counter(frame for _, frame in dpkt.pcap.Reader(io.BytesIO(capture.read_bytes())))
        no_stream = whole - found
        assert all(frame[12:14] == b"\x08\x06" for frame in no_stream), "all but ARP"
        assert found == whole - no_stream
        tcp = next(row for row in rows if row["protocol"] == "tcp" and row["stream_bytes"])
        made = exported(run, tcp, packets="synthesised")
        assert made.headers["x-flowmate-note"].startswith("synthesised")
        one = exported(run, tcp, direction="client")
        assert one.headers["x-flowmate-note"].startswith("synthesised")
        assert exported(run, tcp, direction="client", packets="captured").status_code == 400
        drops = run.get("/api/health")["drops"]
        assert drops["packet_ring_left_out"] == 0


def test_without_a_ring_packets_are_synthesised(run: Served, rows: list[Row]) -> None:
    row = next(each for each in rows if each["protocol"] == "tcp" and each["stream_bytes"])
    assert exported(run, row).headers["x-flowmate-note"].startswith("synthesised")
    refused = exported(run, row, packets="captured")
    assert refused.status_code == 404
    assert "--packet-ring" in refused.json()["error"]["hint"]
    assert "packet_ring_left_out" not in run.get("/api/health")["drops"]


def said(side: int, payload: bytes, seq: int, ack: int, flags: int = 16) -> bytes:
    """A segment of the stream between ports 40000, side 0, and 80."""
    hosts, ports = ((A4, B4), (40000, 80)) if side == 0 else ((B4, A4), (80, 40000))
    return b.ethernet(b.ip4(*hosts, 6, b.tcp(*ports, payload, seq=seq, ack=ack, flags=flags)))


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A stream that begins before 40 MB of others and ends behind them, and one that is over."""
    late = START_NS + 10**9
    early = [
        (START_NS, said(0, b"", 70_000, 0, 2)),
        (START_NS + 1, said(1, b"", 90_000, 70_001, 18)),
        (START_NS + 2, said(0, b"early ", 70_001, 90_001)),
        (START_NS + 3, said(1, b"yes", 90_001, 70_007)),
        (START_NS + 4, b.tcp4(A4, 40001, B4, 80, b"long gone", seq=1)),
    ]
    others = [
        (START_NS + 1000 + i, b.udp4("10.1.1.1", 1000 + i % 99, "10.2.2.2", 9, bytes(1400)))
        for i in range(28_000)
    ]
    end = [
        (late, said(0, b"late", 70_007, 90_004)),
        (late + 1, said(1, b"answer", 90_004, 70_011)),
    ]
    return b.pcap_bytes(early + others + end, nanos=True)


def test_what_the_ring_has_lost_is_synthesised(tmp_path: Path, long_run: bytes) -> None:
    capture = tmp_path / "long.pcap"
    capture.write_bytes(long_run)
    ring = ("--packet-ring", tmp_path / "ring", "--packet-ring-bytes", str(RING_BYTES))
    with served("--pcap", capture, *ring, folder=tmp_path) as run:
        run.wait_ended()
        used = sum(path.stat().st_blocks * 512 for path in (tmp_path / "ring").iterdir())
        assert used <= RING_BYTES
        (row,) = run.rows(port=40000)
        response = exported(run, row)
        note = response.headers["x-flowmate-note"]
        assert note.startswith("captured packets, as they came: 2 of 6")
        assert "synthesised" in note
        segments = [dpkt.ethernet.Ethernet(frame).data.data for frame in frames_of(response)]
        told = [(each.sport, each.seq, each.data) for each in segments]
        assert told == [
            (40000, 70_000, b""),
            (80, 90_000, b""),
            (40000, 70_001, b""),
            (40000, 70_001, b"early "),
            (80, 90_001, b"yes"),
            (40000, 70_007, b"late"),
            (80, 90_004, b"answer"),
        ]
        assert len(frames_of(exported(run, row, packets="captured"))) == 2
        (gone,) = run.rows(port=40001)
        assert exported(run, gone).headers["x-flowmate-note"].startswith("synthesised")
        refused = exported(run, gone, packets="captured")
        assert refused.status_code == 410
        assert run.stop() == 0
    if (tcpdump := shutil.which("tcpdump")) is None:
        pytest.skip("tcpdump is not installed: only dpkt has read the exported file")
    (tmp_path / "mixed.pcapng").write_bytes(response.content)
    read = subprocess.run(
        [tcpdump, "-nn", "-r", tmp_path / "mixed.pcapng"], capture_output=True, check=True
    )
    assert len(read.stdout.splitlines()) == 7


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "capture.pcap").write_bytes(traffic.capture())
    (tmp_path / "file").write_text("")
    done = flowmate("--pcap", "capture.pcap", "--packet-ring", "file", folder=tmp_path)
    assert done.returncode == 2
    assert b"--packet-ring file: " in done.stderr
