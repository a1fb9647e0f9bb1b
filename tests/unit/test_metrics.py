"""Counters of the services as Prometheus metrics."""

from prometheus_client import generate_latest

from shared.metrics import Stats, of_stats


def test_a_service_serves_what_it_tells_the_coordinator() -> None:
    told = {"packets": 3, "decode_parsed": 2, "decode_non_ip": 1, "queue_rows": 5}
    lines = generate_latest(Stats("capture", lambda: told).registry).decode().splitlines()
    assert "flowmate_capture_packets_total 3.0" in lines
    assert 'flowmate_capture_decode_total{status="parsed"} 2.0' in lines
    assert 'flowmate_capture_decode_total{status="non_ip"} 1.0' in lines
    assert "# TYPE flowmate_capture_queue_rows gauge" in lines


def test_processes_of_one_kind_share_a_family() -> None:
    rows = [(("0",), {"packets": 1, "flow_rows": 7}), (("1",), {"packets": 2})]
    packets, flows = of_stats("shard", rows, ("shard",))
    assert [(s.labels, s.value) for s in packets.samples] == [
        ({"shard": "0"}, 1),
        ({"shard": "1"}, 2),
    ]
    assert [(s.labels, s.value) for s in flows.samples] == [({"shard": "0"}, 7)]
    assert (packets.type, flows.type) == ("counter", "gauge")
