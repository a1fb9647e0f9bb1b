"""flowmate in containers: what is in the image, what rights it has, that every profile works.

Needs an engine with compose v2 and the base images; skips with the reason where there is none.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.compose import Stack, docker, eventually
from tests.pcap_server import serving

pytestmark = pytest.mark.containers

SERVICES = {"shard", "coordinator", "api", "prometheus", "grafana"}
IMAGE_BYTES_MAX = 450_000_000
PACKETS, STREAMS = 1889, 159  # of the sample
SITE = "/opt/flowmate/lib/python3.13/site-packages/services/api"


def free_ports() -> tuple[int, int, int]:
    with ExitStack() as held:
        first, second, third = (
            held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            for _ in range(3)
        )
    return first, second, third


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
    result = Stack(tmp_path_factory.mktemp("stack"), free_ports())
    result.down()  # what an earlier test run left
    result.compose("build")
    yield result
    result.down()


class Run:
    """A stack that is up, and its token."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.token = stack, stack.token

    def get(self, path: str) -> dict[str, Any]:
        return self.stack.get(path, self.token)

    def wait_for(self, packets: int) -> dict[str, Any]:
        """Health, once so many packets were read and analysed."""

        def analysed() -> dict[str, Any] | None:
            health = self.get("/api/health")
            shards = sum(shard["stats"].get("packets", 0) for shard in health["shards"])
            told = health["totals"]["packets"]
            return health if told >= packets and shards >= packets else None

        return dict(eventually(analysed))


@pytest.fixture(scope="module")
def dropped(stack: Stack, sample_capture: Path) -> Iterator[Run]:
    """A plain `docker compose up`, and a capture put into its folder."""
    stack.up(FLOWMATE_WORKERS="2")
    stack.put(sample_capture, "sample.pcap")
    run = Run(stack)
    run.wait_for(PACKETS)
    yield run
    stack.down()


def test_a_capture_in_the_drop_folder_is_analysed(dropped: Run) -> None:
    health = dropped.wait_for(PACKETS)
    assert health["totals"]["packets"] == PACKETS
    assert health["totals"]["streams"] == STREAMS
    assert [shard["state"] for shard in health["shards"]] == ["ready", "ready"]
    assert health["status"] == "ok"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{dropped.stack.api}/api/streams", timeout=3)
    assert "ompiling" not in dropped.stack.compose("logs")


def test_no_container_has_more_rights_than_it_needs(dropped: Run) -> None:
    found = dropped.stack.containers()
    assert set(found) == SERVICES | {"capture"}
    for service, each in found.items():
        host = each["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert not host["CapAdd"], service
        assert not host["Privileged"], service
        assert any(rule.startswith("no-new-privileges") for rule in host["SecurityOpt"]), service
        assert host["Memory"] > 0, service
        assert host["LogConfig"]["Config"]["max-size"], service
        assert each["State"]["Health"]["Status"] == "healthy", service
        for binds in (host["PortBindings"] or {}).values():
            assert {bind["HostIp"] for bind in binds} == {"127.0.0.1"}, service
    for service in ("capture", "shard", "coordinator", "api"):
        assert found[service]["Config"]["User"] == "10001:10001"
    for service in ("capture", "shard", "coordinator"):
        assert found[service]["HostConfig"]["NetworkMode"] == "none"
    [pcaps] = [each for each in found["capture"]["Mounts"] if each["Destination"] == "/pcaps"]
    assert not pcaps["RW"]


def test_the_api_has_the_ui(dropped: Run) -> None:
    with urllib.request.urlopen(f"{dropped.stack.api}/", timeout=5) as reply:  # without the token
        page = reply.read().decode()
    assert '<div id="app">' in page
    [script] = re.findall(r'src="(/assets/[^"]+[.]js)"', page)
    with urllib.request.urlopen(dropped.stack.api + script, timeout=5) as reply:
        assert len(reply.read()) > 10_000
    sources = dropped.stack.compose("exec", "api", "ls", SITE).split()
    assert "ui" not in sources


def test_an_upload_is_read(dropped: Run, sample_capture: Path) -> None:
    before = dropped.get("/api/health")["totals"]["packets"]
    request = urllib.request.Request(
        f"{dropped.stack.api}/api/captures?name=again.pcap", data=sample_capture.read_bytes()
    )
    dropped.stack.send(request, dropped.token)
    dropped.wait_for(before + PACKETS)


def test_every_panel_of_every_dashboard_has_data(dropped: Run) -> None:
    assert eventually(lambda: dropped.stack.query('up{job="flowmate"} == 1'))
    files = sorted((dropped.stack.folder / "deploy" / "grafana" / "dashboards").glob("*.json"))
    assert len(files) == 3
    for file in files:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                expression = target["expr"].replace("$__rate_interval", "1m")
                found = eventually(partial(dropped.stack.query, expression))
                assert found, f"{panel['title']}: {expression}"
    with urllib.request.urlopen(f"{dropped.stack.grafana}/api/health", timeout=5) as reply:
        assert json.load(reply)["database"] == "ok"
    with urllib.request.urlopen(f"{dropped.stack.prometheus}/api/v1/rules", timeout=5) as reply:
        groups = json.load(reply)["data"]["groups"]
    assert all(rule["health"] == "ok" for group in groups for rule in group["rules"])


def test_a_shard_that_is_killed_comes_back(dropped: Run, sample_capture: Path) -> None:
    before = dropped.get("/api/health")
    victim = dropped.stack.pids("shard")[0]
    os.kill(victim, signal.SIGKILL)

    def is_back() -> bool:
        shards = dropped.get("/api/health")["shards"]
        restarts = sum(shard["restarts"] for shard in shards)
        return restarts == 1 and all(shard["state"] == "ready" for shard in shards)

    assert eventually(is_back)
    dropped.stack.put(sample_capture, "after.pcap")
    packets = before["totals"]["packets"] + PACKETS

    def is_read() -> bool:
        return bool(dropped.get("/api/health")["totals"]["packets"] == packets)

    assert eventually(is_read)


def test_one_capture_in_three_shards(stack: Stack, sample_capture: Path) -> None:
    stack.down()
    stack.put(sample_capture, "one.pcap")
    stack.put(sample_capture, "other.pcap")  # is not read
    stack.up("--scale", "shard=3", FLOWMATE_PCAP="/pcaps/one.pcap")
    run = Run(stack)
    health = eventually(
        lambda: (said := run.get("/api/health"))["run_status"] == "completed" and said
    )
    assert health["totals"]["packets"] == PACKETS
    assert health["totals"]["streams"] == STREAMS
    assert len(health["shards"]) == 3
    lines = stack.compose("exec", "coordinator", "cat", "/events/events.jsonl").splitlines()
    closed = [line for line in lines if json.loads(line)["event"] == "stream_close"]
    assert len(closed) == STREAMS
    stack.down()


def test_live_traffic_of_this_machine(stack: Stack) -> None:
    stack.down()
    stack.up(profile="live", FLOWMATE_IFACE="lo", FLOWMATE_CAPTURE_FILTER="udp")
    run = Run(stack)
    host = stack.containers()["capture-live"]["HostConfig"]
    assert (host["NetworkMode"], host["CapDrop"]) == ("host", ["ALL"])
    assert host["CapAdd"] in (["NET_RAW"], ["CAP_NET_RAW"])
    assert not stack.containers()["capture-live"]["NetworkSettings"]["Ports"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.bind(("127.0.0.1", 0))
        port = there.getsockname()[1]

        def is_seen() -> list[dict[str, Any]]:
            there.sendto(b"hello, capture", there.getsockname())
            return list(run.get(f"/api/streams?port={port}")["streams"])

        [row] = eventually(is_seen)
    assert row["protocol"] == "udp"
    health = run.get("/api/health")
    assert health["run_status"] == "running"
    assert health["drops"]["dropped_kernel"] == 0
    stack.down()


def test_a_demonstration(stack: Stack) -> None:
    stack.down()
    stack.up(profile="demo")
    run = Run(stack)
    assert run.wait_for(PACKETS)["totals"]["streams"] == STREAMS
    stack.down()


def test_packets_of_a_server_on_this_machine(stack: Stack, sample_capture: Path) -> None:
    """The server is asked again until it is there, and again when it went."""
    stack.down()
    port = free_ports()[0]
    server = f"host.docker.internal:{port}"
    stack.up(profile="over-ip", FLOWMATE_PCAP_OVER_IP=server)
    run = Run(stack)

    def source() -> dict[str, Any]:
        return dict(run.get("/api/health")["sources"][0])

    assert eventually(lambda: "refused" in source()["trouble"])
    # the bridge of the engine is one of this machine's addresses, whatever it is called
    with serving(port, sample_capture.read_bytes(), "0.0.0.0"):
        health = run.wait_for(PACKETS)
        assert health["totals"]["streams"] == STREAMS
        assert source()["status"] == "reading"
    assert eventually(lambda: "refused" in source()["trouble"])
    stack.down()


def test_the_doctor_of_a_container(stack: Stack) -> None:
    """It looks from where capture would: at what the container has, and may."""
    stack.down()

    def findings(service: str, profile: str, **settings: str) -> dict[str, dict[str, str]]:
        told = stack.run_once(service, "doctor", "--json", profile=profile, **settings)
        return {each["check"]: each for each in json.loads(told)}

    found = findings("capture", "watch")
    assert {each["state"] for each in found.values()} <= {"ok", "warn"}, found
    live = findings("capture-live", "live", FLOWMATE_IFACE="lo")
    assert live["rights to capture"]["state"] == "ok", live
    assert live["interface lo"]["state"] == "ok", live


def test_the_image_is_small(stack: Stack) -> None:
    [image] = json.loads(docker("image", "inspect", "flowmate:local"))
    assert image["Size"] < IMAGE_BYTES_MAX
