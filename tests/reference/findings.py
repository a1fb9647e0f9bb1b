"""Twins of `pick_groups`, `copy_octets` and `add_finding`: what analyzers are given, and say."""

from collections.abc import Mapping, Sequence


def pick_groups(
    streams: Sequence[int],
    services: Mapping[int, str],
    ports: Mapping[int, tuple[int, int]],
    wanted: tuple[set[str], set[int]],
    done: set[int],
) -> list[int]:
    """Which groups (given by their streams) are wanted, by their streams' services or ports."""
    return [
        i
        for i, stream in enumerate(streams)
        if stream not in done and (services[stream] in wanted[0] or set(ports[stream]) & wanted[1])
    ]


def copy_octets(said: Mapping[int, int], start: int, stop: int) -> bytes | None:
    """Octets of a direction by logical offset; None = some are missing."""
    wanted = range(start, stop)
    return bytes(said[at] for at in wanted) if all(at in said for at in wanted) else None


def add_finding(told: list[bytes], text: bytes, most: int) -> bool:
    """Whether there was room for one more of a group."""
    if len(told) >= most:
        return False
    told.append(text)
    return True
