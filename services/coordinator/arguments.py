"""What every operation takes and gives: checked arguments in, a result and columns out."""

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

Answer = tuple[dict[str, Any], Sequence[Any]]  # result and columns
Operation = Callable[[dict[str, Any]], Answer]


class Arguments(BaseModel):
    """Arguments of one operation; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class Nothing(Arguments):
    """For operations that take none."""
