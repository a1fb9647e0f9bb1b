"""How pieces of kernels are compiled: to the form that LLVM inlines, and no further.

numba makes machine code of each function, with all that it calls. Of a piece nobody runs it: the
kernel into which it is inlined is optimized and made into machine code as a whole. That took the
compiling of TLS from 12.3 to 7.6 s of CPU, of HTTP/1 from 14.4 to 10.1.
"""

# numba has types for some of what stands here
# mypy: disable-error-code="no-untyped-call,untyped-decorator,override"

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler


class _Unfinished(JITCodeLibrary):
    """Code that is only linked into other code."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """There is none."""
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> Any:
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """There is no place for it in memory."""


class PieceCompiler(Compiler):
    def __init__(self, typing: Any, target: Any, library: Any, *rest: Any) -> None:
        super().__init__(typing, target, library or _Unfinished(target.codegen(), "piece"), *rest)
