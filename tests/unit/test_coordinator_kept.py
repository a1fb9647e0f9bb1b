"""What one coordinator leaves to the next: numbers, lives, and a file of events."""

import os
from pathlib import Path

import pytest

from services.coordinator.kept import NAME, Kept
from services.coordinator.lives import Lives, Notice
from services.coordinator.sinks import resume
from services.coordinator.sinks.resume import Written, find_end
from shared.patience import PAUSES_S, Patience

STREAM = b'{"ts_us":1,"event":"stream_open","text":"{\\"ts_us\\":1,\\"event\\":\\"health\\""}\n'
RECORD = b'{"ts_us":-2,"event":"health","run_status":"running"}\n'


# -------------------------------------------------------------------------------- numbers
def test_numbers_are_there_again(tmp_path: Path) -> None:
    first = Kept(str(tmp_path))
    assert first.before == {}
    first.write({"events": 1})
    first.write({"events": 2})
    assert Kept(str(tmp_path)).before == {"format": 1, "events": 2}
    assert os.listdir(tmp_path) == [NAME]


@pytest.mark.parametrize("octets", [b"", b"{", b"[]", b'{"format":0,"events":2}'])
def test_a_file_that_is_none_is_as_if_it_were_not_there(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / NAME).write_bytes(octets)
    assert Kept(str(tmp_path)).before == {}


def test_a_folder_that_is_gone_does_not_matter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Kept(str(tmp_path / "gone"))
    kept.write({"events": 1})
    kept.write({"events": 2})
    assert caplog.text.count("a restart would lose counts") == 1


# ------------------------------------------------------------------------------- the output
@pytest.mark.parametrize("block", [7, 64, 1 << 20])
@pytest.mark.parametrize("cut", [0, 1, len(STREAM) - 1])
def test_the_end_of_the_output_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, cut: int
) -> None:
    """Behind what was known come streams' lines, a record, and a line that was cut."""
    path = tmp_path / "out.jsonl"
    known = STREAM * 3 + RECORD
    behind = STREAM * 2 + RECORD + STREAM
    path.write_bytes(known + behind + STREAM[:cut])
    monkeypatch.setattr(resume, "BLOCK", block)
    found = find_end(str(path), Written(len(known), 5, lost=2, records_lost=1))
    assert found == Written(len(known + behind), 8, lost=2, records_lost=1)
    assert path.read_bytes() == known + behind


def test_an_output_that_somebody_cut_is_counted_anew(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(STREAM)
    assert find_end(str(path), Written(10_000, 50)) == Written(len(STREAM), 51)


# ---------------------------------------------------------------------------------- lives
def notice(service: str, what: str, restarts: int = 0, at_us: int = 5) -> Notice:
    words = {"service": service, "pid": 1, "what": what, "restarts": restarts, "at_us": at_us}
    return Notice.model_validate(words | ({"how": "killed by SIGKILL"} if what == "ended" else {}))


def test_a_life_says_since_when_and_how_often() -> None:
    lives = Lives()
    lives.see("api", "up", 1)
    lives.see("api", "up", 2)
    lives.notice(notice("api", "ended", at_us=7))
    assert lives.troubles() == ["api ended (killed by SIGKILL) and is started again"]
    [described] = lives.describe()
    assert (described["state"], described["since_us"]) == ("down", 7)
    lives.notice(notice("api", "started", restarts=1, at_us=9))
    assert lives.troubles() == []
    again = Lives()
    again.restore(lives.describe())
    assert again.describe() == [
        {
            "service": "api", "state": "up", "since_us": 9, "restarts": 1,
            "last_end": "killed by SIGKILL", "ended_us": 7,
        }
    ]  # fmt: skip


# --------------------------------------------------------------------------------- patience
def test_a_service_that_dies_again_and_again_is_given_up() -> None:
    patience = Patience()
    starts = [patience.next_start(float(second)) for second in range(len(PAUSES_S))]
    assert starts == [second + pause for second, pause in enumerate(PAUSES_S)]
    assert patience.next_start(30.0) is None
    assert patience.next_start(61.5) == 61.5 + PAUSES_S[-2], "two deaths are long ago"
