"""The whole run as Prometheus metrics: the coordinator's numbers, capture's and those of shards.

They are what health said last. A server has a thread of its own, so it reads what nobody changes
any more. Capture and shards may have no network: this is how their counters are seen.
"""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.coordinator.seen import Seen
from shared.metrics import new_registry, of_stats

PREFIX = "flowmate_coordinator"
STATES = ("starting", "ready", "lost", "ended")
STATUSES = ("ok", "degraded", "failed")
RUN_STATUSES = ("waiting", "running", "completed", "failed")
SOURCE_STATUSES = ("waiting", "reading", "done", "failed")
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
OF_PATTERNS = (
    ("patterns", "active", "Patterns that are looked for."),
    ("pattern_matches", "matches", "Matches of the patterns there are."),
    ("pattern_matches_over_limit", "over_limit", "Matches that a bound left out."),
    ("pattern_timeouts", "timeouts", "Streams in which a pattern took too long and was stopped."),
    ("pattern_skipped_scans", "skipped", "Scans put off because their pattern took its share."),
    ("pattern_unseen_bytes", "unseen_bytes", "Content that made room while its pattern rested."),
    ("pattern_todo_bytes", "todo_bytes", "Retained content that new patterns have not seen yet."),
)


class Metrics(Collector):
    """seen: what was seen last. `registry` serves it."""

    def __init__(self, seen: Callable[[], Seen | None]) -> None:
        self.registry: CollectorRegistry = new_registry("coordinator")
        self._seen = seen
        self.registry.register(self)

    def text(self) -> bytes:
        """The whole run's, in Prometheus' text format."""
        return generate_latest(self.registry)

    def collect(self) -> Iterable[Metric]:
        """Called by the server for each scrape."""
        seen = self._seen()
        if seen is None:
            return
        yield from of_coordinator(seen)
        yield from of_capture(seen)
        shards = seen.report["shards"]
        rows = [((str(shard["index"]),), shard["stats"]) for shard in shards]
        yield from of_stats("shard", rows, ("shard",))


def of_coordinator(seen: Seen) -> Iterable[Metric]:
    """What the coordinator knows itself."""
    report = seen.report
    for name, section, key, text in COUNTERS:
        yield CounterMetricFamily(f"{PREFIX}_{name}", text, value=report[section][key])
    for name, section, key, text in GAUGES:
        yield GaugeMetricFamily(f"{PREFIX}_{name}", text, value=report[section][key])
    for name, key, text in OF_PATTERNS:
        yield GaugeMetricFamily(f"{PREFIX}_{name}", text, value=seen.patterns[key])
    yield GaugeMetricFamily(
        f"{PREFIX}_latest_delta_cursor", "Cursor of the newest delta.", report["latest_cursor"]
    )
    yield by_label("drops", "What was not analysed or kept.", "reason", report["drops"])
    yield by_label("requests", "Requests answered.", "op", seen.answered)
    yield by_label("refusals", "Requests refused.", "code", seen.refused)
    yield CounterMetricFamily(
        f"{PREFIX}_refused_peers",
        "Connections over TCP that were refused for want of the right key.",
        value=seen.refused_peers,
    )
    yield CounterMetricFamily(
        f"{PREFIX}_shard_restarts",
        "Shards whose place another process took.",
        value=sum(shard["restarts"] for shard in report["shards"]),
    )
    states = [shard["state"] for shard in report["shards"]]
    yield one_of(f"{PREFIX}_shards", "Shards in each state.", "state", STATES, states)
    yield one_of(f"{PREFIX}_status", "1 for the status.", "status", STATUSES, [report["status"]])
    run = [report["run_status"]]
    yield one_of(f"{PREFIX}_run_status", "1 for the run's.", "status", RUN_STATUSES, run)


def of_capture(seen: Seen) -> Iterable[Metric]:
    """What capture said last, and how long ago."""
    prefix, sources = "flowmate_capture", seen.report["sources"]
    for name, value, text in (
        ("silent_seconds", seen.capture_silent_s, "Time since capture was heard last."),
        ("unread_bytes", seen.unread_bytes, "What is left of inputs whose size is known."),
        (
            "damaged_records",
            sum(source["damaged"] for source in sources),
            "Records of the inputs that could not be read.",
        ),
    ):
        yield GaugeMetricFamily(f"{prefix}_{name}", text, value=value)
    yield CounterMetricFamily(
        f"{prefix}_restarts", "Captures that came after another.", value=seen.capture_restarts
    )
    found = [source["status"] for source in sources]
    yield one_of(f"{prefix}_sources", "Sources by status.", "status", SOURCE_STATUSES, found)
    yield from of_stats("capture", [((), seen.capture)])


def by_label(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    """A counter for each value of one label."""
    family = CounterMetricFamily(f"{PREFIX}_{name}", text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def one_of(name: str, text: str, label: str, values: Iterable[str], found: list[str]) -> Metric:
    """How often each of a closed set of values is found."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for value in values:
        family.add_metric([value], found.count(value))
    return family
