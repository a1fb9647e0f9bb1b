"""How soon health says that a service was killed, and how soon it is back.

    python -m bench.restarts --times 5

A run with an API watches an empty folder. Capture, a shard, the coordinator and the api are killed
(SIGKILL) in turns, and the API is asked for its health every ASK_S, each time anew. *said*: an
answer is other than `ok`, or counts a restart; of the api itself, there is one at all. *back*:
health is `ok` again, and the restart counted. Seconds from the signal.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.pipeline import machine
from bench.probe import (
    Running,
    clean_environ,
    command_line,
    descendants,
    flowmate_command,
    free_port,
    service_of,
)

SERVICES = ("capture", "shard", "coordinator", "api")
ASK_S, ANSWER_S, PATIENCE_S = 0.02, 3.0, 60.0
REST_S = 3.0  # between two kills: the launcher waits the longer the oftener a service dies


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.restarts", description="How soon a killed service is told of."
    )
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args(argv)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="fm-restarts-") as name:
        folder = Path(name)
        (folder / "pcaps").mkdir()
        words = ["--watch", str(folder / "pcaps"), "--output", "/dev/null", "--workers", "2"]
        words += ["--api-listen", f"127.0.0.1:{port}"]
        run = Running([*flowmate_command(), *words], clean_environ(), folder)
        try:
            await_health(port, lambda health: health["status"] == "ok")
            found: dict[str, list[tuple[float, float]]] = {service: [] for service in SERVICES}
            for _ in range(given.times):
                for service in SERVICES:
                    found[service].append(killed(run.process.pid, port, service))
                    time.sleep(REST_S)
        finally:
            run.process.send_signal(signal.SIGTERM)
            run.end()
    print(f"{machine()}\n\n| killed | times | said, s [max] | back, s [max] |\n|---|---|---|---|")
    for service, times in found.items():
        said, back = zip(*times, strict=True)
        print(
            f"| {service} | {len(times)} | {median(said):.2f} [{max(said):.2f}]"
            f" | {median(back):.2f} [{max(back):.2f}] |"
        )
    return 0


def killed(launcher: int, port: int, service: str) -> tuple[float, float]:
    """Seconds until health says so, and until the service is back."""
    pid = next(one for one in descendants(launcher) if service_of(command_line(one)) == service)
    before = restarts_of(await_health(port, lambda health: True), service)
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()

    def counts(health: dict[str, Any]) -> bool:
        return restarts_of(health, service) > before

    await_health(
        port, lambda health: service == "api" or health["status"] != "ok" or counts(health)
    )
    said = time.monotonic() - began
    await_health(port, lambda health: health["status"] == "ok" and counts(health))
    return said, time.monotonic() - began


def restarts_of(health: dict[str, Any], service: str) -> int:
    """Of all its processes."""
    return sum(
        one["restarts"] for one in health["services"] if one["service"].split()[0] == service
    )


def await_health(port: int, is_wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}/api/health", timeout=ANSWER_S
            ) as answer:
                health: dict[str, Any] = json.load(answer)
        except (OSError, urllib.error.URLError):
            pass  # nobody is there
        else:
            if is_wanted(health):
                return health
        time.sleep(ASK_S)
    raise SystemExit(f"health did not say so in {PATIENCE_S:g} s")


if __name__ == "__main__":
    sys.exit(main())
