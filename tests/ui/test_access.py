"""axe-core finds nothing serious in what people look at, in both themes."""

from typing import Any, Literal

import pytest
from playwright.sync_api import expect

from tests.conftest import ROOT
from tests.e2e.run import Served
from tests.ui.conftest import Open, missing
from tests.ui.tab import Tab

AXE = ROOT / "services/api/ui/node_modules/axe-core/axe.min.js"
GRAVE = {"serious", "critical"}
THEMES: tuple[Literal["dark", "light"], ...] = ("dark", "light")
VIEWS: list[dict[str, Any]] = [
    {},
    {"q": "svc:http text:no-such-text"},
    {"q": "svc:nonsense"},
    *(
        {"stream": True, "tab": tab}
        for tab in ("conversation", "messages", "matches", "raw", "packets")
    ),
    {"stream": True, "mode": "hex"},
    *({"panel": panel} for panel in ("patterns", "profiles", "rules", "search", "status", "help")),
]


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.is_file():
        missing("no axe-core", "make ui")
    return AXE.read_text()


@pytest.fixture(scope="module")
def talk(site: Served) -> str:
    return str(site.rows(order="newest", only_matched=True, service="http")[3]["stream_id_hex"])


@pytest.mark.parametrize(
    "view", VIEWS, ids=lambda view: " ".join(f"{k}={v}" for k, v in view.items())
)
def test_a_view(site: Served, open_tab: Open, axe: str, talk: str, view: dict[str, Any]) -> None:
    asked = view | ({"stream": talk} if "stream" in view else {})
    tab = open_tab(site, options={"color_scheme": "dark"}, **asked)
    if "stream" in view:
        expect(tab.inspector.locator(".inspector-foot")).to_contain_text("match –/")
    if "panel" in view:
        expect(tab.dialog).to_be_visible()
    for theme in THEMES:
        tab.page.emulate_media(color_scheme=theme)
        expect(tab.page.locator("html")).to_have_attribute("data-theme", theme)
        assert faults(tab, axe) == [], theme


def test_the_palette(site: Served, open_tab: Open, axe: str) -> None:
    tab = open_tab(site)
    tab.press("Ctrl+k")
    expect(tab.page.locator(".palette-input")).to_be_focused()
    assert faults(tab, axe) == []


def test_a_fault_would_be_found(site: Served, open_tab: Open, axe: str) -> None:
    tab = open_tab(site)
    tab.page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert [fault[0] for fault in faults(tab, axe)] == ["button-name"]


def test_every_region_is_a_landmark(site: Served, open_tab: Open, axe: str, talk: str) -> None:
    tab = open_tab(site, stream=talk)
    assert faults(tab, axe, only="region", grave=None) == []


def faults(
    tab: Tab, axe: str, only: str | None = None, grave: set[str] | None = GRAVE
) -> list[tuple[str, list[str]]]:
    """Names of rules that are broken, and where."""
    tab.page.evaluate(axe)
    options = {"resultTypes": ["violations"]} | ({"runOnly": [only]} if only else {})
    found = tab.page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [
        (each["id"], [f"{node['target']}: {node['html'][:160]}" for node in each["nodes"][:4]])
        for each in found
        if grave is None or each["impact"] in grave
    ]
