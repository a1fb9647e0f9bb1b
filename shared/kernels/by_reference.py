"""A tuple of columns as kernels hand it on to their pieces: by its address.

Handed on by value, each call would have seven arguments a column: the kernel of DNS took 13.0 s of
CPU to compile rather than 9.3, and its symbols were named after every field of every row (30 MB of
compiled kernels rather than 8.5). The values are read through the address, which is that of a
variable of the kernel's caller; nothing is written there.
"""

# numba has types for some of what stands here
# mypy: disable-error-code="no-untyped-call,untyped-decorator,override"

import hashlib
from typing import Any

from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    infer_getattr,
    lower_getattr_generic,
    models,
    register_model,
    typeof_impl,
    unbox,
)


class Columns(types.Type):
    """fields: the tuple's numba type."""

    def __init__(self, fields: Any) -> None:
        self.fields = fields
        told = hashlib.sha256(fields.name.encode()).hexdigest()[:16]
        super().__init__(f"{fields.instance_class.__name__}-{told}")


@register_model(Columns)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, columns: Columns) -> None:
        place = manager.lookup(columns.fields).get_value_type().as_pointer()
        super().__init__(manager, columns, place)


@infer_getattr
class _Attributes(AttributeTemplate):
    key = Columns

    def generic_resolve(self, columns: Columns, name: str) -> Any:
        return columns.fields.types[columns.fields.fields.index(name)]


@lower_getattr_generic(Columns)
def _read(context: Any, builder: Any, columns: Columns, place: Any, name: str) -> Any:
    at = columns.fields.fields.index(name)
    return builder.load(cgutils.gep_inbounds(builder, place, 0, at))


@unbox(Columns)
def _unbox(columns: Columns, value: Any, c: Any) -> Any:
    native = c.unbox(columns.fields, value)
    place = cgutils.alloca_once_value(c.builder, native.value)
    return NativeValue(place, is_error=native.is_error, cleanup=native.cleanup)


def columns_type(kind: Any, columns: list[Any]) -> Columns:
    """Of a NamedTuple class whose fields have these numba types."""
    result = Columns(types.NamedTuple(columns, kind))
    typeof_impl.register(kind)(lambda _value, _context: result)
    return result
