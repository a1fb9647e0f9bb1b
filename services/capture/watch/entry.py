"""One capture of a watched folder: where it is, how far it is read, and what became of it."""

from dataclasses import dataclass, field
from typing import Literal

from services.capture.capture_file import CaptureReader, Place
from services.capture.source import SourceState
from services.capture.watch.growing import GrowingFile

State = Literal["waiting", "reading", "done", "rejected", "gone"]
PLAIN = "pcap"  # the format that can be gone on with at any record, without reading it again


@dataclass
class Opened:
    """A descriptor and a reader on it."""

    file: GrowingFile
    reader: CaptureReader
    told: SourceState = field(default_factory=lambda: SourceState("", "file"))  # what was counted

    @property
    def is_plain(self) -> bool:
        return self.reader.state.format == PLAIN


@dataclass(eq=False)
class Entry:
    """Kept while the folder is watched, and over restarts by its id. That is the same whoever looks
    at it, once its first packet was seen."""

    id: str
    name: str
    device: int
    inode: int
    size: int = 0  # bytes, when last looked at
    changed_ns: int = 0  # ctime of that
    head: bytes = b""  # its first bytes, as far as they were read
    offset: int = 0  # bytes read; behind them nothing was found yet
    place: Place = field(default_factory=Place)
    damaged: int = 0
    first_ns: int | None = None  # time of its first packet
    time_ns: int = 0  # time of the last packet read, or of the first one
    is_stranger: bool = False  # a folder, a device: nothing that holds a capture
    is_over: bool = False  # cannot be followed any further, whatever is behind
    state: State = "waiting"
    reason: str = ""
    found_us: int = 0  # wall clock
    changed_us: int = 0  # wall clock, when state or offset last changed

    # of this process
    reported: int = 0  # packets, by a capture service before this one
    opened: Opened | None = None
    fault: str = ""  # the last damage
    is_here: bool = True  # in the folder, when that was last looked at
    is_renamed: bool = False  # since it was read
    is_unclear: bool = False  # shorter than what was read: what it will be is to be seen
    peeked_size: int = -1  # when its first packet was last looked for
    wants: str = "its first packet"  # as long as there is none
    grown_at: float = 0.0  # monotonic
    retry_at: float = 0.0  # monotonic; it could not be read
    retry_s: float = 0.0

    @property
    def has_more(self) -> bool:
        """Whether there may be bytes that were not read."""
        if self.is_stranger or self.is_over or self.is_unclear:
            return False
        return self.opened is not None or (self.is_here and self.size > self.offset)

    def go_back(self, packets: int) -> None:
        """So many of its packets were taken, whatever was noted."""
        if packets != self.place.packets:
            self.place, self.offset = Place(packets), 0

    @property
    def unread(self) -> int:
        return max(0, self.size - self.offset)

    @property
    def family(self) -> str:
        """What names of one rotation have in common: all but the digits."""
        return "".join(each for each in self.name if not each.isdigit())
