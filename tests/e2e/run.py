"""Whole runs of the installed command, as a user starts them: to the end, or served for a while."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import clean_environ
from tests.ports import free_port

COMMAND = os.environ.get("FLOWMATE_COMMAND") or str(Path(sys.executable).with_name("flowmate"))
RUN_SECONDS = 180  # a first run compiles the kernels
STOP_SECONDS = 20
LOOK_SECONDS = 0.05
ENDED = ("completed", "failed")

Row = dict[str, Any]


def environ(extra: dict[str, str] | None = None) -> dict[str, str]:
    return clean_environ() | (extra or {})


def flowmate(
    *arguments: str | Path,
    folder: Path,
    env: dict[str, str] | None = None,
    stdin: bytes = b"",
) -> "subprocess.CompletedProcess[bytes]":
    """Run to the end in `folder`."""
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        check=False,
        cwd=folder,
        env=environ(env),
        input=stdin,
        capture_output=True,
        timeout=RUN_SECONDS,
    )


class Served:
    """A run that goes on: its process, its API, its standard error."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.process, self.port, self.log = process, port, log
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=40)

    def get(self, path: str, /, **parameters: Any) -> Any:
        """The body of a success."""
        response = self.client.get(path, params=parameters)
        assert response.status_code == 200, response.text
        return response.json()

    def wait_up(self) -> None:
        """Until the API answers."""
        self.wait_for(lambda health: True)

    def wait_for(self, wanted: Any) -> Row:
        """The first health that is as wanted."""
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.said()
            try:
                response = self.client.get("/api/health")
            except httpx.TransportError:
                response = None
            if response is not None and response.status_code == 200 and wanted(response.json()):
                health: Row = response.json()
                return health
            time.sleep(LOOK_SECONDS)
        raise AssertionError(f"not so within {RUN_SECONDS} s: {self.said()}")

    def wait_ended(self) -> Row:
        """The health of the completed or failed run."""
        return self.wait_for(lambda health: health["run_status"] in ENDED)

    def rows(self, **parameters: Any) -> list[Row]:
        """All rows that the filters keep, page by page; oldest first unless told otherwise."""
        found: list[Row] = []
        cursor = None
        while True:
            query = {"limit": 512, "order": "oldest", "cursor": cursor} | parameters
            page = self.get("/api/streams", **{k: v for k, v in query.items() if v is not None})
            found += page["streams"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """The exit status after a signal."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def served(
    *arguments: str | Path,
    folder: Path,
    env: dict[str, str] | None = None,
    stdin: Any = subprocess.DEVNULL,
    token: str = "",
) -> Iterator[Served]:
    """A run with the API on; stopped at the end whatever happens."""
    port = free_port()
    log = folder / f"stderr-{port}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [COMMAND, *map(str, arguments), "--api-listen", f"127.0.0.1:{port}"],
            cwd=folder,
            env=environ((env or {}) | ({"FLOWMATE_API_TOKEN": token} if token else {})),
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    run = Served(process, port, log)
    if token:
        run.client.headers["Authorization"] = f"Bearer {token}"
    try:
        run.wait_up()
        yield run
    finally:
        run.client.close()
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdin is not None:
            process.stdin.close()


def events_of(path: Path) -> list[Row]:
    """The lines of a JSONL file, each checked to be one object."""
    text = path.read_text()
    assert not text or text.endswith("\n")
    found = [json.loads(line) for line in text.splitlines()]
    assert all(isinstance(event, dict) for event in found)
    return found


def processes_of(launcher: int) -> set[int]:
    """Live processes that a launcher started: its forks, and those that were told of it."""
    mark = f"FLOWMATE_LAUNCHER_PID={launcher}\0".encode()
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it is gone, or somebody else's
            state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            told = mark in (process / "environ").read_bytes() + b"\0"
            if state != "Z" and (told or int(parent) == launcher):
                found.add(int(process.name))
    return found


def pids_of(run: Served, service: str) -> list[int]:
    """Live processes of a service, in a fixed order."""
    mark = f"services.{service}\0".encode()
    found = []
    for pid in processes_of(run.process.pid):
        with suppress(OSError):
            if mark in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return sorted(found)


def pid_of(run: Served, service: str) -> int:
    """The first of them."""
    found = pids_of(run, service)
    assert found, f"there is no {service}"
    return found[0]


def total(health: Row, name: str) -> int:
    """A number of all shards."""
    return sum(int(shard["stats"].get(name, 0)) for shard in health["shards"])


def run_folder_of(launcher: int) -> Path:
    """The private folder where the services of a launcher meet."""
    for descriptor in Path(f"/proc/{launcher}/fd").iterdir():
        with suppress(OSError):  # it is closed
            if (held := Path(os.readlink(descriptor))).name == "lock":
                return held.parent
    raise AssertionError("it holds no lock")
