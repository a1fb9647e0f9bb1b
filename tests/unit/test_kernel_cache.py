"""Where compiled kernels are kept."""

import os
from pathlib import Path

import pytest

from shared import kernel_cache


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv(kernel_cache.VARIABLE, "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_kernels_are_kept_under_their_digest(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernel_cache.is_cold()
    kernel_cache.prepare()
    assert kernel_cache.is_cold()
    kernel_cache.note_warm()
    assert not kernel_cache.is_cold()
    place = home / "flowmate" / f"kernels-{kernel_cache.digest()}"
    assert os.environ[kernel_cache.VARIABLE] == str(place)
    assert place.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(kernel_cache, "compiler_version", lambda: "0.0")
    assert kernel_cache.digest() not in place.name


def test_a_folder_that_others_can_write_is_not_used(home: Path) -> None:
    place = kernel_cache.folder()
    place.mkdir(parents=True)
    place.chmod(0o777)
    kernel_cache.prepare()
    assert os.environ[kernel_cache.VARIABLE] != str(place)


def test_kernels_of_old_sources_are_forgotten(home: Path) -> None:
    old, recent = home / "flowmate" / "kernels-old", home / "flowmate" / "kernels-recent"
    for folder in (old, recent):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    kernel_cache.prepare()
    assert not old.exists()
    assert recent.exists()


def test_portable_kernels_name_the_baseline_where_the_machine_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(kernel_cache.VARIABLE, str(tmp_path))
    for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"):
        monkeypatch.setenv(name, "as before")
    kernel_cache.make_portable()
    monkeypatch.setattr(kernel_cache, "_baseline", dict)
    kernel_cache.prepare()
    assert os.environ["NUMBA_CPU_NAME"] == "as before"
    monkeypatch.setattr(kernel_cache, "_baseline", lambda: {"NUMBA_CPU_NAME": "generic"})
    kernel_cache.prepare()
    assert os.environ["NUMBA_CPU_NAME"] == "generic"
