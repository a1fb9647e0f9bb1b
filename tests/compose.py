"""The compose project of a test: a copy of the tree on ports of its own, and what its API says."""

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, clean_environ

PROJECT = "flowmate-test"
BUILD_SECONDS, HEALTHY_SECONDS = 900, 180
COPIED = ("docker-compose.yml", ".dockerignore", "requirements.lock")
IGNORED = shutil.ignore_patterns("__pycache__", "node_modules")


def docker(*words: str, **environ: str) -> str:
    """Standard output of a docker command."""
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


def eventually(condition: Callable[[], Any], seconds: float = HEALTHY_SECONDS) -> Any:
    """The condition's first true value. An OSError means: not yet."""
    deadline = time.monotonic() + seconds
    said: object = None
    while time.monotonic() < deadline:
        try:
            if said := condition():
                return said
        except OSError as error:
            said = error
        time.sleep(0.2)
    raise AssertionError(f"it did not happen: {said}")


class Stack:
    """Run from a copy of the tree, so that `pcaps` is the test's own."""

    def __init__(self, folder: Path, ports: tuple[int, int, int]) -> None:
        """ports: of the API, Prometheus and Grafana."""
        self.folder = folder
        self.api, self.prometheus, self.grafana = (f"http://127.0.0.1:{port}" for port in ports)
        self._ports = dict(
            zip(
                ("FLOWMATE_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT"),
                map(str, ports),
                strict=True,
            )
        )
        self._settings: dict[str, str] = {}
        self._profile: list[str] = []
        for name in COPIED:
            shutil.copy(ROOT / name, folder / name)
        for name in ("services", "shared", "deploy"):
            shutil.copytree(ROOT / name, folder / name, ignore=IGNORED)
        self.pcaps = folder / "pcaps"
        self.pcaps.mkdir()

    def compose(self, *words: str) -> str:
        file = str(self.folder / "docker-compose.yml")
        told = self._ports | self._settings
        return docker("compose", "-p", PROJECT, "-f", file, *self._profile, *words, **told)

    def up(self, *words: str, profile: str = "", **settings: str) -> None:
        """Started, and healthy."""
        self._settings = settings
        self._profile = ["--profile", profile] if profile else []
        try:
            self.compose("up", "-d", "--wait", *words)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.compose('logs', '--tail', '20')}") from None

    def run_once(self, service: str, *words: str, profile: str = "", **settings: str) -> str:
        """What a command of its own says, in a container like that service's."""
        self._settings = settings
        self._profile = ["--profile", profile] if profile else []
        return self.compose("run", "--rm", "--no-deps", "-T", service, *words)

    def down(self) -> None:
        self.compose("down", "--volumes", "--timeout", "5")
        for path in self.pcaps.iterdir():
            path.unlink()

    def put(self, capture: Path, name: str) -> None:
        """Into the drop folder, as a whole."""
        part = self.pcaps / f".{name}"
        shutil.copy(capture, part)
        part.chmod(0o644)
        part.rename(self.pcaps / name)

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the engine says of each container, stopped ones too, by service."""
        found = json.loads(docker("inspect", *self.compose("ps", "-aq").split()))
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}

    def pids(self, service: str) -> list[int]:
        """Of its Python processes, as this machine counts them."""
        lines = self.compose("top", service).splitlines()
        return [int(re.split(r" +", line)[1]) for line in lines if "shared.launcher" in line
                and "tini" not in line and "docker-init" not in line]  # fmt: skip

    @property
    def token(self) -> str:
        """The one that was made up, from the log."""
        found = re.search(r"API token (\S+)", self.compose("logs", "api"))
        assert found is not None
        return found[1]

    def get(self, path: str, token: str) -> dict[str, Any]:
        return self.send(urllib.request.Request(self.api + path), token)

    def send(self, request: urllib.request.Request, token: str) -> dict[str, Any]:
        request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=5) as reply:
            return dict(json.load(reply))

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What Prometheus answers."""
        words = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self.prometheus}/api/v1/query?{words}", timeout=5) as reply:
            return list(json.load(reply)["data"]["result"])
