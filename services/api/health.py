"""`/api/health`: how the run is doing."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from services.api.backend import deadline
from services.api.deps import TheBackend, TheFeed, json_response
from services.api.models import Count
from services.api.problems import RESPONSES

router = APIRouter()


class InputProblem(BaseModel):
    """Damage in an input: where, and why it could not be read."""

    offset: int
    reason: str


class Source(BaseModel):
    """One input, and how far it is read."""

    name: str
    kind: str = Field(description="pcap, pcapng, stdin, interface, and so on")
    status: Literal["waiting", "reading", "done", "failed"]
    packets: Count
    counted: Count = Field(description="packets, those that an earlier capture read included")
    bytes: Count
    position: Count = Field(description="bytes of input taken so far, as stored")
    size: Count = Field(description="0: not known")
    damaged: Count
    trouble: str = Field(description="why it waits, or what it lacks now")
    dropped_kernel: Count = Field(description="packets that a live source could not be given")
    dropped_interface: Count
    dropped_ours: Count
    last_drop_us: Count = Field(description="0: never")
    problems: list[InputProblem]


class Shard(BaseModel):
    """One process that analyses."""

    index: Count
    state: Literal["starting", "ready", "ended", "lost"]
    instance: str
    pid: Count
    host: str
    age_ms: Count = Field(description="since it was heard")
    restarts: Count
    events: Count
    messages_lost: Count
    orphaned_streams: Count = Field(description="whose content went with a process before it")
    stats: dict[str, int]


class Service(BaseModel):
    """One service, and how its last process ended."""

    service: str
    state: str
    since_us: Count
    restarts: Count
    last_end: str = Field(description="such as `killed by SIGKILL`; empty: it never ended")
    ended_us: Count


class LedgerFile(BaseModel):
    """One capture of a watched folder, or one that was uploaded, and how far it is read."""

    id: str
    source: str = Field(description="the watched folder, or `uploads`")
    name: str = Field(description="what cannot be printed in it is escaped")
    state: Literal["waiting", "reading", "done", "rejected", "gone"]
    reason: str = Field(description="why it waits, was rejected, or was not read to its end")
    device: Count
    inode: Count
    size: Count
    offset: Count = Field(description="bytes read")
    packets: Count
    damaged: Count = Field(description="records, blocks and ends that could not be read")
    found_us: Count
    changed_us: Count


class LedgerSums(BaseModel):
    """Captures that are not told one by one any more."""

    files: Count
    packets: Count
    size: Count
    offset: Count
    damaged: Count


class Ledger(BaseModel):
    """Captures that come one by one: the newest of them, and sums of the others."""

    files: list[LedgerFile]
    older: LedgerSums
    states: dict[str, Count] = Field(description="how many are in each state")


class Health(BaseModel):
    """How the run is doing, as the coordinator sees it; and who looks on."""

    model_config = ConfigDict(extra="allow")

    status: Literal["ok", "degraded", "failed"]
    run_status: Literal["waiting", "running", "completed", "failed"]
    troubles: list[str] = Field(description="what is wrong right now, a sentence each")
    services: list[Service]
    sources: list[Source]
    ledger: Ledger
    shards: list[Shard]
    totals: dict[str, int]
    rates: dict[str, float]
    drops: dict[str, int]
    queues: dict[str, int]
    budgets: dict[str, int]
    latest_cursor: Count
    clients: Count = Field(
        description="people online at this API: event streams and long polls that are open"
    )


@router.get("/api/health", response_model=Health, responses=RESPONSES)
async def get_health(backend: TheBackend, feed: TheFeed) -> Response:
    """Sources, shards, totals, rates, drops, queues and budgets, as the coordinator sees them; and
    how many people look on here."""
    answer = await backend.coordinator.ask("health", {}, deadline())
    return json_response(answer.result | {"clients": feed.waiting})
