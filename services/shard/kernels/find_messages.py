"""Which messages of the ring: those of one stream, and those that pass a filter.

Both walk from the newest message backwards, and write numbers of messages; what a number stands
for is read from the ring right behind, before the next batch can write over it.
"""

from typing import Any

import numpy as np

from services.shard.kernels.messages import row_of
from services.shard.kernels.state import MESSAGES, TEXT_HEAD, ShardColumns
from shared.columns import I64, U8, U64, OutU64
from shared.kernels import inlined, kernel

LOW_32 = np.uint64(0xFFFFFFFF)
ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)
UPPER_A, UPPER_Z, LOWER, DOT, COLON = (np.uint8(ord(c)) for c in "AZ .:")


@kernel
def list_messages(
    t: ShardColumns, row: int, first: int, spans: U64, numbers: OutU64, oldest: OutU64
) -> int:
    """The messages of one stream from ordinal `first` on that begin within `spans`.

    spans: (4,) logical offsets [low, high) of a_to_b, then of b_to_a. numbers: filled round and
    round from the newest message backwards: when there are more than fit, those with the lowest
    ordinals stay. Returns how many there are. oldest: (1,) lowest ordinal from `first` on that the
    ring still has, whatever the spans; the stream's message count if it has none.
    """
    room = np.uint64(numbers.size)
    stream_id = t.flows[row].stream_id
    newest = t.state[MESSAGES]
    low = np.uint64(t.last_message[row])
    ordinal = np.int64(t.message_count[row])
    oldest[0] = np.uint64(ordinal)
    count = ZERO
    while low != ZERO and ordinal > first:
        behind = (newest - low) & LOW_32
        if behind >= newest:
            break
        at = row_of(t, newest - behind - ONE)
        if at < 0:
            break
        message = t.messages[at]
        ordinal -= 1
        if message.stream_id != stream_id or np.int64(message.ordinal) != ordinal:
            break
        oldest[0] = np.uint64(ordinal)
        side = np.uint64(message.dir) * TWO
        if message.start >= spans[side] and message.start < spans[side + ONE]:
            numbers[count % room] = newest - behind - ONE
            count += ONE
        low = np.uint64(message.previous)
    return int(count)


@inlined
def folded(octet: Any) -> Any:
    """An ASCII letter in lower case, anything else as it is."""
    if octet >= UPPER_A and octet <= UPPER_Z:
        return np.uint8(octet | LOWER)
    return np.uint8(octet)


@inlined
def stands_at(text: Any, at: Any, needle: Any) -> Any:
    """Whether the needle, in lower case, is there, in any case."""
    for i in range(needle.size):
        if folded(text[at + np.uint64(i)]) != needle[i]:
            return False
    return True


@inlined
def holds(text: Any, at: Any, length: Any, needle: Any) -> Any:
    """Whether the needle is anywhere in text[at : at + length]."""
    size = np.uint64(needle.size)
    if size > length:
        return False
    for i in range(length - size + ONE):
        if stands_at(text, at + np.uint64(i), needle):
            return True
    return False


@inlined
def is_host(text: Any, at: Any, length: Any, host: Any) -> Any:
    """Whether a name is the host, or one below its domain; a port that only the name has is none
    of its."""
    size = np.uint64(host.size)
    has_port = False
    for i in range(size):
        has_port |= host[np.uint64(i)] == COLON
    if not has_port:
        for i in range(length):
            if text[at + np.uint64(i)] == COLON:
                length = np.uint64(i)
                break
    if length < size:
        return False
    begin = at + length - size
    if length > size and text[begin - ONE] != DOT and host[ZERO] != DOT:
        return False
    return stands_at(text, begin, host)


@kernel
def find_messages(
    t: ShardColumns,
    before: int,
    looks: int,
    wanted: I64,
    prefix: U8,
    host: U8,
    text: U8,
    numbers: OutU64,
    next_before: OutU64,
) -> int:
    """The newest messages before number `before` that pass; returns how many.

    wanted: (3,) protocol, kind, code; -1 = any. prefix: what the text begins with; host: its name;
    text: what is in it; all in lower case, empty = any.
    looks: how many messages are looked at, at most. numbers: filled from the newest on.
    next_before: (1,) where to go on; 0 = there is nothing before.
    """
    size, room = np.uint64(t.messages.size), np.uint64(numbers.size)
    newest, texts = t.state[MESSAGES], np.uint64(t.text.size)
    oldest = newest - size if newest > size else ZERO
    number = min(np.uint64(before), newest)
    left, count = np.uint64(looks), ZERO
    while number > oldest and left != ZERO and count < room:
        number -= ONE
        left -= ONE
        message = t.messages[number % size]
        if wanted[0] >= 0 and np.int64(message.protocol) != wanted[0]:
            continue
        if wanted[1] >= 0 and np.int64(message.kind) != wanted[1]:
            continue
        if wanted[2] >= 0 and np.int64(message.code) != wanted[2]:
            continue
        length, name = np.uint64(message.text_len), np.uint64(message.name_len)
        if message.text + texts < t.state[TEXT_HEAD]:  # newer texts went over it
            length = name = ZERO
        begin = message.text % texts
        if prefix.size:
            if length < np.uint64(prefix.size) or not stands_at(t.text, begin, prefix):
                continue
        if host.size and not is_host(t.text, begin + length - name, name, host):
            continue
        if text.size and not holds(t.text, begin, length, text):
            continue
        numbers[count] = number
        count += ONE
    next_before[0] = number if number > oldest else ZERO
    return int(count)
