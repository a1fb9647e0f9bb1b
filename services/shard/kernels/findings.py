"""Between the columns and analyzers in Python: which groups they want, and where findings go."""

from typing import Any

import numpy as np

from services.shard.kernels.messages import (
    begin_text,
    end_text,
    finish,
    gather,
    open_message,
    row_of,
)
from services.shard.kernels.state import GROUPS, ShardColumns
from shared.columns import (
    ANALYZER,
    FINDING,
    MESSAGE_COMPLETE,
    NO_NOTE,
    U8,
    U64,
    OutU32,
)
from shared.kernels import inlined, kernel
from shared.kernels.octets import i64

ONE = np.uint64(1)


@inlined
def wants(flow: Any, services: Any, ports: Any) -> Any:
    if services[flow.service]:
        return True
    return ports.size > 0 and (ports[flow.port_a] | ports[flow.port_b]) != 0


@kernel
def pick_groups(t: ShardColumns, services: U8, ports: U8, done: U64, picked: OutU32) -> int:
    """Fill `picked` with the batch's groups that an analyzer wants; returns how many.

    services: 1 by index into SERVICES; ports: 1 by port, or empty; done: by row, id of a stream
    that nobody looks at any more.
    """
    count = 0
    for i in range(t.state[GROUPS]):
        row = i64(t.groups[i].flow)
        flow = t.flows[row]
        if wants(flow, services, ports) and done[row] != flow.stream_id:
            picked[count] = np.uint32(i)
            count += 1
    return count


@kernel
def copy_octets(t: ShardColumns, row: int, direction: int, start: int, stop: int) -> bool:
    """Put [start, stop), at most unit.size, into `unit`; False = some are not there."""
    return bool(gather(t, row, direction, start, stop))


@kernel
def add_finding(
    t: ShardColumns, row: int, direction: int, start: int, end: int, ts_ns: int, text: U8, name: int
) -> bool:
    """A message row of a finding: text of MESSAGE_TEXT_MAX octets at most, the last `name` of them
    its name. False = the group has too many."""
    number = open_message(t, row, direction, ANALYZER, FINDING, start, ts_ns)
    if number == 0:
        return False
    message = t.messages[row_of(t, number - ONE)]
    to = begin_text(t, message)
    for k in range(text.size):
        t.text[to + np.uint64(k)] = text[k]
    end_text(t, message, text.size, name)
    message.header_end = np.uint64(end)
    message.body_start = np.uint64(end)
    finish(t, number - ONE, MESSAGE_COMPLETE, NO_NOTE, end, end)
    return True
