"""What a kernel takes and gives, read from its annotations (`shared/columns.py`)."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, get_args, get_type_hints

import numpy as np

SCALARS = (int, float, bool)


class Column(NamedTuple):
    """One C-contiguous array of one dimension."""

    dtype: np.dtype[Any]
    writable: bool


class Columns(NamedTuple):
    """A NamedTuple of columns."""

    kind: type
    parts: tuple["Column", ...]


Kind = Column | Columns | type  # one of SCALARS; NoneType as a result


class Signature(NamedTuple):
    parameters: dict[str, Kind]
    result: type


def signature_of(function: Callable[..., Any]) -> Signature:
    hints = get_type_hints(function, include_extras=True)
    result = hints.pop("return")
    return Signature({name: kind_of(hint) for name, hint in hints.items()}, result)


def kind_of(hint: Any) -> Kind:
    if hint in SCALARS:
        return hint  # type: ignore[no-any-return]
    return columns_of(hint) if hasattr(hint, "_fields") else column_of(hint)


@functools.cache
def columns_of(kind: Any) -> Columns:
    fields = get_type_hints(kind, include_extras=True)
    return Columns(kind, tuple(column_of(fields[name]) for name in kind._fields))


def column_of(hint: Any) -> Column:
    array, direction, *row = get_args(hint)
    return Column(row[0] if row else np.dtype(scalar_type(array)), direction != "in")


def scalar_type(array: Any) -> Any:
    """`np.uint8` of `NDArray[np.uint8]`: an alias with that argument from numpy 2.5 on, before it
    an array of a shape and a dtype of that argument."""
    last = get_args(array)[-1]
    return get_args(last)[0] if get_args(last) else last


def objects_of(signature: Signature) -> tuple[Any, ...]:
    """What a call's arguments are compared with: for each column its dtype, for each tuple of
    columns its type and then theirs, in the order of the parameters."""
    result: list[Any] = []
    for kind in signature.parameters.values():
        if isinstance(kind, Columns):
            result += [kind.kind, *(part.dtype for part in kind.parts)]
        elif isinstance(kind, Column):
            result.append(kind.dtype)
    return tuple(result)
