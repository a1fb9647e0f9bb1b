"""Every dtype and column table of the system, with units; they are written here and nowhere else.

A kernel's parameters carry these names, and the same names are its compiled signature: an `In`
column is C-contiguous and may be read-only (a ZeroMQ frame is), an `Out` column is writable.
All rows are little-endian and naturally aligned; their sizes are asserted below, because they
are also the wire format (`shared.schema.SCHEMA_VERSION` changes when one of them does).
"""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray

U8 = Annotated[NDArray[np.uint8], "in"]
U16 = Annotated[NDArray[np.uint16], "in"]
U32 = Annotated[NDArray[np.uint32], "in"]
U64 = Annotated[NDArray[np.uint64], "in"]
I64 = Annotated[NDArray[np.int64], "in"]
OutU8 = Annotated[NDArray[np.uint8], "out"]
OutU16 = Annotated[NDArray[np.uint16], "out"]
OutU32 = Annotated[NDArray[np.uint32], "out"]
OutU64 = Annotated[NDArray[np.uint64], "out"]
OutI64 = Annotated[NDArray[np.int64], "out"]

# --------------------------------------------------------------------------------------------
# A record of a capture file or ring: where the frame lies in the batch's bytes. 24 bytes.
RECORD = np.dtype(
    [
        ("ts_ns", "<i8"),  # nanoseconds since the epoch
        ("off", "<u4"),  # first byte of the frame in the batch's bytes
        ("caplen", "<u4"),  # bytes captured
        ("wirelen", "<u4"),  # bytes on the wire
        (
            "link",
            "<u2",
        ),  # link type, LINKTYPE_* of https://www.tcpdump.org/linktypes.html
        ("source", "<u2"),  # index of the source it came from
    ],
    align=True,
)
Records = Annotated[NDArray[np.void], "in", RECORD]
OutRecords = Annotated[NDArray[np.void], "out", RECORD]

# --------------------------------------------------------------------------------------------
# A decoded packet: one for every record, in the same order. 88 bytes. This is what crosses from
# capture to shard, together with the transport payload and nothing else.
PACKET = np.dtype(
    [
        ("ts_ns", "<i8"),
        (
            "addr_a_hi",
            "<u8",
        ),  # canonical endpoint a: IPv6 address as two big-endian halves,
        ("addr_a_lo", "<u8"),  # IPv4 right-aligned (hi = 0, lo = the 32 bits)
        ("addr_b_hi", "<u8"),
        ("addr_b_lo", "<u8"),
        (
            "hash",
            "<u8",
        ),  # of the flow key, direction-free; chooses the shard and the table slot
        ("seq", "<u4"),  # TCP sequence number
        ("ack", "<u4"),  # TCP acknowledgement number
        (
            "payload_off",
            "<u4",
        ),  # first payload byte in the batch's bytes (held: of the IP header)
        (
            "payload_len",
            "<u4",
        ),  # payload bytes captured (held: captured bytes of the IP packet)
        (
            "payload_wire",
            "<u4",
        ),  # payload bytes on the wire, by the headers' own lengths
        ("wirelen", "<u4"),
        ("caplen", "<u4"),
        ("port_a", "<u2"),
        ("port_b", "<u2"),
        ("proto", "u1"),  # IP protocol number: 6, 17, 1, 58
        ("family", "u1"),  # 4 or 6
        ("flags", "u1"),  # TCP flags, RFC 9293 §3.1
        ("dir", "u1"),  # 0 = a_to_b, 1 = b_to_a
        ("status", "u1"),  # one of the decode statuses below
        ("tunnels", "u1"),  # how many tunnels were entered
        ("source", "<u2"),
    ],
    align=True,
)
Packets = Annotated[NDArray[np.void], "in", PACKET]
OutPackets = Annotated[NDArray[np.void], "out", PACKET]

# A row of a packet ring's index (`shared.packet_ring`): one for each packet of a segment, in order.
# 24 bytes; the hash of its flow stands in a column of its own, which is what a look-up reads.
RING_ROW = np.dtype(
    [
        ("number", "<u8"),  # of the packet in the run
        ("ts_ns", "<i8"),
        ("off", "<u4"),  # first byte of the frame in the segment's pcap file
        ("caplen", "<u4"),  # bytes captured
    ],
    align=True,
)
OutRingRows = Annotated[NDArray[np.void], "out", RING_ROW]

# Decode statuses: each packet gets exactly one.
(
    PARSED,
    NON_IP,
    FRAGMENT_HELD,
    UNSUPPORTED_TRANSPORT,
    TRUNCATED,
    MALFORMED,
    UNSUPPORTED_LINK,
) = range(7)
DECODE_STATUSES = (
    "parsed",
    "non_ip",
    "fragment_held",
    "unsupported_transport",
    "truncated",
    "malformed",
    "unsupported_link",
)

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
PROTOCOLS = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMPV6: "icmpv6"}
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

# --------------------------------------------------------------------------------------------
# One stream in a shard's flow table. 104 bytes; its two directions are rows 2i and 2i+1 below.
FLOW = np.dtype(
    [
        ("addr_a_hi", "<u8"),
        ("addr_a_lo", "<u8"),
        ("addr_b_hi", "<u8"),
        ("addr_b_lo", "<u8"),
        ("stream_id", "<u8"),
        ("first_ns", "<i8"),
        ("last_ns", "<i8"),
        ("chain", "<u8", 2),  # newest extent of the stream in each content ring; 0 = none
        ("hash", "<u4"),  # the half of the packet hash that the index keeps
        ("incarnation", "<u4"),
        ("group", "<u4"),  # 1 + the group this batch is appending to; 0 = none
        ("event_packets", "<u4"),  # packets when the last event was sent
        ("event_bytes", "<u4"),  # and bytes, their low 32 bits
        ("port_a", "<u2"),
        ("port_b", "<u2"),
        ("proto", "u1"),
        ("family", "u1"),
        ("status", "u1"),  # one of STATUSES
        ("client", "u1"),  # 0 = a, 1 = b
        ("service", "u1"),  # index into SERVICES
        ("marks", "u1"),  # bits below
        ("told_by", "u1"),  # low half: how the client was told, CLIENT_BY_*; high: SERVICE_BY_*
        ("reason", "u1"),  # REASONS: why the stream closes; 0 = it does not
    ],
    align=True,
)
Flows = Annotated[NDArray[np.void], "out", FLOW]

OPEN, CLOSING, CLOSED, RESET, ATTEMPT = range(5)
STATUSES = ("open", "closing", "closed", "reset", "attempt")
# bits of FLOW.marks
LIVE, DIRTY, OPEN_SENT, CLOSE_SENT, CHANGED, INDEXED, FAVORITE, LINKED = (1 << i for i in range(8))
CLIENT_BY_FIRST, CLIENT_BY_PORT, CLIENT_BY_SYN = range(3)

# What a shard knows of the content of a stream that is or was a favourite (LINKED), for each of the
# two content rings. 48 bytes.
LINK = np.dtype(
    [
        ("since", "<u8", 2),  # position of its first extent; what is before is not its own
        ("room", "<u8", 2),  # bytes of its extents, with their headers
        ("octets", "<u8", 2),  # and without them
    ],
    align=True,
)
Links = Annotated[NDArray[np.void], "out", LINK]

# One cache line.
DIRECTION = np.dtype(
    [
        ("bytes", "<u8"),  # on the wire
        ("payload_bytes", "<u8"),  # transport payload, retransmissions too
        ("offset", "<u8"),  # next logical offset: emitted bytes plus gaps
        ("gap_bytes", "<u8"),
        ("packets", "<u4"),
        ("next_seq", "<u4"),
        ("isn", "<u4"),
        ("peer_ack", "<u4"),  # highest acknowledgement by the other side
        ("gaps", "<u4"),
        ("retransmissions", "<u4"),
        ("held", "<u2"),  # 1 + first out-of-order node; 0 = none
        ("held_count", "<u2"),
        ("conflicts", "<u2"),
        ("marks", "u1"),  # bits below
        ("text", "u1"),  # of the first 4 KiB: bits of TEXT_*; above them the UTF-8 machine's state
    ],
    align=True,
)
Directions = Annotated[NDArray[np.void], "out", DIRECTION]
# bits of DIRECTION.marks
SAW_SYN, SAW_FIN, SAW_RST, STARTED, SAW_ACK = 1, 2, 4, 8, 16
FROM_SYN = 32  # the SYN came before all data: offset 0 is where the direction begins
SPEAKING = 64  # it spoke last, of a stream without a parser
CUT_SHORT = 128  # of some packet not all payload was captured
# bits of DIRECTION.text
TEXT_SEEN, TEXT_CONTROL, TEXT_INVALID, TEXT_HEAD = 1, 2, 4, 8  # HEAD: they begin as text
UTF8_SHIFT = 4
UNKNOWN_KIND, TEXT_KIND, MIXED_KIND, BINARY_KIND = range(4)
CONTENT_KINDS = ("unknown", "text", "mixed", "binary")

# An out-of-order piece, held until the hole before it is filled or declared a gap. 24 bytes.
HELD = np.dtype(
    [
        ("pos", "<u8"),  # its extent in the content log
        ("seq", "<u4"),
        ("len", "<u4"),
        (
            "next",
            "<u4",
        ),  # 1 + the next node of the direction, or of the free list; 0 = none
        ("pad", "<u4"),
    ],
    align=True,
)
HeldNodes = Annotated[NDArray[np.void], "out", HELD]

# A piece of in-order payload, one link of a group. 16 bytes.
CHUNK = np.dtype([("off", "<u4"), ("len", "<u4"), ("next", "<u4"), ("pad", "<u4")], align=True)
OutChunks = Annotated[NDArray[np.void], "out", CHUNK]

# What reassembly says of one stream in one batch: contiguous payload of one direction with no turn
# between. Either its bytes are chunks of the batch (`extent` = 0 until content stores them) or
# they lie in the content log already (released out-of-order data, `extent` > 0). 48 bytes.
GROUP = np.dtype(
    [
        ("extent", "<u8"),  # 1 + position of the extent in the content log
        ("start", "<u8"),  # logical offset
        ("ts_ns", "<i8"),  # time of its first packet
        ("len", "<u4"),
        ("flow", "<u4"),  # row in the flow table
        ("first", "<u4"),  # 1 + first chunk; 0 = bytes are in the log
        ("last", "<u4"),  # 1 + last chunk
        ("dir", "u1"),
        ("gap_before", "u1"),  # a gap was declared right before `start`
        ("pad", "u1", 2),
        ("previous", "<u4"),  # 1 + the stream's group before this one; 0 = none in this batch
    ],
    align=True,
)
OutGroups = Annotated[NDArray[np.void], "out", GROUP]

# --------------------------------------------------------------------------------------------
# A stream as the coordinator is told of it: a full snapshot with every event. 184 bytes.
EVENT = np.dtype(
    [
        ("stream_id", "<u8"),
        ("addr_a_hi", "<u8"),
        ("addr_a_lo", "<u8"),
        ("addr_b_hi", "<u8"),
        ("addr_b_lo", "<u8"),
        ("first_ns", "<i8"),
        ("last_ns", "<i8"),
        ("bytes", "<u8", 2),  # [a_to_b, b_to_a], and so below
        ("payload_bytes", "<u8", 2),
        ("stream_bytes", "<u8", 2),
        ("gap_bytes", "<u8", 2),
        ("packets", "<u4", 2),
        ("gaps", "<u4", 2),
        ("conflicts", "<u4", 2),
        ("retransmissions", "<u4", 2),
        ("row", "<u4"),  # row in the shard's flow table: names the stream to its shard
        ("incarnation", "<u4"),
        ("port_a", "<u2"),
        ("port_b", "<u2"),
        ("proto", "u1"),
        ("family", "u1"),
        ("kind", "u1"),  # EVENT_*
        ("reason", "u1"),  # REASONS, of a close
        ("status", "u1"),
        ("client", "u1"),
        ("service", "u1"),
        ("service_from", "u1"),
        ("content_kind", "u1", 3),  # of the stream, a_to_b, b_to_a
        ("shard", "u1"),
        ("messages", "<u4"),  # that parsers found so far
        ("lacks", "u1"),  # what the capture did not have of it, bits below
        ("pad", "u1", 3),
    ],
    align=True,
)
# bits of EVENT.lacks
LACKS_BEGIN = 1  # TCP: no SYN was seen, the connection was there before
LACKS_TAILS = 2  # payload of packets that were captured short, as by a snaplen
Events = Annotated[NDArray[np.void], "in", EVENT]
OutEvents = Annotated[NDArray[np.void], "out", EVENT]
# a change is an update that only the inventory is told of: no line is written of it
EVENT_OPEN, EVENT_UPDATE, EVENT_CLOSE, EVENT_CHANGE = range(4)
EVENT_KINDS = ("stream_open", "stream_update", "stream_close", "stream_change")
REASON_NONE, REASON_CLOSED, REASON_IDLE, REASON_EVICTED, REASON_END, REASON_REUSED = range(6)
REASONS = ("", "closed", "idle", "evicted", "end_of_input", "reused")

# A piece of a stream's preview; its bytes follow in the events message's last frame. 16 bytes.
PREVIEW = np.dtype(
    [
        ("row", "<u4"),  # row in the shard's flow table
        ("off", "<u4"),  # first byte in the frame of preview bytes
        ("start", "<u2"),  # offset in the direction's preview
        ("len", "<u2"),
        ("dir", "u1"),
        ("pad", "u1", 3),
    ],
    align=True,
)
Previews = Annotated[NDArray[np.void], "in", PREVIEW]
OutPreviews = Annotated[NDArray[np.void], "out", PREVIEW]

# --------------------------------------------------------------------------------------------
# A message that a parser found: where it lies, and what is asked of it most. 112 bytes. Offsets are
# logical, of its direction; what its header says in full is read from the content when asked for.
MESSAGE = np.dtype(
    [
        ("stream_id", "<u8"),
        ("ts_ns", "<i8"),  # of its first byte
        ("start", "<u8"),  # first byte; the header begins here
        ("header_end", "<u8"),
        ("body_start", "<u8"),
        ("body_end", "<u8"),  # known when the status is not MESSAGE_OPEN
        ("end", "<u8"),  # behind its last byte, trailers and padding included
        ("text", "<u8"),  # first byte of its text: position in the text ring, or in a frame
        ("value", "<u8"),  # a number that its protocol names
        ("row", "<u4"),  # row in the shard's flow table
        ("ordinal", "<u4"),  # of the messages of its stream, from 0
        ("previous", "<u4"),  # low half of 1 + number of the stream's message before; 0 = none
        ("pair", "<u4"),  # 1 + ordinal of the request it answers, or of its answer; 0 = none
        ("code", "<u2"),  # a code that its protocol names
        ("text_len", "<u2"),  # bytes of text: summary, then name
        ("name_len", "<u2"),  # how many of them, the last ones, are the name (host, SNI, question)
        ("protocol", "u1"),  # index into MESSAGE_PROTOCOLS
        ("kind", "u1"),  # index into MESSAGE_KINDS
        ("dir", "u1"),
        ("status", "u1"),  # index into MESSAGE_STATUSES
        ("framing", "u1"),  # how the body's end is known; its protocol names the values
        ("marks", "u1"),  # bits that its protocol names; MESSAGE_GAP is everybody's
        ("note", "u1"),  # index into MESSAGE_NOTES: why it is partial or wrong
        ("pad", "u1", 3),
        ("waits", "<u4"),  # the parser's: low half of 1 + number of the next message without pair
    ],
    align=True,
)
Messages = Annotated[NDArray[np.void], "in", MESSAGE]
OutMessages = Annotated[NDArray[np.void], "out", MESSAGE]
MESSAGE_PROTOCOLS = ("", "http1", "dns", "tls", "websocket", "analyzer")
(NO_PARSER, HTTP1, DNS_MESSAGES, TLS_RECORDS, WEBSOCKET, ANALYZER) = range(len(MESSAGE_PROTOCOLS))
TUNNEL = len(MESSAGE_PROTOCOLS)  # only of PARSER: another protocol may begin
MESSAGE_KINDS = (
    "", "request", "response", "frame", "client_hello", "server_hello", "certificate", "alert",
    "finding",
)  # fmt: skip
(
    NO_KIND, REQUEST, RESPONSE, FRAME, CLIENT_HELLO, SERVER_HELLO, CERTIFICATE, ALERT, FINDING,
) = range(len(MESSAGE_KINDS))  # fmt: skip
MESSAGE_STATUSES = ("open", "complete", "partial", "parse_error")
MESSAGE_OPEN, MESSAGE_COMPLETE, MESSAGE_PARTIAL, MESSAGE_ERROR = range(4)
MESSAGE_GAP = 128  # bytes of it are missing
MESSAGE_NOTES = (
    "", "gap", "end_of_stream", "too_long", "bad_start_line", "bad_header", "bad_length",
    "bad_chunk", "bad_frame", "bad_record", "bad_name", "truncated", "content_lost",
)  # fmt: skip
(
    NO_NOTE, NOTE_GAP, NOTE_END, NOTE_TOO_LONG, NOTE_START_LINE, NOTE_HEADER, NOTE_LENGTH,
    NOTE_CHUNK, NOTE_FRAME, NOTE_RECORD, NOTE_NAME, NOTE_TRUNCATED, NOTE_LOST,
) = range(len(MESSAGE_NOTES))  # fmt: skip
# HTTP/1: MESSAGE.framing and bits of MESSAGE.marks
HTTP_FRAMINGS = ("none", "content_length", "chunked", "close", "upgrade")
ASKED_HEAD, ASKED_CONNECT, ASKED_WEBSOCKET, ASKED_SIMPLE = 1, 2, 4, 8  # SIMPLE: HTTP/0.9
# WebSocket: MESSAGE.framing is the opcode; bits of MESSAGE.marks
FRAME_FIN, FRAME_RSV1, FRAME_MASKED = 1, 2, 4
NO_VALUE = (1 << 64) - 1  # of MESSAGE.value, where there is none
MESSAGE_TEXT_MAX = 512  # bytes of one message's text: summary and name

# Where a parser is in a stream: one row for each stream that has one. 136 bytes. `work` is the
# protocol's own and named in its file.
PARSER = np.dtype(
    [
        ("next", "<u8", 2),  # logical offset of the next byte to look at, by direction; it may be
        # ahead of what has arrived: bytes of a body are passed over
        ("wait", "<u8", 2),  # nothing can be told before the byte before this offset is there
        ("open", "<u8", 2),  # 1 + number of the message that is being filled; 0 = none
        ("work", "<u8", 10),
        ("row", "<u4"),  # row in the flow table
        ("protocol", "u1"),  # index into MESSAGE_PROTOCOLS, or TUNNEL; NO_PARSER = it gave up
        ("phase", "u1", 2),  # by direction; the protocol names them, 0 at first
        ("pad", "u1"),
    ],
    align=True,
)
Parsers = Annotated[NDArray[np.void], "out", PARSER]

# Who talked: goes beside rows that name a stream by its number only. 40 bytes.
ENDPOINTS = np.dtype(
    [
        ("addr_a_hi", "<u8"),
        ("addr_a_lo", "<u8"),
        ("addr_b_hi", "<u8"),
        ("addr_b_lo", "<u8"),
        ("port_a", "<u2"),
        ("port_b", "<u2"),
        ("proto", "u1"),
        ("family", "u1"),
        ("client", "u1"),
        ("pad", "u1"),
    ],
    align=True,
)
Endpoints = Annotated[NDArray[np.void], "in", ENDPOINTS]
OutEndpoints = Annotated[NDArray[np.void], "out", ENDPOINTS]

# A pattern's match in a stream, final: told once, for the sinks. 48 bytes.
MATCH = np.dtype(
    [
        ("stream_id", "<u8"),
        ("start", "<u8"),  # logical offsets [start, end)
        ("end", "<u8"),
        ("ts_ns", "<i8"),  # of the extent in which it ends
        ("pattern", "<u4"),  # id
        ("row", "<u4"),
        ("off", "<u4"),  # first of its bytes in the frame of match bytes
        ("len", "<u2"),  # of them, at most MATCH_BYTES
        ("dir", "u1"),
        ("kind", "u1"),  # index into PATTERN_KINDS
    ],
    align=True,
)
Matches = Annotated[NDArray[np.void], "in", MATCH]
OutMatches = Annotated[NDArray[np.void], "out", MATCH]
PATTERN_KINDS = ("substring", "regex", "binary")
MATCH_BYTES = 256

# A run of one direction's bytes in the buffer that patterns are looked for in: what is new, behind
# as much of what was there before as a match may need. 32 bytes.
SPAN = np.dtype(
    [
        ("origin", "<u8"),  # logical offset of its first byte
        ("begin", "<u4"),  # first byte in the buffer
        ("fresh", "<u4"),  # first byte that was not looked at before
        ("end", "<u4"),
        ("flow", "<u4"),  # row in the flow table
        ("dir", "u1"),
        ("whole", "u1"),  # the run begins here: nothing contiguous lies before
        ("ended", "u1"),  # and ends here: nothing can follow
        ("later", "u1"),  # an earlier span of the buffer is of the same direction
        ("pad", "u1", 4),
    ],
    align=True,
)
Spans = Annotated[NDArray[np.void], "out", SPAN]

# From where in that buffer on bytes are of a packet of that time. 16 bytes.
PIECE = np.dtype([("ts_ns", "<i8"), ("at", "<u4"), ("pad", "<u4")], align=True)
Pieces = Annotated[NDArray[np.void], "out", PIECE]

# The last bytes of a direction that were looked at: what comes next need not fetch them from the
# content log. 64 bytes.
TAIL = np.dtype(
    [
        ("upto", "<u8"),  # logical offset behind them
        ("ts_ns", "<i8"),  # of the last one
        ("armed", "<u8"),  # logical offset up to which a pattern that has begun may go on
        ("octets", "u1", 38),
        ("count", "u1"),  # of octets that mean something; they lie at the beginning
        ("since", "u1"),  # so many of the last ones are of that time, or more
    ],
    align=True,
)
TAIL_BYTES = 38
Tails = Annotated[NDArray[np.void], "out", TAIL]

# A pattern, as far as kernels look at it; its place in the column is its slot. 48 bytes.
SOUGHT = np.dtype(
    [
        ("id", "<u4"),
        ("width", "<u4"),  # bytes of a match, of SOUGHT_EXACT
        ("after", "<u4"),  # bytes behind a match that it may depend on
        ("services", "<u4"),  # bits by position in SERVICES; 0 = any
        ("matches", "<u8"),  # that are kept now
        ("over_limit", "<u8"),  # that a cap left out
        ("how", "u1"),  # SOUGHT_*
        ("direction", "u1"),  # index into PATTERN_DIRECTIONS
        ("engaged", "u1"),  # it is looked for in the present pass
        ("aside", "u1"),  # the stream of state[ASIDE] is being looked through from its beginning
        ("kind", "u1"),  # index into PATTERN_KINDS
        ("at_end", "u1"),  # a match ends where the run does, or before a newline there
        ("pad", "u1", 6),
        ("reach", "<u4"),  # bytes from the beginning of a match on that decide it
    ],
    align=True,
)
Soughts = Annotated[NDArray[np.void], "out", SOUGHT]
# exact: each hit is a match, if it does not overlap the one before; confirm: `regex` says
SOUGHT_NOT, SOUGHT_EXACT, SOUGHT_CONFIRM = range(3)
PATTERN_DIRECTIONS = ("any", "client", "server")

# A pattern's state in a stream that it was found in. 80 bytes.
CURSOR = np.dtype(
    [
        ("resume", "<u8", 2),  # end of the last final match, by direction, and so below
        ("told_from", "<u8", 2),  # matches that begin in [told_from, told_to) were told
        ("told_to", "<u8", 2),
        ("newest", "<u4", 2),  # 1 + newest kept match; 0 = none
        ("flow", "<u4"),
        ("next", "<u4"),  # 1 + the stream's next cursor, or the next free one
        ("count", "<u4"),  # kept matches
        ("told_count", "<u4"),  # as the coordinator knows it
        ("slot", "<u2"),
        ("marks", "u1"),  # CURSOR_*
        ("used", "u1"),
        ("pad", "<u4"),
    ],
    align=True,
)
Cursors = Annotated[NDArray[np.void], "out", CURSOR]
# more data may change its newest matches, of a_to_b, of b_to_a; it is not looked for here any more;
# it waits to be told; the stream was looked through from its beginning
CURSOR_PROVISIONAL, CURSOR_STOPPED, CURSOR_CHANGED, CURSOR_COMPLETE = 1, 4, 8, 16

# A match that is kept. 32 bytes.
KEPT = np.dtype(
    [
        ("start", "<u8"),  # logical offsets
        ("end", "<u8"),
        ("ts_ns", "<i8"),
        (
            "next",
            "<u4",
        ),  # 1 + the match before it of its cursor and direction, or the next free one
        ("provisional", "u1"),
        ("pad", "u1", 3),
    ],
    align=True,
)
Kept = Annotated[NDArray[np.void], "out", KEPT]

# A span in which a pattern may match, and what `regex` said of it. 40 bytes.
CANDIDATE = np.dtype(
    [
        ("resume", "<u8"),  # of its cursor
        ("dropped", "<u8"),  # final matches that did not fit
        ("span", "<u4"),
        ("slot", "<u4"),
        ("first", "<u4"),  # of its matches in the column of found ones
        ("count", "<u4"),
        ("stopped", "u1"),  # it took too long
        ("pad", "u1", 7),
    ],
    align=True,
)
Candidates = Annotated[NDArray[np.void], "out", CANDIDATE]

# A confirmed match. 24 bytes.
FOUND = np.dtype([("start", "<u8"), ("end", "<u8"), ("final", "<u8")], align=True)
FoundRows = Annotated[NDArray[np.void], "in", FOUND]

# How many matches of a pattern a stream has now; 0 = none any more. 24 bytes.
PAIR = np.dtype(
    [
        ("stream_id", "<u8"),
        ("row", "<u4"),
        ("pattern", "<u4"),
        ("count", "<u4"),
        ("pad", "<u4"),
    ],
    align=True,
)
Pairs = Annotated[NDArray[np.void], "in", PAIR]
OutPairs = Annotated[NDArray[np.void], "out", PAIR]

# What the coordinator adds to a stream's last event when it answers. 24 bytes.
VIEW = np.dtype(
    [
        ("number", "<u8"),  # position in the inventory, from 1: the paging cursor
        ("preview_len", "<u2", 2),
        ("favorite", "u1"),
        ("hidden", "u1"),
        ("closed", "u1"),  # its stream_close came
        ("close_reason", "u1"),  # REASONS
        ("pad", "u1", 8),
    ],
    align=True,
)
PREVIEW_BYTES = 256  # kept of each direction
SUMMARY_BYTES = 80  # printable bytes that stand for a stream whose preview is no text

# --------------------------------------------------------------------------------------------
# Services a stream can be; the position is what travels. Position 0 = not known.
SERVICES = (
    "",
    "http",
    "http2",
    "websocket",
    "tls",
    "https",
    "dns",
    "mdns",
    "ssh",
    "smtp",
    "ftp",
    "pop3",
    "imap",
    "redis",
    "memcached",
    "mysql",
    "postgres",
    "mongodb",
    "quic",
    "ntp",
    "dhcp",
    "rdp",
    "smb",
    "mqtt",
)
SERVICE_BY_NONE, SERVICE_BY_PORT, SERVICE_BY_PAYLOAD = range(3)
SERVICE_SOURCES = ("none", "port", "payload")

for _dtype, _size in (
    (RECORD, 24),
    (PACKET, 88),
    (RING_ROW, 24),
    (FLOW, 104),
    (DIRECTION, 64),
    (HELD, 24),
    (CHUNK, 16),
    (GROUP, 48),
    (EVENT, 184),
    (PREVIEW, 16),
    (VIEW, 24),
    (MESSAGE, 112),
    (PARSER, 136),
    (ENDPOINTS, 40),
    (MATCH, 48),
    (PAIR, 24),
    (SPAN, 32),
    (PIECE, 16),
    (TAIL, 64),
    (SOUGHT, 48),
    (CURSOR, 80),
    (KEPT, 32),
    (CANDIDATE, 40),
    (FOUND, 24),
):
    assert _dtype.itemsize == _size, (_dtype.names, _dtype.itemsize, _size)
