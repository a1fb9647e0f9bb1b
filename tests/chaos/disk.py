"""A small disk of its own that can be filled up: a tmpfs, where this user may mount one."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SIZE = "96m"


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount it at `folder`; False when that is not allowed here."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(words, check=False, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """No byte is free inside."""
    path = folder / "filler"
    try:
        with suppress(OSError), path.open("wb", 0) as file:
            while file.write(bytes(4096)):
                pass
        yield
    finally:
        path.unlink(missing_ok=True)
