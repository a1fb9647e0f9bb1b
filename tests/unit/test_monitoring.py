"""Alerts and dashboards: they are what their sources say, and alerts fire when they should."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))


def promtool(*words: str) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("no promtool: it comes with the package prometheus")
    done = subprocess.run(
        ["promtool", *words], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_is_one() -> None:
    promtool("check", "config", "prometheus.yml")


def test_each_alert_fires_for_its_reason_and_not_before() -> None:
    promtool("test", "rules", "tests.yml")


def test_every_alert_is_tried() -> None:
    names = {
        line.split("alert: ")[1].strip()
        for line in (PROMETHEUS / "rules.yml").read_text().splitlines()
        if "alert: " in line
    }
    tried = (PROMETHEUS / "tests.yml").read_text()
    fired = {name for name in names if tried.count(f"alertname: {name}") >= 2}
    assert names == fired
    assert len(names) > 10


def test_the_dashboards_are_what_the_program_writes(tmp_path: Path) -> None:
    program = tmp_path / "dashboards.py"
    shutil.copy(GRAFANA / "dashboards.py", program)
    (tmp_path / "dashboards").mkdir()
    subprocess.run([sys.executable, program], check=True)
    written = {file.name: file.read_text() for file in (tmp_path / "dashboards").iterdir()}
    assert written == {file.name: file.read_text() for file in DASHBOARDS}, "make dashboards"


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_every_panel_says_what_it_shows(file: Path) -> None:
    dashboard: dict[str, Any] = json.loads(file.read_text())
    source = (GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text()
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert f"uid: {panel['datasource']['uid']}\n" in source
        assert panel["targets"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
