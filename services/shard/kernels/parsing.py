"""Which streams have a parser, what becomes of it at the end, and what of its findings is told.

A stream gets a parser with its first group after its service is known, or when TLS may begin in it
(`tunnels.py`), and keeps it until it closes. The parsers' own loops are in `http1.py`,
`websocket.py`, `dns.py` and `tls.py`: each goes over the batch's groups and takes those whose
stream is its own.
"""

from typing import Any

import numpy as np

from services.shard.kernels.earlier import came_before, take_again
from services.shard.kernels.flow_table import drop_parser, name_ends
from services.shard.kernels.http1 import end_http1
from services.shard.kernels.messages import finish, row_of
from services.shard.kernels.state import (
    C_PARSERS_FULL,
    C_UNTOLD,
    DIRTY,
    EARLIER,
    FINISHED,
    FREE_PARSERS,
    GROUPS,
    IN_GROUP,
    PARSES,
    TEXT_HEAD,
    TOLD,
    TOLD_TEXT,
    USED_PARSERS,
    ShardColumns,
)
from services.shard.kernels.tunnels import begin_late, may_begin_tls
from services.shard.kernels.websocket import end_websocket
from shared.columns import (
    DNS_MESSAGES,
    HTTP1,
    MESSAGE_PARTIAL,
    NO_PARSER,
    NOTE_END,
    SERVICES,
    TCP,
    TLS_RECORDS,
    TUNNEL,
    WEBSOCKET,
)
from shared.kernels import inlined, kernel

ONE = np.uint64(1)
HTTP, WEBSOCKET_SERVICE, DNS, TLS, HTTPS = (
    SERVICES.index(name) for name in ("http", "websocket", "dns", "tls", "https")
)


@inlined
def protocol_for(flow: Any) -> Any:
    """The parser of a TCP stream's service."""
    if flow.service == HTTP or flow.service == WEBSOCKET_SERVICE:
        return HTTP1
    if flow.service == TLS or flow.service == HTTPS:
        return TLS_RECORDS
    if flow.service == DNS:
        return DNS_MESSAGES
    return NO_PARSER


@inlined
def clear_parser(parser: Any, row: Any, protocol: Any) -> Any:
    """As new."""
    for side in range(2):
        parser.next[side] = np.uint64(0)
        parser.wait[side] = np.uint64(0)
        parser.open[side] = np.uint64(0)
        parser.phase[side] = np.uint8(0)
    for i in range(10):
        parser.work[i] = np.uint64(0)
    parser.row = np.uint32(row)
    parser.protocol = np.uint8(protocol)


@kernel
def assign_parsers(t: ShardColumns) -> None:
    """A parser for every TCP stream of the batch's groups whose service has one.

    It begins at each direction's first byte, if what came before this batch is retained: a service
    may be told later than its bytes came.
    """
    t.state[EARLIER] = np.uint64(0)
    if t.config[PARSES] == 0:
        return
    for i in range(t.state[GROUPS]):
        row = np.int64(t.groups[i].flow)
        flow = t.flows[row]
        if t.parser_of[row] != 0 or flow.proto != TCP:
            continue
        protocol = protocol_for(flow)
        if protocol == NO_PARSER and may_begin_tls(t, t.groups[i]):
            protocol = TUNNEL
        if protocol == NO_PARSER:
            continue
        if t.state[FREE_PARSERS] != np.uint64(0):
            t.state[FREE_PARSERS] -= ONE
            index = np.uint64(t.free_parsers[t.state[FREE_PARSERS]])
        elif t.state[USED_PARSERS] < np.uint64(t.parsers.size):
            index = t.state[USED_PARSERS]
            t.state[USED_PARSERS] += ONE
        else:
            t.counters[C_PARSERS_FULL] += ONE
            continue
        clear_parser(t.parsers[index], row, protocol)
        if protocol == TUNNEL:
            begin_late(t.parsers[index], t.groups[i])
        else:
            first = np.int64(t.groups[i].dir)
            for side in (1 - first, first):
                take_again(t, row, side, 0, came_before(t, row, side))
        t.parser_of[row] = np.uint32(index + ONE)


@kernel
def end_parsers(t: ShardColumns) -> None:
    """Finish what is open in streams that are over, and give their parsers back."""
    for i in range(t.state[DIRTY]):
        row = np.int64(t.dirty[i])
        if t.flows[row].reason == 0 or t.parser_of[row] == 0:
            continue
        parser = t.parsers[np.uint64(t.parser_of[row]) - ONE]
        for side in range(2):
            t.state[IN_GROUP] = np.uint64(0)
            if parser.protocol == HTTP1:
                end_http1(t, parser, row, side)
            elif parser.protocol == WEBSOCKET:
                end_websocket(t, parser, row, side)
            elif parser.open[side] != np.uint64(0):
                end = t.dirs[row * 2 + side].offset
                finish(t, parser.open[side] - ONE, MESSAGE_PARTIAL, NOTE_END, end, end)
        drop_parser(t, row)


@kernel
def collect_messages(t: ShardColumns) -> int:
    """Fill told, told_ends and told_text with finished messages; returns how many.

    Goes on behind the last call's; 0 = all are told, and `finished` is empty again.
    """
    count = np.uint64(0)
    size = np.uint64(t.text.size)
    t.state[TOLD_TEXT] = np.uint64(0)
    while t.state[TOLD] < t.state[FINISHED] and count < np.uint64(t.told.size):
        at = row_of(t, t.finished[t.state[TOLD]])
        if at < 0:  # newer ones took its place within one batch
            t.counters[C_UNTOLD] += ONE
            t.state[TOLD] += ONE
            continue
        message, row = t.messages[at], t.told[count]
        length = np.uint64(message.text_len)
        if message.text + size < t.state[TEXT_HEAD]:
            length = np.uint64(0)
        to = t.state[TOLD_TEXT]
        if to + length > np.uint64(t.told_text.size):
            break
        t.told[count] = message
        begin = message.text % size
        for k in range(length):
            t.told_text[to + np.uint64(k)] = t.text[begin + np.uint64(k)]
        row.text = to
        if length == np.uint64(0):
            row.text_len = np.uint16(0)
            row.name_len = np.uint16(0)
        t.state[TOLD_TEXT] = to + length
        name_ends(t.told_ends[count], t.flows[np.uint64(message.row)])
        count += ONE
        t.state[TOLD] += ONE
    if count == np.uint64(0):
        t.state[TOLD] = np.uint64(0)
        t.state[FINISHED] = np.uint64(0)
    return int(count)
