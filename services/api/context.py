"""What transforms need beyond the slice itself: the whole HTTP messages and WebSocket frames there.

A chunked or compressed body cannot be decoded from its middle, and a compressed WebSocket message
builds on those before it. Both are read from their beginning, as far as that is retained and a
bound allows; where it is not, the transform works on the slice alone and says so.
"""

from dataclasses import dataclass

from services.api.backend import Backend
from services.api.message_rows import Told
from services.api.messages import understood
from services.api.problems import Problem
from services.api.protocols.http1 import FRAMINGS, headers_of, joined
from services.api.reading import octets, of_shard
from services.api.streams import Located
from services.api.transforms import Context, HttpPart, WsFrame
from services.api.transforms.frames import split_frames
from services.api.transforms.http_body import charset_of
from shared.columns import HTTP1, MESSAGE_OPEN, WEBSOCKET

PAGE, PAGES_MAX = 512, 8  # messages of a stream that are looked at
SWITCHING_PROTOCOLS = 101


@dataclass(frozen=True)
class Place:
    """A span of one direction, and until when, with how many octets, it may be read."""

    backend: Backend
    stream: Located
    direction: int
    start: int
    stop: int
    limit: int
    until: float

    async def messages(self) -> list[Told]:
        """The stream's first messages, both directions; as many as are looked at."""
        found: list[Told] = []
        ordinal: int | None = 0
        while ordinal is not None and len(found) < PAGE * PAGES_MAX:
            answer = await of_shard(
                self.backend, self.stream, "messages", self.until, first=ordinal, limit=PAGE
            )
            found += understood(answer, self.backend.shard(self.stream.shard))
            ordinal = answer.result["next"]
        return found

    async def read(self, start: int, stop: int) -> bytes | None:
        """Octets of the direction; None when they are not all retained."""
        try:
            return await octets(
                self.backend, self.stream, self.direction, (start, stop), self.until
            )
        except Problem as problem:
            if problem.status == 410:
                return None
            raise


async def context_of(place: Place, profile: list[str]) -> Context:
    """The messages that overlap the place, as far as they are retained. profile: its transforms."""
    found = await place.messages()
    frames, extensions = await frames_to(place, found)
    parts = await http_parts(place, found)
    return Context(
        messages=parts,
        frames=frames,
        extensions=extensions,
        start=place.start,
        end=place.stop,
        charset=charset_of(parts[0].header) if parts else "",
        profile=profile,
    )


async def http_parts(place: Place, found: list[Told]) -> list[HttpPart]:
    """HTTP messages of the direction that overlap the place, header and body."""
    parts, left = [], place.limit
    for message in found:
        row = message.row
        start, stop = int(row["start"]), int(row["body_end"])
        is_open = row["status"] == MESSAGE_OPEN
        if row["protocol"] != HTTP1 or row["dir"] != place.direction or message.header is None:
            continue
        if start >= place.stop or (not is_open and row["end"] <= place.start) or not message.header:
            continue
        begin = int(row["body_start"])
        stop = min(place.stop if is_open else stop, begin + left)
        body = await place.read(begin, stop) if stop > begin else b""
        if body is None:
            continue
        left -= len(body)
        framing = FRAMINGS[row["framing"]] if row["framing"] < len(FRAMINGS) else ""
        parts.append(HttpPart(message.header, body, framing, start, max(stop, int(row["end"]))))
    return parts


async def frames_to(place: Place, found: list[Told]) -> tuple[list[WsFrame], str | None]:
    """WebSocket frames of the direction from its first one up to the end of the place, and the
    extensions that were agreed; no frames where they are too many octets or not retained."""
    starts = [
        int(m.row["start"])
        for m in found
        if m.row["protocol"] == WEBSOCKET and m.row["dir"] == place.direction
    ]
    if not starts or place.stop - starts[0] > place.limit or place.stop <= starts[0]:
        return [], None
    data = await place.read(starts[0], place.stop)
    return split_frames(data, starts[0]) if data else [], agreed_extensions(found)


def agreed_extensions(found: list[Told]) -> str | None:
    """Sec-WebSocket-Extensions of the answer that switched protocols; None = it is not known."""
    for message in found:
        if message.row["protocol"] == HTTP1 and message.row["code"] == SWITCHING_PROTOCOLS:
            if message.header is None:
                return None
            return joined(headers_of(message.header), "sec-websocket-extensions") or ""
    return None
