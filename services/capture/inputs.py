"""Where a source's bytes come from: files and pipes, read into a buffer that is given.

`readinto` answers as `io.RawIOBase.readinto` does: the number of bytes; 0 at the end; None when
nothing is there now. It raises OSError where the system does.
"""

import errno
import io
import os
import select
import stat
import sys
from typing import Protocol

from shared.errors import UserError

STDIN = "-"
STDIN_FD = 0


class Input(Protocol):
    """A stream of bytes."""

    @property
    def position(self) -> int:
        """Bytes taken from it, as stored."""
        ...

    @property
    def size(self) -> int:
        """Bytes it has in all, as stored; 0 = not known."""
        ...

    @property
    def problem(self) -> str:
        """Why it ended before its end; "" = it did not."""
        ...

    def descriptors(self) -> list[int]:
        """What becomes readable after `readinto` has said None."""
        ...

    def readinto(self, buffer: memoryview) -> int | None: ...

    def close(self) -> None: ...


class FileInput:
    """A regular file, from where its descriptor stands."""

    problem = ""

    def __init__(self, fd: int) -> None:
        self._file = io.FileIO(fd)
        self.position = self._file.tell()
        self.size = os.fstat(fd).st_size

    def descriptors(self) -> list[int]:
        return []

    def readinto(self, buffer: memoryview) -> int:
        got = self._file.readinto(buffer)
        self.position += got
        return got

    def close(self) -> None:
        self._file.close()


class PipeInput:
    """A pipe, FIFO, socket or device: takes what is there.

    Its descriptor may block, since whoever has the other end may share its flags: it is read only
    when something is there.
    """

    problem = ""
    size = 0

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self.position = 0

    def descriptors(self) -> list[int]:
        return [self._fd]

    def readinto(self, buffer: memoryview) -> int | None:
        got = 0
        while got < len(buffer):
            if not self._poll.poll(0):
                return got or None
            try:
                more = os.readv(self._fd, [buffer[got:]])
            except BlockingIOError:
                return got or None
            if not more:
                break
            got += more
            self.position += more
        return got

    def close(self) -> None:
        os.close(self._fd)


def open_input(path: str) -> FileInput | PipeInput:
    """Open a path, or standard input for `-`. OSError if it cannot be read.

    Never blocks: a FIFO that nobody writes to yet is an input in which nothing has arrived.
    """
    if path == STDIN:
        fd = os.dup(STDIN_FD)
    else:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(fd).st_mode
    if stat.S_ISDIR(mode):
        os.close(fd)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    return FileInput(fd) if stat.S_ISREG(mode) else PipeInput(fd)


def is_open_ended(path: str) -> bool:
    """Whether a path, or standard input for `-`, is none of a regular file's size: a pipe, say."""
    try:
        mode = os.fstat(STDIN_FD).st_mode if path == STDIN else os.stat(path).st_mode
    except OSError:
        return False  # it cannot be read, which opening it will say
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def check_stdin(paths: list[str]) -> None:
    """UserError if standard input is asked for twice, is closed, or is a person's terminal."""
    if paths.count(STDIN) > 1:
        raise UserError("--pcap -: standard input can be read only once; give - once")
    if STDIN in paths and sys.stdin is None:  # its number may be another file's by now
        raise UserError("--pcap -: standard input is closed; pipe a capture into it")
    if STDIN in paths and os.isatty(STDIN_FD):
        raise UserError("--pcap -: standard input is a terminal; pipe a capture into it")
