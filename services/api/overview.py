"""`/api/streams/timeline` and `/api/streams/facets`: all streams of a filter at a glance."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from services.api.backend import deadline
from services.api.deps import TheBackend, json_response
from services.api.filters import ListFilters, chosen
from services.api.models import Facets, Timeline
from services.api.problems import RESPONSES, UNKNOWN_SEARCH
from shared.schema import FacetsQuery, TimelineQuery

router = APIRouter()


class TimelineParameters(ListFilters):
    """Filters, and how finely time is divided."""

    buckets: int = Field(120, ge=1, le=512, description="at most so many, of a round length each")


@router.get("/api/streams/timeline", response_model=Timeline, responses=RESPONSES | UNKNOWN_SEARCH)
async def get_timeline(
    backend: TheBackend, parameters: Annotated[TimelineParameters, Query()]
) -> Response:
    """How many streams began when, and how many bytes they are. It runs over all streams that there
    are, whatever the filter; but from `since_us`, up to `until_us` where they are given."""
    until = deadline()
    query = TimelineQuery(
        filter=await chosen(backend, parameters, until), buckets=parameters.buckets
    )
    answer = await backend.coordinator.ask("timeline", query.model_dump(), until)
    return json_response(answer.result)


@router.get("/api/streams/facets", response_model=Facets, responses=RESPONSES | UNKNOWN_SEARCH)
async def get_facets(backend: TheBackend, filters: Annotated[ListFilters, Query()]) -> Response:
    """How many streams there are of each service, protocol, status, content kind, pattern, tag."""
    until = deadline()
    query = FacetsQuery(filter=await chosen(backend, filters, until))
    answer = await backend.coordinator.ask("facets", query.model_dump(), until)
    return json_response(answer.result)
