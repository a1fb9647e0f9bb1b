"""The part of an input that is in memory: one reused buffer that slides over it."""

import numpy as np

from services.capture.inputs import Input, Seekable


class Window:
    """`data[start:stop]` are the bytes read and not used yet; `data[0]` is byte `offset`.

    Whoever uses bytes moves `start`. The buffer grows only when one piece does not fit into it.
    """

    def __init__(self, source: Input, capacity: int) -> None:
        self.input = source
        self.data = np.empty(capacity, np.uint8)
        self.start = 0
        self.stop = 0
        self.offset = 0
        self.skipping = 0  # bytes still to be thrown away before the next one is used
        self._skip_from = 0

    @property
    def left(self) -> int:
        """Bytes read and not used."""
        return self.stop - self.start

    @property
    def position(self) -> int:
        """Where in the input the unused part begins: the piece that is missing or unfinished."""
        return self._skip_from if self.skipping else self.offset + self.start

    def head(self, size: int) -> bytes:
        """Up to size unused bytes; they stay unused."""
        return self.data[self.start : min(self.stop, self.start + size)].tobytes()

    def skip(self, size: int) -> None:
        """Use size bytes unseen, however many: what is not in memory is never kept there."""
        self._skip_from = self.offset + self.start
        here = min(size, self.left)
        self.start += here
        self.skipping = size - here

    def replace(self, source: Input) -> None:
        """Read another input from its beginning; what was in memory is dropped."""
        self.input = source
        self.start = self.stop = self.offset = 0

    def seek(self, offset: int) -> None:
        """Go on at this byte of an input that is a `Seekable`."""
        assert isinstance(self.input, Seekable)
        self.input.seek(offset)
        self.start = self.stop = 0
        self.offset = offset

    def fill(self, need: int) -> int | None:
        """Read on, with room for `need` unused bytes (more than are left); what `readinto` says.

        Moves the unused bytes to the front: whatever points into `data` is stale afterwards.
        """
        left = self.left
        if need > self.data.size:
            grown = np.empty(1 << (need - 1).bit_length(), np.uint8)
            grown[:left] = self.data[self.start : self.stop]
            self.data = grown
        elif self.start:
            self.data[:left] = self.data[self.start : self.stop]
        self.offset += self.start
        self.start, self.stop = 0, left
        got = self.input.readinto(self.data.data[left:])
        self.stop += got or 0
        dropped = min(self.skipping, self.left)
        self.start += dropped
        self.skipping -= dropped
        return got
