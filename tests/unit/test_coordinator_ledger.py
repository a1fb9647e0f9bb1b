"""What the coordinator knows of captures that come one by one."""

from pathlib import Path

import pytest

from services.coordinator import ledger as module
from services.coordinator.ledger import Ledger, status_of
from services.coordinator.state import StateFile
from shared.schema import CaptureReport, FileReport, FilesQuery


def file(number: int, state: str = "reading", **more: object) -> FileReport:
    named = {"id": f"{number:04}", "source": "/drop", "name": f"{number}.pcap", "state": state}
    return FileReport.model_validate(
        named | {"packets": 10, "size": 100, "offset": 50, "found_us": number} | more
    )


def report(*files: FileReport, forgotten: tuple[str, ...] = ()) -> CaptureReport:
    return CaptureReport(
        kind="report", seq=0, instance="x", files=list(files), forgotten=list(forgotten)
    )


def test_only_a_change_of_state_or_reason_is_news() -> None:
    ledger = Ledger(StateFile(""))
    assert ledger.take(report(file(1, "waiting"))) == [file(1, "waiting")]
    assert ledger.take(report(file(1, "waiting", size=200))) == []
    assert [each.state for each in ledger.take(report(file(1), file(2)))] == ["reading"] * 2
    assert ledger.take(report(file(1, reason="waits"))) == [file(1, reason="waits")]
    assert status_of(file(1))["status"] == "reading"


def test_the_newest_are_told_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NEWEST", 3)
    ledger = Ledger(StateFile(""))
    for number in range(10):
        ledger.take(report(file(number, "done" if number < 9 else "reading")))
    told = ledger.describe()
    assert [each["name"] for each in told["files"]] == ["7.pcap", "8.pcap", "9.pcap"]
    assert told["older"] == {"files": 7, "packets": 70, "size": 700, "offset": 350, "damaged": 0}
    assert told["states"] == {"waiting": 0, "reading": 1, "done": 9, "rejected": 0, "gone": 0}
    assert "head" not in told["files"][0]
    ledger.take(report(file(0, "done", packets=25), file(9, "done", packets=11)))
    told = ledger.describe()
    assert told["older"]["packets"] == 85
    assert told["files"][-1]["packets"] == 11
    assert told["states"]["done"] == 10


def test_what_is_forgotten_is_still_in_the_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_MAX", 4)
    ledger = Ledger(StateFile(""))
    ledger.take(report(*(file(number) for number in range(6))))
    ledger.take(report(forgotten=("0005", "none of them")))
    told = ledger.describe()
    assert [each["id"] for each in told["files"]] == ["0002", "0003", "0004"]
    assert told["older"]["files"] == 3
    assert told["states"]["reading"] == 3


def test_a_source_is_told_page_by_page() -> None:
    ledger = Ledger(StateFile(""))
    ledger.take(report(*(file(n, source="/drop" if n % 2 else "/else") for n in range(10))))
    found: list[str] = []
    while page := ledger.page(
        FilesQuery(source="/drop", after=found[-1] if found else "", limit=2)
    ):
        found += [each["id"] for each in page]
    assert found == ["0001", "0003", "0005", "0007", "0009"]


def test_the_state_file_keeps_how_far_captures_were_read(tmp_path: Path) -> None:
    path = str(tmp_path / "state.sqlite")
    state = StateFile(path)
    ledger = Ledger(state)
    kept = file(2, "done", head=b"\xd4\xc3\xb2\xa1", first_ns=-5, inode=(1 << 64) - 1)
    ledger.take(report(file(1), kept, file(3), file(4, source="uploads")))
    ledger.take(report(file(1, packets=99), forgotten=("0003",)))
    state.close()
    state = StateFile(path)
    again = Ledger(state)
    assert [FileReport.model_validate(each) for each in again.page(FilesQuery(source="/drop"))] == [
        file(1, packets=99),
        kept,
    ]
    assert again.describe()["states"]["done"] == 1
    state.put(module.DOCUMENT, "0007", {"id": "0007", "head": "no base 64", "of": "a later one"})
    state.close()
    state = StateFile(path)
    assert len(Ledger(state).page(FilesQuery(source="/drop"))) == 2
    state.close()
