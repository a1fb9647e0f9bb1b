"""The content log keeps what its twin keeps, never more than its memory, and reads it back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shard.content import ContentReader
from services.shard.kernels import state as s
from services.shard.kernels.content import store_groups
from services.shard.kernels.favorites import set_favorites
from services.shard.tables import Tables
from shared.columns import LIVE
from tests.reference.content import Log
from tests.shard_harness import small

STREAMS = 3
FIRST, REST, UPTO, LONGEST = 1024, 1536, 300, 200
Message = tuple[int, int, int, list[int]]  # stream, side, gap before, lengths of its chunks


def tables(cap: int) -> Tables:
    """Two small rings: settings give the second only to a shard with a large budget."""
    result = Tables(small(max_stream_content_bytes=4096, batch_size=8), 1)
    config = result.config
    config[s.RING_0], config[s.RING_1] = FIRST, REST
    config[s.RING_0_UPTO], config[s.MAX_EXTENT], config[s.STREAM_CAP] = UPTO, LONGEST, cap
    return result


def payload_of(number: int, length: int) -> bytes:
    return bytes((number * 37 + i * 11) % 256 for i in range(length))


class Writer:
    """Groups as reassembly leaves them, one after the other."""

    def __init__(self, given_tables: Tables) -> None:
        self.tables = given_tables
        self.offsets = [[0, 0] for _ in range(STREAMS)]
        self.number = 0
        for stream in range(STREAMS):
            given_tables.flows[stream]["stream_id"] = stream + 1
            given_tables.flows[stream]["marks"] = LIVE

    def star(self, stream: int, wanted: bool, log: Log) -> None:
        rows, ids = np.array([stream], np.uint32), np.array([stream + 1], np.uint64)
        changed = set_favorites(self.tables.columns, rows, ids, wanted)
        assert changed == (wanted != (stream in log.favorites))
        log.favorites = log.favorites | {stream} if wanted else log.favorites - {stream}

    def batch(self, messages: list[Message], log: Log) -> None:
        t, payload = self.tables, bytearray(b"?")
        groups = chunks = 0
        for stream, side, gap, lengths in messages:
            group, octets = t.groups[groups], b""
            groups += 1
            start = self.offsets[stream][side] + gap
            group["extent"], group["start"], group["ts_ns"] = 0, start, self.number
            group["flow"], group["dir"], group["first"] = stream, side, chunks + 1
            for i, length in enumerate(lengths):
                piece = payload_of(self.number, length)
                t.chunks[chunks]["off"], t.chunks[chunks]["len"] = len(payload), length
                chunks += 1
                t.chunks[chunks - 1]["next"] = 0 if i == len(lengths) - 1 else chunks + 1
                payload += piece
                octets += piece
                self.number += 1
            group["len"], group["last"] = len(octets), chunks
            log.store(stream, side, start, int(group["ts_ns"]), octets)
            self.offsets[stream][side] = start + len(octets)
            t.dirs[2 * stream + side]["offset"] = self.offsets[stream][side]
        t.state[s.GROUPS], t.state[s.CHUNKS] = groups, chunks
        store_groups(t.columns, np.frombuffer(bytes(payload), np.uint8))
        t.state[s.GROUPS] = t.state[s.CHUNKS] = 0


messages = st.tuples(
    st.integers(0, STREAMS - 1),
    st.integers(0, 1),
    st.sampled_from((0, 0, 0, 0, 1, 50)),
    st.lists(st.sampled_from((1, 7, 8, 9, 64, 130, 500)), min_size=1, max_size=4),
)


stars = st.tuples(st.integers(0, STREAMS - 1), st.booleans())
steps = st.lists(st.one_of(st.lists(messages, max_size=6), stars), max_size=16)


@pytest.mark.property
@given(steps, st.sampled_from((1 << 20, 500, 90, 0)))
def test_retained_content(steps: list[list[Message] | tuple[int, bool]], cap: int) -> None:
    """What is written, and made a favourite or none, in any order."""
    t = tables(cap)
    log = Log((FIRST, REST), UPTO, LONGEST, cap)
    writer, reader = Writer(t), ContentReader(t)
    for step in steps:
        if isinstance(step, tuple):
            writer.star(*step, log)
        else:
            writer.batch(step, log)
        for stream in range(STREAMS):
            check_stream(reader, log, stream)
        check_bounds(t, log)


def check_stream(reader: ContentReader, log: Log, stream: int) -> None:
    """Its extents are its twin's."""
    kept = log.retained(stream)
    for side in (0, 1):
        mine = sorted((extent for extent in kept if extent.side == side), key=lambda e: e.start)
        found = reader.extents(stream, side)
        assert found.starts.tolist() == [extent.start for extent in mine]
        assert found.times.tolist() == [extent.ts_ns for extent in mine]
        octets = [
            reader.tables.ring8[at : at + length].tobytes()
            for at, length in zip(found.places, found.lengths, strict=True)
        ]
        assert octets == [extent.octets for extent in mine]
        assert found.retained[side] == sum(len(extent.octets) for extent in mine)


def check_bounds(t: Tables, log: Log) -> None:
    """No byte outside of the rings; what favourites take is counted."""
    assert not t.ring8[FIRST + REST :].any(), "written behind the rings"
    assert t.used_content() <= FIRST + REST
    for i, ring in enumerate(log.rings):
        mine = [extent.need for extent in ring.extents if extent.stream in log.favorites]
        assert int(t.state[s.FAVORITE_0 + i]) == sum(mine)
        assert sum(mine) <= ring.size


@pytest.mark.property
@given(st.lists(messages, max_size=12), st.integers(0, 700), st.integers(0, 700), st.integers(0, 2))
def test_windows(batch: list[Message], start: int, length: int, stream: int) -> None:
    """Any window is the whole direction, clipped; segments and gaps fill it between them."""
    t = tables(1 << 20)
    log = Log((FIRST, REST), UPTO, LONGEST, 1 << 20)
    writer, reader = Writer(t), ContentReader(t)
    for message in batch:
        writer.batch([message], log)
    for side in (0, 1):
        known = {
            extent.start + i: byte
            for extent in log.retained(stream)
            if extent.side == side
            for i, byte in enumerate(extent.octets)
        }
        window = reader.window(stream, side, start, length)
        end = writer.offsets[stream][side]
        assert (window.start, window.end_of_stream) == (start, end)
        assert window.stop == max(start, min(start + length, end))
        places = [at for low, high in window.segments for at in range(low, high)]
        assert places == sorted(at for at in known if start <= at < window.stop)
        assert window.data == bytes(known[at] for at in places)
        missing = [at for low, high in window.gaps for at in range(low, high)]
        assert sorted(places + missing) == list(range(start, window.stop))
        edges = [edge for segment in window.segments for edge in segment]
        assert edges == sorted(set(edges)), "adjacent segments are one"
