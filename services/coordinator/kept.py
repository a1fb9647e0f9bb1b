"""What a coordinator that is killed leaves to the next one, in the run directory.

Everything else comes back from the shards; these numbers nobody else has: what processes that are
gone had counted, how far capture was when it ended, what was written. The file is written anew
some times a second and changes as a whole; it goes with the run directory.
"""

import logging
import os
from pathlib import Path
from typing import Any

import orjson

NAME = "coordinator.kept"
FORMAT = 1

log = logging.getLogger("coordinator")


class Kept:
    """One file. before: what an earlier coordinator of this run left; empty when this is the
    first."""

    def __init__(self, run_dir: str) -> None:
        self._path = Path(run_dir) / NAME
        self._last = b""
        self._has_failed = False
        self.before: dict[str, Any] = self._read()

    def _read(self) -> dict[str, Any]:
        try:
            found = orjson.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        usable = isinstance(found, dict) and found.get("format") == FORMAT
        return found if usable else {}

    def write(self, numbers: dict[str, Any]) -> None:
        """Leave these from now on."""
        packed = orjson.dumps({"format": FORMAT} | numbers)
        if packed == self._last:
            return
        new = self._path.with_suffix(".new")
        try:
            new.write_bytes(packed)
            os.replace(new, self._path)
        except OSError as error:
            if not self._has_failed:
                log.warning("%s: %s; a restart would lose counts", self._path, error.strerror)
            self._has_failed = True
            return
        self._last = packed
