"""The shard's memory, all of it allocated at the start: flow table, content rings, scratch."""

import numpy as np
from numpy.typing import NDArray

from services.shard.kernels import state as s
from services.shard.kernels.content import HEADER
from services.shard.kernels.services import HEAD_UPTO, port_services
from shared.columns import (
    CHUNK,
    DIRECTION,
    ENDPOINTS,
    EVENT,
    FLOW,
    GROUP,
    HELD,
    LINK,
    MESSAGE,
    MESSAGE_TEXT_MAX,
    PARSER,
    PREVIEW,
    PREVIEW_BYTES,
)
from shared.memory import Filling, Pages, rows_of, zeros
from shared.settings import Settings

FIRST_BYTES = 65536  # of each direction: kept in a ring of their own, away from elephants
TWO_RINGS_FROM = 64 << 20  # a smaller budget is one ring
LEAST_CONTENT = 4096  # below this nothing is retained
PASSING_BYTES = 4 << 20  # held all the same, for those who look at content as it passes
LONGEST_EXTENT = 65536
NODES = 65535  # out-of-order pieces of all flows; a row names one in 16 bits
GHOSTS = 1 << 18  # evicted flows whose incarnation is remembered
EARLIER_MOST = 8192  # extents from before a batch that new parsers take in it
QUIET_NS = 1_000_000_000
AHEAD = 128 << 10  # bytes of each table that a batch has pages for
TEXT_OF_MESSAGE = 96  # bytes of the text ring for each message of the ring
FINISHED_MAX = 65536  # messages of one batch that are told
TOLD_AT_ONCE = 8192
BATCHES_TOLD_AT_ONCE = 4  # at most, where they wait already


class Tables:
    """Columns of one shard; kernels fill them, `Worker` hands them over."""

    def __init__(self, settings: Settings, shards: int) -> None:
        self.settings, self.shards = settings, shards
        rows = settings.max_flows
        slots = 1 << max(4, (2 * rows - 1).bit_length())
        held = settings.max_tcp_out_of_order_segments_per_direction
        batch = settings.batch_size
        self.budget = 0 if settings.disable_stream_content else settings.max_stream_content_bytes
        self.budget = self.budget // shards & ~7
        self.retains = self.budget >= LEAST_CONTENT
        flows, dirs = Pages(FLOW.itemsize * rows), Pages(2 * DIRECTION.itemsize * rows)
        self.flows, self.dirs = flows.bytes.view(FLOW), dirs.bytes.view(DIRECTION)
        self.links = rows_of(LINK, rows)  # pages without a favourite cost nothing
        self.slots = zeros(8 * slots).view(np.uint64)
        self.free = np.zeros(rows, np.uint32)
        self.ghosts = np.zeros(GHOSTS, np.uint64)
        self.nodes = rows_of(HELD, NODES)
        self.groups = rows_of(GROUP, 2 * batch + 8 * held + 1024)
        self.earlier = rows_of(GROUP, EARLIER_MOST)
        self.chunks = rows_of(CHUNK, 2 * batch + 8 * held + 1024)
        self.dirty = np.zeros(BATCHES_TOLD_AT_ONCE * (2 * batch + 4096), np.uint32)
        self.victims = np.zeros(max(1, min(1024, rows // 8)), np.uint32)
        self.events = rows_of(EVENT, 2 * self.dirty.size)
        self.previews = rows_of(PREVIEW, BATCHES_TOLD_AT_ONCE * self.groups.size)
        self.preview_bytes = zeros(self.previews.size * PREVIEW_BYTES)
        self.preview_fill = np.zeros(2, np.uint64)
        self.head = np.zeros(HEAD_UPTO, np.uint8)
        self.state = np.zeros(s.STATE_LEN, np.uint64)
        self.counters = np.zeros(len(s.COUNTERS), np.uint64)
        self.port_service = port_services()
        messages, text = self._allocate_messages(settings, shards)
        self.ring_bytes = self.budget if self.retains else PASSING_BYTES
        ring = Pages(self.ring_bytes)
        self.ring8, self.ring64 = ring.bytes, ring.bytes.view(np.uint64)
        self.config = self._config(settings, slots)
        first = int(self.config[s.RING_0])
        # what is filled, where `state` says how far, and the bytes of one
        self._rings = (Filling(ring, 0, first), s.HEAD_0), (Filling(ring, first), s.HEAD_1)
        self._filling = (
            (Filling(flows), s.USED_ROWS, FLOW.itemsize),
            (Filling(dirs), s.USED_ROWS, 2 * DIRECTION.itemsize),
            (Filling(messages), s.MESSAGES, MESSAGE.itemsize),
            (Filling(text), s.TEXT_HEAD, 1),
        )
        self.columns = s.ShardColumns(*(getattr(self, name) for name in s.ShardColumns._fields))

    def _allocate_messages(self, settings: Settings, shards: int) -> tuple[Pages, Pages]:
        """What parsers work on; the pages of messages and of their text. Those that no parser
        touches cost nothing."""
        rows = settings.max_flows
        self.parses = not (settings.disable_stream_parser or settings.disable_stream_inventory)
        kept = max(64, settings.max_messages // shards) if self.parses else 1
        parsers = max(1, settings.max_parser_states // shards) if self.parses else 1
        self.parsers = rows_of(PARSER, parsers)
        self.free_parsers = zeros(4 * parsers).view(np.uint32)
        self.parser_of = zeros(4 * rows).view(np.uint32)
        self.last_message = zeros(4 * rows).view(np.uint32)
        self.message_count = zeros(4 * rows).view(np.uint32)
        messages = Pages(MESSAGE.itemsize * kept)
        text = Pages(max(kept * TEXT_OF_MESSAGE, 4 * MESSAGE_TEXT_MAX))
        self.messages, self.text = messages.bytes.view(MESSAGE), text.bytes
        self.finished = zeros(8 * FINISHED_MAX).view(np.uint64)
        self.told = rows_of(MESSAGE, TOLD_AT_ONCE)
        self.told_ends = rows_of(ENDPOINTS, TOLD_AT_ONCE)
        self.told_text = zeros(TOLD_AT_ONCE * TEXT_OF_MESSAGE + MESSAGE_TEXT_MAX)
        self.unit = zeros((settings.max_http1_header_bytes + 65536 + 7) & ~7)
        self.unit64 = self.unit.view(np.uint64)
        return messages, text

    def _config(self, settings: Settings, slots: int) -> NDArray[np.int64]:
        config = np.zeros(s.CONFIG_LEN, np.int64)
        first = self.ring_bytes // 2 & ~7 if self.ring_bytes >= TWO_RINGS_FROM else self.ring_bytes
        config[s.MAX_ROWS] = settings.max_flows
        config[s.INDEX_MASK] = slots - 1
        config[s.IDLE_NS] = settings.flow_idle_timeout_ms * 1_000_000
        config[s.MAX_HELD_BYTES] = settings.max_tcp_buffered_bytes_per_flow
        config[s.MAX_HELD_SEGMENTS] = settings.max_tcp_out_of_order_segments_per_direction
        config[s.RING_0] = first
        config[s.RING_1] = self.ring_bytes - first
        config[s.RING_0_UPTO] = FIRST_BYTES if first < self.ring_bytes else 1 << 62
        config[s.MAX_EXTENT] = min(LONGEST_EXTENT, first // 4 - HEADER) & ~7
        config[s.PREVIEW_UPTO] = settings.stream_preview_bytes
        config[s.UPDATE_PACKETS] = settings.stream_update_packets
        config[s.UPDATE_BYTES] = settings.stream_update_bytes
        config[s.QUIET_NS] = QUIET_NS
        config[s.STREAM_CAP] = settings.max_stream_content_bytes_per_stream
        config[s.PARSES] = self.parses
        config[s.MAX_HEADER] = settings.max_http1_header_bytes
        config[s.MAX_IN_GROUP] = settings.max_parser_messages_per_chunk
        return config

    def expect(self, octets: int, packets: int) -> None:
        """So much payload of so many packets is coming: have pages for it, and for some streams."""
        need = octets + packets * (HEADER + 8)
        for ring, head in self._rings:
            ring.reach(int(self.state[head]) + need)
        for part, filled, width in self._filling:
            if self.state[filled]:
                part.reach(int(self.state[filled]) * width + AHEAD)

    def used_content(self) -> int:
        """Bytes of the rings that hold content, headers included."""
        heads = int(self.state[s.HEAD_0]) + int(self.state[s.HEAD_1])
        return heads - int(self.state[s.TAIL_0]) - int(self.state[s.TAIL_1])
