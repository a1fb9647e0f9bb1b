"""The services of a run as people see them: which is how, since when, and how often it came back.

The launcher says when a process ended and when it started another. Where there is none, as in
containers, silence and a new instance tell the same, later.
"""

from dataclasses import dataclass
from typing import Any, Literal

from services.coordinator.arguments import Arguments

SERVICES_MAX = 4096


class Notice(Arguments):
    """The launcher's word on one process. service: such as `api` or `shard 3`."""

    service: str
    pid: int
    what: Literal["ended", "started"]
    restarts: int  # so far
    how: str = ""  # it ended, such as `killed by SIGKILL`
    at_us: int


@dataclass
class Life:
    """One service. since_us: when it came to be in this state."""

    state: str = ""
    since_us: int = 0
    restarts: int = 0
    last_end: str = ""
    ended_us: int = 0


class Lives:
    """By the service's name."""

    def __init__(self) -> None:
        self._all: dict[str, Life] = {}

    def _of(self, service: str) -> Life:
        if service not in self._all and len(self._all) >= SERVICES_MAX:
            return Life()
        return self._all.setdefault(service, Life())

    def notice(self, notice: Notice) -> None:
        life = self._of(notice.service)
        if notice.what == "started":
            self.see(notice.service, "up", notice.at_us, notice.restarts)
        else:
            life.last_end, life.ended_us = notice.how, notice.at_us
            self.see(notice.service, "down", notice.at_us)

    def see(self, service: str, state: str, at_us: int, restarts: int = 0) -> None:
        """How it is; restarts: that are known in another way."""
        life = self._of(service)
        life.restarts = max(life.restarts, restarts)
        if state != life.state:
            life.state, life.since_us = state, at_us

    def troubles(self) -> list[str]:
        """Of those of whom nobody else would know."""
        return [
            f"{name} ended ({life.last_end}) and is started again"
            for name, life in self._all.items()
            if life.state == "down"
        ]

    def describe(self) -> list[dict[str, Any]]:
        """As in health."""
        return [{"service": name} | vars(life) for name, life in sorted(self._all.items())]

    def restarts(self, service: str) -> int:
        return self._of(service).restarts

    def restore(self, kept: list[dict[str, Any]]) -> None:
        """As `describe` gave it to an earlier coordinator."""
        for each in kept:
            words = {name: value for name, value in each.items() if name != "service"}
            self._all[str(each["service"])] = Life(**words)
