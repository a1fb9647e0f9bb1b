"""`flowmate healthcheck SERVICE`: exit 0 when that service, run in this container, does its work.

A process that cannot reach its peers retries in silence, so every check asks across the sockets
that the service itself uses.
"""

import http.client
import socket
import sys
from collections.abc import Sequence
from typing import Any

import zmq

from shared.command_line import resolve
from shared.errors import EXIT_NOTHING_READ, EXIT_OK, UserError
from shared.settings import EVERY, Service, Settings, host_port
from shared.tcp_bus import bus_of

DEADLINE_MS = 2000
SILENT_MS = 3000  # a shard says something every second, capture five times


def main(argv: Sequence[str]) -> int:
    """The exit status for a container engine: 0 well, 1 not."""
    service = next((each for each in EVERY if [each] == list(argv)), None)
    if service is None:
        raise UserError(f"flowmate healthcheck: name one of {', '.join(EVERY)}")
    settings = resolve([], None)
    try:
        problem = check(service, settings)
    except (OSError, zmq.ZMQError) as error:
        problem = str(error)
    if problem:
        print(f"flowmate {service}: {problem}", file=sys.stderr)
    return EXIT_NOTHING_READ if problem else EXIT_OK


def check(service: Service, settings: Settings) -> str:
    """What is wrong; empty when nothing is. OSError or ZMQError when nobody answers."""
    if service == "shard":
        return _check_shard(_ask(service, settings, "topology"))
    if service == "capture":
        return _check_capture(_ask(service, settings, "topology"))
    _ask(service, settings, "health")
    return _check_api(settings) if service == "api" else ""


def _ask(service: Service, settings: Settings, op: str) -> dict[str, Any]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        bus = bus_of(settings, service)
        reply, _ = bus.ask(context, bus.requests, op, timeout_ms=DEADLINE_MS)
        return reply.result
    finally:
        context.term()


def _check_shard(topology: dict[str, Any]) -> str:
    """The coordinator must have heard of this host's shard lately."""
    here = [s for s in topology.get("shards", []) if s.get("host") == socket.gethostname()]
    if not here:
        return "the coordinator knows no shard of this host"
    oldest = max(int(shard.get("age_ms", 0)) for shard in here)
    return f"not heard of for {oldest} ms" if oldest > SILENT_MS else ""


def _check_capture(topology: dict[str, Any]) -> str:
    """The coordinator must have heard of it lately, unless it has read all there was."""
    capture = topology.get("capture", {})
    age = int(capture.get("age_ms", 0))
    return f"not heard of for {age} ms" if age > SILENT_MS and not capture.get("ended") else ""


def _check_api(settings: Settings) -> str:
    """Any answer will do, one that asks for the token too."""
    host, port = host_port(settings.api_listen, "api_listen")
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  to connect to
    connection = http.client.HTTPConnection(here, port, timeout=DEADLINE_MS / 1000)
    try:
        connection.request("GET", "/api/health")
        status = connection.getresponse().status
    finally:
        connection.close()
    return "" if status in (200, 401) else f"answered {status}"
