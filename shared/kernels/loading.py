"""Kernels from disk into functions that Python calls, with LLVM's loader and without the compiler.

A kernel on disk is an object file with one function, which takes Python's arguments itself
(`entry.py`). Importing numba and having it load the kernels of a shard took 2.5 s of CPU; this
takes 0.1 s, and a process is 100 MB smaller.
"""

import ctypes
import functools
import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from shared import kernel_cache
from shared.kernels.signature import objects_of, signature_of

CHECK_BYTES = 16  # before the object file
METH_FASTCALL = 0x80  # CPython's methodobject.h: (self, arguments, how many)
FIXED = (np.ndarray, TypeError, RuntimeError, None)  # begin what an entry gets as `self`


class MethodDef(ctypes.Structure):
    """PyMethodDef of CPython's methodobject.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("text", ctypes.c_char_p),
    )


new_function = ctypes.pythonapi.PyCFunction_NewEx
new_function.restype = ctypes.py_object
new_function.argtypes = [ctypes.POINTER(MethodDef), ctypes.py_object, ctypes.py_object]
definitions: list[MethodDef] = []  # a function keeps a pointer to its own


def loaded(function: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel, from disk; compiled first where it is not there."""
    name = symbol(function)
    file = kernel_cache.folder() / f"{name}-{_machine()}.o"
    if (code := _read(file)) is None:
        from shared.kernels.compiling import compiled

        code = compiled(function, name)
        _keep(file, code)
    return callable_of(function, code)


def symbol(function: Callable[..., Any]) -> str:
    """The entry's name in the object file; no two kernels have one."""
    return f"{function.__module__}.{function.__qualname__}"


def callable_of(function: Callable[..., Any], code: bytes) -> Callable[..., Any]:
    """What Python calls; `code` is the object file made of the function."""
    engine = _engine()
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(symbol(function))
    definition = MethodDef(function.__name__.encode(), address, METH_FASTCALL, None)
    definitions.append(definition)
    objects = FIXED + objects_of(signature_of(function))
    return new_function(ctypes.byref(definition), objects, function.__module__)  # type: ignore[no-any-return]


def _read(file: Path) -> bytes | None:
    """None where it is not there, or not whole: LLVM ends the process over a file that is cut."""
    try:
        kept = file.read_bytes()
    except OSError:
        return None
    code = kept[CHECK_BYTES:]
    return code if kept[:CHECK_BYTES] == _check(code) else None


def _keep(file: Path, code: bytes) -> None:
    """In one piece or not at all; where nothing can be kept it does not matter."""
    with suppress(OSError):
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=file.stem)
        with open(descriptor, "wb") as new:
            new.write(_check(code) + code)
            os.fchmod(descriptor, 0o644)  # whose folder it is says who may read it
        os.replace(name, file)


def _check(code: bytes) -> bytes:
    return hashlib.blake2b(code, digest_size=CHECK_BYTES).digest()


@functools.cache
def _machine() -> str:
    """8 hex digits of what code is made for."""
    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        with suppress(RuntimeError):
            features = llvm.get_host_cpu_features().flatten()
    told = f"{kernel_cache.digest()} {name} {features}"
    return hashlib.sha256(told.encode()).hexdigest()[:8]


@functools.cache
def _engine() -> "llvm.ExecutionEngine":
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(
        reloc="default", codemodel="jitdefault", jit=True
    )
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
