"""The coordinator as the launcher sees it: what it answers, or nothing when it does not."""

from contextlib import suppress
from typing import Any

import zmq

from shared.columns import PROTOCOLS, SERVICES
from shared.wire import REQUEST_DEADLINE_MS, Bus, ask


class Remote:
    """Asks the coordinator of one run directory."""

    def __init__(self, run_dir: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._address = Bus(run_dir).requests

    def close(self) -> None:
        self._context.term()

    def ask(
        self, op: str, args: dict[str, Any] | None = None, timeout_ms: int = REQUEST_DEADLINE_MS
    ) -> dict[str, Any] | None:
        """A reply's result; None when there was none in time."""
        with suppress(TimeoutError, zmq.ZMQError):
            return ask(self._context, self._address, op, args, timeout_ms)[0].result
        return None

    def count_streams(self) -> tuple[dict[str, int], dict[str, int]]:
        """Streams of each protocol and of each service."""
        protocols = {name: self._total("protocol", name) for name in PROTOCOLS.values()}
        return protocols, {name: self._total("service", name) for name in SERVICES if name}

    def _total(self, field: str, value: str) -> int:
        query = {"filter": {field: value, "include_hidden": True}, "limit": 1}
        return int((self.ask("streams", query) or {}).get("total", 0))
