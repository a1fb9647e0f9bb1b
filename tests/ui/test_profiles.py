"""A stream opens as its profile says; what somebody chose, and what a link says, holds instead."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.e2e.run import Served
from tests.ui.conftest import Open
from tests.ui.tab import Tab


def mode(tab: Tab, name: str) -> None:
    pressed = tab.inspector.locator(".inspector-foot [aria-pressed=true]")
    expect(pressed).to_have_text(name)


def id_of(site: Served, service: str) -> str:
    return str(site.rows(order="newest", service=service)[0]["stream_id_hex"])


@pytest.fixture
def answers(site: Served) -> Iterator[None]:
    """A profile by which HTTP opens in base64, at the server's side."""
    profile = {"id": "answers", "priority": 99, "services": ["http"]}
    look = {"default_mode": "raw", "default_direction": "server"}
    response = site.client.post("/api/profiles", json=profile | look)
    assert response.status_code == 201, response.text
    yield
    assert site.client.delete("/api/profiles/answers").status_code in (200, 204)


def test_a_stream_opens_as_its_profile_says(site: Served, open_tab: Open) -> None:
    tab = open_tab(site, stream=id_of(site, "dns"))
    mode(tab, "hex")
    assert "mode" not in tab.view()  # who gets the link sees it as their profile says
    tab.open(stream=id_of(site, "http"))
    mode(tab, "text")


def test_what_was_chosen_holds_for_the_next_stream_too(site: Served, open_tab: Open) -> None:
    tab = open_tab(site, stream=id_of(site, "dns"), q="svc:dns")
    mode(tab, "hex")
    tab.inspector.get_by_role("button", name="text", exact=True).click()
    mode(tab, "text")
    tab.wait_view("mode", "text")
    stream = tab.view()["stream"]
    tab.press("Escape")
    tab.press("j")
    tab.wait("id => new URLSearchParams(location.search).get('stream') !== id", stream)
    mode(tab, "text")


def test_a_link_says_how(site: Served, open_tab: Open) -> None:
    mode(open_tab(site, stream=id_of(site, "dns"), mode="text"), "text")


@pytest.mark.usefixtures("answers")
def test_a_profile_has_a_side(site: Served, open_tab: Open) -> None:
    stream = id_of(site, "http")
    tab = open_tab(site, stream=stream, tab="raw")
    mode(tab, "base64")
    side = tab.inspector.locator(".raw-bar button[aria-pressed=true]")
    expect(side).to_contain_text("server")
    side_of_client = {"a": "a_to_b", "b": "b_to_a"}[site.get(f"/api/streams/{stream}")["client"]]
    tab.open(stream=stream, tab="raw", dir=side_of_client)
    expect(side).to_contain_text("client")


@pytest.mark.usefixtures("answers")
def test_what_is_current_is_of_that_side(site: Served, open_tab: Open) -> None:
    clipboard = {"permissions": ["clipboard-read", "clipboard-write"]}
    tab = open_tab(site, stream=id_of(site, "http"), options=clipboard)
    expect(tab.inspector.locator(".turn-head.server").first).to_be_visible()
    tab.press("y t")
    tab.notice("copied")
    assert tab.page.evaluate("navigator.clipboard.readText()").startswith("HTTP/1.1 ")
