"""Twins of `list_messages` and `find_messages`: over all messages ever found, as a list.

The ring has the newest `kept` of them. A message's number is its place in the list.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """A message. text: summary, then name."""

    stream: int
    ordinal: int
    side: int
    start: int
    protocol: int = 0
    kind: int = 0
    code: int = 0
    text: bytes = b""
    name: bytes = b""  # the end of text


def list_messages(
    ring: Sequence[Found], kept: int, stream: int, first: int, spans: tuple[int, int, int, int]
) -> tuple[list[int], int]:
    """Numbers by ordinal, and the lowest ordinal from `first` on that is there."""
    mine = [
        (number, message)
        for number, message in enumerate(ring)
        if message.stream == stream and message.ordinal >= first and len(ring) - number <= kept
    ]
    count = sum(message.stream == stream for message in ring)
    within = [
        number
        for number, message in mine
        if spans[2 * message.side] <= message.start < spans[2 * message.side + 1]
    ]
    return within, mine[0][1].ordinal if mine else count


def is_host(name: bytes, host: bytes) -> bool:
    """Equal, or a name below it; without the port, when the host that is asked for has none."""
    name, host = name.lower(), host.lower()
    if b":" not in host:
        name = name.split(b":")[0]
    return name == host or name.endswith(host if host.startswith(b".") else b"." + host)


def find_messages(
    ring: Sequence[Found],
    kept: int,
    before: int,
    looks: int,
    wanted: tuple[int, int, int],
    prefix: bytes,
    host: bytes,
    text: bytes,
    room: int,
) -> tuple[list[int], int]:
    """Numbers from the newest on, and where to go on; 0 = nowhere."""
    found: list[int] = []
    oldest = max(0, len(ring) - kept)
    number = min(before, len(ring))
    last = max(oldest, number - looks)
    while number > last and len(found) < room:
        number -= 1
        one = ring[number]
        if (
            all(
                want in (-1, has)
                for want, has in zip(wanted, (one.protocol, one.kind, one.code), strict=True)
            )
            and (not host or is_host(one.name, host))
            and one.text.lower().startswith(prefix.lower())
            and text.lower() in one.text.lower()
        ):
            found.append(number)
    return found, number if number > oldest else 0
