"""A browser tab that looks at a run: opened, pressed, and watched for what must never happen."""

import re
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    expect,
)
from playwright.sync_api import Error as BrowserError

WAIT_MS = 30_000  # for what takes a moment, on a machine that is busy
# what the content security policy stopped is told to the page
WATCH = """
window.__violations = [];
addEventListener("securitypolicyviolation", (event) =>
  window.__violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
"""
KEYS = {" ": "Space", "Ctrl+k": "Control+k"}


class Tab:
    """One page of one browser context.

    troubles: errors of the console and exceptions, less those that a test says to `expect_trouble`.
    """

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.context, self.base = context, base
        self.page: Page = context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.page.add_init_script(WATCH)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self._note(str(error)))
        self.troubles: list[str] = []
        # a run may end before its tabs; one that ends too early fails what its test waits for. A
        # machine's network changes when an interface comes or goes, such as those of a container
        self._expected = [
            "net::ERR_CONNECTION_REFUSED",
            "net::ERR_NETWORK_CHANGED",
            "status of 503",
        ]

    def expect_trouble(self, pattern: str) -> None:
        """Errors that match are part of the test."""
        self._expected.append(pattern)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._note(f"{message.text} ({message.location.get('url', '')})")

    def _note(self, text: str) -> None:
        if not any(re.search(pattern, text) for pattern in self._expected):
            self.troubles.append(text)

    def open(self, **view: Any) -> "Tab":
        """The page with that view, once its list has rows or says why not."""
        query = urlencode({name: value for name, value in view.items() if value is not None})
        self.page.goto(f"{self.base}/?{query}")
        self.ready()
        return self

    def look(self, **view: Any) -> None:
        """That view, as Back and Forward bring it: nothing is loaded anew."""
        self.page.evaluate(
            """query => {
              history.pushState(null, "", `?${query}`);
              dispatchEvent(new PopStateEvent("popstate"));
            }""",
            urlencode(view),
        )
        self.ready()

    def reload(self) -> None:
        self.page.reload()
        self.ready()

    def ready(self) -> None:
        expect(self.page.locator("main.list [role=grid]")).to_have_attribute(
            "aria-busy", "false", timeout=WAIT_MS
        )
        if re.fullmatch("[0-9a-f]{16}", self.view().get("stream", "")):
            expect(self.inspector.locator("[role=tabpanel]")).to_be_visible()
            expect(self.inspector).to_have_attribute("aria-busy", "false")

    def press(self, binding: str) -> None:
        """A binding as the registry writes it: `Shift+N`, `y t`."""
        strokes = [binding] if binding == " " else binding.split(" ")
        for stroke in strokes:
            self.page.keyboard.press(KEYS.get(stroke, stroke))

    def view(self) -> dict[str, str]:
        """What the page's address says."""
        return dict(parse_qsl(urlsplit(self.page.url).query))

    def wait(self, script: str, argument: Any = None, timeout_ms: float = WAIT_MS) -> None:
        """Until an expression is true in the page."""
        self.page.wait_for_function(script, arg=argument, timeout=timeout_ms)

    def wait_view(self, name: str, value: str | None) -> None:
        """Until the address has that value; None = does not name it."""
        script = "([name, value]) => new URLSearchParams(location.search).get(name) === value"
        try:
            self.wait(script, [name, value])
        except BrowserError:
            raise AssertionError(f"{name} is not {value!r} in {self.page.url}") from None

    @property
    def rows(self) -> Locator:
        return self.page.locator("main.list .rows [role=row]:not([aria-busy=true])")

    @property
    def selected(self) -> Locator:
        return self.page.locator("main.list [role=row][aria-selected=true]")

    @property
    def inspector(self) -> Locator:
        return self.page.locator(".inspector")

    @property
    def dialog(self) -> Locator:
        return self.page.locator("dialog[open]")

    @property
    def filter(self) -> Locator:
        return self.page.get_by_role("combobox", name="filter", exact=True)

    def notice(self, text: str) -> None:
        """Until a notice says that."""
        notices = self.page.locator(".notice").filter(has_text=re.compile(text))
        expect(notices.first).to_be_visible()

    def violations(self) -> list[str]:
        found: list[str] = self.page.evaluate("window.__violations")
        return found

    def close(self) -> None:
        """Closes the context; nothing may have gone wrong in it."""
        violations = []
        with suppress(Exception):  # a page that a test closed says nothing any more
            violations = self.violations()
        self.context.close()
        assert not violations, violations
        assert not self.troubles, self.troubles
