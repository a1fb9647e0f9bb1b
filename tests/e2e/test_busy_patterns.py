"""A shard that is busy with patterns behind the last packet is no run that stands still."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.built import write_streams
from services.shard.__main__ import WIND_UP_S
from shared.local_run import STALL_S
from tests.e2e.run import flowmate

pytestmark = pytest.mark.e2e
STREAMS = 10_000
TEXT = b"GET / HTTP/1.1\r\nHost: notes.example\r\nX: %s!\r\n\r\n" % (b"a" * 120)
# Good ones, each with a match in every stream, and some that backtrack there for ever.
PATTERNS = [rf"(?:{number}|H)ost: (\S+)" for number in range(60)]
PATTERNS += ["(a+)+$", "(?:a|a){40}[bc]", "(?:a|a)" * 40 + "b?!"]


def test_a_shard_has_less_time_behind_the_last_packet_than_a_run_that_stands_still() -> None:
    assert 2 * WIND_UP_S <= STALL_S


def test_a_run_whose_shard_is_busy_with_patterns_ends_well(tmp_path: Path) -> None:
    capture = tmp_path / "busy.pcap"
    said = np.frombuffer(TEXT, np.uint8).reshape(1, 1, -1)
    write_streams(capture, np.broadcast_to(said, (STREAMS, 1, said.size)))
    words = [word for value in PATTERNS for word in ("--regex", value)]
    done = flowmate("--pcap", capture, "--workers", "1", *words, folder=tmp_path)
    told = done.stderr.decode()
    assert done.returncode == 0, told
    assert "nothing has moved" not in told
    # it was busy: what there was no time for is said
    assert "takes too long: it was not looked for in all of" in told
    found = sum(
        json.loads(line)["event"] == "pattern_match"
        for line in (tmp_path / "busy.pcap.jsonl").read_bytes().splitlines()
    )
    assert found > STREAMS
