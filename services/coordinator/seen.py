"""The run's numbers at one moment, for those who scrape them at another."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Seen(NamedTuple):
    """What is served, as it was at one moment. Times in seconds."""

    report: Mapping[str, Any]  # health's
    capture: Mapping[str, int]  # its counters over all its instances
    capture_silent_s: float
    capture_restarts: int
    unread_bytes: int
    patterns: Mapping[str, int]  # sums over patterns and shards
    answered: Mapping[str, int]  # requests by operation
    refused: Mapping[str, int]  # by code
    refused_peers: int
