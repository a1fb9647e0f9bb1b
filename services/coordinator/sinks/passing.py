"""Writes to a file whose lines are not kept in memory as well.

A run's lines are written once and read later, if at all; kept in the page cache they are a gigabyte
of memory that has to be found while packets come. Where the system can (RWF_DONTCACHE, Linux 6.14
and some file systems), what is written leaves the cache once it is on the disk. 948 MB so: 0.25 s
of CPU rather than 2.0 where a machine's host takes back what is free, 0.2 either way where not.

Rules. Only whole pages are written so, and the rest as ever: a page that left the cache half full
would have to be read again. A disk that does not keep up would hold up whoever writes, so the cache
takes REST_BYTES whenever SPAN_BYTES came slower than LEAST_BYTES_S. Where the system refuses, and
for what is no file, all is written as ever.
"""

import errno
import mmap
import os
import stat
import time

DONT_CACHE = 0x80  # RWF_DONTCACHE of <linux/fs.h>, which Python has no name for
REFUSED = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
WHERE_IT_STANDS = -1  # as an offset
SPAN_BYTES, LEAST_BYTES_S, REST_BYTES = 8 << 20, 200 << 20, 64 << 20


class Passing:
    """descriptor: to write to. passes: whether what is written leaves the cache."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.passes = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self.rest = 0  # bytes that the cache still takes
        self._bytes, self._seconds = 0, 0.0  # of the present span, pauses left out

    def write(self, octets: memoryview) -> int:
        """As `os.write`: perhaps only some of it."""
        whole = self._whole(len(octets)) if self.passes and self.rest <= 0 else 0
        if whole <= 0:
            done = os.write(self.descriptor, octets)
            self.rest = max(0, self.rest - done)
            return done
        began = time.monotonic()
        try:
            done = os.pwritev(self.descriptor, [octets[:whole]], WHERE_IT_STANDS, DONT_CACHE)
        except OSError as error:
            if error.errno not in REFUSED:
                raise
            self.passes = False
            return os.write(self.descriptor, octets)
        self._look(done, time.monotonic() - began)
        return done

    def _whole(self, size: int) -> int:
        """How many of so many bytes end with the file's last whole page; none: not positive."""
        stands = os.lseek(self.descriptor, 0, os.SEEK_CUR)
        return size - (stands + size) % mmap.PAGESIZE

    def _look(self, done: int, seconds: float) -> None:
        """Whether the disk keeps up."""
        self._bytes += done
        self._seconds += seconds
        if self._bytes >= SPAN_BYTES:
            if self._bytes < LEAST_BYTES_S * self._seconds:
                self.rest = REST_BYTES
            self._bytes, self._seconds = 0, 0.0
