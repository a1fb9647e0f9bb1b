"""The page at `/` and the files of the UI, through all layers of the app."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from services.api import home
from services.api.app import create_app, layered
from services.api.auth import names_of
from shared.settings import Settings

FILES = {
    "index.html": "<!doctype html><div id=app></div>",
    "icon.svg": "<svg/>",
    "assets/index-B1d.js": "let a",
    "assets/index-C2e.css": "a{}",
    "assets/inner/deep.js": "let b",
    "assets/data.bin": "\0",
}
POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build of the UI."""
    for name, text in FILES.items():
        file = tmp_path / "ui" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "secret.js").write_text("not to be had")
    monkeypatch.setattr(home, "BUILT", tmp_path / "ui")
    return tmp_path / "ui"


class Answer:
    """A response, put together from what the app sends."""

    def __init__(self, sent: list[Any]) -> None:
        self.status = sent[0]["status"]
        self.headers = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
        self.body = b"".join(message.get("body", b"") for message in sent[1:])


def ask(path: str, method: str = "GET", host: str = "127.0.0.1") -> Answer:
    """Of a server with a token, by somebody who has none; the path as a client wrote it."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(b"host", host.encode())],
    }
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    async def answer() -> Answer:
        app = layered(create_app(Settings(api_token="secret")), names_of("127.0.0.1"))
        await app(scope, receive, send)
        return Answer(sent)

    return asyncio.run(answer())


@pytest.mark.parametrize(
    ("path", "file", "media_type", "keep"),
    [
        ("/", "index.html", "text/html; charset=utf-8", "no-cache"),
        ("/?svc=http&token=x", "index.html", "text/html; charset=utf-8", "no-cache"),
        ("/icon.svg", "icon.svg", "image/svg+xml", "public, max-age=86400"),
        ("/assets/index-B1d.js", "assets/index-B1d.js", "text/javascript; charset=utf-8", ""),
        ("/assets/index-C2e.css", "assets/index-C2e.css", "text/css; charset=utf-8", ""),
        ("/assets/data.bin", "assets/data.bin", "application/octet-stream", ""),
    ],
)
def test_files_of_the_build(built: Path, path: str, file: str, media_type: str, keep: str) -> None:
    response = ask(path)
    assert (response.status, response.body.decode()) == (200, FILES[file])
    head = response.headers
    assert head["content-type"] == media_type
    assert head["cache-control"] == (keep or "public, max-age=31536000, immutable")
    assert head["content-security-policy"] == POLICY
    assert (head["x-content-type-options"], head["referrer-policy"]) == ("nosniff", "no-referrer")
    bodiless = ask(path, "HEAD")
    assert (bodiless.status, bodiless.body) == (200, b"")
    assert bodiless.headers["content-length"] == str(len(FILES[file]))


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../secret.js", "/assets/..%2fsecret.js", "/assets/%2e%2e%2fsecret.js",
        "/assets/..", "/assets/.", "/assets/", "/assets", "/assets/inner", "/assets/inner/deep.js",
        "/assets/inner%2fdeep.js", "/assets/..%5csecret.js", "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd", "/assets/none.js", "/assets/index-B1d.js%00", "/index.html",
        "/ui/index.html", "/assets/*", "/../secret.js",
    ],
)  # fmt: skip
def test_no_name_leads_out(built: Path, path: str) -> None:
    response = ask(path)
    assert response.status == 404
    assert json.loads(response.body)["error"]["code"] == "not_found"


def test_another_host_gets_nothing(built: Path) -> None:
    for path in ("/", "/icon.svg", "/assets/index-B1d.js"):
        assert ask(path, host="evil.example").status == 403


def test_it_is_for_reading(built: Path) -> None:
    assert ask("/assets/index-B1d.js", "DELETE").status == 405


def test_without_a_build_a_page_says_how_to_make_one(built: Path, tmp_path: Path) -> None:
    built.rename(tmp_path / "elsewhere")
    response = ask("/")
    assert response.status == 200
    assert b"make ui" in response.body
    assert response.headers["content-security-policy"] == POLICY
    assert ask("/assets/index-B1d.js").status == 404
    assert ask("/icon.svg").status == 404


def test_a_new_build_is_served_at_once(built: Path) -> None:
    (built / "index.html").write_text("another")
    assert ask("/").body == b"another"


def test_the_ui_is_told_what_the_api_is() -> None:
    from services.api.openapi import printed
    from tests.conftest import ROOT

    written: Any = ROOT / "services/api/ui/openapi.json"
    if written.exists():
        assert written.read_text() == printed(), "openapi.json is old: make ui-schema"
