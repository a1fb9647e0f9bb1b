"""Prometheus in every service: one registry each, served where the user asks for it.

Names are `flowmate_<service>_<noun>_<unit>[_total]`; labels come only from closed sets.
"""

import os
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Gauge, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

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


class Stats(Collector):
    """A service's own counters, as they travel to the coordinator, as metrics.

    read: gives totals and gauges by name; `gauges` says which are gauges. A name with a prefix of
    `families` becomes that family with the rest as its label: (prefix, label).
    """

    def __init__(
        self,
        service: Service,
        read: Callable[[], Mapping[str, int]],
        gauges: frozenset[str],
        families: Mapping[str, str],
    ) -> None:
        self._prefix = f"flowmate_{service}"
        self._read, self._gauges, self._families = read, gauges, families
        self.registry = new_registry(service)
        self.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Called by the server for each scrape."""
        labelled: dict[str, CounterMetricFamily] = {}
        for name, value in self._read().items():
            text = name.replace("_", " ").capitalize() + "."
            family = next((f for f in self._families if name.startswith(f"{f}_")), "")
            if family:
                label = self._families[family]
                about = f"{family.capitalize()} by {label}."
                metric = labelled.setdefault(
                    family, CounterMetricFamily(f"{self._prefix}_{family}", about, labels=[label])
                )
                metric.add_metric([name.removeprefix(f"{family}_")], value)
            elif name in self._gauges:
                yield GaugeMetricFamily(f"{self._prefix}_{name}", text, value=value)
            else:
                yield CounterMetricFamily(f"{self._prefix}_{name}", text, value=value)
        yield from labelled.values()


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
