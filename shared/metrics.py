"""Prometheus in every service: one registry each, served where the user asks for it.

Names are `flowmate_<service>_<noun>_<unit>[_total]`; labels come only from closed sets.
"""

import os

from prometheus_client import CollectorRegistry, Gauge, start_http_server

from shared.errors import UserError
from shared.settings import Service, flag, host_port

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def new_registry(service: Service) -> CollectorRegistry:
    """A registry that knows the process's memory already."""
    registry = CollectorRegistry()
    resident = Gauge(
        f"flowmate_{service}_process_resident_bytes",
        "Memory of the process that is in RAM.",
        registry=registry,
    )
    resident.set_function(resident_bytes)
    return registry


def resident_bytes() -> int:
    """RAM of this process, proc(5) statm; 0 where there is no /proc."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * PAGE_BYTES
    except OSError:
        return 0


def serve(listen: str, registry: CollectorRegistry) -> None:
    """Serve `/metrics` on HOST:PORT from a thread of its own; nothing when `listen` is empty.

    Raises UserError when the address is none or cannot be had.
    """
    if not listen:
        return
    host, port = host_port(listen, "metrics_listen")
    try:
        start_http_server(port, host, registry)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(
            f"{flag('metrics_listen')} {listen}: {reason}; choose another address"
        ) from None
