"""What the endurance run says of growth."""

import subprocess
import sys

import numpy as np
import pytest

from bench.growth import Grown, Growth, slope_of
from tests.waiting import eventually


def test_a_slope_and_its_error_are_those_of_the_line() -> None:
    at = [10.0 * i for i in range(100)]
    noise = np.random.default_rng(1).normal(0, 3, 100)
    slope, error = slope_of(at, list(7 + 2.5 * np.array(at) + noise))
    fitted, covariance = np.polyfit(at, 7 + 2.5 * np.array(at) + noise, 1, cov=True)
    assert slope == pytest.approx(fitted[0])
    assert error == pytest.approx(np.sqrt(covariance[0, 0]))
    assert abs(slope - 2.5) < 4 * error
    assert slope_of([1.0, 2.0], [5.0, 9.0]) == (0.0, float("inf"))


def test_a_row_is_about_the_second_half() -> None:
    """It grew first; since half-way 1,000 bytes a second, and one descriptor."""
    at = [float(i) for i in range(20)]
    sizes = [1_000_000 * min(i, 10) + max(0, i - 10) * 1000 for i in range(20)]
    one = Grown("shard", at, sizes, [5] * 19 + [6], [3] * 20)
    assert one.row() == "| shard | 0.0 | 10.0 | 10.0 | +60.0 ± 0.0 | 5 to 6 | 3 to 3 |"


def test_processes_below_are_seen_with_what_they_have_open() -> None:
    hold = "files = [open('/dev/null') for _ in range(20)]; print(1, flush=True); input()"
    above = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", above], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        growth = Growth(child.pid, 0.01)
        growth.start()
        eventually(lambda: len(growth.all()) == 2)
        found = growth.end()
        child.communicate(b"\n")
    assert len(found) == 2, [each.name for each in found]
    assert min(each.descriptors[-1] for each in found) >= 3
    assert max(each.descriptors[-1] for each in found) >= 20
    assert all(each.rss_bytes[-1] > 1_000_000 and each.threads[-1] >= 1 for each in found)
