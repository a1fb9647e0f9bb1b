"""The benchmark's sample: what a shard tells of a few packets."""

from bench.twins import Sample, lines, merging
from shared.columns import EVENT_CLOSE
from tests.builders import udp4


def test_a_sample_of_few_packets_has_events() -> None:
    frame = udp4("10.0.0.1", 1000, "10.0.0.2", 53, b"x")
    sample = Sample.from_frames([(at, 1, len(frame), frame) for at in range(1, 4)])
    events = sample.events()
    assert events["kind"].tolist().count(EVENT_CLOSE) == 1
    for pair in (merging, lines):
        assert pair(sample)["kernel_ns"] > 0
