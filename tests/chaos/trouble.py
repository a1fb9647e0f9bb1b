"""What is done to a run: processes that are killed or held up, a disk that fills up."""

import os
import random
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.chaos.disk import filled
from tests.e2e.run import Served, pids_of

KILLS_A_MINUTE = 4  # of one service: fewer than the launcher's patience
PAUSE_S = (0.1, 1.2)
HELD_S = (0.05, 1.5)
SLOW_TURNS, SLOW_S = 20, 0.04
FULL_S = (0.1, 0.8)
NOTED_S, HEARD_S = 0.5, 5.0  # for the coordinator's note; for a new one to hear all shards


@contextmanager
def held(pid: int) -> Iterator[None]:
    """Stopped, and let go whatever happens."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


class Trouble:
    """Chooses what goes wrong next, by a seeded generator. killable: services; disk: of the output
    and the state file, None = it does not fill up."""

    def __init__(
        self, rng: random.Random, run: Served, killable: tuple[str, ...], disk: Path | None
    ) -> None:
        self.rng, self.run, self.killable, self.disk = rng, run, killable, disk
        self.done: list[str] = []
        self.double_fault = False  # what a shard told went down with it and the coordinator
        self.lost_rows = False  # a coordinator was killed after a shard, whose rows it alone had
        self._kills = {service: deque[float]() for service in killable}

    def next(self) -> None:
        """One thing, and a pause."""
        actions: list[Callable[[], str]] = [self._kill, self._kill, self._hold, self._slow_down]
        actions += [self._fill] if self.disk is not None else []
        what = self.rng.choice(actions)()
        self.done.append(what)
        time.sleep(self.rng.uniform(*PAUSE_S))

    def _choose(self, services: tuple[str, ...]) -> tuple[str, int]:
        service = self.rng.choice(services)
        pids = pids_of(self.run, service)
        return service, self.rng.choice(pids) if pids else 0

    def _kill(self) -> str:
        service, pid = self._choose(self.killable)
        kills, now = self._kills[service], time.monotonic()
        while kills and kills[0] < now - 60:
            kills.popleft()
        if not pid or len(kills) >= KILLS_A_MINUTE:
            return f"spared {service}"
        kills.append(now)
        self.lost_rows |= service == "coordinator" and "killed shard" in self.done
        self.double_fault |= self._is_double_fault(service, now)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return f"killed {service}"

    def _is_double_fault(self, service: str, now: float) -> bool:
        """A shard dies before the coordinator noted what it told, or the next one has heard it."""
        first, within_s = {
            "shard": ("coordinator", HEARD_S),
            "coordinator": ("shard", NOTED_S),
        }.get(service, ("", 0.0))
        return any(at > now - within_s for at in self._kills.get(first, ()))

    def _hold(self) -> str:
        service, pid = self._choose(("capture", "shard", "coordinator", "api"))
        if pid:
            with held(pid):
                time.sleep(self.rng.uniform(*HELD_S))
        return f"held {service}"

    def _slow_down(self) -> str:
        """A shard or the coordinator that gets a part of its time: queues before it fill up."""
        service, pid = self._choose(("shard", "coordinator"))
        for _ in range(SLOW_TURNS if pid else 0):
            with held(pid):
                time.sleep(SLOW_S)
        return f"slowed {service}"

    def _fill(self) -> str:
        assert self.disk is not None
        with filled(self.disk):
            time.sleep(self.rng.uniform(*FULL_S))
        return "filled the disk"
