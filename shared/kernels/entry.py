"""The function through which Python calls a kernel, in LLVM's language.

It takes the arguments of a call apart itself, and compares every array with what the kernel was
compiled for: 35 columns in less than a microsecond. Layouts: CPython's object.h and tupleobject.h,
numpy's ndarraytypes.h (`PyArrayObject_fields`), which are part of their binary interfaces.
"""

# numba and llvmlite have no types for what stands here
# mypy: disable-error-code="no-untyped-call"

from typing import Any

from llvmlite import ir
from numba.core import cgutils
from numba.np.arrayobj import make_array, populate_array

from shared.kernels.loading import FIXED
from shared.kernels.signature import Column, Columns, Kind, Signature

HEAD = object.__basicsize__  # of every object
TYPE_AT = HEAD - 8
TUPLE_AT = tuple.__basicsize__  # where a tuple's items begin
DATA_AT, NDIM_AT, SHAPE_AT, DTYPE_AT, FLAGS_AT = (HEAD + at for at in (0, 8, 16, 40, 48))
CONTIGUOUS, WRITABLE = 0x0001, 0x0400  # NPY_ARRAY_*
EQUAL = 2  # Py_EQ
NDARRAY, TYPE_ERROR, RUNTIME_ERROR, NONE = range(len(FIXED))

INT, LONG, POINTER = ir.IntType(32), ir.IntType(64), cgutils.voidptr_t
BIT, DOUBLE = ir.IntType(1), ir.DoubleType()
NULL = ir.Constant(POINTER, None)


class Entry:
    """Writes one entry: `PyObject *name(PyObject *self, PyObject *const *arguments, Py_ssize_t)`.

    self: FIXED, then what `signature.objects_of` says."""

    def __init__(self, context: Any, name: str, descriptor: Any, signature: Signature) -> None:
        self.context, self.name, self.descriptor = context, name, descriptor
        self.signature = signature
        self.module = context.create_module(f"{name}.entry")
        kind = ir.FunctionType(POINTER, [POINTER, POINTER, LONG])
        function = ir.Function(self.module, kind, name)
        self.own, self.arguments, self.count = function.args
        self.builder = ir.IRBuilder(function.append_basic_block("entry"))
        self.check = self._column_check()
        self._failed = function.append_basic_block("failed")
        with self.builder.goto_block(self._failed):
            self._why = self.builder.phi(POINTER)
            self._raise(TYPE_ERROR, self._why)
        self._object = len(FIXED)  # of `self`, which is compared next

    def write(self) -> Any:
        """The module."""
        expected = len(self.signature.parameters)
        self._expect(
            self.builder.icmp_signed("==", self.count, LONG(expected)),
            f"{self.name} takes {expected} arguments",
        )
        values = [
            self._value(self._item(self.arguments, 0, number), name, kind, typed)
            for number, ((name, kind), typed) in enumerate(
                zip(self.signature.parameters.items(), self.descriptor.argtypes, strict=True)
            )
        ]
        state = self._call("PyEval_SaveThread", POINTER)
        status, result = self.context.call_conv.call_function(
            self.builder, self._kernel(), self.descriptor.restype, self.descriptor.argtypes, values
        )
        self._call("PyEval_RestoreThread", ir.VoidType(), state)
        with self.builder.if_then(status.is_error, likely=False):
            text = f"{self.name} failed: an index out of bounds, or a division by zero"
            self._raise(RUNTIME_ERROR, self._text(text))
        self.builder.ret(self._python(result))
        return self.module

    def _kernel(self) -> Any:
        kind = self.context.call_conv.get_function_type(
            self.descriptor.restype, self.descriptor.argtypes
        )
        return ir.Function(self.module, kind, self.descriptor.llvm_func_name)

    # ------------------------------------------------------------------------- arguments
    def _value(self, argument: Any, name: str, kind: Kind, typed: Any) -> Any:
        """An argument as compiled code has it."""
        if isinstance(kind, Columns):
            return self._columns(argument, name, kind, typed)
        if isinstance(kind, Column):
            return self._column(argument, name, kind, typed)
        return self._scalar(argument, kind)

    def _columns(self, argument: Any, name: str, kind: Columns, typed: Any) -> Any:
        found = self._load(argument, TYPE_AT, POINTER)
        self._expect(
            self.builder.icmp_unsigned("==", found, self._next_object()),
            f"{self.name}: {name} is no {kind.kind.__name__}",
        )
        parts = [
            self._column(self._item(argument, TUPLE_AT, at), f"{name}.{field}", part, typed[at])
            for at, (field, part) in enumerate(zip(typed.fields, kind.parts, strict=True))
        ]
        return self.context.make_tuple(self.builder, typed, parts)

    def _column(self, argument: Any, name: str, kind: Column, typed: Any) -> Any:
        flags = CONTIGUOUS | (WRITABLE if kind.writable else 0)
        ndarray, dtype = self._item(self.own, TUPLE_AT, NDARRAY), self._next_object()
        fits = self.builder.call(self.check, [argument, ndarray, dtype, INT(flags)])
        how = "writable and contiguous" if kind.writable else "contiguous"
        shown = kind.dtype if kind.dtype.names is None else f"{kind.dtype.itemsize}-byte rows"
        self._expect(fits, f"{self.name}: {name} has to be a {how} column of {shown}")
        itemsize = kind.dtype.itemsize
        array = make_array(typed)(self.context, self.builder)
        data = self._load(argument, DATA_AT, array.data.type)
        length = self._load(self._load(argument, SHAPE_AT, POINTER), 0, LONG)
        populate_array(array, data, [length], [LONG(itemsize)], itemsize, None)
        return array._getvalue()  # noqa: SLF001

    def _scalar(self, argument: Any, kind: type) -> Any:
        how, result, fault = {
            int: ("PyLong_AsLongLong", LONG, LONG(-1)),
            float: ("PyFloat_AsDouble", DOUBLE, DOUBLE(-1.0)),
            bool: ("PyObject_IsTrue", INT, INT(-1)),
        }[kind]
        value = self._call(how, result, argument)
        compare = self.builder.fcmp_ordered if kind is float else self.builder.icmp_signed
        with self.builder.if_then(compare("==", value, fault), likely=False):
            error = self._call("PyErr_Occurred", POINTER)
            with self.builder.if_then(self.builder.icmp_unsigned("!=", error, NULL)):
                self.builder.ret(NULL)
        return self.builder.icmp_signed("!=", value, INT(0)) if kind is bool else value

    def _python(self, result: Any) -> Any:
        """A new reference to what the kernel gave."""
        kind = self.signature.result
        if kind is int:
            return self._call("PyLong_FromLongLong", POINTER, result)
        if kind is float:
            return self._call("PyFloat_FromDouble", POINTER, result)
        if kind is bool:
            return self._call("PyBool_FromLong", POINTER, self.builder.zext(result, LONG))
        none = self._item(self.own, TUPLE_AT, NONE)
        self._call("Py_IncRef", ir.VoidType(), none)
        return none

    # ---------------------------------------------------------------------------- parts
    def _column_check(self) -> Any:
        """A function of its own, since most entries need it dozens of times: whether an object is
        an array of one dimension with this dtype and these flags."""
        kind = ir.FunctionType(BIT, [POINTER, POINTER, POINTER, INT])
        function = ir.Function(self.module, kind, f"{self.name}.column")
        function.linkage = "internal"
        function.attributes.add("noinline")
        argument, ndarray, dtype, flags = function.args
        entry, inside = self.builder, ir.IRBuilder(function.append_basic_block("entry"))
        self.builder = inside

        def need(condition: Any) -> None:
            with inside.if_then(inside.not_(condition), likely=False):
                inside.ret(BIT(0))

        need(inside.icmp_unsigned("==", self._load(argument, TYPE_AT, POINTER), ndarray))
        need(inside.icmp_signed("==", self._load(argument, NDIM_AT, INT), INT(1)))
        has = inside.and_(self._load(argument, FLAGS_AT, INT), flags)
        need(inside.icmp_signed("==", has, flags))
        found = self._load(argument, DTYPE_AT, POINTER)
        with inside.if_then(inside.icmp_unsigned("!=", found, dtype), likely=False):
            equal = self._call("PyObject_RichCompareBool", INT, found, dtype, INT(EQUAL))
            need(inside.icmp_signed("==", equal, INT(1)))
        inside.ret(BIT(1))
        self.builder = entry
        return function

    def _expect(self, condition: Any, otherwise: str) -> None:
        """Go on if it is so, else a TypeError with that text."""
        good = self.builder.append_basic_block("good")
        self._why.add_incoming(self._text(otherwise), self.builder.block)
        branch = self.builder.cbranch(condition, good, self._failed)
        branch.set_weights([99, 1])
        self.builder.position_at_end(good)

    def _raise(self, error: int, text: Any) -> None:
        self._call("PyErr_SetString", ir.VoidType(), self._item(self.own, TUPLE_AT, error), text)
        self.builder.ret(NULL)

    def _text(self, text: str) -> Any:
        return self.context.insert_const_string(self.module, text)

    def _call(self, name: str, result: Any, *arguments: Any) -> Any:
        """One of CPython's functions."""
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.module, kind, name)
        return self.builder.call(function, arguments)

    def _next_object(self) -> Any:
        self._object += 1
        return self._item(self.own, TUPLE_AT, self._object - 1)

    def _item(self, base: Any, offset: int, number: int) -> Any:
        return self._load(base, offset + 8 * number, POINTER)

    def _load(self, base: Any, offset: int, kind: Any) -> Any:
        place = cgutils.pointer_add(self.builder, base, LONG(offset))
        return self.builder.load(self.builder.bitcast(place, kind.as_pointer()))
