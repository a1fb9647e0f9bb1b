"""What the first bytes of a direction say: preview, text or binary, service."""

from typing import Any

import numpy as np

from services.shard.kernels.content import HEADER, direction_of, is_there, place
from services.shard.kernels.services import HEAD_UPTO, detect
from services.shard.kernels.state import GROUPS, PREVIEW_UPTO, ShardColumns
from services.shard.kernels.track import mark_dirty
from shared.columns import (
    BINARY_KIND,
    CHANGED,
    MIXED_KIND,
    SERVICE_BY_PAYLOAD,
    TCP,
    TEXT_CONTROL,
    TEXT_HEAD,
    TEXT_INVALID,
    TEXT_KIND,
    TEXT_SEEN,
    UNKNOWN_KIND,
    UTF8_SHIFT,
)
from shared.kernels import inlined, kernel
from shared.kernels.plain_text import is_plain

KIND_UPTO = 4096  # bytes of a direction that decide its content kind
HEAD_EXTENTS = 1024  # how far back in a stream its first bytes are looked for
HEAD_BYTES = 8  # printable bytes with which a direction is said to begin as text
LOW_32 = np.uint64(0xFFFFFFFF)
# states of the UTF-8 machine (RFC 3629 §4): 0 between characters, 1-3 that many tails to come,
# then the second bytes that are restricted: after E0, ED, F0, F4
E0, ED, F0, F4, BAD = 4, 5, 6, 7, 8
FLAGS = (1 << UTF8_SHIFT) - 1  # of DIRECTION.text


@inlined
def utf8_step(step: Any, byte: Any) -> Any:
    """One byte further."""
    if step == 0:
        if byte < 0x80:
            return 0
        if 0xC2 <= byte <= 0xDF:
            return 1
        if byte == 0xE0:
            return E0
        if byte == 0xED:
            return ED
        if 0xE1 <= byte <= 0xEF:
            return 2
        if byte == 0xF0:
            return F0
        if byte == 0xF4:
            return F4
        if 0xF1 <= byte <= 0xF3:
            return 3
        return BAD
    low, high, following = 0x80, 0xBF, 0
    if step == 2:
        following = 1
    elif step == 3:
        following = 2
    elif step == E0:
        low, following = 0xA0, 1
    elif step == ED:
        high, following = 0x9F, 1
    elif step == F0:
        low, following = 0x90, 2
    elif step == F4:
        high, following = 0x8F, 2
    return following if low <= byte <= high else BAD


@inlined
def is_control(byte: Any) -> Any:
    """C0 controls that text does not hold: all but TAB, LF, VT, FF, CR and ESC; and DEL."""
    return (byte < 32 and not (9 <= byte <= 13) and byte != 27) or byte == 127


@inlined
def kind_of(text: Any) -> Any:
    """Content kind of a direction from what its first 4 KiB showed."""
    if text & TEXT_SEEN == 0:
        return UNKNOWN_KIND
    if text & (TEXT_CONTROL | TEXT_INVALID) == 0:
        return TEXT_KIND
    return MIXED_KIND if text & TEXT_HEAD else BINARY_KIND


@inlined
def classify(t: Any, mine: Any, start: Any, at: Any, length: Any) -> Any:
    """Feed bytes at logical offset `start` to the direction's text state; whether its kind changed.

    The first byte that is not text decides: what follows cannot change the kind.
    """
    before = mine.text & FLAGS
    if before & (TEXT_CONTROL | TEXT_INVALID):
        return False
    mine.text |= np.uint8(TEXT_SEEN)
    if mine.text >> UTF8_SHIFT == 0 and is_plain(t.ring8, at, np.uint64(length)):
        if start < HEAD_BYTES <= start + length:
            mine.text |= np.uint8(TEXT_HEAD)
        return kind_of(mine.text) != kind_of(before)
    step = np.int64(mine.text >> UTF8_SHIFT)
    for i in range(length):
        byte = np.int64(t.ring8[at + np.uint64(i)])
        step = utf8_step(step, byte)
        if step == BAD:
            mine.text |= np.uint8(TEXT_INVALID)
            break
        if is_control(byte):
            mine.text |= np.uint8(TEXT_CONTROL)
            break
        if start + i == HEAD_BYTES - 1:
            mine.text |= np.uint8(TEXT_HEAD)
    mine.text = np.uint8((mine.text & FLAGS) | step << UTF8_SHIFT)
    return kind_of(mine.text) != kind_of(before)


@inlined
def read_head(t: Any, row: Any, direction: Any, stop: Any) -> Any:
    """Copy the direction's first `stop` bytes from the log into `head`; whether all were there."""
    missing = stop
    reference = t.flows[row].chain[0]  # ring 0 has the beginnings
    for _ in range(HEAD_EXTENTS):
        if missing == 0 or not is_there(t, reference):
            break
        word = place(t, reference) >> np.uint64(3)
        owner = t.ring64[word + np.uint64(3)]
        begin = np.int64(t.ring64[word + np.uint64(1)])
        if direction_of(t, word) == np.uint64(direction) and begin < stop:
            length = min(np.int64(owner & LOW_32), stop - begin)
            at = (word << np.uint64(3)) + np.uint64(HEADER)
            for i in range(length):
                t.head[begin + i] = t.ring8[at + np.uint64(i)]
            missing -= length
        reference = t.ring64[word]
    return missing == 0


@inlined
def service_of(
    t: Any, flow: Any, row: Any, direction: Any, start: Any, at: Any, length: Any
) -> Any:
    """What the direction's bytes up to the end of this group tell; 0 = nothing.

    A first message that came in several pieces is put together: how it was cut must not matter.
    """
    octets, begin, known = t.ring8, at, length
    if start > 0:
        if flow.proto != TCP:
            return 0
        octets, begin, known = t.head, np.uint64(0), min(start + length, HEAD_UPTO)
        if not read_head(t, row, direction, known):
            return 0
    return detect(octets, flow, begin, known)


@inlined
def add_preview(t: Any, row: Any, direction: Any, start: Any, at: Any, length: Any) -> Any:
    """Append a piece to the preview: what of it there is room for. Whether there was any."""
    wanted = min(length, t.config[PREVIEW_UPTO] - start)
    if wanted <= 0 or t.preview_fill[0] >= np.uint64(t.previews.size):
        return False
    to = t.preview_fill[1]
    if to + np.uint64(wanted) > np.uint64(t.preview_bytes.size):
        return False
    piece = t.previews[t.preview_fill[0]]
    piece.row = np.uint32(row)
    piece.off = np.uint32(to)
    piece.start = np.uint16(start)
    piece.len = np.uint16(wanted)
    piece.dir = np.uint8(direction)
    for k in range(wanted):
        t.preview_bytes[to + np.uint64(k)] = t.ring8[at + np.uint64(k)]
    t.preview_fill[0] += np.uint64(1)
    t.preview_fill[1] += np.uint64(wanted)
    return True


@inlined
def preview_again(t: Any, row: Any) -> Any:
    """Both directions' previews, as far as the log still has them.

    The beginning is at the end of the chain, so all of it is walked: over all streams that is every
    extent of the ring once.
    """
    reference = t.flows[row].chain[0]
    while is_there(t, reference):
        word = place(t, reference) >> np.uint64(3)
        start = np.int64(t.ring64[word + np.uint64(1)])
        direction = np.int64(direction_of(t, word))
        if start < np.int64(t.dirs[row * 2 + direction].offset):  # else it is held yet
            length = np.int64(t.ring64[word + np.uint64(3)] & LOW_32)
            at = (word << np.uint64(3)) + np.uint64(HEADER)
            add_preview(t, row, direction, start, at, length)
        reference = t.ring64[word]


@kernel
def inspect_groups(t: ShardColumns) -> None:
    """Look at the batch's groups that begin within the first 4 KiB of their direction.

    Appends to previews and preview_bytes; what does not fit there is left out of the preview.
    """
    for i in range(t.state[GROUPS]):
        group = t.groups[i]
        start = np.int64(group.start)
        if start >= KIND_UPTO or not is_there(t, group.extent):
            continue
        row, direction = np.int64(group.flow), np.int64(group.dir)
        flow, mine = t.flows[row], t.dirs[row * 2 + direction]
        at = place(t, group.extent) + np.uint64(HEADER)
        stored = np.int64(t.ring64[(at >> np.uint64(3)) - np.uint64(2)] & LOW_32)
        length = min(np.int64(group.len), stored)
        if classify(t, mine, start, at, min(length, KIND_UPTO - start)):
            flow.marks |= np.uint8(CHANGED)
        if start < HEAD_UPTO and flow.told_by >> 4 != SERVICE_BY_PAYLOAD:
            service = service_of(t, flow, row, direction, start, at, length)
            if service != 0:
                flow.told_by = np.uint8((flow.told_by & 15) | SERVICE_BY_PAYLOAD << 4)
                flow.service = np.uint8(service)
                flow.marks |= np.uint8(CHANGED)
        if add_preview(t, row, direction, start, at, length):
            mark_dirty(t, row)
