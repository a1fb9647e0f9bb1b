"""Kernels as plain Python, with NUMBA_DISABLE_JIT=1: for a debugger, and for tests of the kernels.

Compiled code reads a row's field as an attribute and lets integers wrap; numpy's own rows and
scalars do neither.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np


class Row:
    """One row of a structured array: its fields are attributes, written through."""

    __slots__ = ("_fields",)

    def __init__(self, fields: np.void) -> None:
        object.__setattr__(self, "_fields", fields)

    def __getattr__(self, name: str) -> Any:
        return self._fields[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self._fields[name] = value

    __getitem__, __setitem__ = __getattr__, __setattr__


class Rows(np.ndarray[Any, Any]):
    """A structured array whose rows are `Row`s."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return Row(found) if isinstance(found, np.void) else found

    def __setitem__(self, at: Any, value: Any) -> None:
        super().__setitem__(at, value._fields if isinstance(value, Row) else value)


def uncompiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel as Python runs it, over the same columns."""

    @functools.wraps(function)
    def call(*columns: Any) -> Any:
        with np.errstate(over="ignore"):
            return function(*(rows(column) for column in columns))

    return call


def rows(column: Any) -> Any:
    """A structured array as `Rows`, also within a tuple of columns; anything else as it is."""
    if isinstance(column, tuple):
        return type(column)(*(rows(part) for part in column))
    structured = isinstance(column, np.ndarray) and column.dtype.names is not None
    return column.view(Rows) if structured else column
