"""An inventory with some streams, and a team around it, without processes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.coordinator.query import Queries
from services.coordinator.team import Team
from services.coordinator.view import Inventory
from shared.columns import EVENT, EVENT_OPEN, PAIR, PROTOCOLS, SERVICES
from shared.schema import StreamFilter, StreamsQuery
from shared.settings import Settings
from shared.team import NewPattern, NewRule, StreamNotes

PROTOCOL_NUMBERS = {name: number for number, name in PROTOCOLS.items()}
NO_PAIRS = np.zeros(0, PAIR)


def events_of(*streams: Mapping[str, Any]) -> NDArray[np.void]:
    """EVENT rows, each of a stream `id` whose row is its id."""
    rows = np.zeros(len(streams), EVENT)
    for row, stream in zip(rows, streams, strict=True):
        fields = dict(stream)
        row["stream_id"], row["kind"] = fields.pop("id"), EVENT_OPEN
        row["row"] = row["stream_id"] % 1024
        row["service"] = SERVICES.index(fields.pop("service", ""))
        row["proto"] = PROTOCOL_NUMBERS[fields.pop("protocol", "tcp")]
        row["family"] = 4
        for name, value in fields.items():
            row[name] = value
    return rows


def pairs_of(*counts: tuple[int, int, int]) -> NDArray[np.void]:
    """PAIR rows of (stream, pattern, count)."""
    rows = np.zeros(len(counts), PAIR)
    for row, (stream, pattern, count) in zip(rows, counts, strict=True):
        row["stream_id"], row["row"], row["pattern"], row["count"] = stream, stream, pattern, count
    return rows


class TeamSite:
    """capacity: streams. settings: of the coordinator."""

    def __init__(self, capacity: int = 16, **settings: Any) -> None:
        self.inventory = Inventory(capacity, settings.get("max_pattern_matches_total", 1000))
        self.team = Team(self.inventory, Settings(**settings))
        self.queries = Queries(self.inventory, self.team)

    def tell(
        self, *streams: Mapping[str, Any], pairs: NDArray[np.void] = NO_PAIRS, shard: int = 0
    ) -> None:
        """One message of a shard."""
        self.team.entered(self.inventory.merge(shard, events_of(*streams)), pairs)

    def note(self, stream: int, **notes: Any) -> None:
        self.team.note(self.inventory.find(stream), stream, StreamNotes(**notes))

    def hide(self, kind: str, value: int | str, enabled: bool = True) -> int:
        wanted = NewRule(kind=kind, value=value, enabled=enabled)  # type: ignore[arg-type]
        return self.team.rules.add(wanted)[0].id

    def look_for(self, value: str, kind: str = "substring", **more: Any) -> int:
        wanted = NewPattern(kind=kind, value=value, **more)  # type: ignore[arg-type]
        return self.team.patterns.add(wanted).id

    def shown(self, **wanted: Any) -> list[int]:
        """Ids of the page of a filter, oldest first."""
        query = StreamsQuery(filter=StreamFilter(**wanted), order="oldest", limit=512)
        slots = self.queries.page(query).slots
        found: list[int] = self.inventory.columns["stream_id"][slots].tolist()
        return found

    def extras(self, stream: int) -> dict[str, Any]:
        """What a stream's row has beside its columns."""
        extras = self.team.extras(np.array([self.inventory.find(stream)]))
        fields: dict[str, Any] = extras[0][1] if extras else {}
        return fields

    def marked(self, stream: int) -> int:
        return int(self.inventory.marks[self.inventory.find(stream)])


def state_in(folder: Path) -> str:
    return str(folder / "team.state")
