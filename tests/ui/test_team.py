"""What one does, the others see, without asking for it."""

import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from playwright.sync_api import expect

from tests.e2e.run import Served
from tests.ui.conftest import Open
from tests.ui.tab import Tab

SOON_S = 0.5
TRIES = 4  # the machine has other things to do: once must be fast


@pytest.fixture
def talk(site: Served) -> Iterator[str]:
    """A stream that is at the top of the list; cleaned of notes behind the test."""
    stream = site.rows(order="newest", service="http")[2]["stream_id_hex"]
    yield stream
    notes = {"favorite": False, "hidden": False, "comment": "", "tags": []}
    assert site.client.patch(f"/api/streams/{stream}", json=notes).status_code == 200


@pytest.fixture
def pair(site: Served, open_tab: Open, talk: str) -> tuple[Tab, Tab]:
    """Two browsers at the same stream."""
    mine, theirs = open_tab(site, stream=talk), open_tab(site, stream=talk)
    for tab in (mine, theirs):
        expect(tab.inspector.locator(".turns")).to_contain_text("HTTP/1.1")
        expect(tab.page.locator(".status [role=status]")).to_have_text("connected")
    return mine, theirs


def soon(steps: Iterator[tuple[Callable[[], object], Callable[[], object]]]) -> None:
    """Each step is done by one and seen by the other; the fastest of them within SOON_S."""
    took = []
    for act, seen in steps:
        act()
        begun = time.monotonic()
        seen()
        took.append(time.monotonic() - begun)
        if took[-1] < SOON_S:
            return
    raise AssertionError(f"seen after {took} s")


def test_a_favourite(pair: tuple[Tab, Tab]) -> None:
    mine, theirs = pair
    star = theirs.inspector.get_by_role("button", name="favourite")
    in_list = theirs.selected.get_by_role("button", name="favourite")

    def steps() -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
        for number in range(TRIES):
            now = "true" if number % 2 == 0 else "false"
            yield (
                lambda: mine.press("f"),
                partial(expect(star).to_have_attribute, "aria-pressed", now),
            )
            expect(in_list).to_have_attribute("aria-pressed", now)

    soon(steps())


def test_a_comment(pair: tuple[Tab, Tab]) -> None:
    mine, theirs = pair
    field = theirs.inspector.locator("[data-field=comment]")

    def steps() -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
        for number in range(TRIES):
            text = f"look at this, {number}"
            mine.press("#")
            mine.page.keyboard.press("Control+a")
            mine.page.keyboard.type(text)
            yield (
                lambda: mine.press("Enter"),
                partial(expect(field).to_have_value, text),
            )

    soon(steps())


def test_a_pattern(site: Served, pair: tuple[Tab, Tab]) -> None:
    mine, theirs = pair

    def steps() -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
        for number in range(TRIES):
            name = f"tea {number}"
            mine.page.evaluate(
                "() => document.querySelector('[aria-label=\"edit patterns\"]').click()"
            )
            mine.dialog.get_by_role("button", name="add a pattern").click()
            mine.dialog.get_by_label("name", exact=True).fill(name)
            mine.dialog.get_by_label("value", exact=True).fill("tea")
            row = theirs.page.locator(".rail").get_by_text(name, exact=True)
            yield (
                lambda: mine.press("Enter"),
                expect(row).to_be_visible,
            )
            mine.press("Escape")

    try:
        soon(steps())
    finally:
        for pattern in site.get("/api/patterns")["patterns"]:
            if pattern["name"].startswith("tea "):
                site.client.delete(f"/api/patterns/{pattern['id']}").raise_for_status()


def test_a_hide_rule(site: Served, pair: tuple[Tab, Tab]) -> None:
    mine, theirs = pair
    grid = theirs.page.locator("main.list [role=grid]")
    every = str(site.get("/api/streams", limit=1)["total"] + 1)

    def steps() -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
        for _ in range(TRIES):
            expect(grid).to_have_attribute("aria-rowcount", every)
            mine.press("Shift+X")
            expect(mine.dialog).to_contain_text("1")
            yield (
                lambda: mine.press("1"),
                lambda: expect(grid).not_to_have_attribute("aria-rowcount", every),
            )
            remove_rules(site)

    try:
        soon(steps())
        mine.notice("hide rule")
    finally:
        remove_rules(site)


def test_who_is_online(pair: tuple[Tab, Tab]) -> None:
    for tab in pair:
        expect(tab.page.locator(".status")).to_contain_text("2 online")


def remove_rules(site: Served) -> None:
    for rule in site.get("/api/hide-rules")["hide_rules"]:
        assert site.client.delete(f"/api/hide-rules/{rule['id']}").status_code in (200, 204)
