"""Compiled loops over columns. Everything that numba touches lives in a package named `kernels`."""

from collections.abc import Callable
from typing import Any, TypeVar, cast, get_args, get_type_hints

import numpy as np

from shared import kernel_cache

kernel_cache.prepare()  # numba reads where to keep compiled code when it is imported

from numba import config, from_dtype, njit, types  # noqa: E402

from shared.kernels.pieces import PieceCompiler, let_go  # noqa: E402
from shared.kernels.uncompiled import uncompiled  # noqa: E402

Function = TypeVar("Function", bound=Callable[..., Any])
# Without numba's runtime a kernel cannot allocate, and arrays and rows are not reference counted:
# with it each row access costs two atomic operations. decode 52 -> 17 ns, track 248 -> 59 ns.
OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False}
# A piece is never called from Python. Without wrappers for that the kernel of DNS compiles in 13.0
# s of CPU rather than 24.7.
PIECE: dict[str, Any] = OPTIONS | {
    "cache": False,
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
SCALARS = {
    int: types.int64,
    float: types.float64,
    bool: types.boolean,
    type(None): types.void,
}


def kernel(function: Function) -> Function:
    """Compile a function of columns and scalars for exactly the types it is annotated with.

    Compiled when imported and cached on disk, so no packet ever waits for the compiler; a call
    with any other dtype or layout is a TypeError. Runs without the GIL.
    """
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return cast(Function, uncompiled(function))
    hints = get_type_hints(function, include_extras=True)
    result = numba_type(hints.pop("return"))
    signature = result(*(numba_type(hint) for hint in hints.values()))
    return cast(Function, let_go(njit([signature], **OPTIONS)(function)))


def inlined(function: Function) -> Function:
    """A piece of a kernel, compiled into whichever kernel calls it, and not kept by itself: that
    took 120 MB which nobody read again.

    Never called from Python, where it would crash the process: there is no code of it alone.
    `.py_func` is the plain function."""
    return cast(Function, njit(pipeline_class=PieceCompiler, **PIECE)(function))


def numba_type(hint: Any) -> Any:
    """The numba type of one annotation of `shared.columns`."""
    if hint in SCALARS:
        return SCALARS[hint]
    if hasattr(hint, "_fields"):  # a NamedTuple of columns
        fields = get_type_hints(hint, include_extras=True)
        columns = [numba_type(fields[name]) for name in hint._fields]
        return types.NamedTuple(columns, hint)  # type: ignore[no-untyped-call]
    array, direction, *row = get_args(hint)
    dtype = row[0] if row else np.dtype(scalar_type(array))
    return types.Array(from_dtype(dtype), 1, "C", readonly=direction == "in")


def scalar_type(array: Any) -> Any:
    """`np.uint8` of `NDArray[np.uint8]`: an alias with that argument from numpy 2.5 on, before it
    an array of a shape and a dtype of that argument."""
    last = get_args(array)[-1]
    return get_args(last)[0] if get_args(last) else last
