"""How the page feels, in a real browser before real services: `python -m bench.browser`.

It makes a capture of --rows one-packet streams, the sample's conversations and some long ones,
reads it, and opens a headless Chromium. Measured are, with a million rows: the first load, from the
request to a frame with rows; frames while the list is scrolled by wheel and by its bar; from the
click on a stream to a frame with its conversation, of short and of long streams; the heap
afterwards; and the built files, compressed.

The contract: first load < 1 s, no frame > 50 ms in the median run, a conversation is there within
150 ms (95th percentile), heap < 150 MB, files < 350 kB.
"""

import argparse
import gzip
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from bench.asking import Run
from bench.latency import many_streams
from bench.probe import skip
from shared.frames import Conversation, Recording
from shared.sample import BEGIN_US, recording

UI = Path(__file__).resolve().parent.parent / "services/api/static/ui"
SCRIPT = Path(__file__).with_suffix(".js").read_text()
ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-precise-memory-info")
LONG = 8
LONG_BYTES = 14_000_000
SLOW_FRAME_MS = 50
WAIT_MS = 30_000


@dataclass
class Figure:
    """One number and the most that it may be."""

    name: str
    value: float
    most: float
    unit: str
    more: str = ""

    def line(self) -> str:
        return f"| {self.name} | {self.value:,.1f} | {self.most:g} | {self.unit} | {self.more} |"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.browser",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5, help="of the load and of scrolling")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(argv)
    chromium = os.environ.get("FLOWMATE_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        return skip("browser", "no Chromium; apt-get install chromium, or set FLOWMATE_CHROMIUM")
    if not (UI / "index.html").is_file():
        return skip("browser", "the UI is not built; make ui")
    with tempfile.TemporaryDirectory(prefix="fm-bench-") as name:
        figures = measure(Path(name), given.rows, given.runs, chromium)
    print("| what | value | at most | unit | besides |\n|---|---|---|---|---|")
    print("\n".join(figure.line() for figure in figures))
    if given.json:
        given.json.write_text(json.dumps([vars(figure) for figure in figures], indent=1) + "\n")
    return 0


def measure(folder: Path, rows: int, runs: int, chromium: str) -> list[Figure]:
    many, talks = folder / "rows.pcap", folder / "talks.pcap"
    many_streams(many, rows)
    conversations(talks)
    limits = ("--max-streams", str(rows + 1000), "--max-flows", str(rows + 1000))
    kept = ("--max-stream-content-bytes", "1000000000")
    kept += ("--max-stream-content-bytes-per-stream", "20000000")
    options = ("--pcap", str(talks), *limits, *kept)
    with Run(many, folder / "run", 1, *options) as run, sync_playwright() as playwright:
        run.wait_for_api()
        while not run.ended:
            time.sleep(0.1)
        print(f"{run.health()['totals']['streams']:,} streams", file=sys.stderr)
        browser = playwright.chromium.launch(executable_path=chromium, args=[*ARGUMENTS])
        address = f"http://127.0.0.1:{run.port}/"
        figures = [built(), loaded(browser, address, runs)]
        page = opened(browser, address)
        figures += scrolled(page, runs)
        figures += [
            selected(page, "conversation, short", "svc:http kind:text size:<100k"),
            selected(page, "conversation of 14 MB", "size:>10M"),
            heap(page),
        ]
        browser.close()
    return figures


def conversations(path: Path) -> None:
    """The sample's, and LONG downloads of LONG_BYTES that are in no hurry to end."""
    result: Recording = recording()
    for number in range(LONG):
        client = (f"10.77.0.{number + 1}", 47_000)
        talk = Conversation(result, client, ("10.10.2.2", 8080), BEGIN_US + number, step_us=5)
        talk.open()
        talk.send(0, b"GET /dump.sql HTTP/1.1\r\nHost: team2.ctf.example:8080\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
        line = b"INSERT INTO notes VALUES (%07d, 'round and round');\n" % number
        talk.send(1, head % LONG_BYTES + (line * (LONG_BYTES // len(line) + 1))[:LONG_BYTES])
    with path.open("wb") as file:
        result.write(file)


def opened(browser: Browser, address: str, query: str = "") -> Page:
    """The page, with rows on the screen."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.add_init_script(SCRIPT)
    page.goto(address + query)
    page.evaluate("window.__bench.first")
    return page


def built() -> Figure:
    files = [path for path in UI.rglob("*") if path.suffix in (".js", ".css", ".html", ".svg")]
    size = sum(len(gzip.compress(path.read_bytes())) for path in files) / 1000
    return Figure("files, gzip", size, 350, "kB", f"{len(files)} files")


def loaded(browser: Browser, address: str, runs: int) -> Figure:
    """Each in a context of its own: nothing is in a cache."""
    took = []
    for _ in range(runs):
        page = opened(browser, address)
        took.append(float(page.evaluate("window.__bench.first")))
        page.context.close()
    return Figure("first load", statistics.median(took), 1000, "ms", f"longest {max(took):.0f}")


def scrolled(page: Page, runs: int) -> list[Figure]:
    """The longest frame of the median run, and how many were too long in all."""
    figures = []
    for name in ("wheel", "drag"):
        longest, frames = [], []
        for _ in range(runs):
            times = page.evaluate(f"window.__bench.{name}(300)")
            longest.append(max(times))
            frames += times
        slow = sum(ms > SLOW_FRAME_MS for ms in frames)
        more = f"{slow} of {len(frames):,} above; median {statistics.median(frames):.1f}"
        title = f"longest frame, {name}"
        figures.append(Figure(title, statistics.median(longest), SLOW_FRAME_MS, "ms", more))
    return figures


def selected(page: Page, name: str, query: str) -> Figure:
    """The 95th percentile over clicks on rows, each once, as far as they are on the page."""
    filter_by(page, query)
    rows = page.locator("main.list .rows [role=row]:not([aria-busy=true])")
    took: list[float] = []
    for index in range(min(40, rows.count())):
        inspector = page.locator(".inspector")
        before = inspector.get_attribute("aria-label") if inspector.count() else None
        page.evaluate("before => void (window.__opened = window.__bench.opened(before))", before)
        rows.nth(index).locator(".c-time").click()
        took.append(float(page.evaluate("window.__opened")))
    took.sort()
    p95 = took[min(len(took) - 1, int(0.95 * len(took)))]
    more = f"n {len(took)}, median {statistics.median(took):.0f}, longest {took[-1]:.0f}"
    return Figure(name, p95, 150, "ms", more)


def filter_by(page: Page, query: str) -> None:
    """Type it; the list has it when its rows were read."""
    box = page.get_by_role("combobox", name="filter", exact=True)
    with page.expect_response(lambda response: "/api/streams?" in response.url):
        box.fill(query)
        box.press("Enter")
    page.wait_for_function(
        """() => document.querySelector("main.list [role=grid]").ariaBusy === "false"
          && document.querySelectorAll("main.list .rows [role=row]").length > 0"""
    )
    page.locator("main.list .rows [role=row]:not([aria-busy=true])").first.wait_for()


def heap(page: Page) -> Figure:
    """What is reachable, after all of it."""
    session: Any = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = session.send("Performance.getMetrics")["metrics"]
    used = next(each["value"] for each in metrics if each["name"] == "JSHeapUsedSize")
    return Figure("heap", used / 1e6, 150, "MB")


if __name__ == "__main__":
    sys.exit(main())
