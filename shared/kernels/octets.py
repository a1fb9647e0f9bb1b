"""Reading numbers out of packet bytes.

Offsets are signed and are cast where they index: a signed index costs a loop tenfold. Nothing here
checks bounds; whoever calls has compared `at` with the end of what was captured.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from shared.kernels import inlined

Bytes = NDArray[np.uint8]
# machine integers, annotated as int because that is how they are used
i64 = cast(Callable[[Any], int], np.int64)
u64 = cast(Callable[[Any], Any], np.uint64)


@inlined
def u8(data: Bytes, at: int) -> int:
    return i64(data[u64(at)])


@inlined
def be16(data: Bytes, at: int) -> int:
    return u8(data, at) << 8 | u8(data, at + 1)


@inlined
def be32(data: Bytes, at: int) -> int:
    return be16(data, at) << 16 | be16(data, at + 2)


@inlined
def be64(data: Bytes, at: int) -> Any:
    return u64(be32(data, at)) << 32 | u64(be32(data, at + 4))
