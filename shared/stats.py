"""What services count of themselves: it travels to the coordinator with every word from them.

Apart from `metrics.py`, whose library takes a tenth of a second to import.
"""

import os
from collections.abc import Mapping

from shared.settings import Service

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# of the counters that services send to the coordinator these go up and down; all others only grow
GAUGES: Mapping[Service, frozenset[str]] = {
    "capture": frozenset(
        {
            "queue_rows",
            "queue_rows_peak",
            "queue_rows_max",
            "open_rows",
            "lag_ms",
            "packet_ring_bytes",
            "packet_ring_bytes_max",
            "process_resident_bytes",
        }
    ),
    "shard": frozenset(
        {
            "flow_rows",
            "flow_rows_max",
            "content_used_bytes",
            "content_budget_bytes",
            "content_favorite_bytes",
            "held_segments",
            "analyzers_live",
            "process_resident_bytes",
        }
    ),
}


def resident_bytes() -> int:
    """RAM of this process, proc(5) statm; 0 where there is no /proc."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * PAGE_BYTES
    except OSError:
        return 0
