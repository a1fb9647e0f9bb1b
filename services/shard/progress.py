"""What a shard has taken of what was sent to it: each packet once, and all others counted.

Packets for one shard are numbered by how many were sent to it before, over all captures of a run;
every message of a lane names the first of its numbers. Where the numbers have a gap, packets went
down with a shard that was killed. What the predecessor told of, the coordinator knows.

What can be read again (an *input*) has numbers of its own, which rise as it is read. A capture that
starts asks how far this shard is in each input, and sends nothing up to there. From then on what an
earlier capture had sent of an input is not taken, because the new one sends it again.
"""

from typing import Any

from shared.schema import BatchHeader

INPUTS_KEPT = 1024  # the newest; an older one is over


class Progress:
    """lost, repeated: packets that no shard told of, and that a predecessor had told of before."""

    def __init__(self) -> None:
        self.lost = self.repeated = 0
        self.rows = 0  # sent to this number up to the newest batch
        self.taken = 0  # rows, then, of what was taken whole and told of
        self._seen: dict[str, int] = {}
        self._is_begun = False  # something is being taken, and told of
        self._begun: dict[str, int] = {}  # of it, how far inputs are then
        self._news: dict[str, int] = {}  # what the coordinator was not told
        self._told = 0  # by predecessors
        self._capture = ""  # the one that asked last
        self._next: dict[str, int] = {}  # by capture: number of the packet to come

    def follow(self, registered: dict[str, Any]) -> None:
        """Go on where a predecessor was. registered: the coordinator's answer."""
        self._told = int(registered.get("told_packets", 0))
        self.rows = int(registered.get("rows", 0))
        self._seen = {str(name): int(upto) for name, upto in registered.get("seen", {}).items()}
        if (sent := registered.get("sent")) is not None:  # the input has ended: nothing more comes
            self.lost += max(0, sent - self._told)
            self._told = self.rows = int(sent)
        self.taken = self.rows

    def resume(self, capture: str) -> dict[str, Any]:
        """A capture begins: how far this shard is. A predecessor may have told of more than it had
        taken whole: that is sent again."""
        if not self._next:
            self.repeated += max(0, self._told - self.rows)
        self._capture = capture
        self._next.setdefault(capture, self.rows)
        self._next = dict(list(self._next.items())[-2:])  # the one before may have batches here
        return {"rows": self._next[capture], "seen": self._seen}

    def begin(self, header: BatchHeader) -> bool:
        """A message of a lane: False when it is not to be taken, as it is sent again."""
        if self._is_sent_again(header):
            return False
        self._count(header)
        self.rows += header.rows
        begun = header.others | ({header.input: header.upto} if header.input else {})
        self._is_begun = True
        self._begun |= begun
        for name, upto in begun.items():
            self._note_seen(name, upto)
        return True

    def finish(self) -> None:
        """What was begun, if anything was, is taken and told of."""
        if self._is_begun:
            self.taken = self.rows
            self._news |= self._begun
            self._begun, self._is_begun = {}, False

    def news(self) -> dict[str, int]:
        """How far inputs are taken whole, where that was not told yet."""
        news, self._news = self._news, {}
        return news

    def tell_all_again(self) -> None:
        """Everything is news to a coordinator that restarted."""
        self._news = dict(self._seen)

    def lose(self, header: BatchHeader) -> None:
        """A batch cannot be had any more."""
        if not self._is_sent_again(header):
            self._count(header)
            self.lost += header.rows
            self.rows += header.rows

    def _is_sent_again(self, header: BatchHeader) -> bool:
        """By a later capture, or its input has ended there, but not here."""
        if not self._capture or header.capture in ("", self._capture):
            return header.input != "" and header.upto <= self._seen.get(header.input, -1)
        return header.input != "" or header.kind == "end"

    def _count(self, header: BatchHeader) -> None:
        """Compare the numbers."""
        before = header.rows_before
        if not self._next:  # the first of all, and nobody asked
            expected, self.rows = self._told, before
        else:
            expected = self._next.get(header.capture, before)
            self.rows += max(0, before - expected)
        self.lost += max(0, before - expected)
        self.repeated += max(0, expected - before)
        self._next[header.capture] = before + header.rows

    def _note_seen(self, name: str, upto: int) -> None:
        self._seen[name] = max(upto, self._seen.pop(name, 0))
        while len(self._seen) > INPUTS_KEPT:
            del self._seen[next(iter(self._seen))]

    def stats(self) -> dict[str, int]:
        return {"packets_lost": self.lost, "packets_repeated": self.repeated}
