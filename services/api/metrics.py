"""The service's Prometheus metrics, and `/metrics`, which are those of the whole run."""

from collections.abc import Iterator
from contextlib import suppress

from fastapi import APIRouter, Request, Response
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from services.api.backend import Backend, Refused, deadline
from services.api.deps import TheBackend
from services.api.feed import Feed
from services.api.problems import Problem
from shared.metrics import new_registry

OTHER = "other"  # the route label of a path that is no route
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 30.0)

router = APIRouter()


class Metrics:
    """What is counted of requests. Labels come from closed sets: route templates, classes."""

    def __init__(self) -> None:
        self.registry = new_registry("api")
        self._requests = Counter(
            "flowmate_api_requests",
            "requests answered, by route template and class of status",
            ("route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "flowmate_api_request_duration_seconds",
            "time to the end of the answer; a long poll's waiting is part of it",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )

        self.sees_coordinator = Gauge(
            "flowmate_api_coordinator_up",
            "1 when the coordinator answered the last scrape; 0 when only the API is in it",
            registry=self.registry,
        )

    def request(self, route: str, status: int, seconds: float) -> None:
        self._requests.labels(route, f"{status // 100}xx").inc()
        self._seconds.labels(route).observe(seconds)

    def watch(self, backend: Backend, feed: Feed) -> None:
        """Show the state of what is behind the routes."""
        self.registry.register(_Timeouts(backend))
        for name, help, function in (
            ("waiting_clients", "clients that wait for deltas", lambda: feed.waiting),
            ("window_deltas", "deltas held for clients", lambda: len(feed.window)),
            ("window_bytes", "bytes of the deltas held", lambda: feed.window.bytes),
            ("latest_delta_cursor", "cursor of the newest delta", lambda: feed.window.latest),
        ):
            gauge = Gauge(f"flowmate_api_{name}", help, registry=self.registry)
            gauge.set_function(function)


class _Timeouts(Collector):
    """Unanswered requests to the services behind, by service."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "flowmate_api_backend_timeouts",
            "requests that a service behind the API did not answer in time",
            labels=("service",),
        )
        coordinator, *shards = self._backend.peers
        family.add_metric(("coordinator",), coordinator.timeouts)
        family.add_metric(("shard",), sum(shard.timeouts for shard in shards))
        yield family


@router.get("/metrics", include_in_schema=False)
async def get_metrics(request: Request, backend: TheBackend) -> Response:
    """Of this API, and of the whole run as the coordinator knows it, who may be the only one to
    reach its other services."""
    metrics: Metrics = request.app.state.metrics
    run = b""
    with suppress(Problem, Refused):
        run = (await backend.coordinator.ask("metrics", {}, deadline())).frames[0]
    metrics.sees_coordinator.set(bool(run))
    text = generate_latest(metrics.registry) + run
    return Response(text, 200, headers={"Content-Type": CONTENT_TYPE_LATEST})
