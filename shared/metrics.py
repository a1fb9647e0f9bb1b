"""Prometheus in every service: one registry each, served where the user asks for it.

What capture and shards count travels to the coordinator as well, and it shows it as they would:
so one scrape of the API tells of the whole run, also of services that nobody can reach.

Names are `flowmate_<service>_<noun>_<unit>[_total]`; labels come only from closed sets.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Gauge, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.errors import UserError
from shared.settings import Service, flag, host_port
from shared.stats import GAUGES, resident_bytes

# first word of some counters, and what the rest of their names is a label of
FAMILIES: Mapping[Service, Mapping[str, str]] = {
    "capture": {"decode": "status", "fragments": "fate", "dropped": "reason"}
}


def new_registry(service: Service) -> CollectorRegistry:
    """A registry that knows the process's memory already."""
    registry = CollectorRegistry()
    resident = Gauge(
        f"flowmate_{service}_process_resident_bytes",
        "Memory of the process that is in RAM.",
        registry=registry,
    )
    resident.set_function(resident_bytes)
    started = Gauge(
        f"flowmate_{service}_process_start_time_seconds",
        "When the process started, seconds since the epoch.",
        registry=registry,
    )
    started.set(round(time.time(), 3))
    return registry


class Stats(Collector):
    """A service's own counters, as they travel to the coordinator, as metrics."""

    def __init__(self, service: Service, read: Callable[[], Mapping[str, int]]) -> None:
        self._service, self._read = service, read
        self.registry = CollectorRegistry()  # the process's memory is one of its counters
        self.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Called by the server for each scrape."""
        return of_stats(self._service, [((), self._read())])


def of_stats(
    service: Service,
    rows: Sequence[tuple[Sequence[str], Mapping[str, int]]],
    labels: Sequence[str] = (),
) -> Iterable[Metric]:
    """Totals and gauges by name as metrics; a row for each process, with the values of `labels`.

    A name that begins with a word of FAMILIES becomes that family, with the rest as its label.
    """
    found: dict[str, Metric] = {}
    families = FAMILIES.get(service, {})
    for values, stats in rows:
        for name, value in stats.items():
            family = next((f for f in families if name.startswith(f"{f}_")), "")
            if family:
                label = families[family]
                add(
                    found,
                    service,
                    family,
                    f"{family.capitalize()} by {label}.",
                    ([*labels, label], [*values, name.removeprefix(f"{family}_")]),
                    value,
                )
            else:
                text = f"{name.replace('_', ' ').capitalize()}."
                add(found, service, name, text, (labels, values), value)
    return found.values()


def add(
    found: dict[str, Metric],
    service: Service,
    name: str,
    text: str,
    label: tuple[Sequence[str], Sequence[str]],
    value: float,
) -> None:
    """Enter one sample; label: names and values."""
    names, values = label
    if name not in found:
        kind = GaugeMetricFamily if name in GAUGES.get(service, ()) else CounterMetricFamily
        found[name] = kind(f"flowmate_{service}_{name}", text, labels=names)
    metric = found[name]
    assert isinstance(metric, GaugeMetricFamily | CounterMetricFamily)
    metric.add_metric(values, value)


def serve_stats(listen: str, service: Service, read: Callable[[], Mapping[str, int]]) -> None:
    """Serve a service's own counters, as `serve` does."""
    serve(listen, Stats(service, read).registry)


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
