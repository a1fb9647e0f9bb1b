"""Tunnels in plain Python: where another protocol begins behind CONNECT, Upgrade, STARTTLS, SOCKS.

Part of the twin of `parse_http1`, and by itself that of what `assign_parsers` finds late.
"""

from collections.abc import Iterable

TLS_HEAD = 11  # octets that tell
HTTP_WORDS = frozenset(
    (b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"CONN", b"OPTI", b"TRAC", b"PATC", b"PROP",
     b"MKCO", b"COPY", b"MOVE", b"LOCK", b"UNLO", b"REPO", b"SEAR", b"HTTP")
)  # fmt: skip

Piece = tuple[int, bytes]


class Tunnel:
    """A turn is what a side says until the other one does.

    begins: where it begins, by side; 0 = not known: a stream of something else. http: HTTP may
    begin right there.
    """

    def __init__(self, begins: tuple[int, int], http: bool = False) -> None:
        self.begins, self.fed, self.http = begins, list(begins), http
        self.turns: list[list[Piece]] = [[], []]  # the present, or last, turn of each side
        self.judged = [True, True]
        self.speaker = -1
        self.found, self.side, self.at = "", 0, 0  # tls or http, and where

    def hold(self, side: int, pieces: Iterable[Piece]) -> None:
        """What a side had said before the tunnel began."""
        for at, piece in pieces:
            self.turns[side].append((at, piece))
            self.fed[side] = at + len(piece)
            self.speaker, self.judged[side] = side, False

    def take(self, side: int, at: int, octets: bytes) -> None:
        octets = octets[max(0, self.fed[side] - at) :]
        if self._judge(1 - side) or not octets:
            return
        at = max(at, self.fed[side])
        if self.speaker != side:
            self.turns[side], self.judged[side], self.speaker = [], False, side
        before = self.turns[side]
        self.turns[side] = [*before, (at, octets)]
        if self._judge(side):
            self.turns[side] = before
        else:
            self.fed[side] = at + len(octets)

    def _judge(self, side: int) -> bool:
        """Whether another protocol has begun, here or before."""
        turn = self.turns[side]
        if self.found or self.judged[side] or not turn:
            return bool(self.found)
        start, end = turn[0][0], turn[-1][0] + len(turn[-1][1])
        there = min(end - start, TLS_HEAD)
        known = {at + i: octet for at, piece in turn for i, octet in enumerate(piece)}
        head = bytes(known[at] for at in range(start, start + there) if at in known)
        if there < 4:
            return False
        if len(head) == there and head[0] == 22:
            if there < TLS_HEAD:
                return False
            if begins_tls(head):
                self.found = "tls"
        elif (
            self.http
            and len(head) == there
            and start == self.begins[side]
            and head[:4] in HTTP_WORDS
        ):
            self.found = "http"
        self.judged[side], self.side, self.at = True, side, start
        return bool(self.found)


def begins_tls(head: bytes) -> bool:
    """A record of a handshake (RFC 8446 §5.1) that begins with a ClientHello (§4.1.2)."""
    kind, major, minor = head[:3]
    size = int.from_bytes(head[3:5], "big")
    return (
        (kind, major) == (22, 3)
        and minor <= 4
        and 0 < size <= (1 << 14) + 2048
        and head[5:7] == b"\1\0"
        and head[9] == 3
        and head[10] <= 4
    )
