"""What the coordinator answers: a table of operations, each from checked arguments to a reply.

A request that is malformed, unknown or impossible is refused with a code, a sentence and a hint;
nothing that a peer sends ends the process.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from services.coordinator.arguments import Answer, Arguments, Nothing, Operation
from services.coordinator.conditions import BadValueError
from services.coordinator.deltas import DeltaLog
from services.coordinator.health import Health
from services.coordinator.lives import Notice
from services.coordinator.overview import Overviews
from services.coordinator.query import Queries
from services.coordinator.shards import RefusedError, Shards
from services.coordinator.team import Team
from services.coordinator.team_requests import TeamRequests
from services.coordinator.view import Inventory
from shared.schema import (
    FacetsQuery,
    FilesQuery,
    PatternReport,
    Reach,
    Reply,
    Request,
    SchemaError,
    StreamFilter,
    StreamsQuery,
    TimelineQuery,
    unpack,
)
from shared.team import PATTERNS_MAX
from shared.wire import pack_reply, refusal

EDGE = "requests"
DELTAS_MAX = 4096
Frames = list[Any]


class Register(Arguments):
    instance: str = Field(min_length=1, max_length=64)
    pid: int = 0
    host: str = Field("", max_length=255)
    index: int = -1


class Heartbeat(Arguments):
    shard: int
    instance: str = Field(min_length=1, max_length=64)
    seq: int = Field(0, ge=0)
    reach: Reach | None = None
    patterns: list[PatternReport] = Field([], max_length=PATTERNS_MAX)


class StreamOf(Arguments):
    stream_id: int = Field(ge=0, le=(1 << 64) - 1)


class Chosen(Arguments):
    filter: StreamFilter = StreamFilter()


class DeltasAfter(Arguments):
    cursor: int = Field(0, ge=0)
    limit: int = Field(1000, ge=1, le=DELTAS_MAX)


def explain(error: ValidationError) -> tuple[str, str]:
    """What is wrong with the first bad argument, and what would be right."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where} {first['input']!r:.80} is not accepted", str(first["msg"]).lower()


class Requests:
    """Answers requests. clock: seconds, monotonic."""

    def __init__(
        self,
        coordinator: str,
        inventory: Inventory,
        shards: Shards,
        health: Health,
        deltas: DeltaLog,
        clock: Callable[[], float],
        team: Team,
        metrics: Callable[[], bytes],
    ) -> None:
        """metrics: gives those of the whole run, as Prometheus reads them."""
        self.inventory, self.shards, self.health, self.deltas = inventory, shards, health, deltas
        self.team = team
        self.queries = Queries(inventory, team)
        self.overviews = Overviews(self.queries)
        self.refused: dict[str, int] = {}  # by code
        self._coordinator, self._clock, self._text = coordinator, clock, metrics
        self._log = logging.getLogger("coordinator")
        self._table: dict[str, Operation] = {
            "register": self._register,
            "heartbeat": self._heartbeat,
            "notice": self._notice,
            "topology": self._topology,
            "health": self._health,
            "metrics": self._metrics,
            "files": self._files,
            "streams": self._streams,
            "stream": self._stream,
            "where": self._where,
            "deltas": self._deltas,
            "select_rows": self._select_rows,
            "timeline": self._timeline,
            "facets": self._facets,
            **TeamRequests(team, deltas, self._one_stream).table,
        }
        self.answered = dict.fromkeys(self._table, 0)  # by operation

    def answer(self, frame: bytes) -> Frames:
        """The frames of the reply to one request."""
        try:
            reply, columns = self._result(frame)
        except SchemaError as error:
            reply, columns = refusal("bad_request", str(error)), ()
        except ValidationError as error:
            reply, columns = refusal("bad_value", *explain(error)), ()
        except BadValueError as error:
            reply, columns = refusal("bad_value", str(error), error.hint), ()
        except RefusedError as error:
            reply, columns = refusal(error.code, str(error), error.hint), ()
        except Exception:  # a fault of ours must not take the inventory with it
            self._log.exception("a request was not answered")
            reply, columns = refusal("internal", "the coordinator could not answer this"), ()
        if reply.error is not None:
            self.refused[reply.error.code] = self.refused.get(reply.error.code, 0) + 1
        return pack_reply(reply, columns)

    def _result(self, frame: bytes) -> tuple[Reply, Sequence[Any]]:
        request = unpack(Request, frame, EDGE)
        operation = self._table.get(request.op)
        if operation is None:
            known = ", ".join(self._table)
            return refusal("unknown_op", f"no operation {request.op!r}", f"one of {known}"), ()
        result, columns = operation(request.args)
        self.answered[request.op] += 1
        return Reply(result=result), columns

    # -------------------------------------------------------------------------- shards
    def _register(self, args: dict[str, Any]) -> Answer:
        wanted = Register.model_validate(args)
        shard = self.shards.register(
            wanted.instance, wanted.pid, wanted.host, wanted.index, self._clock()
        )
        return {
            "index": shard.index,
            "shards": len(self.shards.all),
            "coordinator": self._coordinator,
            "told_packets": shard.told_packets,
            "rows": shard.rows,
            "seen": shard.seen,
            "sent": self.health.sources.sent_to(shard.index) if shard.ended else None,
        }, ()

    def _heartbeat(self, args: dict[str, Any]) -> Answer:
        beat = Heartbeat.model_validate(args)
        now = self._clock()
        acked = self.shards.heartbeat(beat.shard, beat.instance, beat.seq, now, beat.reach)
        if beat.patterns:
            self.team.patterns.report(beat.shard, beat.patterns)
        version = self.team.patterns.version
        return {
            "coordinator": self._coordinator,
            "acked_seq": acked,
            "patterns_version": version,
            "favorites_version": self.team.annotations.favorites_version,
        }, ()

    def _notice(self, args: dict[str, Any]) -> Answer:
        self.health.notice(Notice.model_validate(args))
        return {}, ()

    def _topology(self, args: dict[str, Any]) -> Answer:
        Nothing.model_validate(args)
        now = self._clock()
        shards = [
            {
                "index": shard.index,
                "instance": shard.instance,
                "pid": shard.pid,
                "host": shard.host,
                "ready": shard.ready and not shard.is_lost(now),
                "reach": None if shard.reach is None else shard.reach.model_dump(),
                "age_ms": int(shard.silent_s(now) * 1000),
            }
            for shard in self.shards.all
            if shard.instance
        ]
        sources = self.health.sources
        capture = {"age_ms": int(sources.silent_s(now) * 1000), "ended": sources.ended}
        return {"expected": self.shards.expected, "shards": shards, "capture": capture}, ()

    def _files(self, args: dict[str, Any]) -> Answer:
        """For capture: how far the captures of a watched folder were read before."""
        return {"files": self.health.sources.ledger.page(FilesQuery.model_validate(args))}, ()

    # ----------------------------------------------------------------------------- api
    def _health(self, args: dict[str, Any]) -> Answer:
        Nothing.model_validate(args)
        return self.health.report(self._clock()), ()

    def _metrics(self, args: dict[str, Any]) -> Answer:
        Nothing.model_validate(args)
        return {}, [self._text()]

    def _streams(self, args: dict[str, Any]) -> Answer:
        found = self.queries.page(StreamsQuery.model_validate(args))
        result = {
            "count": found.slots.size,
            "total": found.total,
            "hidden": found.hidden,
            "before": found.before,
            "next_cursor": found.next_cursor,
        }
        return self._rows(result, found.slots)

    def _stream(self, args: dict[str, Any]) -> Answer:
        slot = self.inventory.find(StreamOf.model_validate(args).stream_id)
        return self._one_stream(slot)

    def _where(self, args: dict[str, Any]) -> Answer:
        """Which shard has a stream's content, in which row; nothing when it is not here."""
        slot = self.inventory.find(StreamOf.model_validate(args).stream_id)
        if slot < 0:
            return {}, ()
        columns = self.inventory.columns
        return {name: int(columns[name][slot]) for name in ("shard", "row", "client")}, ()

    def _one_stream(self, slot: int) -> Answer:
        """The row in a slot, none for -1."""
        slots = np.array([slot] if slot >= 0 else [], np.intp)
        count = slots.size
        result = {"count": count, "total": count, "hidden": 0, "next_cursor": None}
        return self._rows(result, slots)

    def _rows(self, result: dict[str, Any], slots: NDArray[np.intp]) -> Answer:
        """Columns of some rows, and beside them what only few rows have."""
        columns = [column.tobytes() for column in self.inventory.rows(slots)]
        return result | {"extras": self.team.extras(slots)}, columns

    def _select_rows(self, args: dict[str, Any]) -> Answer:
        """Where the streams of a filter are: for each shard, its rows with their streams' ids."""
        chosen = self.queries.select(Chosen.model_validate(args).filter)
        shards = [{"shard": shard, "count": rows.size} for shard, rows in chosen.rows.items()]
        result = {"shards": shards, "total": chosen.total, "left_out": chosen.left_out}
        return result, [rows.tobytes() for rows in chosen.rows.values()]

    def _timeline(self, args: dict[str, Any]) -> Answer:
        query = TimelineQuery.model_validate(args)
        return self.overviews.timeline(query.filter, query.buckets), ()

    def _facets(self, args: dict[str, Any]) -> Answer:
        return self.overviews.facets(FacetsQuery.model_validate(args).filter), ()

    def _deltas(self, args: dict[str, Any]) -> Answer:
        wanted = DeltasAfter.model_validate(args)
        return self.deltas.after(wanted.cursor, wanted.limit), ()
