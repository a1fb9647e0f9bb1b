"""The API held to its own description: schemathesis sends what the schema allows, and what it does
not, and no answer may be a fault of the server or anything that the schema does not say."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import clean_environ
from tests.e2e import traffic
from tests.e2e.run import Served, served

pytestmark = pytest.mark.e2e

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance"
)
EXAMPLES = 12  # of each operation, beside those that try every constraint of every parameter
NEVER_ENDS = "/api/live/events"
RUN_SECONDS = 300


def fuzz(run: Served, folder: Path, stream_id: str) -> "subprocess.CompletedProcess[str]":
    """Known ids reach behind the 404s; every other value of a path is tried without them."""
    config = folder / f"schemathesis-{stream_id}.toml"
    config.write_text(f'[parameters]\n"path.id" = "{stream_id}"\n')
    return subprocess.run(
        [
            *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config)),
            *("run", f"http://127.0.0.1:{run.port}/api/openapi.json"),
            *("--checks", CHECKS, "--phases", "coverage,fuzzing", "--seed", "1"),
            *("--max-examples", str(EXAMPLES), "--exclude-path", NEVER_ENDS),
            *("--generation-database", "none", "--request-timeout", "10"),
        ],
        check=False, cwd=folder, env=clean_environ(), capture_output=True, text=True,
        timeout=RUN_SECONDS,
    )  # fmt: skip


def test_every_answer_is_one_that_the_description_allows(tmp_path: Path) -> None:
    capture = tmp_path / "traffic.pcap"
    capture.write_bytes(traffic.capture())
    with served("--pcap", capture, "--output", "events.jsonl", folder=tmp_path) as run:
        run.wait_ended()
        (row, *_) = run.rows(service="http", limit=1)
        done = fuzz(run, tmp_path, row["stream_id_hex"])
        assert done.returncode == 0, done.stdout[-6000:]
        assert "Traceback" not in run.said()
        run.get("/api/health")
