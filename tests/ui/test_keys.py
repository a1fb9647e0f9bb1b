"""Each key of the registry does something that can be seen.

The table here and `services/api/ui/src/keys/registry.ts` must name the same commands and keys.
"""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.conftest import ROOT
from tests.e2e.run import Served
from tests.ui.conftest import Open
from tests.ui.tab import Tab

REGISTRY = ROOT / "services/api/ui/src/keys/registry.ts"
CLIPBOARD = {"permissions": ["clipboard-read", "clipboard-write"]}


def registry() -> dict[str, list[str]]:
    """Commands with their bindings, as the UI has them."""
    table = REGISTRY.read_text().split("const TABLE = [")[1].split("] as const")[0]
    found = re.findall(r'^\s*\["([\w.]+)", \[([^\]]*)\],', table, re.MULTILINE)
    return {id: re.findall(r'"([^"]*)"', bindings) for id, bindings in found}


Check = Callable[[Tab], object]


def to_row(change: int) -> Check:
    """The selection went that many rows on from the third."""
    return lambda tab: expect(tab.selected).to_have_attribute("aria-rowindex", str(4 + change))


def to_end(tab: Tab) -> None:
    count = tab.page.locator("main.list [role=grid]").get_attribute("aria-rowcount")
    assert count is not None
    expect(tab.selected).to_have_attribute("aria-rowindex", count)


def beyond(tab: Tab) -> None:
    """Some rows further than one step."""
    tab.wait(
        "() => Number(document.querySelector('[role=row][aria-selected=true]')"
        "?.getAttribute('aria-rowindex')) > 8"
    )


def opens(title: str) -> Check:
    return lambda tab: expect(tab.dialog).to_contain_text(title)


def says(text: str) -> Check:
    return lambda tab: tab.notice(text)


def view(name: str, value: str | None) -> Check:
    return lambda tab: tab.wait_view(name, value)


def view_set(name: str) -> Check:
    return lambda tab: tab.wait("name => new URLSearchParams(location.search).has(name)", name)


def focused(selector: str) -> Check:
    return lambda tab: expect(tab.page.locator(selector)).to_be_focused()


def starred(tab: Tab) -> None:
    expect(tab.inspector.get_by_role("button", name="favourite")).to_have_attribute(
        "aria-pressed", "true"
    )


def flow(state: str) -> Check:
    return lambda tab: expect(tab.page.locator(".flow > button")).to_contain_text(state)


def clip(form: str) -> Check:
    """The clipboard has text of that form."""

    def look(tab: Tab) -> None:
        tab.notice("copied")
        text = tab.page.evaluate("navigator.clipboard.readText()")
        assert re.search(form, text, re.DOTALL), text

    return look


def elsewhere(tab: Tab) -> None:
    """Another stream than the one that was prepared."""
    tab.wait("() => !location.search.includes(window.__prepared)")


def themed(tab: Tab) -> None:
    tab.wait("() => JSON.parse(localStorage.getItem('flowmate.prefs') ?? '{}').theme === 'dark'")


EXPECTED: dict[str, Check] = {
    "list.next": to_row(1),
    "list.previous": to_row(-1),
    "list.first": to_row(-2),
    "list.last": to_end,
    "list.pageDown": beyond,
    "list.pageUp": to_row(-2),
    "inspector.open": focused(".inspector .turns"),
    "back": view("stream", None),
    "message.next": view_set("at"),
    "message.previous": view_set("at"),
    "match.next": view("match", "0"),
    "match.previous": view_set("match"),
    "match.nextStream": elsewhere,
    "stream.favorite": starred,
    "stream.hide": says("^hidden$"),
    "stream.hideRule": opens("Hide every stream of"),
    "stream.comment": focused("[data-field=comment]"),
    "stream.tag": focused("[data-field=tag]"),
    "stream.download": opens("packets made of what was said"),
    "look.mode": view("mode", "hex"),
    "look.decoder": view_set("decoder"),
    "look.raw": view_set("decoder"),
    "look.tab": view("tab", "messages"),
    "copy.text": clip("^(GET|POST) /.*HTTP/1.1"),
    "copy.hex": clip(r"^(47 ?45 ?54|50 ?4f ?53 ?54)"),
    "copy.base64": clip(r"^(R0VU|UE9TV)"),
    "copy.python": clip(r"""^\(?\s*b['"](GET|POST) /"""),
    "copy.curl": clip("^curl "),
    "copy.link": clip(r"^http://127\.0\.0\.1:\d+/\?.*stream="),
    "filter.focus": focused("[role=combobox][aria-label=filter]"),
    "filter.clear": view("q", None),
    "filter.matched": lambda tab: tab.wait("() => location.search.includes('matched:yes')"),
    "filter.service": lambda tab: tab.wait("() => location.search.includes('svc:')"),
    "run.pause": flow("paused"),
    "run.live": flow("following"),
    "search.selection": opens("Search in content"),
    "page.palette": lambda tab: expect(tab.page.locator(".palette-input")).to_be_focused(),
    "page.theme": themed,
    "page.help": opens("single keys do something"),
}


def test_the_table_is_the_registry() -> None:
    assert registry().keys() == EXPECTED.keys()


def test_the_docs_name_every_key_and_every_term_of_the_filter() -> None:
    docs = (ROOT / "docs/ui.md").read_text()
    for bindings in registry().values():
        for binding in bindings:
            assert f"`{'Space' if binding == ' ' else binding}`" in docs, binding
    grammar = (REGISTRY.parent.parent / "view/filter.ts").read_text()
    table = grammar.split("export const KEYS = {")[1].split("} as const")[0]
    keys = re.findall(r"^  (\w+): \{", table, re.MULTILINE)
    assert len(keys) > 10
    for key in keys:
        assert f"`{key}:" in docs, key


@pytest.fixture(scope="module")
def talk(site: Served) -> str:
    """A stream with matches, a message before and one behind its first."""
    rows = site.rows(order="newest", only_matched=True, service="http")
    assert len(rows) > 5
    return str(rows[3]["stream_id_hex"])


@pytest.fixture
def untouched(site: Served, talk: str) -> Iterator[None]:
    """What keys do to the stream is undone."""
    yield
    site.client.patch(f"/api/streams/{talk}", json={"favorite": False, "hidden": False})


def presses() -> Iterator[tuple[str, str]]:
    for id, bindings in registry().items():
        for binding in bindings:
            yield id, ("1" if binding == "1…9" else binding)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(("command", "binding"), list(presses()))
def test_a_key(site: Served, open_tab: Open, talk: str, command: str, binding: str) -> None:
    tab = open_tab(site, options=CLIPBOARD, load=False)
    if command.startswith("list."):
        tab.open()
        tab.rows.nth(2).click()
        expect(tab.selected).to_have_attribute("aria-rowindex", "4")
        expect(tab.selected).to_be_focused()
    else:
        prepare(tab, talk, command)
    tab.press(binding)
    EXPECTED[command](tab)


def prepare(tab: Tab, talk: str, command: str) -> None:
    """The stream in the inspector, with what the command needs to be seen at work."""
    tab.open(stream=talk, q="svc:http" if command == "filter.clear" else None)
    tab.page.evaluate("id => void (window.__prepared = id)", talk)
    expect(tab.inspector.locator(".turns")).to_contain_text("HTTP/1.1")
    expect(tab.inspector.locator(".inspector-foot")).to_contain_text("match –/")
    if command == "search.selection":
        tab.press("n")  # scrolls to it
        tab.inspector.locator(".turns .hit").first.dblclick()
        expect(tab.inspector.get_by_text("selected")).to_be_visible()
    if command == "filter.service":
        expect(tab.page.locator(".rail .pick").first).to_be_visible()
    if command == "run.live":
        expect(tab.page.locator(".flow > button")).to_contain_text("staying")


def test_typing_is_not_taken_for_keys(site: Served, open_tab: Open, talk: str) -> None:
    tab = open_tab(site, stream=talk)
    tab.press("/")
    tab.page.keyboard.type("jkfx?")
    expect(tab.filter).to_have_value("jkfx?")
    assert tab.view()["stream"] == talk
    assert tab.dialog.count() == 0
    assert not site.get(f"/api/streams/{talk}")["favorite"]


def test_single_keys_can_be_switched_off(site: Served, open_tab: Open) -> None:
    tab = open_tab(site)
    tab.press("?")
    tab.dialog.get_by_label("single keys do something").uncheck()
    tab.press("Escape")
    expect(tab.dialog).to_have_count(0)
    tab.press("j")
    tab.press("Ctrl+k")  # stays: it is no single key
    expect(tab.page.locator(".palette-input")).to_be_focused()
    assert "stream" not in tab.view()


def test_a_panel_has_the_keys_and_gives_them_back(site: Served, open_tab: Open, talk: str) -> None:
    tab = open_tab(site, stream=talk)
    tab.press("?")
    expect(tab.dialog).to_be_visible()
    tab.press("j")
    assert tab.view()["stream"] == talk
    tab.press("Escape")
    expect(tab.dialog).to_have_count(0)
    expect(tab.selected).to_be_focused()
    tab.press("j")
    tab.wait("id => new URLSearchParams(location.search).get('stream') !== id", talk)
