"""What the page says when there is nothing to see, or nobody to ask."""

import subprocess
from pathlib import Path

from playwright.sync_api import expect

from shared.frames import Conversation, Recording
from tests import builders as b
from tests.e2e.run import Served, served
from tests.ui.apart import apart
from tests.ui.conftest import Open
from tests.ui.tab import Tab

START_US = 1_768_640_400_000_000
TOKEN = "a-token-that-nobody-guesses"
UNREACHABLE = r"ERR_|Failed to load resource|net::"


def test_a_completed_run(site: Served, open_tab: Open) -> None:
    tab = open_tab(site)
    expect(tab.page.locator(".sources")).to_contain_text("completed")
    expect(tab.page.locator(".status")).to_contain_text("drop 0")


def test_a_filter_without_hits_says_which_term_to_drop(site: Served, open_tab: Open) -> None:
    tab = open_tab(site, q="svc:http text:nowhere")
    state = tab.page.locator(".state")
    expect(state).to_contain_text("No stream passes the filter")
    http = site.get("/api/streams", service="http", limit=1)["total"]
    expect(state).to_contain_text(f"{http} streams")
    state.get_by_role("button", name="drop text:nowhere").click()
    tab.wait_view("q", "svc:http")
    expect(tab.rows.first).to_be_visible()


def test_a_filter_with_a_fault_says_where(site: Served, open_tab: Open) -> None:
    tab = open_tab(site, q="svc:http port:many")
    expect(tab.page.locator(".filter .fault")).to_contain_text("a port is a number up to 65535")
    expect(tab.filter).to_have_attribute("aria-invalid", "true")
    expect(tab.rows.first).to_contain_text("http")


def test_a_bad_regular_expression_says_where(site: Served, open_tab: Open) -> None:
    tab = open_tab(site)
    tab.expect_trouble("400|422")
    tab.filter.fill("data:/flag{(/")
    tab.press("Enter")
    expect(tab.page.locator(".filter .fault")).to_contain_text("position")
    expect(tab.page.locator(".state")).to_contain_text("the content cannot be searched")


def test_a_paused_page_stays_as_it_is(site: Served, open_tab: Open) -> None:
    tab = open_tab(site)
    tab.press(" ")
    expect(tab.page.locator(".flow > button")).to_contain_text("paused")
    tab.press(" ")
    expect(tab.page.locator(".flow > button")).to_contain_text("following")


class Fed:
    """Conversations that come one by one through standard input."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        self.pipe, self.sent = process.stdin, 0

    def write(self, octets: bytes) -> None:
        self.pipe.write(octets)
        self.pipe.flush()

    def talk(self, count: int) -> None:
        for _ in range(count):
            self.sent += 1
            recording = Recording()
            client = ("10.0.0.7", 40000 + self.sent)
            talk = Conversation(recording, client, ("10.0.0.2", 8080), START_US + self.sent * 1000)
            talk.open()
            talk.send(0, f"GET /flag?id={self.sent} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            talk.send(1, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            for ts_us, frame in recording.frames:
                self.write(record(ts_us, frame))


def record(ts_us: int, frame: bytes) -> bytes:
    """A packet as it stands in a capture, without the file's head."""
    return b.pcap_bytes([(ts_us * 1000, frame)])[24:]


def test_a_run_from_nothing_to_its_end(open_tab: Open, tmp_path: Path) -> None:
    arguments = ("--pcap", "-", "--health-interval-ms", "200")
    with served(*arguments, folder=tmp_path, stdin=subprocess.PIPE) as run:
        fed = Fed(run.process)
        tab = open_tab(run)
        expect(tab.page.locator(".state")).to_contain_text("No source yet")
        expect(tab.page.locator(".state")).to_contain_text("flowmate --pcap capture.pcap")
        fed.write(b.pcap_bytes([]))
        fed.talk(3)
        rows = tab.page.locator("main.list [role=grid]")
        expect(rows).to_have_attribute("aria-rowcount", "4")
        expect(tab.page.locator(".sources")).to_contain_text("live")
        fed.talk(2)
        expect(rows).to_have_attribute("aria-rowcount", "6")
        expect(tab.rows.first).to_contain_text("GET /flag?id=5")

        tab.rows.nth(1).click()  # who reads is left alone
        expect(tab.inspector.locator(".turns")).to_contain_text("GET /flag?id=4")
        fed.talk(7)
        expect(tab.page.locator("main.list .fresh")).to_contain_text("7 new")
        expect(tab.selected).to_have_attribute("aria-rowindex", "3")
        tab.page.locator("main.list .fresh").click()
        expect(tab.selected).to_have_attribute("aria-rowindex", "10")
        expect(tab.rows.first).to_contain_text("GET /flag?id=12")

        fed.pipe.close()
        expect(tab.page.locator(".sources")).to_contain_text("completed")


def test_a_stream_that_grows_while_it_is_read(open_tab: Open, tmp_path: Path) -> None:
    arguments = ("--pcap", "-", "--health-interval-ms", "200")
    with served(*arguments, folder=tmp_path, stdin=subprocess.PIPE) as run:
        fed, recording = Fed(run.process), Recording()
        fed.write(b.pcap_bytes([]))
        talk = Conversation(recording, ("10.0.0.7", 4000), ("10.0.0.2", 9000), START_US)

        def say(sender: int, data: bytes) -> None:
            talk.send(sender, data)
            for ts_us, frame in recording.frames:
                fed.write(record(ts_us, frame))
            recording.frames.clear()

        talk.open()
        say(0, b"the first line\n")
        run.wait_for(lambda health: health["totals"]["streams"] == 1)
        tab = open_tab(run)
        tab.rows.first.click()
        expect(tab.inspector.locator(".turns")).to_contain_text("the first line")
        say(1, b"an answer\n")
        expect(tab.inspector.locator(".turns")).to_contain_text("an answer")
        say(0, b"the last word\n")
        expect(tab.inspector.locator(".turns")).to_contain_text("the last word")


def test_a_token_is_asked_for_once(open_tab: Open, sample_capture: Path, tmp_path: Path) -> None:
    with served("--pcap", sample_capture, folder=tmp_path, token=TOKEN) as run:
        run.wait_ended()
        tab = refused(open_tab, run)
        tab.dialog.get_by_label("token").fill("wrong")
        tab.press("Enter")
        expect(tab.dialog).to_contain_text("that is not the token")
        tab.dialog.get_by_label("token").fill(TOKEN)
        tab.press("Enter")
        expect(tab.dialog).to_have_count(0)
        expect(tab.rows.first).to_be_visible()
        tab.reload()
        expect(tab.dialog).to_have_count(0)


def test_a_link_with_the_token_does_not_keep_it(
    open_tab: Open, sample_capture: Path, tmp_path: Path
) -> None:
    with served("--pcap", sample_capture, folder=tmp_path, token=TOKEN) as run:
        run.wait_ended()
        tab = open_tab(run, token=TOKEN, q="svc:http")
        expect(tab.rows.first).to_contain_text("http")
        assert TOKEN not in tab.page.url
        assert tab.view() == {"q": "svc:http"}


def refused(open_tab: Open, run: Served) -> Tab:
    """A tab that was not let in."""
    tab = open_tab(run, load=False)
    tab.expect_trouble("401")
    tab.page.goto(tab.base)
    expect(tab.dialog).to_contain_text("This server wants its token")
    return tab


def test_an_api_that_went_and_came_back(
    open_tab: Open, sample_capture: Path, tmp_path: Path
) -> None:
    with apart(sample_capture, tmp_path) as run:
        tab = open_tab(run)
        tab.expect_trouble(UNREACHABLE)
        tab.rows.nth(5).click()
        expect(tab.selected).to_have_attribute("aria-rowindex", "7")
        stream, shown = tab.view()["stream"], tab.rows.nth(5).inner_text()
        run.stop_api()
        expect(tab.page.locator("main.list .line.warning")).to_contain_text("reconnecting")
        expect(tab.page.locator(".status")).to_contain_text("reconnecting")
        assert tab.rows.nth(5).inner_text() == shown
        run.start_api()
        expect(tab.page.locator("main.list .line.warning")).to_have_count(0)
        expect(tab.selected).to_have_attribute("aria-rowindex", "7")
        assert tab.view()["stream"] == stream
        # and it is told of changes again
        run.client.patch(f"/api/streams/{stream}", json={"favorite": True})
        expect(tab.selected.get_by_role("button", name="favourite")).to_have_attribute(
            "aria-pressed", "true"
        )
