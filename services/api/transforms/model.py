"""What transforms take and give."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from services.api.transforms.frames import WsFrame

Status = Literal["applied", "noop", "partial", "failed"]


@dataclass(frozen=True)
class HttpPart:
    """One HTTP message as it was sent: head, and body with its chunk framing, trailers included.

    framing: how the body's end is known, a name of `protocols.http1.FRAMINGS`, "" = the head tells.
    start, end: logical offsets of the message.
    """

    header: bytes
    body: bytes
    framing: str = ""
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class Context:
    """What a slice alone does not tell. A part that is empty is read from the octets themselves.

    messages: HTTP messages of the direction that overlap the slice. frames: WebSocket frames of the
    direction from the first one on, because a compressed message builds on those before it.
    extensions: the agreed Sec-WebSocket-Extensions, None = unknown. start, end: logical offsets of
    the slice; messages of frames that end before or begin behind it are left out; end 0 = all.
    charset: as declared. profile: the chain that the name `profile` stands for.
    """

    messages: Sequence[HttpPart] = ()
    frames: Sequence[WsFrame] = ()
    extensions: str | None = None
    start: int = 0
    end: int = 0
    charset: str = ""
    profile: Sequence[str] = ()


@dataclass(frozen=True)
class Step:
    """What one step did. A note says why it is not applied, or what is remarkable."""

    name: str
    status: Status
    note: str
    input_bytes: int
    output_bytes: int


@dataclass(frozen=True)
class Transformed:
    """The outcome of a chain. truncated_by_limit: there is more than the limit let through."""

    data: bytes
    steps: list[Step] = field(default_factory=list)
    truncated_by_limit: bool = False


@dataclass(frozen=True)
class Decoded:
    """What one decoder made of its octets; with noop and failed, data is what it was given."""

    data: bytes
    status: Status
    note: str = ""
    limited: bool = False


Decoder = Callable[[bytes, int, Context], Decoded]  # octets, limit, context


def clipped(data: bytes, limit: int, note: str = "") -> Decoded:
    """An outcome that is whole, or as much of it as the limit allows."""
    if len(data) <= limit:
        return Decoded(data, "applied", note)
    return Decoded(data[:limit], "partial", noted(note, f"stopped at {limit} bytes"), limited=True)


def noted(*notes: str) -> str:
    """The notes that say something, in one line."""
    return "; ".join(note for note in notes if note)
