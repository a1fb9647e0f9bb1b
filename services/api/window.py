"""The newest deltas in memory, ready to be sent: bounded in number and in bytes.

Cursors count from 1 without holes; a delta is kept as the JSON that every client gets.
"""

ANSWER_BYTES = 1 << 20  # of deltas that are handed out together, or the first one


class Window:
    """Deltas (oldest, latest]. capacity: deltas kept at most; max_bytes: of their JSON."""

    def __init__(self, capacity: int, max_bytes: int) -> None:
        self.capacity, self.max_bytes = capacity, max_bytes
        self.latest = 0
        self.bytes = 0
        self._deltas: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self._deltas)

    def start_at(self, cursor: int) -> None:
        """Forget everything; the next delta is `cursor` + 1."""
        self._deltas.clear()
        self.latest, self.bytes = cursor, 0

    def append(self, cursor: int, encoded: bytes) -> None:
        """Add the next delta. One that is not the next means that some were lost: start again."""
        if cursor != self.latest + 1:
            self.start_at(cursor - 1)
        self._deltas[cursor] = encoded
        self.latest = cursor
        self.bytes += len(encoded)
        while len(self._deltas) > self.capacity or self.bytes > self.max_bytes:
            self.bytes -= len(self._deltas.pop(self.latest + 1 - len(self._deltas)))

    def after(self, cursor: int, limit: int) -> list[bytes] | None:
        """Up to `limit` deltas that follow `cursor`; None when some that did are not held."""
        if not self.latest - len(self._deltas) <= cursor <= self.latest:
            return None
        found: list[bytes] = []
        size = 0
        for position in range(cursor + 1, min(cursor + limit, self.latest) + 1):
            delta = self._deltas[position]
            size += len(delta)
            if found and size > ANSWER_BYTES:
                break
            found.append(delta)
        return found
