"""The processor's hint that some memory is about to be read, for loops that jump over much of it.

Where rows are read as they come, the processor has one or two in work and waits for each; it goes
on over a hint at once, so that the memory of many is under way while earlier ones are looked at.
"""

# numba has no types for what stands here
# mypy: disable-error-code="no-untyped-call"

from typing import Any

from shared.kernels import IS_PLAIN, Piece

FOR_READING, INTO_ALL_CACHES, DATA = 0, 3, 1  # as LLVM's language reference has it


def nothing(column: Any, at: Any) -> None:
    """What is left of it in plain Python."""


def hint(typing: Any, column: Any, at: Any) -> Any:
    """Have the line fetched in which column[at] begins; `at` is unsigned."""
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.np.arrayobj import make_array

    pointer, int32 = cgutils.voidptr_t, ir.IntType(32)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows = make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.bitcast(builder.gep(rows.data, [arguments[1]]), pointer)
        kind = ir.FunctionType(ir.VoidType(), [pointer, int32, int32, int32])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        builder.call(fetch, [place, int32(FOR_READING), int32(INTO_ALL_CACHES), int32(DATA)])
        return context.get_dummy_value()

    return types.void(column, types.uint64), generate


prefetch: Any = nothing if IS_PLAIN else Piece(hint, writes_code=True)
