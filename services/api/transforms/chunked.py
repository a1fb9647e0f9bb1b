"""Chunked transfer coding (RFC 9112, 7.1).

    chunk = 1*HEXDIG [ ";" extensions ] CRLF octets CRLF ; the last one has size 0

Rules: a bare LF ends a line, too. Trailers, behind the last chunk, are told, not given.
"""

import re

from services.api.transforms.model import Context, Decoded, noted

TRAILERS_MAX = 1 << 16
TRAILERS_END = re.compile(rb"\r?\n\r?\n")
CHUNKS_MAX = 200_000  # of one body; a chunk of one octet costs 0.7 µs
SIZE_LINE = re.compile(rb"[ \t]*+([0-9A-Fa-f]{1,16})[ \t]*+(?:;[^\n]{0,4096}+|\r?)\n")
CUT_LINE = re.compile(rb"[ \t]*+(?:[0-9A-Fa-f]{1,16}[ \t]*+(?:;[^\n]{0,4096}+|\r?))?")


def decode(data: bytes, limit: int, context: Context) -> Decoded:
    """The octets of all chunks."""
    out, at, problem = bytearray(), 0, f"more than {CHUNKS_MAX} chunks"
    for _ in range(CHUNKS_MAX):
        line = SIZE_LINE.match(data, at)
        if line is None:
            problem = "cut off" if CUT_LINE.fullmatch(data, at) else f"no chunk size at {at}"
            break
        at, size = line.end(), int(line[1], 16)
        if size == 0:
            return _whole(data, at, bytes(out))
        out += data[at : at + min(size, limit + 1 - len(out))]
        at += size
        if at > len(data):
            problem = "cut off"
            break
        if len(out) > limit:
            break
        at = behind_line_end(data, at)
    if len(out) > limit:
        return Decoded(bytes(out[:limit]), "partial", f"stopped at {limit} bytes", limited=True)
    if not out:
        return Decoded(data, "failed", f"nothing can be decoded: {problem}")
    return Decoded(bytes(out), "partial", f"{problem} behind {len(out)} decoded bytes")


def end_of(data: bytes, at: int) -> int:
    """Behind the last chunk of a body that begins at `at`, and behind its trailers; the end of
    the octets when it is not there."""
    for _ in range(CHUNKS_MAX):
        line = SIZE_LINE.match(data, at)
        if line is None:
            break
        at, size = line.end(), int(line[1], 16)
        if size == 0:
            if data[at : at + 2] == b"\r\n":
                return at + 2
            trailers = TRAILERS_END.search(data, at, at + TRAILERS_MAX)
            return trailers.end() if trailers else len(data)
        at = behind_line_end(data, at + size)
    return len(data)


def behind_line_end(data: bytes, at: int) -> int:
    """Where it goes on, whether or not the line end of a chunk is there."""
    if data[at : at + 2] == b"\r\n":
        return at + 2
    return at + (data[at : at + 1] == b"\n")


def _whole(data: bytes, at: int, octets: bytes) -> Decoded:
    """The outcome with its last chunk; trailer fields end with an empty line."""
    rest = data[at:]
    if rest.startswith((b"\r\n", b"\n")):
        behind = len(rest) - (2 if rest[0] == 13 else 1)
        return Decoded(octets, "applied", f"{behind} bytes follow the end" if behind else "")
    lines = [line for line in rest.split(b"\n", 1000)[:1000] if line.strip()]
    return Decoded(octets, "applied", noted(f"{len(lines)} trailer lines" if lines else ""))
