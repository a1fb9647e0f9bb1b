"""The whole view is in the page's address: loaded anew, it looks the same."""

from typing import Any

import pytest
from playwright.sync_api import Error as BrowserError
from playwright.sync_api import expect

from tests.e2e.run import Served
from tests.ui.conftest import Open
from tests.ui.tab import Tab

# what somebody sees, less what the run tells anew each time
PICTURE = """() => {
  const text = (selector) => document.querySelector(selector)?.textContent ?? null;
  const attribute = (selector, name) =>
    document.querySelector(selector)?.getAttribute(name) ?? null;
  return {
    filter: document.querySelector("[aria-label=filter][role=combobox]").value,
    fault: text(".filter .fault"),
    rows: attribute("main.list [role=grid]", "aria-rowcount"),
    order: attribute("main.list [aria-sort]", "aria-sort"),
    selected: attribute("main.list [role=row][aria-selected=true]", "aria-rowindex"),
    stream: attribute(".inspector", "aria-label"),
    tab: text(".inspector [role=tab][aria-selected=true]"),
    mode: text(".inspector-foot [aria-pressed=true]"),
    decoder: document.querySelector(".inspector-foot [aria-label=decoder]")?.value ?? null,
    match: text(".inspector-foot [aria-live]"),
    current: text(".inspector .turns [aria-current=true]"),
    panel: text("dialog[open] h2"),
  };
}"""


def picture(tab: Tab) -> dict[str, Any]:
    """What is seen once nothing of it changes any more."""
    tab.wait(
        f"""() => {{
          const now = JSON.stringify(({PICTURE})());
          const same = window.__seen?.now === now ? window.__seen : {{ now, since: Date.now() }};
          window.__seen = same;
          return Date.now() - same.since > 400;
        }}"""
    )
    found: dict[str, Any] = tab.page.evaluate(PICTURE)
    return found


def becomes(tab: Tab, wanted: dict[str, Any]) -> None:
    """Until that is seen."""
    same = f"wanted => JSON.stringify(({PICTURE})()) === JSON.stringify(wanted)"
    try:
        tab.wait(same, wanted)
    except BrowserError:
        assert tab.page.evaluate(PICTURE) == wanted
        raise


VIEWS: list[dict[str, Any]] = [
    {"q": "svc:http"},
    {"q": "svc:dns proto:udp size:<400"},
    {"q": 'matched:yes "GET"'},
    {"q": "svc:nonsense port:8080"},
    {"order": "oldest"},
    {"stream": True},
    {"stream": True, "q": "svc:dns"},  # selected, and not in the list
    *({"stream": True, "tab": tab} for tab in ("messages", "matches", "raw", "packets")),
    *({"stream": True, "mode": mode} for mode in ("hex", "raw")),
    {"stream": True, "tab": "raw", "dir": "b_to_a", "at": 16, "mode": "hex"},
    {"stream": True, "decoder": "http_body"},
    {"stream": True, "match": 0},
    *({"panel": panel} for panel in ("patterns", "profiles", "rules", "search", "status", "help")),
    {"panel": "search", "find": "any:substring:FLAG_"},
]


@pytest.fixture(scope="module")
def talk(site: Served) -> str:
    return str(site.rows(order="newest", only_matched=True, service="http")[3]["stream_id_hex"])


@pytest.mark.parametrize(
    "view", VIEWS, ids=lambda view: " ".join(f"{k}={v}" for k, v in view.items())
)
def test_a_view_comes_back(site: Served, open_tab: Open, talk: str, view: dict[str, Any]) -> None:
    asked = view | ({"stream": talk} if "stream" in view else {})
    tab = open_tab(site, **asked)
    seen = picture(tab)
    for name, value in asked.items():
        assert tab.view()[name] == str(value)
    assert (seen["stream"] is not None) == ("stream" in view)
    assert (seen["panel"] is not None) == ("panel" in view)
    tab.reload()
    becomes(tab, seen)


def test_what_somebody_did_is_a_link(site: Served, open_tab: Open) -> None:
    mine = open_tab(site)
    mine.filter.fill("svc:http matched:yes")
    mine.press("Enter")
    mine.wait_view("q", "svc:http matched:yes")
    mine.rows.nth(4).click()
    expect(mine.inspector.locator(".turns")).to_contain_text("HTTP/1.1")
    expect(mine.inspector.locator(".inspector-foot")).to_contain_text("match –/")
    for key in ("n", "l", "v"):
        mine.press(key)
    mine.wait_view("mode", "hex")
    becomes(open_tab(site, **mine.view()), picture(mine))


def test_back_undoes_a_step(site: Served, open_tab: Open) -> None:
    tab = open_tab(site)
    tab.rows.nth(1).click()
    stream = tab.view()["stream"]
    tab.press("?")
    expect(tab.dialog).to_be_visible()
    tab.page.go_back()
    expect(tab.dialog).to_have_count(0)
    tab.wait_view("stream", stream)
    tab.page.go_back()
    tab.wait_view("stream", None)
    expect(tab.inspector).to_have_count(0)


def test_what_is_not_known_is_ignored(site: Served, open_tab: Open) -> None:
    tab = open_tab(site, order="sideways", tab="moon", stream="<script>", later="1", mode="loud")
    expect(tab.rows.first).to_be_visible()
    expect(tab.inspector).to_have_count(0)


def test_a_stream_that_is_not_there_says_so(site: Served, open_tab: Open) -> None:
    tab = open_tab(site)
    tab.expect_trouble("404")
    tab.page.goto(f"{tab.base}/?stream={'0' * 16}")
    expect(tab.inspector).to_contain_text("0000000000000000")
    expect(tab.rows.first).to_be_visible()
