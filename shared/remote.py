"""The coordinator as the launcher sees it: what it answers, or nothing when it does not."""

from contextlib import suppress
from typing import Any

import zmq

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
        """Streams of each protocol and of each service that is known; none where nobody answers."""
        facets = self.ask("facets", {"filter": {"include_hidden": True}}) or {}
        protocols, services = (
            {one["name"]: int(one["count"]) for one in facets.get(kind, ())}
            for kind in ("protocols", "services")
        )
        services.pop("unknown", None)
        return protocols, services
