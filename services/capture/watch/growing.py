"""The bytes of a file that somebody may still write to, rename, or empty and write anew.

What was read is used only if the file still begins as it did, looked at after the read: so that no
byte of other content, written over it meanwhile, is taken for a continuation.
"""

import os

HEAD_BYTES = 1024  # first bytes by which content is known again


class GrowingFile:
    """An `Input` and a `Seekable`. `finished`: nobody writes to it any more; set by who knows.

    head: its first bytes, as far as they were read, at most HEAD_BYTES.
    """

    problem = ""

    def __init__(self, fd: int, head: bytes) -> None:
        self.fd = fd
        self.head = head
        self.finished = False
        self.position = 0
        self.size = 0  # not known as long as it grows
        self.trouble = ""  # why the last read failed

    def descriptors(self) -> list[int]:
        return []

    def seek(self, offset: int) -> None:
        self.position = offset

    def readinto(self, buffer: memoryview) -> int | None:
        """None: at its end for now, or it cannot be read or trusted at the moment."""
        self.trouble = ""
        try:
            got = os.preadv(self.fd, [buffer], self.position)
            head = self._head_with(buffer[:got])
            if os.pread(self.fd, len(head), 0) != head:
                return None
            self.head = head
        except OSError as error:
            self.trouble = (error.strerror or str(error)).lower()
            return None
        self.position += got
        if got:
            return got
        return 0 if self.finished else None

    def _head_with(self, read: memoryview) -> bytes:
        """The head, and what these bytes add to it."""
        known = len(self.head)
        if not self.position <= known < HEAD_BYTES:
            return self.head
        return self.head + bytes(read[known - self.position : HEAD_BYTES - self.position])

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
