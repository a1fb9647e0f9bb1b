"""`/`: the browser UI as `make ui` built it, or a page that says where the API is.

A build is an index, whose name stays, and files in `assets`, whose names change with what is in
them: so the index is asked for again each time, and the others never; the icon, whose name stays as
well, once a day. None of it needs the token:
the page itself asks for that.
"""

from pathlib import Path

from fastapi import APIRouter, Response

from services.api.problems import Problem

STATIC = Path(__file__).parent / "static"
PLAIN = STATIC / "index.html"
BUILT = STATIC / "ui"
AGAIN = "no-cache"  # may be kept, but not used without asking
A_DAY = "public, max-age=86400"  # a browser wants it anew for each address of the page
FOR_EVER = "public, max-age=31536000, immutable"
# The machine has no say in what a browser takes a file for.
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}

router = APIRouter()


@router.get("/", include_in_schema=False)
async def get_home() -> Response:
    index = BUILT / "index.html"
    return _response(index if index.is_file() else PLAIN, AGAIN)


@router.get("/icon.svg", include_in_schema=False)
async def get_icon() -> Response:
    return _response(_named(BUILT, "icon.svg"), A_DAY)


@router.get("/assets/{name}", include_in_schema=False)
async def get_asset(name: str) -> Response:
    return _response(_named(BUILT / "assets", name), FOR_EVER)


def _named(folder: Path, name: str) -> Path:
    """The file of that name, found by looking for it: no name leads out of the folder. Problem 404
    when there is none."""
    files = folder.iterdir() if folder.is_dir() else ()
    for file in files:
        if file.name == name and file.is_file():
            return file
    raise Problem(404, "not_found", "the UI has no such file", "`make ui` builds it; load it again")


def _response(file: Path, keep: str) -> Response:
    media_type = TYPES.get(file.suffix, "application/octet-stream")
    return Response(file.read_bytes(), 200, {"Cache-Control": keep}, media_type)
