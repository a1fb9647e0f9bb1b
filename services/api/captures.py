"""`/api/captures`: uploads, read by the run as if they had been given with --pcap."""

import asyncio
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import Field
from starlette.requests import ClientDisconnect

from services.api.deps import TheSettings, json_response
from services.api.models import Body, Count
from services.api.problems import RESPONSES, ErrorBody, Problem
from services.api.spool import Spool
from shared.settings import Settings
from shared.uploads import upload_folder

AT_ONCE = 4  # uploads under way; another one is refused
STALL_S = 30.0  # a client that sends nothing for so long is given up
PIECE_BYTES = 1 << 20  # put together before they are written
REFUSALS: dict[int | str, dict[str, object]] = {
    status: {"model": ErrorBody, "description": description}
    for status, description in {
        408: "the client sent nothing for too long: `timeout`",
        413: "longer than --max-upload-bytes: `too_long`",
        415: "no capture by its first bytes: `no_capture`",
        429: "too many uploads at once: `busy`",
        507: "there is no room for it: `no_room`",
    }.items()
}
OCTETS = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}

router = APIRouter()
_turn = asyncio.Semaphore(AT_ONCE)


class Upload(Body):
    """A capture that waits to be read. `/api/health` has it among its sources, by this name."""

    source: str
    bytes: Count = Field(description="of the file, as it was sent")


@router.post(
    "/api/captures",
    status_code=201,
    response_model=Upload,
    responses=RESPONSES | REFUSALS,
    openapi_extra=OCTETS,
)
async def upload_capture(
    request: Request,
    settings: TheSettings,
    name: Annotated[str | None, Query(max_length=1024, description="the file's name")] = None,
    x_filename: Annotated[str | None, Header(description="the same, where it is easier")] = None,
) -> Response:
    """Keep the body as a file, and have it read. What does not come whole is not kept."""
    folder = await _folder(settings)
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit():
        Spool.check_length(int(declared[:20]), settings.max_upload_bytes)
    if _turn.locked():
        raise Problem(429, "busy", f"{AT_ONCE} uploads are under way", "try again in a moment")
    async with _turn:
        spool = Spool(folder, name or x_filename or "", settings.max_upload_bytes)
        try:
            await _receive(request, spool)
            spool.finish()
        finally:
            spool.drop()
    response = json_response({"source": spool.name, "bytes": spool.bytes})
    response.status_code = 201
    return response


async def _folder(settings: Settings) -> Path:
    """Problem 503 when no capture service takes uploads."""
    folder = upload_folder(settings)
    if not await asyncio.to_thread(folder.is_dir):
        raise Problem(
            503,
            "uploads_unavailable",
            "no capture service takes uploads",
            "it may be starting; in containers give capture and api the same --upload-dir",
        )
    return folder


async def _receive(request: Request, spool: Spool) -> None:
    """All of the body, in pieces; the disk may be slow, so a thread writes them."""
    pieces, size = [], 0
    body = request.stream().__aiter__()
    try:
        while True:
            async with asyncio.timeout(STALL_S):
                chunk = await anext(body, None)
            if chunk is not None:
                pieces.append(chunk)
                size += len(chunk)
            if chunk is None or size >= PIECE_BYTES:
                await asyncio.to_thread(spool.write, b"".join(pieces))
                pieces, size = [], 0
            if chunk is None:
                return
    except TimeoutError:
        raise Problem(408, "timeout", f"nothing came for {STALL_S:.0f} s") from None
    except ClientDisconnect:
        raise Problem(400, "bad_value", "the body ended too early") from None
