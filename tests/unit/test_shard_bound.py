"""Kernels that are bound to columns: the same results, and no call with anything else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import config

from services.shard.bound import bound
from services.shard.kernels import state as s
from services.shard.kernels.lifetime import sweep
from services.shard.kernels.parsing import collect_messages
from services.shard.kernels.track import track
from services.shard.tables import Tables
from tests.shard_harness import small

compiled = pytest.mark.skipif(
    bool(config.DISABLE_JIT),  # type: ignore[attr-defined]
    reason="kernels are not compiled here, so nothing can be of a wrong type",
)


@pytest.fixture
def tables() -> Tables:
    return Tables(small(), 1)


def test_a_bound_kernel_works_on_its_columns(tables: Tables) -> None:
    tables.state[s.TOLD] = 7
    assert bound(collect_messages, tables.columns)() == 0
    assert int(tables.state[s.TOLD]) == 0


def test_scalars_are_given_at_the_call(tables: Tables) -> None:
    bound(sweep, tables.columns)(4096, 10**18)
    assert int(tables.state[s.SWEEP_HAND]) == 0  # there is no row


def test_plain_python_is_bound_as_well(tables: Tables) -> None:
    assert bound(len, tables.columns)() == len(tables.columns)


@compiled
def test_other_columns_are_refused(tables: Tables) -> None:
    others = tables.columns._replace(dirty=np.zeros(4, np.float64))
    with pytest.raises(TypeError, match="these are not its columns"):
        bound(collect_messages, others)


@compiled
def test_a_kernel_of_more_columns_is_refused(tables: Tables) -> None:
    kernel: Callable[..., Any] = track
    with pytest.raises(TypeError, match="takes more columns"):
        bound(kernel, tables.columns)


@compiled
def test_a_scalar_that_is_none_is_a_fault(tables: Tables) -> None:
    with pytest.raises((TypeError, ValueError)):
        bound(sweep, tables.columns)(None, 0)
