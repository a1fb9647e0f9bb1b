"""`/api/profiles`: how streams of a kind are told, and how they are best looked at."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import ConfigDict, Field

from services.api.backend import deadline
from services.api.deps import TheBackend, json_response
from services.api.models import Body
from services.api.problems import CONFLICT, RESPONSES, UNKNOWN_ID
from shared.team import PROFILE_ID, Profile, ProfileChange

router = APIRouter()

ProfileId = Annotated[str, Path(alias="id", pattern=PROFILE_ID.pattern)]


class KnownProfile(Profile):
    """A profile, and where it comes from."""

    model_config = ConfigDict(title="KnownProfile")

    source: Literal["built_in", "file", "api"] = Field(
        description="api: added there, or one of the others overridden there"
    )


class ProfileList(Body):
    profiles: list[KnownProfile]


@router.get("/api/profiles", response_model=ProfileList, responses=RESPONSES)
async def list_profiles(backend: TheBackend) -> Response:
    """All profiles, the most important first."""
    answer = await backend.coordinator.ask("profile_list", {}, deadline())
    return json_response(answer.result)


@router.post(
    "/api/profiles", status_code=201, response_model=KnownProfile, responses=RESPONSES | CONFLICT
)
async def add_profile(backend: TheBackend, profile: Profile) -> Response:
    """Add a profile, or override the one of this id as a whole."""
    answer = await backend.coordinator.ask("profile_add", profile.given(), deadline())
    return json_response(answer.result, 201)


@router.patch(
    "/api/profiles/{id}", response_model=KnownProfile, responses=RESPONSES | UNKNOWN_ID | CONFLICT
)
async def change_profile(backend: TheBackend, key: ProfileId, change: ProfileChange) -> Response:
    """Fields that are not given stay."""
    args = {"id": key, "change": change.given()}
    answer = await backend.coordinator.ask("profile_change", args, deadline())
    return json_response(answer.result)


@router.delete("/api/profiles/{id}", status_code=204, responses=RESPONSES | UNKNOWN_ID | CONFLICT)
async def remove_profile(backend: TheBackend, key: ProfileId) -> Response:
    """What is built in, or from the file, cannot be deleted, only disabled; what was said of it
    here can: it is as it was then."""
    await backend.coordinator.ask("profile_remove", {"id": key}, deadline())
    return Response(status_code=204)
