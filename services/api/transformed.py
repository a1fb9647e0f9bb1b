"""`transform=` of content: a chain of decoders over a slice, shown beside the original."""

import asyncio
from typing import Any, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from services.api.backend import Backend
from services.api.context import Place, context_of
from services.api.models import Body, Count
from services.api.rows import Row
from services.api.transforms import NAMES, Context, check_names, transform

# these work on whole messages rather than on one slice
WANT_CONTEXT = frozenset({"http_body", "websocket", "auto", "profile", "charset"})
PATTERN = "^(%s)(,(%s)){0,31}$" % (("|".join(NAMES),) * 2)


class TransformStep(Body):
    """What one transform did. A note says why it is not applied, or what is remarkable."""

    name: str
    status: Literal["applied", "noop", "partial", "failed"]
    note: str
    input_bytes: Count
    output_bytes: Count


class TransformView(Body):
    """The outcome of a chain; `view` as `mode` says, at most --max-stream-transform-bytes."""

    chain: list[str]
    view: str
    base64: str
    returned_bytes: Count
    steps: list[TransformStep]
    truncated_by_limit: bool = Field(description="there is more than the limit let through")


def chain_of(value: str | None) -> list[str]:
    """The names of a parameter. A ValueError for pydantic where there is none of that name."""
    names = value.split(",") if value else []
    try:
        check_names(names)
    except ValueError as error:
        raise PydanticCustomError("transform", "{reason}", {"reason": str(error)}) from None
    return names


async def transformed(
    chain: list[str], octets: bytes, place: Place, limit: int, profile: list[str]
) -> dict[str, Any]:
    """As `TransformView`, without the views. octets: of the place, holes left out."""
    context = Context(start=place.start, end=place.stop)
    if WANT_CONTEXT & {*chain, *profile}:
        context = await context_of(place, profile)
    found = await asyncio.to_thread(transform, chain, octets, limit, context)
    return {
        "chain": chain,
        "octets": found.data,
        "returned_bytes": len(found.data),
        "steps": [
            {
                "name": step.name,
                "status": step.status,
                "note": step.note,
                "input_bytes": step.input_bytes,
                "output_bytes": step.output_bytes,
            }
            for step in found.steps
        ],
        "truncated_by_limit": found.truncated_by_limit,
    }


async def profile_chain(backend: Backend, row: Row, until: float) -> list[str]:
    """The default transforms of the stream's profile: of those that fit the foremost."""
    answer = await backend.coordinator.ask("profile_list", {}, until)
    fitting = [profile for profile in answer.result["profiles"] if fits(profile, row)]
    if not fitting:
        return []
    chosen = max(fitting, key=lambda profile: int(profile["priority"]))
    return [name for name in chosen["default_transforms"] if name in NAMES]


def fits(profile: Row, row: Row) -> bool:
    """Whether all that the profile says of a stream holds; one that says nothing fits none."""
    ports = {row["endpoint_a"]["port"], row["endpoint_b"]["port"]}
    wanted: list[tuple[Any, bool]] = [
        (profile["protocol"], row["protocol"] == profile["protocol"]),
        (profile["services"], row["service"]["name"] in profile["services"]),
        (profile["ports"], bool(ports & {*profile["ports"]})),
        (profile["content_kind"], row["content_kind"] == profile["content_kind"]),
        (profile["pattern_ids"], bool({*row["pattern_ids"]} & {*profile["pattern_ids"]})),
        (profile["only_matched"], row["match_count"] > 0),
    ]
    said = [holds for told, holds in wanted if told]
    return bool(profile["enabled"]) and bool(said) and all(said)
