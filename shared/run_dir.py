"""The private folder of one local run: sockets and shared-memory lanes, gone when the run ends."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shared.errors import UserError

PREFIX = "flowmate-"
SOCKET_PATH_MAX = 107  # bytes of sun_path less its NUL, unix(7)
LONGEST_NAME = len("/coordinator.requests")
LANE_ROOM_BYTES = 32 << 20  # what the lanes of one shard need, with some to spare
EARLIER = ("coordinator.kept", "coordinator.output")  # of another run in the same folder
SETTLE_S = 60.0  # a folder younger than this may not hold its lock yet


@contextmanager
def run_dir(given: str, shards: int) -> Iterator[Path]:
    """`given`, or a new folder that nobody else may enter and that is removed at the end."""
    if given:
        path = Path(given).absolute()
        _check_length(path)
        try:
            path.mkdir(0o700, parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UserError(f"--run-dir {path}: {reason}; give a folder that can be made") from None
        for name in EARLIER:
            (path / name).unlink(missing_ok=True)
        yield path
        return
    parent = _parent(shards)
    _remove_abandoned(parent)
    path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _check_length(path: Path) -> None:
    if len(os.fsencode(path)) + LONGEST_NAME > SOCKET_PATH_MAX:
        most = SOCKET_PATH_MAX - LONGEST_NAME
        raise UserError(
            f"--run-dir {path}: a socket's path would be too long; {most} bytes at most"
        )


def _parent(shards: int) -> Path:
    """Memory when there is room for every lane, else the temporary folder, else /tmp."""
    memory = Path("/dev/shm")  # noqa: S108  mkdtemp makes it private
    with suppress(OSError):
        free = os.statvfs(memory)
        if os.access(memory, os.W_OK) and free.f_bavail * free.f_frsize >= shards * LANE_ROOM_BYTES:
            return memory
    usual = Path(tempfile.gettempdir())
    room = SOCKET_PATH_MAX - LONGEST_NAME - len(f"/{PREFIX}abcdefgh")
    return usual if len(os.fsencode(usual)) <= room else Path("/tmp")  # noqa: S108


def _remove_abandoned(parent: Path) -> None:
    """Free what a run that was killed left behind: nobody holds its lock."""
    for path in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            status = path.stat()
            if status.st_uid != os.getuid() or time.time() - status.st_mtime < SETTLE_S:
                continue
            lock = os.open(path / "lock", os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
