"""SSH identification strings (RFC 4253 §4.2): what software is on each end."""

import re
from collections.abc import Iterator
from typing import ClassVar

from services.shard.parsers import Analyzer, Finding, register

LINE_MAX = 255  # of the identification string, CR LF included
BEFORE_MAX = 4096  # bytes of lines that a server may send before it
# SSH-protoversion-softwareversion SP comments
BANNER = re.compile(rb"SSH-([^-\s]{1,16})-([^ ]*)(?: (.*))?")


@register
class Ssh(Analyzer):
    """Finds each side's banner; all that follows is binary, and passed over."""

    name: ClassVar[str] = "ssh"
    services: ClassVar[frozenset[str]] = frozenset({"ssh"})

    def __init__(self) -> None:
        self._waiting = {True: b"", False: b""}  # by side: bytes without an end of line yet

    def feed(self, chunk: bytes, from_client: bool) -> Iterator[Finding]:
        if from_client not in self._waiting:
            return
        seen = self._waiting[from_client] + chunk[: BEFORE_MAX + LINE_MAX]
        lines = seen[: BEFORE_MAX + LINE_MAX].split(b"\n")
        for line in lines[:-1]:
            if line.startswith(b"SSH-"):
                self._forget(from_client)
                yield from finding(line, from_client)
                return
        if len(seen) >= BEFORE_MAX + LINE_MAX or (lines[-1][:4] == b"SSH-" and too_long(lines[-1])):
            self._forget(from_client)
        else:
            self._waiting[from_client] = seen

    def gap(self, from_client: bool, length: int) -> Iterator[Finding]:
        """A line with a hole tells nothing."""
        self._forget(from_client)
        yield from ()

    def _forget(self, from_client: bool) -> None:
        self._waiting.pop(from_client, None)
        self.done = not self._waiting


def too_long(line: bytes) -> bool:
    return len(line) > LINE_MAX


def finding(line: bytes, from_client: bool) -> Iterator[Finding]:
    """line: without LF."""
    banner = None if too_long(line) else BANNER.fullmatch(line.rstrip(b"\r"))
    if banner is None:
        return
    version, software, comments = (text.decode("ascii", "replace") for text in banner.groups(b""))
    side = "client" if from_client else "server"
    yield {
        "summary": f"{side} {software}",
        "side": side,
        "protocol_version": version,
        "software": software,
        **({"comments": comments} if comments else {}),
    }
