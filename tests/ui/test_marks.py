"""What is missing is seen without asking; what the team marked is one click away."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from shared.frames import ACK, PSH, Conversation, Recording
from tests import builders as b
from tests.e2e.run import Served, served
from tests.ui.conftest import Open

START_US = 1_768_640_400_000_000
SERVER = ("10.0.0.2", 8080)


@pytest.fixture(scope="module")
def torn(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One connection with a hole of 1,460 bytes, one of which only the client was captured, one
    that was there before, and one whose packets have 8 bytes of payload each."""
    folder = tmp_path_factory.mktemp("torn")
    recording = Recording()
    holed = Conversation(recording, ("10.0.0.7", 40_001), SERVER, START_US)
    holed.open()
    holed.send(0, b"a line before\n")
    holed.packet(0, ACK | PSH, b"x" * 1460, lost=True)
    holed.send(0, b"a line behind\n")
    holed.close()
    heard = Recording()
    deaf = Conversation(heard, ("10.0.0.8", 40_002), SERVER, START_US + 1_000_000)
    deaf.open()
    deaf.send(0, b"is anybody there\n")
    deaf.close()
    recording.frames += [(ts_us, frame) for ts_us, frame in heard.frames if frame[29] == 8]
    Conversation(recording, ("10.0.0.9", 40_003), SERVER, START_US).send(0, b"as I said before\n")
    records: list[b.Captured] = [(ts_us * 1000, frame) for ts_us, frame in recording.frames]
    whole = Recording()
    short = Conversation(whole, ("10.0.0.10", 40_004), SERVER, START_US)
    short.open()
    short.send(0, b"a line that is longer than the snaplen\n")
    short.close()
    records += [(ts_us * 1000, frame[: 54 + 8], len(frame)) for ts_us, frame in whole.frames]
    (folder / "torn.pcap").write_bytes(b.pcap_bytes(sorted(records, key=lambda each: each[0])))
    with served("--pcap", "torn.pcap", "--health-interval-ms", "200", folder=folder) as run:
        run.wait_ended()
        yield run


def test_what_is_missing_is_said_at_once(torn: Served, open_tab: Open) -> None:
    tab = open_tab(torn)
    expect(tab.page.locator(".status [data-figure=gaps]")).to_contain_text("gaps 2 · 1.49 kB")
    expect(tab.rows.filter(has_text="10.0.0.7")).to_contain_text("⚠ gap")
    expect(tab.rows.filter(has_text="10.0.0.8")).to_contain_text("⚠ one-sided")
    expect(tab.rows.filter(has_text="10.0.0.9:")).to_contain_text("⚠ midstream")
    cut = tab.rows.filter(has_text="10.0.0.10:")
    expect(cut).to_contain_text("⚠ cut")
    expect(cut).not_to_contain_text("midstream")
    tab.page.locator(".status [data-figure=gaps] button").click()
    expect(tab.dialog.locator(".verdict")).to_contain_text("Not all of it.")
    expect(tab.dialog.locator(".verdict")).to_contain_text("1.49 kB of streams were never captured")


@pytest.mark.parametrize(
    ("client", "note"),
    [
        ("10.0.0.9", "midstream: it was there before the capture began"),
        ("10.0.0.10", "cut: packets were captured short"),
    ],
)
def test_the_inspector_says_what_the_capture_did_not_have(
    torn: Served, open_tab: Open, client: str, note: str
) -> None:
    tab = open_tab(torn)
    tab.rows.filter(has_text=f"{client}:").click()
    expect(tab.inspector.locator(".inspector-header")).to_contain_text(note)


def test_raw_begins_with_the_client(torn: Served, open_tab: Open) -> None:
    for row in torn.rows():
        tab = open_tab(torn, stream=row["stream_id_hex"], tab="raw")
        pressed = tab.inspector.locator(".raw-bar button[aria-pressed=true]")
        expect(pressed).to_contain_text("client")


def test_favourites_and_tags_are_in_the_rail(torn: Served, open_tab: Open) -> None:
    tab = open_tab(torn)
    rail = tab.page.get_by_role("navigation")
    expect(rail.get_by_role("button", name="favourites")).to_contain_text("0")
    tab.rows.filter(has_text="10.0.0.7").click()
    tab.press("f")
    expect(rail.get_by_role("button", name="favourites")).to_contain_text("1")
    tab.press("+")
    tab.page.keyboard.type("stolen")
    tab.press("Enter")
    tag = rail.get_by_role("button", name="stolen")
    expect(tag).to_contain_text("1")
    tag.click()
    tab.wait_view("q", "tag:stolen")
    expect(tab.rows).to_have_count(1)
    rail.get_by_role("button", name="favourites").click()
    tab.wait_view("q", "tag:stolen fav:yes")
    expect(tab.rows).to_have_count(1)
