"""`/api/health`: how the run is doing."""

from fastapi import APIRouter, Response

from services.api.backend import deadline
from services.api.deps import TheBackend, TheFeed, json_response
from services.api.models import Health
from services.api.problems import RESPONSES

router = APIRouter()


@router.get("/api/health", response_model=Health, responses=RESPONSES)
async def get_health(backend: TheBackend, feed: TheFeed) -> Response:
    """Sources, shards, totals, rates, drops, queues and budgets, as the coordinator sees them; and
    how many people look on here."""
    answer = await backend.coordinator.ask("health", {}, deadline())
    return json_response(answer.result | {"clients": feed.waiting})
