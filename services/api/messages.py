"""`/api/messages`: what parsers found, across streams. This version has no parsers: no messages."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.api.models import INT64_MAX, Body
from services.api.problems import RESPONSES

router = APIRouter()


class MessagesParameters(BaseModel):
    """Which messages; an empty value is none."""

    protocol: Literal["http1", "dns", "tls", "websocket"] | None = None
    limit: int = Field(100, ge=1, le=512)
    cursor: int | None = Field(None, ge=0, le=INT64_MAX)


class MessagePage(Body):
    """A page of messages; empty as long as no parser is installed."""

    messages: list[None] = Field(max_length=0)
    next_cursor: None = None


@router.get("/api/messages", response_model=MessagePage, responses=RESPONSES)
async def list_messages(parameters: Annotated[MessagesParameters, Query()]) -> MessagePage:
    """Messages of all streams. No parser is installed in this version, so there are none."""
    return MessagePage(messages=[])
