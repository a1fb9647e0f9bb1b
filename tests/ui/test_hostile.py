"""Whatever was captured, or typed by somebody of the team, is text on the page and nothing else."""

import ast
import base64
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.run import Served, served
from tests.ui import hostile
from tests.ui.conftest import Open
from tests.ui.tab import WAIT_MS, Tab

AUDIT = Path(__file__).with_name("audit.js").read_text()
CLIPBOARD = {"permissions": ["clipboard-read", "clipboard-write"]}
# a file's name may be anything but `/` and NUL
FILE_NAME = "<img src=x onerror=window.__ran=1>\u202egnp\x1b[31m.pcap"
NOTHING = "nothing was copied"
WIDTHS = (1280, 900, 1920)


@pytest.fixture(scope="module")
def trap(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A run over the hostile capture, whose team has named everything after it."""
    folder = tmp_path_factory.mktemp("hostile")
    hostile.capture(folder / FILE_NAME)
    options = ("--health-interval-ms", "200", "--max-stream-content-bytes", "256000000")
    with served("--pcap", FILE_NAME, *options, folder=folder) as run:
        run.wait_ended()
        hostile.name_everything(run)
        run.wait_for(lambda _: all(p["status"]["state"] == "active" for p in patterns(run)))
        yield run


def patterns(run: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run.get("/api/patterns")["patterns"]
    return found


@pytest.fixture(scope="module")
def streams(trap: Served) -> dict[str, str]:
    """Ids by what the stream is: `web 3`, `endless`."""
    found = {}
    for row in trap.rows():
        client = row["endpoint_a"] if row["client"] == "a" else row["endpoint_b"]
        _, _, kind, number = client["addr"].split(".")
        found[f"{KINDS[int(kind)]} {int(number) - 1}"] = row["stream_id_hex"]
    return found


KINDS = ["", "web", "banner", "names", "secure", "chat", "endless"]


def sound(tab: Tab, what: str) -> None:
    """Nothing of what the audit knows is wrong."""
    tab.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    assert tab.page.evaluate(AUDIT) == [], what


def test_the_audit_finds_what_it_looks_for(trap: Served, open_tab: Open) -> None:
    tab = open_tab(trap)
    tab.page.evaluate("""() => {
      window.__ran = 1;
      const row = document.querySelector("main.list .rows [role=row]");
      row.style.height = "30px";
      row.title = "a\\u202eb";
      const summary = row.querySelector(".c-summary");
      summary.style.overflow = "visible";
      summary.textContent = "x".repeat(500);
      document.body.append("\\u001b");
    }""")
    found = tab.page.evaluate(AUDIT)
    for what in ("script ran", "30 px high", "leaves its cell", "in title", "unseen characters:"):
        assert any(what in fault for fault in found), (what, found)
    tab.page.evaluate("window.__ran = undefined")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_list(trap: Served, open_tab: Open, width: int) -> None:
    tab = open_tab(trap, options={"viewport": {"width": width, "height": 800}}, q="hidden:yes")
    sound(tab, "top")
    for _ in range(12):
        tab.press("PageDown")
        expect(tab.page.locator("main.list .rows [role=row][aria-busy=true]")).to_have_count(0)
        sound(tab, f"{width} px, {tab.view()}")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_panels(trap: Served, open_tab: Open, theme: str) -> None:
    tab = open_tab(trap, options={"color_scheme": theme})
    for panel in ("patterns", "profiles", "rules", "search", "status", "help"):
        tab.look(panel=panel)
        expect(tab.dialog).to_be_visible()
        sound(tab, panel)
        for edit in tab.dialog.get_by_role("button", name="edit").all()[:3]:
            edit.click()
            sound(tab, f"{panel}, editing")
    tab.look()
    tab.press("Ctrl+k")
    sound(tab, "palette")


def test_a_search_for_it(trap: Served, open_tab: Open) -> None:
    for name in ("script", "bidi", "escapes"):
        tab = open_tab(trap, panel="search", find=f"any:substring:{hostile.TEXTS[name][:40]}")
        expect(tab.dialog).to_be_visible()
        tab.dialog.get_by_role("button", name="search", exact=True).click()
        expect(tab.dialog.locator(".hit-row").first).to_be_visible()
        sound(tab, f"hits of {name}")


def test_suggestions(trap: Served, open_tab: Open) -> None:
    tab = open_tab(trap)
    for text in ("pat:", "tag:", "profile:"):
        tab.filter.fill(text)
        expect(tab.page.locator(".suggestions [role=option]").first).to_be_visible()
        sound(tab, text)


@pytest.mark.parametrize("tab_name", ["conversation", "messages", "matches", "raw"])
@pytest.mark.parametrize("kind", KINDS[1:-1])
def test_a_stream(
    trap: Served, open_tab: Open, streams: dict[str, str], kind: str, tab_name: str
) -> None:
    tab = open_tab(trap)
    for name, stream in streams.items():
        if name.split()[0] != kind:
            continue
        tab.look(stream=stream, tab=tab_name)
        expect(tab.inspector.locator("[role=tabpanel]")).not_to_contain_text("reading…")
        sound(tab, f"{name} {tab_name}")
        for key in ("l", "Shift+M", "v", "v"):
            tab.press(key)
            sound(tab, f"{name} {tab_name}, {key}")


def test_a_line_of_ten_megabytes(trap: Served, open_tab: Open, streams: dict[str, str]) -> None:
    tab = open_tab(trap)
    for tab_name in ("conversation", "raw", "messages"):
        tab.look(stream=streams["endless 0"], tab=tab_name, dir="b_to_a")
        expect(tab.inspector.locator("[role=tabpanel]")).not_to_contain_text("reading…")
        for _ in range(3):
            sound(tab, tab_name)
            tab.press("v")
    tab.look(stream=streams["endless 0"])
    expect(tab.inspector.locator(".turns")).to_contain_text("<b onclick=")
    more = tab.inspector.get_by_role("button", name="64 kB more")
    tab.inspector.locator(".turns").focus()
    tab.press("End")
    more.click()
    sound(tab, "more of it")


@pytest.mark.parametrize("name", [*hostile.TEXTS, "broken"])
def test_what_is_copied_is_what_was_sent(
    trap: Served, open_tab: Open, streams: dict[str, str], name: str
) -> None:
    """The first turn of the banner: a server's line."""
    number = [*hostile.TEXTS, "broken"].index(name)
    sent = (hostile.BROKEN if name == "broken" else hostile.octets(name)) + b"\n"
    tab = open_tab(trap, options=CLIPBOARD, stream=streams[f"banner {number}"])
    expect(tab.inspector.locator(".turns .octets").first).to_be_visible()
    text = copied(tab, "y t")
    assert text == (sent.decode() if name != "broken" else sent.decode(errors="replace"))
    assert bytes.fromhex(copied(tab, "y h")) == sent
    assert base64.b64decode(copied(tab, "y b"), validate=True) == sent
    python = copied(tab, "y p")
    assert ast.literal_eval(python) == sent
    assert python.isascii()
    assert python.isprintable()


@pytest.mark.parametrize("name", [*hostile.TEXTS, "broken"])
def test_a_copied_command_runs_nothing_else(
    trap: Served, open_tab: Open, streams: dict[str, str], name: str, tmp_path: Path
) -> None:
    number = [*hostile.TEXTS, "broken"].index(name)
    tab = open_tab(trap, options=CLIPBOARD, stream=streams[f"web {number}"])
    expect(tab.inspector.locator(".turns")).to_contain_text("POST /")
    command = copied(tab, "y c")
    shell = 'curl() { cat >body; printf "%s\\0" "$@"; }\nset -f\n' + command + "\n"
    ran = subprocess.run(
        ["bash", "--norc", "--noprofile"],
        check=False,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
        input=shell.encode(),
        capture_output=True,
    )
    assert (ran.returncode, ran.stderr) == (0, b""), command
    assert [path.name for path in tmp_path.iterdir()] == ["body"]
    words = ran.stdout.split(b"\0")
    assert words[:2] == [b"--globoff", b"--path-as-is"]
    urls = [word for word in words if word.startswith(b"http://10.0.0.2:8080/")]
    assert len(urls) == 1
    text = hostile.BROKEN if name == "broken" else hostile.octets(name)
    agent = next(word for word in words if word.startswith(b"User-Agent:"))
    assert agent.split(b": ", 1)[1].strip() == text.replace(b"\0", b"").strip()


def copied(tab: Tab, keys: str) -> str:
    """What the clipboard has after a copy."""
    tab.page.evaluate(f"navigator.clipboard.writeText('{NOTHING}')")
    tab.press(keys)
    return clipboard(tab)


def clipboard(tab: Tab) -> str:
    """What is copied, once something is."""
    deadline = time.monotonic() + WAIT_MS / 1000
    while time.monotonic() < deadline:
        text: str = tab.page.evaluate("navigator.clipboard.readText()")
        if text != NOTHING:
            return text
    raise AssertionError("nothing was copied")


def test_a_selection_is_copied_as_it_was_sent(
    trap: Served, open_tab: Open, streams: dict[str, str]
) -> None:
    number = [*hostile.TEXTS].index("bidi")
    tab = open_tab(trap, options=CLIPBOARD, stream=streams[f"banner {number}"])
    line = tab.inspector.locator(".turns pre[data-octets]").first
    line.evaluate("element => getSelection().selectAllChildren(element)")
    expect(tab.inspector.get_by_text("selected")).to_be_visible()
    text = copied(tab, "Control+c")
    assert text.strip("\n") == hostile.TEXTS["bidi"]


def test_an_upload_of_that_name(trap: Served, open_tab: Open, tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    hostile.small_capture(path)
    tab = open_tab(trap, panel="status")
    tab.dialog.locator("input[type=file]").set_input_files(path)
    expect(tab.dialog.get_by_label("uploads")).to_contain_text("packets read")
    sound(tab, "upload")
