"""WebSocket frames as they were sent (RFC 6455, 5.2)."""

from dataclasses import dataclass

FRAMES_MAX = 10_000  # split of one slice
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
OPCODES = (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG)


@dataclass(frozen=True)
class WsFrame:
    """One frame. payload: as sent; key: its mask, b"" = not masked; start, end: logical offsets."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv1: bool = False
    key: bytes = b""
    start: int = 0
    end: int = 0

    def unmasked(self) -> bytes:
        """The payload without its mask (RFC 6455, 5.3)."""
        if len(self.key) != 4 or not self.payload:
            return self.payload
        size = len(self.payload)
        mask = (self.key * (size // 4 + 1))[:size]
        number = int.from_bytes(self.payload, "big") ^ int.from_bytes(mask, "big")
        return number.to_bytes(size, "big")


def split_frames(data: bytes, start: int = 0) -> list[WsFrame]:
    """Frames of octets that begin with one, up to the first that is none. The last may be cut."""
    frames: list[WsFrame] = []
    at = 0
    while at + 2 <= len(data) and len(frames) < FRAMES_MAX:
        head, size = data[at], data[at + 1] & 0x7F
        if not _is_frame(head, size):
            break
        extra = {126: 2, 127: 8}.get(size, 0)
        if at + 2 + extra > len(data):
            break
        if extra:
            size = int.from_bytes(data[at + 2 : at + 2 + extra], "big")
        masked = 4 if data[at + 1] & 0x80 else 0
        body = at + 2 + extra + masked
        frames.append(
            WsFrame(
                opcode=head & 0x0F,
                payload=data[body : body + size],
                fin=bool(head & 0x80),
                rsv1=bool(head & 0x40),
                key=data[body - masked : body],
                start=start + at,
                end=start + min(body + size, len(data)),
            )
        )
        at = body + size
    return frames


def _is_frame(head: int, size: int) -> bool:
    """Whether a frame may begin so: RSV2 and RSV3 are clear, control frames are short and whole."""
    opcode = head & 0x0F
    if opcode not in OPCODES or head & 0x30:
        return False
    return opcode < CLOSE or (head & 0xF0 == 0x80 and size < 126)
