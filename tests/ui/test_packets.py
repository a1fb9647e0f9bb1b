"""Packets of a stream as a file, and what is said of where they come from."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.run import Served, served
from tests.ui.conftest import Open
from tests.ui.tab import Tab

CAPTURED, ALONE, MADE = "captured packets, as pcapng", "captured packets alone", "packets made of"


@pytest.fixture(scope="module")
def kept(
    browser: Browser, sample_capture: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A completed run that keeps its packets."""
    folder = tmp_path_factory.mktemp("kept")
    ring = ("--packet-ring", "ring", "--packet-ring-bytes", "64000000")
    with served("--pcap", sample_capture, *ring, folder=folder) as run:
        run.wait_ended()
        yield run


def saved(tab: Tab, title: str) -> tuple[str, bytes]:
    """Name and content of the file that a choice of the menu downloads."""
    tab.press("d")
    with tab.page.expect_download() as download:
        tab.dialog.get_by_role("button", name=title).click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def test_captured_packets_where_they_are_kept(kept: Served, open_tab: Open) -> None:
    row = kept.rows(service="http")[0]
    stream = row["stream_id_hex"]
    tab = open_tab(kept, stream=stream)
    for title, suffix in ((CAPTURED, ""), (ALONE, "-captured")):
        name, octets = saved(tab, title)
        assert name == f"{stream}{suffix}.pcapng"
        assert octets.startswith(b"\n\r\r\n")  # pcapng, a section header block
        assert b"captured" in octets
        tab.notice(f"{name}: captured packets, as they came: {row['packets']}$")
    name, octets = saved(tab, MADE)
    assert name == f"{stream}-synthesised.pcapng"
    tab.notice("synthesised")


def test_the_packets_tab_says_where_they_are(kept: Served, open_tab: Open) -> None:
    tab = open_tab(kept, stream=kept.rows(service="http")[0]["stream_id_hex"], tab="packets")
    expect(tab.inspector.locator(".packets")).to_contain_text("are kept on disk")
    expect(tab.inspector.get_by_role("button", name=ALONE)).to_be_enabled()


def test_where_no_packets_are_kept_it_is_said(site: Served, open_tab: Open) -> None:
    tab = open_tab(site, stream=site.rows(service="http")[0]["stream_id_hex"], tab="packets")
    expect(tab.inspector.locator(".packets")).to_contain_text("are not kept")
    tab.press("d")
    captured = tab.dialog.get_by_role("button", name="captured packets")
    expect(captured).to_be_disabled()
    expect(captured).to_contain_text("--packet-ring")
    tab.press("Escape")
    name, octets = saved(tab, MADE)
    assert name.endswith("-synthesised.pcapng")
    assert octets.startswith(b"\n\r\r\n")
