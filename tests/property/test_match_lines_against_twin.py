import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.coordinator.kernels.match_lines import MATCH_LINE_MAX, format_matches
from services.coordinator.sinks.lines import pack_names
from shared.columns import ENDPOINTS, MATCH, MATCH_BYTES
from tests.reference import match_lines as reference

pytestmark = pytest.mark.property
rows = st.lists(
    st.tuples(
        st.binary(min_size=MATCH.itemsize, max_size=MATCH.itemsize),
        st.binary(min_size=ENDPOINTS.itemsize, max_size=ENDPOINTS.itemsize),
        st.integers(0, 40),
        st.integers(0, 40),
        st.integers(0, 5),
    ),
    max_size=4,
)
octets = st.binary(max_size=60) | st.text(max_size=20).map(
    lambda text: text.encode("utf-8", "replace")
)
names = st.dictionaries(st.integers(0, 5), st.text(max_size=8), max_size=4)


@settings(deadline=None)
@given(rows, octets, names, st.booleans())
def test_agrees_with_the_reference_on_any_bytes(
    raw: list[Any], data: bytes, called: dict[int, str], sane: bool
) -> None:
    matches = np.frombuffer(b"".join(row[0] for row in raw), MATCH).copy()
    ends = np.frombuffer(b"".join(row[1] for row in raw), ENDPOINTS)
    if sane:
        for match, (_, _, off, length, pattern) in zip(matches, raw, strict=True):
            match["off"], match["len"], match["pattern"] = off, length, pattern
    out = np.zeros(matches.size * MATCH_LINE_MAX + 16, np.uint8)
    size = format_matches(matches, ends, np.frombuffer(data, np.uint8), *pack_names(called), out)
    lines = [json.loads(line) for line in out[:size].tobytes().splitlines()]
    plain = {key: value.encode("utf-8", "replace").decode() for key, value in called.items()}
    wanted = reference.format_matches(matches, ends, data, plain).splitlines()
    assert [list(line.items()) for line in lines] == [
        list(json.loads(line).items()) for line in wanted
    ]


def test_the_longest_line_has_room() -> None:
    matches = np.frombuffer(b"\xff" * MATCH.itemsize, MATCH).copy()
    matches["off"], matches["len"], matches["pattern"] = 0, MATCH_BYTES, 7
    matches["ts_ns"] = -(1 << 63)
    ends = np.frombuffer(b"\xff" * ENDPOINTS.itemsize, ENDPOINTS).copy()
    out = np.zeros(2 * MATCH_LINE_MAX, np.uint8)
    data = np.full(MATCH_BYTES, 1, np.uint8)
    size = format_matches(matches, ends, data, *pack_names({7: "\x01" * 1000}), out)
    assert size + 32 < MATCH_LINE_MAX
    assert json.loads(out[:size].tobytes())["pattern_name"].startswith("\x01")
