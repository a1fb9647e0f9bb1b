"""WebSocket frames in plain Python: the twin of `parse_websocket`. Written from RFC 6455 §5.2."""

from tests.reference.messages import COMPLETE, ERROR, PARTIAL, Found, Log, printable

TEXT, CLOSE = 1, 8
TEXT_MOST = 80
FIN_BIT, RSV1_BIT, MASKED_BIT = 1, 2, 4


class Frames:
    """One direction from the byte behind the upgrade on."""

    def __init__(self, side: int, start: int, log: Log) -> None:
        self.side, self.next, self.fed, self.log = side, start, start, log
        self.data = b""
        self.open: Found | None = None
        self.over = False

    def take(self, offset: int, octets: bytes) -> None:
        if self.over or offset + len(octets) <= self.fed:
            return
        octets = octets[max(0, self.fed - offset) :]
        offset = max(offset, self.fed)
        if offset > self.fed:
            self._gap(offset)
        self._more(offset, octets)

    def _more(self, offset: int, octets: bytes) -> None:
        if self.over:
            return
        self.fed = offset + len(octets)
        self.data += octets[max(0, self.next - offset) :]
        while not self.over and self._step():
            pass

    def _gap(self, upto: int) -> None:
        self.log.gaps += 1
        if self.open and self.next >= upto:
            self.open.gap = True
            return
        if self.open:
            self.open.gap = True
            self._tell(PARTIAL, "gap", max(self.next, self.fed))
        else:
            self._fragment("gap")
        self.over = True

    def _tell(self, status: str, note: str, end: int) -> None:
        assert self.open
        self.log.tell(self.open, status, note, end, end)
        self.open = None

    def _step(self) -> bool:
        if self.open:
            if self.fed < self.next:
                return False
            self._tell(COMPLETE, "", self.next)
        data = self.data
        if len(data) < 2:
            return False
        opcode, fin, code = data[0] & 15, data[0] >> 7, data[1] & 127
        if opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15) or (
            opcode >= 8 and (code > 125 or not fin)
        ):
            self._fail(2)
            return False
        header = 2 + {126: 2, 127: 8}.get(code, 0) + (4 if data[1] & 128 else 0)
        if len(data) < header:
            return False
        length = self._length(data)
        if length >= 1 << 62:
            self._fail(header)
            return False
        shown = length if opcode == CLOSE else min(length, TEXT_MOST) if self._told(data) else 0
        if len(data) < header + shown:
            return False
        self.open = self._message(header, length, shown)
        self.next += header + length
        self.data = data[header + length :]
        return True

    def _length(self, data: bytes) -> int:
        code = data[1] & 127
        wide = {126: 2, 127: 8}.get(code, 0)
        return int.from_bytes(data[2 : 2 + wide], "big") if wide else code

    def _told(self, data: bytes) -> bool:
        """Whether its text is shown: a text frame that is not compressed (RFC 7692 §6)."""
        return data[0] & 15 == TEXT and not data[0] & 64

    def _message(self, header: int, length: int, shown: int) -> Found:
        data = self.data
        message = self.log.open("websocket", "frame", self.side, self.next, self.next + header)
        message.framing, message.value = data[0] & 15, length
        message.marks = data[0] >> 7 | (data[0] >> 6 & 1) << 1 | (data[1] >> 7) << 2
        payload = data[header : header + shown]
        if data[1] & 128:
            key = data[header - 4 : header]
            payload = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
        if message.framing == CLOSE and len(payload) >= 2:
            message.code = int.from_bytes(payload[:2], "big")
        elif message.framing != CLOSE:
            message.text = printable(payload, TEXT_MOST)
        return message

    def _fail(self, length: int) -> None:
        self._unread(length)
        self._tell(ERROR, "bad_frame", self.next + length)
        self.over = True

    def _unread(self, length: int) -> None:
        """A frame whose header is not there or is wrong."""
        message = self.log.open("websocket", "frame", self.side, self.next, self.next + length)
        message.framing = self.data[0] & 15
        message.marks = self.data[0] >> 7 | (self.data[0] >> 6 & 1) << 1
        self.open = message

    def _fragment(self, note: str) -> None:
        if self.data:
            self._unread(len(self.data))
            assert self.open
            self.open.gap = note == "gap"
            self._tell(PARTIAL, note, self.next + len(self.data))

    def finish(self, end: int) -> None:
        """end: logical end of the direction."""
        if self.over:
            return
        lost = end > self.fed
        self.log.gaps += lost
        note = "gap" if lost else "end_of_stream"
        if self.open:
            self.open.gap |= lost
            self._tell(PARTIAL, note, min(self.next, end))
        else:
            self._fragment(note)
