"""A headless Chromium, and runs for it to look at."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ViewportSize, expect, sync_playwright

from tests.conftest import ROOT
from tests.e2e.run import Served, served
from tests.ui.tab import WAIT_MS, Tab

BUILT = ROOT / "services/api/static/ui/index.html"
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
SIZE: ViewportSize = {"width": 1280, "height": 800}

Open = Callable[..., Tab]
expect.set_options(timeout=WAIT_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("ui")


def missing(what: str, remedy: str) -> None:
    """Skips, unless the machine is one that has to have everything."""
    reason = f"{what}: {remedy}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    print(f"SKIP the browser UI: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """For this folder only: Playwright's event loop is in the way of whoever needs their own."""
    chromium = os.environ.get("FLOWMATE_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        missing("no Chromium", "apt-get install chromium, or set FLOWMATE_CHROMIUM")
    if not BUILT.is_file():
        missing("the UI is not built", "make ui")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*ARGUMENTS])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def site(browser: Browser, sample_capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A completed run over the sample, with a pattern that has matches. For all who leave it so."""
    folder = tmp_path_factory.mktemp("ui")
    with served("--pcap", sample_capture, "--health-interval-ms", "200", folder=folder) as run:
        run.wait_ended()
        add_pattern(run, "FLAG_", name="flag")
        yield run


def add_pattern(run: Served, value: str, **fields: Any) -> None:
    """Until it was looked for in what is retained."""
    json = {"kind": "substring", "value": value, **fields}
    response = run.client.post("/api/patterns", json=json)
    assert response.status_code == 201, response.text
    run.wait_for(lambda _: all(is_scanned(each) for each in run.get("/api/patterns")["patterns"]))


def is_scanned(pattern: dict[str, Any]) -> bool:
    return pattern["status"]["state"] in ("active", "disabled")


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[Open]:
    """`open_tab(site, stream=…)`: a new browser context each time, watched until the test ends."""
    tabs: list[Tab] = []

    def open_one(
        site: Served, *, options: dict[str, Any] | None = None, load: bool = True, **view: Any
    ) -> Tab:
        context = browser.new_context(**{"viewport": SIZE, **(options or {})})
        tab = Tab(context, f"http://127.0.0.1:{site.port}")
        tabs.append(tab)
        return tab.open(**view) if load else tab

    yield open_one
    for tab in tabs:
        tab.close()
