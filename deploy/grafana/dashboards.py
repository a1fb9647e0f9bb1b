"""Grafana's dashboards, from one table each: `python deploy/grafana/dashboards.py` writes the JSON.

A panel is a title, the question that it answers, a unit, and what to draw: legends and expressions.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).with_name("dashboards")
SOURCE = {"type": "prometheus", "uid": "flowmate-prometheus"}
COLUMNS = 24
STAT = {"w": 4, "h": 4}
GRAPH = {"w": 8, "h": 8}
# Grafana's names of units
PACKETS, BYTES, SECONDS, SHARE, COUNT = "pps", "bytes", "s", "percentunit", "short"
MILLISECONDS = "ms"
PER_SECOND, BYTES_PER_SECOND = "cps", "Bps"
RATE = "rate({}[$__rate_interval])"
LOST = 'flowmate_coordinator_drops_total{reason=~"dropped_.*|packets_lost"}'
MISSING = "sum(flowmate_shard_gap_bytes_total)"
CARRIED = "sum(flowmate_shard_stream_bytes_total)"


class Panel(NamedTuple):
    """kind: Grafana's. limits: from where on the number is a warning, and bad."""

    title: str
    description: str
    unit: str
    queries: Sequence[tuple[str, str]]  # legend, expression
    kind: str = "timeseries"
    limits: tuple[float, float] | None = None


class Dashboard(NamedTuple):
    uid: str
    title: str
    description: str
    panels: Sequence[Panel]


def stat(
    title: str,
    description: str,
    unit: str,
    query: str,
    limits: tuple[float, float] | None = None,
    legend: str = "",
) -> Panel:
    """One number, or one for each value of a label."""
    return Panel(title, description, unit, [(legend, query)], "stat", limits)


def rate(metric: str, by: str = "") -> str:
    """Per second; summed by a label when one is named."""
    found = RATE.format(metric)
    return f"sum by ({by}) ({found})" if by else found


def quantile(share: float, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    buckets = rate("flowmate_api_request_duration_seconds_bucket", labels)
    return f"histogram_quantile({share}, {buckets})"


CAPTURE = Dashboard(
    "flowmate-capture",
    "Can I trust the capture?",
    "Whether what flowmate shows is all that was on the wire, and how far behind it is.",
    [
        stat("Packets lost", "Lost by the kernel, the interface, a queue, or with a shard that"
             " ended. 0 = everything that was captured was analysed.",
             COUNT, f"sum({LOST})", (1, 1000)),
        stat("Capture heard", "Seconds since capture said anything. It reports 5 times a second;"
             " after the end of a run it may be silent.",
             SECONDS, "flowmate_capture_silent_seconds", (2, 5)),
        stat("Lag", "How old an interface's packets are when they are read: how long the kernel"
             " held them. 0 when only files are read.",
             MILLISECONDS, "flowmate_capture_lag_ms", (1000, 5000)),
        stat("Damaged records", "Records of the inputs that could not be read; health names file,"
             " offset and reason.",
             COUNT, "flowmate_capture_damaged_records", (1, 100)),
        stat("Missing in streams", "Bytes missing in gaps, of all bytes of reassembled streams."
             " More than a few per mille with no packet lost: the tap does not see everything.",
             SHARE, f"{MISSING} / clamp_min({CARRIED} + {MISSING}, 1)", (0.001, 0.01)),
        stat("Sources", "Inputs by what capture does with them.",
             COUNT, "flowmate_capture_sources", legend="{{status}}"),
        Panel("Packets", "What capture read, and what arrived in the shards. A distance that stays"
              " is what the filter and decoding left out.",
              PACKETS, [("read", rate("flowmate_capture_packets_total")),
                        ("in shards", f"sum({rate('flowmate_shard_packets_total')})")]),
        Panel("Traffic", "Bytes on the wire of the packets that capture read.",
              BYTES_PER_SECOND, [("on the wire", rate("flowmate_capture_bytes_total"))]),
        Panel("Losses", "Packets lost before analysis, by reason. Anything but zero: more shards,"
              " a larger buffer, or a narrower filter.",
              PACKETS, [("{{reason}}", rate(LOST))]),
        Panel("Queue to the shards", "Packets that wait for shards: now, most so far, and how many"
              " may wait. A file fills it, a live source should not.",
              COUNT, [("now", "flowmate_capture_queue_rows"),
                      ("most so far", "flowmate_capture_queue_rows_peak"),
                      ("bound", "flowmate_capture_queue_rows_max")]),
        Panel("Back-pressure", "Share of the time in which capture waited for a shard. A live"
              " source's packets wait in the kernel's buffer meanwhile.",
              SHARE, [("waiting", f"{rate('flowmate_capture_backpressure_ms_total')} / 1000")]),
        Panel("Left to read", "Bytes of files that are not read yet.",
              BYTES, [("unread", "flowmate_capture_unread_bytes")]),
        Panel("Decoding", "What became of each packet. `truncated` in numbers: a snap length that"
              " is too small; `unsupported_link`: the wrong kind of interface.",
              PACKETS, [("{{status}}", rate("flowmate_capture_decode_total"))]),
        Panel("Fragments", "IP fragments and what became of them.",
              PER_SECOND, [("{{fate}}", rate("flowmate_capture_fragments_total"))]),
        Panel("Gaps", "Holes in streams, and what else tells of packets that were not seen:"
              " conversations that were joined in their middle.",
              PER_SECOND, [("gaps", f"sum({rate('flowmate_shard_gaps_total')})"),
                           ("midstream", f"sum({rate('flowmate_shard_midstream_total')})")]),
        Panel("TCP as it came", "Retransmissions and disorder of the network, and overlaps whose"
              " bytes differ (somebody may be hiding something).",
              PER_SECOND, [
                  (word, f"sum({rate(f'flowmate_shard_{name}_total')})")
                  for word, name in (("retransmissions", "retransmissions"),
                                     ("held out of order", "out_of_order_held"),
                                     ("conflicts", "conflicts"))]),
        Panel("All that was not analysed or kept", "Every reason there is, since the start.",
              COUNT, [("{{reason}}", "flowmate_coordinator_drops_total")], "bargauge"),
    ],
)  # fmt: skip

ENGINE = Dashboard(
    "flowmate-engine",
    "Engine",
    "How busy the shards and the coordinator are, and how full everything that has a bound.",
    [
        stat("Status", "ok, degraded (health says why) or failed.",
             COUNT, "flowmate_coordinator_status == 1", legend="{{status}}"),
        stat("Shards", "By state. `lost`: not heard any more.",
             COUNT, "flowmate_coordinator_shards", legend="{{state}}"),
        stat("Shard restarts", "Shards whose place another process took; each costs the content"
             " that it retained.",
             COUNT, "flowmate_coordinator_shard_restarts_total", (1, 3)),
        stat("Content budget", "How full the memory for content is. At 100 % the oldest goes.",
             SHARE, "flowmate_coordinator_content_bytes /"
             " clamp_min(flowmate_coordinator_content_budget_bytes, 1)", (0.9, 0.99)),
        stat("Flow tables", "Rows in use. At 100 % streams are closed before their time.",
             SHARE, "flowmate_coordinator_flows / clamp_min(flowmate_coordinator_flows_max, 1)",
             (0.9, 0.99)),
        stat("Inventory", "Rows in use. At 100 % the oldest streams go.",
             SHARE, "flowmate_coordinator_inventory_streams /"
             " clamp_min(flowmate_coordinator_inventory_max_streams, 1)", (0.9, 0.99)),
        Panel("Packets by shard", "A flow always goes to the same shard.",
              PACKETS, [("shard {{shard}}", rate("flowmate_shard_packets_total"))]),
        Panel("Skew", "The busiest shard against the mean of all: 1 = even. Far above it: one flow"
              " is most of the traffic, and more shards will not help.",
              COUNT, [("busiest / mean",
                       f"max({rate('flowmate_shard_packets_total')}) /"
                       f" clamp_min(avg({rate('flowmate_shard_packets_total')}), 1)")]),
        Panel("Streams", "Streams that came into the inventory.",
              PER_SECOND, [("streams", rate("flowmate_coordinator_streams_total")),
                           ("events", rate("flowmate_coordinator_events_total"))]),
        Panel("Flows", "Rows of each shard's flow table, and how many it has.",
              COUNT, [("shard {{shard}}", "flowmate_shard_flow_rows"),
                      ("bound of {{shard}}", "flowmate_shard_flow_rows_max")]),
        Panel("Content", "Retained content, that of favourites, and the bound.",
              BYTES, [("retained", "sum(flowmate_shard_content_used_bytes)"),
                      ("favourites", "sum(flowmate_shard_content_favorite_bytes)"),
                      ("bound", "sum(flowmate_shard_content_budget_bytes)")]),
        Panel("Out of order", "Segments that wait for what is missing before them.",
              COUNT, [("shard {{shard}}", "flowmate_shard_held_segments")]),
        Panel("Messages", "What parsers found: requests, responses, frames.",
              PER_SECOND, [("shard {{shard}}", rate("flowmate_shard_messages_total"))]),
        Panel("Parsers' trouble", "Streams that are not what they seemed, holes that parsers met,"
              " and what their bounds left out.",
              PER_SECOND, [
                  (word, f"sum({rate(f'flowmate_shard_{name}_total')})")
                  for word, name in (("errors", "parser_errors"),
                                     ("gaps", "parser_gaps"),
                                     ("no room for a stream", "parser_states_full"),
                                     ("over the limit", "messages_over_limit"),
                                     ("errors of analyzers", "analyzer_errors"))]),
        Panel("Matches", "Of the patterns there are; what a bound left out; streams in which a"
              " pattern took too long.",
              COUNT, [("matches", "flowmate_coordinator_pattern_matches"),
                      ("over the limit", "flowmate_coordinator_pattern_matches_over_limit"),
                      ("timeouts", "flowmate_coordinator_pattern_timeouts"),
                      ("scans put off", "flowmate_coordinator_pattern_skipped_scans")]),
        Panel("Patterns still to look", "Retained content that new patterns have not seen yet.",
              BYTES, [("to do", "flowmate_coordinator_pattern_todo_bytes")]),
        Panel("Output queue", "Event lines that wait to be written, and the bound. Full: shards"
              " wait, and then capture.",
              BYTES, [("waiting", "flowmate_coordinator_output_queue_bytes"),
                      ("bound", "flowmate_coordinator_output_queue_max_bytes")]),
        Panel("Memory", "RAM of each process. The sum of the bounds is in docs/operations.md.",
              BYTES, [("capture", "flowmate_capture_process_resident_bytes"),
                      ("shard {{shard}}", "flowmate_shard_process_resident_bytes"),
                      ("coordinator", "flowmate_coordinator_process_resident_bytes"),
                      ("api", "flowmate_api_process_resident_bytes")]),
        Panel("Evictions", "What went because a table was full.",
              PER_SECOND, [("flows", f"sum({rate('flowmate_shard_flows_evicted_total')})"),
                           ("streams of the inventory", rate(
                               'flowmate_coordinator_drops_total{reason="streams_evicted"}'))]),
    ],
)  # fmt: skip

API = Dashboard(
    "flowmate-api",
    "API",
    "What people who look wait for.",
    [
        stat("Coordinator", "1 when it answered the last scrape.",
             COUNT, "flowmate_api_coordinator_up"),
        stat("Clients", "Browsers and scripts that wait for changes.",
             COUNT, "flowmate_api_waiting_clients", (500, 1000)),
        stat("Requests", "Answered a second.",
             PER_SECOND, f"sum({rate('flowmate_api_requests_total')})"),
        stat("Errors", "Share of the answers that were 5xx.",
             SHARE, "sum(" + rate('flowmate_api_requests_total{status="5xx"}') + " or vector(0)) /"
             f" clamp_min(sum({rate('flowmate_api_requests_total')}), 1e-9)", (0.001, 0.05)),
        stat("Changes behind", "Changes that the coordinator has told and this API has not read:"
             " none, but for a moment.",
             COUNT, "clamp_min(flowmate_coordinator_latest_delta_cursor"
             " - on (instance) flowmate_api_latest_delta_cursor, 0)", (100, 10000)),
        stat("Memory", "RAM of the API.",
             BYTES, "flowmate_api_process_resident_bytes", (4e8, 5e8)),
        Panel("Requests by route", "Templates of the routes; `other` is what no route is.",
              PER_SECOND, [("{{route}}", rate("flowmate_api_requests_total", "route"))]),
        Panel("Answers by status", "Classes of status.",
              PER_SECOND, [("{{status}}", rate("flowmate_api_requests_total", "status"))]),
        Panel("Time to answer", "All routes; waiting for changes, which is asked for, is part of"
              " it.",
              SECONDS, [(f"{share:.0%}", quantile(share)) for share in (0.5, 0.95, 0.99)]),
        Panel("Time to answer by route", "What 95 % of the requests stay below.",
              SECONDS, [("{{route}}", quantile(0.95, "route"))]),
        Panel("Services that did not answer", "Requests to coordinator and shards that ended in a"
              " timeout: each was a 503 to somebody.",
              PER_SECOND, [("{{service}}", rate("flowmate_api_backend_timeouts_total"))]),
        Panel("What the coordinator is asked", "By operation.",
              PER_SECOND, [("{{op}}", rate("flowmate_coordinator_requests_total"))]),
        Panel("Changes held for clients", "A client that is further behind reads everything anew.",
              COUNT, [("in the API", "flowmate_api_window_deltas")]),
        Panel("Memory of changes", "In the API and in the coordinator's log.",
              BYTES, [("API", "flowmate_api_window_bytes"),
                      ("coordinator", "flowmate_coordinator_delta_log_bytes")]),
    ],
)  # fmt: skip

DASHBOARDS = {"capture": CAPTURE, "engine": ENGINE, "api": API}


def laid_out(panels: Sequence[Panel]) -> Iterator[tuple[Panel, dict[str, int]]]:
    """Each panel with its place, from left to right, row by row."""
    x = y = height = 0
    for panel in panels:
        size = STAT if panel.kind == "stat" else GRAPH
        if panel.kind == "bargauge":
            size = {"w": COLUMNS, "h": 10}
        if x + size["w"] > COLUMNS or (x and size["h"] != height):
            x, y = 0, y + height
        yield panel, {"x": x, "y": y, **size}
        x, height = x + size["w"], size["h"]


def steps(limits: tuple[float, float] | None) -> list[dict[str, Any]]:
    """Green, from the first limit on yellow, from the second red."""
    found: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if limits:
        found += [{"color": "yellow", "value": limits[0]}, {"color": "red", "value": limits[1]}]
    return found


def options(panel: Panel) -> dict[str, Any]:
    """What is Grafana's own of each kind."""
    newest = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if panel.kind == "stat":
        text = "value_and_name" if panel.queries[0][0] else "value"
        return {"reduceOptions": newest, "textMode": text, "colorMode": "value"}
    if panel.kind == "bargauge":
        return {"reduceOptions": newest, "orientation": "horizontal", "displayMode": "basic"}
    return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}


def rendered(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    """One panel, as Grafana reads it."""
    graph = panel.kind == "timeseries"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "thresholds": {"mode": "absolute", "steps": steps(panel.limits)},
                "custom": {"fillOpacity": 8, "showPoints": "never"} if graph else {},
            },
            "overrides": [],
        },
        "options": options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + i),
                "datasource": SOURCE,
                "expr": query,
                "legendFormat": legend or "__auto",
                "instant": panel.kind != "timeseries",
                "range": graph,
            }
            for i, (legend, query) in enumerate(panel.queries)
        ],
    }


def document(dashboard: Dashboard) -> str:
    """The JSON of one dashboard."""
    panels = [
        rendered(number, panel, place)
        for number, (panel, place) in enumerate(laid_out(dashboard.panels), 1)
    ]
    body = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["flowmate"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "timezone": "browser",
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "templating": {"list": []},
        "annotations": {"list": []},
        "links": [
            {"type": "dashboards", "tags": ["flowmate"], "title": "", "asDropdown": False,
             "includeVars": False, "keepTime": True, "icon": "external link", "tooltip": "",
             "targetBlank": False, "url": ""}
        ],
        "panels": panels,
    }  # fmt: skip
    return json.dumps(body, indent=1) + "\n"


def main() -> None:
    for name, dashboard in DASHBOARDS.items():
        (FOLDER / f"{name}.json").write_text(document(dashboard))


if __name__ == "__main__":
    main()
