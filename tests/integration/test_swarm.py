"""The stack file on a swarm of one node: four services over TCP with keys, capture on the machine's
interface, a shard that dies.

Needs an engine that can be a swarm, and the base images; skips with the reason where it cannot.
FLOWMATE_IMAGE names an image that is there already; otherwise one is built.
"""

import json
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared import curve
from tests.cluster import COORDINATOR_PORTS
from tests.compose import Stack, docker, eventually
from tests.conftest import ROOT
from tests.ports import free_ports

pytestmark = pytest.mark.containers

NAME = "flowmate-swarm-test"
ROLES = ("coordinator", "capture", "shard")
SERVICES = {"coordinator": 1, "capture": 1, "shard": 2, "api": 1}
TOKEN = "of-a-test"
IMAGE = os.environ.get("FLOWMATE_IMAGE", "")


def swarm_of_one() -> bool:
    """Have this engine be a swarm; whether it was none before. Skips where it cannot be."""
    if shutil.which("docker") is None:
        pytest.skip("no docker command")
    info = subprocess.run(
        ["docker", "info", "--format", "{{json .Swarm}}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if info.returncode:
        pytest.skip(f"no engine: {info.stderr.strip()[-200:]}")
    state = json.loads(info.stdout)
    if state["LocalNodeState"] == "active":
        if not state["ControlAvailable"]:
            pytest.skip("this engine is a worker of a swarm: a stack is deployed by a manager")
        return False
    made = subprocess.run(
        ["docker", "swarm", "init", "--advertise-addr", "127.0.0.1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip(f"no swarm can be made: {made.stderr.strip()[-200:]}")
    return True


def own_address() -> str:
    """Of this machine, as its containers reach it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # documentation's network: only a route is looked up
        return str(probe.getsockname()[0])


class Swarm:
    """The stack, deployed."""

    def __init__(self, folder: Path) -> None:
        self.api_port = free_ports(1)
        self.environ = {
            "FLOWMATE_KEYS": str(folder / "keys"),
            "FLOWMATE_COORDINATOR_HOST": own_address(),
            "FLOWMATE_COORDINATOR_PORT": str(free_ports(COORDINATOR_PORTS)),
            "FLOWMATE_PORT": str(self.api_port),
            "FLOWMATE_API_TOKEN": TOKEN,
            "FLOWMATE_IFACE": "lo",
            "FLOWMATE_CAPTURE_FILTER": "udp",
            "FLOWMATE_IMAGE": IMAGE or "flowmate:local",
        }
        curve.make(folder / "keys")

    def deploy(self) -> None:
        file = str(ROOT / "deploy" / "stack.yml")
        docker("stack", "deploy", "-c", file, "--resolve-image", "never", NAME, **self.environ)

    def replicas(self) -> dict[str, str]:
        """How many of each service run, and how many are to."""
        said = docker("stack", "services", "--format", "{{.Name}} {{.Replicas}}", NAME)
        return dict(line.removeprefix(f"{NAME}_").split(" ")[:2] for line in said.splitlines())

    def containers(self, service: str) -> list[dict[str, Any]]:
        """What the engine says of those that run."""
        chosen = f"label=com.docker.swarm.service.name={NAME}_{service}"
        ids = docker("ps", "-q", "--filter", chosen).split()
        return list(json.loads(docker("inspect", *ids))) if ids else []

    def is_healthy(self) -> bool:
        found = {service: self.containers(service) for service in SERVICES}
        return all(
            len(found[service]) == count
            and all(each["State"]["Health"]["Status"] == "healthy" for each in found[service])
            for service, count in SERVICES.items()
        )

    def get(self, path: str) -> dict[str, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.api_port}{path}")
        request.add_header("Authorization", f"Bearer {TOKEN}")
        with urllib.request.urlopen(request, timeout=5) as reply:
            return dict(json.load(reply))

    def logs(self) -> str:
        found = [
            subprocess.run(
                ["docker", "service", "logs", "--tail", "15", f"{NAME}_{service}"],
                capture_output=True, text=True, check=False,
            )
            for service in SERVICES
        ]  # fmt: skip
        tasks = subprocess.run(
            ["docker", "stack", "ps", "--no-trunc", NAME],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return tasks.stdout + "".join(each.stdout + each.stderr for each in found)


def removed() -> None:
    """The stack, and all that was in it."""
    subprocess.run(["docker", "stack", "rm", NAME], capture_output=True, check=False)
    label = f"label=com.docker.stack.namespace={NAME}"
    eventually(lambda: not docker("ps", "-aq", "--filter", label).split())
    volumes = docker("volume", "ls", "-q", "--filter", label).split()
    if volumes:
        docker("volume", "rm", *volumes)


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    is_new = swarm_of_one()
    node = docker("info", "--format", "{{.Swarm.NodeID}}").strip()
    labels = [f"flowmate.{role}" for role in ROLES]
    try:
        if not IMAGE:
            Stack(tmp_path_factory.mktemp("image"), (1, 2, 3)).compose("build")
        removed()
        for label in labels:
            docker("node", "update", "--label-add", f"{label}=true", node)
        one = Swarm(tmp_path_factory.mktemp("swarm"))
        one.deploy()
        try:
            eventually(one.is_healthy)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{one.logs()}") from None
        yield one
        removed()
    finally:
        if is_new:
            docker("swarm", "leave", "--force")
        else:
            for label in labels:
                docker("node", "update", "--label-rm", label, node)


def talk(swarm: Swarm, word: bytes) -> dict[str, Any]:
    """Datagrams on this machine's loopback, until their stream is listed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.bind(("127.0.0.1", 0))
        port = there.getsockname()[1]

        def is_seen() -> list[dict[str, Any]]:
            there.sendto(word, there.getsockname())
            return list(swarm.get(f"/api/streams?port={port}")["streams"])

        [row] = eventually(is_seen)
        return dict(row)


def content(swarm: Swarm, row: dict[str, Any]) -> str:
    path = f"/api/streams/{row['stream_id_hex']}/content?direction=a_to_b&mode=text"
    return str(swarm.get(path)["segments"][0]["view"])


def test_what_passes_on_the_machine_is_seen(swarm: Swarm) -> None:
    wanted = {name: f"{count}/{count}" for name, count in SERVICES.items()}
    eventually(lambda: swarm.replicas() == wanted)  # its manager hears of it after the engine
    eventually(lambda: swarm.get("/api/health")["status"] == "ok")
    health = swarm.get("/api/health")
    assert health["run_status"] == "running"
    assert [shard["state"] for shard in health["shards"]] == ["ready", "ready"]
    row = talk(swarm, b"hello, swarm")
    assert "hello, swarm" in content(swarm, row)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://127.0.0.1:{swarm.api_port}/api/health", timeout=5)


def test_nobody_has_more_rights_or_secrets_than_needed(swarm: Swarm) -> None:
    for service in SERVICES:
        for each in swarm.containers(service):
            host = each["HostConfig"]
            assert host["ReadonlyRootfs"], service
            assert host["CapDrop"] == ["ALL"], service
            assert (host["CapAdd"] or []) in (
                [["NET_RAW"], ["CAP_NET_RAW"]] if service == "capture" else [[]]
            )
            assert host["Memory"] > 0, service
            user = "0:10001" if service == "capture" else "10001:10001"
            assert each["Config"]["User"] == user
            said = docker("exec", each["Id"], "sh", "-c", "stat -c '%a %n' /run/secrets/*.secret")
            assert said.split() == ["400", f"/run/secrets/{service}.secret"]


def test_the_doctor_finds_all_in_order(swarm: Swarm) -> None:
    [capture] = swarm.containers("capture")
    done = subprocess.run(
        ["docker", "exec", capture["Id"], "python", "-P", "-m", "shared.launcher", "doctor"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "ok    keys in /run/secrets: fit, for capture" in done.stdout, done.stdout + done.stderr
    assert "answers; 2 of 2 shards" in done.stdout


def test_a_shard_that_dies_is_found_elsewhere(swarm: Swarm) -> None:
    before = {each["Id"] for each in swarm.containers("shard")}
    victim = swarm.containers("shard")[0]
    os.kill(victim["State"]["Pid"], 9)  # of the container's first process: all of it goes

    def is_back() -> bool:
        shards = swarm.get("/api/health")["shards"]
        restarts = sum(shard["restarts"] for shard in shards)
        return restarts == 1 and all(shard["state"] == "ready" for shard in shards)

    assert eventually(is_back)
    assert {each["Id"] for each in swarm.containers("shard")} != before
    owners = set()
    for number in range(64):  # until both shards had one
        row = talk(swarm, b"stream %d" % number)
        assert f"stream {number}" in content(swarm, row)
        owners.add(row["shard"])
        if owners == {0, 1}:
            break
    assert owners == {0, 1}
