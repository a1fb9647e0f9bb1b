"""Compiled loops over columns. All code that is compiled lives in a package named `kernels`.

The compiler is imported only where something is to be compiled: a kernel that is kept on disk is
loaded and called without it (`loading.py`), so services start in a fraction of the time.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

from shared import kernel_cache
from shared.kernels.loading import loaded
from shared.kernels.uncompiled import uncompiled

Function = TypeVar("Function", bound=Callable[..., Any])
IS_PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")  # as numba reads it

kernel_cache.prepare()


def kernel(function: Function) -> Function:
    """Compile a function of columns and scalars for exactly the types it is annotated with.

    Compiled when imported, unless that was done before, so no packet ever waits for the compiler;
    a call with any other dtype or layout is a TypeError. Runs without the GIL.
    """
    return cast(Function, uncompiled(function) if IS_PLAIN else loaded(function))


class Piece:
    """A piece of kernels: no code of it alone, and nothing that Python can call."""

    def __init__(self, function: Callable[..., Any], writes_code: bool = False) -> None:
        """writes_code: the function is one for `numba.extending.intrinsic`."""
        self.py_func, self.writes_code = function, writes_code

    def __call__(self, *arguments: Any) -> Any:
        name = self.py_func.__name__
        raise TypeError(f"{name} is a piece of kernels; .py_func is the plain function")


def inlined(function: Function) -> Function:
    """A piece of a kernel, compiled into whichever kernel calls it. `.py_func` is the plain
    function."""
    return cast(Function, function if IS_PLAIN else Piece(function))
