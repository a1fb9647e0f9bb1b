"""Kernels into object files, by numba."""

# numba has no types for some of what stands here
# mypy: disable-error-code="no-untyped-call,untyped-decorator"

from collections.abc import Callable
from functools import cache
from typing import Any

from numba import from_dtype, njit, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.extending import intrinsic, typeof_impl

from shared.kernels import Piece
from shared.kernels.entry import Entry
from shared.kernels.pieces import PieceCompiler
from shared.kernels.signature import Column, Columns, Kind, signature_of

# Without numba's runtime a kernel cannot allocate, and arrays and rows are not reference counted:
# with it each row access costs two atomic operations. decode 52 -> 17 ns, track 248 -> 59 ns.
OPTIONS: dict[str, Any] = {
    "_nrt": False,
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": PieceCompiler,
}
SCALARS = {
    int: types.int64,
    float: types.float64,
    bool: types.boolean,
    type(None): types.void,
}


@global_compiler_lock
def compiled(function: Callable[..., Any], name: str) -> bytes:
    """An object file with the kernel's entry, which has that name. The kernel itself is a piece of
    it: inlined, like what the kernel calls."""
    signature = signature_of(function)
    parameters = [numba_type(kind) for kind in signature.parameters.values()]
    typed = numba_type(signature.result)(*parameters)
    piece: Any
    (piece,) = njit([typed], **OPTIONS)(function).overloads.values()
    context = piece.target_context
    library = context.codegen().create_library(name)
    library.enable_object_caching()
    library.add_ir_module(Entry(context, name, piece.fndesc, signature).write())
    library.add_linking_library(piece.library)
    library.finalize()
    library.get_pointer_to_function(name)  # has it made
    return bytes(library._get_compiled_object())  # noqa: SLF001


@typeof_impl.register(Piece)
def type_of_piece(piece: Piece, context: Any) -> Any:
    code, typing = compilable(piece), cpu_target.typing_context
    typing.refresh()  # it hears of an intrinsic only so
    return typing.resolve_value_type(code)


@cache
def compilable(piece: Piece) -> Any:
    """A piece as numba wants it."""
    return (intrinsic if piece.writes_code else njit(**OPTIONS))(piece.py_func)


def numba_type(kind: Kind) -> Any:
    if isinstance(kind, Columns):
        return types.NamedTuple([numba_type(part) for part in kind.parts], kind.kind)
    if isinstance(kind, Column):
        return types.Array(from_dtype(kind.dtype), 1, "C", readonly=not kind.writable)
    return SCALARS[kind]
