"""Pictures of the main views for the README: `make pictures` writes them to docs/screenshots."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.conftest import ROOT
from tests.e2e.run import Served, served
from tests.ui.conftest import Open, add_pattern
from tests.ui.pictures import picture
from tests.ui.tab import Tab

FOLDER = ROOT / "docs/screenshots"
MOST_BYTES = 120_000
WRITE = os.environ.get("FLOWMATE_PICTURES") == "1"
VIEWS: dict[str, dict[str, Any]] = {
    "streams": {},
    "conversation": {"stream": True, "match": 0},
    "messages": {"stream": True, "tab": "messages"},
    "hex": {"stream": True, "tab": "raw", "mode": "hex"},
    "patterns": {"panel": "patterns"},
}
THEMES = ("dark", "light")


@pytest.fixture(scope="module")
def shop(
    browser: Browser, sample_capture: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The sample as a team has it after some minutes."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "round-17.pcap").symlink_to(sample_capture)
    with served("--pcap", "round-17.pcap", "--health-interval-ms", "200", folder=folder) as run:
        run.wait_ended()
        add_pattern(run, "FLAG_[0-9A-F]{24}", kind="regex", name="flag out", color="#ffd166")
        add_pattern(run, "/api/notes/17", name="admin's note", color="#ef6f6c")
        add_pattern(run, "checker/", name="checker", color="#7cc4ff", direction="client")
        run.client.post("/api/hide-rules", json={"kind": "status", "value": "attempt"})
        for number, row in enumerate(talks(run)[:6]):
            notes = {"favorite": number == 1, "tags": ["stolen"] if number in (1, 4) else []}
            if number == 1:
                notes["comment"] = "reads our notes without a login: patch /api/notes first"
            path = f"/api/streams/{row['stream_id_hex']}"
            assert run.client.patch(path, json=notes).status_code == 200
        yield run


def talks(run: Served) -> list[dict[str, Any]]:
    return run.rows(order="newest", only_matched=True, service="http")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", VIEWS)
def test_a_picture(shop: Served, open_tab: Open, name: str, theme: str) -> None:
    view = dict(VIEWS[name])
    if view.get("stream"):
        view["stream"] = talks(shop)[1]["stream_id_hex"]
    tab = open_tab(shop, options={"color_scheme": theme}, **view)
    rest(tab, view)
    png = picture(tab.page)
    assert len(png) < MOST_BYTES
    if WRITE:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}-{theme}.png").write_bytes(png)


def rest(tab: Tab, view: dict[str, Any]) -> None:
    """Until everything is there that the view shows."""
    expect(tab.page.locator(".status")).to_contain_text("patterns 3")
    expect(tab.page.locator(".rail .pick").first).to_be_visible()
    if "stream" in view:
        expect(tab.inspector.locator("[role=tabpanel]")).not_to_contain_text("reading…")
        expect(tab.inspector.locator(".inspector-foot")).to_contain_text("match")
    if view.get("tab") == "messages":
        tab.press("l")
        tab.press("l")
        expect(tab.inspector.locator(".exchange")).to_contain_text("User-Agent")
    if "match" in view:
        expect(tab.inspector.locator(".turns .hit").first).to_be_visible()
    tab.wait("() => !document.querySelector('[aria-busy=true]')")


def test_the_readme_shows_pictures_that_are_there() -> None:
    shown = set(re.findall(r"docs/screenshots/[\w.-]+", (ROOT / "README.md").read_text()))
    assert shown
    for path in shown:
        assert (ROOT / path).is_file(), path
    kept = {f"{name}-{theme}.png" for name in VIEWS for theme in THEMES}
    assert {path.name for path in FOLDER.iterdir()} == kept
