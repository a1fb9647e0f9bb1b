"""A star set by somebody keeps the content of its stream, from the API down to the shards."""

import subprocess
from pathlib import Path

import pytest

from tests import builders as b
from tests.e2e.run import Row, Served, served

pytestmark = pytest.mark.e2e

BUDGET = 1 << 17
EXTENT_BYTES = 48  # of a datagram of 7 octets in the content memory


def datagrams(ports: range, octets: bytes) -> bytes:
    """Records of one datagram from each port."""
    frames = [(1, b.udp4("10.0.0.1", port, "10.0.0.2", 9, octets)) for port in ports]
    return b.pcap_bytes(frames)[24:]


def content(run: Served, row: Row) -> tuple[int, str]:
    """Status, and the text that is left."""
    response = run.client.get(
        f"/api/streams/{row['stream_id_hex']}/content", params={"direction": "a_to_b"}
    )
    if response.status_code != 200:
        return response.status_code, response.json()["error"]["code"]
    return 200, "".join(segment["view"] for segment in response.json()["segments"])


def total(health: Row, name: str) -> int:
    return sum(shard["stats"].get(name, 0) for shard in health["shards"])


def favorite_bytes(run: Served) -> int:
    return total(run.get("/api/health"), "content_favorite_bytes")


def test_a_star_keeps_content(tmp_path: Path) -> None:
    with served(
        *("--pcap", "-", "--workers", "2", "--max-stream-content-bytes", str(BUDGET)),
        folder=tmp_path, stdin=subprocess.PIPE,
    ) as run:  # fmt: skip
        pipe = run.process.stdin
        assert pipe is not None
        pipe.write(b.pcap_bytes([]) + datagrams(range(1, 9), b"keep me"))
        pipe.flush()
        run.wait_for(lambda health: health["totals"]["streams"] == 8)
        rows = run.rows()
        starred, others = rows[::2], rows[1::2]
        for row in starred:
            path = f"/api/streams/{row['stream_id_hex']}"
            assert run.client.patch(path, json={"favorite": True}).status_code == 200
        for port in range(100, 1000):  # shards tell of it with what streams do
            pipe.write(datagrams(range(port, port + 1), b"x"))
            pipe.flush()
            if favorite_bytes(run) == 4 * EXTENT_BYTES:
                break
        for first in range(1000, 4000, 100):
            pipe.write(datagrams(range(first, first + 100), bytes(1000)))
        pipe.close()
        health = run.wait_ended()
        assert [content(run, row) for row in starred] == [(200, "keep me")] * 4
        assert [content(run, row) for row in others] == [(410, "evicted")] * 4
        used = total(health, "content_used_bytes")
        assert BUDGET / 2 < used <= BUDGET
