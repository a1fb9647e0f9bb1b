"""Keys of a cluster: made once, never overwritten, and refused when they do not fit."""

import stat
from pathlib import Path

import pytest

from shared import curve
from shared.errors import UserError
from shared.settings import EVERY
from tests.conftest import Flowmate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    curve.make(tmp_path / "keys")
    return tmp_path / "keys"


def test_each_service_has_a_pair_that_only_its_owner_can_read(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        f"{service}{end}" for service in EVERY for end in (".public", ".secret")
    }
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for service in EVERY:
        assert stat.S_IMODE((folder / f"{service}.secret").stat().st_mode) == 0o600
        keys = curve.load(str(folder), service)
        assert keys.service == service
        assert set(keys.public) == set(EVERY)
    assert len({path.read_bytes() for path in folder.iterdir()}) == 2 * len(EVERY)


def test_nothing_is_overwritten(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    (folder / "api.public").unlink()
    with pytest.raises(UserError, match="is there already"):
        curve.make(folder)
    after = {path: path.read_bytes() for path in folder.iterdir()}
    assert after == {path: key for path, key in before.items() if path.name != "api.public"}


def test_a_machine_needs_the_secret_of_its_own_service_alone(folder: Path) -> None:
    for service in EVERY:
        if service != "shard":
            (folder / f"{service}.secret").unlink()
    assert curve.load(str(folder), "shard").service == "shard"
    with pytest.raises(UserError, match=r"api\.secret: no such file or directory; flowmate keys"):
        curve.load(str(folder), "api")


def test_a_secret_that_others_may_read_is_refused(folder: Path) -> None:
    (folder / "api.secret").chmod(0o640)
    with pytest.raises(UserError, match=r"may be read by others: chmod 600 .*/api\.secret"):
        curve.load(str(folder), "api")


def test_keys_of_another_cluster_are_refused(folder: Path, tmp_path: Path) -> None:
    curve.make(tmp_path / "other")
    (tmp_path / "other" / "api.secret").rename(folder / "api.secret")
    with pytest.raises(UserError, match="are no pair"):
        curve.load(str(folder), "api")


@pytest.mark.parametrize("octets", [b"", b"short", b"\xff" * 40, b"x" * 41], ids=len)
def test_what_is_no_key_is_refused(folder: Path, octets: bytes) -> None:
    (folder / "shard.public").write_bytes(octets)
    with pytest.raises(UserError, match=r"shard\.public is no key of 40 characters"):
        curve.load(str(folder), "api")


def test_the_command(flowmate: Flowmate, tmp_path: Path) -> None:
    done = flowmate("keys", "made")
    assert (done.returncode, done.stderr) == (0, "")
    assert "keys of capture, shard, coordinator, api are in made" in done.stdout
    assert curve.load(str(tmp_path / "made"), "api")
    again = flowmate("keys", "made")
    assert again.returncode == 2
    assert "is there already: give another folder" in again.stderr
    assert len(again.stderr.splitlines()) == 1
    assert flowmate("keys").returncode == 2
    (tmp_path / "file").write_text("")
    assert "not a directory" in flowmate("keys", "file/keys").stderr
