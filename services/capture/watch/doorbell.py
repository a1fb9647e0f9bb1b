"""inotify, for no more than to know that something in a folder changed.

The events themselves are thrown away unread: names and kinds of changes come from looking, which
has to be right without inotify as well (network file systems do not tell what other machines do).
"""

import ctypes
import errno
import logging
import os

log = logging.getLogger(__name__)

# <sys/inotify.h>
IN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE = 0x2, 0x4, 0x8
IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE = 0x40, 0x80, 0x100, 0x200
CHANGES = IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE
CHANGES |= IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
EVENTS_BYTES = 1 << 16
FEW = {
    errno.EMFILE: "fs.inotify.max_user_instances is used up",
    errno.ENOSPC: "fs.inotify.max_user_watches is used up",
}


class Doorbell:
    """Of one folder. Where there is no inotify it never rings, which is said once."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._told = False
        self._watched: tuple[int, int] | None = None  # device and inode
        self._fd = -1
        try:
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._fd = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        except (AttributeError, OSError) as error:
            self._say(error)

    def descriptors(self) -> list[int]:
        return [self._fd] if self._fd >= 0 else []

    def hang(self, device: int, inode: int) -> None:
        """Watch the folder that has this identity now."""
        if self._fd < 0 or self._watched == (device, inode):
            return
        path = os.fsencode(self._folder)
        try:
            self._checked(self._libc.inotify_add_watch(self._fd, path, CHANGES))
            self._watched = device, inode
        except OSError as error:
            self._say(error)

    def lost(self) -> None:
        """The folder is not there: what comes in its place has to be watched anew."""
        self._watched = None

    def rang(self) -> bool:
        """Whether it rang since it was last asked."""
        rang = False
        while self._fd >= 0:
            try:
                os.read(self._fd, EVENTS_BYTES)
            except BlockingIOError:
                break
            rang = True
        return rang

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _checked(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, FEW.get(number, os.strerror(number)))
        return result

    def _say(self, error: Exception) -> None:
        if not self._told:
            self._told = True
            why = error.strerror if isinstance(error, OSError) else "it is not there"
            log.warning("%s: no inotify (%s); it is looked at once a second", self._folder, why)
