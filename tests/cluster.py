"""A run as on several machines, all of them this one: each service alone, over TCP, with keys."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from shared import curve
from tests.conftest import ROOT, clean_environ
from tests.ports import free_ports

STOP_SECONDS = 20
COORDINATOR_PORTS = 4


class Cluster:
    """Services with a folder each, and nothing shared but an address and keys."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.keys = folder, folder / "keys"
        self.port = free_ports(COORDINATOR_PORTS)
        curve.make(self.keys)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def environ(self, name: str, **settings: Any) -> dict[str, str]:
        """Of a service called `name`."""
        own = {
            "coordinator": f"127.0.0.1:{self.port}",
            "curve_keys": self.keys,
            "run_dir": self.folder / name,
        }
        chosen = own | settings
        return clean_environ() | {f"FLOWMATE_{key.upper()}": str(chosen[key]) for key in chosen}

    def start(
        self, service: str, name: str = "", stdin: Any = subprocess.DEVNULL, **settings: Any
    ) -> "subprocess.Popen[bytes]":
        """name: of another one of the same service."""
        name = name or service
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"services.{service}"],
                env=self.environ(name, **settings), cwd=ROOT, stdin=stdin, stdout=log, stderr=log,
            )  # fmt: skip
        self.processes[name] = process
        return process

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def said(self, name: str) -> str:
        return self.log(name).read_text(errors="replace")

    def kill(self, name: str) -> None:
        process = self.processes[name]
        process.kill()
        process.wait(STOP_SECONDS)
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()

    def close(self) -> None:
        for name in self.processes:
            self.kill(name)
