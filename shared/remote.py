"""The coordinator as the launcher sees it: what it answers, or nothing when it does not."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import zmq

from shared.columns import PROTOCOLS, SERVICES
from shared.wire import REQUEST_DEADLINE_MS, Bus


class Remote:
    """Asks the coordinator of one run directory."""

    def __init__(self, run_dir: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._bus = Bus(run_dir)

    def close(self) -> None:
        self._context.term()

    def ask(
        self, op: str, args: dict[str, Any] | None = None, timeout_ms: int = REQUEST_DEADLINE_MS
    ) -> dict[str, Any] | None:
        """A reply's result; None when there was none in time."""
        with suppress(TimeoutError, zmq.ZMQError):
            return self._bus.ask(self._context, self._bus.requests, op, args, timeout_ms)[0].result
        return None

    def count_streams(self) -> tuple[dict[str, int], dict[str, int]]:
        """Streams of each protocol and of each service; none where nobody answers any more."""
        protocols = self._totals("protocol", tuple(PROTOCOLS.values()))
        return protocols, self._totals("service", SERVICES[1:]) if protocols else {}

    def _totals(self, field: str, values: Sequence[str]) -> dict[str, int]:
        result = {}
        for value in values:
            query = {"filter": {field: value, "include_hidden": True}, "limit": 1}
            answer = self.ask("streams", query)
            if answer is None:
                break
            result[value] = int(answer.get("total", 0))
        return result
