"""Where compiled kernels are kept between runs, and how to tell that they are not there yet.

Pieces from other files and constants from the column tables are compiled into a kernel, so the
folder is named after the digest of everything that kernels are made of.
"""

import functools
import hashlib
import importlib.util
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from shared import parent

ROOT = Path(__file__).resolve().parent.parent
VARIABLE = "FLOWMATE_KERNELS"
WARM, PORTABLE = "warm", "portable"  # files in the folder that say so
# the level of the x86-64 psABI, as /proc/cpuinfo spells its flags
X86_64_V3 = frozenset(("avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"))
LOOK_S = 0.1
FORGET_AFTER_S = 7 * 24 * 3600.0  # folders of older sources go when a new one is made


def sources() -> list[Path]:
    """Every file whose text ends up in compiled kernels."""
    packages = (ROOT / "shared" / "kernels", *sorted(ROOT.glob("services/*/kernels")))
    files = [file for package in packages for file in sorted(package.glob("*.py"))]
    return [ROOT / "shared" / "columns.py", *files]


def digest() -> str:
    """16 hex digits that change with the kernels, numba, its checks, or Python."""
    checked = os.environ.get("NUMBA_BOUNDSCHECK", "")
    return _digest(compiler_version(), platform.python_version(), checked)


@functools.cache
def _digest(*parts: str) -> str:
    """It takes 5 ms, and a start asks more than once."""
    result = hashlib.sha256(" ".join(parts).encode())
    for file in sources():
        result.update(f"\0{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return result.hexdigest()[:16]


def compiler_version() -> str:
    """numba's own file about that: asking importlib.metadata costs 30 ms."""
    numba = importlib.util.find_spec("numba")
    if numba is None or numba.origin is None:
        return ""
    return Path(numba.origin).with_name("_version.py").read_text()


def folder() -> Path:
    """Where this version's kernels are, or will be, kept; $FLOWMATE_KERNELS has the first word."""
    if given := os.environ.get(VARIABLE):
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "flowmate" / f"kernels-{digest()}"


def is_cold() -> bool:
    """True when nobody has yet seen every kernel of this version compiled."""
    return not (folder() / WARM).exists()


def note_warm() -> None:
    """From now on `is_cold` is False. Where that cannot be kept it does not matter."""
    with suppress(OSError):
        (folder() / WARM).touch()


def prepare() -> None:
    """Make the folder where that is needed. Call before numba is imported."""
    place = folder()
    if os.environ.get(VARIABLE):
        if (place / PORTABLE).exists() and (baseline := _baseline()):
            os.environ |= baseline
        return
    if not _make(place):
        # no home, or a read-only one: a folder for this user alone, since what is in it is run
        place = Path(tempfile.gettempdir()) / f"flowmate-{os.getuid()}" / place.name
        if not _make(place):
            place = Path(tempfile.mkdtemp(prefix="flowmate-kernels-"))
    os.environ[VARIABLE] = str(place)


def make_portable() -> None:
    """Mark the folder: kernels in it are for the baseline of this kind of machine."""
    place = folder()
    place.mkdir(0o755, parents=True, exist_ok=True)
    (place / PORTABLE).touch()


def _baseline() -> dict[str, str]:
    """numba's words for the baseline; nothing where this machine has less and must compile."""
    if platform.machine() == "aarch64":
        return {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    with open("/proc/cpuinfo") as file:
        flags = next((line for line in file if line.startswith("flags")), "").split()
    known = platform.machine() == "x86_64" and X86_64_V3.issubset(flags)
    return {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": ""} if known else {}


def _make(place: Path) -> bool:
    """True when `place` is a folder that this user, and nobody else, can write."""
    try:
        if not place.is_dir():
            place.parent.mkdir(0o700, parents=True, exist_ok=True)
            place.mkdir(0o700, exist_ok=True)
            _forget_older(place)
        return _is_private(place) and _is_private(place.parent) and os.access(place, os.W_OK)
    except OSError:
        return False


def _is_private(place: Path) -> bool:
    status = place.lstat()
    others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not others


def _forget_older(place: Path) -> None:
    before = time.time() - FORGET_AFTER_S
    for old in place.parent.glob("kernels-*"):
        if old != place and old.stat().st_mtime < before:
            shutil.rmtree(old, ignore_errors=True)


def warm() -> int:
    """Compile every kernel that is not compiled yet, by importing it; the number of modules.

    As many modules at a time as there are cores, the longest first. Measured on two cores: 77 s of
    CPU in 41 s.
    """
    files = [
        file for file in sources() if file.parent.name == "kernels" and file.name != "__init__.py"
    ]
    names = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in sorted(files, key=lambda file: file.stat().st_size, reverse=True)
    ]
    # what only this needs takes a service 50 ms to import
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    cores = len(os.sched_getaffinity(0))
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, fresh, parent.die_with, (os.getpid(),)) as pool:
        for _ in pool.map(_load, names):
            pass
    note_warm()
    return len(names)


def _load(name: str) -> None:
    importlib.import_module(name)


def warm_apart(stopped: Callable[[], bool]) -> None:
    """Have another process do it, so that this one stays small; until it is done, or `stopped`.

    What it does not come to, or fails at, each service compiles for itself.
    """
    words = [sys.executable, "-P", "-m", "shared.launcher", "warm"]
    child = subprocess.Popen(
        words,
        env=os.environ | {parent.VARIABLE: str(os.getpid())},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while child.poll() is None:
        if stopped():
            child.terminate()
            child.wait()
            return
        with suppress(subprocess.TimeoutExpired):
            child.wait(LOOK_S)
