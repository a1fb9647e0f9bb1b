"""The processor's hint that some memory is about to be read, for loops that jump over much of it.

Where rows are read as they come, the processor has one or two in work and waits for each; it goes
on over a hint at once, so that the memory of many is under way while earlier ones are looked at.
"""

# numba has no types for what stands here
# mypy: disable-error-code="no-untyped-call,untyped-decorator"

from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

FOR_READING, INTO_ALL_CACHES, DATA = 0, 3, 1  # as LLVM's language reference has it
INT32 = ir.IntType(32)


def nothing(octets: Any, at: Any) -> None:
    """What is left of it in plain Python."""


@intrinsic
def hint(typing: Any, octets: Any, at: Any) -> Any:
    """Have the line of octets[at], a column of bytes, fetched; `at` is unsigned."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        column = make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.bitcast(builder.gep(column.data, [arguments[1]]), cgutils.voidptr_t)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, INT32, INT32, INT32])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [cgutils.voidptr_t], kind)
        builder.call(fetch, [place, INT32(FOR_READING), INT32(INTO_ALL_CACHES), INT32(DATA)])
        return context.get_dummy_value()

    return types.void(octets, types.uint64), generate


prefetch: Any = nothing if config.DISABLE_JIT else hint  # type: ignore[attr-defined]
