"""`/api/patterns`: what is looked for in content, for everybody, while the run goes on."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import Field

from services.api.backend import deadline
from services.api.deps import TheBackend, json_response
from services.api.models import Body, Count
from services.api.problems import CONFLICT, RESPONSES, UNKNOWN_ID
from shared.team import COLOR, NewPattern, PatternChange

router = APIRouter()

PatternNumber = Annotated[int, Path(alias="id", ge=1, le=(1 << 31) - 1)]


class PatternStatus(Body):
    """How a pattern fares, summed over shards."""

    matches: Count = Field(description="found and kept")
    over_limit: Count = Field(description="found and left out: a cap was reached")
    timeouts: Count = Field(description="scans that took too long; those streams are given up")
    skipped: Count = Field(description="scans left out: the pattern took more than its share")
    scanned_bytes: Count = Field(description="of the content that was retained when it came")
    todo_bytes: Count
    unseen_bytes: Count = Field(
        description="of content that made room for newer before it was looked for there, about"
    )
    progress: float = Field(ge=0, le=1, description="how much of that content has been looked at")
    state: Literal["pending", "active", "scanning", "slow", "failed", "disabled"] = Field(
        description="pending: no shard has said anything of it yet"
    )
    trouble: str = Field(description="what is wrong with it; empty when nothing is")


class Pattern(Body):
    """A pattern, and how it fares."""

    id: int
    name: str
    kind: Literal["substring", "regex", "binary"]
    value: str = Field(description="of a binary pattern its digits alone, in lower case")
    color: str = Field(pattern=COLOR)
    direction: Literal["any", "client", "server"]
    services: list[str]
    enabled: bool
    status: PatternStatus


class PatternList(Body):
    patterns: list[Pattern]


@router.get("/api/patterns", response_model=PatternList, responses=RESPONSES)
async def list_patterns(backend: TheBackend) -> Response:
    """All patterns, the oldest first."""
    answer = await backend.coordinator.ask("pattern_list", {}, deadline())
    return json_response(answer.result)


@router.post(
    "/api/patterns", status_code=201, response_model=Pattern, responses=RESPONSES | CONFLICT
)
async def add_pattern(backend: TheBackend, pattern: NewPattern) -> Response:
    """Look for something from now on, and in what is retained. `bad_pattern` says what is wrong
    with it, and where."""
    answer = await backend.coordinator.ask("pattern_add", pattern.given(), deadline())
    return json_response(answer.result, 201)


@router.patch(
    "/api/patterns/{id}", response_model=Pattern, responses=RESPONSES | UNKNOWN_ID | CONFLICT
)
async def change_pattern(
    backend: TheBackend, number: PatternNumber, change: PatternChange
) -> Response:
    """Fields that are not given stay. Where it finds something else then, its matches go and what
    is retained is looked at again; so when it is enabled again. Disabled, it has no matches."""
    args = {"id": number, "change": change.given()}
    answer = await backend.coordinator.ask("pattern_change", args, deadline())
    return json_response(answer.result)


@router.delete("/api/patterns/{id}", status_code=204, responses=RESPONSES | UNKNOWN_ID)
async def remove_pattern(backend: TheBackend, number: PatternNumber) -> Response:
    """Its matches go with it. Its number is never used again."""
    await backend.coordinator.ask("pattern_remove", {"id": number}, deadline())
    return Response(status_code=204)
