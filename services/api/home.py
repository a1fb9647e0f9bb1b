"""`/`: a page that says where the API is."""

from pathlib import Path

from fastapi import APIRouter, Response

PAGE = Path(__file__).parent / "static" / "index.html"

router = APIRouter()


@router.get("/", include_in_schema=False)
async def get_home() -> Response:
    return Response(PAGE.read_bytes(), 200, {"Cache-Control": "no-cache"}, "text/html")
