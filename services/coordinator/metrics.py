"""The coordinator's numbers as Prometheus metrics, from what health said last.

The server runs in a thread of its own, so it reads a report that nobody changes any more.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.metrics import new_registry

PREFIX = "flowmate_coordinator"
STATES = ("starting", "ready", "lost", "ended")
STATUSES = ("ok", "degraded", "failed")
RUN_STATUSES = ("waiting", "running", "completed", "failed")
# (name, key of the report's section, key in it, help)
COUNTERS = (
    ("packets", "totals", "packets", "Packets that capture read."),
    ("packet_bytes", "totals", "bytes", "Bytes on the wire of the packets that capture read."),
    ("streams", "totals", "streams", "Streams entered into the inventory."),
    ("events", "totals", "events", "Events of streams that arrived."),
    ("gaps", "totals", "gaps", "Gaps declared in streams."),
    ("gap_bytes", "totals", "gap_bytes", "Bytes missing in gaps."),
)
GAUGES = (
    ("shard_queue_rows", "queues", "shard_rows", "Packets that wait in shards."),
    ("output_queue_bytes", "queues", "output_bytes", "Event bytes that wait for the output."),
    ("output_queue_max_bytes", "queues", "output_bytes_max", "Bound of the output's queue."),
    ("content_bytes", "budgets", "content_bytes", "Retained content of all shards."),
    ("content_budget_bytes", "budgets", "content_bytes_max", "Bound of the retained content."),
    ("flows", "budgets", "flows", "Rows in use in the shards' flow tables."),
    ("flows_max", "budgets", "flows_max", "Rows of the shards' flow tables."),
    ("inventory_streams", "budgets", "streams", "Streams in the inventory."),
    ("inventory_max_streams", "budgets", "streams_max", "Bound of the inventory."),
    ("delta_log_bytes", "budgets", "delta_bytes", "Size of the delta log."),
)


class Metrics(Collector):
    """Holds the newest report; `registry` serves it."""

    def __init__(self) -> None:
        self.registry: CollectorRegistry = new_registry("coordinator")
        self._report: Mapping[str, Any] = {}
        self._requests: Mapping[str, int] = {}
        self._refusals: Mapping[str, int] = {}
        self.registry.register(self)

    def update(
        self, report: Mapping[str, Any], answered: Mapping[str, int], refused: Mapping[str, int]
    ) -> None:
        """From now on serve these: health's report, requests by operation, refusals by code."""
        self._report, self._requests, self._refusals = report, dict(answered), dict(refused)

    def collect(self) -> Iterable[Metric]:
        """Called by the server for each scrape."""
        report = self._report
        if not report:
            return
        for name, section, key, text in COUNTERS:
            yield CounterMetricFamily(f"{PREFIX}_{name}", text, value=report[section][key])
        for name, section, key, text in GAUGES:
            yield GaugeMetricFamily(f"{PREFIX}_{name}", text, value=report[section][key])
        yield by_label("drops", "What was not analysed or kept.", "reason", report["drops"])
        yield by_label("requests", "Requests answered.", "op", self._requests)
        yield by_label("refusals", "Requests refused.", "code", self._refusals)
        yield CounterMetricFamily(
            f"{PREFIX}_shard_restarts",
            "Shards whose place another process took.",
            value=sum(shard["restarts"] for shard in report["shards"]),
        )
        states = [shard["state"] for shard in report["shards"]]
        yield one_of("shards", "Shards in each state.", "state", STATES, states)
        yield one_of("status", "1 for the status.", "status", STATUSES, [report["status"]])
        yield one_of(
            "run_status", "1 for the run's status.", "status", RUN_STATUSES, [report["run_status"]]
        )


def by_label(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    """A counter for each value of one label."""
    family = CounterMetricFamily(f"{PREFIX}_{name}", text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def one_of(name: str, text: str, label: str, values: Iterable[str], found: list[str]) -> Metric:
    """How often each of a closed set of values is found."""
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=[label])
    for value in values:
        family.add_metric([value], found.count(value))
    return family
