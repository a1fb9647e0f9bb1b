"""The generated capture."""

import io

from shared import sample


def test_the_sample_is_always_the_same() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    sample.recording().write(first)
    sample.recording().write(second)
    assert first.getvalue() == second.getvalue()
    assert 300_000 < len(first.getvalue()) < 1_000_000
