"""The four services in containers: what is in the image, what rights they have, that they work.

Needs an engine with compose v2 and the base image; skips with the reason where there is none.
"""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, clean_environ

pytestmark = pytest.mark.containers

PROJECT = "flowmate-test"
TOKEN = "a token for the test"
SERVICES = ("capture", "shard", "coordinator", "api")
BUILD_SECONDS, HEALTHY_SECONDS = 900, 120
IMAGE_BYTES_MAX = 450_000_000
URL = "http://127.0.0.1:33111"


def docker(*words: str, **environ: str) -> str:
    """Standard output of a docker command in the test's copy of the tree."""
    done = subprocess.run(
        ["docker", *words],
        env=clean_environ() | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


class Stack:
    """The compose project, run from a copy of the tree so that `pcaps` is the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("docker-compose.yml", ".dockerignore", "requirements.lock"):
            shutil.copy(ROOT / name, folder / name)
        for name in ("services", "shared"):
            ignored = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        (folder / "pcaps").mkdir()

    def compose(self, *words: str, **environ: str) -> str:
        file = str(self.folder / "docker-compose.yml")
        told = {"FLOWMATE_API_TOKEN": TOKEN} | environ
        return docker("compose", "-p", PROJECT, "-f", file, *words, **told)

    def containers(self) -> list[dict[str, Any]]:
        """What the engine says of each container, stopped ones too."""
        ids = self.compose("ps", "-aq").split()
        return list(json.loads(docker("inspect", *ids)))

    def down(self) -> None:
        self.compose("down", "--volumes", "--timeout", "5")


def get(path: str) -> dict[str, Any]:
    request = urllib.request.Request(URL + path, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=5) as reply:
        return dict(json.load(reply))


def wait_completed() -> dict[str, Any]:
    deadline = time.monotonic() + HEALTHY_SECONDS
    said: object = None
    while time.monotonic() < deadline:
        try:
            said = get("/api/health")
            if said["run_status"] in ("completed", "failed"):
                return said
        except OSError as error:
            said = error
        time.sleep(0.2)
    raise AssertionError(f"not completed: {said}")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if shutil.which("docker") is None:
        pytest.skip("no docker command")
    probe = subprocess.run(
        ["docker", "compose", "version"], capture_output=True, text=True, check=False
    )
    engine = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    if probe.returncode or engine.returncode:
        pytest.skip(f"no engine with compose v2: {(probe.stderr or engine.stderr).strip()[-200:]}")
    result = Stack(tmp_path_factory.mktemp("stack"))
    result.compose("build")
    yield result
    result.down()


@pytest.fixture
def analysed(stack: Stack, sample_capture: Path) -> Iterator[Stack]:
    """Two shards that have read the sample."""
    shutil.copy(sample_capture, stack.folder / "pcaps" / "sample.pcap")
    os.chmod(stack.folder / "pcaps" / "sample.pcap", 0o644)
    stack.compose("up", "-d", FLOWMATE_PCAP="/pcaps/sample.pcap", FLOWMATE_WORKERS="2")
    yield stack
    stack.down()


def test_a_capture_is_analysed(analysed: Stack) -> None:
    said = wait_completed()
    assert said["run_status"] == "completed"
    assert said["totals"]["packets"] == 1889
    assert said["totals"]["streams"] == 159
    assert len(said["shards"]) == 2
    with pytest.raises(OSError, match="401"):
        urllib.request.urlopen(f"{URL}/api/streams", timeout=3)
    lines = analysed.compose("exec", "coordinator", "cat", "/events/events.jsonl").splitlines()
    closed = [line for line in lines if json.loads(line)["event"] == "stream_close"]
    assert len(closed) == 159
    for service in ("shard", "coordinator", "api"):
        words = ("python", "-P", "-m", "shared.launcher", "healthcheck", service)
        analysed.compose("exec", service, *words)
    assert "ompiling" not in analysed.compose("logs")


def test_no_container_has_more_rights_than_it_needs(analysed: Stack) -> None:
    wait_completed()
    found = {
        each["Config"]["Labels"]["com.docker.compose.service"]: each
        for each in analysed.containers()
    }
    assert set(found) == set(SERVICES)
    for service, each in found.items():
        host = each["HostConfig"]
        assert each["Config"]["User"] == "10001:10001", service
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert not host["CapAdd"], service
        assert not host["Privileged"], service
        assert any(rule.startswith("no-new-privileges") for rule in host["SecurityOpt"]), service
        assert host["Memory"] > 0, service
        assert host["NetworkMode"] == ("bridge" if service == "api" else "none"), service
    ports = found["api"]["HostConfig"]["PortBindings"]
    assert {bind["HostIp"] for each in ports.values() for bind in each} == {"127.0.0.1"}
    [pcaps] = [each for each in found["capture"]["Mounts"] if each["Destination"] == "/pcaps"]
    assert not pcaps["RW"]


def test_a_killed_shard_is_named_and_the_others_go_on(analysed: Stack) -> None:
    wait_completed()
    analysed.compose("kill", "shard")
    [row] = get("/api/streams?limit=1")["streams"]
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(f"/api/streams/{row['stream_id_hex']}/content?direction=a_to_b")
    assert caught.value.code == 503
    assert "shard" in json.load(caught.value)["error"]["message"]
    assert get("/api/health")["totals"]["streams"] == 159


def test_the_api_has_the_ui(analysed: Stack) -> None:
    wait_completed()
    with urllib.request.urlopen(f"{URL}/", timeout=5) as reply:  # without the token
        page = reply.read().decode()
    assert '<div id="app">' in page
    [script] = re.findall(r'src="(/assets/[^"]+[.]js)"', page)
    with urllib.request.urlopen(URL + script, timeout=5) as reply:
        assert len(reply.read()) > 10_000
    site = "/opt/flowmate/lib/python3.13/site-packages/services/api"
    assert "ui" not in analysed.compose("exec", "api", "ls", site).split()  # none of its sources


def test_the_image_is_small(stack: Stack) -> None:
    [image] = json.loads(docker("image", "inspect", "flowmate:local"))
    assert image["Size"] < IMAGE_BYTES_MAX
