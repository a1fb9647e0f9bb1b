"""A reader of network byte order that says when the octets end too early."""


class CutOffError(ValueError):
    """There are fewer octets than a field needs."""


class Octets:
    """Fields of `data`, one after the other, from `at` to before `end`."""

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data, self.at = data, at
        self.end = len(data) if end is None else min(end, len(data))

    def __len__(self) -> int:
        """How many are left."""
        return max(self.end - self.at, 0)

    def take(self, count: int) -> bytes:
        """The next `count` octets."""
        if count > len(self):
            raise CutOffError(f"{count} octets expected at {self.at}, {len(self)} left")
        self.at += count
        return self.data[self.at - count : self.at]

    def uint(self, width: int) -> int:
        """An unsigned number of `width` octets."""
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int) -> bytes:
        """Octets behind their length, a number of `width` octets."""
        return self.take(self.uint(width))

    def rest(self) -> bytes:
        """All that are left."""
        return self.take(len(self))


def numbers(octets: bytes, width: int = 2) -> list[int]:
    """Numbers of `width` octets; an incomplete last one is left out."""
    return [
        int.from_bytes(octets[at : at + width], "big")
        for at in range(0, len(octets) - width + 1, width)
    ]


def readable(octets: bytes) -> str:
    """UTF-8 where it is valid, else Latin-1, which every octet is."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")
