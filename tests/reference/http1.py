"""HTTP/1.x in plain Python: the twin of `parse_http1`. Written from RFC 9112, not from the kernel.

It is given the pieces of both directions in the order in which reassembly emitted them, keeps all
bytes of what is not finished, and looks at them with `re` and `bytes` again whenever more come.
"""

import re
from itertools import pairwise

from tests.reference.messages import (
    COMPLETE,
    ERROR,
    NAME_MOST,
    NO_VALUE,
    PARTIAL,
    TEXT_MOST,
    Found,
    Log,
    printable,
)
from tests.reference.tunnels import Tunnel
from tests.reference.websocket import Frames

NONE, LENGTH, CHUNKED, CLOSE, UPGRADE = range(5)  # framings
HEAD, CONNECT, WEBSOCKET, SIMPLE = 1, 2, 4, 8  # marks of a request
MOST = 1 << 62  # what a length must stay below
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}"  # RFC 9110 §5.6.2; methods are short
STATUS_LINE = re.compile(rb"HTTP/[0-9]\.[0-9] ([0-9]{3})(?: .*)?", re.DOTALL)
REQUEST_LINE = re.compile(
    rb"(" + TOKEN + rb") (?:.*HTTP/[0-9]\.[0-9]|(?:.* )?HTTP/[0-9]\.)", re.DOTALL
)
BARE_LINE = re.compile(  # of a request with a head that names no version
    rb"(GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PROPFIND|PROPPATCH|MKCOL|COPY|MOVE"
    rb"|LOCK|UNLOCK)(?: [/*].*)?",
    re.DOTALL,
)
SIMPLE_LINE = re.compile(rb"GET /[^ ]*", re.DOTALL)
SPACE = b" \t\r\n"


class Side:
    """One direction."""

    def __init__(self) -> None:
        self.phase = "look"
        self.next = 0  # offset of data[0]; ahead of `fed` while a body is passed over
        self.fed = 0
        self.data = b""
        self.seen = False  # something lies before: a message, a line that is none, a gap
        self.open: Found | None = None
        self.kind = ""  # of the head that is being read
        self.hold = False  # after the present request: wait for its answer
        self.body_end = 0
        self.late: list[tuple[int, bytes]] = []  # what came while it was held


class Http1:
    """A conversation. client: the side that asks; whole: it was seen from its SYN on."""

    def __init__(self, client: int, whole: bool, max_header: int, log: Log) -> None:
        self.client, self.whole, self.most, self.log = client, whole, max_header, log
        self.sides = Side(), Side()
        self.waiting: list[Found] = []  # requests without answer, or answers that came before
        self.frames: tuple[Frames, Frames] | None = None
        self.tunnel: Tunnel | None = None

    # ------------------------------------------------------------------------------- pieces
    def take(self, side: int, offset: int, octets: bytes) -> None:
        if self.tunnel:
            self._follow(self.tunnel, side, offset, octets)
            return
        if self.frames:
            self.frames[side].take(offset, octets)
            return
        mine = self.sides[side]
        if mine.phase == "over":
            return
        if mine.phase == "hold":
            mine.late.append((offset, octets))
            return
        self._take(side, mine, offset, octets)

    def _go_on(self, side: int) -> None:
        """What came while the side was held, when it no longer is; a hole loses all of it."""
        mine = self.sides[side]
        if mine.phase in ("hold", "over") or not mine.late:
            return
        late, mine.late = mine.late, []
        if whole_piece(late):
            for at, piece in late:
                self._take(side, mine, at, piece)
        else:
            self._gap(side, mine, late[-1][0] + len(late[-1][1]))
            mine.fed = mine.next

    def _follow(self, tunnel: Tunnel, side: int, offset: int, octets: bytes) -> None:
        """Another protocol may begin; HTTP begins where the tunnel does."""
        tunnel.take(side, offset, octets)
        if tunnel.found == "http":
            self.tunnel, self.waiting = None, []
            self.sides = Side(), Side()
            for mine, at in zip(self.sides, tunnel.fed, strict=True):
                mine.next = mine.fed = at
            for one, mine in enumerate(self.sides):
                turn = tunnel.turns[one]
                if one == tunnel.side or (turn and not tunnel.judged[one]):
                    mine.next = mine.fed = turn[0][0] if turn else tunnel.at
                    mine.phase, mine.late = "start", turn
            self._go_on(1 - side)
            self._go_on(side)
            self.take(side, offset, octets)

    def _take(self, side: int, mine: Side, offset: int, octets: bytes) -> None:
        if self.tunnel:
            self._follow(self.tunnel, side, offset, octets)
            return
        if self.frames:
            self.frames[side].take(offset, octets)
            return
        if mine.phase in ("over", "hold"):
            mine.late.append((offset, octets))
            return
        if offset > mine.fed:
            self._gap(side, mine, offset)
        mine.fed = offset + len(octets)
        mine.data += octets[max(0, mine.next - offset) :]
        while mine.phase not in ("over", "hold") and self._step(side, mine):
            self._go_on(1 - side)
        self._leave(side, mine)

    def _leave(self, side: int, mine: Side) -> None:
        """What is left is another protocol's, or has to wait."""
        if self.frames:
            self.frames[side].take(mine.next, mine.data)
            mine.data = b""
        elif self.tunnel:
            self._follow(self.tunnel, side, mine.next, mine.data)
        elif mine.phase == "hold":
            mine.late, mine.data = [(mine.next, mine.data)], b""
            mine.fed = mine.next

    def _eat(self, mine: Side, count: int) -> None:
        mine.next += count
        mine.data = mine.data[count:]

    def _step(self, side: int, mine: Side) -> bool:
        """One thing further; False when more bytes are needed."""
        step = {
            "look": self._start_line, "start": self._start_line, "head": self._head,
            "length": self._length, "close": self._close, "size": self._chunk_size,
            "chunk": self._chunk, "chunk_end": self._chunk_end, "trailer": self._trailer,
            "skip": self._skip_line,
        }[mine.phase]  # fmt: skip
        return step(side, mine)

    # -------------------------------------------------------------------------------- heads
    def _start_line(self, side: int, mine: Side) -> bool:
        while found := re.match(rb"\r?\n", mine.data):  # RFC 9112 §2.2
            self._eat(mine, len(found[0]))
        stop = mine.data.find(b"\n")
        if (stop < 0 and len(mine.data) > self.most) or stop >= self.most:
            kind = self._fragment_kind(side, mine)
            if mine.phase == "look" and (mine.seen or not kind):
                mine.phase = "skip"
                return True
            self._fail(side, mine, kind, "too_long", self.most)
            return False
        if stop < 0:
            return False
        line = mine.data[:stop].rstrip(b" \t\r")
        waiting = self.waiting[0] if self.waiting else None
        if STATUS_LINE.fullmatch(line):
            mine.kind, mine.phase = "response", "head"
        elif REQUEST_LINE.fullmatch(line) or (
            not mine.seen and BARE_LINE.fullmatch(line) and not SIMPLE_LINE.fullmatch(line)
        ):
            mine.kind, mine.phase = "request", "head"
        elif not mine.seen and SIMPLE_LINE.fullmatch(line):  # HTTP/0.9
            mine.seen, mine.phase = True, "over"
            message = self._open(side, mine, "request", stop + 1, line)
            message.value, message.marks = NO_VALUE, SIMPLE
            self._asked(message)
            self.log.tell(message, COMPLETE, "", message.header_end, message.header_end)
            return False
        elif (
            not mine.seen and waiting and waiting.marks & SIMPLE and waiting.side != side
        ):  # and its answer, which is nothing but a body
            mine.seen, mine.phase = True, "close"
            message = self.log.open("http1", "response", side, 0, 0)
            message.framing, message.value = CLOSE, NO_VALUE
            self._answers(message)
            mine.open = message
        elif mine.phase == "look":
            mine.seen = True
            within = (i for i in range(1, len(line)) if STATUS_LINE.fullmatch(line[i:]))
            self._eat(mine, next(within, stop + 1))  # a body's last bytes may stand before it
        else:
            self._fail(side, mine, self._fragment_kind(side, mine), "bad_start_line", stop + 1)
            return False
        return True

    def _skip_line(self, side: int, mine: Side) -> bool:
        mine.seen = True
        stop = mine.data.find(b"\n")
        self._eat(mine, stop + 1 if stop >= 0 else len(mine.data))
        if stop < 0:
            return False
        mine.phase = "look"
        return True

    def _fragment_kind(self, side: int, mine: Side) -> str:
        """Of what has no whole start line; empty when it looks like nothing."""
        if mine.data.startswith(b"HTTP/"):
            return "response"
        if re.match(TOKEN + b" ", mine.data):
            return "request"
        if mine.phase == "look":
            return ""
        return "request" if side == self.client else "response"

    def _open(self, side: int, mine: Side, kind: str, length: int, line: bytes) -> Found:
        message = self.log.open("http1", kind, side, mine.next, mine.next + length)
        message.text = printable(line, TEXT_MOST)
        return message

    def _fail(self, side: int, mine: Side, kind: str, note: str, length: int) -> None:
        """A head that cannot be read."""
        line = mine.data[:length].split(b"\n")[0].rstrip(b" \t\r")
        message = self._open(side, mine, kind, length, line)
        message.value = NO_VALUE
        self._tell(mine, message, ERROR, note, message.header_end)
        mine.phase = "over"

    def _tell(self, mine: Side, message: Found, status: str, note: str, end: int) -> None:
        self.log.tell(message, status, note, end, end)
        mine.open = None

    def _head(self, side: int, mine: Side) -> bool:
        stop = re.search(rb"\n\r?\n", mine.data)
        length = stop.end() if stop else len(mine.data)
        if length > self.most:
            self._fail(side, mine, mine.kind, "too_long", self.most)
            return False
        if not stop:
            return False
        mine.seen = True
        head = mine.data[:length]
        line, _, rest = head.partition(b"\n")
        line = line.rstrip(b" \t\r")
        fields = read_fields(rest)
        message = self._open(side, mine, mine.kind, length, line)
        message.name = printable(fields.get(b"host", [b""])[0], NAME_MOST)
        lengths = read_lengths(fields.get(b"content-length", []))
        message.value = NO_VALUE if lengths is None or lengths < 0 else lengths
        mine.open = message
        if mine.kind == "request":
            self._request(message, line, fields)
            mine.hold = bool(message.marks & (CONNECT | WEBSOCKET))
            framing = request_framing(fields, lengths)
        else:
            message.code = int(line[9:12])
            if message.code == 101 and has_websocket(fields):
                message.marks = WEBSOCKET
            framing = self._response(message, fields, lengths)
        if isinstance(framing, str):
            self._tell(mine, message, ERROR, framing, message.header_end)
            mine.phase = "over"
            return False
        message.framing = framing
        self._eat(mine, length)
        self._body(side, mine, message)
        return True

    def _request(self, message: Found, line: bytes, fields: dict[bytes, list[bytes]]) -> None:
        method = line.split(b" ")[0]
        message.marks = {b"HEAD": HEAD, b"CONNECT": CONNECT}.get(method, 0)
        if has_websocket(fields):
            message.marks |= WEBSOCKET
        self._asked(message)

    def _response(
        self, message: Found, fields: dict[bytes, list[bytes]], lengths: int | None
    ) -> int | str:
        """Framing of the body, RFC 9112 §6.3."""
        code = message.code
        asked = self._answers(message, interim=100 <= code < 200 and code != 101)
        if code == 101:
            return UPGRADE
        if asked & CONNECT and 200 <= code < 300:
            return UPGRADE
        if asked & HEAD or code < 200 or code in (204, 304):
            return NONE
        codings = read_codings(fields)
        if codings:
            return CHUNKED if codings[-1] == b"chunked" else CLOSE
        if lengths is None:
            return CLOSE
        return "bad_length" if lengths < 0 else LENGTH

    def _body(self, side: int, mine: Side, message: Found) -> None:
        if message.kind == "response" and not 100 <= message.code < 200:
            self._decide(side, message)
        if message.framing == UPGRADE:
            self._switch(side, mine, message)
        elif message.framing in (NONE, LENGTH):
            length = message.value if message.framing == LENGTH else 0
            mine.phase, mine.body_end = "length", message.header_end + length
        else:
            mine.phase = "size" if message.framing == CHUNKED else "close"

    # ------------------------------------------------------------------------------ pairing
    def _asked(self, request: Found) -> None:
        if self.waiting and self.waiting[0].kind == "response":
            join(request, self.waiting.pop(0))
        else:
            self.waiting.append(request)

    def _answers(self, response: Found, interim: bool = False) -> int:
        """Marks of the request that it answers."""
        first = self.waiting[0] if self.waiting else None
        if first is None or first.kind == "response" or first.side == response.side:
            if self.whole and not interim and (first is None or first.kind == "response"):
                self.waiting.append(response)
            return 0
        if interim:
            response.pair = 1 + first.ordinal
        else:
            join(first, self.waiting.pop(0) and response)
        return first.marks

    def _decide(self, side: int, response: Found) -> None:
        """A request that would change the protocol was refused: its side goes on."""
        other = self.sides[1 - side]
        asked = self.log.found[response.pair - 1].marks if response.pair else CONNECT
        if asked & (CONNECT | WEBSOCKET):
            other.hold = False
            if other.phase == "hold":
                other.phase = "start"

    def _switch(self, side: int, mine: Side, message: Found) -> None:
        other = self.sides[1 - side]
        was_over = other.phase == "over"
        self.log.tell(message, COMPLETE, "", message.header_end, message.header_end)
        mine.open = None
        mine.phase = "over"
        if not (message.code == 101 and message.marks & WEBSOCKET):
            late = [(at, piece) for at, piece in [(other.next, other.data), *other.late] if piece]
            self._cut(other)
            other.phase = "over"
            if not was_over:
                begins = (mine.next, other.next) if side == 0 else (other.next, mine.next)
                self.tunnel = Tunnel(begins, message.code != 101)
                self.tunnel.hold(1 - side, late)
            return
        frames = Frames(side, mine.next, self.log), Frames(1 - side, other.next, self.log)
        frames[1].over = was_over
        self._cut(other)
        self.frames = (frames[0], frames[1]) if side == 0 else (frames[1], frames[0])
        late = [(at, piece) for at, piece in [(other.next, other.data), *other.late] if piece]
        if whole_piece(late):
            for at, piece in late:
                frames[1].take(at, piece)

    def _cut(self, other: Side) -> None:
        """The other side's protocol ends in the middle of a message."""
        if other.open:
            self._tell(other, other.open, PARTIAL, "truncated", min(other.next, other.fed))
            other.next = max(other.next, other.fed)
            other.data = b""

    # ------------------------------------------------------------------------------- bodies
    def _done(self, mine: Side, body_end: int, end: int) -> None:
        assert mine.open
        self.log.tell(mine.open, COMPLETE, "", body_end, end)
        mine.open = None
        mine.phase = "hold" if mine.hold else "start"
        mine.hold = False

    def _length(self, side: int, mine: Side) -> bool:
        self._pass(mine, mine.body_end)
        if mine.fed < mine.next:
            return False
        self._done(mine, mine.body_end, mine.body_end)
        return True

    def _pass(self, mine: Side, upto: int) -> None:
        mine.data = mine.data[max(0, upto - mine.next) :]
        mine.next = upto

    def _close(self, side: int, mine: Side) -> bool:
        self._pass(mine, mine.fed)
        return False

    def _chunk_size(self, side: int, mine: Side) -> bool:
        """RFC 9112 §7.1."""
        assert mine.open
        stop = mine.data.find(b"\n")
        if stop < 0 and len(mine.data) <= self.most:
            return False
        line = mine.data[:stop].removesuffix(b"\r")
        found = re.match(rb"([0-9A-Fa-f]+)[ \t]*(?:;.*)?\Z", line, re.DOTALL)
        if stop < 0 or stop >= self.most or not found or int(found[1], 16) >= MOST:
            self._tell(mine, mine.open, ERROR, "bad_chunk", mine.next)
            mine.phase = "over"
            return False
        self._eat(mine, stop + 1)
        size = int(found[1], 16)
        mine.body_end = mine.next + size
        mine.phase = "chunk" if size else "trailer"
        return True

    def _chunk(self, side: int, mine: Side) -> bool:
        self._pass(mine, mine.body_end)
        if mine.fed < mine.next:
            return False
        mine.phase = "chunk_end"
        return True

    def _chunk_end(self, side: int, mine: Side) -> bool:
        assert mine.open
        if mine.data in (b"", b"\r"):
            return False
        found = re.match(rb"\r?\n", mine.data)
        if not found:
            self._tell(mine, mine.open, ERROR, "bad_chunk", mine.next)
            mine.phase = "over"
            return False
        self._eat(mine, len(found[0]))
        mine.phase = "size"
        return True

    def _trailer(self, side: int, mine: Side) -> bool:
        """RFC 9112 §7.1.2: lines up to an empty one."""
        assert mine.open
        stop = mine.data.find(b"\n")
        if (stop < 0 and len(mine.data) > self.most) or stop >= self.most:
            self.log.tell(mine.open, ERROR, "too_long", mine.body_end, mine.next)
            mine.open, mine.phase = None, "over"
            return False
        if stop < 0:
            return False
        line = mine.data[: stop + 1]
        self._eat(mine, stop + 1)
        if line in (b"\n", b"\r\n"):
            self._done(mine, mine.body_end, mine.next)
        return True

    # ------------------------------------------------------------------------- gaps and ends
    def _gap(self, side: int, mine: Side, upto: int) -> None:
        """Bytes [fed, upto) are missing."""
        self.log.gaps += 1
        self.whole = False
        mine.seen = True
        passing = mine.phase in ("length", "chunk") and mine.next >= upto
        if passing or mine.phase == "close":
            assert mine.open
            mine.open.gap = True
            if mine.phase == "close":
                mine.next = upto
            return
        if mine.open:
            mine.open.gap = True
            end = mine.body_end if mine.phase == "length" else max(mine.next, mine.fed)
            body_end = mine.body_end if mine.phase == "trailer" else end
            self.log.tell(mine.open, PARTIAL, "gap", body_end, end)
            mine.open = None
        else:
            self._fragment(side, mine, "gap")
        mine.phase, mine.next, mine.data, mine.hold = "look", upto, b"", False
        if self.waiting and self.waiting[0].kind == "response":
            self.waiting.clear()
        elif self.waiting and self.waiting[0].side != side:
            self.waiting = self.waiting[-1:]

    def _fragment(self, side: int, mine: Side, note: str) -> None:
        """A head that does not go on."""
        if not mine.data or mine.phase not in ("look", "start", "head"):
            return
        kind = mine.kind if mine.phase == "head" else self._fragment_kind(side, mine)
        if not kind:
            return
        line = mine.data.split(b"\n")[0].rstrip(b" \t\r")
        message = self._open(side, mine, kind, len(mine.data), line)
        message.value, message.gap = NO_VALUE, note == "gap"
        if mine.phase == "head":
            if kind == "request":
                self._request(message, line, {})
            else:
                message.code = int(line[9:12])
                self._answers(message, interim=message.code // 100 == 1 and message.code != 101)
        self.log.tell(message, PARTIAL, note, message.header_end, message.header_end)

    def finish(self, ends: tuple[int, int], closed: tuple[bool, bool]) -> None:
        """ends: logical ends of both directions; closed: whether each was ended by a FIN."""
        for side, mine in enumerate(self.sides):
            if self.frames:
                self.frames[side].finish(ends[side])
            elif self.tunnel:
                continue
            elif mine.phase not in ("over", "hold"):
                self._end(side, mine, ends[side], closed[side])

    def _end(self, side: int, mine: Side, end: int, closed: bool) -> None:
        lost = end > mine.fed
        if lost:
            self.log.gaps += 1
        note = "gap" if lost else "end_of_stream"
        if mine.open is None:
            self._fragment(side, mine, note)
            return
        mine.open.gap |= lost
        if mine.phase == "close" and closed and not lost:
            self._tell(mine, mine.open, COMPLETE, "", end)
        elif mine.phase == "trailer":
            self.log.tell(mine.open, PARTIAL, note, mine.body_end, end)
        else:
            upto = min(mine.body_end, end) if mine.phase == "length" else end
            self._tell(mine, mine.open, PARTIAL, note, upto)


def whole_piece(pieces: list[tuple[int, bytes]]) -> bool:
    """Whether nothing is missing between them."""
    return all(at + len(piece) == after for (at, piece), (after, _) in pairwise(pieces))


def join(a: Found, b: Found) -> None:
    a.pair, b.pair = 1 + b.ordinal, 1 + a.ordinal


def read_fields(lines: bytes) -> dict[bytes, list[bytes]]:
    """Values by lower-case name; folded lines (RFC 9112 §5.2) belong to the value before."""
    fields: dict[bytes, list[bytes]] = {}
    values: list[bytes] | None = None
    for line in lines.split(b"\n"):
        if line[:1] in (b" ", b"\t"):
            if values:
                values[-1] += b"\n" + line
            continue
        name, colon, value = line.partition(b":")
        values = fields.setdefault(name.lower(), []) if colon else None
        if values is not None:
            values.append(value)
    return {name: [value.strip(SPACE) for value in values] for name, values in fields.items()}


def read_lengths(values: list[bytes]) -> int | None:
    """RFC 9110 §8.6: None = not given; -1 = not a number, too large, or several that differ."""
    if not values:
        return None
    parts = [part.strip(SPACE) for value in values for part in value.split(b",")]
    if not all(re.fullmatch(rb"[0-9]+", part) for part in parts):
        return -1
    numbers = {int(part) for part in parts}
    return -1 if len(numbers) > 1 or max(numbers) >= MOST else numbers.pop()


def read_codings(fields: dict[bytes, list[bytes]]) -> list[bytes]:
    """Transfer codings in their order, RFC 9112 §6.1; a field without any is one that is empty."""
    values = fields.get(b"transfer-encoding", [])
    parts = [part.strip(SPACE).lower() for value in values for part in value.split(b",")]
    return [part for part in parts if part] or [b""] * bool(values)


def has_websocket(fields: dict[bytes, list[bytes]]) -> bool:
    return any(
        part.strip(SPACE).lower() == b"websocket"
        for value in fields.get(b"upgrade", [])
        for part in value.split(b",")
    )


def request_framing(fields: dict[bytes, list[bytes]], lengths: int | None) -> int | str:
    """RFC 9112 §6.3, points 3 to 7."""
    codings = read_codings(fields)
    if codings:
        return CHUNKED if codings[-1] == b"chunked" else "bad_header"
    if lengths is None:
        return NONE
    return "bad_length" if lengths < 0 else LENGTH
