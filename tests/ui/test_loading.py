"""The page comes up, shows what was captured, and nothing of it is stopped by its own policy."""

from playwright.sync_api import expect

from tests.e2e.run import Served
from tests.ui.conftest import Open

FIRST_LOAD_MS = 2000  # on a shared machine; the page itself needs some 300


def test_the_list_and_a_conversation(site: Served, open_tab: Open) -> None:
    tab = open_tab(site)
    total = site.get("/api/streams", limit=1)["total"]
    expect(tab.page.locator("main.list [role=grid]")).to_have_attribute(
        "aria-rowcount", str(total + 1)
    )
    tab.rows.filter(has_text="http").first.click()
    expect(tab.inspector).to_be_visible()
    expect(tab.inspector.locator(".turns")).to_contain_text("HTTP/1.1 200 OK")
    expect(tab.selected).to_have_count(1)
    assert len(tab.view()["stream"]) == 16


def test_the_policy_is_there_and_allows_the_page(site: Served, open_tab: Open) -> None:
    tab = open_tab(site)
    policy = site.client.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "object-src 'none'" in policy
    assert "unsafe" not in policy
    assert tab.violations() == []


def test_a_policy_violation_would_be_seen(site: Served, open_tab: Open) -> None:
    tab = open_tab(site)
    tab.expect_trouble("Content Security Policy")
    tab.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'),"
        " {text: 'window.ran = 1'}))"
    )
    tab.wait("() => window.__violations.length > 0")
    assert tab.page.evaluate("window.ran") is None
    tab.page.evaluate("window.__violations.length = 0")


def test_everything_is_local(site: Served, open_tab: Open) -> None:
    tab = open_tab(site)
    hosts = tab.page.evaluate(
        "performance.getEntriesByType('resource').map((entry) => new URL(entry.name).host)"
    )
    assert set(hosts) == {f"127.0.0.1:{site.port}"}


def test_the_first_rows_are_soon_there(site: Served, open_tab: Open) -> None:
    tab = open_tab(site)
    expect(tab.rows.first).to_be_visible()
    assert tab.page.evaluate("performance.now()") < FIRST_LOAD_MS
