"""Pairs of stream and pattern against a dict: any counts, slots that go, patterns that go."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.coordinator import matches as store
from services.coordinator.kernels.inventory import CHANGED
from services.coordinator.matches import Matches
from shared.columns import PAIR
from tests.reference import matches as reference

pytestmark = pytest.mark.property
SLOTS, PATTERNS = 6, (1, 2, 3, 4096, 70_000)
slot_numbers = st.integers(0, SLOTS - 1)
patterns = st.sampled_from(PATTERNS)
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"),
            st.lists(
                st.tuples(
                    st.one_of(slot_numbers, st.just(-1)),
                    patterns,
                    st.sampled_from((0, 0, 1, 2, (1 << 32) - 1)),
                ),
                max_size=12,
            ),
        ),
        st.tuples(st.just("slots"), st.lists(slot_numbers, max_size=3)),
        st.tuples(st.just("pattern"), patterns),
    ),
    max_size=12,
)


@settings(max_examples=3 * settings().max_examples)
@given(st.integers(1, 20), steps)
def test_agrees_with_the_reference(capacity: int, told: list[Any]) -> None:
    marks = np.zeros(SLOTS, np.uint8)
    mine, twin = Matches(SLOTS, capacity, marks), reference.Matches(capacity)
    for step, value in told:
        marks[:] = 0
        before = [twin.of(slot) for slot in range(SLOTS)]
        if step == "put":
            rows = np.zeros(len(value), PAIR)
            for row, (_, pattern, count) in zip(rows, value, strict=True):
                row["pattern"], row["count"] = pattern, count
            changed = mine.put(rows, np.array([slot for slot, _, _ in value], np.int64))
            assert changed.tolist() == [twin.put(*each) for each in value]
        elif step == "slots":
            mine.forget_slots(np.array(value, np.uint32))
            twin.forget_slots(value)
        else:
            held = sum(value in twin.of(slot) for slot in range(SLOTS))
            assert mine.forget_pattern(value) == held
            twin.forget_pattern(value)
        compare(mine, twin)
        differs = [twin.of(slot) != before[slot] for slot in range(SLOTS)]
        told_of = (marks & CHANGED != 0).tolist()
        assert step == "slots" or all(
            told for told, other in zip(told_of, differs, strict=True) if other
        )


def compare(mine: Matches, twin: reference.Matches) -> None:
    assert len(mine) == len(twin.counts)
    assert mine.losses() == {
        "match_counts_over_limit": twin.dropped,
        "match_counts_after_eviction": twin.late,
    }
    slots = np.arange(SLOTS)[::-1].copy()
    listed = mine.of(slots)
    for at, slot in enumerate(slots.tolist()):
        counts = twin.of(slot)
        found = listed.get(at)
        assert (found is None) == (not counts)
        if found is not None:
            assert found == (sum(counts.values()), sorted(counts))
        assert bool(mine.head[slot]) == bool(counts)
    for pattern in PATTERNS:
        holders = [pattern in twin.of(slot) for slot in range(SLOTS)]
        assert mine.holders([pattern], SLOTS).tolist() == holders
        assert mine.holds(slots, pattern).tolist() == holders[::-1]
    either = [bool({1, 3} & twin.of(slot).keys()) for slot in range(SLOTS)]
    assert mine.holders([1, 3], SLOTS).tolist() == either


def test_a_row_names_so_many_patterns_and_counts_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PATTERNS_A_ROW", 3)
    mine = Matches(2, 10, np.zeros(2, np.uint8))
    rows = np.zeros(5, PAIR)
    rows["pattern"], rows["count"] = [5, 4, 3, 2, 1], 2
    mine.put(rows, np.ones(5, np.int64))
    assert mine.of(np.array([0, 1])) == {1: (10, [1, 2, 3])}
