"""Messages of shards into inventory and sinks. Python touches a message, never an event."""

from collections.abc import Sequence

import numpy as np

from services.coordinator.shards import Shards
from services.coordinator.sinks import Sink
from services.coordinator.team import Team
from services.coordinator.view import ROWS_MAX, Inventory
from shared.batch import EventBatch, event_batch
from shared.columns import EVENT_CHANGE, EVENT_CLOSE
from shared.schema import EventsHeader, SchemaError, unpack

EDGE = "events"
NONE = np.empty(0, np.int64)


class Merger:
    """Where an events message goes.

    told_messages: what parsers found, since the start. lines: what the sinks were given to write.
    streams_again: that came from shards which told them to an earlier coordinator.

    Rules. A message that was entered before is not entered again. One that a shard tells again
    to a coordinator that restarted (`snapshot`) fills the inventory, but not the sinks: the
    events were written when they happened.
    """

    def __init__(
        self, inventory: Inventory, shards: Shards, sinks: Sequence[Sink], team: Team
    ) -> None:
        self.inventory, self.shards, self.sinks, self.team = inventory, shards, sinks, team
        self.events = 0
        self.messages = 0
        self.told_messages = 0
        self.lines = 0
        self.streams_again = 0

    def take(self, frames: Sequence[bytes | memoryview], now: float) -> None:
        """One message: header and the frames of an `EventBatch`. now: monotonic seconds.

        Raises SchemaError for what is none; nothing of it is entered then.
        """
        header = unpack(EventsHeader, frames[0], EDGE)
        told = event_batch(header, frames[1:], EDGE)
        events = told.events
        if header.shard >= len(self.shards.all):
            raise SchemaError(f"{EDGE}: there is no shard {header.shard}")
        if events.size and int(events["row"].max()) >= ROWS_MAX:
            raise SchemaError(f"{EDGE}: a row of {ROWS_MAX} or more")
        if not self.shards.arrived(header, now):
            return
        self.messages += 1
        self.events += 0 if header.snapshot else events.size
        entered = self.inventory.merge(header.shard, events, told.previews, told.preview_bytes)
        self.team.entered(entered, told.pairs)
        if header.snapshot:
            self.streams_again += entered.fresh.size
        else:
            self.told_messages += told.messages.size
            self.lines += told.lines
            self._write(told)

    def _write(self, told: EventBatch) -> None:
        """To every sink. A change is for the inventory alone. What a stream's last message says
        comes before its close, which is the last line of a stream."""
        kinds = told.events["kind"]
        lines = kinds != EVENT_CHANGE
        closes = NONE
        if told.messages.size or told.matches.size:
            over = kinds == EVENT_CLOSE
            lines &= ~over
            closes = np.flatnonzero(over)
        for sink in self.sinks:
            sink.put_events(told.events, np.flatnonzero(lines))
            if told.messages.size:
                sink.put_messages(told.messages, told.message_ends, told.message_text)
            if told.matches.size:
                names = self.team.patterns.names
                sink.put_matches(told.matches, told.match_ends, told.match_bytes, names)
            sink.put_events(told.events, closes)
