"""What lies in a folder at a moment. Names are as the system has them, whatever bytes they hold."""

import os
import stat
from typing import NamedTuple

FILES_MAX = 16384  # that are known of one folder; the others wait
UNFINISHED = (
    "."  # names of rsync's and others' temporary files begin so; they are renamed at the end
)


class Found(NamedTuple):
    """One name in the folder."""

    name: str
    device: int
    inode: int
    size: int
    changed_ns: int  # of content, or name, or permissions
    stranger: str  # why it cannot hold a capture, whatever is in it; empty = it can


def look(folder: str) -> list[Found]:
    """All that is there, by name, at most FILES_MAX + 1. OSError where it cannot be read."""
    found: list[Found] = []
    with os.scandir(folder) as listing:
        for item in listing:
            if item.name.startswith(UNFINISHED):
                continue
            try:
                status = item.stat()
            except OSError:
                continue  # it is gone again, or a link that leads nowhere
            found.append(describe(item.name, status))
            if len(found) > FILES_MAX:
                break
    return sorted(found)


def describe(name: str, status: os.stat_result) -> Found:
    stranger = ""
    if stat.S_ISDIR(status.st_mode):
        stranger = "is a folder; captures in it are not read, watch it as well"
    elif not stat.S_ISREG(status.st_mode):
        stranger = "is not a regular file; pipes and devices are read with --pcap"
    return Found(name, status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns, stranger)


def printable(name: str) -> str:
    """A name for logs, JSON and browsers: what cannot be printed is shown as \\xNN and the like."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
